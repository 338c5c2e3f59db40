//! The compiled form of a list of entries: what makes a decision cost the same with ten entries and with a
//! hundred thousand.
//!
//! ```text
//! name    ── names ──────► Cell     one hash
//!         ── subdomains ─► Cell     one hash a label, nearest parent first
//! address ── v4 / v6 ────► Cell…    a walk down a prefix trie: every network that holds the address
//! both    ── any ────────► Cell     hosts written `*`
//! ```
//!
//! A [`Cell`] holds, for one host pattern, which entry names which port under which scheme. What a scheme means
//! for an attempt differs between the two lists, so a question names its [`Side`]:
//!
//! | attempt | the allow list looks at | the deny list looks at |
//! | --- | --- | --- |
//! | TCP socket | `*`, `tcp` | `*`, `tcp`, every URL scheme |
//! | UDP socket | `*`, `udp` | `*`, `udp` |
//! | URL of scheme s | `*`, s | `*`, `tcp`, s |
//!
//! These are [`EntryScheme::permits`] and [`EntryScheme::denies`], compiled; a property test holds them together.
//! The index decides nothing: it finds the entry, or none.

use crate::{
    Address, Entry, EntryScheme, HostPattern, Name, PortRange, PortSet, Protocol, Scheme, Transport,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::collections::HashMap;
use std::net::IpAddr;

/// Which list asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Allow,
    Deny,
}

/// The kind of host pattern that an entry was found under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Any,
    Name,
    Subdomain,
    Address,
    Network,
}

/// An entry that answers the question, and how it came to match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'p> {
    pub(crate) entry: &'p Entry,
    pub(crate) by: Match,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    any: Cell,
    names: HashMap<Name, Cell>,
    subdomains: HashMap<Name, Cell>,
    v4: PrefixMap<Ipv4Net, Cell>,
    v6: PrefixMap<Ipv6Net, Cell>,
    to_self: Cell,
    /// Every pattern that is a name other than `localhost`, together: "is there any name with this port?" without
    /// walking them all.
    named: Cell,
}

impl Index {
    /// Compiles `entries`. `expand` may name further patterns that an entry's host covers on this list.
    pub(crate) fn compile(entries: Vec<Entry>, expand: impl Fn(&HostPattern) -> Vec<HostPattern>) -> Self {
        let mut drafts = Drafts::default();
        for (id, entry) in entries.iter().enumerate() {
            for host in entry
                .hosts()
                .iter()
                .flat_map(|host| expand(host).into_iter().chain([host.clone()]))
            {
                drafts.add(id, entry, &host);
            }
        }
        drafts.finish(entries)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that answers for a literal address.
    pub(crate) fn find_address(
        &self,
        address: Address,
        side: Side,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<Found<'_>> {
        self.first(self.cells_of_address(address), |cell| {
            cell.find(side, protocol, port)
        })
    }

    /// The entry that answers for a name.
    pub(crate) fn find_name(
        &self,
        name: &Name,
        side: Side,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<Found<'_>> {
        self.first(self.cells_of_name(name), |cell| cell.find(side, protocol, port))
    }

    /// The entry that is written `self`, whatever its port.
    pub(crate) fn find_self(&self, protocol: Protocol<'_>) -> Option<&Entry> {
        self.to_self.first_for(protocol).map(|id| &self.entries[id])
    }

    /// An entry that covers the address as a literal or a network, on whatever port.
    pub(crate) fn lists_address(&self, address: Address, permits: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        let listed = self.cells_of_address(address).filter(|(_, by)| *by != Match::Any);
        listed
            .flat_map(|(cell, _)| cell.entries())
            .map(|id| &self.entries[id])
            .find(|entry| permits(entry))
    }

    /// An entry that covers the name and can permit a raw socket.
    pub(crate) fn socket_entry_of_name(&self, name: &Name) -> Option<&Entry> {
        self.first(self.cells_of_name(name), Cell::first_socket)
            .map(|found| found.entry)
    }

    /// Some entry that is a name or wildcard with this port for this transport; `localhost` and what is under it only
    /// where `loopback` suggests that it was meant.
    pub(crate) fn named(&self, transport: Transport, port: u16, loopback: bool) -> Option<&Entry> {
        let protocol = Protocol::Socket(transport);
        let localhost = [self.names.get("localhost"), self.subdomains.get("localhost")];
        let localhost = localhost.into_iter().flatten().filter(|_| loopback);
        let cells = localhost.chain([&self.named]);
        cells
            .flat_map(|cell| cell.find(Side::Allow, protocol, port))
            .map(|id| &self.entries[id])
            .next()
    }

    /// The ports that the list names for an address.
    pub(crate) fn coverage_of_address(
        &self,
        address: Address,
        side: Side,
        protocol: Protocol<'_>,
    ) -> PortSet {
        self.cells_of_address(address)
            .flat_map(|(cell, _)| cell.ranges(side, protocol))
            .collect()
    }

    /// The ports that the list names for a name.
    pub(crate) fn coverage_of_name(&self, name: &Name, side: Side, protocol: Protocol<'_>) -> PortSet {
        self.cells_of_name(name)
            .flat_map(|(cell, _)| cell.ranges(side, protocol))
            .collect()
    }

    /// Every entry whose hosts cover the address, whatever its schemes and ports.
    pub(crate) fn near_address(&self, address: Address) -> impl Iterator<Item = &Entry> {
        self.cells_of_address(address)
            .flat_map(|(cell, _)| cell.entries())
            .map(|id| &self.entries[id])
    }

    /// Every entry whose hosts cover the name, whatever its schemes and ports.
    pub(crate) fn near_name<'p, 'n>(
        &'p self,
        name: &'n Name,
    ) -> impl Iterator<Item = &'p Entry> + use<'p, 'n> {
        self.cells_of_name(name)
            .flat_map(|(cell, _)| cell.entries())
            .map(|id| &self.entries[id])
    }

