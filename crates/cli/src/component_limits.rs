//! `[component.ID]` of the runtime config file, held against the components that there are.

use outport_check::{Code, Diagnostic};
use outport_manifest::{Component, ComponentLimits, RuntimeConfig, nearest};
use outport_policy::text;

/// A warning for each component that the app has not: what is written of it narrows nothing.
pub(crate) fn of_unknown_components(
    config: Option<&RuntimeConfig>,
    components: &[Component],
) -> Vec<Diagnostic> {
    let known = || components.iter().map(|component| component.id.value.as_str());
    let written = config.into_iter().flat_map(|config| {
        let located = move |limits: &ComponentLimits| {
            let location = config.source.location(&limits.component.span);
            (limits.component.value.clone(), location)
        };
        // Of a budget of bytes `check` tells it, by a code of its own.
        let of_names = config
            .components
            .iter()
            .filter(|limits| limits.bytes.budget().is_none());
        of_names.map(located)
    });
    let unknown = written.filter(|(id, _)| !known().any(|own| own == id.as_str()));
    let warnings = unknown.take(MOST_UNKNOWN).map(|(id, location)| {
        let shown = text::excerpt(id.as_str());
        let message = format!("`[component.{shown}]` is for a component that the app does not have");
        let warning = Diagnostic::warning(message).coded(Code::Input).at(location);
        match nearest(id.as_str(), known().take(MOST_COMPARED)) {
            Some(meant) => warning.helped_by(format!("did you mean `{meant}`?")),
            None => warning,
        }
    });
    warnings.collect()
}

/// Warnings that are told.
const MOST_UNKNOWN: usize = 20;

/// Components that an unknown name is compared with.
const MOST_COMPARED: usize = 500;
