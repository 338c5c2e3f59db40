//! The state of writing, for whoever wants nothing to be done that is not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether a log can be written, as far as is known.
pub(super) struct Health {
    /// True if the log could not be written the last time.
    broken: AtomicBool,
    /// Since when a write is under way, in milliseconds from `start`, and one more; 0 while none is.
    writing_since: AtomicU64,
    start: Instant,
}

impl Health {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            broken: AtomicBool::new(false),
            writing_since: AtomicU64::new(0),
            start: Instant::now(),
        })
    }

    /// Notes that `write` is under way while it is.
    pub(super) fn during<R>(&self, write: impl FnOnce() -> R) -> R {
        self.writing_since.store(self.now() + 1, Ordering::Relaxed);
        let written = write();
        self.writing_since.store(0, Ordering::Relaxed);
        written
    }

    /// Notes whether the last write failed.
    pub(super) fn note<T, E>(&self, written: &Result<T, E>) {
        self.broken.store(written.is_err(), Ordering::Relaxed);
    }

    /// True if the last write failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// True if what is put is written: a disk or a reader that stands still says nothing.
    pub(super) fn is_good(&self) -> bool {
        let stands_still = match self.writing_since.load(Ordering::Relaxed) {
            0 => false,
            since => self.now().saturating_sub(since) > STANDSTILL.as_millis() as u64,
        };
        !stands_still && !self.is_broken()
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

/// The time that a write may be under way until it counts as one that fails.
const STANDSTILL: Duration = Duration::from_secs(1);
