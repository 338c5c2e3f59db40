//! One host pattern of a list: which entry names which port under which scheme.
//!
//! What a scheme means for an attempt differs between the two lists, so a question names its [`Side`]:
//!
//! | attempt | the allow list looks at | the deny list looks at |
//! | --- | --- | --- |
//! | TCP socket | `*`, `tcp` | `*`, `tcp`, every URL scheme |
//! | UDP socket | `*`, `udp` | `*`, `udp` |
//! | URL of scheme s | `*`, s | `*`, `tcp`, s |
//!
//! These are [`EntryScheme::permits`](crate::EntryScheme::permits) and
//! [`EntryScheme::denies`](crate::EntryScheme::denies), compiled; a property test holds them together.
//!
//! Most entries are for `*`, and most patterns have one entry with one range of ports. Such a cell is three words that
//! point nowhere; what is rarer lies behind a pointer that is not followed for it.

use super::PortMap;
use crate::{EntryScheme, PortRange, Protocol, Scheme, Transport};

/// The position of an entry in its list.
pub(super) type EntryId = u32;

/// The list that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Allow,
    Deny,
}

/// The part that an entry which names the host lacks to permit an attempt, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lack {
    /// The entry names the port for other protocols.
    Protocol,
    /// The entry names the protocol on other ports.
    Port,
    /// The entry names neither.
    Both,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    any: PortMap<EntryId>,
    rest: Option<Box<Rest>>,
}

/// The schemes but `*`.
#[derive(Clone, Debug)]
struct Rest {
    tcp: PortMap<EntryId>,
    udp: PortMap<EntryId>,
    urls: Box<[(Scheme, PortMap<EntryId>)]>,
}

/// A cell while it is filled.
#[derive(Default)]
pub(super) struct CellDraft {
    any: Vec<(PortRange, EntryId)>,
    tcp: Vec<(PortRange, EntryId)>,
    udp: Vec<(PortRange, EntryId)>,
    urls: Vec<(Scheme, Vec<(PortRange, EntryId)>)>,
}

impl Cell {
    /// The entry that names the port for the protocol.
    #[inline]
    pub(super) fn find(&self, side: Side, protocol: Protocol<'_>, port: u16) -> Option<EntryId> {
        self.any.find(port).or_else(|| {
            let rest = self.rest.as_ref()?;
            rest.maps(side, protocol).find_map(|map| map.find(port))
        })
    }

    /// Up to which port all are named for the protocol, from `port` on; `None` where `port` itself is not. There
    /// may be more behind it, from another range.
    pub(super) fn reach(&self, side: Side, protocol: Protocol<'_>, port: u16) -> Option<u16> {
        let rest = self.rest.iter().flat_map(|rest| rest.maps(side, protocol));
        [&self.any]
            .into_iter()
            .chain(rest)
            .filter_map(|map| map.reach(port))
            .max()
    }

    /// An entry that a raw socket can use on some port.
    pub(super) fn first_socket(&self) -> Option<EntryId> {
        self.any.first().or_else(|| {
            let Rest { tcp, udp, .. } = &**self.rest.as_ref()?;
            tcp.first().or_else(|| udp.first())
        })
    }

    /// An entry of the deny list for `http` or `https` on some port.
    pub(super) fn first_denying_http(&self) -> Option<EntryId> {
        self.any.first().or_else(|| {
            let rest = self.rest.as_ref()?;
            let urls = [Scheme::HTTP, Scheme::HTTPS];
            urls.iter().find_map(|scheme| {
                rest.maps(Side::Deny, Protocol::Url(scheme))
                    .find_map(PortMap::first)
            })
        })
    }

    /// An entry of the allow list for the protocol on some port.
    fn first_for(&self, protocol: Protocol<'_>) -> Option<EntryId> {
        self.any.first().or_else(|| {
            let mut maps = self.rest.as_ref()?.maps(Side::Allow, protocol);
            maps.find_map(PortMap::first)
        })
    }

    /// Every entry with this pattern, some of them more than once.
    pub(super) fn entries(&self) -> impl Iterator<Item = EntryId> {
        self.all_maps()
            .flat_map(|map| map.ranges().iter().map(|(_, id)| *id))
    }

    /// Of the entries of an allow list that do not permit the attempt, one that lacks least.
    pub(super) fn closest(&self, protocol: Protocol<'_>, port: u16) -> Option<(Lack, EntryId)> {
        if let Some(id) = self.all_maps().find_map(|map| map.find(port)) {
            return Some((Lack::Protocol, id));
        }
        if let Some(id) = self.first_for(protocol) {
            return Some((Lack::Port, id));
        }
        let any = self.rest.as_ref()?.all_maps().find_map(PortMap::first);
        any.map(|id| (Lack::Both, id))
    }

    fn all_maps(&self) -> impl Iterator<Item = &PortMap<EntryId>> {
        let rest = self.rest.iter().flat_map(|rest| rest.all_maps());
        [&self.any].into_iter().chain(rest)
    }
}

impl Rest {
    fn all_maps(&self) -> impl Iterator<Item = &PortMap<EntryId>> {
        let urls = self.urls.iter().map(|(_, map)| map);
        [&self.tcp, &self.udp].into_iter().chain(urls)
    }

    /// Beside `*`, those that a question of this side looks at.
    fn maps<'a>(&'a self, side: Side, protocol: Protocol<'a>) -> impl Iterator<Item = &'a PortMap<EntryId>> {
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
        transport.into_iter().chain(urls)
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

impl CellDraft {
    pub(super) fn add(&mut self, scheme: &EntryScheme, range: PortRange, id: EntryId) {
        self.ranges_of(scheme).push((range, id));
    }

    pub(super) fn finish(self) -> Cell {
        let nothing_but_any = self.tcp.is_empty() && self.udp.is_empty() && self.urls.is_empty();
        let rest = || Rest {
            tcp: PortMap::compile(self.tcp),
            udp: PortMap::compile(self.udp),
            urls: self
                .urls
                .into_iter()
                .map(|(scheme, ranges)| (scheme, PortMap::compile(ranges)))
                .collect(),
        };
        Cell {
            any: PortMap::compile(self.any),
            rest: (!nothing_but_any).then(|| Box::new(rest())),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_three_words() {
        assert_eq!(size_of::<Cell>(), 24);
    }
}
