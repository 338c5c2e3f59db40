//! Addresses of one family, each with its ports: ascending spans that do not overlap, and exact arithmetic on them.
//!
//! An IPv4 address is a number below 2³² here, an IPv6 address one below 2¹²⁸. An operation on two lines walks both once,
//! from one border to the next, so it costs what the lines have spans, and its result has at most as many as both together
//! have borders. Spans that touch and have the same ports are one.

use outport_policy::PortSet;

/// Sets of ports along the addresses of a family. No span has an empty set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<Span>);

/// The addresses from `first` to `last`, both included, and the ports that all of them have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) ports: PortSet,
}

impl Line {
    /// The union of spans in any order, which may overlap.
    pub(super) fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| !span.ports.is_empty());
        let mut lines: Vec<Self> = spans.into_iter().map(|span| Self(vec![span])).collect();
        // In pairs, so that a span takes part in few unions.
        while lines.len() > 1 {
            lines = lines
                .chunks(2)
                .map(|pair| match pair {
                    [one, other] => one.union(other),
                    _ => pair[0].clone(),
                })
                .collect();
        }
        lines.pop().unwrap_or_default()
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports at an address.
    pub(super) fn at(&self, address: u128) -> Option<&PortSet> {
        let at = self.0.partition_point(|span| span.last < address);
        self.0
            .get(at)
            .filter(|span| span.first <= address)
            .map(|span| &span.ports)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        self.combined(other, PortSet::union)
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combined(&other.around(self), PortSet::intersection)
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combined(&other.around(self), PortSet::difference)
    }

    /// The spans from the beginning of another line to its end, so that a short one is not held against all of a long one.
    fn around(&self, other: &Self) -> Self {
        let (Some(first), Some(last)) = (other.0.first(), other.0.last()) else {
            return Self::default();
        };
        let begin = self.0.partition_point(|span| span.last < first.first);
        let end = self.0.partition_point(|span| span.first <= last.last);
        Self(self.0[begin..end.max(begin)].to_vec())
    }

    fn combined(&self, other: &Self, operation: fn(&PortSet, &PortSet) -> PortSet) -> Self {
        let mut borders: Vec<u128> = (self.0.iter().chain(&other.0))
            .flat_map(|span| [Some(span.first), span.last.checked_add(1)])
            .flatten()
            .collect();
        borders.sort_unstable();
        borders.dedup();
        let (mut own, mut others) = (Cursor::new(&self.0), Cursor::new(&other.0));
        let mut result = Self::default();
        for (index, &first) in borders.iter().enumerate() {
            let last = borders.get(index + 1).map_or(u128::MAX, |next| next - 1);
            let ports = operation(own.at(first), others.at(first));
            result.push(Span { first, last, ports });
        }
        result
    }

    /// Behind the last one.
    fn push(&mut self, span: Span) {
        if span.ports.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(before) if before.last.checked_add(1) == Some(span.first) && before.ports == span.ports => {
                before.last = span.last;
            }
            _ => self.0.push(span),
        }
    }
}

/// A place in spans, for addresses that ascend.
struct Cursor<'s>(&'s [Span]);

impl<'s> Cursor<'s> {
    fn new(spans: &'s [Span]) -> Self {
        Self(spans)
    }

    fn at(&mut self, address: u128) -> &'s PortSet {
        while let [first, rest @ ..] = self.0
            && first.last < address
        {
            self.0 = rest;
        }
        match self.0 {
            [first, ..] if first.first <= address => &first.ports,
            _ => &NONE,
        }
    }
}

static NONE: PortSet = PortSet::EMPTY;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        let address = prop_oneof![0..40u128, Just(u128::MAX), Just(u128::MAX - 1)];
        (address.clone(), address, 1..6u16, 0..3u16).prop_map(|(one, other, port, more)| Span {
            first: one.min(other),
            last: one.max(other),
            ports: outport_policy::PortRange::new(port, port + more)
                .into_iter()
                .collect(),
        })
    }

    fn line() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec(span(), 0..6)
    }

    fn has(spans: &[Span], address: u128, port: u16) -> bool {
        spans
            .iter()
            .any(|span| span.first <= address && address <= span.last && span.ports.contains(port))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn operations_are_those_of_sets(a in line(), b in line()) {
            let (one, other) = (Line::of(a.clone()), Line::of(b.clone()));
            let (union, both, rest) = (one.union(&other), one.intersection(&other), one.difference(&other));
            for address in (0..42).chain([u128::MAX - 2, u128::MAX - 1, u128::MAX]) {
                for port in 1..9 {
                    let (in_a, in_b) = (has(&a, address, port), has(&b, address, port));
                    let at = |line: &Line| line.at(address).is_some_and(|ports| ports.contains(port));
                    prop_assert_eq!(at(&one), in_a);
                    prop_assert_eq!(at(&union), in_a || in_b);
                    prop_assert_eq!(at(&both), in_a && in_b);
                    prop_assert_eq!(at(&rest), in_a && !in_b);
                }
            }
            for line in [&union, &both, &rest] {
                for pair in line.spans().windows(2) {
                    prop_assert!(pair[0].last < pair[1].first);
                    prop_assert!(pair[0].last + 1 != pair[1].first || pair[0].ports != pair[1].ports);
                }
            }
        }
    }
}
