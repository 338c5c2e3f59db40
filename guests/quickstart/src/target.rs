//! The destination that a client names: `HOST:PORT`, where the host is a name, an IPv4 address or `[IPv6]`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use wasip2::sockets::network::ErrorCode;

/// A host and a port, as the client wrote them.
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// Reads the value of the query's `to`, percent-encoding included. `None` where it is not `HOST:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = percent_decode(text)?;
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let printable = host.chars().all(|c| c.is_ascii_graphic());
        (!host.is_empty() && printable).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Where to connect: the literal address itself, or what a look-up of the name answers.
    ///
    /// # Errors
    ///
    /// The code of the look-up.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, ErrorCode> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match bare.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => tcp::lookup(&self.host)?,
        };
        Ok(addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, self.port))
            .collect())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).ok()
}