    fn first<'p>(
        &'p self,
        mut cells: impl Iterator<Item = (&'p Cell, Match)>,
        find: impl Fn(&'p Cell) -> Option<EntryId>,
    ) -> Option<Found<'p>> {
        cells.find_map(|(cell, by)| {
            find(cell).map(|id| Found {
                entry: &self.entries[id],
                by,
            })
        })
    }

    fn cells_of_name<'p, 'n>(
        &'p self,
        name: &'n Name,
    ) -> impl Iterator<Item = (&'p Cell, Match)> + use<'p, 'n> {
        let exact = self.names.get(name.as_str()).map(|cell| (cell, Match::Name));
        let parents = if self.subdomains.is_empty() {
            None
        } else {
            Some(name.parents())
        };
        let below = parents
            .into_iter()
            .flatten()
            .filter_map(|parent| self.subdomains.get(parent));
        exact
            .into_iter()
            .chain(below.map(|cell| (cell, Match::Subdomain)))
            .chain([(&self.any, Match::Any)])
    }

    fn cells_of_address(&self, address: Address) -> impl Iterator<Item = (&Cell, Match)> + use<'_> {
        let (v4, v6) = match address.ip() {
            IpAddr::V4(ip) => (Some(self.v4.cover(&Ipv4Net::from(ip))), None),
            IpAddr::V6(ip) => (None, Some(self.v6.cover(&Ipv6Net::from(ip)))),
        };
        let kind = |whole: bool| if whole { Match::Address } else { Match::Network };
        let v4 = v4
            .into_iter()
            .flatten()
            .map(move |(net, cell)| (cell, kind(net.prefix_len() == 32)));
        let v6 = v6
            .into_iter()
            .flatten()
            .map(move |(net, cell)| (cell, kind(net.prefix_len() == 128)));
        v4.chain(v6).chain([(&self.any, Match::Any)])
    }
}

type EntryId = usize;

/// The ports of one host pattern by scheme, and whose entry each port is.
#[derive(Clone, Debug, Default)]
struct Cell {
    any: PortMap,
    tcp: PortMap,
    udp: PortMap,
    urls: Box<[(Scheme, PortMap)]>,
}

