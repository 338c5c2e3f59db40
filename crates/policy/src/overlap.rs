//! What of an entry is left, given everything that keeps destinations out (clauses VAL-2 and VAL-5).
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
mod draft;
mod gain;
mod left;
mod list_of_rules;
mod live;
mod networks;
mod pieces;
mod rules;

use crate::algebra::Embedding;
use crate::index::PortMap;
use crate::{
    BlockedNetwork, Channel, Destination, Entry, Host, HostPattern, Hosts, Name, Operator, PortSet,
    Protocols, Reason, Region,
};
use draft::Draft;
pub use gain::{Gain, gained};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub(crate) use left::{Filter, Wildcards};
pub(crate) use list_of_rules::ListOfRules;
use live::meet;
use rules::{Readings, Rule, Rules};
use std::net::IpAddr;

/// Everything that the operator and the limits keep out, compiled for questions about sets.
#[derive(Debug)]
pub struct KeptOut<'p> {
    rules: Rules,
    owners: Vec<KeptOutBy<'p>>,
    /// Of the operator's rules for addresses, one for each protocol and port.
    by_address: Vec<(Channel, PortMap<usize>)>,
}

/// Who keeps something out.
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

/// What is left of an entry.
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

impl<'p> KeptOut<'p> {
    /// Compiles what the operator keeps out.
    pub fn of(operator: &'p Operator) -> Self {
        let mut draft = Draft::of_deny_list(operator);
        let of_the_operator = draft.rules.len();
        draft.limits(operator);
        let rules = Rules::new(draft.rules);
        Self {
            by_address: ports_of_address_rules(&rules, of_the_operator),
            rules,
            owners: draft.owners,
        }
    }

    /// What is taken out of an entry of the allow list. Parts may overlap.
    pub fn cuts<'a>(&'a self, entry: &Entry) -> impl Iterator<Item = Cut<'p>> + use<'a, 'p> {
        let regions = Region::permitted_by(entry).into_iter();
        regions.flat_map(move |region| {
            let direct = self.direct_cuts_of(region.clone());
            direct.chain(self.embedding_cuts_of(region))
        })
    }

    /// Of these the ones that are about hosts themselves, and not about addresses inside addresses, which nearly every
    /// IPv6 network has.
    pub fn direct_cuts<'a>(&'a self, entry: &Entry) -> impl Iterator<Item = Cut<'p>> + use<'a, 'p> {
        let regions = Region::permitted_by(entry).into_iter();
        regions.flat_map(move |region| self.direct_cuts_of(region))
    }

    /// What is left of an entry of the allow list.
    pub fn left(&self, entry: &Entry) -> Left {
        let regions = Region::permitted_by(entry);
        let all = Filter::default();
        let mut unsure = false;
        for region in &regions {
            match self.rules.left(region, &all) {
                left::Search::Found(example) if self.cuts(entry).next().is_some() => {
                    return Left::Part {
                        example: Some(example),
                    };
                }
                left::Search::Found(_) => return Left::Whole,
                left::Search::GaveUp => unsure = true,
                left::Search::Nothing => {}
            }
        }
        match unsure {
            true => Left::Part { example: None },
            false => Left::Nothing,
        }
    }

    /// Rules for addresses that an entry for names may run into, depending on what the names resolve to
    /// (clause VAL-3). At most `most` of them.
    pub fn undecided(&self, entry: &Entry, most: usize) -> Vec<KeptOutBy<'p>> {
        let mut found: Vec<usize> = Vec::new();
        for region in Region::permitted_by(entry) {
            if !may_resolve(&region.hosts) {
                continue;
            }
            let spoken = self.by_address.iter();
            let spoken = spoken.filter(|(channel, _)| region.protocols.contains(channel.protocol()));
            for id in spoken.flat_map(|(_, map)| map.overlapping(&region.ports)) {
                let owner = self.rules.get(id).owner;
                if found.len() >= most {
                    break;
                }
                if !found.contains(&owner) {
                    found.push(owner);
                }
            }
        }
        found.into_iter().map(|owner| self.owners[owner]).collect()
    }

    fn direct_cuts_of<'a>(&'a self, region: Region) -> impl Iterator<Item = Cut<'p>> + use<'a, 'p> {
        let pattern = pattern_of(&region);
        let whole: Vec<&Rule> = self.rules.above(&pattern, &region.ports).collect();
        let whole = whole.into_iter().map({
            let pattern = pattern.clone();
            move |rule| (rule, Hosts::Pattern(pattern.clone()))
        });
        let parts = self.rules.inside(&pattern, &region.ports);
        let parts = parts.map(|rule| (rule, Hosts::Pattern(rule.host.clone())));
        let local = localhost_in(&pattern).into_iter().flat_map(|pattern| {
            let rules = self.rules.of_localhost().iter();
            rules.map(move |rule| (rule, Hosts::Pattern(pattern.clone())))
        });
        let found = whole.chain(parts).chain(local);
        found.filter_map(move |(rule, hosts)| self.cut(&region, rule, hosts))
    }

    fn embedding_cuts_of<'a>(&'a self, region: Region) -> impl Iterator<Item = Cut<'p>> + use<'a, 'p> {
        let within = within(&pattern_of(&region)).into_iter();
        let found = within.flat_map({
            let ports = region.ports.clone();
            move |within| {
                self.embedded_in(within, &ports)
                    .map(move |(rule, network)| (rule, Hosts::Embedding { within, network }))
            }
        });
        found.filter_map(move |(rule, hosts)| self.cut(&region, rule, hosts))
    }

    fn cut(&self, region: &Region, rule: &Rule, hosts: Hosts) -> Option<Cut<'p>> {
        if !meet(&region.ports, &rule.ports) {
            return None;
        }
        let protocols = region.protocols.intersection(&rule.protocols);
        (!protocols.is_empty()).then(|| Cut {
            region: Region {
                protocols,
                hosts,
                ports: region.ports.intersection(&rule.ports),
            },
            by: self.owners[rule.owner],
        })
    }

    /// The rules for IPv4 addresses that addresses of the network embed.
    fn embedded_in<'a>(
        &'a self,
        within: Ipv6Net,
        ports: &PortSet,
    ) -> impl Iterator<Item = (&'a Rule, Ipv4Net)> + use<'a, 'p> {
        let all = Ipv4Net::default();
        let rules = self.rules.inside(&HostPattern::Network(IpNet::V4(all)), ports);
        let of_all: Vec<&Rule> = self.rules.above_embedded(all, ports).collect();
        rules.chain(of_all).filter_map(move |rule| {
            let network = v4_of(&rule.host)?;
            (rule.readings == Readings::All && embeds(within, network)).then_some((rule, network))
        })
    }
}

