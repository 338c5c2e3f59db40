//! Denials, and what was permitted and failed, for a person at a terminal: told once, then counted.
//!
//! What is the same is [told once](crate::dedup): component, attempt, destination and reason, or the error of a
//! failure. Each component has lines of its own, so that one that scans hides nobody else's denials, and failures have
//! theirs, so that nobody hides a denial behind failures. What is still uncounted when all is quiet is told by `flush`.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outport_policy::text;

use super::event::{AuditEvent, Verdict};
use super::outcome::AuditOutcome;
use super::sink::{AuditSink, Outcomes};
use crate::dedup::{Budget, Counted, Dedup, Grouped, Occurrence, times};
use crate::line_log::{LineWriter, Lines, Room};

/// Tells denials line by line, without ever flooding.
pub struct DenialReporter {
    lines: Lines,
    seen: Mutex<Seen>,
    failures: Mutex<Seen>,
}

/// What has each of those that are only counted, behind their number.
type RecordedBy = Option<&'static str>;

impl DenialReporter {
    /// Hands each line, without its line break, to `write`, on a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn new(write: impl FnMut(&str) + Send + 'static) -> std::io::Result<Self> {
        let lines = Lines::start(
            "outport-denials",
            "what was denied or failed".into(),
            ROOM,
            Terminal(write),
        )?;
        Ok(Self {
            lines,
            seen: Mutex::new(Seen::new("denied", Instant::now())),
            failures: Mutex::new(Seen::new("failed", Instant::now())),
        })
    }

    /// Names the setting by which each denial is recorded, for who is told of a number alone. Default: nothing is named.
    #[must_use]
    pub fn recorded_by(self, setting: &'static str) -> Self {
        for seen in [&self.seen, &self.failures] {
            locked(seen).recorded_by = Some(setting);
        }
        self
    }
}

impl AuditSink for DenialReporter {
    fn wants(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Deny
    }

    fn record(&self, event: &AuditEvent) {
        if event.verdict == Verdict::Deny {
            let denial = DenialKey {
                component: event.component.clone(),
                attempt: event.attempt,
                destination: event.destination.clone(),
                reason: event.reason.map(Cow::Borrowed),
            };
            let line = || event.to_string();
            locked(&self.seen).add(denial, line, Instant::now(), &mut |line| self.lines.put(line));
        }
    }

    fn outcomes(&self) -> Outcomes {
        Outcomes::Failures
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        if outcome.is_a_failure() {
            let failure = DenialKey {
                component: outcome.component.clone(),
                attempt: outcome.attempt,
                destination: outcome.destination.clone(),
                reason: outcome.error.clone().map(Cow::Owned),
            };
            let line = || outcome.to_string();
            locked(&self.failures).add(failure, line, Instant::now(), &mut |line| self.lines.put(line));
        }
    }

    fn flush(&self) {
        for seen in [&self.seen, &self.failures] {
            locked(seen).sum_up(Instant::now(), &mut |line| self.lines.put(line));
        }
        self.lines.flush();
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Terminal<F>(F);

impl<F: FnMut(&str) + Send + 'static> LineWriter for Terminal<F> {
    fn line(&mut self, line: &str) {
        (self.0)(line);
    }

    fn lost(&mut self, lost: u64) {
        (self.0)(&format!(
            "denied or failed: {lost} more, which came too fast to be shown"
        ));
    }

    fn flush(&mut self) {}
}

/// Denials or failures, told once and then counted.
struct Seen {
    /// The word that its lines begin with.
    word: &'static str,
    recorded_by: RecordedBy,
    dedup: Dedup<DenialKey>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DenialKey {
    component: Arc<str>,
    attempt: &'static str,
    destination: String,
    reason: Option<Cow<'static, str>>,
}

impl Grouped for DenialKey {
    type Group = Arc<str>;

    fn group(&self) -> Arc<str> {
        self.component.clone()
    }
}

impl Seen {
    fn new(word: &'static str, now: Instant) -> Self {
        Self {
            word,
            recorded_by: None,
            dedup: Dedup::new(BUDGET, now),
        }
    }

    fn add(
        &mut self,
        denial: DenialKey,
        line: impl FnOnce() -> String,
        now: Instant,
        tell: &mut dyn FnMut(String),
    ) {
        let (word, recorded_by) = (self.word, self.recorded_by);
        let occurrence = self
            .dedup
            .record(denial, now, |counted| tell(line_of(word, recorded_by, &counted)));
        if occurrence == Occurrence::First {
            tell(line());
        }
    }

