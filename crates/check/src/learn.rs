//! The least allow list that a run needs: what was seen of it, the uses that come of that, and the entries that permit them.
//!
//! ```text
//! decisions and outcomes, as they were made ─► Collector: who looked up what, which addresses answered
//!        (a sink, or lines of a log)               │
//!                                                  ▼
//!                                   Seen: a Use for each thing that an entry has to permit, of each list;
//!                                         and what is not proposed, with the reason
//!                                                  │ least, fold
//!                                                  ▼
//! entries that are there ─────────────────►  Comparison: what stays, what is missing, wider or never used
//!                                                  │
//!                                                  ▼
//!                                        the list as it is to be written: edit_lists, beside the fixes of `check`
//! ```
//!
//! A *use* is what a program did that an entry has to permit: a socket to a host and port, a request to a URL's host, or a
//! look-up alone. A connection belongs to the name by whose look-up the instance had the address at that moment; where it had
//! several, to the one that was looked up last, and the others are told. What a layer other than the author's list refused
//! never is a use. What the author's list refused is one, so that a log of an ordinary run can be learnt from.
//!
//! A list is *sufficient* if the decider permits every use by it, and *least* if it does not without any one entry. Both are
//! held by tests that ask [`Policy::decide`](outport_policy::Policy::decide). An entry has the host and the ports of its uses
//! and nothing wider, unless [`Fold`] asks for that: wildcards and networks are never proposed on the machine's own account.
//!
//! Everything here is pure: nothing is read, nobody is asked, and time comes in as text. What a guest can make grow has a
//! bound ([`MOST_USES`], [`MOST_REFUSALS`]), beyond which things are counted and the result says that it is not complete.

mod collector;
mod comparison;
mod fold;
mod json;
mod least;
mod lookups;
mod permitted;
mod seen;
mod uses;

#[cfg(test)]
mod tests;

pub use collector::{Collector, Event, FailedLookup, Refused};
pub use comparison::{Comparison, Missing, Present};
pub use fold::{Fold, Folded};
pub use json::learn_json;
pub use least::{LeastEntry, least};
pub use permitted::permits;
pub use seen::{MOST_REFUSALS, MOST_USES, Refusal, Seen, Unanswered};
pub use uses::{Target, Times, Use};
