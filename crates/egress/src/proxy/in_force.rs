//! The proxies of a process, and what was learned of them.
//!
//! Whatever becomes known of where a proxy is goes into the policy in force before anybody connects to it (PX-2): the
//! addresses of its name, and that it is on this machine. Then no other address of the machine leads to it, either, which is
//! asked at each attempt with the proxy's port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outport_policy::{Address, Endpoint, Host, Name, RemedyWords, Setting};
use tokio::time::timeout;

use super::own_address::Leads;
use super::trouble::{Fault, Trouble};
use super::{EgressProxies, ProxyServer};
use crate::dns::Resolve;
use crate::process::PolicyInForce;

/// The proxies that connections go through.
pub(crate) struct ProxiesInForce {
    proxies: EgressProxies,
    /// What each name was last seen at, for when it cannot be resolved.
    seen: Mutex<HashMap<Name, Vec<Address>>>,
    told: Mutex<[Option<Instant>; Fault::COUNT]>,
}

impl ProxiesInForce {
    pub(crate) fn new(proxies: EgressProxies) -> Self {
        Self {
            proxies,
            seen: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub(crate) fn proxies(&self) -> &EgressProxies {
        &self.proxies
    }

    /// True if `remote` is a proxy on this machine by another address of it than the policy in force knows, or if that
    /// cannot be ruled out. Whose the addresses are is asked each time: they come and go. That one is here is remembered.
    pub(crate) fn may_be_at(&self, remote: SocketAddr, policy: &PolicyInForce) -> bool {
        let operator = policy.load();
        let endpoint = Endpoint::from(remote);
        let Some(rule) = &operator.egress_proxy else {
            return false;
        };
        if !rule.has_port(endpoint.port)
            || rule.is_at(endpoint)
            || Leads::of_readings(remote) == Leads::Elsewhere
        {
            return false;
        }
        if rule.local_ports().contains(&endpoint.port) {
            return true;
        }
        let known = rule.endpoints().iter();
        let known = known.filter(|known| known.port == endpoint.port);
        let proxy = known.map(|known| Leads::of((*known).into())).max();
        if proxy == Some(Leads::Here) {
            policy.learn_proxy(&[], &[endpoint.port]);
        }
        proxy.is_some_and(|proxy| proxy != Leads::Elsewhere) || self.is_anywhere(endpoint.port)
    }

    /// True if of some proxy with this port no address was ever seen: it may be here.
    fn is_anywhere(&self, port: u16) -> bool {
        let seen = self.seen();
        self.proxies.servers().any(|server| match server.host() {
            Host::Name(name) => server.port() == port && !name.is_localhost() && !seen.contains_key(name),
            Host::Address(_) => false,
        })
    }

    /// The addresses of a proxy now, which guests do not reach from now on.
    pub(super) async fn addresses(
        &self,
        server: &ProxyServer,
        resolver: &dyn Resolve,
        policy: &PolicyInForce,
    ) -> Result<Vec<Address>, Trouble> {
        let addresses = match server.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) if name.is_localhost() => {
                vec![
                    Address::from(std::net::Ipv4Addr::LOCALHOST),
                    Address::new(std::net::Ipv6Addr::LOCALHOST.into()),
                ]
            }
            Host::Name(name) => match resolve(resolver, name).await {
                Some(addresses) => {
                    self.seen().insert(name.clone(), addresses.clone());
                    addresses
                }
                None => self.seen().get(name).cloned().ok_or(Trouble::NoAddress)?,
            },
        };
        learn(&addresses, server.port(), policy);
        Ok(addresses)
    }

    /// Tells the operator of what is a fault of the proxy, each kind at most once a minute.
    pub(super) fn tell(&self, server: &ProxyServer, trouble: &Trouble, words: &dyn RemedyWords) {
        let Some(fault) = trouble.fault() else { return };
        let now = Instant::now();
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let last = &mut told[fault as usize];
            if last.is_some_and(|last| now.duration_since(last) < BETWEEN_WARNINGS) {
                return;
            }
            *last = Some(now);
        }
        let advice = match trouble {
            Trouble::WantsCredentials => {
                format!(
                    "; give it some with {}",
                    words.name(Setting::EgressProxyCredentials)
                )
            }
            _ => String::new(),
        };
        tracing::warn!("the egress proxy {server} gives no connection: {trouble}{advice}");
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Vec<Address>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what is new into the policy in force.
fn learn(addresses: &[Address], port: u16, policy: &PolicyInForce) {
    let endpoints = addresses.iter().map(|address| Endpoint::new(*address, port));
    let operator = policy.load();
    let Some(rule) = &operator.egress_proxy else {
        return;
    };
    let new: Vec<Endpoint> = endpoints
        .filter(|endpoint| !rule.endpoints().contains(endpoint))
        .collect();
    if new.is_empty() {
        return;
    }
    let is_local = rule.local_ports().contains(&port);
    let here = !is_local && new.iter().any(|new| Leads::of((*new).into()) == Leads::Here);
    let local_ports: &[u16] = if here { &[port] } else { &[] };
    policy.learn_proxy(&new, local_ports);
}

/// The addresses of a name, as the search domains complete it; none if there are none, or nobody says.
async fn resolve(resolver: &dyn Resolve, name: &Name) -> Option<Vec<Address>> {
    for full in resolver.expand(name) {
        if let Ok(Ok(answer)) = timeout(LOOKUP_TIME, resolver.resolve(&full)).await {
            return Some(answer.addresses.into_iter().take(MOST_ADDRESSES).collect());
        }
    }
    None
}

/// The time that a look-up of a proxy may take.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// Addresses of one proxy.
const MOST_ADDRESSES: usize = 16;

/// The time between two warnings of one kind.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
