//! The clients that are connected, or still have requests running, by address: what one client holds, it holds on all
//! of its connections and on those that it has left.
//!
//! A client is an IPv4 address, or the first 64 bits of an IPv6 address, which one subscriber has all of. An IPv4
//! address that comes as an IPv6 one is the same client. What is known of a client is forgotten when it holds nothing.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Semaphore;

use crate::descriptors::ClientConnection;

/// The address that a client is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientAddress {
    V4(Ipv4Addr),
    /// With nothing after the first 64 bits.
    V6(Ipv6Addr),
}

/// All clients of a server.
pub(super) struct Clients {
    known: Mutex<HashMap<ClientAddress, Weak<Client>>>,
    /// Of the slots of each pool, how many a client may have.
    bounds: Vec<usize>,
}

/// One client.
pub(super) struct Client {
    address: ClientAddress,
    clients: Arc<Clients>,
    connections: AtomicUsize,
    /// The slots that it may still take, of each pool.
    pub(super) slots: Vec<Semaphore>,
    /// Its requests that wait for a slot.
    pub(super) waiting: AtomicUsize,
}

/// A connection that is counted.
pub(super) struct ConnectionSlot {
    client: Arc<Client>,
    _descriptor: ClientConnection,
}

impl ClientAddress {
    /// The client of this address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER)),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl Clients {
    /// None yet. Each may have so many slots of each pool.
    pub(super) fn new(bounds: Vec<usize>) -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::new(HashMap::new()),
            bounds,
        })
    }

    /// The client at an address.
    pub(super) fn at(self: &Arc<Self>, address: IpAddr) -> Arc<Client> {
        let address = ClientAddress::of(address);
        let mut known = self.known();
        if let Some(client) = known.get(&address).and_then(Weak::upgrade) {
            return client;
        }
        let client = Arc::new(Client {
            address,
            clients: Arc::clone(self),
            connections: AtomicUsize::new(0),
            slots: self.bounds.iter().map(|bound| Semaphore::new(*bound)).collect(),
            waiting: AtomicUsize::new(0),
        });
        known.insert(address, Arc::downgrade(&client));
        client
    }

    /// Nothing panics between two steps that belong together.
    fn known(&self) -> MutexGuard<'_, HashMap<ClientAddress, Weak<Client>>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Client {
    /// Counts a connection, if it has fewer than `bound`.
    pub(super) fn connect(self: &Arc<Self>, bound: usize) -> Option<ConnectionSlot> {
        let counted = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |connections| {
                (connections < bound).then_some(connections + 1)
            });
        counted.ok().map(|_| ConnectionSlot {
            client: Arc::clone(self),
            _descriptor: ClientConnection::count(),
        })
    }

    pub(super) fn address(&self) -> ClientAddress {
        self.address
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut known = self.clients.known();
        // Somebody else may have asked for the same address meanwhile, and got another one.
        if known
            .get(&self.address)
            .is_some_and(|client| client.strong_count() == 0)
        {
            known.remove(&self.address);
        }
    }
}

impl ConnectionSlot {
    /// The client whose connection it is.
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.client.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first 64 bits of an IPv6 address.
const SUBSCRIBER: u128 = !0 << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    // proves: ISO-5
    #[test]
    fn a_client_is_an_ipv4_address_or_the_network_of_an_ipv6_one() {
        // (address, another, whether they are one client)
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            let (one, other) = (ClientAddress::of(ip(one)), ClientAddress::of(ip(other)));
            assert_eq!(one == other, same, "{one} and {other}");
        }
    }

    // proves: ISO-5
    #[test]
    fn a_client_has_so_many_connections_and_is_forgotten_with_the_last() {
        let clients = Clients::new(vec![1]);
        for round in 0..3 {
            let mut slots = Vec::new();
            for _ in 0..2 {
                slots.push(clients.at(ip("192.0.2.1")).connect(2).expect("it has fewer"));
            }
            assert!(clients.at(ip("192.0.2.1")).connect(2).is_none(), "{round}");
            assert!(clients.at(ip("192.0.2.2")).connect(2).is_some(), "{round}");
            slots.pop();
            assert!(clients.at(ip("192.0.2.1")).connect(2).is_some(), "{round}");
            drop(slots);
            assert!(clients.known().is_empty(), "{round}");
        }
    }
}
