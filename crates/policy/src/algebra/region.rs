//! Products: protocols × hosts × ports.

use std::fmt;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::{Destination, Protocols};
use crate::{Entry, EntryPorts, EntryScheme, Host, HostPattern, PortRange, PortSet, Scheme};

/// A set of destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The protocols that are spoken.
    pub protocols: Protocols,
    /// With whom.
    pub hosts: Hosts,
    /// On which ports.
    pub ports: PortSet,
}

/// The hosts of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Those that the pattern matches.
    Pattern(HostPattern),
    /// The addresses of `within` that embed an IPv4 address of `network` (HL-7).
    Embedding {
        /// IPv6 addresses.
        within: Ipv6Net,
        /// The IPv4 addresses that they embed.
        network: Ipv4Net,
    },
}

impl Region {
    /// The regions that an entry of the allow list permits: one region for each of its hosts, and for each of its
    /// schemes where these have ports of their own.
    pub fn permitted_by(entry: &Entry) -> Vec<Self> {
        Self::of(entry, Protocols::permitted_by)
    }

    /// The regions that an entry of the deny list denies.
    pub fn denied_by(entry: &Entry) -> Vec<Self> {
        Self::of(entry, Protocols::denied_by)
    }

    /// True if the destination is in the region.
    pub fn contains(&self, destination: &Destination) -> bool {
        self.protocols.contains(destination.channel.protocol())
            && self.hosts.contain(&destination.host)
            && self.ports.contains(destination.port)
    }

    fn of(entry: &Entry, meaning: fn(&crate::EntryScheme) -> Protocols) -> Vec<Self> {
        let together = match entry.ports() {
            EntryPorts::Written(specs) => vec![(
                entry
                    .schemes()
                    .iter()
                    .fold(Protocols::none(), |all, scheme| all.union(&meaning(scheme))),
                specs.iter().map(|spec| spec.range()).collect(),
            )],
            EntryPorts::OfScheme => {
                let schemes = entry.schemes().iter();
                schemes
                    .map(|scheme| (meaning(scheme), entry.ports_for(scheme)))
                    .collect()
            }
        };
        let products = entry.hosts().iter().flat_map(|host| {
            together
                .iter()
                .map(move |(protocols, ports)| Self::product(protocols, host, ports))
        });
        products.collect()
    }

    /// The app itself is one destination, `http` on port 80, whatever the entry's scheme and ports (AL-10).
    fn product(protocols: &Protocols, host: &HostPattern, ports: &PortSet) -> Self {
        let hosts = Hosts::Pattern(host.clone());
        match host {
            HostPattern::ToSelf => Self {
                protocols: Protocols::permitted_by(&EntryScheme::Url(Scheme::HTTP)),
                hosts,
                ports: PortRange::one(80).into_iter().collect(),
            },
            _ => Self {
                protocols: protocols.clone(),
                hosts,
                ports: ports.clone(),
            },
        }
    }
}

impl Hosts {
    fn contain(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Pattern(pattern), host) => pattern.matches(host),
            (Self::Embedding { within, network }, Host::Address(address)) => {
                let inside = matches!(address.ip(), IpAddr::V6(ip) if within.contains(&ip));
                inside && address.embedded().any(|ip| network.contains(&ip))
            }
            (Self::Embedding { .. }, Host::Name(_)) => false,
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Embedding { within, network } => {
                write!(
                    f,
                    "addresses of [{}]/{} that embed {network}",
                    within.addr(),
                    within.prefix_len()
                )
            }
        }
    }
}

/// In the spelling of entries, as far as there is one: `{tcp,https}`-like protocols are said in words.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}, ports {}", self.protocols, self.hosts, self.ports)
    }
}
