//! Networks in the order in which a walk down the tree of addresses meets them.
//!
//! IPv4 and IPv6 networks are kept apart but alike: a network is its leading bits, left-aligned in 128, and how
//! many of them count. Sorted by these two, everything inside a network stands behind it in one piece, so the
//! list is a tree without pointers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{ControlFlow, Range};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::by_port::ByPort;
use super::live::Live;
use super::pieces::Pieces;
use super::rules::Rule;
use crate::PortSet;

/// The leading bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Prefix {
    bits: u128,
    length: u8,
}

/// Rules by network.
#[derive(Debug, Default)]
pub(super) struct Networks {
    sorted: Vec<(Prefix, usize)>,
    in_order: Pieces,
    exact: HashMap<Prefix, ByPort>,
    /// The lengths that occur, ascending.
    lengths: Vec<u8>,
}

impl Prefix {
    pub(super) fn of(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self::v4(net),
            IpNet::V6(net) => Self::v6(net),
        }
    }

    pub(super) fn v4(net: Ipv4Net) -> Self {
        Self {
            bits: u128::from(net.network().to_bits()) << 96,
            length: net.prefix_len(),
        }
    }

    pub(super) fn v6(net: Ipv6Net) -> Self {
        Self {
            bits: net.network().to_bits(),
            length: net.prefix_len(),
        }
    }

    pub(super) fn as_v4(self) -> Ipv4Net {
        let ip = Ipv4Addr::from(u32::try_from(self.bits >> 96).unwrap_or(u32::MAX));
        Ipv4Net::new_assert(ip, self.length.min(32))
    }

    pub(super) fn as_v6(self) -> Ipv6Net {
        Ipv6Net::new_assert(Ipv6Addr::from(self.bits), self.length.min(128))
    }

    fn cut_to(self, length: u8) -> Self {
        Self {
            bits: self.bits & mask(length),
            length,
        }
    }

    fn last_bits(self) -> u128 {
        self.bits | !mask(self.length)
    }

    /// The lower and the upper half.
    fn halves(self) -> [Self; 2] {
        let length = self.length + 1;
        let upper = self.bits | (1 << (128 - u32::from(length)));
        [
            Self {
                bits: self.bits,
                length,
            },
            Self { bits: upper, length },
        ]
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl Networks {
    pub(super) fn insert(&mut self, prefix: Prefix, ports: &PortSet, rule: usize) {
        self.sorted.push((prefix, rule));
        self.exact.entry(prefix).or_default().insert(ports, rule);
    }

    /// Puts the list in order. INVARIANT: called once, after the last insert and before the first question.
    pub(super) fn sort(&mut self) {
        self.sorted.sort_unstable();
        self.in_order = Pieces::new(self.sorted.iter().map(|(_, rule)| *rule).collect());
        self.exact.values_mut().for_each(ByPort::sort);
        self.lengths = self.sorted.iter().map(|(prefix, _)| prefix.length).collect();
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }

    /// The rules of every network that holds all of `prefix` and that are near the ports, the widest first.
    pub(super) fn above<'a, 'p>(
        &'a self,
        prefix: Prefix,
        ports: &'p PortSet,
    ) -> impl Iterator<Item = usize> + use<'a, 'p> {
        let lengths = self
            .lengths
            .iter()
            .take_while(move |length| **length <= prefix.length);
        lengths.flat_map(move |length| {
            let exact = self.exact.get(&prefix.cut_to(*length));
            exact.into_iter().flat_map(|rules| rules.near(ports))
        })
    }

    /// The rules of every network inside `prefix`, itself not among them: which piece of which order.
    pub(super) fn inside(&self, prefix: Prefix) -> (&Pieces, Range<usize>) {
        (&self.in_order, self.range(prefix))
    }

    /// Walks over the parts of `prefix` that no rule covers whole, and tells each with what is still live there.
    /// `live` is what the rules above `prefix` leave.
    pub(super) fn gaps<'r, B>(
        &self,
        prefix: Prefix,
        live: Live,
        rule: &impl Fn(usize) -> Option<&'r Rule>,
        each: &mut impl FnMut(Prefix, &Live) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        walk(&self.sorted[self.range(prefix)], prefix, live, rule, each)
    }

    fn range(&self, prefix: Prefix) -> Range<usize> {
        let start = self.sorted.partition_point(|(own, _)| *own <= prefix);
        let inside = self.sorted[start..].partition_point(|(own, _)| own.bits <= prefix.last_bits());
        start..start + inside
    }
}

fn walk<'r, B>(
    rules: &[(Prefix, usize)],
    at: Prefix,
    mut live: Live,
    rule: &impl Fn(usize) -> Option<&'r Rule>,
    each: &mut impl FnMut(Prefix, &Live) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let own = rules.partition_point(|(prefix, _)| *prefix <= at);
    for rule in rules[..own].iter().filter_map(|(_, id)| rule(*id)) {
        live.subtract(rule);
    }
    let inside = &rules[own..];
    if live.is_empty() {
        return ControlFlow::Continue(());
    }
    if inside.is_empty() {
        return each(at, &live);
    }
    let [lower, upper] = at.halves();
    let (low, high) = inside.split_at(inside.partition_point(|(prefix, _)| prefix.bits < upper.bits));
    // The half without rules first: it is the shortest way to something live.
    let mut halves = [(lower, low), (upper, high)];
    halves.sort_by_key(|(_, rules)| rules.len());
    halves
        .into_iter()
        .try_for_each(|(half, rules)| walk(rules, half, live.clone(), rule, each))
}