    fn sum_up(&mut self, now: Instant, tell: &mut dyn FnMut(String)) {
        let (word, recorded_by) = (self.word, self.recorded_by);
        self.dedup
            .drain(now, |counted| tell(line_of(word, recorded_by, &counted)));
    }
}

fn line_of(word: &str, recorded_by: RecordedBy, counted: &Counted<'_, DenialKey>) -> String {
    match counted {
        Counted::Again(denial, again) => {
            let DenialKey {
                component,
                attempt,
                destination,
                reason,
            } = denial;
            let protocol = attempt.split('.').next().unwrap_or(attempt);
            let component = text::message(component);
            let reason = reason
                .as_ref()
                .map(|code| format!(" [{code}]"))
                .unwrap_or_default();
            let again = times(*again);
            format!("{word}: component `{component}` {protocol} {destination}{reason} {again}")
        }
        Counted::Beyond(component, beyond) => {
            let component = text::message(component);
            let recorded_by = recorded_by
                .map(|setting| format!(": {setting} records each"))
                .unwrap_or_default();
            format!("{word}: component `{component}` {beyond} more, not shown one by one{recorded_by}")
        }
    }
}

/// The most that is told, of the denials and of the failures each.
const BUDGET: Budget = Budget {
    interval: Duration::from_secs(10),
    lines: 20,
    remembered: 1024,
};

/// As much as may wait for the terminal.
const ROOM: Room = Room {
    lines: 1024,
    bytes: 4 << 20,
};

#[cfg(test)]
mod tests {
    use super::super::event::tests::denial;
    use super::super::outcome::tests::failure;
    use super::*;

    struct Reported {
        seen: Seen,
        start: Instant,
        lines: Vec<String>,
    }

    impl Reported {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                seen: Seen::new("denied", start),
                start,
                lines: Vec::new(),
            }
        }

        fn add(&mut self, second: u64, component: &str, destination: &str) {
            let now = self.start + Duration::from_secs(second);
            let event = denial(component, destination);
            let denial = DenialKey {
                component: event.component.clone(),
                attempt: event.attempt,
                destination: event.destination.clone(),
                reason: event.reason.map(Cow::Borrowed),
            };
            self.seen.add(denial, || event.to_string(), now, &mut |line| {
                self.lines.push(line)
            });
        }

        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.lines)
        }
    }

    #[test]
    fn the_same_denial_is_told_once_and_then_counted() {
        let mut reported = Reported::new();
        for second in 0..10 {
            reported.add(second, "web", "10.0.0.5:5432");
        }
        assert_eq!(reported.take(), [denial("web", "10.0.0.5:5432").to_string()]);

        reported.add(10, "web", "10.0.0.6:5432");
        assert_eq!(
            reported.take(),
            [
                "denied: component `web` tcp 10.0.0.5:5432 [allow.port] 9 more times".to_owned(),
                denial("web", "10.0.0.6:5432").to_string(),
            ]
        );
        reported.add(11, "web", "10.0.0.5:5432");
        assert_eq!(reported.take(), [] as [&str; 0], "it was told before");
        reported
            .seen
            .sum_up(reported.start, &mut |line| reported.lines.push(line));
        assert_eq!(
            reported.take(),
            ["denied: component `web` tcp 10.0.0.5:5432 [allow.port] once more"]
        );
    }

    #[test]
    fn a_guest_that_scans_gets_a_few_lines_and_a_number() {
        let mut reported = Reported::new();
        for port in 1..=1000 {
            reported.add(0, "web", &format!("10.0.0.5:{port}"));
        }
        reported.add(0, "api", "10.0.0.5:1");
        assert_eq!(
            reported.take().len(),
            BUDGET.lines + 1,
            "another component still gets its line"
        );

        reported.add(10, "api", "10.0.0.5:1");
        let beyond = 1000 - BUDGET.lines;
        assert_eq!(
            reported.take(),
            [format!(
                "denied: component `web` {beyond} more, not shown one by one"
            )]
        );
        reported.seen.recorded_by = Some("`--audit-log`");
        for port in 1..=100 {
            reported.add(20, "web", &format!("10.0.0.7:{port}"));
        }
        reported.take();
        reported.add(40, "api", "10.0.0.5:1");
        let line = reported.take().remove(0);
        assert!(
            line.ends_with(" more, not shown one by one: `--audit-log` records each"),
            "{line}"
        );
    }

    #[test]
    fn the_reporter_writes_from_its_own_thread_and_flushes() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = written.clone();
        let reporter = DenialReporter::new(move |line| lines.lock().unwrap().push(line.to_owned())).unwrap();
        assert!(!reporter.wants(Verdict::Allow));
        reporter.record(&denial("web", "10.0.0.5:5432"));
        reporter.record(&denial("web", "10.0.0.5:5432"));
        for error in [
            "connection-refused",
            "connection-refused",
            "abandoned",
            "access-denied",
        ] {
            let mut failed = failure("web", "10.0.0.5:5432");
            failed.error = Some(error.to_owned());
            reporter.record_outcome(&failed);
        }
        reporter.flush();
        let mut written = written.lock().unwrap().clone();
        written.sort_unstable();
        assert_eq!(
            written,
            [
                denial("web", "10.0.0.5:5432").to_string(),
                "denied: component `web` tcp 10.0.0.5:5432 [allow.port] once more".to_owned(),
                failure("web", "10.0.0.5:5432").to_string(),
                "failed: component `web` tcp 10.0.0.5:5432 [connection-refused] once more".to_owned(),
            ]
        );
    }
}