impl Cell {
    fn find(&self, side: Side, protocol: Protocol<'_>, port: u16) -> Option<EntryId> {
        self.maps(side, protocol).find_map(|map| map.find(port))
    }

    fn ranges<'a>(&'a self, side: Side, protocol: Protocol<'a>) -> impl Iterator<Item = PortRange> + use<'a> {
        self.maps(side, protocol)
            .flat_map(|map| map.0.iter().map(|(range, _)| *range))
    }

    fn first_socket(&self) -> Option<EntryId> {
        [&self.any, &self.tcp, &self.udp]
            .into_iter()
            .find_map(PortMap::first)
    }

    fn first_for(&self, protocol: Protocol<'_>) -> Option<EntryId> {
        self.maps(Side::Allow, protocol).find_map(PortMap::first)
    }

    fn entries(&self) -> impl Iterator<Item = EntryId> {
        let urls = self.urls.iter().map(|(_, map)| map);
        [&self.any, &self.tcp, &self.udp]
            .into_iter()
            .chain(urls)
            .flat_map(|map| map.0.iter().map(|(_, id)| *id))
    }

    fn maps<'a>(&'a self, side: Side, protocol: Protocol<'a>) -> impl Iterator<Item = &'a PortMap> {
        let (transport, urls) = match (side, protocol) {
            (Side::Allow, Protocol::Socket(Transport::Tcp)) => (Some(&self.tcp), Urls::None),
            (Side::Deny, Protocol::Socket(Transport::Tcp)) => (Some(&self.tcp), Urls::All),
            (_, Protocol::Socket(Transport::Udp)) => (Some(&self.udp), Urls::None),
            (Side::Allow, Protocol::Url(scheme)) => (None, Urls::Only(scheme)),
            (Side::Deny, Protocol::Url(scheme)) => (Some(&self.tcp), Urls::Only(scheme)),
        };
        let urls = self
            .urls
            .iter()
            .filter(move |(own, _)| urls.has(own))
            .map(|(_, map)| map);
        [&self.any].into_iter().chain(transport).chain(urls)
    }
}

#[derive(Clone, Copy)]
enum Urls<'a> {
    None,
    Only(&'a Scheme),
    All,
}

impl Urls<'_> {
    fn has(self, scheme: &Scheme) -> bool {
        match self {
            Self::None => false,
            Self::Only(only) => only == scheme,
            Self::All => true,
        }
    }
}

/// Ascending ranges that do not overlap, each with the entry that it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortMap(Box<[(PortRange, EntryId)]>);

impl PortMap {
    fn find(&self, port: u16) -> Option<EntryId> {
        let at = self.0.partition_point(|(range, _)| range.last() < port);
        self.0
            .get(at)
            .filter(|(range, _)| range.contains(port))
            .map(|(_, id)| *id)
    }

    fn first(&self) -> Option<EntryId> {
        self.0.first().map(|(_, id)| *id)
    }

    /// Whose the ports of the set are, ascending.
    pub(crate) fn overlapping<'a>(&'a self, ports: &'a PortSet) -> impl Iterator<Item = EntryId> + 'a {
        ports.ranges().iter().flat_map(|wanted| {
            let from = self.0.partition_point(|(range, _)| range.last() < wanted.first());
            self.0[from..]
                .iter()
                .take_while(|(range, _)| range.first() <= wanted.last())
                .map(|(_, id)| *id)
        })
    }

    /// Where ranges overlap, the one that starts first keeps the ports: any entry that names a port will do, and
    /// one is enough.
    pub(crate) fn compile(mut ranges: Vec<(PortRange, EntryId)>) -> Self {
        ranges.sort_unstable_by_key(|(range, id)| (range.first(), *id));
        let mut free_from = 1;
        let mut kept = Vec::with_capacity(ranges.len());
        for (range, id) in ranges {
            let Some(rest) = PortRange::new(range.first().max(free_from), range.last()) else {
                continue;
            };
            kept.push((rest, id));
            match rest.last().checked_add(1) {
                Some(next) => free_from = next,
                None => break,
            }
        }
        Self(kept.into())
    }
}

