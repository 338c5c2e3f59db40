//! The naive model of a whole run: lists that are walked from the front, and a clock that is a number.
//!
//! Every question is answered with the set of reasons that a refusal may have; the empty set is an allow. There is
//! more than one where several entries refuse and the specification does not say which of them is named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use outport_policy::Reason;

use super::written::{MHost, PORTS, Target, Written};

pub(crate) type Reasons = BTreeSet<Reason>;

/// What an attempt speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tcp,
    Udp,
    /// A URL of this scheme.
    Url(&'static str),
}

/// The operator's side.
#[derive(Clone, Debug, Default)]
pub(crate) struct MOperator {
    pub(crate) deny: Vec<Written>,
    pub(crate) udp: bool,
    pub(crate) low_ports: bool,
    pub(crate) link: bool,
    pub(crate) loopback_answers: bool,
    /// What denied names resolved to.
    pub(crate) learned: Vec<(&'static str, Target)>,
}

/// A name's grants.
#[derive(Clone, Debug)]
struct MGrant {
    name: &'static str,
    chain: Vec<&'static str>,
    targets: Vec<&'static str>,
    ticket: u64,
    time: u64,
}

/// The state of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct MInstance {
    grants: Vec<MGrant>,
    /// How the grants of a place ended, last time.
    ended: BTreeMap<&'static str, Reason>,
    /// The newest look-up of each name that has settled, whatever became of its grants.
    settled: BTreeMap<&'static str, u64>,
    peers: Vec<(&'static str, u16, u64)>,
    pub(crate) in_flight: usize,
}

pub(crate) const MOST_NAMES: usize = 2;
pub(crate) const MOST_PEERS: usize = 2;
pub(crate) const PEER_IDLE: u64 = 120;
pub(crate) const MOST_IN_FLIGHT: usize = 3;

pub(crate) struct Model<'a> {
    pub(crate) allow: &'a [Written],
    pub(crate) operator: &'a MOperator,
}

fn one(reason: Reason) -> Reasons {
    BTreeSet::from([reason])
}

/// The first layer that refuses.
fn first(layers: impl IntoIterator<Item = Reasons>) -> Reasons {
    layers
        .into_iter()
        .find(|refused| !refused.is_empty())
        .unwrap_or_default()
}

fn when(condition: bool, reason: Reason) -> Reasons {
    condition.then_some(reason).into_iter().collect()
}

fn bits(ip: &str) -> (u128, u32) {
    match ip.parse::<IpAddr>().expect("the tables hold addresses") {
        IpAddr::V4(ip) => (u32::from(ip).into(), 32),
        IpAddr::V6(ip) => (ip.into(), 128),
    }
}

fn covers_ip(host: MHost, ip: &str) -> bool {
    match host {
        MHost::Any => true,
        MHost::Net(net, length) => {
            let ((net, width), (ip, ip_width)) = (bits(net), bits(ip));
            width == ip_width && (length == 0 || net >> (width - length) == ip >> (width - length))
        }
        MHost::Name(_) | MHost::Below(_) => false,
    }
}

fn covers_name(host: MHost, name: &str) -> bool {
    match host {
        MHost::Any => true,
        MHost::Name(own) => own == name,
        MHost::Below(own) => name.ends_with(&format!(".{own}")),
        MHost::Net(..) => false,
    }
}

fn is_localhost_entry(host: MHost) -> bool {
    matches!(host, MHost::Name("localhost") | MHost::Below("localhost"))
}

fn under(name: &str, apex: &str) -> bool {
    name == apex || name.ends_with(&format!(".{apex}"))
}

fn permits(scheme: &str, speaks: Speaks) -> bool {
    match speaks {
        Speaks::Tcp => ["*", "tcp"].contains(&scheme),
        Speaks::Udp => ["*", "udp"].contains(&scheme),
        Speaks::Url(url) => ["*", url].contains(&scheme),
    }
}

fn denies(scheme: &str, speaks: Speaks) -> bool {
    match speaks {
        Speaks::Tcp => scheme != "udp",
        Speaks::Udp => ["*", "udp"].contains(&scheme),
        Speaks::Url(url) => ["*", "tcp", url].contains(&scheme),
    }
}

