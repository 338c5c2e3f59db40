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
//! come, since its guest is busy elsewhere, is passed over after [`CALL_TIME`]; its ticket stays good.
//!
//! One timer for all who wait is a task, which ends when nobody does ([`run`]). It belongs to the runtime of whoever began
//! to wait. Should that end, everybody is woken, and the next one to wait has another.
//!
//! Wakers are woken and dropped when the lane is not locked: what they belong to may leave the queue at that.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use outport_policy::SentBound;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

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

struct State {
    bucket: Option<Bucket>,
    /// In the order of [`BudgetInForce::sent`](outport_policy::BudgetInForce::sent).
    windows: [Option<Window>; 2],
    queue: BTreeMap<u64, Waiting>,
    last_ticket: u64,
    /// When the timer rings, while there is one.
    timer: Option<Duration>,
}

/// Somebody in the queue.
struct Waiting {
    waker: Waker,
    wish: Wish,
    /// Since when there is room for it, and it was told so.
    called: Option<Duration>,
}

/// What somebody wants to send or receive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// Of so many bytes as many as may pass.
    Some(u64),
    /// So many bytes, or none.
    All(u64),
}

/// No more may be sent until a time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp;

/// What follows when the lane is not locked any more.
#[derive(Default)]
struct After {
    woken: Vec<Waker>,
    dropped: Vec<Waiting>,
    timer: Timer,
}

#[derive(Default, PartialEq, Eq)]
enum Timer {
    #[default]
    AsItIs,
    Earlier,
    Begins,
}

/// What came of settling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// More may follow.
    Open,
    /// These were the last bytes of this bound, whose time has so much left.
    Last(SentBound, Duration),
}

/// What becomes of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Taken,
    Kept,
}

enum Grant {
    Bytes(u64),
    UsedUp,
    /// Not before then; where that is not known, when somebody else has settled.
    NotBefore(Option<Duration>),
}

