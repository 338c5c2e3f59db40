//! The decider: the one function that judges every way out.
//!
//! An [`Attempt`] passes the layers in order, and the first that refuses gives the reason (ORD-1):
//!
//! | layer | refuses | consults |
//! | --- | --- | --- |
//! | 1 hard limits | listening, accepting, chosen local addresses, unsolicited datagrams, multicast | peers |
//! | 2 deny list | what the operator names, by name, alias, address, embedded address | [`DenyList`](crate::DenyList) |
//! | 3 runtime limits | UDP, privileged loopback ports, link-local and metadata addresses | [`RuntimeLimits`](crate::RuntimeLimits) |
//! | 4 allow list | everything that no entry permits, by itself or through a look-up | [`AllowList`], [`Grants`](crate::Grants) |
//! | 5 quotas | what is too much at once | [`Usage`](crate::Usage) |
//!
//! The function is pure: the instance's state, what is counted and the time come in as a [`Situation`]. It
//! allocates nothing; what a message needs is made from the [`Denial`] by whoever wants the message.
//!
//! An [address of the operator's own](AllowList::of_operator) is not asked about in layers 2 and 3, which are the
//! operator's, too (HI-6).
//!
//! Every remote address is a canonical [`Address`] by the time it gets here. What it embeds is judged by layers 1
//! to 3 as well, and never permits anything in layer 4 (HL-7).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::deny_list::DenyMatch;
use crate::{
    Address, AllowList, AnswerSource, Attempt, Decision, Denial, Endpoint, Host, Layer, Limit, Name,
    Operator, Permit, Protocol, Reason, RequestMethod, Rule, Situation, Transport,
};

/// The policy of one component: its author's allow list within the operator's limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    component: Arc<str>,
    allow: Arc<AllowList>,
    /// The component that it is a part of, which has to permit it as well.
    within: Option<Arc<Self>>,
    operator: Arc<Operator>,
}

