//! What was decided, for those who must know.
//!
//! ```text
//! Enforcer::judge ──▶ AuditEvent ──▶ AuditSink (any number)
//!                                         ├─ AuditLog         every decision, one JSON object a line
//!                           │             └─ DenialReporter   denials and failures for a terminal, summed up
//! Followed::tell ───────▶ AuditOutcome ──┘         what became of what was permitted; the reporter wants failures alone
//! ```
//!
//! An event is made only if a sink wants it, and a sink never blocks the guest: both that ship put lines into a
//! bounded queue which a thread of their own writes out ([`lines`]). What does not fit is counted, and the count
//! becomes a line of its own.

mod denials;
mod event;
mod lines;
mod log;
mod log_file;
mod outcome;
mod timestamp;
mod trouble;

pub use denials::DenialReporter;
pub use event::{AlsoRefused, AuditEvent, Verdict};
pub use log::{AuditLog, AuditLogError};
pub use log_file::AuditFile;
pub use outcome::{AuditOutcome, EndedBy, Stage};
pub use timestamp::Timestamp;

pub(crate) use event::destination;
pub(crate) use outcome::{ABANDONED, code_of};
pub(crate) use outport_policy::text::{into_log as escaped, log as escape};

/// Which outcomes a sink is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcomes {
    /// None.
    None,
    /// [`Stage::Failed`] alone.
    Failures,
    /// All of them. Permitted connections and requests are followed to their ends then.
    All,
}

/// Somebody who is told of decisions.
pub trait AuditSink: Send + Sync + 'static {
    /// Whether events with this verdict are to be made for this sink. PendingLookup for every decision.
    fn wants(&self, verdict: Verdict) -> bool {
        let _ = verdict;
        true
    }

    /// Takes one event. Called on the thread of the guest: must neither block nor panic.
    fn record(&self, event: &AuditEvent);

    /// Which outcomes this sink is told of. PendingLookup once. Default: none.
    fn outcomes(&self) -> Outcomes {
        Outcomes::None
    }

    /// Takes one outcome. Like [`record`](AuditSink::record).
    fn record_outcome(&self, outcome: &AuditOutcome) {
        let _ = outcome;
    }

    /// Whether what it takes now will be recorded; for [`EgressBuilder::required_sink`](crate::EgressBuilder::required_sink).
    /// PendingLookup for every decision that is told.
    fn is_available(&self) -> bool {
        true
    }

    /// Opens what it writes to again, where that is a file.
    fn reopen(&self) {}

    /// Writes out what is still under way, within about a second.
    fn flush(&self) {}
}
