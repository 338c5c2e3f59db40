//! IPv6 addresses that embed a given IPv4 address: the way back from [`Address::embedded`].
//!
//! Each form puts the four bytes at fixed places of an address that is otherwise free, but for the bits that make
//! it this form. [`Embedding::construct`] fills one in; whether the result really embeds what it should is asked
//! of [`Address::embedded`], which alone knows.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::Address;

/// One form in which an IPv6 address embeds an IPv4 address (HL-7), for those who say it in other words: as a network, or
/// as bits under a mask.
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    /// The bits that make it this form, and which bits these are.
    value: u128,
    mask: u128,
    /// The bytes of the address that hold the IPv4 address.
    bytes: [usize; 4],
    /// Bits that are flipped on the way (Teredo's client).
    flip: u32,
}

/// The extent to which the addresses of a network have an IPv4 address by a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// All of them.
    EveryAddress,
    /// All of them, by this form or another of the same translation prefix.
    EveryAddressTogether,
    /// Those that have the right bits further down.
    SomeAddresses,
}

impl Embedding {
    /// Every form of [`Address::embedded`].
    pub const ALL: [Self; 11] = [
        Self::below([0, 0, 0, 0, 0, 0], 96, [12, 13, 14, 15]),
        Self::below([0x64, 0xff9b, 0, 0, 0, 0], 96, [12, 13, 14, 15]),
        Self::below([0x64, 0xff9b, 1, 0, 0, 0], 48, [6, 7, 9, 10]),
        Self::below([0x64, 0xff9b, 1, 0, 0, 0], 48, [7, 9, 10, 11]),
        Self::below([0x64, 0xff9b, 1, 0, 0, 0], 48, [9, 10, 11, 12]),
        Self::below([0x64, 0xff9b, 1, 0, 0, 0], 48, [12, 13, 14, 15]),
        Self::below([0x2002, 0, 0, 0, 0, 0], 16, [2, 3, 4, 5]),
        Self::below([0x2001, 0, 0, 0, 0, 0], 32, [4, 5, 6, 7]),
        Self {
            flip: u32::MAX,
            ..Self::below([0x2001, 0, 0, 0, 0, 0], 32, [12, 13, 14, 15])
        },
        Self {
            value: 0x5efe_0000_0000,
            // The universal/local bit may be set or not.
            mask: 0xfdff_ffff << 32,
            bytes: [12, 13, 14, 15],
            flip: 0,
        },
        Self::below([0, 0, 0, 0, 0xffff, 0], 96, [12, 13, 14, 15]),
    ];

    /// The bits that make an address one of this form, and the mask that says which bits these are.
    pub const fn form(&self) -> (u128, u128) {
        (self.value, self.mask)
    }

    /// The bits that hold the IPv4 address. They keep its order: of two IPv4 addresses the greater one is greater here too,
    /// or where they are [inverted](Self::is_inverted) the smaller one.
    pub fn layout(&self) -> u128 {
        self.put(0, Ipv4Addr::from(!self.flip))
    }

    /// The bits of the [`layout`](Self::layout) where it holds `ip`; all others are zero.
    pub fn place(&self, ip: Ipv4Addr) -> u128 {
        self.put(0, ip)
    }

    /// True if every bit of the IPv4 address is inverted.
    pub const fn is_inverted(&self) -> bool {
        self.flip != 0
    }

    /// True for the forms of the local translation prefix 64:ff9b:1::/48, of which an address has several at once. One of
    /// them that gives an address of 0.0.0.0/8 counts only where all of them do ([`Address::embedded`]).
    pub fn is_of_local_translation(&self) -> bool {
        self.value == Self::ALL[2].value
    }

    const fn below(segments: [u16; 6], length: u32, bytes: [usize; 4]) -> Self {
        let [a, b, c, d, e, f] = segments;
        Self {
            value: Ipv6Addr::new(a, b, c, d, e, f, 0, 0).to_bits(),
            mask: u128::MAX << (128 - length),
            bytes,
            flip: 0,
        }
    }

