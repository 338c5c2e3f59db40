//! What one guest may use up, so that it cannot stop its neighbours (policy clause Q-3).
//!
//! | limit | counts | when it is reached |
//! | --- | --- | --- |
//! | [`memory`](GuestLimits::memory) | bytes of all linear memories of an instance | `memory.grow` fails; an instance that starts larger does not start |
//! | [`MemoryCeiling`] | the same of all instances of the process | the same; a visitor gets 503 |
//! | [`computing`](GuestLimits::computing) | slices of at most [`TICK`](crate::engine::TICK) in which the instance held the processor | the guest traps |
//! | [`answering`](GuestLimits::answering) | time from a request to the head of its response | the visitor gets 504, the guest ends |
//! | [`living`](GuestLimits::living) | time from a request to the end of the instance | the guest ends; a body under way breaks off |
//!
//! An instance of WASI 0.3 may answer several requests ([`Reuse`]). Each of them has all of `computing` and of `living`
//! from the moment that the instance was given it. So that the sum stays bounded, an instance that has used half of its
//! memory, half of its processor time or half of its life is given no further request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::memory_ceiling::MemoryCeiling;

/// The limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestLimits {
    /// Bytes of linear memory of one instance. Default 512 MiB.
    pub memory: usize,
    /// Processor time of one instance, counted in slices of at most [`TICK`](crate::engine::TICK). `None` is no limit.
    pub computing: Option<Duration>,
    /// Time to the head of a response. `None` is no limit.
    pub answering: Option<Duration>,
    /// Time that an instance may live. `None` is no limit.
    pub living: Option<Duration>,
    /// How many requests an instance of WASI 0.3 answers.
    pub reuse: Reuse,
}

/// How many requests one instance of WASI 0.3 answers. One of WASI 0.2 always answers one.
///
/// The defaults are those of `wasmtime serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// In its life. Default 128; 1 is a fresh instance for each request.
    pub requests: NonZeroU32,
    /// At a time. Default 16.
    pub at_once: NonZeroU32,
    /// Time without a request after which it ends. Default 1 s.
    pub idle: Duration,
}

impl Default for Reuse {
    fn default() -> Reuse {
        Reuse {
            requests: const { NonZeroU32::new(128).unwrap() },
            at_once: const { NonZeroU32::new(16).unwrap() },
            idle: Duration::from_secs(1),
        }
    }
}

/// 512 MiB.
pub const DEFAULT_MEMORY: usize = 512 * 1024 * 1024;

impl GuestLimits {
    /// For a guest that answers one request: 30 s of processor, 60 s to the head of the response, 10 min in all.
    pub fn of_a_request() -> GuestLimits {
        GuestLimits {
            memory: DEFAULT_MEMORY,
            computing: Some(Duration::from_secs(30)),
            answering: Some(Duration::from_secs(60)),
            living: Some(Duration::from_secs(600)),
            reuse: Reuse::default(),
        }
    }

    /// For a command: it has the process for itself, and no limit but memory.
    pub fn of_a_command() -> GuestLimits {
        GuestLimits {
            memory: DEFAULT_MEMORY,
            computing: None,
            answering: None,
            living: None,
            reuse: Reuse::default(),
        }
    }
}

/// A guest computed longer than [`GuestLimits::computing`].
#[derive(Debug, thiserror::Error)]
#[error("computed for more than {} s, the limit for one instance", .limit.as_secs_f32())]
pub struct ComputedTooLong {
    limit: Duration,
}

/// What is left of one instance's budget.
#[derive(Debug)]
pub(crate) struct Budget {
    memory_limit: usize,
    memory: usize,
    memory_of_all: Arc<MemoryCeiling>,
    computing_limit: Option<Duration>,
    /// Since the budget was renewed.
    computed: Duration,
    computed_before: Duration,
    /// The part of `computed` in which it did not pause.
    held: Duration,
}

impl Budget {
    /// A budget whose memory also counts for all.
    pub(crate) fn new(limits: &GuestLimits, memory_of_all: &Arc<MemoryCeiling>) -> Budget {
        Budget {
            memory_limit: limits.memory,
            memory: 0,
            memory_of_all: Arc::clone(memory_of_all),
            computing_limit: limits.computing,
            computed: Duration::ZERO,
            computed_before: Duration::ZERO,
            held: Duration::ZERO,
        }
    }

    /// Gives all of the processor time once more, for a further request.
    pub(crate) fn renew(&mut self) {
        self.computed_before += std::mem::take(&mut self.computed);
        self.held = Duration::ZERO;
    }

