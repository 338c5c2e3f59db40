//! IPv6 addresses that embed IPv4 addresses which are kept out (HL-7), in the two ways in which a layer below can say them.
//!
//! | form | is |
//! | --- | --- |
//! | NAT64, IPv4-compatible, translated, 6to4, the server of Teredo | a network for a network: the IPv4 address stands right behind a prefix ([`networks`]) |
//! | ISATAP, the client of Teredo, local NAT64 | bits under a mask ([`Embedded`]): the prefix in front of the IPv4 address is anything, or there is something between |
//!
//! The forms and where they have the address are [`Embedding`]'s. Here is only how the sets of them look; a test compares
//! with [`Address::embedded`](outport_policy::Address::embedded), which alone knows.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use outport_policy::{Embedding, PortSet};

use super::line::{Line, Span};

/// IPv6 addresses by bits under masks, with ports.
#[derive(Clone, Debug, Default)]
pub(super) struct Embedded {
    pub(super) forms: Vec<MaskedForm>,
}

/// Addresses that have these bits, and the value of others in a line.
#[derive(Clone, Debug)]
pub(super) struct MaskedForm {
    /// Bits that an address has to have, and the mask that says which.
    pub(super) value: u128,
    pub(super) mask: u128,
    /// Networks to which the form does not apply.
    pub(super) except: Vec<Ipv6Net>,
    /// The bits whose value is looked up.
    pub(super) layout: u128,
    /// The ports by the value of these bits.
    pub(super) values: Line,
}

/// The IPv6 addresses that embed an address of `v4` behind a prefix.
pub(super) fn networks(v4: &Line) -> Line {
    let spans = Embedding::ALL
        .iter()
        .filter(|form| is_prefixed(form))
        .flat_map(|form| {
            let (prefix, _) = form.form();
            let below = form.layout().trailing_zeros();
            v4.spans().iter().filter_map(move |span| {
                // `::` and `::1` mean themselves.
                let least = if prefix == 0 { 2 } else { 0 };
                let first = span.first.max(least);
                (first <= span.last).then(|| Span {
                    first: prefix | (first << below),
                    last: prefix | (span.last << below) | ((1 << below) - 1),
                    ports: span.ports.clone(),
                })
            })
        });
    Line::of(spans.collect())
}

impl Embedded {
    /// The IPv6 addresses that embed an address of `v4` in some other way.
    pub(super) fn of(v4: &Line) -> Self {
        let forms = Embedding::ALL.iter().filter(|form| !is_prefixed(form));
        let forms = forms.flat_map(|form| masked(form, v4));
        Self {
            forms: forms.filter(|form| !form.values.is_empty()).collect(),
        }
    }

