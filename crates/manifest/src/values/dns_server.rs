//! A DNS server as an operator writes it: an address, and a port unless it is 53.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A server to send DNS queries to (DNS-11). `9.9.9.9`, `9.9.9.9:5353`, `::1`, `[::1]:5353`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DnsServer(pub SocketAddr);

/// The port of a DNS server that is written without one.
pub const DNS_PORT: u16 = 53;

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let address = match bare.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, DNS_PORT),
            Err(_) => text.parse().map_err(|_| DnsServerError::NotAnAddress)?,
        };
        match address.port() {
            0 => Err(DnsServerError::PortZero),
            _ => Ok(Self(address)),
        }
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The reason why a text is not a DNS server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsServerError {
    /// A name, or nonsense.
    #[error("it is not an IP address")]
    NotAnAddress,
    /// `9.9.9.9:0`
    #[error("no queries can be sent to port 0")]
    PortZero,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_servers_are_addresses_with_port_53_unless_it_is_written() {
        let rows = [
            ("9.9.9.9", Ok("9.9.9.9:53")),
            (" 9.9.9.9 ", Ok("9.9.9.9:53")),
            ("127.0.0.1:5353", Ok("127.0.0.1:5353")),
            ("::1", Ok("[::1]:53")),
            ("[::1]", Ok("[::1]:53")),
            ("[::1]:5353", Ok("[::1]:5353")),
            ("9.9.9.9:0", Err(DnsServerError::PortZero)),
            ("9.9.9.9:65536", Err(DnsServerError::NotAnAddress)),
            ("dns.example.com", Err(DnsServerError::NotAnAddress)),
            ("", Err(DnsServerError::NotAnAddress)),
        ];
        for (text, expected) in rows {
            let server = text.parse::<DnsServer>().map(|server| server.to_string());
            assert_eq!(server, expected.map(str::to_owned), "{text:?}");
        }
    }
}