impl Cut<'_> {
    /// A destination that is taken out.
    pub fn example(&self) -> Option<Destination> {
        let channel = self.region.protocols.channels(&[], &crate::Scheme::HTTP).next()?;
        let host = match &self.region.hosts {
            Hosts::Pattern(pattern) => left::host_of(pattern)?,
            Hosts::Embedding { within, network } => Host::Address(embedding(*within, *network)?),
        };
        let port = self.region.ports.ranges().first()?.first();
        Some(Destination { channel, host, port })
    }
}

/// Whose address rules name which ports, by protocol. Of rules for the same port the first is kept: one is enough to
/// tell.
fn ports_of_address_rules(rules: &Rules, count: usize) -> Vec<(Channel, PortMap<usize>)> {
    let all = Protocols::all();
    let maps = rules.channels(&all).map(|channel| {
        let speaking = (0..count).filter(|id| {
            let rule = rules.get(*id);
            matches!(rule.host, HostPattern::Address(_) | HostPattern::Network(_))
                && rule.protocols.contains(channel.protocol())
        });
        let ranges =
            speaking.flat_map(|id| rules.get(id).ports.ranges().iter().map(move |range| (*range, id)));
        let map = PortMap::compile(ranges.collect());
        (channel, map)
    });
    maps.collect()
}

/// The hosts of a region of an entry.
fn pattern_of(region: &Region) -> HostPattern {
    match &region.hosts {
        Hosts::Pattern(pattern) => pattern.clone(),
        Hosts::Embedding { .. } => unreachable!("INVARIANT: entries have patterns"),
    }
}

/// Whether the hosts are names whose addresses are not known.
fn may_resolve(hosts: &Hosts) -> bool {
    match hosts {
        Hosts::Pattern(HostPattern::Any) => true,
        Hosts::Pattern(HostPattern::Name(name) | HostPattern::Subdomains(name)) => {
            !name.is_localhost() && !name.is_service_chaining()
        }
        _ => false,
    }
}

/// The patterns of `localhost` inside a wider one.
fn localhost_in(pattern: &HostPattern) -> Vec<HostPattern> {
    match pattern {
        HostPattern::Any => {
            let name = Name::parse("localhost").expect("INVARIANT: it is a name");
            vec![HostPattern::Name(name.clone()), HostPattern::Subdomains(name)]
        }
        _ => Vec::new(),
    }
}

/// The IPv6 network among the hosts of a pattern.
fn within(pattern: &HostPattern) -> Option<Ipv6Net> {
    match pattern {
        HostPattern::Any => Some(Ipv6Net::default()),
        HostPattern::Network(IpNet::V6(net)) => Some(*net),
        _ => None,
    }
}

fn v4_of(host: &HostPattern) -> Option<Ipv4Net> {
    match host {
        HostPattern::Network(IpNet::V4(net)) => Some(*net),
        HostPattern::Address(address) => match address.ip() {
            IpAddr::V4(ip) => Some(ip.into()),
            IpAddr::V6(_) => None,
        },
        _ => None,
    }
}

fn embeds(within: Ipv6Net, network: Ipv4Net) -> bool {
    embedding(within, network).is_some()
}

/// An address of `within` that embeds one of `network`.
fn embedding(within: Ipv6Net, network: Ipv4Net) -> Option<crate::Address> {
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

#[cfg(test)]
mod tests;
