//! The time between two tries to connect: longer each time, and never the same for all who lost the same server.

use std::time::Duration;

use super::connector::Again;

/// The waits of one listener.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Tries that failed since a connection last held.
    failed: u32,
}

impl Waits {
    /// The next wait, after a connection that `held` so long, by a random number from 0 to 1.
    pub(super) fn next(&mut self, held: Duration, again: Again, random: f64) -> Duration {
        if held >= LONGEST {
            self.failed = 0;
        }
        let longest = match again {
            Again::Soon => FIRST.saturating_mul(1 << self.failed.min(16)).min(LONGEST),
            Again::Seldom => LONGEST,
        };
        self.failed = self.failed.saturating_add(1);
        // From half of it to all of it.
        longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

/// The longest that the first wait takes.
const FIRST: Duration = Duration::from_millis(500);

/// The longest that any wait takes; a connection that held so long counts as one.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_begin_anew_when_a_connection_held() {
        let mut waits = Waits::default();
        let none = Duration::ZERO;
        let seconds = |wait: Duration| wait.as_secs_f64();
        let grown: Vec<_> = (0..9)
            .map(|_| seconds(waits.next(none, Again::Soon, 1.0)))
            .collect();
        assert_eq!(grown, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(seconds(waits.next(LONGEST, Again::Soon, 1.0)), 0.5);
        assert_eq!(
            seconds(waits.next(Duration::from_secs(29), Again::Soon, 1.0)),
            1.0
        );
        assert_eq!(seconds(waits.next(none, Again::Seldom, 1.0)), 30.0);
        for _ in 0..100 {
            waits.next(none, Again::Soon, 0.0);
        }
        assert_eq!(seconds(waits.next(none, Again::Soon, 0.0)), 15.0);
    }
}
