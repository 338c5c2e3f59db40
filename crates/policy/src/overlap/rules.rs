//! Rules by the hosts that they cover, so that the ones which touch an entry are found without asking the others.
//!
//! Host patterns nest or are apart, so a rule meets a pattern in one of two ways: it covers the pattern, or it
//! lies inside it. Names are sorted by their labels from the end, networks as in [`Networks`], and what lies
//! inside a pattern stands in one [piece](Pieces) in both.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net};

use super::by_port::ByPort;
use super::networks::{Networks, Prefix};
use super::pieces::Pieces;
use crate::{Address, Channel, HostPattern, Name, PortSet, Protocols, Scheme};

/// One rule: what it covers, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) protocols: Protocols,
    pub(super) host: HostPattern,
    pub(super) ports: PortSet,
    pub(super) readings: Readings,
    /// The number of whoever wrote it.
    pub(super) owner: usize,
}

/// The way in which a rule for an address looks at addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// The address itself.
    Itself,
    /// The address, whatever embeds it, and `localhost` if it is one of its two.
    All,
}

/// Rules of `'a` that were found for a pattern of `'n`.
type RulesFound<'a, 'n> = Box<dyn Iterator<Item = &'a Rule> + 'n>;

/// Rules, found by host.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    any: ByPort,
    names: HashMap<Name, ByPort>,
    apexes: HashMap<Name, ByPort>,
    /// Rules for names and for what is below names, by the labels of the name from the end.
    below: Vec<(Box<str>, usize)>,
    below_in_order: Pieces,
    /// Rules that are not for `*`.
    not_any: Pieces,
    pub(super) v4: Networks,
    pub(super) v6: Networks,
    /// The rules that both addresses of `localhost` have in common.
    localhost: Vec<Rule>,
    to_self: Name,
    schemes: Vec<Scheme>,
    other_scheme: Scheme,
}

