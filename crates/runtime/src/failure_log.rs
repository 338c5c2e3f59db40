//! The failures of the instances of one component, told for people: at once when it is new, then counted.
//!
//! What is the same (a trap with its functions, an error for an answer, a time that ran out) is [told
//! once](outport_egress::dedup). So how many lines there are is not for clients to choose, who choose how many requests
//! there are.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use outport_egress::dedup::{Budget, Counted, Dedup, Grouped, Occurrence, times};
use tracing::Level;

/// The failures of one component.
#[derive(Debug)]
pub(crate) struct FailureLog {
    component: String,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen(Dedup<What>);

/// A failure as it is told, whose lines are those of its component.
#[derive(Debug, PartialEq, Eq, Hash)]
struct What(String);

impl Grouped for What {
    type Group = ();

    fn group(&self) {}
}

impl FailureLog {
    /// None yet.
    pub(crate) fn of(component: &str) -> Self {
        Self {
            component: component.to_owned(),
            seen: Mutex::new(Seen::new(Instant::now())),
        }
    }

    /// The component whose failures they are.
    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Tells a failure, or counts it. `what` names the component.
    pub(crate) fn add(&self, level: Level, what: String) {
        self.with_seen(|seen, component| {
            seen.add(component, level, what, Instant::now(), &mut log(component));
        });
    }

    /// Tells what was only counted so far.
    pub(crate) fn sum_up(&self) {
        self.with_seen(|seen, component| seen.sum_up(component, Instant::now(), &mut log(component)));
    }

    fn with_seen(&self, act: impl FnOnce(&mut Seen, &str)) {
        // What is counted wrong after a panic is better than a second one.
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        act(&mut seen, &self.component);
    }
}

fn log(component: &str) -> impl FnMut(Level, &str) {
    move |level, line| {
        if level == Level::ERROR {
            tracing::error!(outport.component = component, "{line}");
        } else {
            tracing::warn!(outport.component = component, "{line}");
        }
    }
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self(Dedup::new(BUDGET, now))
    }

    fn add(
        &mut self,
        component: &str,
        level: Level,
        what: String,
        now: Instant,
        log_line: &mut dyn FnMut(Level, &str),
    ) {
        let line = what.clone();
        let occurrence = self
            .0
            .record(What(what), now, |counted| count(component, &counted, log_line));
        if occurrence == Occurrence::First {
            log_line(level, &line);
        }
    }

    fn sum_up(&mut self, component: &str, now: Instant, log_line: &mut dyn FnMut(Level, &str)) {
        self.0.drain(now, |counted| count(component, &counted, log_line));
    }
}

fn count(component: &str, counted: &Counted<'_, What>, log_line: &mut dyn FnMut(Level, &str)) {
    let line = match counted {
        Counted::Again(What(what), again) => {
            let what = what.lines().next().unwrap_or_default();
            format!("{what} ({})", times(*again))
        }
        Counted::Beyond((), beyond) => {
            format!("component `{component}` failed {beyond} more times, not shown one by one")
        }
    };
    log_line(Level::WARN, &line);
}

/// The most that is told of one component.
const BUDGET: Budget = Budget {
    interval: Duration::from_secs(10),
    lines: 20,
    remembered: 256,
};

#[cfg(test)]
mod tests {
    use super::*;

    struct Logged {
        seen: Seen,
        start: Instant,
        lines: Vec<String>,
    }

    impl Logged {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                seen: Seen::new(start),
                start,
                lines: Vec::new(),
            }
        }

        fn add(&mut self, second: u64, what: &str) {
            let now = self.start + Duration::from_secs(second);
            let log_line = &mut |_: Level, line: &str| self.lines.push(line.to_owned());
            self.seen.add("web", Level::ERROR, what.to_owned(), now, log_line);
        }

        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.lines)
        }
    }

    #[test]
    fn the_same_failure_is_told_once_and_then_counted() {
        let mut told = Logged::new();
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
        let log_line = &mut |_: Level, line: &str| told.lines.push(line.to_owned());
        told.seen.sum_up("web", told.start, log_line);
        assert_eq!(told.take(), ["it trapped (once more)"]);
    }

    #[test]
    fn a_guest_with_ever_new_failures_gets_a_few_lines_and_a_number() {
        let mut told = Logged::new();
        for number in 0..1000 {
            told.add(0, &format!("error {number}"));
        }
        assert_eq!(told.take().len(), BUDGET.lines);
        told.add(10, "error 0");
        assert_eq!(
            told.take(),
            [format!(
                "component `web` failed {} more times, not shown one by one",
                1000 - BUDGET.lines
            )]
        );
    }
}
