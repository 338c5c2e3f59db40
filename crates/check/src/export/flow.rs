//! What the layer below lets pass: arithmetic on the lists of an app and on what keeps destinations out.
//!
//! The layer below sees a transport, an address and a port. Outport judges by *channel*: a socket, or a host interface of a
//! scheme. So TCP passes to where any channel over TCP may go; that raw TCP then passes with it is what the notes tell.
//!
//! ```text
//! for each channel c      allowed(c)   entries that have c, by address; `localhost` by its two addresses
//!                         denied(c)    KeptOut::addresses that have c, and what embeds them
//! for a transport         denied       = what is denied to all its channels that anybody has an entry for
//!                         accepted     = the sum of  allowed(c) - (denied(c) - denied)
//!                         passes       = accepted - denied
//!                         by socket    = allowed(socket) - denied(socket): what Outport permits without a look-up
//! ```

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use outport_policy::{Channel, Entry, HostPattern, Hosts, KeptOut, PortSet, Region, Scheme, Transport};

use super::TooLarge;
use super::embedded::{self, Embedded};
use super::line::Line;
use super::request::{Request, Target};
use super::space::Space;

/// One transport.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    /// What passes unless it is denied.
    pub(super) accepted: Space,
    /// What does not pass: behind a prefix, and by bits under a mask.
    pub(super) denied: Space,
    pub(super) masked: Arc<Embedded>,
    /// What sockets of guests may reach without a look-up, but for `masked_for_sockets`.
    pub(super) by_socket: Space,
    pub(super) masked_for_sockets: Arc<Embedded>,
    /// True if sockets are denied more of what embeds addresses than the transport is.
    pub(super) sockets_are_masked_more: bool,
}

/// What one channel is denied.
#[derive(Clone, Default)]
struct Denied {
    space: Space,
    /// The IPv4 addresses that are denied also where they are embedded.
    embedded: Line,
}

/// The schemes that host interfaces speak (AL-9).
const SPOKEN: [&str; 6] = ["http", "https", "redis", "postgres", "mysql", "mqtt"];

/// The channels over a transport, its socket first.
pub(super) fn channels(transport: Transport) -> Vec<Channel> {
    let urls = SPOKEN.into_iter().filter_map(Scheme::parse).map(Channel::Url);
    let urls = urls.filter(|_| transport == Transport::Tcp);
    std::iter::once(Channel::Socket(transport)).chain(urls).collect()
}

impl Flow {
    /// What a transport lets pass, unless more is denied than the target takes, which is seen before the rest of the work.
    pub(super) fn of(
        transport: Transport,
        request: &Request<'_>,
        kept_out: &KeptOut<'_>,
        target: Target,
    ) -> Result<Self, TooLarge> {
        let entries = || {
            request
                .policies
                .iter()
                .flat_map(|policy| policy.allow().entries())
        };
        let regions: Vec<Region> = entries().flat_map(Region::permitted_by).filter(leaves).collect();
        let mut channels = channels(transport);
        channels.retain(|channel| {
            regions
                .iter()
                .any(|region| region.protocols.contains(channel.protocol()))
        });
        let denied = denied(&channels, kept_out);
        // Most channels share what they are denied.
        let mut distinct: Vec<Arc<Denied>> = Vec::new();
        for (_, denied) in &denied {
            if !distinct.iter().any(|known| Arc::ptr_eq(known, denied)) {
                distinct.push(Arc::clone(denied));
            }
        }
        let common = distinct
            .into_iter()
            .reduce(|one, other| {
                Arc::new(Denied {
                    space: one.space.intersection(&other.space),
                    embedded: one.embedded.intersection(&other.embedded),
                })
            })
            .unwrap_or_default();
        target.check(common.space.size())?;
        let accepted = denied.iter().fold(Space::default(), |sum, (channel, denied)| {
            let allowed = allowed(&regions, channel, Lookup::Made);
            if Arc::ptr_eq(denied, &common) {
                return sum.union(&allowed);
            }
            sum.union(&allowed.difference(&denied.space.difference(&common.space)))
        });
        let socket = Channel::Socket(transport);
        let of_socket = denied
            .iter()
            .find(|(channel, _)| *channel == socket)
            .map(|(_, denied)| Arc::clone(denied))
            .unwrap_or_default();
        Ok(Self {
            transport,
            accepted,
            masked: Arc::new(Embedded::of(&common.embedded)),
            by_socket: allowed(&regions, &socket, Lookup::None).difference(&of_socket.space),
            masked_for_sockets: Arc::new(Embedded::of(&of_socket.embedded)),
            sockets_are_masked_more: of_socket.embedded != common.embedded,
            denied: common.space.clone(),
        })
    }

