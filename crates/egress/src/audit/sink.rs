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
///
/// All but [`reopen`](Self::reopen), [`flush`](Self::flush) and what is asked once is called on the thread of the guest, and
/// [`wants`](Self::wants), [`is_available`](Self::is_available) and [`record`](Self::record) in the midst of the decision
/// that is told. So none of them may block. Of the gate they may call:
///
/// - [`Egress::replace_operator`](crate::Egress::replace_operator): the policy is in force when it returns, for the next
///   decision; open connections that it forbids are closed as soon as the present one is over, before the guest runs on.
/// - What asks, counts or opens: [`Egress::operator`](crate::Egress::operator), [`Egress::metrics`](crate::Egress::metrics),
///   [`Gate::open`](crate::Gate::open).
///
/// What they attempt themselves, by a [`Dialer`](crate::Dialer) or in a guest, is refused (`error.internal`): hand it to a task.
pub trait AuditSink: Send + Sync + 'static {
    /// True if events with this verdict are to be made for this sink. Asked for every decision.
    fn wants(&self, verdict: Verdict) -> bool {
        let _ = verdict;
        true
    }

    /// Takes one event. Must neither block nor panic. A panic goes on through the guest's call, and since nobody knows then
    /// what was recorded, that instance is refused everything from then on (ORD-4); other instances go on.
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