impl Rules {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let mut this = Self {
            any: ByPort::default(),
            names: HashMap::new(),
            apexes: HashMap::new(),
            below: Vec::new(),
            below_in_order: Pieces::default(),
            not_any: Pieces::default(),
            v4: Networks::default(),
            v6: Networks::default(),
            localhost: Vec::new(),
            to_self: Name::parse("self").expect("INVARIANT: `self` is a label"),
            schemes: schemes_of(&rules),
            other_scheme: Scheme::HTTP,
            rules,
        };
        this.other_scheme = another_scheme(&this.schemes);
        for id in 0..this.rules.len() {
            this.file(id);
        }
        this.below.sort_unstable();
        this.below_in_order = Pieces::new(this.below.iter().map(|(_, id)| *id).collect());
        let ids = 0..this.rules.len();
        this.not_any = Pieces::new(
            ids.filter(|id| this.rules[*id].host != HostPattern::Any)
                .collect(),
        );
        let by_name = this.names.values_mut().chain(this.apexes.values_mut());
        by_name.chain([&mut this.any]).for_each(ByPort::sort);
        this.v4.sort();
        this.v6.sort();
        this.localhost = this.rules_of_localhost();
        this
    }

    pub(super) fn get(&self, id: usize) -> &Rule {
        &self.rules[id]
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules that cover every host of the pattern, and are near the ports.
    pub(super) fn above<'a: 'n, 'n>(
        &'a self,
        pattern: &'n HostPattern,
        ports: &'n PortSet,
    ) -> impl Iterator<Item = &'a Rule> + use<'a, 'n> {
        self.for_any(ports).chain(self.above_but_any(pattern, ports))
    }

    /// The rules for `*` that are near the ports.
    pub(super) fn for_any<'a>(&'a self, ports: &PortSet) -> impl Iterator<Item = &'a Rule> + use<'a> {
        self.any.near(ports).map(|id| &self.rules[id])
    }

    /// The rules that cover every host of the pattern, are near the ports, and are not for `*`.
    pub(super) fn above_but_any<'a: 'n, 'n>(
        &'a self,
        pattern: &'n HostPattern,
        ports: &'n PortSet,
    ) -> RulesFound<'a, 'n> {
        let ids: Box<dyn Iterator<Item = usize> + 'n> = match pattern {
            HostPattern::Any => Box::new(std::iter::empty()),
            HostPattern::ToSelf => return self.above_name(&self.to_self, ports),
            HostPattern::Name(name) => return self.above_name(name, ports),
            HostPattern::Subdomains(apex) => {
                let own = self
                    .apexes
                    .get(apex)
                    .into_iter()
                    .flat_map(|rules| rules.near(ports));
                let local = self.localhost.iter().filter(|_| apex.is_localhost());
                let ids = own.chain(self.above_parents(apex, ports));
                return Box::new(ids.map(|id| &self.rules[id]).chain(local));
            }
            HostPattern::Address(address) => return self.above_address(*address, ports),
            HostPattern::Network(net) => Box::new(self.networks(net).above(Prefix::of(*net), ports)),
        };
        Box::new(ids.map(|id| &self.rules[id]))
    }

    fn above_name<'a: 'n, 'n>(&'a self, name: &'n Name, ports: &'n PortSet) -> RulesFound<'a, 'n> {
        let own = self
            .names
            .get(name)
            .into_iter()
            .flat_map(|rules| rules.near(ports));
        let ids = own.chain(self.above_parents(name, ports));
        let local = self.localhost.iter().filter(|_| name.is_localhost());
        Box::new(ids.map(|id| &self.rules[id]).chain(local))
    }

    fn above_parents<'a: 'n, 'n>(
        &'a self,
        name: &'n Name,
        ports: &'n PortSet,
    ) -> impl Iterator<Item = usize> + use<'a, 'n> {
        let parents = name.parents().filter_map(|parent| self.apexes.get(parent));
        parents.flat_map(|rules| rules.near(ports))
    }

    fn above_address<'a: 'n, 'n>(&'a self, address: Address, ports: &'n PortSet) -> RulesFound<'a, 'n> {
        let net = IpNet::from(address.ip());
        let ids = self.networks(&net).above(Prefix::of(net), ports);
        let embedded = address
            .embedded()
            .flat_map(|ip| self.above_embedded(ip.into(), ports));
        Box::new(ids.map(|id| &self.rules[id]).chain(embedded))
    }

    /// The rules that cover whatever embeds any IPv4 address of the network, and are near the ports.
    pub(super) fn above_embedded<'a, 'p>(
        &'a self,
        net: Ipv4Net,
        ports: &'p PortSet,
    ) -> impl Iterator<Item = &'a Rule> + use<'a, 'p> {
        self.v4
            .above(Prefix::v4(net), ports)
            .map(|id| &self.rules[id])
            .filter(|rule| rule.readings == Readings::All)
    }

    /// The rules that cover some hosts of the pattern, and not all, and are near the ports.
    pub(super) fn inside<'a>(
        &'a self,
        pattern: &HostPattern,
        ports: &PortSet,
    ) -> impl Iterator<Item = &'a Rule> + use<'a> {
        let piece = match pattern {
            HostPattern::Any => Some((&self.not_any, 0..self.not_any.len())),
            HostPattern::Subdomains(apex) => Some((&self.below_in_order, self.below(apex))),
            HostPattern::Network(net) => Some(self.networks(net).inside(Prefix::of(*net))),
            HostPattern::ToSelf | HostPattern::Name(_) | HostPattern::Address(_) => None,
        };
        let found = piece.map(|(pieces, piece)| pieces.near(piece, &self.rules, ports));
        found.into_iter().flatten().map(|id| &self.rules[id])
    }

    /// The rules that the addresses of `localhost` have in common, as rules for the name.
    pub(super) fn of_localhost(&self) -> &[Rule] {
        &self.localhost
    }

    /// The protocols to tell apart in a set of them.
    pub(super) fn channels<'a>(&'a self, protocols: &'a Protocols) -> impl Iterator<Item = Channel> + 'a {
        protocols.channels(&self.schemes, &self.other_scheme)
    }

    fn networks(&self, net: &IpNet) -> &Networks {
        match net {
            IpNet::V4(_) => &self.v4,
            IpNet::V6(_) => &self.v6,
        }
    }

    /// The range of the names below the apex.
    fn below(&self, apex: &Name) -> Range<usize> {
        let key = from_the_end(apex);
        let start = self.below.partition_point(|(own, _)| **own <= *key);
        let inside = self.below[start..].partition_point(|(own, _)| own.starts_with(&*key));
        start..start + inside
    }

    fn file(&mut self, id: usize) {
        let Rule { host, ports, .. } = &self.rules[id];
        match host {
            HostPattern::Any => self.any.insert(ports, id),
            // On a list it covers the app itself, which nobody else names.
            HostPattern::ToSelf => self
                .names
                .entry(self.to_self.clone())
                .or_default()
                .insert(ports, id),
            HostPattern::Name(name) => {
                self.below.push((from_the_end(name), id));
                self.names.entry(name.clone()).or_default().insert(ports, id);
            }
            HostPattern::Subdomains(apex) => {
                self.below.push((from_the_end(apex), id));
                self.apexes.entry(apex.clone()).or_default().insert(ports, id);
            }
            HostPattern::Address(address) => match address.ip() {
                IpAddr::V4(ip) => self.v4.insert(Prefix::v4(ip.into()), ports, id),
                IpAddr::V6(ip) => self.v6.insert(Prefix::v6(ip.into()), ports, id),
            },
            HostPattern::Network(IpNet::V4(net)) => self.v4.insert(Prefix::v4(*net), ports, id),
            HostPattern::Network(IpNet::V6(net)) => self.v6.insert(Prefix::v6(*net), ports, id),
        }
    }

    /// The name `localhost` has two addresses, and one that is left is enough.
    fn rules_of_localhost(&self) -> Vec<Rule> {
        let all = PortSet::all();
        let of = |ip: IpAddr| {
            let net = IpNet::from(ip);
            let ids = self.networks(&net).above(Prefix::of(net), &all);
            ids.map(|id| &self.rules[id])
                .filter(|rule| rule.readings == Readings::All)
                .collect::<Vec<_>>()
        };
        let (v4, v6) = (of(Ipv4Addr::LOCALHOST.into()), of(Ipv6Addr::LOCALHOST.into()));
        let pairs = v4.iter().flat_map(|four| v6.iter().map(move |six| (four, six)));
        pairs
            .map(|(four, six)| Rule {
                protocols: four.protocols.intersection(&six.protocols),
                ports: four.ports.intersection(&six.ports),
                ..(*four).clone()
            })
            .filter(|rule| !rule.protocols.is_empty() && !rule.ports.is_empty())
            .collect()
    }
}

/// `a.example.com` as `com.example.a.`, so that what is below a name starts with it.
fn from_the_end(name: &Name) -> Box<str> {
    let mut key = String::with_capacity(name.as_str().len() + 1);
    for label in name.as_str().rsplit('.') {
        key.push_str(label);
        key.push('.');
    }
    key.into()
}

/// HTTP's two, and every scheme that a rule names.
fn schemes_of(rules: &[Rule]) -> Vec<Scheme> {
    let named = rules
        .iter()
        .flat_map(|rule| rule.protocols.named_schemes().cloned());
    let mut schemes: Vec<Scheme> = [Scheme::HTTP, Scheme::HTTPS].into_iter().chain(named).collect();
    schemes.sort_unstable();
    schemes.dedup();
    schemes
}

/// A scheme that stands for all those which nobody names.
fn another_scheme(schemes: &[Scheme]) -> Scheme {
    let letters = (1..).map(|n| "other".repeat(n));
    letters
        .filter_map(|text| Scheme::parse(&text))
        .find(|scheme| !schemes.contains(scheme))
        .expect("INVARIANT: there are more words than schemes")
}
