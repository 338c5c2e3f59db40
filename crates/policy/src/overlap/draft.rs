//! Gathers what is kept out: the deny list, then the hard limits, then the runtime limits, as rules over sets.

use ipnet::IpNet;

use super::cut::KeptOutBy;
use super::rules::{Readings, Rule};
use crate::special_purpose::private_networks;
use crate::{
    BlockedNetwork, EgressProxy, Entry, EntryScheme, Host, HostPattern, Hosts, Limit, Name, Operator,
    PortRange, PortSet, Protocol, Protocols, Reason, Region, RuntimeLimits, Scheme,
};

/// The list of what is kept out, while it is gathered.
#[derive(Default)]
pub(super) struct Draft<'p> {
    pub(super) rules: Vec<Rule>,
    pub(super) owners: Vec<KeptOutBy<'p>>,
}

impl<'p> Draft<'p> {
    pub(super) fn of(operator: &'p Operator) -> Self {
        let mut draft = Self::of_deny_list(operator);
        draft.limits(operator);
        draft
    }

    pub(super) fn of_deny_list(operator: &'p Operator) -> Self {
        let mut draft = Self::default();
        for entry in operator.deny.entries() {
            draft.entry(entry);
        }
        for blocked in operator.deny.blocked_networks() {
            draft.blocked(blocked);
        }
        for (address, name) in operator.deny.learned().iter() {
            // Behind what is written: where both keep something out, what somebody wrote is told.
            draft.learned(address.ip().into(), name, operator.deny.entries());
        }
        draft
    }

    pub(super) fn limits(&mut self, operator: &Operator) {
        self.hard_limits();
        if let Some(proxy) = &operator.egress_proxy {
            self.egress_proxy(proxy);
        }
        self.runtime_limits(&operator.limits, operator.egress_proxy.is_some());
    }

    fn entry(&mut self, entry: &'p Entry) {
        self.owners.push(KeptOutBy::Entry(entry));
        for region in Region::denied_by(entry) {
            // An entry has no other hosts.
            let Hosts::Pattern(host) = &region.hosts else {
                continue;
            };
            let expanded = crate::deny_list::loopback_of_localhost(host);
            for components in denied_components(&region, host) {
                self.rule(&requests(), components, PortSet::all(), Readings::All);
            }
            for host in expanded.into_iter().chain([host.clone()]) {
                self.rule(&region.protocols, host, region.ports.clone(), Readings::All);
            }
        }
    }

    fn blocked(&mut self, blocked: &'p BlockedNetwork) {
        self.owners.push(KeptOutBy::Blocked(blocked));
        match blocked.network() {
            Some(net) => self.all_of(net),
            None => private_networks().into_iter().for_each(|net| self.all_of(net)),
        }
    }

    /// An address of denied names is denied on the ports of their entries (DL-5).
    fn learned(&mut self, net: IpNet, name: &Name, entries: &'p [Entry]) {
        let host = Host::Name(name.clone());
        for entry in entries {
            if entry
                .hosts()
                .iter()
                .any(|pattern| *pattern != HostPattern::ToSelf && pattern.matches(&host))
            {
                self.owners.push(KeptOutBy::Entry(entry));
                for region in Region::denied_by(entry) {
                    self.rule(
                        &region.protocols,
                        HostPattern::Network(net),
                        region.ports,
                        Readings::All,
                    );
                }
            }
        }
    }

    fn hard_limits(&mut self) {
        self.limit(
            Reason::HardMulticast,
            &["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"],
        );
        self.owners.push(KeptOutBy::Limit(Reason::HardUnspecified));
        for net in ["0.0.0.0/32", "::/128"].map(parse) {
            self.rule(
                &Protocols::all(),
                HostPattern::Network(net),
                PortSet::all(),
                Readings::Itself,
            );
        }
        self.owners.push(KeptOutBy::Limit(Reason::DnsNameNotAllowed));
        for host in all_components() {
            let all_others = Protocols::all().difference(&requests());
            self.rule(&all_others, host, PortSet::all(), Readings::Itself);
        }
    }