impl Lane {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                bucket: None,
                windows: [None, None],
                queue: BTreeMap::new(),
                last_ticket: 0,
                timer: None,
            }),
            earlier: Notify::new(),
            origin: Instant::now(),
        })
    }

    /// Puts this rate and these bounds in force. What was counted stays; who waits looks again.
    pub(super) fn follow(self: &Arc<Self>, rate: Option<NonZeroU64>, bounds: [Option<SentBound>; 2]) {
        let now = self.now();
        let mut state = self.lock();
        state.advance(now);
        state.bucket = rate.map(|rate| match state.bucket.take() {
            Some(mut bucket) => {
                bucket.set_rate(rate);
                bucket
            }
            None => Bucket::new(rate, now),
        });
        for (window, bound) in state.windows.iter_mut().zip(bounds) {
            *window = bound.map(|bound| match window.take() {
                Some(mut window) => {
                    window.set_bound(bound);
                    window
                }
                None => Window::new(bound),
            });
        }
        let after = state.wake_all();
        drop(state);
        self.follow_up(after);
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
                Ok(runtime) => drop(runtime.spawn(run(Alarm::new(self)))),
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

impl State {
    fn advance(&mut self, now: Duration) {
        if let Some(bucket) = &mut self.bucket {
            bucket.advance(now);
        }
        self.windows
            .iter_mut()
            .flatten()
            .for_each(|window| window.advance(now));
    }

    fn is_used_up(&self) -> bool {
        self.windows.iter().flatten().any(Window::is_used_up)
    }

    /// The bound that is used up, and how much is left of its time.
    fn used_up_bound(&self, now: Duration) -> Option<(SentBound, Duration)> {
        let mut used_up = self.windows.iter().flatten().filter(|window| window.is_used_up());
        let window = used_up.next()?;
        Some((window.bound(), window.ends()?.saturating_sub(now)))
    }

    /// Passes over whoever was called and does not come.
    fn pass_over(&mut self, now: Duration, after: &mut After) {
        while let Some(first) = self.queue.first_entry() {
            let called = first.get().called;
            if called.is_none_or(|called| now < called.saturating_add(CALL_TIME)) {
                return;
            }
            after.dropped.push(first.remove());
        }
    }

    /// True if nobody is before the holder of the ticket `own`.
    fn is_turn_of(&self, own: u64) -> bool {
        let first = self.queue.keys().next();
        first.is_none_or(|first| own != 0 && own <= *first)
    }

    /// True if nobody has to be waited for to know that there is no room in the time that runs.
    fn never_has(&self, wish: Wish) -> bool {
        let windows = || self.windows.iter().flatten();
        let has_room = |bytes| windows().all(|window| bytes <= window.free() || window.has_reserved());
        matches!(wish, Wish::All(bytes) if !has_room(bytes))
    }

    /// What the holder of the ticket `own` may have of its wish now.
    fn grant(&self, wish: Wish, own: u64) -> Grant {
        let free = self
            .windows
            .iter()
            .flatten()
            .map(Window::free)
            .min()
            .unwrap_or(u64::MAX);
        let wanted = match wish {
            Wish::Some(bytes) => bytes.min(free.max(1)),
            Wish::All(bytes) => bytes,
        };
        if wanted > free {
            // What others have reserved they may give back.
            return Grant::NotBefore(None);
        }
        let Some(bucket) = &self.bucket else {
            return Grant::Bytes(wanted);
        };
        let needed = match wish {
            Wish::Some(_) => wanted.min(bucket.piece()),
            Wish::All(_) => wanted,
        };
        if !bucket.has(needed) {
            return Grant::NotBefore(Some(bucket.ready_at(needed)));
        }
        let others_wait = self.queue.keys().any(|ticket| *ticket != own);
        Grant::Bytes(match wish {
            Wish::All(_) => wanted,
            Wish::Some(_) if others_wait => needed,
            Wish::Some(_) => wanted.min(bucket.available()),
        })
    }

    fn reserve(&mut self, bytes: u64, now: Duration) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(bytes);
        }
        let windows = self.windows.iter_mut().flatten();
        windows.for_each(|window| window.reserve(bytes, now));
    }

    fn settle(&mut self, reserved: u64, moved: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back(reserved.saturating_sub(moved));
            bucket.take(moved.saturating_sub(reserved));
        }
        let windows = self.windows.iter_mut().flatten();
        windows.for_each(|window| window.settle(reserved, moved));
    }

    /// Puts the holder of the ticket `own` into the queue, at its place or else as the last one, and says its ticket.
    fn queue_up(&mut self, own: u64, waker: &Waker, wish: Wish, after: &mut After) -> u64 {
        let ticket = if own == 0 {
            self.last_ticket += 1;
            self.last_ticket
        } else {
            own
        };
        let waiting = Waiting {
            waker: waker.clone(),
            wish,
            called: None,
        };
        after.dropped.extend(self.queue.insert(ticket, waiting));
        ticket
    }

    /// Calls the first one if there is room for it, and sets the timer to when somebody has to look again.
    fn proceed(&mut self, now: Duration, after: &mut After) {
        let Some((ticket, first)) = self.queue.first_key_value() else {
            // The timer ends, if there is one.
            if self.timer.is_some() {
                self.ring_at(now, after);
            }
            return;
        };
        let (ticket, called) = (*ticket, first.called);
        let grant = if self.never_has(first.wish) {
            Grant::UsedUp
        } else {
            self.grant(first.wish, ticket)
        };
        let at = match (called, grant) {
            (Some(called), _) => called.saturating_add(CALL_TIME),
            (None, Grant::NotBefore(Some(at))) => at,
            (None, Grant::NotBefore(None)) => now.saturating_add(CALL_TIME),
            (None, Grant::Bytes(_) | Grant::UsedUp) => {
                if let Some(first) = self.queue.get_mut(&ticket) {
                    first.called = Some(now);
                    after.woken.push(first.waker.clone());
                }
                now.saturating_add(CALL_TIME)
            }
        };
        self.ring_at(at, after);
    }

    fn ring_at(&mut self, at: Duration, after: &mut After) {
        match self.timer {
            None => after.timer = Timer::Begins,
            Some(timer) if at < timer => after.timer = Timer::Earlier,
            // It looks then, and is set anew.
            Some(_) => return,
        }
        self.timer = Some(at);
    }

    /// Wakes everybody, to look again.
    fn wake_all(&mut self) -> After {
        let mut after = After::default();
        for waiting in self.queue.values_mut() {
            waiting.called = None;
            after.woken.push(waiting.waker.clone());
        }
        after
    }
}

/// The timer of a lane, for as long as anybody waits.
async fn run(mut alarm: Alarm) {
    while let Some(lane) = alarm.0.upgrade() {
        let Some(at) = lane.lock().timer else { break };
        let at = at.min(lane.now().saturating_add(LONGEST_SLEEP));
        tokio::select! {
            () = tokio::time::sleep_until(lane.origin + at) => if !lane.ring() { break },
            () = lane.earlier.notified() => {}
        }
    }
    alarm.is_over();
}

/// Tells the lane if its timer ends before it is over.
struct Alarm(Weak<Lane>);

impl Alarm {
    fn new(lane: &Arc<Lane>) -> Self {
        Self(Arc::downgrade(lane))
    }

    fn is_over(&mut self) {
        self.0 = Weak::new();
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(lane) = self.0.upgrade() {
            lane.lose_timer();
        }
    }
}

/// The time that one who is called has to come.
const CALL_TIME: Duration = Duration::from_millis(20);

/// A timer that has to ring later looks in between.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
