//! The arithmetic of a rate: a token bucket.
//!
//! A byte that passes takes a token, and tokens come at the rate. The bucket holds a tenth of a second's worth of them, and
//! one packet's at least, so that in no time `t` more than `rate · t` and that pass. What passes in one piece and is
//! larger, as a datagram may be, waits until the bucket is full and leaves a debt.
//!
//! Tokens are kept in billionths, of which one comes each nanosecond for each byte of the rate: nothing is rounded, so a
//! rate of one byte a second is as exact as any. There is no clock: the time comes in, since whenever one likes.

use std::num::NonZeroU64;
use std::time::Duration;

/// A bucket of tokens for bytes.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: NonZeroU64,
    /// Billionths of tokens; a debt where it is below zero.
    level: i128,
    /// The time up to which tokens have come.
    at: Duration,
}

impl Bucket {
    /// A full bucket at the time `now`, for so many bytes a second.
    pub(super) fn new(rate: NonZeroU64, now: Duration) -> Self {
        let mut bucket = Self {
            rate,
            level: 0,
            at: now,
        };
        bucket.level = bucket.capacity();
        bucket
    }

    /// Another rate from now on. What is there stays, as far as there is room for it.
    pub(super) fn set_rate(&mut self, rate: NonZeroU64) {
        self.rate = rate;
        self.level = self.level.min(self.capacity());
    }

    /// The most that passes at once.
    pub(super) fn burst(&self) -> u64 {
        (self.rate.get() / 10).max(PACKET)
    }

    /// The bytes that are worth waiting for: what comes in a fiftieth of a second, 64 KiB at most. Less would be many
    /// wake-ups, and more would keep others waiting.
    pub(super) fn piece(&self) -> u64 {
        (self.rate.get() / 50).clamp(1, LARGEST_PIECE)
    }

    /// Lets the tokens come that are due at `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        let passed = i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX);
        let come = passed.saturating_mul(i128::from(self.rate.get()));
        self.level = self.level.saturating_add(come).min(self.capacity());
    }

    /// The bytes that may pass now.
    pub(super) fn available(&self) -> u64 {
        u64::try_from(self.level.div_euclid(PARTS)).unwrap_or(0)
    }

    /// True if `bytes` may pass now; of more than ever fit, if the bucket is full.
    pub(super) fn has(&self, bytes: u64) -> bool {
        self.available() >= bytes.min(self.burst())
    }

    /// Takes the tokens of `bytes`.
    pub(super) fn take(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(i128::from(bytes) * PARTS);
    }

    /// Gives back those of `bytes` that did not pass.
    pub(super) fn give_back(&mut self, bytes: u64) {
        let back = i128::from(bytes) * PARTS;
        self.level = self.level.saturating_add(back).min(self.capacity());
    }

    /// The time at which the bucket [has](Self::has) `bytes`, if nobody takes any.
    pub(super) fn ready_at(&self, bytes: u64) -> Duration {
        let missing = i128::from(bytes.min(self.burst())) * PARTS - self.level;
        let rate = i128::from(self.rate.get());
        let nanoseconds = missing.max(0).saturating_add(rate - 1) / rate;
        let wait = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.at.saturating_add(wait)
    }

    fn capacity(&self) -> i128 {
        i128::from(self.burst()) * PARTS
    }
}

/// Parts of a token.
const PARTS: i128 = 1_000_000_000;

/// Bytes of a packet of Ethernet.
const PACKET: u64 = 1500;

