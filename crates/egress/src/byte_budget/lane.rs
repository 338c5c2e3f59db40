//! One direction of a component's traffic: its rate and its bounds, shared by all its connections, and the queue of those
//! that wait.
//!
//! ```text
//! poll ─┬─ room, and nobody waits ──────────────────────────────▶ reserved ─ settle
//!       └─ a ticket in the queue ─ called when there is room ─ poll ─┘   └─▶ the next one is called
//! ```
//!
//! Whoever waits has a ticket, and the one with the smallest is served: nobody starves, and nobody who comes later takes
//! what was waited for. It is given a piece at a time, and then stands behind the others. One that is called and does not
//! come, since its guest is busy elsewhere, is passed over after [a while](state::CALL_TIME); its ticket stays good.
//!
//! One timer for all who wait is a task, which ends when nobody does ([`timer`]). It belongs to the runtime of whoever began
//! to wait. Should that end, everybody is woken, and the next one to wait has another.
//!
//! Wakers are woken and dropped when the lane is not locked: what they belong to may leave the queue at that.

mod state;
mod timer;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use outport_policy::SentBound;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(super) use self::state::Wish;
use self::state::{After, Grant, State, Timer};
use self::timer::Alarm;
use super::bucket::Bucket;
use super::window::Window;

/// One direction of a component's traffic.
pub(super) struct Lane {
    state: Mutex<State>,
    /// Tells the timer that it has to ring earlier.
    earlier: Notify,
    /// Times are counted from here.
    origin: Instant,
}

/// No more may be sent until a time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp;

/// What came of settling, or of other bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// More may follow.
    Open,
    /// With these bytes this bound is used up, whose time has so much left.
    Last(SentBound, Duration),
}

/// What becomes of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Taken,
    Kept,
}

