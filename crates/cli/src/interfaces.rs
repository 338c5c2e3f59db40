//! What the code of a component imports and exports, for findings.

use outport_check::Interfaces;
use outport_runtime::component::Component;
use outport_runtime::is_provided;

/// The interfaces of a component, in full.
pub(crate) fn of(component: &Component) -> Interfaces {
    let imports: Vec<String> = component.given_imports().collect();
    Interfaces {
        trapped: imports
            .iter()
            .filter(|import| !is_provided(import))
            .cloned()
            .collect(),
        imports,
        exports: component.exports().collect(),
    }
}
