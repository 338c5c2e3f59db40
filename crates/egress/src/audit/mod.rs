//! What was decided, for those who must know.
//!
//! ```text
//! InstanceGate::judge ──▶ AuditEvent ──▶ AuditSink (any number)
//!                                         ├─ AuditLog         every decision, one JSON object a line
//!                                         └─ DenialReporter   denials for a terminal, summed up
//! ```
//!
//! An event is made only if a sink wants it, and a sink never blocks the guest: both that ship put lines into a
//! bounded queue which a thread of their own writes out ([`lines`]). What does not fit is counted, and the count
//! becomes a line of its own.

mod denials;
mod escape;
mod event;
mod lines;
mod log;
mod timestamp;

pub use denials::DenialReporter;
pub use event::{AlsoRefused, AuditEvent, Verdict};
pub use log::{AuditLog, AuditLogError};
pub use timestamp::Timestamp;

pub(crate) use escape::escape;

/// Somebody who is told of decisions.
pub trait AuditSink: Send + Sync + 'static {
    /// Whether events with this verdict are to be made for this sink. Asked for every decision.
    fn wants(&self, verdict: Verdict) -> bool {
        let _ = verdict;
        true
    }

    /// Takes one event. Called on the thread of the guest: must neither block nor panic.
    fn record(&self, event: &AuditEvent);

    /// Writes out what is still under way, within about a second.
    fn flush(&self) {}
}
