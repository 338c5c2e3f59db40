//! The memory of all guests of a process together (Q-3, ISO-1, ISO-3).
//!
//! The limit of [one instance](crate::limits::GuestLimits::memory) bounds each, and a thousand of them may still come
//! to more than the machine has. Here everything is counted that an [`Account`](crate::account::Account) counts: linear
//! memories, tables, a stack, and what the host holds for the instance, until it is gone. What would go beyond the
//! ceiling does not happen: a memory does not grow (`memory.grow` answers -1), an instance does not start, and one
//! whose host side grows is ended. A server answers 503 before it comes to that.
//!
//! ```text
//! ceiling ─┬─ one half: for whoever comes first
//!          └─ the other half: an equal part for each component, which is nobody else's
//! ```
//!
//! So that no component takes what the others need to start, each has a [`MemoryShare`], which takes from the
//! component's own part first. The only component of an app has all of it.
//!
//! That there is none left is told of each component once in [`INTERVAL`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::metrics::Gauge;

mod machine;

/// The number of bytes that all guests together may have.
#[derive(Debug)]
pub struct MemoryCeiling {
    limit: usize,
    /// Bytes taken of the common half.
    common: AtomicUsize,
    /// The number of components that have a part of the other half.
    components: AtomicUsize,
}

/// The share that one component may take of a [`MemoryCeiling`].
#[derive(Debug)]
pub(crate) struct MemoryShare {
    ceiling: Arc<MemoryCeiling>,
    component: String,
    told: Mutex<Option<Instant>>,
    /// Bytes taken by the instances of the component.
    used: AtomicUsize,
    measure: Gauge,
}

impl MemoryCeiling {
    /// So many bytes.
    pub fn of(limit: usize) -> Self {
        Self {
            limit,
            common: AtomicUsize::new(0),
            components: AtomicUsize::new(0),
        }
    }

    /// None: what one instance may have is all that counts.
    pub fn none() -> Self {
        Self::of(usize::MAX)
    }

    /// Three quarters of what the machine has, or of what the process may have of it (its control groups, on Linux).
    /// None where that cannot be found out.
    pub fn of_the_machine() -> Self {
        // The rest is for what is not counted: Outport itself, compiled code, and what the system holds for sockets.
        machine::memory().map_or_else(Self::none, |bytes| Self::of(bytes / 4 * 3))
    }

    /// Bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The share of a further component. To be called for each before any of them has instances.
    pub(crate) fn share(self: &Arc<Self>, component: &str) -> MemoryShare {
        self.components.fetch_add(1, Ordering::Relaxed);
        MemoryShare {
            ceiling: Arc::clone(self),
            component: component.to_owned(),
            told: Mutex::new(None),
            used: AtomicUsize::new(0),
            measure: Gauge::noop(),
        }
    }

    /// Bytes that are each component's own.
    fn own(&self) -> usize {
        match self.components.load(Ordering::Relaxed) {
            0 | 1 => self.limit,
            components => self.limit / 2 / components,
        }
    }

    /// Bytes that are for whoever comes first.
    fn common_limit(&self) -> usize {
        match self.components.load(Ordering::Relaxed) {
            0 | 1 => 0,
            _ => self.limit / 2,
        }
    }
}

impl MemoryShare {
    /// The same, of which `measure` tells how many bytes are taken.
    pub(crate) fn measured(self, measure: Gauge) -> Self {
        Self { measure, ..self }
    }

    /// Bytes that are kept for the component, whatever others take.
    pub(crate) fn own(&self) -> usize {
        self.ceiling.own()
    }

