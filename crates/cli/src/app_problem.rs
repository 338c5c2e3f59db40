//! The problems that keep an app from running, as they are told.

use outport_check::{Code, Diagnostic};
use outport_manifest::{ComponentId, Manifest, nearest};
use outport_policy::text;
use outport_runtime::app::{AppProblem, AppProblemKind};

use crate::failure::Failure;

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

/// What there is to say of a component that the app does not have.
pub(crate) fn no_such_component(id: &str, known: &[&str]) -> Diagnostic {
    let quoted: Vec<String> = known
        .iter()
        .map(|id| format!("`{}`", text::excerpt(id)))
        .collect();
    let all = format!("its components are {}", quoted.join(", "));
    let error = Diagnostic::error(format!("the app has no component `{}`", text::quote(id)));
    error.helped_by(match nearest(id, known.iter().copied()) {
        Some(meant) => format!("did you mean `{}`? {all}", text::excerpt(meant)),
        None => all,
    })
}

/// Refuses a component that the app does not have.
pub(crate) fn check_component(id: &ComponentId, manifest: &Manifest) -> Result<(), Failure> {
    if manifest.component(id).is_some() {
        return Ok(());
    }
    let known = manifest
        .components
        .iter()
        .map(|component| component.id.value.as_str());
    let known: Vec<&str> = known.collect();
    Err(Failure::unusable(no_such_component(id.as_str(), &known)))
}
