//! The addresses that are not globally reachable, by the IANA special-purpose address registries: what `private`
//! means in `block_networks` (DL-7).
//!
//! The registries nest: 192.0.0.0/24 is not globally reachable, 192.0.0.9 inside it is. So both columns are kept,
//! and the longest prefix that holds the address says which it is. Multicast has registries of its own and is
//! shut by the hard limits anyway; the deprecated site-local range (RFC 3879) counts as private, as in Spin.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Address;

/// True if some reading of the address, itself or an embedded IPv4 address, is not globally reachable.
pub(crate) fn is_private(address: Address) -> bool {
    address.readings().any(|reading| match reading.ip() {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    })
}

/// The networks that [`is_private`] looks for, apart from each other: each registry entry without those inside it
/// that say otherwise.
pub(crate) fn private_networks() -> Vec<IpNet> {
    let v4 = V4
        .iter()
        .map(|(ip, length, reach)| (IpNet::from(Ipv4Net::new_assert(*ip, length_of(*length))), *reach));
    let v6 = V6
        .iter()
        .map(|(ip, length, reach)| (IpNet::from(Ipv6Net::new_assert(*ip, length_of(*length))), *reach));
    let all: Vec<(IpNet, Reach)> = v4.chain(v6).collect();
    let not_global = all.iter().filter(|(_, reach)| *reach == NotGlobal);
    not_global
        .flat_map(|(net, _)| {
            let holes = all
                .iter()
                .filter(|(hole, reach)| *reach == Global && net.contains(hole));
            holes.fold(vec![*net], |parts, (hole, _)| {
                parts.into_iter().flat_map(|part| without(part, *hole)).collect()
            })
        })
        .collect()
}

/// The parts of a network that are not in the hole, which lies in it or apart from it.
fn without(net: IpNet, hole: IpNet) -> Vec<IpNet> {
    if !net.contains(&hole) {
        return if hole.contains(&net) {
            Vec::new()
        } else {
            vec![net]
        };
    }
    let halves = net.subnets(net.prefix_len() + 1).into_iter().flatten();
    if net == hole {
        Vec::new()
    } else {
        halves.flat_map(|half| without(half, hole)).collect()
    }
}

fn length_of(bits: u32) -> u8 {
    u8::try_from(bits).unwrap_or(u8::MAX)
}

/// The answer of the registry for a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Global,
    NotGlobal,
}

use Reach::{Global, NotGlobal};

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const V4: &[(Ipv4Addr, u32, Reach)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, NotGlobal),  // "This network", RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8, NotGlobal), // Private-Use, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10, NotGlobal), // Shared Address Space, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8, NotGlobal), // Loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16, NotGlobal), // Link Local, RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12, NotGlobal), // Private-Use, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24, NotGlobal), // IETF Protocol Assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 0, 9), 32, Global),  // Port Control Protocol Anycast, RFC 7723
    (Ipv4Addr::new(192, 0, 0, 10), 32, Global), // TURN Anycast, RFC 8155
    (Ipv4Addr::new(192, 0, 2, 0), 24, NotGlobal), // TEST-NET-1, RFC 5737
    (Ipv4Addr::new(192, 88, 99, 2), 32, NotGlobal), // 6a44 relay anycast, RFC 6751
    (Ipv4Addr::new(192, 168, 0, 0), 16, NotGlobal), // Private-Use, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15, NotGlobal), // Benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24, NotGlobal), // TEST-NET-2, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24, NotGlobal), // TEST-NET-3, RFC 5737
    (Ipv4Addr::new(240, 0, 0, 0), 4, NotGlobal), // Reserved, RFC 1112; 255.255.255.255, RFC 8190
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
const V6: &[(Ipv6Addr, u32, Reach)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, NotGlobal), // RFC 4291
    (Ipv6Addr::LOCALHOST, 128, NotGlobal),   // RFC 4291
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, NotGlobal), // Local translation, RFC 8215
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, NotGlobal), // Discard-Only, RFC 6666
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64, NotGlobal), // Dummy prefix, RFC 9780
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, NotGlobal), // IETF Protocol Assignments, RFC 2928
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128, Global), // Port Control Protocol Anycast
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128, Global), // TURN Anycast, RFC 8155
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128, Global), // DNS-SD SRP Anycast, RFC 9665
    (Ipv6Addr::new(0x2001, 3, 0, 0, 0, 0, 0, 0), 32, Global), // AMT, RFC 7450
    (Ipv6Addr::new(0x2001, 4, 0x112, 0, 0, 0, 0, 0), 48, Global), // AS112-v6, RFC 7535
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28, Global), // ORCHIDv2, RFC 7343
    (Ipv6Addr::new(0x2001, 0x30, 0, 0, 0, 0, 0, 0), 28, Global), // Drone Remote ID, RFC 9374
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, NotGlobal), // Documentation, RFC 3849
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, NotGlobal), // Documentation, RFC 9637
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, NotGlobal), // Segment routing SIDs, RFC 9602
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, NotGlobal), // Unique-Local, RFC 4193
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, NotGlobal), // Link-Local, RFC 4291
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, NotGlobal), // Site-local, deprecated by RFC 3879
];

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let holds = |net: Ipv4Addr, length: u32| (u32::from(ip) ^ u32::from(net)).leading_zeros() >= length;
    longest(
        V4.iter()
            .filter(|(net, length, _)| holds(*net, *length))
            .map(|(_, length, reach)| (*length, *reach)),
    )
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let holds = |net: Ipv6Addr, length: u32| (u128::from(ip) ^ u128::from(net)).leading_zeros() >= length;
    longest(
        V6.iter()
            .filter(|(net, length, _)| holds(*net, *length))
            .map(|(_, length, reach)| (*length, *reach)),
    )
}

