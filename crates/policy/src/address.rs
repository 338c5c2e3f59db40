//! Addresses in the one spelling that every layer sees.
//!
//! The same machine can be written in many ways: `127.0.0.1` is also `::ffff:127.0.0.1`, and a packet for
//! `64:ff9b::7f00:1` may come out of a translator as one for `127.0.0.1`. [`Address`] settles the first kind when
//! it is made: an IPv4-mapped IPv6 address *is* its IPv4 address (HL-7). The second kind stays an address
//! of its own, because it is one; [`Address::embedded`] names the IPv4 addresses that it may turn into on the
//! way, so that whoever refuses `127.0.0.1` can refuse those forms too.
//!
//! | form | where the IPv4 address is | source |
//! | --- | --- | --- |
//! | `::a.b.c.d` (IPv4-compatible) | last 32 bits; not `::` and `::1`, which mean themselves | RFC 4291 §2.5.5.1 |
//! | `::ffff:0:a.b.c.d` (IPv4-translated) | last 32 bits | RFC 2765 §2.1 |
//! | `64:ff9b::/96` (NAT64) | last 32 bits | RFC 6052 §2.1 |
//! | `64:ff9b:1::/48` (local NAT64) | as a /48, /56, /64 or /96 prefix puts it | RFC 8215, RFC 6052 §2.2 |
//! | `2002::/16` (6to4) | bits 16 to 47 | RFC 3056 §2 |
//! | `2001::/32` (Teredo) | server in bits 32 to 63, client inverted in the last 32 | RFC 4380 §4 |
//! | `…:0:5efe:a.b.c.d`, `…:200:5efe:a.b.c.d` (ISATAP) | last 32 bits | RFC 5214 §6.1 |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address in canonical form: an IPv4-mapped IPv6 address has become its IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(IpAddr);

impl Address {
    /// The canonical form of `ip`.
    pub const fn new(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }

    /// The address as the standard library knows it. Never an IPv4-mapped one.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// The IPv4 addresses that this IPv6 address may become on its way; none for an IPv4 address.
    pub fn embedded(self) -> impl Iterator<Item = Ipv4Addr> {
        let found = match self.0 {
            IpAddr::V4(_) => [None; 4],
            IpAddr::V6(ip) => embedded_in(ip),
        };
        found.into_iter().flatten()
    }

    /// This address, then what it embeds: everything that a refusal has to look at.
    pub fn readings(self) -> impl Iterator<Item = Self> {
        std::iter::once(self).chain(self.embedded().map(Self::from))
    }

    /// True if any reading of this address is the local machine: 127.0.0.0/8, `::1`, and what counts as loopback
    /// for judging, 0.0.0.0/8 and `::` (HL-6).
    pub fn reads_as_loopback(self) -> bool {
        self.reads_as(
            |ip| matches!(ip.octets()[0], 0 | 127),
            |ip| ip.is_loopback() || ip.is_unspecified(),
        )
    }

    /// True if any reading of this address is multicast or the limited broadcast (HL-5).
    pub fn reads_as_multicast(self) -> bool {
        self.reads_as(
            |ip| ip.is_multicast() || ip.is_broadcast(),
            |ip| ip.is_multicast(),
        )
    }

    /// True if any reading of this address is link-local, 169.254.0.0/16 or fe80::/10.
    pub fn reads_as_link_local(self) -> bool {
        self.reads_as(|ip| ip.is_link_local(), |ip| ip.is_unicast_link_local())
    }

    /// True if any reading of this address is not globally reachable, by the IANA special-purpose address registries:
    /// what `private` means in `block_networks` (DL-7).
    pub fn reads_as_private(self) -> bool {
        crate::special_purpose::is_private(self)
    }

    /// True if any reading of this address is where a cloud answers questions about the machine, outside the
    /// link-local ranges (RL-3).
    pub fn reads_as_metadata_service(self) -> bool {
        let is = |ip: IpAddr| METADATA_SERVICES.contains(&ip);
        self.reads_as(|ip| is(ip.into()), |ip| is(ip.into()))
    }

