//! The memory of all guests of a process together (policy clause Q-3).
//!
//! The limit of [one instance](crate::limits::GuestLimits::memory) bounds each, and a thousand of them may still come to
//! more than the machine has. Here every linear memory is counted until its instance is gone. What would go beyond the
//! ceiling does not happen: a memory does not grow (`memory.grow` answers -1), and an instance does not start. A server
//! answers 503 before it comes to that.
//!
//! The ceiling is told when it is reached, and again only when less than half of it was used in between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

mod machine;

/// How many bytes of linear memory all guests together may have.
#[derive(Debug)]
pub struct MemoryCeiling {
    limit: usize,
    used: AtomicUsize,
    told: AtomicBool,
}

impl MemoryCeiling {
    /// So many bytes.
    pub fn of(limit: usize) -> MemoryCeiling {
        MemoryCeiling {
            limit,
            used: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        }
    }

    /// None: what one instance may have is all that counts.
    pub fn none() -> MemoryCeiling {
        MemoryCeiling::of(usize::MAX)
    }

    /// Three quarters of what the machine has, or of what the process may have of it (its control groups, on Linux).
    /// None where that cannot be found out.
    pub fn of_the_machine() -> MemoryCeiling {
        machine::memory().map_or_else(MemoryCeiling::none, |bytes| MemoryCeiling::of(bytes / 4 * 3))
    }

    /// Bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether so many bytes more could be taken now.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let fits = used.checked_add(bytes).is_some_and(|used| used <= self.limit);
        if !fits {
            self.tell(used);
        }
        fits
    }

    /// Takes so many bytes, or none at all.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if let Err(used) = taken {
            self.tell(used);
        }
        taken.is_ok()
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        let used = self.used.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if used < self.limit / 2 {
            self.told.store(false, Ordering::Relaxed);
        }
    }

    fn tell(&self, used: usize) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "guests have {} MiB of memory, and may together have {} MiB: until some of them end, none gets more; \
                 `--max-memory-total` sets how much they may have",
                used >> 20,
                self.limit >> 20
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: Q-3
    #[test]
    fn what_goes_beyond_the_ceiling_is_not_taken_and_what_is_given_back_can_be() {
        let ceiling = MemoryCeiling::of(100);
        // (bytes, taken)
        for (bytes, taken) in [
            (60, true),
            (41, false),
            (usize::MAX, false),
            (40, true),
            (0, true),
            (1, false),
        ] {
            assert_eq!(ceiling.has_room_for(bytes), taken, "{bytes}");
            assert_eq!(ceiling.take(bytes), taken, "{bytes}");
        }
        ceiling.give_back(40);
        assert!(!ceiling.take(41));
        assert!(ceiling.take(40));
    }

    // proves: Q-3
    #[test]
    fn threads_together_never_take_more_than_there_is() {
        let ceiling = MemoryCeiling::of(1000);
        let taken: usize = std::thread::scope(|scope| {
            let threads = [3, 5, 7, 11].map(|bytes| {
                let ceiling = &ceiling;
                scope.spawn(move || (0..1000).filter(|_| ceiling.take(bytes)).count() * bytes)
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(taken <= 1000 && taken > 1000 - 3, "{taken}");
    }

    #[test]
    fn without_a_ceiling_there_is_room_for_everything() {
        let ceiling = MemoryCeiling::none();
        assert!(ceiling.take(usize::MAX / 2) && ceiling.take(usize::MAX / 2));
    }
}
