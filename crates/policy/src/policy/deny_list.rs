//! Layer 2, the operator's deny list (DL): by name and alias, and by address and what it embeds.
//!
//! Asks the [`DenyList`](crate::DenyList) in the terms of the attempt; an address of the operator's own is not asked about
//! (HI-6). What it says to TLS is in [`tls_names`](super::tls_names).

use super::Policy;
use crate::{Attempt, Denial, Host, Protocol, Transport};

impl Policy {
    pub(super) fn deny_list<'p>(&'p self, attempt: &Attempt<'_>) -> Option<Denial<'p>> {
        let deny = &self.operator.deny;
        if deny.is_empty() || self.allow.is_the_operators() {
            return None;
        }
        let limits = &self.operator.limits;
        let refusal = match *attempt {
            Attempt::Connect { transport, remote } => {
                deny.refuses_address(remote.address, Protocol::Socket(transport), remote.port)
            }
            Attempt::Send { remote } | Attempt::Receive { peer: remote } => {
                deny.refuses_address(remote.address, Protocol::Socket(Transport::Udp), remote.port)
            }
            Attempt::Lookup { name } => deny.refuses_whole_name(name, &[], limits),
            Attempt::Answer {
                name, chain, address, ..
            } => deny
                .refuses_whole_name(name, chain, limits)
                .or_else(|| deny.refuses_whole_address(address, limits)),
            Attempt::Request {
                scheme,
                host: Host::Name(name),
                port,
                ..
            } => deny.refuses_name(name, &[], Protocol::Url(scheme), port),
            Attempt::Request {
                scheme,
                host: Host::Address(address),
                port,
                ..
            } => deny.refuses_address(*address, Protocol::Url(scheme), port),
            Attempt::Dial {
                scheme,
                host,
                chain,
                remote,
                ..
            } => {
                let protocol = Protocol::Url(scheme);
                let by_name = match host {
                    Host::Name(name) => deny.refuses_name(name, chain, protocol, remote.port),
                    Host::Address(_) => None,
                };
                by_name.or_else(|| deny.refuses_address(remote.address, protocol, remote.port))
            }
            Attempt::Tls { server, remotes } => return self.denies_server(server, remotes),
            Attempt::ClientHello { server, remote } => return self.denies_hello(server, remote.port),
            // What it is for was judged by the name a moment ago, with a port where that has one.
            Attempt::Resolve { .. }
            | Attempt::CreateSocket { .. }
            | Attempt::Bind { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            | Attempt::Open { .. } => None,
        };
        refusal.map(Denial::from)
    }
}
