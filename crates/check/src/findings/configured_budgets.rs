//! Budgets of the runtime config file (BUD-1 to BUD-3) that no run can keep, that are nobody's, or that change nothing.

use outport_manifest::{ComponentLimits, Located, RuntimeConfig, nearest};
use outport_policy::{Location, Quotas, SentBound};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::subject::Subject;

/// Those of a runtime config file, held against the components that there are, and against what all of them have.
pub(super) fn findings(config: &RuntimeConfig, quotas: &Quotas, subjects: &[Subject<'_>]) -> Vec<Diagnostic> {
    let of_components = config.components.iter().map(|limits| &limits.bytes);
    let bounds = [&config.networking.bytes]
        .into_iter()
        .chain(of_components)
        .filter_map(|bytes| bytes.max_sent.as_ref());
    let small = bounds.filter_map(|bound| small_bound(bound.value, || config.source.location(&bound.span)));
    let known = || subjects.iter().map(|subject| subject.id);
    let is_known = |limits: &&ComponentLimits| known().any(|id| id == limits.component.value.as_str());
    let unknown = config.components.iter().filter(|limits| !is_known(limits));
    let unknown = unknown.take(MOST_UNKNOWN).map(|limits| {
        let id = &limits.component.value;
        let message =
            format!("`[component.{id}]` is for a component that there is not, so it bounds nothing");
        let location = config.source.location(&limits.component.span);
        let finding = Diagnostic::new(Code::Budget, location, message);
        match nearest(id.as_str(), known().take(MOST_COMPARED)) {
            Some(meant) => finding.helped_by(format!("did you mean `{meant}`?")),
            None => finding.helped_by("write the id that the component has in `spin.toml`"),
        }
    });
    let void = config
        .components
        .iter()
        .filter(is_known)
        .flat_map(|limits| wider(limits, config, quotas));
    small.chain(unknown).chain(void).collect()
}

/// What is written of one component, and is more than every component has: the narrower holds.
fn wider(limits: &ComponentLimits, config: &RuntimeConfig, quotas: &Quotas) -> Vec<Diagnostic> {
    let every = quotas.bytes.of_every();
    let place = |key, at: &std::ops::Range<usize>| (key, config.source.location(at));
    let number = |key, own: &Option<Located<u32>>, all: u32| {
        let own = own.as_ref().filter(|own| own.value > all)?;
        Some(place(key, &own.span))
    };
    let rate = |key, own: &Option<Located<std::num::NonZeroU64>>, all: Option<std::num::NonZeroU64>| {
        let own = own
            .as_ref()
            .filter(|own| all.is_some_and(|all| own.value > all))?;
        Some(place(key, &own.span))
    };
    let sent = limits.bytes.max_sent.as_ref().filter(|own| {
        // In another time it is another bound.
        let is_wider = |all: SentBound| own.value.time == all.time && own.value.bytes > all.bytes;
        every.sent.is_some_and(is_wider)
    });
    let all = [
        number(
            "max_lookups_per_minute",
            &limits.max_lookups_per_minute,
            quotas.lookups_per_minute,
        ),
        number(
            "max_names_per_wildcard",
            &limits.max_names_per_wildcard,
            quotas.names_per_wildcard,
        ),
        rate("max_send_rate", &limits.bytes.max_send_rate, every.send_rate),
        rate(
            "max_receive_rate",
            &limits.bytes.max_receive_rate,
            every.receive_rate,
        ),
        sent.map(|own| place("max_sent", &own.span)),
    ];
    let found = all.into_iter().flatten().map(|(key, location)| {
        let id = &limits.component.value;
        let message =
            format!("`{key}` of `[component.{id}]` is more than every component has, so it changes nothing");
        Diagnostic::new(Code::Budget, location, message).helped_by(format!(
            "of both the narrower holds: give every component more (`--{}`), and each of the others its own",
            key.replace('_', "-")
        ))
    });
    found.collect()
}

/// A bound within which no TLS connection can be opened.
pub fn small_bound(bound: SentBound, location: impl FnOnce() -> Location) -> Option<Diagnostic> {
    (bound.bytes.get() < LEAST_HELLO).then(|| {
        let message = format!("{bound} is less than it takes to open a TLS connection, so none is ever used");
        Diagnostic::new(Code::Budget, location(), message).helped_by(
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
