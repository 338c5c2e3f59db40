//! Asking a proxy of SOCKS5 for a connection (RFC 1928, RFC 1929).
//!
//! ```text
//! ▶ 5, the ways in which we can say who we are: as nobody, and with credentials where there are some
//! ◀ 5, one of these ─ none of them ▶ it wants credentials, or others
//! ▶ 1, user, password   ◀ 1, 0       only where it chose that
//! ▶ 5, CONNECT, 0, the judged address, never a name
//! ◀ 5, 0, 0, the address that it connects from (one of three forms, read and left alone)
//! ```
//!
//! Every message has its length in it, and the longest has 262 bytes: exactly that is read.

use std::net::{IpAddr, SocketAddr};

use super::credentials::Credentials;
use super::trouble::Trouble;
use super::wire::Wire;

/// Asks for a connection to `target`.
pub(super) async fn ask(
    wire: &Wire,
    target: SocketAddr,
    credentials: Option<&Credentials>,
) -> Result<(), Trouble> {
    let greeting: &[u8] = match credentials {
        None => &[VERSION, 1, NOBODY],
        Some(_) => &[VERSION, 2, NOBODY, PASSWORD],
    };
    wire.send(greeting).await?;
    let [version, method] = wire.receive().await?;
    if version != VERSION {
        return Err(Trouble::Garbled("this is not SOCKS5"));
    }
    match (method, credentials) {
        (NOBODY, _) => {}
        (PASSWORD, Some(credentials)) => authenticate(wire, credentials).await?,
        (NONE, None) => return Err(Trouble::WantsCredentials),
        (NONE, Some(_)) => return Err(Trouble::RefusesCredentials),
        _ => return Err(Trouble::Garbled("it chooses what it was not offered")),
    }
    wire.send(&request(target)).await?;
    let [version, reply, _, form] = wire.receive().await?;
    if version != VERSION {
        return Err(Trouble::Garbled("its reply is not of SOCKS5"));
    }
    if reply != SUCCEEDED {
        return Err(Trouble::Reply(reply));
    }
    // What it says of itself has to be read, so that what comes next is the peer's.
    let length = match form {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = wire.receive().await?;
            length.into()
        }
        _ => return Err(Trouble::Garbled("its address has no form of SOCKS5")),
    };
    let mut bound = [0; u8::MAX as usize + 2];
    wire.receive_into(&mut bound[..length + 2]).await
}

async fn authenticate(wire: &Wire, credentials: &Credentials) -> Result<(), Trouble> {
    let message = credentials.socks5().map_err(|_| Trouble::RefusesCredentials)?;
    wire.send(&message).await?;
    let [version, status] = wire.receive().await?;
    match (version, status) {
        // Some servers say 5 here.
        (1 | VERSION, SUCCEEDED) => Ok(()),
        (1 | VERSION, _) => Err(Trouble::RefusesCredentials),
        _ => Err(Trouble::Garbled("it answers no authentication of SOCKS5")),
    }
}

fn request(target: SocketAddr) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match target.ip() {
        IpAddr::V4(ip) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
    }
    request.extend(target.port().to_be_bytes());
    request
}

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;

/// Ways to say who asks.
const NOBODY: u8 = 0;
const PASSWORD: u8 = 2;
const NONE: u8 = 0xff;

/// Forms of an address.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: PX-1
    #[test]
    fn an_address_is_asked_for() {
        assert_eq!(
            request("10.0.0.5:5432".parse().unwrap()),
            [5, 1, 0, 1, 10, 0, 0, 5, 0x15, 0x38]
        );
        let ipv6 = request("[2001:db8::7]:443".parse().unwrap());
        assert_eq!(ipv6.len(), 4 + 16 + 2);
        assert_eq!(ipv6[..8], [5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(ipv6[19..], [7, 1, 0xbb]);
    }
}
