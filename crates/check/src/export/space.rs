//! Addresses of both families with ports, and what they are called: networks, ranges, groups of the same ports.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use outport_policy::{Endpoint, PortSet};

use super::line::{Line, Span};

/// Destinations of one transport, by address and port. IPv4-mapped IPv6 addresses are never in it: they are IPv4 addresses
/// before anybody judges them (HL-7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) v4: Line,
    pub(super) v6: Line,
}

/// Addresses of both families that have the same ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) ports: PortSet,
    pub(super) v4: Vec<Range>,
    pub(super) v6: Vec<Range>,
}

/// The addresses from the first to the last, both included; of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
}

impl Space {
    /// The union of networks, each with its ports.
    pub(super) fn of(networks: impl IntoIterator<Item = (IpNet, PortSet)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, ports) in networks {
            let spans = match net {
                IpNet::V4(_) => &mut v4,
                IpNet::V6(_) => &mut v6,
            };
            spans.push(Span {
                first: number(net.network()),
                last: number(net.broadcast()),
                ports,
            });
        }
        let mapped = Line::of(vec![Span {
            first: 0xffff << 32,
            last: (0xffff << 32) | u128::from(u32::MAX),
            ports: PortSet::all(),
        }]);
        Self {
            v4: Line::of(v4),
            v6: Line::of(v6).difference(&mapped),
        }
    }

    /// One port of each of these.
    pub(super) fn of_endpoints(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        Self::of(endpoints.into_iter().map(|endpoint| {
            let port = outport_policy::PortRange::one(endpoint.port);
            (endpoint.address.ip().into(), port.into_iter().collect())
        }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub(super) fn contains(&self, address: IpAddr, port: u16) -> bool {
        let line = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        line.at(number(address)).is_some_and(|ports| ports.contains(port))
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        self.each(other, Line::union)
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.each(other, Line::intersection)
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        self.each(other, Line::difference)
    }

    fn each(&self, other: &Self, operation: fn(&Line, &Line) -> Line) -> Self {
        Self {
            v4: operation(&self.v4, &other.v4),
            v6: operation(&self.v6, &other.v6),
        }
    }

    /// The number of spans: what it costs to say it.
    pub(super) fn size(&self) -> usize {
        self.v4.spans().len() + self.v6.spans().len()
    }

    /// The same by ports, in the order of the first address. A range goes on over neighbours that have its ports among others,
    /// which are then in two groups: 0.0.0.0/8 is not cut up because of what else 0.0.0.0 has.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<&PortSet, usize> = HashMap::new();
        let lines = [(&self.v4, v4 as fn(u128) -> IpAddr), (&self.v6, v6)];
        for (line, address) in lines {
            for (index, span) in line.spans().iter().enumerate() {
                let at = *known.entry(&span.ports).or_insert_with(|| {
                    groups.push(Group {
                        ports: span.ports.clone(),
                        v4: Vec::new(),
                        v6: Vec::new(),
                    });
                    groups.len() - 1
                });
                let first = address(span.first);
                let ranges = match first {
                    IpAddr::V4(_) => &mut groups[at].v4,
                    IpAddr::V6(_) => &mut groups[at].v6,
                };
                if ranges.last().is_some_and(|range| first <= range.last) {
                    continue;
                }
                let (first, last) = widened(line.spans(), index);
                ranges.push(Range {
                    first: address(first),
                    last: address(last),
                });
            }
        }
        groups
    }
}

/// The first and the last address of a span and of those beside it that have all of its ports.
fn widened(spans: &[Span], index: usize) -> (u128, u128) {
    let span = &spans[index];
    let has_all = |other: &Span| span.ports.difference(&other.ports).is_empty();
    let mut first = span.first;
    for before in spans[..index].iter().rev() {
        if before.last.checked_add(1) != Some(first) || !has_all(before) {
            break;
        }
        first = before.first;
    }
    let mut last = span.last;
    for behind in &spans[index + 1..] {
        if last.checked_add(1) != Some(behind.first) || !has_all(behind) {
            break;
        }
        last = behind.last;
    }
    (first, last)
}

impl Group {
    /// All addresses, those of IPv4 first.
    pub(super) fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.v4.iter().chain(&self.v6)
    }
}

impl Range {
    /// The fewest networks that are the same addresses.
    pub(super) fn networks(&self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ipv4Subnets::new(first, last, 0).map(IpNet::from).collect()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ipv6Subnets::new(first, last, 0).map(IpNet::from).collect()
            }
            // One family, by how it is made.
            _ => Vec::new(),
        }
    }

    /// The network, if it is just one.
    pub(super) fn network(&self) -> Option<IpNet> {
        match self.networks().as_slice() {
            [net] => Some(*net),
            _ => None,
        }
    }
}

/// An address as a number.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// A number of a line of IPv4 as an address.
fn v4(number: u128) -> IpAddr {
    // What ends a family lies at its end.
    Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into()
}

fn v6(number: u128) -> IpAddr {
    Ipv6Addr::from(number).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> PortSet {
        PortSet::parse(text).unwrap()
    }

    #[test]
    fn networks_become_ranges_of_the_same_ports() {
        let space = Space::of([
            ("10.0.0.0/8".parse().unwrap(), ports("443")),
            ("11.0.0.0/8".parse().unwrap(), ports("443")),
            ("10.1.0.0/16".parse().unwrap(), ports("80")),
            ("2001:db8::/32".parse().unwrap(), ports("443")),
        ]);
        let groups = space.groups();
        let shown: Vec<String> = groups
            .iter()
            .map(|group| {
                let ranges: Vec<String> = group
                    .ranges()
                    .map(|range| format!("{}-{}", range.first, range.last))
                    .collect();
                format!("{} {}", group.ports, ranges.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "443 10.0.0.0-11.255.255.255 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "80,443 10.1.0.0-10.1.255.255",
            ]
        );
        assert_eq!(groups[0].v4[0].network(), Some("10.0.0.0/7".parse().unwrap()));
        assert_eq!(groups[1].v4[0].network(), Some("10.1.0.0/16".parse().unwrap()));
    }

    #[test]
    fn mapped_addresses_are_in_no_space() {
        let all = Space::of([("::/0".parse().unwrap(), ports("*"))]);
        assert!(all.contains("::fffe:ffff:ffff".parse().unwrap(), 1));
        assert!(!all.contains("::ffff:10.0.0.5".parse().unwrap(), 1));
        assert!(all.contains("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(), 65535));
    }
}
