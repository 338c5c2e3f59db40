//! Once, then counted: what happens again and again is told when it is new, and as a number after that.
//!
//! ```text
//! record ─┬─ not seen before, its group has lines left ─▶ First        the caller tells it
//!         ├─ seen before ───────────────────────────────▶ Repeat       counted for itself
//!         └─ its group has no lines left ───────────────▶ Suppressed   counted for the group
//!
//! drain  ─▶ what came again, the most often first; what is beyond the lines of its group, as one number
//! ```
//!
//! So how many lines there are is not for those to choose who make things happen. The clock is the caller's: nothing
//! runs while all is quiet.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A kind of message that is told once.
pub trait Grouped: Eq + Hash {
    /// The group whose lines it takes.
    type Group: Clone + Eq + Hash;

    /// The group that it belongs to.
    fn group(&self) -> Self::Group;
}

/// The amount that is told, and remembered.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The least time between two reports of the counts.
    pub interval: Duration,
    /// First lines of one group in one interval, and lines that count what came again.
    pub lines: usize,
    /// The number of messages that are remembered; beyond, the memory starts anew after its counts were told.
    pub remembered: usize,
}

/// The treatment of something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Occurrence {
    /// News: it is to be told.
    First,
    /// A repetition: it was told, and is counted.
    Repeat,
    /// Others of its group were told, and it is one of a number.
    Suppressed,
}

/// A line that counts.
#[derive(Debug, PartialEq, Eq)]
pub enum Counted<'a, K: Grouped> {
    /// This came so many more times.
    Again(&'a K, u64),
    /// So many more of this group were not told one by one.
    Beyond(&'a K::Group, u64),
}

/// The memory of what was told, and what is still to be counted.
#[derive(Debug)]
pub struct Dedup<K: Grouped> {
    budget: Budget,
    since: Instant,
    again: HashMap<K, u64>,
    groups: HashMap<K::Group, Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: usize,
    beyond: u64,
}

impl<K: Grouped> Dedup<K> {
    /// Nothing was told yet.
    pub fn new(budget: Budget, now: Instant) -> Self {
        Self {
            budget,
            since: now,
            again: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Notes that `key` happened. What is [due](Dedup::drain) is told to `count` before.
    pub fn record(&mut self, key: K, now: Instant, count: impl FnMut(Counted<'_, K>)) -> Occurrence {
        let is_due = now.duration_since(self.since) >= self.budget.interval;
        if is_due || self.again.len() >= self.budget.remembered {
            self.drain(now, count);
        }
        if let Some(again) = self.again.get_mut(&key) {
            *again += 1;
            return Occurrence::Repeat;
        }
        let taken = self.groups.entry(key.group()).or_default();
        if taken.lines == self.budget.lines {
            taken.beyond += 1;
            return Occurrence::Suppressed;
        }
        taken.lines += 1;
        self.again.insert(key, 0);
        Occurrence::First
    }

    /// Tells `count` what was only counted since the last time.
    pub fn drain(&mut self, now: Instant, mut count: impl FnMut(Counted<'_, K>)) {
        let mut again: Vec<_> = self.again.iter_mut().filter(|(_, again)| **again > 0).collect();
        // The most often first: where there are more than lines, these are worth one.
        again.sort_unstable_by_key(|(_, again)| std::cmp::Reverse(**again));
        let mut lines: HashMap<K::Group, usize> = HashMap::new();
        for (key, again) in again {
            let again = std::mem::take(again);
            let lines = lines.entry(key.group()).or_default();
            if *lines == self.budget.lines {
                self.groups.entry(key.group()).or_default().beyond += again;
                continue;
            }
            *lines += 1;
            count(Counted::Again(key, again));
        }
        for (group, taken) in self.groups.drain().filter(|(_, taken)| taken.beyond > 0) {
            count(Counted::Beyond(&group, taken.beyond));
        }
        // Beyond what is remembered all of it starts anew, which needs no order among the keys.
        if self.again.len() >= self.budget.remembered {
            self.again.clear();
        }
        self.since = now;
    }
}

/// The number of further times, in words.
pub fn times(again: u64) -> String {
    match again {
        1 => "once more".to_owned(),
        _ => format!("{again} more times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Event(&'static str, usize);

    impl Grouped for Event {
        type Group = &'static str;

        fn group(&self) -> &'static str {
            self.0
        }
    }

    struct Run {
        dedup: Dedup<Event>,
        start: Instant,
        counted: Vec<String>,
    }

    impl Run {
        fn new() -> Self {
            let start = Instant::now();
            let budget = Budget {
                interval: Duration::from_secs(10),
                lines: 3,
                remembered: 8,
            };
            Self {
                dedup: Dedup::new(budget, start),
                start,
                counted: Vec::new(),
            }
        }

        fn record(&mut self, second: u64, group: &'static str, number: usize) -> Occurrence {
            let now = self.start + Duration::from_secs(second);
            let counted = &mut self.counted;
            self.dedup.record(Event(group, number), now, |line| {
                counted.push(format!("{line:?}"))
            })
        }
    }

    #[test]
    fn the_first_is_told_and_the_same_is_counted() {
        let mut run = Run::new();
        // (second, group, number, what becomes of it, what is counted before)
        for (second, group, number, expected, counted) in [
            (0, "a", 1, Occurrence::First, ""),
            (0, "a", 1, Occurrence::Repeat, ""),
            (9, "a", 1, Occurrence::Repeat, ""),
            (9, "a", 2, Occurrence::First, ""),
            (9, "a", 3, Occurrence::First, ""),
            (9, "a", 4, Occurrence::Suppressed, ""),
            (9, "a", 5, Occurrence::Suppressed, ""),
            (9, "b", 1, Occurrence::First, ""),
            (
                10,
                "b",
                1,
                Occurrence::Repeat,
                "Again(Event(\"a\", 1), 2) Beyond(\"a\", 2)",
            ),
            (10, "a", 4, Occurrence::First, ""),
            (20, "a", 1, Occurrence::Repeat, "Again(Event(\"b\", 1), 1)"),
        ] {
            let row = format!("{second} {group} {number}");
            assert_eq!(run.record(second, group, number), expected, "{row}");
            assert_eq!(std::mem::take(&mut run.counted).join(" "), counted, "{row}");
        }
    }

    #[test]
    fn memory_is_bounded_and_what_came_most_often_is_told() {
        let mut run = Run::new();
        for number in 0..100 {
            let _ = run.record(number as u64 * 10, "a", number);
            assert!(run.dedup.again.len() <= 8 && run.dedup.groups.len() <= 1);
        }
        let mut run = Run::new();
        for number in 0..6 {
            let _ = run.record(number as u64 * 10, "a", number);
        }
        for number in 0..6 {
            for _ in 0..=number {
                assert_eq!(run.record(51, "a", number), Occurrence::Repeat);
            }
        }
        let _ = run.record(61, "b", 0);
        assert_eq!(
            run.counted,
            [
                "Again(Event(\"a\", 5), 6)",
                "Again(Event(\"a\", 4), 5)",
                "Again(Event(\"a\", 3), 4)",
                "Beyond(\"a\", 6)"
            ]
        );
    }
}