fn longest(prefixes: impl Iterator<Item = (u32, Reach)>) -> bool {
    prefixes
        .max_by_key(|(length, _)| *length)
        .is_some_and(|(_, reach)| reach == NotGlobal)
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: DL-7, VAL-5
    #[test]
    fn the_networks_hold_just_what_is_private() {
        let networks = private_networks();
        let listed = |ip: IpAddr| networks.iter().any(|net| net.contains(&ip));
        let edges = V4
            .iter()
            .map(|(ip, length, _)| IpNet::from(Ipv4Net::new_assert(*ip, length_of(*length))));
        let edges = edges.chain(
            V6.iter()
                .map(|(ip, length, _)| Ipv6Net::new_assert(*ip, length_of(*length)).into()),
        );
        for net in edges {
            let (first, last) = (net.network(), net.broadcast());
            let outside = |ip: IpAddr, step: i8| match ip {
                IpAddr::V4(ip) => {
                    IpAddr::from(Ipv4Addr::from(u32::from(ip).wrapping_add_signed(step.into())))
                }
                IpAddr::V6(ip) => {
                    IpAddr::from(Ipv6Addr::from(u128::from(ip).wrapping_add_signed(step.into())))
                }
            };
            for ip in [first, last, outside(first, -1), outside(last, 1)] {
                // What a translated address embeds is asked of the rules for IPv4.
                let expected = match ip {
                    IpAddr::V4(ip) => is_private_v4(ip),
                    IpAddr::V6(ip) => is_private_v6(ip),
                };
                assert_eq!(listed(ip), expected, "{ip}");
            }
        }
    }

    // proves: DL-7
    #[test]
    fn private_is_what_the_registries_call_not_globally_reachable() {
        for (address, private) in [
            ("0.0.0.1", true),
            ("1.0.0.0", false),
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.0.1", true),
            ("169.254.169.254", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.0.0.1", true),
            ("192.0.0.9", false),
            ("192.0.0.10", false),
            ("192.0.0.11", true),
            ("192.0.2.1", true),
            ("192.88.99.1", false),
            ("192.88.99.2", true),
            ("192.167.255.255", false),
            ("192.168.0.0", true),
            ("198.17.255.255", false),
            ("198.18.0.0", true),
            ("198.19.255.255", true),
            ("198.20.0.0", false),
            ("203.0.113.7", true),
            ("239.255.255.255", false),
            ("240.0.0.0", true),
            ("255.255.255.255", true),
            ("93.184.216.34", false),
            ("::", true),
            ("::1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:93.184.216.34", false),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b::93.184.216.34", false),
            ("64:ff9b:1::5db8:d822", true),
            ("100::1", true),
            ("100:0:0:1::1", true),
            ("100:0:0:2::1", false),
            ("2001:1::1", false),
            ("2001:1::4", true),
            ("2001:3::1", false),
            ("2001:4:112::1", false),
            ("2001:4:113::1", true),
            ("2001:20::1", false),
            ("2001:30::1", false),
            ("2001:40::1", true),
            ("2001:200::1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("2002:a00:1::", true),
            ("2002:5db8:d822::", false),
            ("2606:2800:220:1::1", false),
            ("3fff:fff::1", true),
            ("3fff:1000::1", false),
            ("5f00::1", true),
            ("fbff::1", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe00::1", false),
            ("fe80::1", true),
            ("fec0::1", true),
        ] {
            assert_eq!(
                is_private(Address::new(address.parse().unwrap())),
                private,
                "{address}"
            );
        }
    }
}
