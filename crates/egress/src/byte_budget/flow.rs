//! One direction of a connection, and its place in the lane of its component.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use super::{ByteBudget, Settled, Spent, UsedUp, Way, Wish};

/// One direction of a connection, or of a socket for datagrams. It is moved by one task at a time: of several that wait the
/// last one is woken.
pub(crate) struct Flow {
    budget: Arc<ByteBudget>,
    way: Way,
    /// Its place in the queue; 0 for none.
    ticket: AtomicU64,
    /// The number of cuts that were before it; none of datagrams, which have no connection that could end.
    cuts: Option<u64>,
    /// Bytes that there is to be room for before a datagram is sent: as many as the last one had, and a packet at least, since
    /// nobody knows the next one.
    wanted: AtomicU64,
}

/// Bytes that may be moved now. What is not [settled](Reserved::settle) is given back.
#[must_use = "what is reserved and not settled is given back"]
pub(crate) struct Reserved<'a> {
    flow: &'a Flow,
    bytes: u64,
}

impl Flow {
    /// That of a connection that begins.
    pub(crate) fn new(budget: &Arc<ByteBudget>, way: Way) -> Self {
        let mut flow = Self::of_datagrams(budget, way);
        flow.cuts = Some(budget.cuts.load(Ordering::Acquire));
        flow
    }

    /// That of a socket for datagrams.
    pub(crate) fn of_datagrams(budget: &Arc<ByteBudget>, way: Way) -> Self {
        Self {
            budget: budget.clone(),
            way,
            ticket: AtomicU64::new(0),
            cuts: None,
            wanted: AtomicU64::new(if way == Way::Out { PACKET } else { 1 }),
        }
    }

    /// A flow like this one with a place of its own in the queue, for a task beside others.
    pub(crate) fn beside(&self) -> Self {
        let mut flow = Self::of_datagrams(&self.budget, self.way);
        flow.cuts = self.cuts;
        flow
    }

    /// True if bytes have to be reserved before they are moved.
    pub(crate) fn is_limited(&self) -> bool {
        self.budget.limits(self.way)
    }

    /// True if the connection has ended since a bound was reached.
    pub(crate) fn is_cut(&self) -> bool {
        let cuts = self.budget.cuts.load(Ordering::Acquire);
        self.cuts.is_some_and(|before| before != cuts)
    }

    /// The most that may be moved at once.
    pub(crate) fn burst(&self) -> usize {
        let burst = self.budget.lane(self.way).burst();
        burst.map_or(usize::MAX, |burst| usize::try_from(burst).unwrap_or(usize::MAX))
    }

    /// Reserves as many of `most` bytes of a stream as may be moved now. Where none may be, `cx` is woken when some may, if
    /// it is given.
    pub(crate) fn poll_reserve(
        &self,
        cx: Option<&mut Context<'_>>,
        most: usize,
    ) -> Poll<Result<Reserved<'_>, Spent>> {
        if self.is_cut() {
            return Poll::Ready(Err(Spent));
        }
        self.poll(cx, Wish::Some(most as u64))
    }

    /// Reserves a datagram of so many bytes.
    pub(crate) fn poll_reserve_datagram(
        &self,
        cx: Option<&mut Context<'_>>,
        length: usize,
    ) -> Poll<Result<Reserved<'_>, Spent>> {
        // One without data is sent, too.
        let length = (length as u64).max(1);
        let polled = self.poll(cx, Wish::All(length));
        if self.way == Way::Out {
            self.wanted.store(length.max(PACKET), Ordering::Relaxed);
        }
        polled
    }

    fn poll(&self, cx: Option<&mut Context<'_>>, wish: Wish) -> Poll<Result<Reserved<'_>, Spent>> {
        let lane = self.budget.lane(self.way);
        let polled = lane.poll_reserve(cx, &self.ticket, wish);
        polled.map(|reserved| match reserved {
            Ok(bytes) => Ok(Reserved { flow: self, bytes }),
            Err(UsedUp) => Err(Spent),
        })
    }

    /// Waits until a piece may be moved, or nothing more; of datagrams one like the last.
    pub(crate) fn poll_room(&self, cx: Option<&mut Context<'_>>) -> Poll<()> {
        if self.is_cut() {
            return Poll::Ready(());
        }
        // As much of a stream as whoever then moves it waits for: it would not be moved for less.
        let wish = match self.cuts {
            Some(_) => Wish::Some(u64::MAX),
            None => Wish::All(self.wanted.load(Ordering::Relaxed)),
        };
        let room = self.budget.lane(self.way).poll_room(cx, &self.ticket, wish);
        room.map(drop)
    }
}

/// Bytes of a packet of Ethernet, of which no burst is less.
const PACKET: u64 = 1500;

impl Drop for Flow {
    fn drop(&mut self) {
        let ticket = self.ticket.load(Ordering::Relaxed);
        if ticket != 0 {
            self.budget.lane(self.way).leave(ticket);
        }
    }
}

impl Reserved<'_> {
    /// The bytes that may be moved.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// Notes that so many were moved. What a datagram has beyond what was reserved is taken now.
    pub(crate) fn settle(mut self, moved: usize) {
        self.note(moved as u64);
    }

    fn note(&mut self, moved: u64) {
        let Self { flow, bytes } = self;
        let lane = flow.budget.lane(flow.way);
        if let Settled::Last(bound, left) = lane.settle(std::mem::take(bytes), moved) {
            flow.budget.cut(bound, left);
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.note(0);
        }
    }
}
