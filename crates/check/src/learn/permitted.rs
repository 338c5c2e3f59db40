//! Is a use permitted by a list? The decider says so, as it does when the program runs again.
//!
//! Layers other than the author's list are left out of it: their limits are lifted here, and the deny list is empty, since
//! what they refuse is no use. A use by name is permitted if its look-up is, and each address that it was seen at is with
//! the grant of that look-up.

use std::sync::Arc;
use std::time::Instant;

use outport_policy::{
    Address, AllowList, Attempt, Decision, Endpoint, Grants, Host, Limit, LookupOutcome, Name, Operator,
    Peers, Policy, PortRange, Quotas, RequestMethod, RuntimeLimits, Situation, Transport, Usage,
};

use super::uses::{Target, Use};

/// True if an author's list permits everything of a use.
pub fn permits(list: &AllowList, used: &Use) -> bool {
    ByList::new(list.clone()).permits(used)
}

/// A list that uses are held to.
pub(super) struct ByList {
    policy: Policy,
    /// What nobody looked up.
    nothing: Grants,
    peers: Peers,
    now: Instant,
}

impl ByList {
    pub(super) fn new(list: AllowList) -> Self {
        let quotas = Quotas::default();
        let operator = Operator {
            limits: RuntimeLimits {
                udp: Limit::Lifted,
                loopback_ports: [PortRange::ALL].into_iter().collect(),
                link_local: Limit::Lifted,
                loopback_answers: Limit::Lifted,
            },
            ..Operator::default()
        };
        Self {
            policy: Policy::new("", Arc::new(list), Arc::new(operator)),
            nothing: Grants::new(quotas.granted_names),
            peers: Peers::from(&quotas),
            // The policy measures no time by it.
            now: Instant::now(),
        }
    }

    pub(super) fn permits(&self, used: &Use) -> bool {
        match &used.target {
            Target::Lookup { name } => self.permits_lookup(name),
            Target::Request { scheme, host, port } => self.decides(
                &Attempt::Request {
                    scheme,
                    host,
                    port: *port,
                    method: RequestMethod::Other,
                },
                &self.nothing,
            ),
            Target::Socket {
                transport,
                host: Host::Address(address),
                port,
            } => self.decides(&to(*transport, *address, *port), &self.nothing),
            Target::Socket {
                transport,
                host: Host::Name(name),
                port,
            } => {
                let granted = self.granted(name, used);
                let mut addresses = used.addresses.iter();
                self.permits_lookup(name)
                    // Of more addresses than are known only an entry for the name permits all.
                    && (!used.more_addresses || self.names(name, *transport, *port))
                    && addresses.all(|address| self.decides(&to(*transport, *address, *port), &granted))
            }
        }
    }

    fn permits_lookup(&self, name: &Name) -> bool {
        self.decides(&Attempt::Lookup { name }, &self.nothing)
    }

    /// True if an address that no entry is for would be permitted by the name.
    fn names(&self, name: &Name, transport: Transport, port: u16) -> bool {
        let nowhere = Address::new(std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into());
        let granted = grants(name, vec![nowhere], self.now);
        self.decides(&to(transport, nowhere, port), &granted)
    }

    fn granted(&self, name: &Name, used: &Use) -> Grants {
        grants(name, used.addresses.iter().copied().collect(), self.now)
    }

    fn decides(&self, attempt: &Attempt<'_>, grants: &Grants) -> bool {
        let situation = Situation {
            grants,
            peers: &self.peers,
            usage: Usage::default(),
            now: self.now,
        };
        matches!(self.policy.decide(attempt, &situation), Decision::Allow(_))
    }
}

fn grants(name: &Name, addresses: Vec<Address>, now: Instant) -> Grants {
    let mut grants = Grants::new(1);
    let ticket = grants.begin(name.clone());
    let chain = Vec::new();
    grants.settle(ticket, LookupOutcome::Answered { chain, addresses }, now);
    grants
}

fn to(transport: Transport, address: Address, port: u16) -> Attempt<'static> {
    let remote = Endpoint::new(address, port);
    match transport {
        Transport::Tcp => Attempt::Connect { transport, remote },
        Transport::Udp => Attempt::Send { remote },
    }
}
