//! The part of an entry that is left, given everything that keeps destinations out (VAL-2, VAL-5).
//!
//! ```text
//! Operator ──► KeptOut ◄── Entry
//!   deny list     │ cuts   what is taken out of the entry, by whom, one region each
//!   networks      │ left   all of it, a part (with a destination in it), or nothing
//!   limits        │ undecided   what only an answer of the DNS can tell
//! ```
//!
//! This is [`Policy::decide`](crate::Policy::decide) turned around: instead of asking for one destination, it
//! says for which destinations the answer is no. It holds the same three refusing layers, hard limits, deny list
//! and runtime limits, as rules over sets; a property test compares the two.
//!
//! | destination | is left if |
//! | --- | --- |
//! | socket or URL to an address | it may be reached |
//! | URL to a name | it may be requested; what the name's addresses are is not asked |
//! | socket to a name | the name may be looked up, and an address that nobody denies may then be reached |
//! | `localhost` and names under it | the same with 127.0.0.1 or `::1`, which are known |
//!
//! Entries of the same host, or wide ones, can have many cuts, so [`cuts`](KeptOut::cuts) is an iterator, and who
//! needs three takes three. Everything else costs about the same for ten rules and for a hundred thousand.

mod by_port;
mod cut;
mod draft;
mod gain;
mod kept_out;
mod left;
mod list_of_rules;
mod live;
mod networks;
mod pieces;
mod rules;

pub use cut::{Cut, KeptOutBy, Left};
pub use gain::{Gain, gained};
pub use kept_out::{AddressesKeptOut, KeptOut};
pub(crate) use left::{Filter, Wildcards};
pub(crate) use list_of_rules::ListOfRules;

#[cfg(test)]
mod tests;