    /// The proxy itself (PX-2): at its addresses, on its machine's loopback, and for requests by its name.
    fn egress_proxy(&mut self, proxy: &EgressProxy) {
        self.owners.push(KeptOutBy::Limit(Reason::HardEgressProxy));
        let one = |port| PortRange::new(port, port).into_iter().collect::<PortSet>();
        for endpoint in proxy.endpoints() {
            let host = HostPattern::Network(endpoint.address.ip().into());
            self.rule(&Protocols::all(), host, one(endpoint.port), Readings::All);
        }
        for port in proxy.local_ports() {
            for net in LOOPBACK.map(parse) {
                let host = HostPattern::Network(net);
                self.rule(&Protocols::all(), host, one(*port), Readings::All);
            }
        }
        for (host, port) in proxy.named() {
            if let Host::Name(name) = host {
                let host = HostPattern::Name(name.clone());
                self.rule(&Protocols::urls(), host, one(*port), Readings::Itself);
            }
        }
    }

    fn runtime_limits(&mut self, limits: &RuntimeLimits, proxied: bool) {
        let privileged: PortSet = PortRange::new(1, 1023).into_iter().collect();
        let shut = privileged.difference(&limits.loopback_ports);
        if !shut.is_empty() {
            self.owners.push(KeptOutBy::Limit(Reason::RuntimeLoopbackPort));
            for net in LOOPBACK.map(parse) {
                self.rule(
                    &Protocols::all(),
                    HostPattern::Network(net),
                    shut.clone(),
                    Readings::All,
                );
            }
        }
        if proxied || limits.udp == Limit::Holds {
            let reason = if proxied {
                Reason::RuntimeUdpProxied
            } else {
                Reason::RuntimeUdp
            };
            self.owners.push(KeptOutBy::Limit(reason));
            self.rule(
                &Protocols::udp(),
                HostPattern::Any,
                PortSet::all(),
                Readings::Itself,
            );
        }
        if limits.link_local == Limit::Holds {
            self.limit(Reason::RuntimeLinkLocal, &["169.254.0.0/16", "fe80::/10"]);
            for ip in crate::address::METADATA_SERVICES {
                self.all_of(ip.into());
            }
        }
    }

    fn limit(&mut self, reason: Reason, networks: &[&str]) {
        self.owners.push(KeptOutBy::Limit(reason));
        for net in networks {
            self.all_of(parse(net));
        }
    }

    fn all_of(&mut self, net: IpNet) {
        self.rule(
            &Protocols::all(),
            HostPattern::Network(net),
            PortSet::all(),
            Readings::All,
        );
    }

    fn rule(&mut self, protocols: &Protocols, host: HostPattern, ports: PortSet, readings: Readings) {
        self.rules.push(Rule {
            protocols: protocols.clone(),
            host,
            ports,
            readings,
            owner: self.owners.len() - 1,
        });
    }
}

/// What counts as loopback for judging (HL-6).
const LOOPBACK: [&str; 4] = ["127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"];

/// The components of the app that an entry of the deny list keeps out on every port and under either scheme of
/// requests, since these lead nowhere else (AL-10): those that it names, or all if it covers every host on
/// `http`'s port.
fn denied_components(region: &Region, host: &HostPattern) -> Vec<HostPattern> {
    let denies = |scheme| region.protocols.contains(Protocol::Url(&scheme));
    let requests = denies(Scheme::HTTP) || denies(Scheme::HTTPS);
    let above = |apex: &Name| components().parents().any(|parent| parent == apex.as_str());
    match host {
        HostPattern::Name(name) | HostPattern::Subdomains(name) if name.is_service_chaining() => {
            requests.then(|| host.clone()).into_iter().collect()
        }
        HostPattern::Subdomains(apex) if above(apex) && requests => all_components(),
        HostPattern::Any if denies(Scheme::HTTP) && region.ports.contains(80) => all_components(),
        _ => Vec::new(),
    }
}

fn all_components() -> Vec<HostPattern> {
    vec![
        HostPattern::Name(components()),
        HostPattern::Subdomains(components()),
    ]
}

/// The name that the names of components are below.
fn components() -> Name {
    Name::parse("spin.internal").expect("INVARIANT: it is a name")
}

/// Requests over HTTP.
fn requests() -> Protocols {
    let of = |scheme| Protocols::permitted_by(&EntryScheme::Url(scheme));
    of(Scheme::HTTP).union(&of(Scheme::HTTPS))
}

fn parse(net: &str) -> IpNet {
    net.parse().expect("INVARIANT: a network of this file is one")
}
