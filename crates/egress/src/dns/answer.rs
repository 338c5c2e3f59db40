//! The answer of a resolver, and the trait that gives it.

use std::time::Duration;

use futures::future::BoxFuture;
use outport_policy::{Address, AnswerSource, Name};

/// The addresses of a name, and how the resolver came to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Every name behind the one asked for, in the order in which they were met: the targets of CNAME records.
    /// Empty when the name itself has the addresses.
    pub chain: Vec<Name>,
    /// The addresses, IPv4 first, without duplicates. Never empty.
    pub addresses: Vec<Address>,
    /// The source of the answer.
    pub source: AnswerSource,
    /// For how long the answer may be kept; zero means not at all.
    pub ttl: Duration,
    /// The mark of an answer that may lack addresses.
    pub extent: Extent,
}

/// The extent to which an answer has what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All addresses that the name has.
    Whole,
    /// The addresses of one family; the servers failed for the other.
    OneFamily,
}

/// The reason why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The servers say that the name does not exist (NXDOMAIN).
    #[error("the name does not exist")]
    NoSuchName,
    /// The name exists, but has neither an IPv4 nor an IPv6 address.
    #[error("the name has no address")]
    NoAddress,
    /// No server answered in time.
    #[error("no DNS server answered in time")]
    TimedOut,
    /// The servers were reached and could not answer, or could not be reached. Asking again may help.
    #[error("the DNS servers failed: {detail}")]
    Failed {
        /// The resolver's report.
        detail: String,
    },
    /// The servers refuse to answer such queries. Asking again does not help.
    #[error("the DNS servers refused the query: {detail}")]
    Refused {
        /// The resolver's report.
        detail: String,
    },
}

/// A source of addresses. [`Resolver`](crate::Resolver) is the one that ships; tests and embedders bring their own.
///
/// An implementation need not bound its own time: whoever asks does.
pub trait Resolve: Send + Sync + 'static {
    /// The absolute names to try for `name`, in order. More than one only where the system's search domains
    /// apply, that is for names without a dot. Each is judged before it is resolved.
    fn expand(&self, name: &Name) -> Vec<Name> {
        vec![name.clone()]
    }

    /// The addresses of `name`, taken as an absolute name, where they are known without asking a server: from a cache, say.
    /// What is answered here costs no look-up of those that a component may have in a minute (BUD-1). Default: nothing is
    /// known.
    fn known(&self, _name: &Name) -> Option<Answer> {
        None
    }

    /// The addresses of `name`, taken as an absolute name, of which [`known`](Self::known) said nothing. Dropping the future gives the query up.
    fn resolve(&self, name: &Name) -> BoxFuture<'static, Result<Answer, ResolveError>>;
}