    /// What passes, but for `masked`.
    pub(super) fn passes(&self) -> Space {
        self.accepted.difference(&self.denied)
    }
}

/// The addresses that an entry permits on a transport, whoever else has a say; with those of `localhost`.
pub(super) fn addresses_of(entry: &Entry, transport: Transport) -> Space {
    let regions: Vec<Region> = Region::permitted_by(entry).into_iter().filter(leaves).collect();
    let channels = channels(transport);
    channels.iter().fold(Space::default(), |sum, channel| {
        sum.union(&allowed(&regions, channel, Lookup::Made))
    })
}

/// True if what the region permits leaves the app.
pub(super) fn leaves(region: &Region) -> bool {
    match &region.hosts {
        Hosts::Pattern(HostPattern::ToSelf) => false,
        Hosts::Pattern(HostPattern::Name(name) | HostPattern::Subdomains(name)) => {
            !name.is_service_chaining()
        }
        _ => true,
    }
}

/// Whether the names whose addresses are known have been looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookup {
    Made,
    None,
}

fn allowed(regions: &[Region], channel: &Channel, lookup: Lookup) -> Space {
    let speaking = regions
        .iter()
        .filter(|region| region.protocols.contains(channel.protocol()));
    Space::of(speaking.flat_map(|region| {
        networks(&region.hosts, lookup)
            .into_iter()
            .map(|net| (net, region.ports.clone()))
    }))
}

fn networks(hosts: &Hosts, lookup: Lookup) -> Vec<IpNet> {
    match hosts {
        Hosts::Pattern(HostPattern::Any) => vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
        Hosts::Pattern(HostPattern::Address(address)) => vec![address.ip().into()],
        Hosts::Pattern(HostPattern::Network(net)) => vec![*net],
        Hosts::Pattern(HostPattern::Name(name) | HostPattern::Subdomains(name))
            if name.is_localhost() && lookup == Lookup::Made =>
        {
            vec![
                Ipv4Net::from(Ipv4Addr::LOCALHOST).into(),
                Ipv6Net::from(Ipv6Addr::LOCALHOST).into(),
            ]
        }
        Hosts::Pattern(_) | Hosts::Embedding { .. } => Vec::new(),
    }
}

/// What each channel is denied. Most are denied the same, which is worked out once.
fn denied(channels: &[Channel], kept_out: &KeptOut<'_>) -> Vec<(Channel, Arc<Denied>)> {
    let mut known: HashMap<Vec<bool>, Arc<Denied>> = HashMap::new();
    let denied = channels.iter().map(|channel| {
        let rules = || kept_out.addresses();
        let speaking: Vec<bool> = rules()
            .map(|rule| rule.protocols.contains(channel.protocol()))
            .collect();
        let denied = known.entry(speaking).or_insert_with_key(|speaking| {
            let speaking = || {
                rules()
                    .zip(speaking)
                    .filter(|(_, speaks)| **speaks)
                    .map(|(rule, _)| (rule.network, rule.ports.clone(), rule.embedded))
            };
            let mut space = Space::of(speaking().map(|(net, ports, _)| (net, ports)));
            let embedded = speaking().filter(|(net, _, embedded)| *embedded && net.addr().is_ipv4());
            let embedded = Space::of(embedded.map(|(net, ports, _): (IpNet, PortSet, bool)| (net, ports))).v4;
            space.v6 = space.v6.union(&embedded::networks(&embedded));
            Arc::new(Denied { space, embedded })
        });
        (channel.clone(), Arc::clone(denied))
    });
    denied.collect()
}
