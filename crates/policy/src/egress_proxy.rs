//! The operator's egress proxy, as far as decisions look at it (PX).
//!
//! What a guest connects to is judged here as if there were no proxy, and the proxy is asked for the judged address. A
//! guest that could speak to the proxy itself could ask it for anything, so nobody reaches that: not at the addresses
//! that its name was seen at, in no spelling and no embedding (HL-7); not by its name; and not by the loopback of a
//! machine that it runs on. The entries of the author's list have no say in that.

use std::sync::Arc;

use crate::{Address, Endpoint, Host, Name};

/// The proxies that guests' connections go through: one, or several where each scheme has its own. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressProxy {
    named: Arc<[(Host, u16)]>,
    /// Where they were seen, in the order in which that was learned.
    endpoints: Vec<Endpoint>,
    /// The ports that they listen to on this machine.
    local_ports: Vec<u16>,
}

impl EgressProxy {
    /// The proxies at these hosts and ports.
    pub fn new(named: impl IntoIterator<Item = (Host, u16)>) -> Self {
        let named: Arc<[_]> = named.into_iter().collect();
        let mut proxy = Self {
            named: named.clone(),
            endpoints: Vec::new(),
            local_ports: Vec::new(),
        };
        for (host, port) in named.iter() {
            match host {
                Host::Address(address) => proxy.learn(Endpoint::new(*address, *port)),
                Host::Name(name) if name.is_localhost() => proxy.is_local(*port),
                Host::Name(_) => {}
            }
        }
        proxy
    }

    /// The hosts and ports, as they were configured.
    pub fn named(&self) -> &[(Host, u16)] {
        &self.named
    }

    /// Where they are known to be.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The ports on which this machine's own loopback leads to one.
    pub fn local_ports(&self) -> &[u16] {
        &self.local_ports
    }

    /// Notes an address at which one was seen. What is on loopback is reached at every address of it. Of more than 256
    /// the one that was learned first is forgotten, and none that was configured.
    pub fn learn(&mut self, endpoint: Endpoint) {
        if endpoint.address.reads_as_loopback() {
            self.is_local(endpoint.port);
        }
        if self.endpoints.contains(&endpoint) {
            return;
        }
        if self.endpoints.len() >= MOST_ENDPOINTS {
            // One that was configured cannot be learned again.
            let learned = |known: &Endpoint| {
                let host = Host::Address(known.address);
                !self.named.contains(&(host, known.port))
            };
            if let Some(first) = self.endpoints.iter().position(learned) {
                self.endpoints.remove(first);
            }
        }
        self.endpoints.push(endpoint);
    }

    /// Notes that one listens to `port` on this machine.
    pub fn is_local(&mut self, port: u16) {
        if !self.local_ports.contains(&port) {
            self.local_ports.push(port);
        }
    }

    /// True if one listens to `port`, wherever that is.
    pub fn has_port(&self, port: u16) -> bool {
        self.named.iter().any(|(_, own)| *own == port)
    }

    /// True if `remote`, or what it embeds, is one.
    // Out of line, as the next: most decisions know no proxy, and would save registers for the sake of this.
    #[inline(never)]
    pub fn is_at(&self, remote: Endpoint) -> bool {
        let at = |address: Address| self.endpoints.contains(&Endpoint::new(address, remote.port));
        self.has_port(remote.port)
            && (remote.address.readings().any(at)
                || (self.local_ports.contains(&remote.port) && remote.address.reads_as_loopback()))
    }

    /// True if `name` with this port is what one was called when it was configured.
    #[inline(never)]
    pub(crate) fn is_called(&self, name: &Name, port: u16) -> bool {
        let own =
            |(host, own): &(Host, u16)| *own == port && matches!(host, Host::Name(host) if host == name);
        self.named.iter().any(own) || (name.is_localhost() && self.local_ports.contains(&port))
    }
}

/// Addresses that are remembered of all proxies together.
const MOST_ENDPOINTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    // proves: PX-2
    #[test]
    fn a_proxy_is_known_in_every_spelling_and_at_no_other_port() {
        let at = |proxy: &EgressProxy, text: &str| {
            proxy.is_at(Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap()))
        };
        let remote = EgressProxy::new([(host("10.0.0.5"), 3128)]);
        for (text, is_it) in [
            ("10.0.0.5:3128", true),
            ("[::ffff:10.0.0.5]:3128", true),
            ("[64:ff9b::a00:5]:3128", true),
            ("[2002:a00:5::1]:3128", true),
            ("10.0.0.5:3129", false),
            ("10.0.0.6:3128", false),
            ("127.0.0.1:3128", false),
            ("[::1]:3128", false),
        ] {
            assert_eq!(at(&remote, text), is_it, "{text}");
        }
        for own in ["127.0.0.1", "::1", "localhost"] {
            let local = EgressProxy::new([(host(own), 3128)]);
            for (text, is_it) in [
                ("127.0.0.1:3128", true),
                ("127.9.9.9:3128", true),
                ("[::1]:3128", true),
                ("[::ffff:127.0.0.1]:3128", true),
                ("0.0.0.0:3128", true),
                ("[::]:3128", true),
                ("[64:ff9b::7f00:1]:3128", true),
                ("127.0.0.1:3129", false),
                ("10.0.0.5:3128", false),
            ] {
                assert_eq!(at(&local, text), is_it, "{text} at {own}");
            }
        }
    }

    // proves: PX-2
    #[test]
    fn a_name_counts_by_itself_and_by_the_addresses_that_were_learned() {
        let mut proxy = EgressProxy::new([(host("proxy.example.com"), 8080)]);
        let name = |text: &str| Name::parse(text).unwrap();
        assert!(proxy.is_called(&name("Proxy.Example.com."), 8080));
        assert!(!proxy.is_called(&name("proxy.example.com"), 80));
        assert!(!proxy.is_called(&name("www.proxy.example.com"), 8080));
        let seen = Endpoint::new(Address::new("192.0.2.7".parse().unwrap()), 8080);
        assert!(!proxy.is_at(seen));
        proxy.learn(seen);
        assert!(proxy.is_at(seen));
        proxy.is_local(8080);
        assert!(proxy.is_at(Endpoint::new(Address::new("127.0.0.1".parse().unwrap()), 8080)));
        assert!(proxy.is_called(&name("www.localhost"), 8080));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut proxy = EgressProxy::new([(host("proxy.example.com"), 8080)]);
        for low in 0..=u16::try_from(MOST_ENDPOINTS).unwrap() {
            let [high, low] = low.to_be_bytes();
            proxy.learn(Endpoint::new(std::net::Ipv4Addr::new(10, 0, high, low), 8080));
        }
        assert_eq!(proxy.endpoints().len(), MOST_ENDPOINTS);
        let mut proxy = EgressProxy::new([(host("192.0.2.7"), 8080)]);
        for low in 0..=u16::try_from(2 * MOST_ENDPOINTS).unwrap() {
            let [high, low] = low.to_be_bytes();
            proxy.learn(Endpoint::new(std::net::Ipv4Addr::new(10, 0, high, low), 8080));
        }
        assert_eq!(proxy.endpoints().len(), MOST_ENDPOINTS);
        let configured = Endpoint::new(Address::new("192.0.2.7".parse().unwrap()), 8080);
        assert!(proxy.is_at(configured));
    }
}
