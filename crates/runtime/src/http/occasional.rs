//! A log of what strangers make happen as often as they like: it is told once, and then counted. There is one such thing
//! in each log, so it takes no memory of many ([`Dedup`](outport_egress::dedup::Dedup)); and the line has what just
//! happened, where that one would repeat the first.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One thing that happens again and again.
#[derive(Default)]
pub(super) struct Occasional {
    logged: Mutex<Logged>,
}

#[derive(Default)]
struct Logged {
    last: Option<Instant>,
    since: u64,
}

impl Occasional {
    /// Notes that it happened again. What it was is told at most once in 10 s, with how often it happened in between.
    pub(super) fn log(&self, what: impl FnOnce() -> String) {
        if let Some(since) = self.logged().add(Instant::now()) {
            log(&what(), since);
        }
    }

    /// Tells how often it happened that was not told yet.
    pub(super) fn sum_up(&self, what: &str) {
        match std::mem::take(&mut self.logged().since) {
            0 => {}
            since => log(what, since),
        }
    }

    /// A count is right between any two steps, whatever panicked elsewhere.
    fn logged(&self) -> MutexGuard<'_, Logged> {
        self.logged
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Logged {
    /// The number of times that it happened before without being told, if this time is to be told.
    fn add(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            self.since += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

fn log(what: &str, since: u64) {
    match since {
        0 => tracing::warn!("{what}"),
        _ => tracing::warn!("{what} ({since} more times before)"),
    }
}

const INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_every_ten_seconds() {
        let start = Instant::now();
        let mut logged = Logged::default();
        // (second, what is told)
        for (second, expected) in [
            (0, Some(0)),
            (0, None),
            (1, None),
            (9, None),
            (10, Some(3)),
            (11, None),
            (60, Some(1)),
            (70, Some(0)),
        ] {
            assert_eq!(
                logged.add(start + Duration::from_secs(second)),
                expected,
                "{second}"
            );
        }
    }
}
