//! Layer 4, the author's allow list (AL): what no entry permits, by itself or through a look-up, is refused.
//!
//! Asks the [`AllowList`](crate::AllowList) of the component, and around a part that of the component as well; for an address
//! that no entry permits by itself the [`Grants`](crate::Grants) of the instance, of which the deny list of the operator takes
//! away again (DL-3). An answer to a look-up passes the rebinding guard here (DNS-9).

use super::Policy;
use crate::index::Side;
use crate::{
    Address, AnswerSource, Attempt, Denial, Endpoint, Host, Limit, Name, Protocol, Reason, Rule, Setting,
    Situation, Transport,
};

impl Policy {
    /// Layer 4: the own list, and around a part that of its component.
    pub(super) fn allow_list<'p>(
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
    pub(super) fn listed<'p>(
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
            Attempt::Bind { .. } if self.allow.is_empty() && !self.allow.may_grow() => {
                Err(Denial::new(Reason::AllowNone))
            }
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
            Attempt::Tls { server, remotes } => self.permits_server(server, remotes),
            Attempt::ClientHello { server, remote } => self.permits_hello(server, remote),
            // The author's list has permitted what it is for.
            Attempt::Resolve { .. } => Ok(Rule::Harmless),
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
        let patterns = self.allow.at(remote.address);
        if let Some(found) = patterns.find(Side::Allow, protocol, remote.port) {
            return Ok(Rule::Entry(found.entry));
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
                .miss_of_socket(&patterns, remote, transport, granted, situation.grants);
            let (reason, closest, name) = miss;
            Denial::new(reason).near(closest).named(name)
        }))
    }

    fn permits_lookup(&self, name: &Name) -> Result<Rule<'_>, Denial<'_>> {
        // Such names never leave the app (AL-7), whatever wildcard covers them.
        if name.is_service_chaining() {
            return Err(Denial::new(Reason::DnsNameNotAllowed));
        }
        let alone = || self.allow.permits_lookup_alone(name).map(Rule::Lookup);
        let entry = self.allow.permits_lookup(name).map(Rule::Entry);
        entry.or_else(alone).ok_or_else(|| {
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
            denial.lifted_by(Setting::LoopbackAnswers)
        } else {
            denial
        })
    }
}
