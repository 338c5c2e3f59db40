//! One connection through a proxy, from a permit to a socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use outport_policy::Endpoint;
use tokio::time::timeout;

use super::in_force::ProxiesInForce;
use super::server::{Protocol, ProxyServer};
use super::trouble::{TUNNEL_TIME, Trouble};
use super::wire::Wire;
use super::{http_connect, socks5};
use crate::enforcer::{ConnectPermit, Step};
use crate::process::{Component, Process};
use crate::sockets::Carried;

/// A connection that was permitted, and that a proxy is about to be asked for.
pub(crate) struct Tunnel {
    target: SocketAddr,
    server: Arc<ProxyServer>,
    component: Arc<Component>,
    options: Carried,
}

/// An address of a proxy, which is connected to because of a permit for another one. Made here alone.
pub(crate) struct Hop(SocketAddr);

impl Hop {
    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }
}

impl Tunnel {
    /// Spends `permit`, which leads through a proxy. The socket to that gets `options`.
    ///
    /// # Errors
    ///
    /// It leads through none, or connects nothing: a mistake of ours.
    pub(crate) fn new(
        component: &Arc<Component>,
        permit: ConnectPermit,
        options: Carried,
    ) -> Result<Self, Trouble> {
        let server = permit.proxy().cloned().ok_or(Trouble::NotPermitted)?;
        Ok(Self {
            target: permit.spend(Step::ConnectStream)?,
            server,
            component: component.clone(),
            options,
        })
    }

    /// Connects to the proxy and asks it for the address that was judged. What comes back is a socket that reads what the
    /// peer says, and nothing before it.
    pub(crate) async fn open(self) -> Result<Arc<OwnedFd>, Trouble> {
        let process = self.component.process();
        let proxies = process.proxies.as_ref().ok_or(Trouble::NotPermitted)?;
        let asked = timeout(TUNNEL_TIME, self.ask(proxies, process));
        let opened = asked.await.unwrap_or(Err(Trouble::Silent));
        if let Err(trouble) = &opened {
            proxies.tell(&self.server, trouble, &*process.words);
        }
        opened.map(Wire::into_socket)
    }

    async fn ask(&self, proxies: &ProxiesInForce, process: &Process) -> Result<Wire, Trouble> {
        // No proxy knows our interfaces.
        if matches!(self.target, SocketAddr::V6(target) if target.scope_id() != 0) {
            return Err(Trouble::Scoped);
        }
        let addresses = proxies
            .addresses(&self.server, &*process.resolver, &process.policy)
            .await?;
        // Its name may have another address by now than when this one was judged.
        let target = Endpoint::from(self.target);
        let is_itself = |rule: &outport_policy::EgressProxy| rule.is_at(target);
        let is_known = process.policy.load().egress_proxy.as_ref().is_some_and(is_itself);
        if is_known || proxies.may_be_at(self.target, &process.policy) {
            return Err(Trouble::Itself);
        }
        let wire = connect(&addresses_of(&addresses, self.server.port()), &self.options).await?;
        let (target, credentials) = (SocketAddr::from(target), self.server.credentials());
        match self.server.protocol() {
            Protocol::Http => http_connect::ask(&wire, target, credentials).await?,
            Protocol::Socks5 => socks5::ask(&wire, target, credentials).await?,
        }
        Ok(wire)
    }
}

fn addresses_of(addresses: &[outport_policy::Address], port: u16) -> Vec<SocketAddr> {
    let endpoints = addresses.iter().map(|address| Endpoint::new(*address, port));
    endpoints.map(SocketAddr::from).collect()
}

/// A connection to the first of the addresses that takes one. All but the last have a short time each.
pub(super) async fn connect(addresses: &[SocketAddr], options: &Carried) -> Result<Wire, Trouble> {
    let mut failed = Trouble::NoAddress;
    for (at, address) in (1..).zip(addresses) {
        let connecting = Wire::connect(Hop(*address), options);
        let connected = if at < addresses.len() {
            let timed_out = |_| Err(Trouble::Unreachable(io::ErrorKind::TimedOut.into()));
            timeout(TIME_OF_ONE, connecting).await.unwrap_or_else(timed_out)
        } else {
            connecting.await
        };
        match connected {
            Ok(wire) => return Ok(wire),
            Err(trouble) => failed = trouble,
        }
    }
    Err(failed)
}

/// The time that one address of a proxy has while there are others.
const TIME_OF_ONE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
