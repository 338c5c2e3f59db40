//! The arithmetic of a bound: so many bytes in a time (BUD-3).
//!
//! ```text
//! nothing sent ─ the first byte ─▶ the time runs ─ it is over ─▶ nothing sent
//! ```
//!
//! Bytes are reserved before the system gets them, and settled when it is known how many it took. What is reserved when a
//! time is over counts in the next one: it leaves then. There is no clock: the time comes in.
//!
//! What was sent is not forgotten with the bound that it was counted for: a bound that is new [takes up](Window::taking_up)
//! what those before it have counted, and they count on until their time is over.

use std::time::Duration;

use outport_policy::SentBound;

/// The count of what is sent in the time that runs.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bound: SentBound,
    /// The time of the first byte; none while nothing is sent.
    began: Option<Duration>,
    sent: u64,
    reserved: u64,
}

impl Window {
    /// The count of `bound`, which takes up what is counted already: by the same bound or one with the same time, or else by
    /// the one that has counted most.
    pub(super) fn taking_up(bound: SentBound, counted: &[Self], reserved: u64, now: Duration) -> Self {
        let most = |of: &dyn Fn(&SentBound) -> bool| {
            let of = counted.iter().filter(|window| of(&window.bound));
            of.max_by_key(|window| window.sent)
        };
        let before = most(&|before| *before == bound)
            .or_else(|| most(&|before| before.time == bound.time))
            .or_else(|| most(&|_| true));
        let mut window = Self {
            bound,
            began: before.and_then(|before| before.began),
            sent: before.map_or(0, |before| before.sent),
            reserved,
        };
        if reserved > 0 {
            window.began.get_or_insert(now);
        }
        window.advance(now);
        window
    }

    /// True if something is counted whose time is not over.
    pub(super) fn is_counting(&self) -> bool {
        self.sent > 0
    }

    /// Begins anew if the time is over at `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        if self.ends().is_some_and(|end| end <= now) {
            self.sent = 0;
            self.began = (self.reserved > 0).then_some(now);
        }
    }

    /// The bytes that nobody has sent or reserved.
    pub(super) fn free(&self) -> u64 {
        let taken = self.sent.saturating_add(self.reserved);
        self.bound.bytes.get().saturating_sub(taken)
    }

    /// The bytes that are sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// True if what is reserved may come back.
    pub(super) fn has_reserved(&self) -> bool {
        self.reserved > 0
    }

    pub(super) fn reserve(&mut self, bytes: u64, now: Duration) {
        self.began.get_or_insert(now);
        self.reserved = self.reserved.saturating_add(bytes);
    }

    /// Of `reserved` bytes `sent` are sent.
    pub(super) fn settle(&mut self, reserved: u64, sent: u64) {
        self.reserved = self.reserved.saturating_sub(reserved);
        self.sent = self.sent.saturating_add(sent);
        if self.sent == 0 && self.reserved == 0 {
            self.began = None;
        }
    }

    /// True if no more may leave in the time that runs.
    pub(super) fn is_used_up(&self) -> bool {
        self.sent >= self.bound.bytes.get()
    }

    /// The time at which the count begins anew, if it runs.
    pub(super) fn ends(&self) -> Option<Duration> {
        self.began.map(|began| began.saturating_add(self.bound.time))
    }

    pub(super) fn bound(&self) -> SentBound {
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;

    fn bound(bytes: u64, seconds: u64) -> SentBound {
        SentBound {
            bytes: NonZeroU64::new(bytes).unwrap(),
            time: Duration::from_secs(seconds),
        }
    }

    fn window(bytes: u64, seconds: u64) -> Window {
        Window::taking_up(bound(bytes, seconds), &[], 0, Duration::ZERO)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // proves: BUD-3
    #[test]
    fn the_time_begins_with_the_first_byte_and_the_count_anew_when_it_is_over() {
        let mut window = window(100, 10);
        window.advance(at(1000));
        assert_eq!((window.free(), window.ends()), (100, None));
        window.reserve(60, at(1000));
        window.settle(60, 40);
        assert_eq!((window.free(), window.ends()), (60, Some(at(1010))));
        window.reserve(60, at(1005));
        assert_eq!((window.free(), window.is_used_up()), (0, false));
        window.settle(60, 60);
        assert!(window.is_used_up());
        window.advance(Duration::from_millis(1_009_999));
        assert!(window.is_used_up());
        window.advance(at(1010));
        assert_eq!((window.free(), window.sent(), window.ends()), (100, 0, None));
    }

    // proves: BUD-3
    #[test]
    fn what_the_system_did_not_take_begins_no_time() {
        let mut window = window(100, 10);
        window.reserve(100, at(3));
        window.settle(100, 0);
        assert_eq!(
            (window.free(), window.ends(), window.is_used_up()),
            (100, None, false)
        );
    }

    #[test]
    fn what_is_reserved_at_the_end_of_a_time_counts_in_the_next_one() {
        let mut window = window(100, 10);
        window.reserve(70, at(0));
        window.advance(at(10));
        assert_eq!((window.free(), window.ends()), (30, Some(at(20))));
        window.settle(70, 70);
        assert_eq!(window.sent(), 70);
    }

    // proves: BUD-3
    #[test]
    fn a_bound_takes_up_what_its_like_has_counted_or_else_the_most() {
        let counted = [(100, 10, 30), (70, 60, 50), (90, 10, 20)].map(|(bytes, seconds, sent)| {
            let mut window = window(bytes, seconds);
            window.reserve(sent, at(1));
            window.settle(sent, sent);
            window
        });
        for (bound, sent, ends) in [
            (bound(100, 10), 30, Some(at(11))),
            (bound(90, 10), 20, Some(at(11))),
            (bound(50, 10), 30, Some(at(11))),
            (bound(40, 60), 50, Some(at(61))),
            (bound(40, 30), 50, Some(at(31))),
            // Its time would be over.
            (bound(40, 1), 0, None),
        ] {
            let window = Window::taking_up(bound, &counted, 0, at(3));
            assert_eq!((window.sent(), window.ends()), (sent, ends), "{bound}");
        }
        let window = Window::taking_up(bound(10, 10), &[], 4, at(3));
        assert_eq!((window.free(), window.ends()), (6, Some(at(13))));
    }

    proptest! {
        // proves: BUD-3
        #[test]
        fn no_more_leaves_in_a_time_than_the_bound(
            bytes in 1_u64..1000,
            steps in prop::collection::vec((0_u64..3000, 0_u64..400, 0_u64..400), 1..80),
        ) {
            let mut window = window(bytes, 5);
            // A naive model: when the time began, and what was sent in it.
            let mut now = Duration::ZERO;
            let mut model: Option<(Duration, u64)> = None;
            for (milliseconds, wanted, unused) in steps {
                now += Duration::from_millis(milliseconds);
                window.advance(now);
                model = model.filter(|(began, _)| now < *began + at(5));
                let left = bytes - model.map_or(0, |(_, sent)| sent);
                prop_assert_eq!(window.free(), left);
                prop_assert_eq!(window.is_used_up(), left == 0);
                let reserved = wanted.min(left);
                window.reserve(reserved, now);
                let sent = reserved.saturating_sub(unused);
                window.settle(reserved, sent);
                if sent > 0 {
                    let (began, before) = model.unwrap_or((now, 0));
                    model = Some((began, before + sent));
                }
            }
        }
    }
}
