//! What the layer below does not say as Outport does: in which direction, because of what, and for which destinations.
//!
//! A note has its destinations as [`Area`]s, so that it can be held against both: every difference between the two is in an
//! area, and every destination of an area is a difference. A test does that. What is only known by name has no area.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use outport_policy::{Address, Transport};
use serde::Serialize;

use super::embedded::Embedded;
use super::space::Space;

/// One difference.
#[derive(Clone, Debug)]
pub struct Note {
    /// The direction in which the layer below differs.
    pub differs: Differs,
    /// The entry or setting that it is about, with its place.
    pub about: String,
    /// What is different, and why.
    pub why: String,
    /// True if it is about what no filter of addresses and ports can say: what flows, how much, and who else is meant.
    pub beyond_addresses: bool,
    pub(super) areas: Vec<Area>,
}

/// The direction of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Differs {
    /// The layer below lets pass what Outport does not permit to sockets of guests. Outport itself still holds it.
    Wider,
    /// The layer below stops what Outport permits.
    Narrower,
}

/// Destinations of one transport.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) transport: Transport,
    pub(super) space: Arc<Space>,
    /// Of these only the addresses that are among them.
    pub(super) within: Option<Arc<Embedded>>,
    /// Without those that are among them.
    pub(super) outside: Arc<Embedded>,
}

/// What is shown of an area: one transport, some addresses, some ports.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ShownArea {
    protocol: &'static str,
    addresses: Vec<String>,
    ports: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_addresses: Option<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    embedding_denied_only: bool,
}

impl Note {
    pub(super) fn new(differs: Differs, about: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            differs,
            about: about.into(),
            why: why.into(),
            beyond_addresses: false,
            areas: Vec::new(),
        }
    }

    pub(super) fn beyond_addresses(self) -> Self {
        Self {
            beyond_addresses: true,
            ..self
        }
    }

    pub(super) fn in_areas(mut self, areas: impl IntoIterator<Item = Area>) -> Self {
        self.areas
            .extend(areas.into_iter().filter(|area| !area.space.is_empty()));
        self
    }

    /// True if the difference shows when a socket of a guest goes to `remote`.
    pub fn is_about(&self, transport: Transport, remote: SocketAddr) -> bool {
        self.areas.iter().any(|area| area.contains(transport, remote))
    }

    /// The areas in words that fit into JSON: of each at most so many addresses.
    pub(super) fn shown(&self) -> Vec<ShownArea> {
        self.areas.iter().flat_map(Area::shown).collect()
    }
}

impl Area {
    pub(super) fn of(transport: Transport, space: Space) -> Self {
        Self {
            transport,
            space: Arc::new(space),
            within: None,
            outside: Arc::default(),
        }
    }

    pub(super) fn within(mut self, embedded: &Arc<Embedded>) -> Self {
        self.within = Some(Arc::clone(embedded));
        self
    }

    pub(super) fn outside(mut self, embedded: &Arc<Embedded>) -> Self {
        self.outside = Arc::clone(embedded);
        self
    }

    fn contains(&self, transport: Transport, remote: SocketAddr) -> bool {
        let address = Address::new(remote.ip()).ip();
        let masked = |embedded: &Embedded| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => embedded.contains(ip, remote.port()),
        };
        self.transport == transport
            && self.space.contains(address, remote.port())
            && self.within.as_deref().is_none_or(masked)
            && !masked(&self.outside)
    }

    fn shown(&self) -> Vec<ShownArea> {
        let groups = self.space.groups();
        let shown = groups.iter().map(|group| {
            let addresses: Vec<String> = (group.ranges().take(MOST_SHOWN))
                .map(|range| match range.network() {
                    Some(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
                    Some(net) => net.to_string(),
                    None => format!("{}-{}", range.first, range.last),
                })
                .collect();
            let more = group.ranges().count() - addresses.len();
            ShownArea {
                protocol: match self.transport {
                    Transport::Tcp => "tcp",
                    Transport::Udp => "udp",
                },
                addresses,
                ports: group.ports.to_string(),
                more_addresses: (more > 0).then_some(more),
                embedding_denied_only: self.within.is_some(),
            }
        });
        shown.collect()
    }
}

impl Differs {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wider => "wider",
            Self::Narrower => "narrower",
        }
    }
}

/// Addresses of one area that are shown; the rest is counted.
const MOST_SHOWN: usize = 64;
