//! Limits on what one guest may use up, so that it cannot stop its neighbours.
//!
//! | limit | counts | when it is reached |
//! | --- | --- | --- |
//! | [`memory`](GuestLimits::memory) | bytes of all linear memories and tables of an instance, and of what the host holds for it | `memory.grow` fails; an instance that starts larger does not start; one for which the host holds more ends |
//! | [`MemoryCeiling`](crate::memory_ceiling::MemoryCeiling) | the same of all instances of the process, and a stack for each | the same; a client gets 503 |
//! | [`cpu_time`](GuestLimits::cpu_time) | time in which a processor was at work for the instance: its own code, and what the host does for it | the guest traps |
//! | [`response_timeout`](GuestLimits::response_timeout) | time from a request to the head of its response | the client gets 504, the guest ends |
//! | [`max_time`](GuestLimits::max_time) | time from a request to the end of the instance | the guest ends; a body under way breaks off |
//!
//! An instance of WASI 0.3 may answer several requests ([`Reuse`]). Each of them has all of `cpu_time` and of
//! `max_time` from the moment that the instance was given it. So that the sum stays bounded, an instance that has used
//! half of its memory, half of its processor time or half of its life is given no further request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::account::Account;

/// The limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestLimits {
    /// Bytes of linear memories and tables of one instance, and of what the host holds for it. Default 512 MiB.
    pub memory: usize,
    /// Processor time of one instance, the host's calls for it included. `None` is no limit.
    pub cpu_time: Option<Duration>,
    /// Time to the head of a response. `None` is no limit.
    pub response_timeout: Option<Duration>,
    /// Time that an instance may live. `None` is no limit.
    pub max_time: Option<Duration>,
    /// The number of requests that an instance of WASI 0.3 answers.
    pub reuse: Reuse,
}

/// The number of requests that one instance of WASI 0.3 answers. One of WASI 0.2 always answers one.
///
/// The defaults are those of `wasmtime serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// In its life. Default 128; 1 is a fresh instance for each request.
    pub requests: NonZeroU32,
    /// At a time. Default 16.
    pub concurrency: NonZeroU32,
    /// Time without a request after which it ends. Default 1 s.
    pub idle_timeout: Duration,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            requests: const { NonZeroU32::new(128).unwrap() },
            concurrency: const { NonZeroU32::new(16).unwrap() },
            idle_timeout: Duration::from_secs(1),
        }
    }
}

/// 512 MiB.
pub const DEFAULT_MEMORY: usize = 512 * 1024 * 1024;

impl GuestLimits {
    /// For a guest that answers one request: 30 s of processor, 60 s to the head of the response, 10 min in all.
    pub fn of_a_request() -> Self {
        Self {
            memory: DEFAULT_MEMORY,
            cpu_time: Some(Duration::from_secs(30)),
            response_timeout: Some(Duration::from_secs(60)),
            max_time: Some(Duration::from_secs(600)),
            reuse: Reuse::default(),
        }
    }

    /// For a command: it has the process for itself, and no limit but memory.
    pub fn of_a_command() -> Self {
        Self {
            memory: DEFAULT_MEMORY,
            cpu_time: None,
            response_timeout: None,
            max_time: None,
            reuse: Reuse::default(),
        }
    }
}

/// A guest computed longer than [`GuestLimits::cpu_time`].
#[derive(Debug, thiserror::Error)]
#[error("computed for more than {} s, the limit for one instance", .limit.as_secs_f32())]
pub struct ComputedTooLong {
    pub(crate) limit: Duration,
}

/// The host held more for a guest than [`GuestLimits::memory`] or the [`MemoryCeiling`](crate::memory_ceiling) permits.
#[derive(Debug, thiserror::Error)]
#[error(
    "needs more memory than it may have: besides its own, the host holds {} MiB for it (`--max-memory`, \
     `--max-memory-total`)", .held >> 20
)]
pub struct HoldsTooMuch {
    pub(crate) held: usize,
}

/// A guest had parts that waited side by side, each on a stack of its own, until others had hardly any left.
#[derive(Debug, thiserror::Error)]
#[error("has more parts that wait at the same time than there are stacks for")]
pub struct TooManyStacks;

/// The budget that the engine asks before an instance grows. All of it counts in the [`Account`].
#[derive(Debug)]
pub(crate) struct Budget {
    account: Arc<Account>,
    /// The time for which the guest was interrupted since the last request, about.
    held: Duration,
}

