//! Names to addresses, for every way out of a guest.
//!
//! ```text
//! lookup / outgoing HTTP / Refresher
//!        │  Resolve::expand(name) → candidates (search domains, only for names without a dot)
//!        │  Resolve::resolve(candidate) → Answer { chain, addresses, source, ttl, extent } or ResolveError
//!        ▼
//! Resolver:  hosts file ── found ─▶ answer
//!            cache ────── found ─▶ answer (what is left of its TTL)
//!            thread `outport-dns`: A and AAAA at once ─▶ servers in their order, UDP, TCP when truncated
//! ```
//!
//! Nothing here decides. Who may look a name up, and which addresses of an answer may be granted, is judged by
//! the policy in [`lookup`](crate::lookup). This module only says what the answer is, with every name that it
//! came through, so that the judge sees all of them.

mod answer;
mod cache;
mod chain;
mod hosts;
mod query;
mod refresher;
mod resolv_conf;
mod resolver;
mod server;
mod servers;

pub use answer::{Answer, Extent, Resolve, ResolveError};
pub use refresher::Refresher;
pub use resolver::{Resolver, ResolverError, ResolverParts};
pub use server::{DnsServerError, parse_dns_server};
