//! Trouble that lasts, told without flooding.
//!
//! It is one state, and not many messages: nothing is counted, and what ends it is told as well. So it does without the
//! memory of [`dedup`](crate::dedup).

use std::time::{Duration, Instant};

/// The trouble that was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<(String, Instant)>);

impl Trouble {
    /// True if `what` is to be told `now`: if it is new, or was told [`AGAIN`] ago.
    pub(super) fn is_due(&mut self, what: &str, now: Instant) -> bool {
        if let Some((told, when)) = &self.0
            && told == what
            && now.duration_since(*when) < AGAIN
        {
            return false;
        }
        self.0 = Some((what.to_owned(), now));
        true
    }

    /// Ends the trouble: it is over, or somebody asks anew. Answers whether there was any.
    pub(super) fn over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// The time after which the same is told again.
const AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_a_minute_and_something_new_at_once() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        // (seconds, what, whether it is told)
        let rows = [
            (0, "gone", true),
            (1, "gone", false),
            (59, "gone", false),
            (60, "gone", true),
            (61, "closed", true),
            (62, "closed", false),
        ];
        for (second, what, told) in rows {
            let now = start + Duration::from_secs(second);
            assert_eq!(trouble.is_due(what, now), told, "{second} {what}");
        }
        assert!(trouble.over() && !trouble.over());
        assert!(trouble.is_due("closed", start + Duration::from_secs(63)));
    }
}
