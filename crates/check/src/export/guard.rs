//! What the addresses of permitted names never are, whatever an answer says (DNS-9): this machine and its link, where no entry
//! has the address itself and the operator lets no name resolve there.
//!
//! Sets of names are filled by whoever resolves these, and a name is in the hands of whoever runs its zone.

use ipnet::IpNet;
use outport_policy::{HostPattern, Hosts, Limit, PortSet, Region, Transport};

use super::embedded::{self, Embedded};
use super::flow::{channels, leaves};
use super::line::Line;
use super::request::Request;
use super::space::Space;

/// What is left out of the answers for names, on one transport.
#[derive(Debug, Default)]
pub(super) struct Guard {
    space: Space,
    /// The IPv4 addresses that are guarded also where they are embedded.
    embedded: Line,
}

impl Guard {
    pub(super) fn of(transport: Transport, request: &Request<'_>) -> Self {
        let loopback = match request.operator.limits.loopback_answers {
            Limit::Holds => &LOOPBACK[..],
            Limit::Lifted => &[],
        };
        let everywhere = |net: &str| -> (IpNet, PortSet) {
            let net = net.parse().expect("INVARIANT: it is a network");
            (net, PortSet::all())
        };
        let guarded = Space::of(LINK_LOCAL.iter().chain(loopback).map(|net| everywhere(net)));
        let embedded = guarded.v4.clone();
        let embedding = Space {
            v6: embedded::networks(&embedded),
            ..Space::default()
        };
        Self {
            space: guarded.union(&embedding).difference(&meant(transport, request)),
            embedded,
        }
    }

    /// What is guarded on these ports: behind a prefix, and by bits under a mask.
    pub(super) fn on(&self, ports: &PortSet) -> (Space, Embedded) {
        let all = ["0.0.0.0/0", "::/0"].map(|net| {
            let net = net.parse().expect("INVARIANT: it is a network");
            (net, ports.clone())
        });
        let all = Space::of(all);
        let masked = Embedded::of(&self.embedded.intersection(&all.v4));
        (self.space.intersection(&all), masked)
    }
}

/// The addresses that entries have themselves, on whatever ports: there a name may resolve to them.
fn meant(transport: Transport, request: &Request<'_>) -> Space {
    let channels = channels(transport);
    let entries = request
        .policies
        .iter()
        .flat_map(|policy| policy.allow().entries());
    let regions = entries.flat_map(Region::permitted_by).filter(leaves);
    let regions = regions
        .filter(|region| (channels.iter()).any(|channel| region.protocols.contains(channel.protocol())));
    Space::of(regions.filter_map(|region| match &region.hosts {
        Hosts::Pattern(HostPattern::Address(address)) => Some((address.ip().into(), PortSet::all())),
        Hosts::Pattern(HostPattern::Network(net)) => Some((*net, PortSet::all())),
        _ => None,
    }))
}

/// What counts as loopback (HL-6).
const LOOPBACK: [&str; 4] = ["127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"];
const LINK_LOCAL: [&str; 2] = ["169.254.0.0/16", "fe80::/10"];
