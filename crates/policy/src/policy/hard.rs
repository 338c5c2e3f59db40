//! Layer 1, the hard limits: what no guest does and no address that it reaches, whatever anybody configured (HL).
//!
//! They consult the instance's [peers](crate::Peers), and where the operator has an [egress proxy](crate::EgressProxy)
//! that; an address is judged with what it embeds.

use std::net::SocketAddr;

use super::Policy;
use crate::{Address, Attempt, Denial, Endpoint, Host, Reason, RequestMethod, Situation};

impl Policy {
    pub(super) fn hard<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'_>) -> Option<Denial<'p>> {
        let reason = match *attempt {
            Attempt::Listen { .. } => Some(Reason::HardListen),
            Attempt::Accept { .. } => Some(Reason::HardAccept),
            Attempt::Bind { local, .. } => chosen_local(local).then_some(Reason::HardBind),
            Attempt::Receive { peer } if !situation.peers.knows(peer, situation.now) => {
                Some(Reason::HardUnsolicited)
            }
            Attempt::Connect { remote, .. }
            | Attempt::Send { remote }
            | Attempt::Dial { remote, .. }
            | Attempt::Receive { peer: remote } => self.unreachable_remote(remote),
            // It has no port yet, and an unspecified address reads as loopback, of which the guard has its say
            // (DNS-9).
            Attempt::Answer { address, .. } => address.reads_as_multicast().then_some(Reason::HardMulticast),
            Attempt::Request {
                method: RequestMethod::Connect,
                ..
            } => Some(Reason::HttpConnectMethod),
            Attempt::Request {
                host: Host::Address(address),
                port,
                ..
            } => self.unreachable_remote(Endpoint::new(*address, port)),
            Attempt::Request { port: 0, .. } => Some(Reason::HardPortZero),
            Attempt::Request {
                host: Host::Name(name),
                port,
                ..
            } => {
                let proxy = self.operator.egress_proxy.as_ref();
                proxy
                    .filter(|proxy| proxy.is_called(name, port))
                    .map(|_| Reason::HardEgressProxy)
            }
            Attempt::Tls {
                server: Host::Address(address),
                ..
            } => unreachable_address(*address),
            Attempt::Tls { .. }
            | Attempt::ClientHello { .. }
            | Attempt::CreateSocket { .. }
            | Attempt::Lookup { .. }
            | Attempt::Resolve { .. }
            | Attempt::Open { .. } => None,
        };
        reason.map(Denial::new)
    }

    /// The reason why no guest reaches `remote`, if it is such an address (HL-5, HL-6, PX-2).
    fn unreachable_remote(&self, remote: Endpoint) -> Option<Reason> {
        if remote.port == 0 {
            return Some(Reason::HardPortZero);
        }
        let proxy = self.operator.egress_proxy.as_ref();
        if proxy.is_some_and(|proxy| proxy.is_at(remote)) {
            return Some(Reason::HardEgressProxy);
        }
        unreachable_address(remote.address)
    }
}

/// True if the guest chose a local address or port: only what the system would choose itself is permitted (HL-3).
fn chosen_local(local: SocketAddr) -> bool {
    !local.ip().is_unspecified() || local.port() != 0
}

fn unreachable_address(address: Address) -> Option<Reason> {
    if address.is_unspecified() {
        Some(Reason::HardUnspecified)
    } else if address.reads_as_multicast() {
        Some(Reason::HardMulticast)
    } else {
        None
    }
}
