//! Whether an address is this machine's own, where a proxy on this machine may be reached by it.

use std::net::{IpAddr, UdpSocket};

/// True if `ip` is an address of this machine: the system lets one bind to no other. Nothing is sent.
pub(super) fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machines_and_what_is_for_documentation_nobodys() {
        for (text, own) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_own(text.parse().unwrap()), own, "{text}");
        }
    }
}
