//! The sinks that are told of decisions and of what became of them.

use super::event::{AuditEvent, Verdict};
use super::outcome::AuditOutcome;
use crate::meter::Meter;

/// The outcomes that a sink is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcomes {
    /// None.
    None,
    /// [`Stage::Failed`](super::Stage::Failed) alone.
    Failures,
    /// All of them. Permitted connections and requests are followed to their ends then.
    All,
}

/// Somebody who is told of decisions.
pub trait AuditSink: Send + Sync + 'static {
    /// True if events with this verdict are to be made for this sink. Asked for every decision.
    fn wants(&self, verdict: Verdict) -> bool {
        let _ = verdict;
        true
    }

    /// Takes one event. Called on the thread of the guest: must neither block nor panic.
    fn record(&self, event: &AuditEvent);

    /// The outcomes that this sink is told of. Asked once. Default: none.
    fn outcomes(&self) -> Outcomes {
        Outcomes::None
    }

    /// Takes one outcome. Like [`record`](AuditSink::record).
    fn record_outcome(&self, outcome: &AuditOutcome) {
        let _ = outcome;
    }

    /// True if what it takes now will be recorded; for
    /// [`EgressBuilder::required_sink`](crate::EgressBuilder::required_sink). Asked for every decision that is told.
    fn is_available(&self) -> bool {
        true
    }

    /// Counts by `meter` what it writes from now on, where it writes lines. Asked once.
    fn count_by(&self, meter: &Meter) {
        let _ = meter;
    }

    /// Opens what it writes to again, where that is a file.
    fn reopen(&self) {}

    /// Writes out what is still under way, within about a second.
    fn flush(&self) {}
}
