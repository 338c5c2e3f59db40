//! Whom a record is about: the protocol, the host by name where one is known, and the port.
//!
//! | attempt | destination | peer |
//! | --- | --- | --- |
//! | `tcp.connect`, `udp.send`, `udp.connect` | `10.0.0.5:5432` | `tcp`, the name of the look-up or the address, 5432 |
//! | `http.request` | `https://example.com:443` | `https`, `example.com`, 443 |
//! | `redis.connect`, … | `redis://cache:6379` | `redis`, `cache`, 6379 |
//! | `redis.dial`, … | `10.0.0.7:6379` | `redis`, the name that was dialled, 6379 |
//! | `dns.lookup` | `example.com` | `dns`, `example.com`, no port |
//! | `key-value.open`, … | `default` | `key-value`, `default`, no port |

use std::fmt;

/// Whom a component talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer<'a> {
    /// `tcp`, `udp`, `https`, `redis`, `dns`, …
    pub protocol: &'a str,
    /// A name, an address without brackets, or a label.
    pub host: &'a str,
    /// The port, where there is one.
    pub port: Option<u16>,
}

impl<'a> Peer<'a> {
    /// The peer of an `attempt` at `destination`, which was looked up or dialled by `name`.
    pub fn of(attempt: &'a str, destination: &'a str, name: Option<&'a str>) -> Self {
        // Byte by byte: the texts are short, and there are millions.
        let dot = attempt.bytes().position(|byte| byte == b'.');
        let mut protocol = &attempt[..dot.unwrap_or(attempt.len())];
        let mut rest = destination;
        let colon = destination
            .bytes()
            .position(|byte| byte == b':')
            .unwrap_or_default();
        if let Some(authority) = destination[colon..].strip_prefix("://") {
            rest = authority;
            if protocol == "http" {
                protocol = &destination[..colon];
            }
        }
        let (host, port) = split_port(rest);
        Self {
            protocol,
            host: name.unwrap_or(host),
            port,
        }
    }
}

/// The host, without brackets, and the port of a text that may have one.
pub(crate) fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return (text, None);
        };
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        // More than one is an address of IPv6.
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// The host with its port: `example.com:443`, `[::1]:80`, `example.com`.
impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => f.write_str(self.host),
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_protocol_a_host_and_a_port() {
        let rows = [
            (
                ("tcp.connect", "10.0.0.5:5432", None),
                ("tcp", "10.0.0.5", Some(5432)),
                "10.0.0.5:5432",
            ),
            (
                ("tcp.connect", "10.0.0.5:5432", Some("db.test")),
                ("tcp", "db.test", Some(5432)),
                "db.test:5432",
            ),
            (
                ("udp.send", "[::1]:53", None),
                ("udp", "::1", Some(53)),
                "[::1]:53",
            ),
            (
                ("http.request", "https://a.test:443", None),
                ("https", "a.test", Some(443)),
                "a.test:443",
            ),
            (
                ("http.request", "http://[fd00::1]:80", None),
                ("http", "fd00::1", Some(80)),
                "[fd00::1]:80",
            ),
            (
                ("redis.connect", "redis://a.test:6379", None),
                ("redis", "a.test", Some(6379)),
                "a.test:6379",
            ),
            (
                ("redis.dial", "10.0.0.7:6379", Some("a.test")),
                ("redis", "a.test", Some(6379)),
                "a.test:6379",
            ),
            (("dns.lookup", "a.test", None), ("dns", "a.test", None), "a.test"),
            (
                ("dns.answer", "fd00::1", None),
                ("dns", "fd00::1", None),
                "fd00::1",
            ),
            (
                ("key-value.open", "default", None),
                ("key-value", "default", None),
                "default",
            ),
            (("tls.connect", "a.test", None), ("tls", "a.test", None), "a.test"),
            (
                ("http.request", "a:b:99999", None),
                ("http", "a:b:99999", None),
                "a:b:99999",
            ),
            (
                ("tcp.connect", "host:99999", None),
                ("tcp", "host:99999", None),
                "host:99999",
            ),
            (("x", "[broken", None), ("x", "[broken", None), "[broken"),
        ];
        for ((attempt, destination, name), (protocol, host, port), shown) in rows {
            let peer = Peer::of(attempt, destination, name);
            assert_eq!(peer, Peer { protocol, host, port }, "{attempt} {destination}");
            assert_eq!(peer.to_string(), shown);
        }
    }
}