impl Model<'_> {
    // --- layer 2

    fn denying(&self, speaks: Speaks, port: u16) -> impl Iterator<Item = &Written> {
        self.operator.deny.iter().filter(move |entry| {
            entry.has_port(port) && entry.schemes.iter().any(|scheme| denies(scheme, speaks))
        })
    }

    fn denied_name(&self, name: &str, chain: &[&str], speaks: Speaks, port: u16) -> Reasons {
        let denied = |name: &str| {
            let requests = [Speaks::Url("http"), Speaks::Url("https")];
            let itself = self
                .denying(speaks, port)
                .any(|entry| covers_name(entry.host, name));
            if !requests.contains(&speaks) || !under(name, "spin.internal") {
                return itself;
            }
            // A component has no port.
            let by_name = self.operator.deny.iter().any(|entry| {
                let spoken = |scheme: &&str| requests.iter().any(|speaks| denies(scheme, *speaks));
                !matches!(entry.host, MHost::Any)
                    && covers_name(entry.host, name)
                    && entry.schemes.iter().any(spoken)
            });
            itself
                || by_name
                || self
                    .denying(requests[0], 80)
                    .any(|entry| matches!(entry.host, MHost::Any))
        };
        if denied(name) {
            return one(Reason::DenyHost);
        }
        when(chain.iter().any(|alias| denied(alias)), Reason::DenyCname)
    }

    /// Any reading may be the one that is named, but none is looked at before those that stand before it.
    fn denied_target(&self, target: Target, speaks: Speaks, port: u16) -> Reasons {
        first(
            target
                .readings
                .iter()
                .map(|reading| self.denied_reading(reading, speaks, port)),
        )
    }

    fn denied_reading(&self, ip: &str, speaks: Speaks, port: u16) -> Reasons {
        let loopback = ip == "::1" || ip == "0.0.0.0" || ip.starts_with("127.") || ip.starts_with("0.");
        let by_address: Reasons = self
            .denying(speaks, port)
            .filter_map(|entry| match entry.host {
                host if is_localhost_entry(host) && loopback => Some(Reason::DenyHost),
                host if !covers_ip(host, ip) => None,
                MHost::Net(net, length) if length != bits(net).1 => Some(Reason::DenyNetwork),
                _ => Some(Reason::DenyHost),
            })
            .collect();
        let learned = self.operator.learned.iter().filter(|(_, own)| own.text == ip);
        let by_name = learned
            .filter(|(name, _)| !self.denied_name(name, &[], speaks, port).is_empty())
            .map(|_| Reason::DenyNameAddress);
        first([by_address, by_name.collect()])
    }

    fn nothing_left(&self, denied: impl Fn(Speaks, u16) -> bool) -> bool {
        let all = |speaks| {
            PORTS
                .iter()
                .filter(|port| **port > 0)
                .all(|port| denied(speaks, *port))
        };
        all(Speaks::Tcp) && (!self.operator.udp || all(Speaks::Udp))
    }

    fn denied_whole_name(&self, name: &str, chain: &[&str]) -> Reasons {
        if self.nothing_left(|speaks, port| !self.denied_name(name, chain, speaks, port).is_empty()) {
            self.denied_name(name, chain, Speaks::Tcp, 1)
        } else {
            Reasons::new()
        }
    }

    fn denied_whole_target(&self, target: Target) -> Reasons {
        if self.nothing_left(|speaks, port| !self.denied_target(target, speaks, port).is_empty()) {
            self.denied_target(target, Speaks::Tcp, 1)
        } else {
            Reasons::new()
        }
    }

    // --- layers 1 and 3

    fn no_destination(&self, target: Target, port: u16) -> Reasons {
        first([
            when(port == 0, Reason::HardPortZero),
            when(target.unspecified, Reason::HardUnspecified),
            when(target.multicast, Reason::HardMulticast),
        ])
    }

    fn limited(&self, target: Target, port: u16) -> Reasons {
        first([
            when(
                target.loopback && port < 1024 && !self.operator.low_ports,
                Reason::RuntimeLoopbackPort,
            ),
            when(target.link && !self.operator.link, Reason::RuntimeLinkLocal),
        ])
    }

    fn limited_udp(&self, speaks: Speaks) -> Reasons {
        when(speaks == Speaks::Udp && !self.operator.udp, Reason::RuntimeUdp)
    }

    // --- layer 4

    fn permitting(&self, speaks: Speaks, port: u16) -> impl Iterator<Item = &Written> {
        self.allow.iter().filter(move |entry| {
            entry.has_port(port) && entry.schemes.iter().any(|scheme| permits(scheme, speaks))
        })
    }

    /// The reason of the entry that lacks least, of those that cover the host.
    fn lacks(&self, covers: impl Fn(MHost) -> bool, speaks: Speaks, port: u16) -> Reason {
        let near: Vec<_> = self.allow.iter().filter(|entry| covers(entry.host)).collect();
        let speaks_it = |entry: &&Written| entry.schemes.iter().any(|scheme| permits(scheme, speaks));
        match () {
            () if near.is_empty() => Reason::AllowNoMatch,
            () if near.iter().any(|entry| entry.has_port(port)) => Reason::AllowScheme,
            () if near.iter().any(speaks_it) => Reason::AllowPort,
            () => Reason::AllowScheme,
        }
    }

    fn socket_allowed(&self, instance: &MInstance, target: Target, speaks: Speaks, port: u16) -> Reasons {
        if self
            .permitting(speaks, port)
            .any(|entry| covers_ip(entry.host, target.text))
        {
            return Reasons::new();
        }
        let granting: Vec<_> = instance
            .grants
            .iter()
            .filter(|grant| grant.targets.contains(&target.text))
            .collect();
        let mut denied = Reasons::new();
        for grant in &granting {
            let mut entries = self.permitting(speaks, port);
            if entries.any(|entry| covers_name(entry.host, grant.name)) {
                let refused = self.denied_name(grant.name, &grant.chain, speaks, port);
                if refused.is_empty() {
                    return refused;
                }
                denied.extend(refused);
            }
        }
        if !denied.is_empty() {
            return denied;
        }
        if self.allow.is_empty() {
            return one(Reason::AllowNone);
        }
        if !granting.is_empty() {
            let lack = |grant: &&MGrant| self.lacks(|host| covers_name(host, grant.name), speaks, port);
            return granting.iter().map(lack).collect();
        }
        if let Some(reason) = instance.ended.get(target.text) {
            return one(*reason);
        }
        let near = self.lacks(|host| covers_ip(host, target.text), speaks, port);
        // A look-up of `localhost` gives loopback addresses and no other.
        let named = |entry: &Written| match entry.host {
            MHost::Name(name) | MHost::Below(name) => target.loopback || !under(name, "localhost"),
            _ => false,
        };
        match near {
            Reason::AllowNoMatch if self.permitting(speaks, port).any(named) => {
                one(Reason::AllowNameNotLookedUp)
            }
            near => one(near),
        }
    }

    fn lookup_allowed(&self, name: &str) -> Reasons {
        let near: Vec<_> = self
            .allow
            .iter()
            .filter(|entry| covers_name(entry.host, name))
            .collect();
        let socket = |scheme: &&str| ["*", "tcp", "udp"].contains(scheme);
        match () {
            () if under(name, "spin.internal") => one(Reason::DnsNameNotAllowed),
            () if near.iter().any(|entry| entry.schemes.iter().any(socket)) => Reasons::new(),
            () if self.allow.is_empty() => one(Reason::AllowNone),
            () if near.is_empty() => one(Reason::DnsNameNotAllowed),
            () => one(Reason::AllowScheme),
        }
    }

    fn request_allowed(&self, covers: impl Fn(MHost) -> bool, speaks: Speaks, port: u16) -> Reasons {
        match () {
            () if self.permitting(speaks, port).any(|entry| covers(entry.host)) => Reasons::new(),
            () if self.allow.is_empty() => one(Reason::AllowNone),
            () => one(self.lacks(covers, speaks, port)),
        }
    }

    /// Components of the app are reached by requests of HTTP alone.
    fn name_allowed(&self, name: &str, speaks: Speaks, port: u16) -> Reasons {
        let requests = [Speaks::Url("http"), Speaks::Url("https")];
        match () {
            () if under(name, "spin.internal") && !requests.contains(&speaks) => {
                one(Reason::DnsNameNotAllowed)
            }
            () => self.request_allowed(|host| covers_name(host, name), speaks, port),
        }
    }

    fn rebinds(&self, name: &str, target: Target, schemes: &[&str]) -> Reasons {
        let guarded = target.loopback || target.local_link || target.multicast;
        let lifted = target.loopback && self.operator.loopback_answers;
        let meant = self.allow.iter().any(|entry| {
            matches!(entry.host, MHost::Net(..))
                && covers_ip(entry.host, target.text)
                && entry.schemes.iter().any(|scheme| schemes.contains(scheme))
        });
        when(
            guarded && !lifted && !meant && !under(name, "localhost"),
            Reason::DnsRebinding,
        )
    }

    // --- attempts

    pub(crate) fn reach(&self, instance: &MInstance, target: Target, speaks: Speaks, port: u16) -> Reasons {
        first([
            self.no_destination(target, port),
            self.denied_target(target, speaks, port),
            self.limited_udp(speaks),
            self.limited(target, port),
            self.socket_allowed(instance, target, speaks, port),
        ])
    }

    pub(crate) fn receive(&self, instance: &MInstance, target: Target, port: u16, now: u64) -> Reasons {
        let knows = instance.knows(target.text, port, now);
        first([
            when(!knows, Reason::HardUnsolicited),
            self.reach(instance, target, Speaks::Udp, port),
        ])
    }

    pub(crate) fn lookup(&self, instance: &MInstance, name: &str) -> Reasons {
        first([
            self.denied_whole_name(name, &[]),
            self.lookup_allowed(name),
            when(instance.in_flight >= MOST_IN_FLIGHT, Reason::QuotaLookups),
        ])
    }

    pub(crate) fn answer(&self, name: &str, chain: &[&str], target: Target) -> Reasons {
        first([
            when(target.multicast, Reason::HardMulticast),
            self.denied_whole_name(name, chain),
            self.denied_whole_target(target),
            when(target.link && !self.operator.link, Reason::RuntimeLinkLocal),
            self.lookup_allowed(name),
            self.rebinds(name, target, &["*", "tcp", "udp"]),
        ])
    }

    pub(crate) fn request(&self, name: &str, scheme: &'static str, port: u16) -> Reasons {
        let speaks = Speaks::Url(scheme);
        first([
            when(port == 0, Reason::HardPortZero),
            self.denied_name(name, &[], speaks, port),
            self.name_allowed(name, speaks, port),
        ])
    }

    pub(crate) fn request_to(&self, target: Target, scheme: &'static str, port: u16) -> Reasons {
        let speaks = Speaks::Url(scheme);
        first([
            self.no_destination(target, port),
            self.denied_target(target, speaks, port),
            self.limited(target, port),
            self.request_allowed(|host| covers_ip(host, target.text), speaks, port),
        ])
    }

    pub(crate) fn dial(
        &self,
        name: &str,
        chain: &[&str],
        target: Target,
        scheme: &'static str,
        port: u16,
    ) -> Reasons {
        let speaks = Speaks::Url(scheme);
        first([
            self.no_destination(target, port),
            self.denied_name(name, chain, speaks, port),
            self.denied_target(target, speaks, port),
            self.limited(target, port),
            self.name_allowed(name, speaks, port),
            self.rebinds(name, target, &["*", scheme]),
        ])
    }
}