    /// The IPv4 addresses that an address of `within` can embed by this form; `None` where it can have none.
    pub(crate) fn reach(&self, within: Ipv6Net) -> Option<Ipv4Net> {
        let fixed = u128::from(within.netmask());
        if (within.network().to_bits() ^ self.value) & self.mask & fixed != 0 {
            return None;
        }
        let length = (0..32u8)
            .take_while(|bit| self.position(*bit) < u32::from(within.prefix_len()))
            .count();
        let ip = Ipv4Addr::from(self.take(within.network().to_bits()));
        Ipv4Net::new(ip, u8::try_from(length).unwrap_or(32))
            .ok()
            .map(|net| net.trunc())
    }

    /// Addresses of `within` that embed `ip` by this form; what neither settles is filled in different ways.
    pub(crate) fn construct(&self, within: Ipv6Net, ip: Ipv4Addr) -> impl Iterator<Item = Address> {
        let (form, base) = (*self, within.network().to_bits());
        FILLERS.into_iter().filter_map(move |filler| {
            let free = !u128::from(within.netmask()) & !form.mask;
            let bits = form.put(base | (form.value & form.mask) | (filler & free), ip);
            let address = Address::new(Ipv6Addr::from(bits).into());
            let right = within.contains(&Ipv6Addr::from(bits)) && address.embedded().any(|own| own == ip);
            right.then_some(address)
        })
    }

    /// The extent to which addresses of `within` embed something by this form.
    pub(crate) fn certainty(&self, within: Ipv6Net) -> Certainty {
        if self.mask & !u128::from(within.netmask()) != 0 {
            Certainty::SomeAddresses
        } else if self.is_of_local_translation() {
            Certainty::EveryAddressTogether
        } else {
            Certainty::EveryAddress
        }
    }

    fn position(&self, bit: u8) -> u32 {
        let byte = self.bytes[usize::from(bit / 8)];
        u32::try_from(byte).unwrap_or(0) * 8 + u32::from(bit % 8)
    }

    fn take(&self, bits: u128) -> u32 {
        let octets = bits.to_be_bytes();
        u32::from_be_bytes(self.bytes.map(|byte| octets[byte])) ^ self.flip
    }

    fn put(&self, bits: u128, ip: Ipv4Addr) -> u128 {
        let mut octets = bits.to_be_bytes();
        for (byte, octet) in self
            .bytes
            .into_iter()
            .zip((u32::from(ip) ^ self.flip).to_be_bytes())
        {
            octets[byte] = octet;
        }
        u128::from_be_bytes(octets)
    }
}

/// The values that the free bits of an example are set to. The second and third are neither zero nor an ISATAP
/// identifier.
const FILLERS: [u128; 4] = [0, 1, 0x0101_0101_0101_0101_0101_0101_0101_0101, u128::MAX];