    /// Takes so many bytes, or none at all.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let counted = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes)
            });
        let Ok(before) = counted else {
            return false;
        };
        // Whoever counts at the same time has another stretch: each takes what of its own lies beyond the component's
        // part.
        let common = self.common_part(before + bytes) - self.common_part(before);
        if common == 0 || self.take_common(common) {
            self.measure.increment(bytes as f64);
            return true;
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.log(before);
        false
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.measure.decrement(bytes as f64);
        let common = self.common_part(before) - self.common_part(before - bytes);
        if common > 0 {
            self.ceiling.common.fetch_sub(common, Ordering::Relaxed);
        }
    }

    fn log(&self, used: usize) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= INTERVAL) {
            *told = Some(Instant::now());
            tracing::warn!(
                outport.component = self.component.as_str(),
                "the guests of component `{}` have {} KiB of memory, and no more is left for them of the {} KiB that \
                 all may have (`--max-memory-total`): until some of them end, clients get status 503",
                self.component,
                used >> 10,
                self.ceiling.limit >> 10
            );
        }
    }

    /// The part of `used` that goes beyond the component's own part.
    fn common_part(&self, used: usize) -> usize {
        used.saturating_sub(self.ceiling.own())
    }

    fn take_common(&self, bytes: usize) -> bool {
        let limit = self.ceiling.common_limit();
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= limit);
        let common = &self.ceiling.common;
        common
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

/// The least time between two reports of one component.
const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
impl MemoryShare {
    /// True if so many bytes more could be taken now.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        let fits = self.take(bytes);
        if fits {
            self.give_back(bytes);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: Q-3
    #[test]
    fn what_goes_beyond_the_ceiling_is_not_taken_and_what_is_given_back_can_be() {
        let share = Arc::new(MemoryCeiling::of(100)).share("web");
        // (bytes, taken)
        for (bytes, taken) in [
            (60, true),
            (41, false),
            (usize::MAX, false),
            (40, true),
            (0, true),
            (1, false),
        ] {
            assert_eq!(share.has_room_for(bytes), taken, "{bytes}");
            assert_eq!(share.take(bytes), taken, "{bytes}");
        }
        share.give_back(40);
        assert!(!share.take(41));
        assert!(share.take(40));
    }

    // proves: ISO-1, ISO-3
    #[test]
    fn a_component_takes_the_common_half_and_never_another_ones_part() {
        let ceiling = Arc::new(MemoryCeiling::of(800));
        let [greedy, modest, late] = [(); 3].map(|()| ceiling.share("web"));
        // Each has 800 / 2 / 3 for itself.
        let own = 133;
        assert!(!greedy.take(own + 401));
        assert!(greedy.take(own + 400));
        assert!(!greedy.take(1) && !greedy.has_room_for(1));
        for other in [&modest, &late] {
            assert!(other.has_room_for(own) && other.take(own));
            assert!(!other.has_room_for(1) && !other.take(1));
        }
        greedy.give_back(10);
        assert!(modest.take(10) && !late.take(1));
        modest.give_back(own + 10);
        late.give_back(own);
        greedy.give_back(own + 390);
        assert_eq!(ceiling.common.load(Ordering::Relaxed), 0);
        assert!(late.take(own + 400));
    }

    // proves: Q-3
    #[test]
    fn threads_together_never_take_more_than_there_is() {
        let ceiling = Arc::new(MemoryCeiling::of(2000));
        let [share, _other] = [(); 2].map(|()| ceiling.share("web"));
        let taken: usize = std::thread::scope(|scope| {
            let threads = [3, 5, 7, 11].map(|bytes| {
                let share = &share;
                scope.spawn(move || (0..1000).filter(|_| share.take(bytes)).count() * bytes)
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(taken <= 1500 && taken > 1500 - 30, "{taken}");
        share.give_back(taken);
        assert_eq!(ceiling.common.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn without_a_ceiling_there_is_room_for_everything() {
        let ceiling = Arc::new(MemoryCeiling::none());
        let alone = ceiling.share("web");
        assert!(alone.take(usize::MAX / 2) && alone.take(usize::MAX / 2));
        alone.give_back(usize::MAX - 1);
        let [first, second] = [&alone, &ceiling.share("web")];
        assert!(first.take(usize::MAX / 2) && second.take(usize::MAX / 4));
    }
}
