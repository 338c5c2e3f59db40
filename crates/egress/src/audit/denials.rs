//! Denials, and what was permitted and failed, for a person at a terminal: told once, then counted.
//!
//! - A denial (component, attempt, destination, reason) or failure (its error) that was not seen before is a line of its own.
//! - Seen again, it is only counted; the counts are told at most every [`INTERVAL`] and at the end.
//! - One component gets at most [`LINES`] first lines an interval, and as many that count; what is beyond (a guest
//!   that scans) is told as one number.
//! - At most [`DENIALS`] denials are remembered; then the memory starts anew, after its counts were told.
//! - Failures have the same bounds for themselves, so that nobody hides a denial behind failures.
//!
//! The clock is looked at when a denial comes in, so nothing runs while all is quiet; what is still uncounted then
//! is told by `flush`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use outport_policy::printable;

use super::event::{AuditEvent, Verdict};
use super::lines::{LineWriter, Lines};
use super::outcome::AuditOutcome;
use super::{AuditSink, Outcomes};

/// Tells denials line by line, without ever flooding.
pub struct DenialReporter {
    lines: Lines,
    seen: Mutex<Seen>,
    failures: Mutex<Seen>,
}

impl DenialReporter {
    /// Hands each line, without its line break, to `write`, on a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn new(write: impl FnMut(&str) + Send + 'static) -> std::io::Result<DenialReporter> {
        let lines = Lines::start(
            "outport-denials",
            "what was denied or failed",
            CAPACITY,
            Terminal(write),
        )?;
        Ok(DenialReporter {
            lines,
            seen: Mutex::new(Seen::new("denied", Instant::now())),
            failures: Mutex::new(Seen::new("failed", Instant::now())),
        })
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
    seen.lock().expect("nothing panics while the denials are locked")
}

struct Terminal<F>(F);

impl<F: FnMut(&str) + Send + 'static> LineWriter for Terminal<F> {
    fn line(&mut self, line: &str) {
        (self.0)(line);
    }

    fn lost(&mut self, lost: u64) {
        (self.0)(&format!(
            "denied or failed: {lost} more, which came too fast to be told"
        ));
    }

    fn flush(&mut self) {}
}

/// What was told, and what is still to be summed up.
struct Seen {
    /// What its lines begin with.
    word: &'static str,
    since: Instant,
    denials: HashMap<DenialKey, u64>,
    components: HashMap<Arc<str>, Told>,
}

#[derive(PartialEq, Eq, Hash)]
struct DenialKey {
    component: Arc<str>,
    attempt: &'static str,
    destination: String,
    reason: Option<Cow<'static, str>>,
}

#[derive(Default)]
struct Told {
    lines: usize,
    beyond: u64,
}

impl Seen {
    fn new(word: &'static str, now: Instant) -> Seen {
        Seen {
            word,
            since: now,
            denials: HashMap::new(),
            components: HashMap::new(),
        }
    }

    fn add(
        &mut self,
        denial: DenialKey,
        line: impl FnOnce() -> String,
        now: Instant,
        tell: &mut dyn FnMut(String),
    ) {
        if now.duration_since(self.since) >= INTERVAL || self.denials.len() >= DENIALS {
            self.sum_up(now, tell);
        }
        if let Some(again) = self.denials.get_mut(&denial) {
            *again += 1;
            return;
        }
        let told = self.components.entry(denial.component.clone()).or_default();
        if told.lines == LINES {
            told.beyond += 1;
            return;
        }
        told.lines += 1;
        tell(line());
        self.denials.insert(denial, 0);
    }

    fn sum_up(&mut self, now: Instant, tell: &mut dyn FnMut(String)) {
        let word = self.word;
        let mut again: Vec<_> = self.denials.iter_mut().filter(|(_, again)| **again > 0).collect();
        again.sort_unstable_by_key(|(_, again)| std::cmp::Reverse(**again));
        let mut summed: HashMap<Arc<str>, usize> = HashMap::new();
        for (denial, again) in again {
            let again = std::mem::take(again);
            let DenialKey {
                component,
                attempt,
                destination,
                reason,
            } = denial;
            let lines = summed.entry(component.clone()).or_default();
            if *lines == LINES {
                self.components.entry(component.clone()).or_default().beyond += again;
                continue;
            }
            *lines += 1;
            let protocol = attempt.split('.').next().unwrap_or(attempt);
            let component = printable(component);
            let reason = reason
                .as_ref()
                .map(|code| format!(" [{code}]"))
                .unwrap_or_default();
            tell(format!(
                "{word}: component `{component}` {protocol} {destination}{reason} {}",
                times(again)
            ));
        }
        for (component, told) in self.components.drain().filter(|(_, told)| told.beyond > 0) {
            let (component, beyond) = (printable(&component), told.beyond);
            tell(format!(
                "{word}: component `{component}` {beyond} more, not told one by one: `--audit-log` records each"
            ));
        }
        if self.denials.len() >= DENIALS {
            self.denials.clear();
        }
        self.since = now;
    }
}

fn times(again: u64) -> String {
    if again == 1 {
        "once more".to_owned()
    } else {
        format!("{again} more times")
    }
}

/// How often counts are told at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// First lines of one component in one interval, and lines that count what came again.
const LINES: usize = 20;

/// Denials that are remembered.
const DENIALS: usize = 1024;

/// Lines that may wait for the terminal.
const CAPACITY: usize = 1024;

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
        fn new() -> Reported {
            let start = Instant::now();
            Reported {
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
            LINES + 1,
            "another component still gets its line"
        );

        reported.add(10, "api", "10.0.0.5:1");
        let beyond = 1000 - LINES;
        assert_eq!(
            reported.take(),
            [format!(
                "denied: component `web` {beyond} more, not told one by one: `--audit-log` records each"
            )]
        );
    }

    #[test]
    fn a_patient_guest_with_many_denials_gets_no_more_lines_for_them_later() {
        let mut reported = Reported::new();
        let ports = || (0..200).map(|port| (port / 10, format!("10.0.0.5:{port}")));
        for (interval, destination) in ports() {
            reported.add(interval * 10, "web", &destination);
        }
        assert_eq!(reported.take().len(), 200);

        for (_, destination) in ports() {
            reported.add(195, "web", &destination);
        }
        reported.add(195, "web", "10.0.0.5:7");
        reported.add(200, "api", "10.0.0.5:1");
        let told = reported.take();
        assert_eq!(told.len(), LINES + 2, "{told:#?}");
        assert_eq!(
            told[0], "denied: component `web` tcp 10.0.0.5:7 [allow.port] 2 more times",
            "what came most often is told"
        );
        let beyond = 200 - LINES;
        assert_eq!(
            told[LINES],
            format!("denied: component `web` {beyond} more, not told one by one: `--audit-log` records each")
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut reported = Reported::new();
        for index in 0..DENIALS as u64 * 3 {
            reported.add(index, "web", &format!("10.0.{}.{}:80", index / 256, index % 256));
        }
        assert!(reported.seen.denials.len() <= DENIALS);
        assert!(reported.seen.components.len() <= 1);
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
