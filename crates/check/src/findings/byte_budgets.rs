//! Budgets of bytes (BUD-3) that no run can keep, or that are nobody's.

use outport_manifest::{RuntimeConfig, nearest};
use outport_policy::{Location, SentBound};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::subject::Subject;

/// Those of a runtime config file, held against the components that there are.
pub(super) fn findings(config: &RuntimeConfig, subjects: &[Subject<'_>]) -> Vec<Diagnostic> {
    let of_components = config.components.iter().map(|limits| &limits.bytes);
    let bounds = [&config.networking.bytes]
        .into_iter()
        .chain(of_components)
        .filter_map(|bytes| bytes.max_sent.as_ref());
    let small = bounds.filter_map(|bound| small_bound(bound.value, || config.source.location(&bound.span)));
    let known = || subjects.iter().map(|subject| subject.id);
    let unknown = config
        .components
        .iter()
        // What is written of names alone is told where it is read.
        .filter(|limits| !limits.bytes.budget().is_none())
        .filter(|limits| !known().any(|id| id == limits.component.value.as_str()))
        .take(MOST_UNKNOWN);
    let unknown = unknown.map(|limits| {
        let id = &limits.component.value;
        let message =
            format!("`[component.{id}]` is for a component that there is not, so it bounds nothing");
        let location = config.source.location(&limits.component.span);
        let finding = Diagnostic::new(Code::ByteBudget, location, message);
        match nearest(id.as_str(), known().take(MOST_COMPARED)) {
            Some(meant) => finding.helped_by(format!("did you mean `{meant}`?")),
            None => finding.helped_by("write the id that the component has in `spin.toml`"),
        }
    });
    small.chain(unknown).collect()
}

/// A bound within which no TLS connection can be opened.
pub fn small_bound(bound: SentBound, location: impl FnOnce() -> Location) -> Option<Diagnostic> {
    (bound.bytes.get() < LEAST_HELLO).then(|| {
        let message = format!("{bound} is less than it takes to open a TLS connection, so none is ever used");
        Diagnostic::new(Code::ByteBudget, location(), message).helped_by(
            "write what the component needs, such as `100M/1h`; who may send nothing is allowed no hosts",
        )
    })
}

/// Bytes of a small ClientHello in its record, and of what the client answers with.
const LEAST_HELLO: u64 = 512;

/// Warnings of one kind that are told.
const MOST_UNKNOWN: usize = 20;

/// Components that an unknown name is compared with.
const MOST_COMPARED: usize = 500;