    /// True if a test holds for some reading. The same as asking every one of [`readings`](Self::readings), without
    /// the detour for an IPv4 address, which has one.
    fn reads_as(self, v4: impl Fn(Ipv4Addr) -> bool, v6: impl Fn(Ipv6Addr) -> bool) -> bool {
        match self.0 {
            IpAddr::V4(ip) => v4(ip),
            IpAddr::V6(ip) => v6(ip) || embedded_in(ip).into_iter().flatten().any(v4),
        }
    }

    /// True if this is the unspecified address, `0.0.0.0` or `::`.
    pub const fn is_unspecified(self) -> bool {
        self.0.is_unspecified()
    }
}

/// The instance-metadata addresses outside the link-local ranges: Amazon over IPv6, Alibaba Cloud, Azure's wire
/// server, Oracle Cloud.
pub const METADATA_SERVICES: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

fn embedded_in(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let octets = ip.octets();
    let at = |i: [usize; 4]| Some(Ipv4Addr::from(i.map(|i| octets[i])));
    let low = at([12, 13, 14, 15]);
    match ip.segments() {
        // `::` and `::1` are IPv6 addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 4],
        // IPv4-compatible (RFC 4291, section 2.5.5.1), translated (RFC 2765) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            [low, None, None, None]
        }
        // RFC 8215; where the address is depends on the prefix, and octet 8 is left out (RFC 6052, section 2.2).
        [0x64, 0xff9b, 1, ..] => {
            local_nat64([at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), low])
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => [at([2, 3, 4, 5]), isatap(ip), None, None],
        // Teredo (RFC 4380): its server, and its client with all bits inverted.
        [0x2001, 0, ..] => [
            at([4, 5, 6, 7]),
            low.map(|client| Ipv4Addr::from(!u32::from(client))),
            None,
            None,
        ],
        _ => [isatap(ip), None, None, None],
    }
}

/// The candidates that count: the layout that a translator uses cannot be seen from the address, so all count. An
/// address in 0.0.0.0/8 is what the wrong layout gives for most of them; it counts only where no layout says anything
/// else.
fn local_nat64(layouts: [Option<Ipv4Addr>; 4]) -> [Option<Ipv4Addr>; 4] {
    let says_something = |ip: &Ipv4Addr| ip.octets()[0] != 0;
    if layouts.iter().flatten().any(says_something) {
        layouts.map(|layout| layout.filter(says_something))
    } else {
        layouts
    }
}