/// Bytes that pass at once while others wait, however high the rate is.
const LARGEST_PIECE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(rate: u64) -> Bucket {
        Bucket::new(NonZeroU64::new(rate).unwrap(), Duration::ZERO)
    }

    // proves: BUD-3
    #[test]
    fn a_burst_is_a_tenth_of_a_second_and_a_packet_at_least() {
        for (rate, burst, piece) in [
            (1, 1500, 1),
            (1000, 1500, 20),
            (100_000, 10_000, 2000),
            (1 << 40, (1 << 40) / 10, 64 * 1024),
        ] {
            let bucket = bucket(rate);
            assert_eq!((bucket.burst(), bucket.piece()), (burst, piece), "{rate}");
            assert_eq!(bucket.available(), burst, "{rate}");
        }
    }

    // proves: BUD-3
    #[test]
    fn a_byte_a_second_moves() {
        let mut bucket = bucket(1);
        bucket.take(1500);
        assert_eq!(bucket.ready_at(1), Duration::from_secs(1));
        bucket.advance(Duration::from_millis(999));
        assert!(!bucket.has(1));
        bucket.advance(Duration::from_secs(1));
        assert!(bucket.has(1) && !bucket.has(2));
    }

    #[test]
    fn what_is_larger_than_the_bucket_waits_until_it_is_full_and_leaves_a_debt() {
        let mut bucket = bucket(1000);
        assert!(bucket.has(60_000));
        bucket.take(60_000);
        assert_eq!(
            (bucket.available(), bucket.ready_at(1)),
            (0, Duration::from_millis(58_501))
        );
        bucket.advance(Duration::from_secs(58));
        assert!(!bucket.has(1));
        assert_eq!(bucket.ready_at(60_000), Duration::from_secs(60));
    }

    #[test]
    fn a_clock_that_goes_back_and_a_time_without_end_do_no_harm() {
        let mut bucket = bucket(u64::MAX);
        bucket.take(u64::MAX);
        bucket.advance(Duration::MAX);
        assert_eq!(bucket.available(), bucket.burst());
        bucket.advance(Duration::ZERO);
        assert_eq!(bucket.available(), bucket.burst());
        bucket.take(u64::MAX);
        assert!(bucket.ready_at(u64::MAX) >= Duration::MAX);
    }

    proptest! {
        // proves: BUD-3
        #[test]
        fn in_no_time_passes_more_than_the_rate_and_a_burst(
            rate in 1_u64..10_000_000,
            steps in prop::collection::vec((0_u64..400_000, 0_u64..100_000, 0_u64..50_000), 1..60),
        ) {
            let mut bucket = bucket(rate);
            let mut now = Duration::ZERO;
            // What passed, and when.
            let mut passed: Vec<(Duration, u64)> = Vec::new();
            for (microseconds, wanted, unused) in steps {
                now += Duration::from_micros(microseconds);
                bucket.advance(now);
                let taken = wanted.min(bucket.available());
                bucket.take(taken);
                let unused = unused.min(taken);
                bucket.give_back(unused);
                passed.push((now, taken - unused));
            }
            for (first, (since, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (until, bytes) in &passed[first..] {
                    sum += u128::from(*bytes);
                    let time = (*until - *since).as_nanos();
                    let most = time * u128::from(rate) / 1_000_000_000 + u128::from(bucket.burst()) + 1;
                    prop_assert!(sum <= most, "{sum} bytes in {time} ns");
                }
            }
        }

        // proves: BUD-3
        #[test]
        fn whoever_comes_when_told_gets_the_whole_rate(rate in 1_u64..1_000_000_000, wanted in 1_u64..200_000) {
            let mut bucket = bucket(rate);
            bucket.take(bucket.available());
            let wanted = wanted.min(bucket.burst());
            let (mut now, mut sum) = (Duration::ZERO, 0);
            for _ in 0..50 {
                now = bucket.ready_at(wanted);
                bucket.advance(now);
                prop_assert!(bucket.has(wanted));
                bucket.take(wanted);
                sum += u128::from(wanted);
            }
            let due = now.as_nanos() * u128::from(rate) / 1_000_000_000;
            prop_assert!(sum.abs_diff(due) <= u128::from(rate) / 10_000_000 + 1, "{sum} of {due}");
        }

        #[test]
        fn before_it_is_told_nothing_is_there(rate in 1_u64..1_000_000_000, wanted in 1_u64..200_000, taken in 1_u64..200_000) {
            let mut bucket = bucket(rate);
            bucket.take(taken);
            let ready = bucket.ready_at(wanted);
            if let Some(before) = ready.checked_sub(Duration::from_nanos(1)) {
                bucket.advance(before);
                prop_assert!(!bucket.has(wanted));
            }
            bucket.advance(ready);
            prop_assert!(bucket.has(wanted));
        }
    }
}
