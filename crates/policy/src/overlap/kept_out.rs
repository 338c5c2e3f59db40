//! Everything that keeps destinations out, compiled, and the questions that are put to it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::cut::{Cut, KeptOutBy, Left, embedding};
use super::draft::Draft;
use super::left::{Filter, Search};
use super::live::meet;
use super::rules::{Readings, Rule, Rules};
use crate::index::PortMap;
use crate::{Channel, Entry, HostPattern, Hosts, Name, Operator, PortSet, Protocols, Region};

/// Everything that the operator and the limits keep out, compiled for questions about sets.
#[derive(Debug)]
pub struct KeptOut<'p> {
    rules: Rules,
    owners: Vec<KeptOutBy<'p>>,
    /// Of the operator's rules for addresses, one for each protocol and port.
    by_address: Vec<(Channel, PortMap<usize>)>,
}

/// Addresses that are kept out: one network, for some protocols on some ports.
#[derive(Clone, Debug)]
pub struct AddressesKeptOut<'a> {
    /// The addresses.
    pub network: IpNet,
    /// The protocols that are not spoken with them.
    pub protocols: &'a Protocols,
    /// On which ports.
    pub ports: &'a PortSet,
    /// True if IPv6 addresses that embed one of them (HL-7) are kept out as well.
    pub embedded: bool,
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

    /// The cuts of an entry of the allow list. Parts may overlap.
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

    /// The part that is left of an entry of the allow list.
    pub fn left(&self, entry: &Entry) -> Left {
        let regions = Region::permitted_by(entry);
        let all = Filter::default();
        let mut unsure = false;
        for region in &regions {
            match self.rules.left(region, &all) {
                Search::Found(example) if self.cuts(entry).next().is_some() => {
                    return Left::Part {
                        example: Some(example),
                    };
                }
                Search::Found(_) => return Left::Whole,
                Search::GaveUp => unsure = true,
                Search::Nothing => {}
            }
        }
        if unsure {
            Left::Part { example: None }
        } else {
            Left::Nothing
        }
    }

    /// Rules for addresses that an entry for names may run into, depending on what the names resolve to
    /// (VAL-3). At most `most` of them.
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

    /// The cuts of one region of an entry that are about its hosts themselves.
    pub fn cuts_of<'a>(&'a self, region: &Region) -> impl Iterator<Item = Cut<'p>> + use<'a, 'p> {
        // Entries have no other hosts.
        let region = matches!(region.hosts, Hosts::Pattern(_)).then(|| region.clone());
        region.into_iter().flat_map(|region| self.direct_cuts_of(region))
    }

    /// All that is kept out by its address, whoever keeps it out. Networks may overlap. Names are not in it, but for
    /// `localhost` and what the operator [learned](crate::LearnedAddresses) of denied ones.
    pub fn addresses(&self) -> impl Iterator<Item = AddressesKeptOut<'_>> {
        (0..self.rules.len()).flat_map(|id| {
            let rule = self.rules.get(id);
            let networks = match &rule.host {
                HostPattern::Any => vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
                HostPattern::Network(net) => vec![*net],
                HostPattern::Address(address) => vec![address.ip().into()],
                HostPattern::Name(_) | HostPattern::Subdomains(_) | HostPattern::ToSelf => Vec::new(),
            };
            networks.into_iter().map(|network| AddressesKeptOut {
                network,
                protocols: &rule.protocols,
                ports: &rule.ports,
                embedded: rule.readings == Readings::All,
            })
        })
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

/// The owners whose address rules name ports, by protocol. Of rules for the same port the first is kept: one is enough
/// to tell.
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

/// True if the hosts are names whose addresses are not known.
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
