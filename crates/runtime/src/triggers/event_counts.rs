//! The counts of a component's events: what became of them.

use ::metrics::Counter;
use outport_egress::meter::Meter;
use outport_manifest::EventKind;

use super::connector::Outcome;
use crate::metrics::EVENTS;

/// The counts of one component's events of one type.
pub(super) struct EventCounts {
    done: Counter,
    left: Counter,
    failed: Counter,
    not_begun: Counter,
}

impl EventCounts {
    pub(super) fn of(meter: &Meter, component: &str, kind: EventKind) -> Self {
        let counter = |outcome: &'static str| {
            let values = [component.to_owned().into(), kind.name().into(), outcome.into()];
            meter.counter(&EVENTS, values)
        };
        Self {
            done: counter("done"),
            left: counter("left"),
            failed: counter("failed"),
            not_begun: counter("not-begun"),
        }
    }

    pub(super) fn add(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Done => &self.done,
            Outcome::Leave => &self.left,
            Outcome::Failed => &self.failed,
            Outcome::NotBegun => &self.not_begun,
        };
        counter.increment(1);
    }
}