    pub(super) fn contains(&self, address: Ipv6Addr, port: u16) -> bool {
        let bits = address.to_bits();
        self.forms.iter().any(|form| {
            bits & form.mask == form.value
                && form
                    .values
                    .at(bits & form.layout)
                    .is_some_and(|ports| ports.contains(port))
                && !form.except.iter().any(|net| net.contains(&address))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The same, as far as it can meet addresses of the line.
    #[must_use]
    pub(super) fn near(&self, line: &Line) -> Self {
        let near = |form: &&MaskedForm| {
            line.spans().iter().any(|span| {
                // The bits that all addresses of the span have in common.
                let free = (span.first ^ span.last).checked_ilog2();
                let common = free.map_or(u128::MAX, |bit| u128::MAX.checked_shl(bit + 1).unwrap_or(0));
                (span.first ^ form.value) & form.mask & common == 0
            })
        };
        Self {
            forms: self.forms.iter().filter(near).cloned().collect(),
        }
    }
}

/// True if the IPv4 address stands right behind a prefix.
fn is_prefixed(form: &Embedding) -> bool {
    let (_, mask) = form.form();
    let length = mask.leading_ones();
    let behind = u128::from(u32::MAX).checked_shl(96_u32.saturating_sub(length));
    mask.count_ones() == length && behind == Some(form.layout()) && !form.is_inverted()
}

fn masked(form: &Embedding, v4: &Line) -> Vec<MaskedForm> {
    let (value, mask) = form.form();
    let form_of = |value, mask, v4: &Line| MaskedForm {
        value,
        mask,
        except: except(form),
        layout: form.layout(),
        values: placed(form, v4),
    };
    if !form.is_of_local_translation() {
        return vec![form_of(value, mask, v4)];
    }
    // What one layout says of 0.0.0.0/8 counts only where all of them say that: where the first byte of each is zero.
    let zero = Line::of(vec![Span {
        first: 0,
        last: 0x00ff_ffff,
        ports: PortSet::all(),
    }]);
    let local = Embedding::ALL
        .iter()
        .filter(|form| form.is_of_local_translation());
    let first_bytes = local.fold(0, |bits, form| bits | form.place(Ipv4Addr::new(255, 0, 0, 0)));
    vec![
        form_of(value, mask, &v4.difference(&zero)),
        form_of(value, mask | first_bytes, &v4.intersection(&zero)),
    ]
}

/// The networks of other forms, in which nobody looks for an interface identifier of ISATAP.
fn except(form: &Embedding) -> Vec<Ipv6Net> {
    let (value, _) = form.form();
    // It alone has no bits of its own in front.
    if value >> 64 != 0 {
        return Vec::new();
    }
    let others = Embedding::ALL.iter().filter(|other| {
        let (value, mask) = other.form();
        // 6to4 is looked at in both ways.
        value >> 64 != 0 && mask.leading_ones() != 16 && mask.leading_ones() < 96
    });
    let mut nets: Vec<Ipv6Net> = others
        .filter_map(|other| {
            let (value, mask) = other.form();
            let length = u8::try_from(mask.leading_ones()).ok()?;
            Ipv6Net::new(Ipv6Addr::from(value), length).ok()
        })
        .collect();
    nets.sort_unstable();
    nets.dedup();
    nets
}

/// The values of the form's bits for IPv4 addresses.
fn placed(form: &Embedding, v4: &Line) -> Line {
    let at = |number: u128| form.place(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)));
    let spans = v4.spans().iter().map(|span| {
        let ends = [at(span.first), at(span.last)];
        Span {
            first: ends[0].min(ends[1]),
            last: ends[0].max(ends[1]),
            ports: span.ports.clone(),
        }
    });
    Line::of(spans.collect())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use outport_policy::Address;
    use proptest::prelude::*;

    use super::*;
    use crate::export::space::number;

    /// Addresses of every form and beside them.
    fn address() -> impl Strategy<Value = Ipv6Addr> {
        let byte = prop_oneof![Just(0u8), Just(10), Just(127), Just(2), any::<u8>()];
        let prefix = proptest::sample::select(vec![
            "::/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
            "::ffff:0:0:0/96",
            "::/0",
            "2001:db8::5efe:0:0/96",
            "64:ff9b:1::5efe:0:0/96",
            "64:ff9b:1:0:0:5efe::/96",
            "2001::5efe:0:0/96",
            "2002:a00:5::5efe:0:0/96",
            "2001:db8::200:5efe:0:0/96",
        ]);
        (prefix, proptest::collection::vec(byte, 16)).prop_map(|(prefix, bytes)| {
            let net: Ipv6Net = prefix.parse().unwrap();
            let bytes: [u8; 16] = bytes.try_into().unwrap();
            let free = !u128::from(net.netmask());
            Ipv6Addr::from(net.network().to_bits() | (u128::from_be_bytes(bytes) & free))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 20_000, ..ProptestConfig::default() })]

        // proves: HL-7
        #[test]
        fn both_ways_together_are_what_an_address_embeds(
            address in address(),
            net in proptest::sample::select(vec!["10.0.0.0/8", "0.0.0.0/8", "127.0.0.0/8", "0.0.0.2/32", "0.0.0.1/32",
                "10.0.0.0/28", "0.10.0.0/16", "0.0.0.0/0", "2.0.0.0/7", "0.0.10.0/24"]),
        ) {
            let net: ipnet::Ipv4Net = net.parse().unwrap();
            let v4 = Line::of(vec![Span {
                first: number(net.network().into()),
                last: number(net.broadcast().into()),
                ports: PortSet::all(),
            }]);
            let said = networks(&v4).at(address.to_bits()).is_some() || Embedded::of(&v4).contains(address, 1);
            let canonical = Address::new(IpAddr::V6(address));
            prop_assert_eq!(said, canonical.embedded().any(|ip| net.contains(&ip)), "{} {}", address, net);
        }
    }
}
