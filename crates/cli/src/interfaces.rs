//! The imports and exports of a component's code, for findings.

use outport_check::Interfaces;
use outport_runtime::component::Component;

/// The interfaces of a component, in full.
pub(crate) fn of(component: &Component) -> Interfaces {
    Interfaces {
        trapped: component.trapped_imports().collect(),
        refused: component.refused_sockets().collect(),
        imports: component.given_imports().collect(),
        exports: component.exports().collect(),
    }
}
