//! The addresses that WASI takes for a socket; anything else is an invalid argument.
//!
//! | | bind | connect, send |
//! | --- | --- | --- |
//! | another family | no | no |
//! | IPv4 in IPv6: mapped (`::ffff:0:0/96`), compatible (`::/96`, but for `::` and `::1`) | no | no |
//! | multicast, broadcast | with UDP | with UDP |
//! | unspecified, port 0 | yes | no |

use std::net::{IpAddr, SocketAddr};

use super::Family;

/// True if an address is one that a socket of `family` can have.
pub(super) fn is_of(address: IpAddr, family: Family) -> bool {
    match (family, address) {
        (Family::V4, IpAddr::V4(_)) => true,
        (Family::V6, IpAddr::V6(address)) => {
            let compatible = matches!(address.segments(), [0, 0, 0, 0, 0, 0, _, _])
                && !address.is_unspecified()
                && !address.is_loopback();
            !compatible && address.to_ipv4_mapped().is_none()
        }
        (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => false,
    }
}

/// True if an address is one machine's.
pub(super) fn is_unicast(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !address.is_multicast() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_multicast(),
    }
}

/// True if an address and port can be connected to.
pub(super) fn is_somebody(remote: SocketAddr) -> bool {
    remote.port() != 0 && !remote.ip().to_canonical().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_for_what_wasi_takes_it_for() {
        // (address, of which family, unicast, may be connected to)
        let cases = [
            ("127.0.0.1:80", Some(Family::V4), true, true),
            ("127.0.0.1:0", Some(Family::V4), true, false),
            ("0.0.0.0:80", Some(Family::V4), true, false),
            ("0.0.0.1:80", Some(Family::V4), true, true),
            ("223.255.255.255:80", Some(Family::V4), true, true),
            ("224.0.0.0:80", Some(Family::V4), false, true),
            ("239.255.255.255:80", Some(Family::V4), false, true),
            ("240.0.0.0:80", Some(Family::V4), true, true),
            ("255.255.255.255:80", Some(Family::V4), false, true),
            ("[::]:80", Some(Family::V6), true, false),
            ("[::1]:80", Some(Family::V6), true, true),
            ("[::2]:80", None, true, true),
            ("[::127.0.0.1]:80", None, true, true),
            ("[::ffff:127.0.0.1]:80", None, true, true),
            ("[::ffff:224.0.0.1]:80", None, false, true),
            ("[::ffff:0.0.0.0]:80", None, true, false),
            ("[::1:0:0]:80", Some(Family::V6), true, true),
            ("[2001:db8::1]:80", Some(Family::V6), true, true),
            ("[ff02::1]:80", Some(Family::V6), false, true),
        ];
        for (text, family, unicast, somebody) in cases {
            let address: SocketAddr = text.parse().expect("an address");
            for of in [Family::V4, Family::V6] {
                assert_eq!(is_of(address.ip(), of), family == Some(of), "{text} {of:?}");
            }
            assert_eq!(is_unicast(address.ip()), unicast, "{text}");
            assert_eq!(is_somebody(address), somebody, "{text}");
        }
    }
}
