//! The problems that keep an app from running, as they are told.

use outport_check::{Code, Diagnostic};
use outport_runtime::app::{AppProblem, AppProblemKind};

/// The message for a problem, with the code that it has in `check` too.
pub(crate) fn diagnostic(problem: &AppProblem) -> Diagnostic {
    let code = match &problem.kind {
        AppProblemKind::Component(_) | AppProblemKind::NotFetched { .. } => Code::Unusable,
        AppProblemKind::NotAnHttpComponent(_)
        | AppProblemKind::NotACommand(_)
        | AppProblemKind::NotAnEventComponent(_) => Code::MissingExport,
        _ => Code::NotLinked,
    };
    Diagnostic {
        help: problem.advice(),
        ..Diagnostic::error(problem.kind.to_string())
    }
    .coded(code)
    .at(problem.location.clone())
}
