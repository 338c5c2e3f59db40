//! The operator's egress proxy: the way that guests' connections take after they were judged (PX).
//!
//! ```text
//! attempt ── judged as without a proxy ─ refused ▶ nothing is asked of anybody
//!   │ permit for one address, which says through which proxy (EgressProxies::server_for)
//!   ├─ through none: loopback, and what NO_PROXY names ───────────▶ connected to directly, as without a proxy
//!   ▼
//! Tunnel: spends the permit
//!   │ the proxy's own addresses; each is learned, and refused to guests, before it is used (PX-2)
//!   │ connect(2) to the proxy, by `sockets/system.rs`, within the time for all of it
//!   │ CONNECT 192.0.2.7:5432, or SOCKS5 with an address: never a name (PX-1) ─ no ▶ Trouble
//!   ▼
//! the socket, of which nothing is read that is not the proxy's own: what the peer said first is still in it
//! ```
//!
//! There is one such way for sockets of guests and for all that the host connects for them. What comes out is a connected
//! socket like any other, so grants, counts, the audit log and what closes forbidden connections know of no proxy.
//! Addresses that the operator configured ([`Egress::operator_dialer`](crate::Egress::operator_dialer)) are not gone to
//! through it, and neither are name servers.

mod credentials;
mod exceptions;
mod http_connect;
mod in_force;
mod own_address;
mod server;
mod socks5;
mod trouble;
mod tunnel;
mod watch;
mod wire;

use std::fmt;
use std::sync::Arc;

use outport_policy::{Address, Attempt, EgressProxy, Endpoint, Host, Name, Scheme};

pub use self::credentials::{Credentials, CredentialsError};
pub use self::exceptions::{Exceptions, ExceptionsError};
pub(crate) use self::in_force::ProxiesInForce;
use self::own_address::Leads;
pub use self::server::{ProxyServer, ProxyServerError};
pub(crate) use self::trouble::Trouble;
pub(crate) use self::tunnel::{Hop, Tunnel};
pub use self::watch::ProxyWatch;

/// The proxies of an operator, and what goes through which. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressProxies {
    http: Arc<ProxyServer>,
    https: Arc<ProxyServer>,
    other: Arc<ProxyServer>,
    direct: Arc<Exceptions>,
}

impl EgressProxies {
    /// One proxy for everything but loopback.
    pub fn one(server: ProxyServer) -> Self {
        let server = Arc::new(server);
        Self {
            http: server.clone(),
            https: server.clone(),
            other: server,
            direct: Arc::default(),
        }
    }

    /// A proxy for requests by `http`, one for those by `https`, and one for everything else. What has none of its own goes
    /// through one of the others, in the order of the table, and `direct` through none; nothing where there is no proxy at
    /// all.
    ///
    /// | | first | then | then |
    /// | --- | --- | --- | --- |
    /// | `http` | its own | `other` | `https` |
    /// | `https` | its own | `other` | `http` |
    /// | everything else | `other` | `https` | `http` |
    pub fn for_each(
        http: Option<ProxyServer>,
        https: Option<ProxyServer>,
        other: Option<ProxyServer>,
        direct: Exceptions,
    ) -> Option<Self> {
        let [http, https, other] = [http, https, other].map(|server| server.map(Arc::new));
        let first = |own: &Option<Arc<_>>, second: &Option<Arc<_>>, third: &Option<Arc<_>>| {
            [own, second, third].into_iter().find_map(Clone::clone)
        };
        Some(Self {
            http: first(&http, &other, &https)?,
            https: first(&https, &other, &http)?,
            other: first(&other, &https, &http)?,
            direct: Arc::new(direct),
        })
    }

