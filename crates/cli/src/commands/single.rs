//! What `run` and `serve` share: a component that no manifest names.

use std::path::Path;

use outport_runtime::component::ComponentError;

use crate::diagnostic::Diagnostic;
use crate::failure::Failure;

/// A file that cannot be run, with what to do about it.
pub(super) fn unusable(error: ComponentError) -> Failure {
    let diagnostic = Diagnostic::error(error.to_string());
    Failure::unusable(match error.advice() {
        Some(advice) => diagnostic.advising(advice),
        None => diagnostic,
    })
}

/// Anything else that keeps the component from running.
pub(super) fn refused(error: impl std::error::Error) -> Failure {
    Failure::unusable(Diagnostic::error(error.to_string()))
}

/// What reports call a component that has no manifest to name it.
pub(super) fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
