//! Port ranges and sets of ports.

use std::fmt;
use std::num::IntErrorKind;

use crate::text;

/// The ports from `first` to `last`, both included. Never port 0, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port there is to connect to: 1 to 65535.
    pub const ALL: Self = Self {
        first: 1,
        last: u16::MAX,
    };

    /// The ports from `first` to `last`; `None` where that is empty or has port 0.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || first > last {
            None
        } else {
            Some(Self { first, last })
        }
    }

    /// Just this port; `None` for port 0.
    pub const fn one(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// True if `port` lies in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u16::MAX) => f.write_str("*"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// A set of ports, kept as ascending ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self(Vec::new());

    /// Every port from 1 to 65535.
    pub fn all() -> Self {
        Self(vec![PortRange::ALL])
    }

    /// Reads what an operator types: `53`, `80-90`, `*`, or several of these with commas between.
    ///
    /// # Errors
    ///
    /// See [`PortsError`].
    pub fn parse(text: &str) -> Result<Self, PortsError> {
        text.split(',').map(|part| parse_range(part.trim())).collect()
    }

    /// True if `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let at = self.0.partition_point(|range| range.last < port);
        self.0.get(at).is_some_and(|range| range.contains(port))
    }

    /// True if no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if every port from 1 to 65535 is in the set.
    pub fn is_all(&self) -> bool {
        self.0 == [PortRange::ALL]
    }

    /// The ranges, ascending, with a gap between each two.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    /// The ports in either set.
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// The ports in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a, b)));
        pairs
            .filter_map(|(a, b)| PortRange::new(a.first.max(b.first), a.last.min(b.last)))
            .collect()
    }

    /// The ports of this set that are not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = 1;
        for range in &self.0 {
            gaps.extend(PortRange::new(next, range.first - 1));
            match range.last.checked_add(1) {
                Some(after) => next = after,
                None => return Self(gaps),
            }
        }
        gaps.extend(PortRange::new(next, u16::MAX));
        Self(gaps)
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut ranges: Vec<PortRange> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut joined: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            range.fmt(f)?;
        }
        Ok(())
    }
}

/// The reason why a text is not a port, range of ports or list of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortsError {
    /// Not a number.
    #[error(
        "`{}` is not a port: write a number from 1 to 65535, a range such as `8000-8100`, or `*`",
        text::excerpt(.0)
    )]
    NotANumber(String),
    /// More than 65535.
    #[error("`{}` is not a port: the highest is 65535", text::excerpt(.0))]
    TooHigh(String),
    /// Port 0, which nothing listens on.
    #[error("port 0 cannot be connected to; write `*` for every port")]
    Zero,
    /// The first port is above the last.
    #[error("the range `{}` holds no port: its first port is above its last", text::excerpt(.0))]
    Empty(String),
}

fn parse_range(text: &str) -> Result<PortRange, PortsError> {
    if text == "*" {
        return Ok(PortRange::ALL);
    }
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (parse_port(first)?, parse_port(last)?),
        None => {
            let port = parse_port(text)?;
            (port, port)
        }
    };
    PortRange::new(first, last).ok_or_else(|| PortsError::Empty(text.to_owned()))
}

/// Reads a port from 1 to 65535. Digits only: `u16::from_str` would take `+80` too.
pub(crate) fn parse_port(text: &str) -> Result<u16, PortsError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PortsError::NotANumber(text.to_owned()));
    }
    match text.parse::<u16>() {
        Ok(0) => Err(PortsError::Zero),
        Ok(port) => Ok(port),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Err(PortsError::TooHigh(text.to_owned())),
        Err(_) => Err(PortsError::NotANumber(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn operators_ports_are_read() {
        for (text, shown) in [
            ("53", "53"),
            ("80-90", "80-90"),
            ("*", "*"),
            ("1-65535", "*"),
            ("443, 80,81", "80-81,443"),
            ("65535", "65535"),
        ] {
            let ports = PortSet::parse(text).unwrap();
            assert_eq!(ports.to_string(), shown, "{text}");
            assert_eq!(ports.is_all(), shown == "*", "{text}");
        }
        for (text, error) in [
            ("", PortsError::NotANumber(String::new())),
            ("http", PortsError::NotANumber("http".into())),
            ("+80", PortsError::NotANumber("+80".into())),
            ("65536", PortsError::TooHigh("65536".into())),
            ("0", PortsError::Zero),
            ("0-80", PortsError::Zero),
            ("90-80", PortsError::Empty("90-80".into())),
        ] {
            assert_eq!(PortSet::parse(text), Err(error), "{text}");
        }
    }

    fn set() -> impl Strategy<Value = PortSet> {
        let port = prop_oneof![1..20u16, 65520..=65535u16];
        let range = (port.clone(), port).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap());
        proptest::collection::vec(range, 0..6).prop_map(|ranges| ranges.into_iter().collect())
    }

    proptest! {
        #[test]
        fn set_operations_agree_with_membership(a in set(), b in set()) {
            for port in (1..25).chain(65510..=65535) {
                let (in_a, in_b) = (a.contains(port), b.contains(port));
                prop_assert_eq!(a.union(&b).contains(port), in_a || in_b);
                prop_assert_eq!(a.intersection(&b).contains(port), in_a && in_b);
                prop_assert_eq!(a.difference(&b).contains(port), in_a && !in_b);
            }
            prop_assert_eq!(a.union(&PortSet::all()), PortSet::all());
            prop_assert!(a.difference(&a).is_empty());
        }
    }
}
