//! Networks, laid out for one question: which of them hold this address?
//!
//! Two networks lie apart, or one lies in the other. So their ends cut the address space into stretches, and all
//! addresses of a stretch lie in the same networks:
//!
//! ```text
//! a  10.0.0.0/8        ├──────────────────────────────┤
//! b  10.1.0.0/16             ├──────┤
//! c  192.0.2.0/24                                           ├───┤
//! stretches      ──────┼─────┼──────┼─────────────────┼─────┼───┼────
//! held by          –      a    a b          a            –    c    –
//! ```
//!
//! A question is a binary search over the first addresses of the stretches, and then a look at the networks of that
//! stretch, the widest first. The search begins in a sample of every [`PACE`]th address, which is small enough to
//! stay in the processor's cache, and ends among neighbours in memory: in a long list, it is the waiting for memory
//! that takes time.
//!
//! There are at most two stretches a network, and as many networks at an address as there are prefix lengths, so the
//! table grows with the list alone.

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::Address;

/// Values by network.
#[derive(Clone, Debug)]
pub(crate) struct Networks<T> {
    v4: Family<u32, T>,
    v6: Family<u128, T>,
}

/// Networks of one family, whose addresses are the numbers `A`.
#[derive(Clone, Debug)]
struct Family<A, T> {
    /// The first address of each stretch, ascending. What comes before the first is in no network.
    starts: Box<[A]>,
    /// Every [`PACE`]th of `starts`, from the first on.
    sample: Box<[A]>,
    /// The networks that hold each stretch: where in `holders` they are.
    stretches: Box<[Stretch]>,
    /// Positions in `values`. Each network has a place here with the wider ones that hold it before it.
    holders: Box<[u32]>,
    values: Box<[T]>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: u32,
    to: u32,
}

impl<T> Networks<T> {
    /// Lays out networks. Of one that is given more than once the first value counts.
    pub(crate) fn compile(networks: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, value) in networks {
            match net {
                IpNet::V4(net) => v4.push((net.network().into(), net.broadcast().into(), value)),
                IpNet::V6(net) => v6.push((net.network().into(), net.broadcast().into(), value)),
            }
        }
        Self {
            v4: Family::compile(v4),
            v6: Family::compile(v6),
        }
    }

    /// The values of the networks that hold the address itself, those of the widest first.
    pub(crate) fn holding(&self, address: Address) -> Holding<'_, T> {
        match address.ip() {
            IpAddr::V4(ip) => self.v4.holding(ip.into()),
            IpAddr::V6(ip) => self.v6.holding(ip.into()),
        }
    }
}

/// An address as a number.
trait Number: Copy + Ord {
    /// The address behind this one; `None` behind the last.
    fn next(self) -> Option<Self>;
}

impl<A: Number, T> Family<A, T> {
    /// Lays out networks, each given by its first and last address.
    fn compile(mut networks: Vec<(A, A, T)>) -> Self {
        // The wider one first, so that what is open is nested: networks hold each other or are apart. Of equal ones
        // the first stays, since sorting is stable.
        networks.sort_by_key(|(first, last, _)| (*first, Reverse(*last)));
        networks.dedup_by(|(first, last, _), (kept_first, kept_last, _)| {
            first == kept_first && last == kept_last
        });
        let mut layout = Layout::default();
        let mut values = Vec::with_capacity(networks.len());
        for (first, last, value) in networks {
            layout.close_before(first);
            layout.open(first, last, count(values.len()));
            values.push(value);
        }
        layout.close_all();
        Self {
            sample: layout.starts.iter().step_by(PACE).copied().collect(),
            starts: layout.starts.into(),
            stretches: layout.stretches.into(),
            holders: layout.holders.into(),
            values: values.into(),
        }
    }

    #[inline]
    fn holding(&self, address: A) -> Holding<'_, T> {
        let holders = match self.stretch_with(address) {
            Some(Stretch { from, to }) => &self.holders[*from as usize..*to as usize],
            None => &[],
        };
        Holding {
            holders: holders.iter(),
            values: &self.values,
        }
    }

    fn stretch_with(&self, address: A) -> Option<&Stretch> {
        let paces = self
            .sample
            .partition_point(|start| *start <= address)
            .checked_sub(1)?;
        let near = &self.starts[paces * PACE..];
        let near = &near[..near.len().min(PACE)];
        let behind = paces * PACE + near.partition_point(|start| *start <= address);
        // The first of the pace is not behind the address, so there is one before what is.
        self.stretches.get(behind.checked_sub(1)?)
    }
}

/// The number of stretches that the last part of a search looks at: two lines of a cache for IPv4.
const PACE: usize = 32;

/// The values of the networks that hold an address.
#[derive(Clone, Debug)]
pub(crate) struct Holding<'p, T> {
    holders: std::slice::Iter<'p, u32>,
    values: &'p [T],
}

impl<'p, T> Iterator for Holding<'p, T> {
    type Item = &'p T;

    fn next(&mut self) -> Option<&'p T> {
        self.holders.next().map(|holder| &self.values[*holder as usize])
    }
}

/// The table while networks are added, in the order of their first addresses and the wider before the narrower.
struct Layout<A> {
    starts: Vec<A>,
    stretches: Vec<Stretch>,
    holders: Vec<u32>,
    /// The networks that the sweep is in, the widest first: each one's last address, and what holds its own part.
    open: Vec<(A, Stretch)>,
}

impl<A: Number> Layout<A> {
    fn open(&mut self, first: A, last: A, value: u32) {
        let from = self.holders.len();
        let around = self.innermost();
        self.holders
            .extend_from_within(around.from as usize..around.to as usize);
        self.holders.push(value);
        let own = Stretch {
            from: count(from),
            to: count(self.holders.len()),
        };
        self.open.push((last, own));
        self.begin(first, own);
    }

    /// Ends the networks that do not reach `address`.
    fn close_before(&mut self, address: A) {
        while let Some((last, _)) = self.open.pop_if(|(last, _)| *last < address) {
            self.close(last);
        }
    }

    fn close_all(&mut self) {
        while let Some((last, _)) = self.open.pop() {
            self.close(last);
        }
    }

    /// Closes a network that ended at `last`: what is around it begins again behind it.
    fn close(&mut self, last: A) {
        if let Some(behind) = last.next() {
            self.begin(behind, self.innermost());
        }
    }

    fn innermost(&self) -> Stretch {
        self.open.last().map_or(NOWHERE, |(_, own)| *own)
    }

    /// Of several that begin at one address, the last counts: the innermost of those that open there, or, where
    /// several end together, what is around them all.
    fn begin(&mut self, start: A, stretch: Stretch) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.stretches.pop();
        }
        self.starts.push(start);
        self.stretches.push(stretch);
    }
}

const NOWHERE: Stretch = Stretch { from: 0, to: 0 };

/// INVARIANT: a network has at most 129 places among the holders, so a list would have to be far larger than a
/// machine's memory to have more than this counts.
fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a list of networks fits into memory")
}

impl Number for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self::compile([])
    }
}

impl<A> Default for Layout<A> {
    fn default() -> Self {
        Self {
            starts: Vec::new(),
            stretches: Vec::new(),
            holders: Vec::new(),
            open: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
