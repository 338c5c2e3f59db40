//! The owners of ports.

use crate::{PortRange, PortSet};

/// Ascending ranges of ports that do not overlap, each with whose it is. A single range, which is what nearly every
/// pattern has, is kept in place; several are behind a pointer.
#[derive(Clone, Debug)]
pub(crate) enum PortMap<Id> {
    One([(PortRange, Id); 1]),
    Several(Box<[(PortRange, Id)]>),
}

impl<Id: Copy + Ord> PortMap<Id> {
    /// Compiles the map. Where ranges overlap, the one that starts first keeps the ports: any entry that names a port
    /// will do, and one is enough.
    pub(crate) fn compile(mut ranges: Vec<(PortRange, Id)>) -> Self {
        // With the number, so that of entries for the same ports the first one on the list is cited.
        ranges.sort_unstable_by_key(|(range, id)| (range.first(), *id));
        let mut free_from = 1;
        let mut kept = Vec::with_capacity(ranges.len());
        for (range, id) in ranges {
            let Some(rest) = PortRange::new(range.first().max(free_from), range.last()) else {
                continue;
            };
            kept.push((rest, id));
            match rest.last().checked_add(1) {
                Some(next) => free_from = next,
                None => break,
            }
        }
        match kept[..] {
            [one] => Self::One([one]),
            _ => Self::Several(kept.into()),
        }
    }

    /// The ranges, ascending, each with whose it is.
    pub(crate) fn ranges(&self) -> &[(PortRange, Id)] {
        match self {
            Self::One(one) => one,
            Self::Several(several) => several,
        }
    }

    /// The owner of the port.
    #[inline]
    pub(crate) fn find(&self, port: u16) -> Option<Id> {
        self.range_with(port).map(|(_, id)| *id)
    }

    /// The last port of the range that the port is in.
    pub(crate) fn reach(&self, port: u16) -> Option<u16> {
        self.range_with(port).map(|(range, _)| range.last())
    }

    /// The owner of the lowest port.
    pub(crate) fn first(&self) -> Option<Id> {
        self.ranges().first().map(|(_, id)| *id)
    }

    /// The owners of the ports of the set, ascending.
    pub(crate) fn overlapping<'a>(&'a self, ports: &'a PortSet) -> impl Iterator<Item = Id> + 'a {
        ports.ranges().iter().flat_map(|wanted| {
            self.ranges_from(wanted.first())
                .iter()
                .take_while(|(range, _)| range.first() <= wanted.last())
                .map(|(_, id)| *id)
        })
    }

    #[inline]
    fn range_with(&self, port: u16) -> Option<&(PortRange, Id)> {
        let ending_behind = match self {
            Self::One([one]) => one,
            Self::Several(_) => self.ranges_from(port).first()?,
        };
        Some(ending_behind).filter(|(range, _)| range.contains(port))
    }

    /// The ranges that end at the port or behind it.
    fn ranges_from(&self, port: u16) -> &[(PortRange, Id)] {
        let ranges = self.ranges();
        &ranges[ranges.partition_point(|(range, _)| range.last() < port)..]
    }
}

impl<Id> Default for PortMap<Id> {
    fn default() -> Self {
        Self::Several(Box::default())
    }
}