impl MInstance {
    /// A look-up of `name` that was begun as the `ticket`-th ends with these places.
    pub(crate) fn settle(
        &mut self,
        name: &'static str,
        ticket: u64,
        chain: &[&'static str],
        targets: &[Target],
        now: u64,
    ) {
        let newest = self.settled.entry(name).or_default();
        if *newest > ticket {
            return;
        }
        *newest = ticket;
        let known = self.grants.iter().any(|grant| grant.name == name);
        let mut gone: Vec<MGrant> = Vec::new();
        let mut reason = Reason::GrantReplaced;
        if !known && self.grants.len() >= MOST_NAMES {
            self.grants.sort_by_key(|grant| (grant.time, grant.ticket));
            gone.push(self.grants.remove(0));
            reason = Reason::GrantEvicted;
        }
        gone.extend(self.grants.iter().filter(|grant| grant.name == name).cloned());
        self.grants.retain(|grant| grant.name != name);
        self.grants.push(MGrant {
            name,
            chain: chain.to_vec(),
            targets: targets.iter().map(|target| target.text).collect(),
            ticket,
            time: now,
        });
        for target in gone.iter().flat_map(|grant| &grant.targets) {
            if !self.grants.iter().any(|grant| grant.targets.contains(target)) {
                self.ended.insert(target, reason);
            }
        }
    }

    fn knows(&self, ip: &str, port: u16, now: u64) -> bool {
        self.peers
            .iter()
            .any(|(own, own_port, sent)| *own == ip && *own_port == port && now - sent <= PEER_IDLE)
    }

    /// A datagram was let out.
    pub(crate) fn sent(&mut self, ip: &'static str, port: u16, now: u64) {
        let before = self.peers.len();
        self.peers
            .retain(|(own, own_port, _)| !(*own == ip && *own_port == port));
        if self.peers.len() == before && before >= MOST_PEERS {
            self.peers.retain(|(.., sent)| now - sent <= PEER_IDLE);
            if self.peers.len() >= MOST_PEERS {
                self.peers.sort_by_key(|(.., sent)| *sent);
                self.peers.remove(0);
            }
        }
        self.peers.push((ip, port, now));
    }
}