/// The answer of one layer to an attempt.
#[derive(Clone, Debug)]
pub enum LayerAnswer<'p> {
    /// Nothing against it.
    Passes,
    /// Permits it for this rule. Only the allow list does.
    Permits(Rule<'p>),
    /// Refuses it.
    Refuses(Denial<'p>),
}

impl Policy {
    /// The policy of the component called `component`.
    pub fn new(component: impl Into<Arc<str>>, allow: Arc<AllowList>, operator: Arc<Operator>) -> Self {
        Self {
            component: component.into(),
            allow,
            within: None,
            operator,
        }
    }

    /// The policy of a part of this component, such as a dependency: what `allow` permits, as far as this policy permits
    /// it as well. It is never wider than this one, whatever `allow` has.
    #[must_use]
    pub fn for_part(&self, part: impl Into<Arc<str>>, allow: Arc<AllowList>) -> Self {
        Self {
            component: part.into(),
            allow,
            within: Some(Arc::new(self.clone())),
            operator: Arc::clone(&self.operator),
        }
    }

    /// The policy of the component that it is [a part](Self::for_part) of.
    pub fn within(&self) -> Option<&Self> {
        self.within.as_deref()
    }

    /// The component's name.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// The author's allow list.
    pub fn allow(&self) -> &AllowList {
        &self.allow
    }

    /// The operator's part.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Judges an attempt.
    pub fn decide<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'p>) -> Decision<'p> {
        if let Some(denial) = self.hard(attempt, situation) {
            return Decision::Deny(denial);
        }
        if let Some(denial) = self.deny_list(attempt) {
            return Decision::Deny(denial);
        }
        if let Some(denial) = self.runtime_limits(attempt) {
            return Decision::Deny(denial);
        }
        let rule = match self.allow_list(attempt, situation) {
            Ok(rule) => rule,
            Err(denial) => return Decision::Deny(denial),
        };
        // Quotas last: what is not permitted anyway is told as that, however much is open.
        match self.quotas(attempt, situation) {
            Some(denial) => Decision::Deny(denial),
            None => Decision::Allow(Permit::new(rule, way_out(attempt))),
        }
    }

    /// Every refusal of an attempt, the one that [`decide`](Self::decide) gives first: what has to be changed before it
    /// is permitted (RSN-5). Where a hard limit refuses there is nothing to change, and it is told alone.
    ///
    /// This is for those who tell people, not for judging: it asks all layers and allocates.
    pub fn denials<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'p>) -> Vec<Denial<'p>> {
        if let Some(denial) = self.hard(attempt, situation) {
            return vec![denial];
        }
        let limits = if self.allow.is_the_operators() {
            [None, None]
        } else {
            // Both, since lifting the one leaves the other.
            [self.shut_transport_of(attempt), self.shut_remote_of(attempt)]
        };
        let mut denials: Vec<Denial<'p>> = self
            .deny_list(attempt)
            .into_iter()
            .chain(limits.into_iter().flatten())
            .chain(self.listed(attempt, situation).err())
            .chain(
                self.within()
                    .and_then(|whole| whole.allow_list(attempt, situation).err())
                    .map(Denial::of_whole),
            )
            .chain(self.quotas(attempt, situation))
            .collect();
        if !denials.is_empty() && !self.allow.is_the_operators() {
            denials.extend(self.shut_behind(attempt));
        }
        denials
    }

    /// The denial behind a request that is refused by its name, where the addresses of the name are known already.
    fn shut_behind(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
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

    /// The answer of one layer alone, for explanations. [`decide`](Self::decide) is the first refusal of all layers.
    pub fn ask<'p>(
        &'p self,
        layer: Layer,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> LayerAnswer<'p> {
        let refusal = match layer {
            Layer::Hard => self.hard(attempt, situation),
            Layer::DenyList => self.deny_list(attempt),
            Layer::RuntimeLimits => self.runtime_limits(attempt),
            Layer::AllowList => {
                return match self.allow_list(attempt, situation) {
                    Ok(rule) => LayerAnswer::Permits(rule),
                    Err(denial) => LayerAnswer::Refuses(denial),
                };
            }
            Layer::Quotas => self.quotas(attempt, situation),
        };
        refusal.map_or(LayerAnswer::Passes, LayerAnswer::Refuses)
    }

    fn hard<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'_>) -> Option<Denial<'p>> {
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
            | Attempt::Receive { peer: remote } => unreachable_remote(remote),
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
            } => unreachable_remote(Endpoint::new(*address, port)),
            Attempt::Request { port: 0, .. } => Some(Reason::HardPortZero),
            Attempt::Tls {
                server: Host::Address(address),
                ..
            } => unreachable_address(*address),
            Attempt::Request { .. }
            | Attempt::Tls { .. }
            | Attempt::CreateSocket { .. }
            | Attempt::Lookup { .. }
            | Attempt::Open { .. } => None,
        };
        reason.map(Denial::new)
    }

    fn deny_list<'p>(&'p self, attempt: &Attempt<'_>) -> Option<Denial<'p>> {
        if self.allow.is_the_operators() {
            return None;
        }
        let deny = &self.operator.deny;
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
            Attempt::Tls { server, ports } => return self.denies_server(server, ports),
            Attempt::CreateSocket { .. }
            | Attempt::Bind { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            | Attempt::Open { .. } => None,
        };
        refusal.map(Denial::from)
    }

    /// The refusal of a server that TLS is to be spoken with, on any of the ports that the guest has a connection to
    /// (TLS-5). The name stands in the log as it was given.
    fn denies_server(&self, server: &Host, ports: &[u16]) -> Option<Denial<'_>> {
        let deny = &self.operator.deny;
        let protocol = Protocol::Socket(Transport::Tcp);
        let mut refusals = ports.iter().filter_map(|&port| match server {
            Host::Name(name) => deny.refuses_name(name, &[], protocol, port),
            Host::Address(address) => deny.refuses_address(*address, protocol, port),
        });
        let refusal = refusals.next()?;
        Some(Denial::from(DenyMatch {
            reason: Reason::DenyTlsName,
            ..refusal
        }))
    }

    fn runtime_limits<'p>(&'p self, attempt: &Attempt<'_>) -> Option<Denial<'p>> {
        if self.allow.is_the_operators() {
            return None;
        }
        self.shut_transport_of(attempt)
            .or_else(|| self.shut_remote_of(attempt))
    }

    fn shut_transport_of(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
        match *attempt {
            Attempt::CreateSocket { transport }
            | Attempt::Bind { transport, .. }
            | Attempt::Connect { transport, .. } => self.shut_transport(transport),
            Attempt::Send { .. } | Attempt::Receive { .. } => self.shut_transport(Transport::Udp),
            Attempt::Dial { .. }
            | Attempt::Request { .. }
            | Attempt::Answer { .. }
            | Attempt::Lookup { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            | Attempt::Tls { .. }
            | Attempt::Open { .. } => None,
        }
    }

    fn shut_remote_of(&self, attempt: &Attempt<'_>) -> Option<Denial<'_>> {
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
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            // It goes nowhere; what is connected to was judged when it was.
            | Attempt::Tls { .. }
            | Attempt::Open { .. } => None,
        }
    }

    fn shut_transport(&self, transport: Transport) -> Option<Denial<'_>> {
        let shut = transport == Transport::Udp && self.operator.limits.udp == Limit::Holds;
        shut.then(|| Denial::new(Reason::RuntimeUdp).lifted_by("--allow-udp"))
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
        shut.then(|| Denial::new(Reason::RuntimeLinkLocal).lifted_by("--allow-link-local"))
    }

    /// Layer 4: the own list, and around a part that of its component.
    fn allow_list<'p>(
        &'p self,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> Result<Rule<'p>, Denial<'p>> {
        match &self.within {
            None => self.own_list(attempt, situation),
            Some(whole) => self.list_within(whole, attempt, situation),
        }
    }

    /// The lists of a part and of what it is a part of. Kept out of the way of the components that have none, which is
    /// nearly all of them.
    #[cold]
    fn list_within<'p>(
        &'p self,
        whole: &'p Self,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> Result<Rule<'p>, Denial<'p>> {
        let rule = self.listed(attempt, situation)?;
        whole.allow_list(attempt, situation).map_err(Denial::of_whole)?;
        Ok(rule)
    }

    /// What the own list says, with a denial that tells whose it is.
    fn listed<'p>(
        &'p self,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> Result<Rule<'p>, Denial<'p>> {
        let verdict = self.own_list(attempt, situation);
        match self.within {
            Some(_) => verdict.map_err(Denial::of_part),
            None => verdict,
        }
    }

    fn own_list<'p>(
        &'p self,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> Result<Rule<'p>, Denial<'p>> {
        if self.allow.is_not_inherited() {
            // Hosts and labels are inherited one by one.
            let label = match *attempt {
                Attempt::Open { kind, label } => self.allow.grants_label(kind, label),
                _ => None,
            };
            return label
                .map(Rule::Label)
                .ok_or_else(|| Denial::new(Reason::AllowNotInherited));
        }
        match *attempt {
            // A socket reaches nobody. With an empty list it can be neither bound nor connected, and the denial of that
            // says where the guest would have gone (ORD-2, RSN-2).
            Attempt::CreateSocket { .. } => Ok(Rule::Harmless),
            Attempt::Bind { .. } if self.allow.is_empty() => Err(Denial::new(Reason::AllowNone)),
            Attempt::Bind { .. } => Ok(Rule::Harmless),
            // Layer 1 has refused these; a layer that is asked alone must not say yes to them either.
            Attempt::Listen { .. } => Err(Denial::new(Reason::HardListen)),
            Attempt::Accept { .. } => Err(Denial::new(Reason::HardAccept)),
            Attempt::Connect { transport, remote } => self.permits_socket(transport, remote, situation),
            Attempt::Send { remote } | Attempt::Receive { peer: remote } => {
                self.permits_socket(Transport::Udp, remote, situation)
            }
            Attempt::Lookup { name } => self.permits_lookup(name),
            Attempt::Answer {
                name,
                address,
                source,
                ..
            } => {
                let rule = self.permits_lookup(name)?;
                // Any socket: the guard asks whether the author meant the address, not which port.
                self.guard_rebinding(name, address, source, Protocol::Socket(Transport::Tcp))?;
                Ok(rule)
            }
            Attempt::Request {
                scheme, host, port, ..
            } => self.permits_request(host, Protocol::Url(scheme), port),
            Attempt::Dial {
                scheme,
                host,
                remote,
                source,
                ..
            } => {
                let rule = self.permits_request(host, Protocol::Url(scheme), remote.port)?;
                if let Host::Name(name) = host {
                    self.guard_rebinding(name, remote.address, source, Protocol::Url(scheme))?;
                }
                Ok(rule)
            }
            // The author's list has permitted the connection.
            Attempt::Tls { .. } => Ok(Rule::Harmless),
            Attempt::Open { kind, label } => self
                .allow
                .grants_label(kind, label)
                .map(Rule::Label)
                .ok_or_else(|| Denial::new(Reason::AllowLabel)),
        }
    }

    fn permits_socket<'p>(
        &'p self,
        transport: Transport,
        remote: Endpoint,
        situation: &Situation<'p>,
    ) -> Result<Rule<'p>, Denial<'p>> {
        let protocol = Protocol::Socket(transport);
        // An entry for the address itself needs no look-up, so it comes before the grants.
        if let Some(entry) = self.allow.permits_address(remote, protocol) {
            return Ok(Rule::Entry(entry));
        }
        let mut denied = None;
        let mut granted = None;
        for grant in situation.grants.of(remote.address) {
            granted.get_or_insert(grant.name);
            let Some(entry) = self.allow.permits_name(grant.name, protocol, remote.port) else {
                continue;
            };
            match self
                .operator
                .deny
                .refuses_name(grant.name, grant.chain, protocol, remote.port)
            {
                None => {
                    return Ok(Rule::Grant {
                        name: grant.name,
                        entry,
                    });
                }
                // Not the end of it: another name may grant the same address, and not be denied.
                Some(refusal) => {
                    denied = Some(
                        Denial::from(refusal)
                            .named(Some(grant.name.clone()))
                            .near(Some(entry)),
                    )
                }
            }
        }
        Err(denied.unwrap_or_else(|| {
            let miss = self
                .allow
                .miss_of_socket(remote, transport, granted, situation.grants);
            let (reason, closest, name) = miss;
            Denial::new(reason).near(closest).named(name)
        }))
    }

    fn permits_lookup(&self, name: &Name) -> Result<Rule<'_>, Denial<'_>> {
        // Such names never leave the app (AL-7), whatever wildcard covers them.
        if name.is_service_chaining() {
            return Err(Denial::new(Reason::DnsNameNotAllowed));
        }
        self.allow.permits_lookup(name).map(Rule::Entry).ok_or_else(|| {
            let (reason, closest, _) = self.allow.miss_of_lookup(name);
            Denial::new(reason).near(closest)
        })
    }

    fn permits_request(
        &self,
        host: &Host,
        protocol: Protocol<'_>,
        port: u16,
    ) -> Result<Rule<'_>, Denial<'_>> {
        if let Host::Name(name) = host
            && protocol.is_kept_from(name)
        {
            return Err(Denial::new(Reason::DnsNameNotAllowed));
        }
        self.allow
            .permits_host(host, protocol, port)
            .map(Rule::Entry)
            .ok_or_else(|| {
                let (reason, closest, _) = self.allow.miss_of_request(host, protocol, port);
                Denial::new(reason).near(closest)
            })
    }

    /// The rebinding guard (DNS-9): a server must not turn a name into this machine or link, unless somebody who may
    /// say so did.
    fn guard_rebinding(
        &self,
        name: &Name,
        address: Address,
        source: AnswerSource,
        protocol: Protocol<'_>,
    ) -> Result<(), Denial<'_>> {
        let loopback = address.reads_as_loopback();
        let guarded = loopback || address.reads_as_link_local() || address.reads_as_multicast();
        let lifted = loopback && self.operator.limits.loopback_answers == Limit::Lifted;
        // What the machine itself says (its hosts file, and Outport for `localhost`) is no stranger's word.
        if !guarded || lifted || name.is_localhost() || source != AnswerSource::Server {
            return Ok(());
        }
        if self.allow.is_the_operators() {
            return Ok(());
        }
        if self.allow.means_address(address, protocol).is_some() {
            return Ok(());
        }
        let denial = Denial::new(Reason::DnsRebinding).named(Some(name.clone()));
        Err(if loopback {
            denial.lifted_by("--allow-loopback-answers")
        } else {
            denial
        })
    }

    fn quotas<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'_>) -> Option<Denial<'p>> {
        let quotas = &self.operator.quotas;
        let usage = situation.usage;
        // At the bound already: what is held is counted without the one that asks.
        let reached = |limit: Option<u32>, used: u32| limit.is_some_and(|limit| used >= limit);
        // Sockets and connections of HTTP share their bounds, but not the word for it.
        let too_many = |reason: Reason| {
            let of_process = usage.sockets_of_process.saturating_add(usage.kept_for_others);
            if usage.sockets_of_instance >= quotas.sockets_per_instance {
                Some(Denial::new(reason).lifted_by("--max-sockets-per-instance"))
            } else if of_process >= quotas.sockets_per_process {
                Some(Denial::new(reason).lifted_by("--max-sockets"))
            } else {
                None
            }
        };
        let too_many_connections = || {
            reached(quotas.total_connections, usage.connections_of_process)
                .then(|| Denial::new(Reason::QuotaConnections).lifted_by("max_total_connections"))
        };
        match attempt {
            Attempt::CreateSocket { .. } => too_many(Reason::QuotaSockets)
                .or_else(|| {
                    reached(quotas.sockets_per_component, usage.sockets_of_component)
                        .then(|| Denial::new(Reason::QuotaConnections).lifted_by("max_socket_connections"))
                })
                .or_else(too_many_connections),
            Attempt::Lookup { .. } => (usage.lookups_of_instance >= quotas.lookups_in_flight)
                .then(|| Denial::new(Reason::QuotaLookups)),
            Attempt::Dial { .. } => too_many(Reason::QuotaConnections).or_else(too_many_connections),
            Attempt::Tls { .. } => (usage.tls_of_instance
                >= TLS_PER_CONNECTION.saturating_mul(usage.tcp_connections_of_instance))
            .then(|| Denial::new(Reason::QuotaConnections)),
            _ => None,
        }
    }
}

/// True if the guest chose a local address or port: only what the system would choose itself is permitted (HL-3).
fn chosen_local(local: SocketAddr) -> bool {
    !local.ip().is_unspecified() || local.port() != 0
}

/// The reason why no guest reaches `remote`, if it is such an address (HL-5, HL-6).
fn unreachable_remote(remote: Endpoint) -> Option<Reason> {
    if remote.port == 0 {
        Some(Reason::HardPortZero)
    } else {
        unreachable_address(remote.address)
    }
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

/// TLS connections of the host's that an instance may have for each TCP connection: a proxy is spoken to in TLS, and
/// within that the server behind it.
const TLS_PER_CONNECTION: u32 = 2;

/// The destination that a permit leads to. To receive a datagram is no way out.
fn way_out(attempt: &Attempt<'_>) -> Option<Endpoint> {
    match attempt {
        Attempt::Receive { .. } => None,
        attempt => attempt.remote(),
    }
}

#[cfg(test)]
mod tests;
