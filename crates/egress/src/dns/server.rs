//! `--dns-server ADDR[:PORT]` as text (DNS-11).

use std::net::{IpAddr, SocketAddr};

/// The port of a DNS server that is named without one.
const DNS_PORT: u16 = 53;

/// Reads `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]` or `[2001:db8::53]:5353`.
///
/// # Errors
///
/// A name, since it would need a server to be resolved; a port of zero; anything else that is not an address.
///
/// ```
/// let server = outport_egress::parse_dns_server("[2001:db8::53]:5353")?;
/// assert_eq!(server.port(), 5353);
/// # Ok::<(), outport_egress::DnsServerError>(())
/// ```
pub fn parse_dns_server(text: &str) -> Result<SocketAddr, DnsServerError> {
    let trimmed = text.trim();
    let bare = trimmed
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(trimmed);
    let server = match bare.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, DNS_PORT),
        Err(_) => trimmed.parse().map_err(|_| DnsServerError::NotAnAddress {
            text: text.to_owned(),
        })?,
    };
    if server.port() == 0 {
        return Err(DnsServerError::PortZero {
            text: text.to_owned(),
        });
    }
    Ok(server)
}

/// The reason why a text does not name a DNS server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsServerError {
    /// Not an IP address with or without a port.
    #[error(
        "`{text}` is not the address of a DNS server; write `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`"
    )]
    NotAnAddress {
        /// The text as it was written.
        text: String,
    },
    /// Port 0 is not a port that a server can be reached at.
    #[error("`{text}` names port 0, where no DNS server can be reached; leave the port out for port 53")]
    PortZero {
        /// The text as it was written.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_a_port() {
        let rows = [
            ("192.0.2.53", Some("192.0.2.53:53")),
            (" 192.0.2.53:5353 ", Some("192.0.2.53:5353")),
            ("2001:db8::53", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]", Some("[2001:db8::53]:53")),
            ("[2001:db8::53]:5353", Some("[2001:db8::53]:5353")),
            ("192.0.2.53:65535", Some("192.0.2.53:65535")),
            ("192.0.2.53:0", None),
            ("192.0.2.53:65536", None),
            ("192.0.2.53:", None),
            ("192.0.2.256", None),
            ("dns.example", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let parsed = parse_dns_server(text).ok().map(|server| server.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text:?}");
        }
    }
}