fn isatap(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        // RFC 5214, section 6.1: with the bit for global addresses and without.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => {
            let [.., a, b, c, d] = ip.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip)
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Self {
        Self(IpAddr::V4(ip))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A canonical address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address, canonical. An IPv6 scope or flow label is not part of it: neither makes another destination.
    pub address: Address,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// The endpoint of `address` and `port`.
    pub fn new(address: impl Into<Address>, port: u16) -> Self {
        Self {
            address: address.into(),
            port,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(socket: SocketAddr) -> Self {
        Self::new(socket.ip(), socket.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address.ip(), endpoint.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::new(text.parse().unwrap())
    }

    // proves: HL-7
    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert_eq!(address("::ffff:10.0.0.5"), address("10.0.0.5"));
        assert_eq!(address("::ffff:a00:5").to_string(), "10.0.0.5");
        assert_ne!(address("::10.0.0.5"), address("10.0.0.5"));
    }

    // proves: HL-7
    #[test]
    fn every_embedding_form_gives_its_ipv4_address() {
        for (form, embedded) in [
            ("10.0.0.5", &[][..]),
            ("2001:db8::1", &[]),
            ("::", &[]),
            ("::1", &[]),
            ("::2", &["0.0.0.2"]),
            ("::10.0.0.5", &["10.0.0.5"]),
            ("::ffff:0:10.0.0.5", &["10.0.0.5"]),
            ("::fffe:0:10.0.0.5", &[]),
            ("64:ff9b::10.0.0.5", &["10.0.0.5"]),
            ("64:ff9b:0:0:0:1:a00:5", &[]),
            ("64:ff9b:2::10.0.0.5", &[]),
            ("2002:a00:5::", &["10.0.0.5"]),
            ("2002:a00:5::5efe:192.168.0.1", &["10.0.0.5", "192.168.0.1"]),
            ("2001:0:a00:5::f5ff:fffa", &["10.0.0.5", "10.0.0.5"]),
            ("2001:1::1", &[]),
            ("fe80::5efe:10.0.0.5", &["10.0.0.5"]),
            ("2001:db8::200:5efe:10.0.0.5", &["10.0.0.5"]),
            ("2001:db8::100:5efe:10.0.0.5", &[]),
        ] {
            let found: Vec<String> = address(form).embedded().map(|ip| ip.to_string()).collect();
            assert_eq!(found, embedded, "{form}");
        }
    }

    // proves: HL-7
    #[test]
    fn a_local_translation_prefix_is_read_in_every_layout() {
        // The layouts of RFC 6052 §2.4 for 192.0.2.33, below the prefix of RFC 8215.
        for form in [
            "64:ff9b:1:c000:2:2100::",
            "64:ff9b:1:3c0:0:221::",
            "64:ff9b:1:344:c0:2:2100:0",
            "64:ff9b:1::c000:221",
        ] {
            assert!(
                address(form).embedded().any(|ip| ip.to_string() == "192.0.2.33"),
                "{form}"
            );
            assert!(!address(form).reads_as_loopback(), "{form}");
        }
        assert!(address("64:ff9b:1::127.0.0.1").reads_as_loopback());
        assert!(address("64:ff9b:1::").reads_as_loopback());
    }

    // proves: HL-7
    #[test]
    fn an_endpoint_is_shown_with_its_canonical_address() {
        for (text, shown) in [
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("[::ffff:10.0.0.5]:80", "10.0.0.5:80"),
            ("[2001:db8:0::1]:443", "[2001:db8::1]:443"),
        ] {
            let endpoint = Endpoint::from(text.parse::<SocketAddr>().unwrap());
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(format!("{:?}", endpoint.address), endpoint.address.to_string());
        }
    }

    // proves: HL-6, HL-7, RL-1
    #[test]
    fn loopback_is_read_in_every_form() {
        for (form, loopback) in [
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("126.255.255.255", false),
            ("128.0.0.0", false),
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("::1", true),
            ("::", true),
            ("::2", true),
            ("::ffff:127.0.0.1", true),
            ("64:ff9b::127.0.0.1", true),
            ("64:ff9b::128.0.0.1", false),
            ("2002:7f00:1::1", true),
            ("2001:0:7f00:1::", true),
            ("2001:db8::5efe:127.0.0.1", true),
        ] {
            assert_eq!(address(form).reads_as_loopback(), loopback, "{form}");
        }
    }

    // proves: HL-5, RL-3
    #[test]
    fn multicast_link_local_and_metadata_have_sharp_edges() {
        for (form, multicast, link_local, metadata) in [
            ("223.255.255.255", false, false, false),
            ("224.0.0.0", true, false, false),
            ("239.255.255.255", true, false, false),
            ("240.0.0.0", false, false, false),
            ("255.255.255.254", false, false, false),
            ("255.255.255.255", true, false, false),
            ("ff00::", true, false, false),
            ("feff::1", false, false, false),
            ("64:ff9b::224.0.0.1", true, false, false),
            ("169.253.255.255", false, false, false),
            ("169.254.0.0", false, true, false),
            ("169.254.169.254", false, true, false),
            ("169.255.0.0", false, false, false),
            ("fe80::", false, true, false),
            ("febf::1", false, true, false),
            ("fec0::1", false, false, false),
            ("64:ff9b::169.254.169.254", false, true, false),
            ("fd00:ec2::254", false, false, true),
            ("fd00:ec2::253", false, false, false),
            ("100.100.100.200", false, false, true),
            ("168.63.129.16", false, false, true),
            ("192.0.0.192", false, false, true),
            ("::ffff:168.63.129.16", false, false, true),
        ] {
            let address = address(form);
            assert_eq!(address.reads_as_multicast(), multicast, "{form}");
            assert_eq!(address.reads_as_link_local(), link_local, "{form}");
            assert_eq!(address.reads_as_metadata_service(), metadata, "{form}");
        }
    }
}