/// Addresses of `within` for examples: a few that differ in the bits that `within` leaves open.
pub(crate) fn samples(within: Ipv6Net) -> impl Iterator<Item = Address> {
    let open = !u128::from(within.netmask());
    [1, 0x0101_0101_0101_0101_0101_0101_0101_0101, 0, u128::MAX]
        .into_iter()
        .map(move |filler| Ipv6Addr::from(within.network().to_bits() | (filler & open)))
        .filter(|ip| ip.to_ipv4_mapped().is_none())
        .map(|ip| Address::new(ip.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: HL-7
    #[test]
    fn every_form_embeds_what_it_is_given() {
        let all = "::/0".parse().unwrap();
        for ip in ["10.0.0.5", "127.0.0.1", "192.168.255.1"] {
            let ip: Ipv4Addr = ip.parse().unwrap();
            for form in Embedding::ALL {
                assert!(form.construct(all, ip).next().is_some(), "{form:?} of {ip}");
            }
        }
    }

    #[test]
    fn a_prefix_settles_what_can_be_embedded() {
        let reach = |form: usize, within: &str| {
            Embedding::ALL[form]
                .reach(within.parse().unwrap())
                .map(|net| net.to_string())
        };
        for (form, within, expected) in [
            (1, "64:ff9b::/96", Some("0.0.0.0/0")),
            (1, "64:ff9b::a00:0/104", Some("10.0.0.0/8")),
            (1, "64:ff9b::a00:5/128", Some("10.0.0.5/32")),
            (1, "64:ff9c::/96", None),
            (1, "::/0", Some("0.0.0.0/0")),
            (6, "2002:a00::/24", Some("10.0.0.0/8")),
            (8, "2001:0:1:1:1:1:f5ff:0/112", Some("10.0.0.0/16")),
            (9, "2001:db8::/64", Some("0.0.0.0/0")),
            (9, "2001:db8::5efe:a00:0/104", Some("10.0.0.0/8")),
            (9, "2001:db8::200:5efe:a00:0/104", Some("10.0.0.0/8")),
            (9, "2001:db8::1:0:0:0/80", None),
            (10, "::ffff:0:a00:0/104", Some("10.0.0.0/8")),
            // Prefixes that end inside a byte, and one that ends among the four.
            (1, "64:ff9b::a10:0/108", Some("10.16.0.0/12")),
            (6, "2002:a000::/20", Some("160.0.0.0/4")),
            (6, "2002:a08::/29", Some("10.8.0.0/13")),
            (3, "64:ff9b:1:344:c0::/76", Some("68.192.0.0/12")),
        ] {
            assert_eq!(
                reach(form, within).as_deref(),
                expected,
                "form {form} of {within}"
            );
        }
    }

    // proves: HL-7
    #[test]
    fn what_neither_form_nor_network_settles_is_filled_in_in_different_ways() {
        let rows: [(usize, &str, &[&str]); 6] = [
            (1, "64:ff9b::/96", &["64:ff9b::a00:5"; 4]),
            (
                6,
                "2002::/16",
                &[
                    "2002:a00:5::",
                    "2002:a00:5::1",
                    "2002:a00:5:101:101:101:101:101",
                    "2002:a00:5:ffff:ffff:ffff:ffff:ffff",
                ],
            ),
            (
                6,
                "2002:a00:5:7::/64",
                &[
                    "2002:a00:5:7::",
                    "2002:a00:5:7::1",
                    "2002:a00:5:7:101:101:101:101",
                    "2002:a00:5:7:ffff:ffff:ffff:ffff",
                ],
            ),
            (6, "2002:b00::/24", &[]),
            (
                8,
                "2001:0:1:1::/64",
                &[
                    "2001:0:1:1::f5ff:fffa",
                    "2001:0:1:1::f5ff:fffa",
                    "2001:0:1:1:101:101:f5ff:fffa",
                    "2001:0:1:1:ffff:ffff:f5ff:fffa",
                ],
            ),
            (
                9,
                "2001:db8::/64",
                &[
                    "2001:db8::5efe:a00:5",
                    "2001:db8::5efe:a00:5",
                    "2001:db8::5efe:a00:5",
                    "2001:db8::200:5efe:a00:5",
                ],
            ),
        ];
        for (form, within, expected) in rows {
            let net = within.parse().unwrap();
            let found: Vec<String> = Embedding::ALL[form]
                .construct(net, Ipv4Addr::new(10, 0, 0, 5))
                .map(|address| address.to_string())
                .collect();
            assert_eq!(found, expected, "form {form} in {within}");
        }
    }

    #[test]
    fn it_is_known_which_addresses_of_a_network_embed_something() {
        for (form, within, expected) in [
            (1, "64:ff9b::/96", Certainty::EveryAddress),
            (1, "64:ff9b::/64", Certainty::SomeAddresses),
            (2, "64:ff9b:1::/48", Certainty::EveryAddressTogether),
            (5, "64:ff9b:1::/48", Certainty::EveryAddressTogether),
            (2, "64:ff9b:1::/47", Certainty::SomeAddresses),
            (6, "2002::/16", Certainty::EveryAddress),
            (9, "2001:db8::/64", Certainty::SomeAddresses),
            (9, "2001:db8::5efe:0:0/96", Certainty::EveryAddress),
        ] {
            let certainty = Embedding::ALL[form].certainty(within.parse().unwrap());
            assert_eq!(certainty, expected, "form {form} of {within}");
        }
    }

    #[test]
    fn samples_of_a_network_differ_in_what_it_leaves_open() {
        let rows: [(&str, &[&str]); 3] = [
            (
                "2001:db8::/96",
                &[
                    "2001:db8::1",
                    "2001:db8::101:101",
                    "2001:db8::",
                    "2001:db8::ffff:ffff",
                ],
            ),
            ("2001:db8::7/128", &["2001:db8::7"; 4]),
            // These are IPv4 addresses by the time anybody looks.
            ("::ffff:0:0/96", &[]),
        ];
        for (within, expected) in rows {
            let found: Vec<String> = samples(within.parse().unwrap())
                .map(|ip| ip.to_string())
                .collect();
            assert_eq!(found, expected, "{within}");
        }
    }
}