    /// The proxies, each once.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<ProxyServer>> {
        let all = [&self.other, &self.https, &self.http];
        (0..all.len())
            .filter(move |at| !all[..*at].contains(&all[*at]))
            .map(move |at| all[at])
    }

    /// The destinations that are gone to directly beside loopback.
    pub fn direct(&self) -> &Exceptions {
        &self.direct
    }

    /// The part of it that decisions look at, as far as it is known without asking anybody for the address of a name.
    pub fn rule(&self) -> EgressProxy {
        let named = self
            .servers()
            .map(|server| (server.host().clone(), server.port()));
        let mut rule = EgressProxy::new(named);
        for server in self.servers() {
            if let Host::Address(address) = server.host() {
                let leads = Leads::of(Endpoint::new(*address, server.port()).into());
                if leads == Leads::Here {
                    rule.is_local(server.port());
                }
            }
        }
        rule
    }

    /// The same where names have the addresses that `assumed` says, with those of `tried` that lead to a proxy by leading to
    /// this machine.
    pub fn rule_assuming(&self, assumed: impl Fn(&Name) -> Vec<Address>, tried: &[Endpoint]) -> EgressProxy {
        let mut rule = self.rule();
        for server in self.servers() {
            let Host::Name(name) = server.host() else { continue };
            for address in assumed(name) {
                let endpoint = Endpoint::new(address, server.port());
                rule.learn(endpoint);
                if Leads::of(endpoint.into()) == Leads::Here {
                    rule.is_local(server.port());
                }
            }
        }
        let tried = tried.iter().copied();
        let here = |endpoint: &Endpoint| Leads::of_readings((*endpoint).into()) != Leads::Elsewhere;
        let local = rule.local_ports().to_vec();
        let own = tried.filter(|endpoint| local.contains(&endpoint.port) && here(endpoint));
        own.for_each(|endpoint| rule.learn(endpoint));
        rule
    }

    /// The proxy for a destination, if it is not gone to directly: `scheme` is that of a request, or of another interface of
    /// the host, `host` what was asked for, and `address` what was judged, as far as it is known.
    pub fn server_for(
        &self,
        scheme: Option<&Scheme>,
        host: Option<&Host>,
        address: Option<Address>,
        port: u16,
    ) -> Option<&Arc<ProxyServer>> {
        let name = match host {
            Some(Host::Name(name)) => Some(name),
            _ => None,
        };
        let address = match host {
            Some(Host::Address(own)) => Some(address.unwrap_or(*own)),
            _ => address,
        };
        let is_here = match (address, name) {
            (Some(address), _) => is_loopback(address),
            (None, name) => name.is_some_and(Name::is_localhost),
        };
        if is_here || self.direct.hold(name, address, port) {
            return None;
        }
        Some(match scheme {
            Some(scheme) if *scheme == Scheme::HTTP => &self.http,
            Some(scheme) if *scheme == Scheme::HTTPS => &self.https,
            _ => &self.other,
        })
    }

    /// The proxy for an attempt that was permitted, `by_name` where that was because of a look-up.
    pub(crate) fn server_for_attempt(
        &self,
        attempt: &Attempt<'_>,
        by_name: Option<&Name>,
        remote: Endpoint,
    ) -> Option<&Arc<ProxyServer>> {
        match attempt {
            Attempt::Dial { scheme, host, .. } => {
                self.server_for(Some(scheme), Some(host), Some(remote.address), remote.port)
            }
            _ => {
                let host = by_name.cloned().map(Host::Name);
                self.server_for(None, host.as_ref(), Some(remote.address), remote.port)
            }
        }
    }
}

/// Which goes by which, and what by none.
impl fmt::Display for EgressProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            http, https, other, ..
        } = self;
        if http == other && https == other {
            write!(f, "{other}")?;
        } else {
            write!(f, "http by {http}, https by {https}, everything else by {other}")?;
        }
        f.write_str(", but loopback")?;
        if !self.direct.is_empty() {
            write!(f, ", {}", self.direct)?;
        }
        f.write_str(" directly")
    }
}

/// True for 127.0.0.0/8 and ::1 alone. Whatever else may turn into one of these on its way is not on this machine's
/// loopback when it is connected to.
fn is_loopback(address: Address) -> bool {
    address.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ProxyServer {
        ProxyServer::parse(text).unwrap()
    }

    fn way(proxies: &EgressProxies, scheme: Option<&str>, host: &str, address: Option<&str>) -> String {
        let scheme = scheme.map(|scheme| Scheme::parse(scheme).unwrap());
        let host = Host::parse(host).unwrap();
        let address = address.map(|text| Address::new(text.parse().unwrap()));
        let server = proxies.server_for(scheme.as_ref(), Some(&host), address, 8080);
        server.map_or_else(|| "direct".to_owned(), ToString::to_string)
    }

    // proves: PX-3
    #[test]
    fn loopback_is_gone_to_directly_and_nothing_that_only_reads_like_it() {
        let proxies = EgressProxies::one(server("http://proxy.example:3128"));
        let through = "http://proxy.example:3128";
        for (host, address, expected) in [
            ("127.0.0.1", None, "direct"),
            ("127.255.0.9", None, "direct"),
            ("::1", None, "direct"),
            ("::ffff:127.0.0.1", None, "direct"),
            ("localhost", None, "direct"),
            ("www.localhost", None, "direct"),
            ("db.example.com", Some("127.0.0.1"), "direct"),
            ("db.example.com", None, through),
            ("db.example.com", Some("10.0.0.5"), through),
            ("localhost", Some("10.0.0.5"), through),
            ("64:ff9b::7f00:1", None, through),
            ("::127.0.0.1", None, through),
            ("2001:db8::5efe:7f00:1", None, through),
            ("169.254.169.254", None, through),
        ] {
            for scheme in [None, Some("http"), Some("redis")] {
                assert_eq!(
                    way(&proxies, scheme, host, address),
                    expected,
                    "{host} {address:?}"
                );
            }
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_or_that_of_another() {
        let all = EgressProxies::for_each(
            Some(server("http://plain.example:1")),
            Some(server("http://secure.example:2")),
            Some(server("socks5://all.example:3")),
            Exceptions::default(),
        )
        .unwrap();
        let of = |proxies: &EgressProxies, scheme| way(proxies, scheme, "10.0.0.5", None);
        assert_eq!(of(&all, Some("http")), "http://plain.example:1");
        assert_eq!(of(&all, Some("https")), "http://secure.example:2");
        assert_eq!(of(&all, Some("redis")), "socks5://all.example:3");
        assert_eq!(of(&all, None), "socks5://all.example:3");
        assert_eq!(all.servers().count(), 3);
        let only = |http, https| EgressProxies::for_each(http, https, None, Exceptions::default());
        let secure = only(None, Some(server("http://secure.example:2"))).unwrap();
        for scheme in [None, Some("http"), Some("https"), Some("mqtt")] {
            assert_eq!(of(&secure, scheme), "http://secure.example:2", "{scheme:?}");
        }
        assert_eq!(secure.servers().count(), 1);
        assert_eq!(only(None, None), None);
    }
}
