//! What goes wrong with the instances of one component, told for people: at once when it is new, then counted.
//!
//! - A failure (a trap with its functions, an error for an answer, a time that ran out) that was not seen before is told
//!   as it is.
//! - Seen again, it is only counted; the counts are told with the next failure after [`INTERVAL`], and at the end.
//! - At most [`TOLD`] are told as they are in one interval, and as many counted by name; the others are one number.
//! - At most [`REMEMBERED`] are remembered; then the memory starts anew, after its counts were told.
//!
//! So how many lines there are is not for clients to choose, who choose how many requests there are. Nothing runs
//! while all is quiet.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The failures of one component.
#[derive(Debug)]
pub(crate) struct FailureLog {
    component: String,
    seen: Mutex<Seen>,
}

/// How bad a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    /// The guest was stopped.
    Error,
    /// The client got less than a response.
    Warning,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    /// How often each came again since it was told.
    again: HashMap<String, u64>,
    told: usize,
    beyond: u64,
}

impl FailureLog {
    /// None yet.
    pub(crate) fn of(component: &str) -> FailureLog {
        FailureLog {
            component: component.to_owned(),
            seen: Mutex::new(Seen::new(Instant::now())),
        }
    }

    /// Whose failures they are.
    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Tells a failure, or counts it. `what` names the component.
    pub(crate) fn add(&self, severity: Severity, what: String) {
        self.with_seen(|seen, component| seen.add(component, severity, what, Instant::now(), &mut log));
    }

    /// Tells what was only counted so far.
    pub(crate) fn sum_up(&self) {
        self.with_seen(|seen, component| seen.sum_up(component, Instant::now(), &mut log));
    }

    fn with_seen(&self, act: impl FnOnce(&mut Seen, &str)) {
        // What is counted wrong after a panic is better than a second one.
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        act(&mut seen, &self.component);
    }
}

fn log(severity: Severity, line: &str) {
    match severity {
        Severity::Error => tracing::error!("{line}"),
        Severity::Warning => tracing::warn!("{line}"),
    }
}

impl Seen {
    fn new(now: Instant) -> Seen {
        Seen {
            since: now,
            again: HashMap::new(),
            told: 0,
            beyond: 0,
        }
    }

    fn add(
        &mut self,
        component: &str,
        severity: Severity,
        what: String,
        now: Instant,
        tell: &mut dyn FnMut(Severity, &str),
    ) {
        if now.duration_since(self.since) >= INTERVAL || self.again.len() >= REMEMBERED {
            self.sum_up(component, now, tell);
        }
        if let Some(again) = self.again.get_mut(&what) {
            *again += 1;
            return;
        }
        if self.told == TOLD {
            self.beyond += 1;
            return;
        }
        self.told += 1;
        tell(severity, &what);
        self.again.insert(what, 0);
    }

    fn sum_up(&mut self, component: &str, now: Instant, tell: &mut dyn FnMut(Severity, &str)) {
        let mut again: Vec<_> = self.again.iter_mut().filter(|(_, again)| **again > 0).collect();
        again.sort_unstable_by_key(|(_, again)| std::cmp::Reverse(**again));
        for (place, (what, again)) in again.into_iter().enumerate() {
            let again = std::mem::take(again);
            if place >= TOLD {
                self.beyond += again;
                continue;
            }
            let what = what.lines().next().unwrap_or_default();
            tell(Severity::Warning, &format!("{what} ({})", times(again)));
        }
        match std::mem::take(&mut self.beyond) {
            0 => {}
            beyond => tell(
                Severity::Warning,
                &format!("component `{component}` failed {beyond} more times, not told one by one"),
            ),
        }
        self.told = 0;
        self.since = now;
        if self.again.len() >= REMEMBERED {
            self.again.clear();
        }
    }
}

fn times(again: u64) -> String {
    match again {
        1 => "once more".to_owned(),
        _ => format!("{again} more times"),
    }
}

/// How often counts are told at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// FailureLog that are told as they are in one interval, and as many that are counted by name.
const TOLD: usize = 20;

/// FailureLog that are remembered.
const REMEMBERED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    struct Told {
        seen: Seen,
        start: Instant,
        lines: Vec<String>,
    }

    impl Told {
        fn new() -> Told {
            let start = Instant::now();
            Told {
                seen: Seen::new(start),
                start,
                lines: Vec::new(),
            }
        }

        fn add(&mut self, second: u64, what: &str) {
            let now = self.start + Duration::from_secs(second);
            let tell = &mut |_: Severity, line: &str| self.lines.push(line.to_owned());
            self.seen.add("web", Severity::Error, what.to_owned(), now, tell);
        }

        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.lines)
        }
    }

    #[test]
    fn the_same_failure_is_told_once_and_then_counted() {
        let mut told = Told::new();
        for second in 0..10 {
            told.add(second, "it trapped\n    at main");
        }
        assert_eq!(told.take(), ["it trapped\n    at main"]);
        told.add(10, "it was slow");
        assert_eq!(told.take(), ["it trapped (9 more times)", "it was slow"]);
        told.add(11, "it trapped\n    at main");
        told.add(12, "it trapped\n    at start");
        assert_eq!(
            told.take(),
            ["it trapped\n    at start"],
            "another way there is another failure"
        );
        let tell = &mut |_: Severity, line: &str| told.lines.push(line.to_owned());
        told.seen.sum_up("web", told.start, tell);
        assert_eq!(told.take(), ["it trapped (once more)"]);
    }

    #[test]
    fn a_guest_with_ever_new_failures_gets_a_few_lines_and_a_number() {
        let mut told = Told::new();
        for number in 0..1000 {
            told.add(0, &format!("error {number}"));
        }
        assert_eq!(told.take().len(), TOLD);
        told.add(10, "error 0");
        assert_eq!(
            told.take(),
            [format!(
                "component `web` failed {} more times, not told one by one",
                1000 - TOLD
            )]
        );
    }

    #[test]
    fn a_patient_guest_gets_few_lines_and_little_memory() {
        let mut told = Told::new();
        let mut most = 0;
        for round in 0..100 {
            for number in 0..40 {
                told.add(round * 10, &format!("error {}", round * 13 + number));
            }
            most = most.max(told.take().len());
        }
        // Twice as many in an interval in which the memory starts anew.
        assert!(most <= 2 * (2 * TOLD + 1), "{most} lines in an interval");
        assert!(told.seen.again.len() <= REMEMBERED);
    }
}
