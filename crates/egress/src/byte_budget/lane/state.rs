//! What a lane knows while it is locked: what may pass, and who waits for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use outport_policy::SentBound;

use crate::byte_budget::bucket::Bucket;
use crate::byte_budget::window::Window;

/// The rate, the bounds and the queue.
#[derive(Default)]
pub(super) struct State {
    pub(super) bucket: Option<Bucket>,
    /// In the order of [`BudgetInForce::sent`](outport_policy::BudgetInForce::sent).
    pub(super) windows: [Option<Window>; 2],
    /// Those of bounds that are not in force any more. They refuse nothing and count on until their time is over, for a
    /// bound that takes it up.
    earlier: Vec<Window>,
    /// Bytes that are reserved and not settled.
    reserved: u64,
    pub(super) queue: BTreeMap<u64, Waiting>,
    last_ticket: u64,
    /// When the timer rings, while there is one.
    pub(super) timer: Option<Duration>,
}

/// Somebody in the queue.
pub(super) struct Waiting {
    waker: Waker,
    wish: Wish,
    /// Since when there is room for it, and it was told so.
    pub(super) called: Option<Duration>,
}

/// What somebody wants to send or receive.
#[derive(Clone, Copy, Debug)]
pub(in crate::byte_budget) enum Wish {
    /// Of so many bytes as many as may pass.
    Some(u64),
    /// So many bytes, or none.
    All(u64),
}

/// What follows when the lane is not locked any more.
#[derive(Default)]
pub(super) struct After {
    pub(super) woken: Vec<Waker>,
    pub(super) dropped: Vec<Waiting>,
    pub(super) timer: Timer,
}

#[derive(Default, PartialEq, Eq)]
pub(super) enum Timer {
    #[default]
    AsItIs,
    Earlier,
    Begins,
}

/// What somebody may have of a wish.
pub(super) enum Grant {
    Bytes(u64),
    UsedUp,
    /// Not before then; where that is not known, when somebody else has settled.
    NotBefore(Option<Duration>),
}

impl State {
    pub(super) fn advance(&mut self, now: Duration) {
        if let Some(bucket) = &mut self.bucket {
            bucket.advance(now);
        }
        self.all_windows().for_each(|window| window.advance(now));
        self.earlier.retain(Window::is_counting);
    }

    /// Puts these bounds in force. What is counted stays, wherever a bound stood and however short it was missing.
    pub(super) fn follow(&mut self, bounds: [Option<SentBound>; 2], now: Duration) {
        let mut counted: Vec<Window> = self.all_windows().map(|window| window.clone()).collect();
        self.windows =
            bounds.map(|bound| bound.map(|bound| Window::taking_up(bound, &counted, self.reserved, now)));
        let in_force = |window: &Window| bounds.iter().flatten().any(|bound| *bound == window.bound());
        counted.retain(|window| window.is_counting() && !in_force(window));
        // Of as many as nobody writes one after the other the ones with the least count go first.
        counted.sort_by_key(|window| Reverse(window.sent()));
        counted.truncate(MOST_EARLIER);
        self.earlier = counted;
    }

    /// True if anything is counted whose time is not over.
    pub(super) fn is_counting(&self) -> bool {
        let mut all = self.windows.iter().flatten().chain(&self.earlier);
        self.reserved > 0 || all.any(Window::is_counting)
    }

    fn all_windows(&mut self) -> impl Iterator<Item = &mut Window> {
        self.windows.iter_mut().flatten().chain(&mut self.earlier)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.windows.iter().flatten().any(Window::is_used_up)
    }

    /// The bound that is used up, and how much is left of its time.
    pub(super) fn used_up_bound(&self, now: Duration) -> Option<(SentBound, Duration)> {
        let mut used_up = self.windows.iter().flatten().filter(|window| window.is_used_up());
        let window = used_up.next()?;
        Some((window.bound(), window.ends()?.saturating_sub(now)))
    }

    /// Passes over whoever was called and does not come.
    pub(super) fn pass_over(&mut self, now: Duration, after: &mut After) {
        while let Some(first) = self.queue.first_entry() {
            let called = first.get().called;
            if called.is_none_or(|called| now < called.saturating_add(CALL_TIME)) {
                return;
            }
            after.dropped.push(first.remove());
        }
    }

    /// True if nobody is before the holder of the ticket `own`.
    pub(super) fn is_turn_of(&self, own: u64) -> bool {
        let first = self.queue.keys().next();
        first.is_none_or(|first| own != 0 && own <= *first)
    }

    /// True if nobody has to be waited for to know that there is no room in the time that runs.
    pub(super) fn never_has(&self, wish: Wish) -> bool {
        let windows = || self.windows.iter().flatten();
        let has_room = |bytes| windows().all(|window| bytes <= window.free() || window.has_reserved());
        matches!(wish, Wish::All(bytes) if !has_room(bytes))
    }

    /// What the holder of the ticket `own` may have of its wish now.
    pub(super) fn grant(&self, wish: Wish, own: u64) -> Grant {
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

    pub(super) fn reserve(&mut self, bytes: u64, now: Duration) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(bytes);
        }
        self.reserved = self.reserved.saturating_add(bytes);
        self.all_windows().for_each(|window| window.reserve(bytes, now));
    }

    pub(super) fn settle(&mut self, reserved: u64, moved: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back(reserved.saturating_sub(moved));
            bucket.take(moved.saturating_sub(reserved));
        }
        self.reserved = self.reserved.saturating_sub(reserved);
        self.all_windows()
            .for_each(|window| window.settle(reserved, moved));
    }

    /// Puts the holder of the ticket `own` into the queue, at its place or else as the last one, and says its ticket.
    pub(super) fn queue_up(&mut self, own: u64, waker: &Waker, wish: Wish, after: &mut After) -> u64 {
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
    pub(super) fn proceed(&mut self, now: Duration, after: &mut After) {
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
    pub(super) fn wake_all(&mut self) -> After {
        let mut after = After::default();
        for waiting in self.queue.values_mut() {
            waiting.called = None;
            after.woken.push(waiting.waker.clone());
        }
        after
    }
}

/// Windows of bounds that are not in force any more.
const MOST_EARLIER: usize = 16;

/// The time that one who is called has to come.
pub(super) const CALL_TIME: Duration = Duration::from_millis(20);