/// Cells while they are filled.
#[derive(Default)]
struct Drafts {
    any: Draft,
    names: HashMap<Name, Draft>,
    subdomains: HashMap<Name, Draft>,
    v4: HashMap<Ipv4Net, Draft>,
    v6: HashMap<Ipv6Net, Draft>,
    to_self: Draft,
    named: Draft,
}

#[derive(Default)]
struct Draft {
    any: Vec<(PortRange, EntryId)>,
    tcp: Vec<(PortRange, EntryId)>,
    udp: Vec<(PortRange, EntryId)>,
    urls: Vec<(Scheme, Vec<(PortRange, EntryId)>)>,
}

impl Drafts {
    fn add(&mut self, id: EntryId, entry: &Entry, host: &HostPattern) {
        let draft = match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Name(name) => self.names.entry(name.clone()).or_default(),
            HostPattern::Subdomains(apex) => self.subdomains.entry(apex.clone()).or_default(),
            HostPattern::Address(address) => match address.ip() {
                IpAddr::V4(ip) => self.v4.entry(ip.into()).or_default(),
                IpAddr::V6(ip) => self.v6.entry(ip.into()).or_default(),
            },
            HostPattern::Network(IpNet::V4(net)) => self.v4.entry(*net).or_default(),
            HostPattern::Network(IpNet::V6(net)) => self.v6.entry(*net).or_default(),
            HostPattern::ToSelf => return self.to_self.add_to_self(id, entry),
        };
        draft.add(id, entry);
        match host {
            // Of all names this one alone says which addresses it has.
            HostPattern::Name(name) | HostPattern::Subdomains(name) if name.is_localhost() => {}
            HostPattern::Name(_) | HostPattern::Subdomains(_) => self.named.add(id, entry),
            _ => {}
        }
    }

    fn finish(self, entries: Vec<Entry>) -> Index {
        let finish_names = |drafts: HashMap<Name, Draft>| {
            drafts
                .into_iter()
                .map(|(name, draft)| (name, draft.finish()))
                .collect::<HashMap<_, _>>()
        };
        Index {
            entries,
            any: self.any.finish(),
            names: finish_names(self.names),
            subdomains: finish_names(self.subdomains),
            v4: self
                .v4
                .into_iter()
                .map(|(net, draft)| (net, draft.finish()))
                .collect(),
            v6: self
                .v6
                .into_iter()
                .map(|(net, draft)| (net, draft.finish()))
                .collect(),
            to_self: self.to_self.finish(),
            named: self.named.finish(),
        }
    }
}

impl Draft {
    fn add(&mut self, id: EntryId, entry: &Entry) {
        for scheme in entry.schemes() {
            let ports = entry.ports_for(scheme);
            self.ranges_of(scheme)
                .extend(ports.ranges().iter().map(|range| (*range, id)));
        }
    }

    /// The app has one port, so the entry's does not matter.
    fn add_to_self(&mut self, id: EntryId, entry: &Entry) {
        for scheme in entry.schemes() {
            self.ranges_of(scheme).push((PortRange::ALL, id));
        }
    }

    fn ranges_of(&mut self, scheme: &EntryScheme) -> &mut Vec<(PortRange, EntryId)> {
        match scheme {
            EntryScheme::Any => &mut self.any,
            EntryScheme::Socket(Transport::Tcp) => &mut self.tcp,
            EntryScheme::Socket(Transport::Udp) => &mut self.udp,
            EntryScheme::Url(scheme) => {
                let at = self
                    .urls
                    .iter()
                    .position(|(own, _)| own == scheme)
                    .unwrap_or_else(|| {
                        self.urls.push((scheme.clone(), Vec::new()));
                        self.urls.len() - 1
                    });
                &mut self.urls[at].1
            }
        }
    }

    fn finish(self) -> Cell {
        Cell {
            any: PortMap::compile(self.any),
            tcp: PortMap::compile(self.tcp),
            udp: PortMap::compile(self.udp),
            urls: self
                .urls
                .into_iter()
                .map(|(scheme, ranges)| (scheme, PortMap::compile(ranges)))
                .collect(),
        }
    }
}
