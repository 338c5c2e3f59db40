//! The audit: records of decisions, for those who must know.
//!
//! ```text
//! Enforcer::authorize ─▶ AuditEvent ───┐
//!                                      ├─▶ AuditSink (any number)
//! Followed::record ────▶ AuditOutcome ─┘     ├─ AuditLog         every decision and outcome, one JSON object a line
//!                                            └─ DenialReporter   denials and failures for a terminal, summed up
//! ```
//!
//! An event is made only if a sink wants it, and a sink never blocks the guest: both that ship put lines into a
//! bounded queue which a thread of their own writes out ([`line_log`](crate::line_log)). What does not fit is counted, and the count
//! becomes a line of its own.

mod denials;
mod event;
mod log;
mod outcome;
mod sink;
mod timestamp;

pub(crate) use outport_policy::text::{into_log as escaped, log as escape};

pub use self::denials::DenialReporter;
pub(crate) use self::event::destination;
pub use self::event::{AlsoRefused, AuditEvent, Verdict};
pub use self::log::{AUDIT_LOG, AuditLog};
pub(crate) use self::outcome::{ABANDONED, code_of, is_dial};
pub use self::outcome::{AuditOutcome, EndedBy, Stage};
pub use self::sink::{AuditSink, Outcomes};
pub use self::timestamp::Timestamp;
