//! A DNS server that says what the test tells it to.
//!
//! ```text
//! test ──answers("db.test", [reply, reply, …])──► script ─┐
//! resolver ──UDP or TCP query──► server ──next reply──────┘──► resolver
//!                                  └──► log ──queries()──► test
//! ```
//!
//! - A [`DnsServer`] listens on one port of 127.0.0.1, with UDP and TCP.
//! - Each name (or name and record type) has a sequence of [`Reply`]s. Every query takes the next one, and the
//!   last one repeats. A and AAAA advance on their own, so a resolver that asks for both sees one sequence.
//! - A name without a script does not exist: `NXDOMAIN`.
//! - Every query is logged before it is answered, as it was on the wire ([`Query`]), so that a test can prove
//!   that none came.
//!
//! The server does not follow aliases: a [`Reply`] carries the whole chain, or leaves the rest to the resolver.

mod reply;
mod server;

#[cfg(test)]
mod tests;

pub use hickory_proto::rr::RecordType;
pub use reply::Reply;
pub use server::{DnsServer, Query, Transport};
