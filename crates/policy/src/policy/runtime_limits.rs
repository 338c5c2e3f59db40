//! Layer 3, the runtime limits (RL): transports and addresses that stay shut until the operator lifts them.
//!
//! Asks [`RuntimeLimits`](crate::RuntimeLimits); an address of the operator's own is not asked about (HI-6).

use std::net::Ipv4Addr;

use super::Policy;
use crate::{Address, Attempt, Denial, Endpoint, Host, Limit, Reason, Setting, Transport};

impl Policy {
    pub(super) fn runtime_limits<'p>(&'p self, attempt: &Attempt<'_>) -> Option<Denial<'p>> {
        if self.allow.is_the_operators() {
            return None;
        }
        self.shut_transport_of(attempt)
            .or_else(|| self.shut_remote_of(attempt))
    }

    pub(super) fn shut_transport_of(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
        match *attempt {
            Attempt::CreateSocket { transport }
            | Attempt::Bind { transport, .. }
            | Attempt::Connect { transport, .. } => self.shut_transport(transport),
            Attempt::Send { .. } | Attempt::Receive { .. } => self.shut_transport(Transport::Udp),
            Attempt::Dial { .. }
            | Attempt::Request { .. }
            | Attempt::Answer { .. }
            | Attempt::Lookup { .. }
            | Attempt::Resolve { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            | Attempt::Tls { .. }
            | Attempt::ClientHello { .. }
            | Attempt::Open { .. } => None,
        }
    }

    pub(super) fn shut_remote_of(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
        match *attempt {
            Attempt::Connect { remote, .. }
            | Attempt::Send { remote }
            | Attempt::Receive { peer: remote }
            | Attempt::Dial { remote, .. } => self.shut_remote(remote),
            Attempt::Request {
                host: Host::Address(address),
                port,
                ..
            } => self.shut_remote(Endpoint::new(*address, port)),
            Attempt::Answer { address, .. } => self.shut_address(address),
            Attempt::CreateSocket { .. }
            | Attempt::Bind { .. }
            | Attempt::Request { .. }
            | Attempt::Lookup { .. }
            | Attempt::Resolve { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            // It goes nowhere; what is connected to was judged when it was.
            | Attempt::Tls { .. }
            | Attempt::ClientHello { .. }
            | Attempt::Open { .. } => None,
        }
    }

    /// The denial behind a request that is refused by its name, where the addresses of the name are known already.
    pub(super) fn shut_behind(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
        match *attempt {
            Attempt::Request {
                host: Host::Name(name),
                port,
                ..
            } if name.is_localhost() => {
                self.shut_remote(Endpoint::new(Address::from(Ipv4Addr::LOCALHOST), port))
            }
            _ => None,
        }
    }

    fn shut_transport(&self, transport: Transport) -> Option<Denial<'_>> {
        if transport != Transport::Udp {
            return None;
        }
        // First, since lifting the limit on UDP alone would change nothing.
        if self.operator.egress_proxy.is_some() {
            return Some(Denial::new(Reason::RuntimeUdpProxied).lifted_by(Setting::NoEgressProxy));
        }
        self.shut_udp()
    }

    fn shut_udp(&self) -> Option<Denial<'_>> {
        let shut = self.operator.limits.udp == Limit::Holds;
        shut.then(|| Denial::new(Reason::RuntimeUdp).lifted_by(Setting::Udp))
    }

    /// The limit on UDP behind an egress proxy, which holds by itself.
    pub(super) fn shut_udp_behind_proxy(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
        let proxied = self.shut_transport_of(attempt)?.reason() == Reason::RuntimeUdpProxied;
        proxied.then(|| self.shut_udp()).flatten()
    }

    fn shut_remote(&self, remote: Endpoint) -> Option<Denial<'_>> {
        if self
            .operator
            .limits
            .shuts_loopback_port(remote.address, remote.port)
        {
            return Some(Denial::new(Reason::RuntimeLoopbackPort));
        }
        self.shut_address(remote.address)
    }

    fn shut_address(&self, address: Address) -> Option<Denial<'_>> {
        let shut = self.operator.limits.shuts_address(address);
        shut.then(|| Denial::new(Reason::RuntimeLinkLocal).lifted_by(Setting::LinkLocal))
    }
}
