//! The compiled form of a list of entries: what makes a decision cost the same with ten entries and with a
//! hundred thousand.
//!
//! ```text
//! name    ── names ──────► Cell     one hash
//!         ── subdomains ─► Cell     one hash a label, nearest parent first
//! address ── networks ───► Cell…    one binary search: every network that holds the address, the widest first
//! both    ── any ────────► Cell     hosts written `*`
//! ```
//!
//! A [`Cell`](cell) holds, for one host pattern, which entry names which port under which scheme. The tables are
//! made once and only read from then on: questions take no lock and allocate nothing. Names are hashed by a quick
//! function with a key of each process, so that whoever writes a list cannot choose names that collide.
//!
//! The index decides nothing: it finds the entry, or none.

mod cell;
mod draft;
mod networks;
mod port_map;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use self::cell::{Cell, EntryId};
pub(crate) use self::cell::{Lack, Side};
use self::draft::Drafts;
use self::networks::Holding;
pub(crate) use self::networks::Networks;
pub(crate) use self::port_map::PortMap;
use crate::{Address, Entry, HostPattern, Name, Protocol, Scheme, Transport};

/// The kind of host pattern that an entry for an address was found under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Any,
    Address,
    Network,
}

/// An entry that answers the question for an address, and how it came to match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'p> {
    pub(crate) entry: &'p Entry,
    pub(crate) by: Match,
}

/// The patterns of a list that an address lies under: looked for once, and asked as often as there are questions about it.
pub(crate) struct CellsOfAddress<'p> {
    index: &'p Index,
    holding: Holding<'p, (Match, Cell)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    any: Cell,
    names: HashMap<Name, Cell, RandomState>,
    subdomains: HashMap<Name, Cell, RandomState>,
    networks: Networks<(Match, Cell)>,
    /// The first entry that is written `self`. Its schemes and ports do not matter: the app has one way in.
    to_self: Option<EntryId>,
    /// Every pattern that is a name other than `localhost`, together: "is there any name with this port?" without
    /// walking them all.
    named: Cell,
}