    /// Whether half of the memory, or of the processor time, is used up.
    pub(crate) fn is_half_used(&self) -> bool {
        let computed = self.computed_before + self.computed;
        self.memory > self.memory_limit / 2 || self.computing_limit.is_some_and(|limit| computed > limit / 2)
    }

    /// Slices that were charged since the budget was renewed, in sum.
    pub(crate) fn held(&self) -> Duration {
        self.held
    }

    /// Charges a slice: the guest held the processor when the epoch moved.
    pub(crate) fn spend_slice(&mut self, slice: Duration) -> Result<(), ComputedTooLong> {
        self.held = self.held.saturating_add(slice);
        self.spend(slice)
    }

    /// Charges time in which the guest held the processor at least for a moment.
    pub(crate) fn spend(&mut self, slice: Duration) -> Result<(), ComputedTooLong> {
        self.computed += slice;
        match self.computing_limit {
            Some(limit) if self.computed > limit => Err(ComputedTooLong { limit }),
            _ => Ok(()),
        }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.memory.saturating_add(growth);
        let fits = total <= self.memory_limit && self.memory_of_all.take(growth);
        if fits {
            self.memory = total;
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_GROWN_TABLE)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.memory_of_all.give_back(self.memory);
    }
}

/// Elements to which a table may grow: 8 MiB of pointers.
const MAX_GROWN_TABLE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: Q-3
    #[test]
    fn all_memories_of_an_instance_share_one_limit() {
        let limits = GuestLimits {
            memory: 100,
            ..GuestLimits::of_a_command()
        };
        let mut budget = Budget::new(&limits, &Arc::new(MemoryCeiling::none()));
        // (current, desired, allowed)
        let growths = [
            (0, 60, true),
            (0, 41, false),
            (0, 40, true),
            (60, 61, false),
            (60, 60, true),
        ];
        for (current, desired, allowed) in growths {
            let answer = budget
                .memory_growing(current, desired, None)
                .expect("growing never traps");
            assert_eq!(answer, allowed, "{current} -> {desired}");
        }
    }

    // proves: Q-3
    #[test]
    fn a_guest_that_computed_too_long_traps() {
        let limits = GuestLimits {
            computing: Some(Duration::from_millis(12)),
            ..GuestLimits::of_a_request()
        };
        let mut budget = Budget::new(&limits, &Arc::new(MemoryCeiling::none()));
        let slice = Duration::from_millis(5);
        assert!(budget.spend_slice(slice).is_ok());
        assert!(budget.spend_slice(slice).is_ok());
        assert!(budget.spend_slice(slice).is_err());
        assert_eq!(budget.held(), slice * 3);
    }

    // proves: Q-3
    #[test]
    fn a_further_request_gets_all_of_the_time_until_half_is_used() {
        let limits = GuestLimits {
            memory: 100,
            computing: Some(Duration::from_millis(20)),
            ..GuestLimits::of_a_request()
        };
        let mut budget = Budget::new(&limits, &Arc::new(MemoryCeiling::none()));
        budget.spend_slice(Duration::from_millis(10)).expect("within 20");
        assert!(!budget.is_half_used());
        budget.renew();
        assert_eq!(budget.held(), Duration::ZERO);
        budget
            .spend_slice(Duration::from_millis(20))
            .expect("20 once more");
        assert!(budget.is_half_used());
        assert!(budget.spend_slice(Duration::from_millis(1)).is_err());

        let mut budget = Budget::new(&limits, &Arc::new(MemoryCeiling::none()));
        for (current, desired, half) in [(0, 50, false), (50, 51, true)] {
            budget
                .memory_growing(current, desired, None)
                .expect("growing never traps");
            assert_eq!(budget.is_half_used(), half, "{desired}");
        }
    }

    // proves: Q-3
    #[test]
    fn the_memories_of_all_instances_share_the_ceiling_until_they_are_gone() {
        let ceiling = Arc::new(MemoryCeiling::of(100));
        let limits = GuestLimits {
            memory: 80,
            ..GuestLimits::of_a_command()
        };
        let [mut first, mut second] = [(); 2].map(|()| Budget::new(&limits, &ceiling));
        let grow = |budget: &mut Budget, from, to| {
            budget
                .memory_growing(from, to, None)
                .expect("growing never traps")
        };
        assert!(grow(&mut first, 0, 70));
        assert!(!grow(&mut second, 0, 31), "the other has 70");
        assert!(grow(&mut second, 0, 30));
        assert!(!grow(&mut first, 70, 71));
        drop(first);
        assert!(grow(&mut second, 30, 80));
        assert!(!grow(&mut second, 80, 81), "its own limit");
        drop(second);
        assert!(ceiling.has_room_for(100));
    }
}