impl Lane {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            earlier: Notify::new(),
            origin: Instant::now(),
        })
    }

    /// Puts this rate and these bounds in force. What was counted stays; who waits looks again. It says if one of the bounds
    /// is used up that was not, or not in force.
    pub(super) fn follow(
        self: &Arc<Self>,
        rate: Option<NonZeroU64>,
        bounds: [Option<SentBound>; 2],
    ) -> Settled {
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        let was_used_up = state.is_used_up();
        state.bucket = rate.map(|rate| match state.bucket.take() {
            Some(mut bucket) => {
                bucket.set_rate(rate);
                bucket
            }
            None => Bucket::new(rate, now),
        });
        state.follow(bounds, now);
        let reached = state.used_up_bound(now).filter(|_| !was_used_up);
        let after = state.wake_all();
        drop(state);
        self.follow_up(after);
        reached.map_or(Settled::Open, |(bound, left)| Settled::Last(bound, left))
    }

    /// True if anything is counted whose time is not over, in force or not.
    pub(super) fn is_counting(&self) -> bool {
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        state.is_counting()
    }

    /// The most that passes at once, where there is a rate.
    pub(super) fn burst(&self) -> Option<u64> {
        self.lock().bucket.as_ref().map(Bucket::burst)
    }

    /// The bytes that are sent in the time of each bound.
    pub(super) fn sent(&self) -> [u64; 2] {
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        [0, 1].map(|index: usize| state.windows[index].as_ref().map_or(0, Window::sent))
    }

    /// True if no more may be sent until a time is over.
    pub(super) fn is_used_up(&self) -> bool {
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        state.is_used_up()
    }

    /// Reserves bytes of `wish` for the holder of `ticket`, which has none yet if that is 0. Where it has to wait it is
    /// woken, if somebody is given to wake.
    pub(super) fn poll_reserve(
        self: &Arc<Self>,
        cx: Option<&mut Context<'_>>,
        ticket: &AtomicU64,
        wish: Wish,
    ) -> Poll<Result<u64, UsedUp>> {
        self.poll(cx, ticket, wish, Turn::Taken)
    }

    /// Waits until there is room for `wish`. The turn stays with the holder of `ticket`, for a while.
    pub(super) fn poll_room(
        self: &Arc<Self>,
        cx: Option<&mut Context<'_>>,
        ticket: &AtomicU64,
        wish: Wish,
    ) -> Poll<Result<(), UsedUp>> {
        self.poll(cx, ticket, wish, Turn::Kept).map_ok(drop)
    }

    fn poll(
        self: &Arc<Self>,
        cx: Option<&mut Context<'_>>,
        ticket: &AtomicU64,
        wish: Wish,
        turn: Turn,
    ) -> Poll<Result<u64, UsedUp>> {
        let mut after = After::default();
        let own = ticket.load(Ordering::Relaxed);
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        state.pass_over(now, &mut after);
        let grant = if state.is_used_up() || state.never_has(wish) {
            Grant::UsedUp
        } else if state.is_turn_of(own) {
            state.grant(wish, own)
        } else {
            Grant::NotBefore(None)
        };
        let polled = match grant {
            Grant::Bytes(bytes) => {
                match turn {
                    Turn::Taken => {
                        state.reserve(bytes, now);
                        after.dropped.extend(state.queue.remove(&own));
                        ticket.store(0, Ordering::Relaxed);
                    }
                    Turn::Kept => {
                        if let Some(waiting) = state.queue.get_mut(&own) {
                            waiting.called = Some(now);
                        }
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Grant::UsedUp => {
                after.dropped.extend(state.queue.remove(&own));
                ticket.store(0, Ordering::Relaxed);
                Poll::Ready(Err(UsedUp))
            }
            Grant::NotBefore(_) => {
                if let Some(cx) = cx {
                    let queued = state.queue_up(own, cx.waker(), wish, &mut after);
                    ticket.store(queued, Ordering::Relaxed);
                }
                Poll::Pending
            }
        };
        state.proceed(now, &mut after);
        drop(state);
        self.follow_up(after);
        polled
    }

    /// Of `reserved` bytes `moved` were sent or received; of a datagram that may be more, which is only known then.
    pub(super) fn settle(self: &Arc<Self>, reserved: u64, moved: u64) -> Settled {
        let mut after = After::default();
        let now = self.now();
        let mut state = self.lock();
        let was_used_up = state.is_used_up();
        state.settle(reserved, moved);
        let last = state.used_up_bound(now).filter(|_| !was_used_up);
        if last.is_some() {
            after = state.wake_all();
        } else {
            state.advance(now);
            state.proceed(now, &mut after);
        }
        drop(state);
        self.follow_up(after);
        last.map_or(Settled::Open, |(bound, left)| Settled::Last(bound, left))
    }

    /// The holder of `ticket` waits no more.
    pub(super) fn leave(self: &Arc<Self>, ticket: u64) {
        let mut after = After::default();
        let now = self.now();
        let mut state = self.lock();
        after.dropped.extend(state.queue.remove(&ticket));
        state.advance(now);
        state.proceed(now, &mut after);
        drop(state);
        self.follow_up(after);
    }

    /// Looks who has waited long enough, and says whether anybody waits still.
    fn ring(self: &Arc<Self>) -> bool {
        let mut after = After::default();
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        state.pass_over(now, &mut after);
        state.timer = None;
        state.proceed(now, &mut after);
        let goes_on = state.timer.is_some();
        drop(state);
        // It is this one that goes on.
        after.timer = Timer::AsItIs;
        self.follow_up(after);
        goes_on
    }

    /// The timer is gone although it was not over: who waits looks for himself, and has another one.
    fn lose_timer(self: &Arc<Self>) {
        let mut state = self.lock();
        state.timer = None;
        let after = state.wake_all();
        drop(state);
        self.follow_up(after);
    }

    fn follow_up(self: &Arc<Self>, after: After) {
        match after.timer {
            Timer::AsItIs => {}
            Timer::Earlier => self.earlier.notify_one(),
            Timer::Begins => match Handle::try_current() {
                // Made before it is handed over: a runtime that ends drops it without having looked at it.
                Ok(runtime) => drop(runtime.spawn(timer::run(Alarm::new(self)))),
                Err(_) => self.lock().timer = None,
            },
        }
        after.woken.into_iter().for_each(Waker::wake);
        drop(after.dropped);
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts and wakers, of which each is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