impl Index {
    /// Compiles `entries`. `expand` may name further patterns that an entry's host covers on this list.
    pub(crate) fn compile(entries: Vec<Entry>, expand: impl Fn(&HostPattern) -> Vec<HostPattern>) -> Self {
        let mut drafts = Drafts::default();
        for (id, entry) in (0..).zip(&entries) {
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

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The patterns that a literal address lies under.
    #[inline]
    pub(crate) fn at(&self, address: Address) -> CellsOfAddress<'_> {
        CellsOfAddress {
            index: self,
            holding: self.networks.holding(address),
        }
    }

    /// The entry that answers for a name.
    pub(crate) fn find_name(
        &self,
        name: &Name,
        side: Side,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<&Entry> {
        let find = |cell: &Cell| cell.find(side, protocol, port);
        let id = self
            .names
            .get(name.as_str())
            .and_then(find)
            .or_else(|| self.cells_above(name).find_map(find))
            .or_else(|| find(&self.any))?;
        Some(self.entry(id))
    }

    /// The entry that answers for the app itself: the one that is written `self`, or one for every host that has the
    /// app's one spelling, `http` on port 80 (AL-10).
    pub(crate) fn find_self(&self, side: Side) -> Option<&Entry> {
        let any = || self.any.find(side, Protocol::Url(&Scheme::HTTP), 80);
        self.to_self.or_else(any).map(|id| self.entry(id))
    }

    /// The entry of the deny list that answers for a component of the app. Scheme and port lead nowhere else, so an
    /// entry for the name covers it on all of them, and one for every host if it covers `http` on port 80
    /// (AL-10).
    pub(crate) fn denies_component(&self, name: &Name, protocol: Protocol<'_>, port: u16) -> Option<&Entry> {
        let named = self.names.get(name.as_str()).into_iter();
        let mut named = named.chain(self.cells_above(name));
        let any = |protocol, port| self.any.find(Side::Deny, protocol, port);
        let id = named
            .find_map(Cell::first_denying_http)
            .or_else(|| any(Protocol::Url(&Scheme::HTTP), 80))
            .or_else(|| any(protocol, port))?;
        Some(self.entry(id))
    }

    /// An entry that covers the address as a literal or a network, on whatever port.
    pub(crate) fn lists_address(&self, address: Address, permits: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.networks
            .holding(address)
            .flat_map(|(_, cell)| cell.entries())
            .map(|id| self.entry(id))
            .find(|entry| permits(entry))
    }

    /// An entry that covers the name and can permit a raw socket.
    pub(crate) fn socket_entry_of_name(&self, name: &Name) -> Option<&Entry> {
        self.cells_of_name(name)
            .find_map(Cell::first_socket)
            .map(|id| self.entry(id))
    }

    /// Some entry that is a name or wildcard with this port for this transport; `localhost` and what is under it only
    /// where `loopback` suggests that it was meant.
    pub(crate) fn named(&self, transport: Transport, port: u16, loopback: bool) -> Option<&Entry> {
        let protocol = Protocol::Socket(transport);
        let localhost = loopback.then(|| [self.names.get("localhost"), self.subdomains.get("localhost")]);
        let mut cells = localhost.into_iter().flatten().flatten().chain([&self.named]);
        cells
            .find_map(|cell| cell.find(Side::Allow, protocol, port))
            .map(|id| self.entry(id))
    }

    /// Some entry of the deny list that names hosts by name, for this port: what it denies cannot be told without the name.
    pub(crate) fn denies_some_name(&self, protocol: Protocol<'_>, port: u16) -> Option<&Entry> {
        let localhost = [self.names.get("localhost"), self.subdomains.get("localhost")];
        let mut cells = [&self.named].into_iter().chain(localhost.into_iter().flatten());
        cells
            .find_map(|cell| cell.find(Side::Deny, protocol, port))
            .map(|id| self.entry(id))
    }

    /// Up to which port the list names all for an address, from `port` on; `None` where `port` itself is not named.
    /// There may be more behind it.
    pub(crate) fn reach_of_address(
        &self,
        address: Address,
        side: Side,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<u16> {
        self.at(address)
            .cells()
            .filter_map(|cell| cell.reach(side, protocol, port))
            .max()
    }

    /// The same for a name.
    pub(crate) fn reach_of_name(
        &self,
        name: &Name,
        side: Side,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<u16> {
        self.cells_of_name(name)
            .filter_map(|cell| cell.reach(side, protocol, port))
            .max()
    }

    /// The entry that covers the name and lacks least to permit the attempt, where none permits it.
    pub(crate) fn closest_to_name(
        &self,
        name: &Name,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<(Lack, &Entry)> {
        self.closest(self.cells_of_name(name), protocol, port)
    }

    /// The entry for every host that lacks least to permit a request to the app itself, where none permits it.
    pub(crate) fn closest_to_self(&self) -> Option<(Lack, &Entry)> {
        self.closest([&self.any].into_iter(), Protocol::Url(&Scheme::HTTP), 80)
    }

    /// An entry that covers the name, whatever its schemes and ports.
    pub(crate) fn covers_name(&self, name: &Name) -> Option<&Entry> {
        self.cells_of_name(name)
            .find_map(|cell| cell.entries().next())
            .map(|id| self.entry(id))
    }

    /// The names whose wildcards cover `name`, nearest first, unless it is named exactly or every name is.
    pub(crate) fn wildcards_over(&self, name: &Name) -> Vec<&Name> {
        let covered_otherwise =
            || self.names.contains_key(name.as_str()) || self.any.entries().next().is_some();
        if self.subdomains.is_empty() || covered_otherwise() {
            return Vec::new();
        }
        let wildcards = name
            .parents()
            .filter_map(|parent| self.subdomains.get_key_value(parent));
        wildcards.map(|(apex, _)| apex).collect()
    }

    fn closest<'p>(
        &'p self,
        cells: impl Iterator<Item = &'p Cell>,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Option<(Lack, &'p Entry)> {
        cells
            .filter_map(|cell| cell.closest(protocol, port))
            .min_by_key(|(lack, _)| *lack)
            .map(|(lack, id)| (lack, self.entry(id)))
    }

    fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }

    fn cells_of_name<'p, 'n>(&'p self, name: &'n Name) -> impl Iterator<Item = &'p Cell> + use<'p, 'n> {
        let exact = self.names.get(name.as_str());
        exact.into_iter().chain(self.cells_above(name)).chain([&self.any])
    }

    /// The wildcards that the name lies under.
    fn cells_above<'p, 'n>(&'p self, name: &'n Name) -> impl Iterator<Item = &'p Cell> + use<'p, 'n> {
        let parents = (!self.subdomains.is_empty()).then(|| name.parents());
        let parents = parents.into_iter().flatten();
        parents.filter_map(|parent| self.subdomains.get(parent))
    }
}

impl<'p> CellsOfAddress<'p> {
    /// The entry that answers for the address.
    #[inline]
    pub(crate) fn find(&self, side: Side, protocol: Protocol<'_>, port: u16) -> Option<Found<'p>> {
        for (by, cell) in self.holding.clone() {
            if let Some(id) = cell.find(side, protocol, port) {
                let entry = self.index.entry(id);
                return Some(Found { entry, by: *by });
            }
        }
        // `*` last, so that what is found by the address itself is told as that.
        let id = self.index.any.find(side, protocol, port)?;
        Some(Found {
            entry: self.index.entry(id),
            by: Match::Any,
        })
    }

    /// The entry that covers the address and lacks least to permit the attempt, where none permits it.
    pub(crate) fn closest(&self, protocol: Protocol<'_>, port: u16) -> Option<(Lack, &'p Entry)> {
        self.index.closest(self.cells(), protocol, port)
    }

    fn cells(&self) -> impl Iterator<Item = &'p Cell> + use<'p> {
        let named = self.holding.clone().map(|(_, cell)| cell);
        named.chain([&self.index.any])
    }
}