impl Budget {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self {
            account,
            held: Duration::ZERO,
        }
    }

    /// The account that it counts in.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Gives all of the processor time once more, for a further request.
    pub(crate) fn renew(&mut self) {
        self.account.renew();
        self.held = Duration::ZERO;
    }

    /// The time for which the guest held the processor when it was interrupted, in sum, since the budget was renewed.
    pub(crate) fn held(&self) -> Duration {
        self.held
    }

    /// The guest was interrupted after it held the processor for `slice`.
    pub(crate) fn hold(&mut self, slice: Duration) {
        self.held = self.held.saturating_add(slice);
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.account.close();
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.account.map(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT);
        Ok(desired <= MAX_GROWN_TABLE && self.account.map(growth))
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// Core instances that one component may have, those of what it is composed of included.
///
/// A component of several libraries (CPython, or one that was composed) has one for each, and for each adapter between
/// them.
pub const MAX_CORE_INSTANCES: u32 = 256;

/// Linear memories that one component may have. Nearly all have one; one that was composed has one for each part.
pub const MAX_MEMORIES: u32 = 8;

/// Tables that one component may have.
pub const MAX_TABLES: u32 = 16;

/// Elements to which a table may grow.
pub const MAX_GROWN_TABLE: usize = 1024 * 1024;

/// Bytes of an element: a pointer.
const TABLE_ELEMENT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_ceiling::{MemoryCeiling, MemoryShare};

    fn share(limit: usize) -> Arc<MemoryShare> {
        Arc::new(Arc::new(MemoryCeiling::of(limit)).share("web"))
    }

    fn budget(memory: usize, share: &Arc<MemoryShare>) -> Budget {
        let limits = GuestLimits {
            memory,
            ..GuestLimits::of_a_command()
        };
        Budget::new(Arc::new(
            Account::open(&limits, share, 0).expect("there is room for a stack"),
        ))
    }

    fn grow(budget: &mut Budget, from: usize, to: usize) -> bool {
        budget
            .memory_growing(from, to, None)
            .expect("growing never traps")
    }

    // proves: Q-3
    #[test]
    fn all_memories_and_tables_of_an_instance_share_one_limit() {
        let mut budget = budget(1000, &share(usize::MAX));
        // (current, desired, allowed)
        let growths = [
            (0, 600, true),
            (0, 401, false),
            (0, 320, true),
            (600, 681, false),
            (600, 600, true),
        ];
        for (current, desired, allowed) in growths {
            assert_eq!(
                grow(&mut budget, current, desired),
                allowed,
                "{current} -> {desired}"
            );
        }
        // (current, desired, allowed): of 8 bytes each
        for (current, desired, allowed) in [(0, 11, false), (0, 9, true), (9, 10, true), (10, 11, false)] {
            let answer = budget
                .table_growing(current, desired, None)
                .expect("growing never traps");
            assert_eq!(answer, allowed, "{current} -> {desired} elements");
        }
    }

    // proves: ISO-3
    #[test]
    fn a_table_is_never_larger_than_a_table_may_be() {
        let mut budget = budget(usize::MAX, &share(usize::MAX));
        let mut grow = |to| budget.table_growing(0, to, None).expect("growing never traps");
        assert!(grow(MAX_GROWN_TABLE));
        assert!(!grow(MAX_GROWN_TABLE + 1));
    }

    // proves: Q-3
    #[test]
    fn a_further_request_gets_an_instance_until_half_of_the_memory_is_used() {
        let mut budget = budget(100, &share(usize::MAX));
        for (current, desired, half) in [(0, 50, false), (50, 51, true)] {
            assert!(grow(&mut budget, current, desired));
            assert_eq!(budget.account().is_half_used(), half, "{desired}");
        }
    }

    // proves: Q-3, ISO-3
    #[test]
    fn all_instances_and_their_stacks_share_the_ceiling_until_they_are_gone() {
        use crate::account::STACK;
        let share = share(2 * STACK + 100);
        let [mut first, mut second] = [(); 2].map(|()| budget(80, &share));
        assert!(grow(&mut first, 0, 70));
        assert!(!grow(&mut second, 0, 31), "the other has 70");
        assert!(grow(&mut second, 0, 30));
        assert!(!grow(&mut first, 70, 71));
        assert!(
            Account::open(&GuestLimits::of_a_command(), &share, 0).is_none(),
            "no third stack"
        );
        drop(first);
        assert!(grow(&mut second, 30, 80));
        assert!(!grow(&mut second, 80, 81), "its own limit");
        drop(second);
        assert!(share.has_room_for(2 * STACK + 100));
    }
}
