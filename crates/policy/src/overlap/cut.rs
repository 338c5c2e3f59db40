//! The cuts of an entry, who makes them, and what they leave.

use ipnet::{Ipv4Net, Ipv6Net};

use super::left::host_of;
use crate::algebra::Embedding;
use crate::{Address, BlockedNetwork, Destination, Entry, Host, Hosts, Reason, Region};

/// The party that keeps something out.
#[derive(Clone, Copy, Debug)]
pub enum KeptOutBy<'p> {
    /// An entry of the operator's deny list.
    Entry(&'p Entry),
    /// A blocked network of the operator's.
    Blocked(&'p BlockedNetwork),
    /// A limit: the reason that attempts are refused for.
    Limit(Reason),
}

/// One part that is taken out of an entry.
#[derive(Clone, Debug)]
pub struct Cut<'p> {
    /// The part.
    pub region: Region,
    /// By whom.
    pub by: KeptOutBy<'p>,
}

/// The part that is left of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// All of it.
    Whole,
    /// A part.
    Part {
        /// A destination in that part. `None` only for IPv6 networks that lie in a form of embedding with more
        /// than one IPv4 address, where the search gives up before it has tried everything.
        example: Option<Destination>,
    },
    /// Nothing.
    Nothing,
}

impl Cut<'_> {
    /// A destination that is taken out.
    pub fn example(&self) -> Option<Destination> {
        let channel = self.region.protocols.channels(&[], &crate::Scheme::HTTP).next()?;
        let host = match &self.region.hosts {
            Hosts::Pattern(pattern) => host_of(pattern)?,
            Hosts::Embedding { within, network } => Host::Address(embedding(*within, *network)?),
        };
        let port = self.region.ports.ranges().first()?.first();
        Some(Destination { channel, host, port })
    }
}

/// An address of `within` that embeds one of `network`.
pub(super) fn embedding(within: Ipv6Net, network: Ipv4Net) -> Option<Address> {
    Embedding::ALL.iter().find_map(|form| {
        let reach = form.reach(within)?;
        let common = match (reach.contains(&network), network.contains(&reach)) {
            (true, _) => network,
            (false, true) => reach,
            (false, false) => return None,
        };
        let candidates = [common.network(), common.broadcast()]
            .into_iter()
            .chain(common.hosts().take(2));
        candidates.flat_map(|ip| form.construct(within, ip)).next()
    })
}
