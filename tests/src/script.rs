//! A script for the guest `script-guest`, with what each statement must get.
//!
//! ```no_run
//! use outport_e2e::{outport::Outport, script::Script};
//!
//! Script::new()
//!     .ok("tcp.connect 127.0.0.1:7001")
//!     .denied("tcp.connect 127.0.0.1:80", "runtime.loopback-port")
//!     .run(Outport::script_guest().allow("*://127.0.0.1:*"));
//! ```
//!
//! A script passes if every statement got what it must get, and if the denials in the audit log are those of the
//! script, one for one and in their order: what was refused without a reason, or logged without being refused,
//! fails it.

use std::fmt::Display;
use std::time::Duration;

use crate::outport::{Finished, Outport};

/// Statements and expectations.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Script {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    statement: String,
    result: Option<String>,
    reason: Option<String>,
}

impl Script {
    /// A script without a statement.
    pub fn new() -> Self {
        Self::default()
    }

    /// A statement that must get `ok`.
    pub fn ok(self, statement: impl Display) -> Self {
        self.gets(statement, "ok")
    }

    /// A statement that must get `result`, and is not refused.
    pub fn gets(mut self, statement: impl Display, result: impl Display) -> Self {
        let (statement, result) = (statement.to_string(), Some(result.to_string()));
        self.lines.push(Line {
            statement,
            result,
            reason: None,
        });
        self
    }

    /// A statement that must be refused for this reason, of which the guest gets to know `access-denied`.
    pub fn denied(self, statement: impl Display, reason: &str) -> Self {
        self.refused(statement, "access-denied", reason)
    }

    /// A statement that must be refused for this reason, of which the guest gets to know `result`.
    pub fn refused(mut self, statement: impl Display, result: &str, reason: &str) -> Self {
        let (statement, result) = (statement.to_string(), Some(result.to_owned()));
        self.lines.push(Line {
            statement,
            result,
            reason: Some(reason.to_owned()),
        });
        self
    }

    /// A statement that may get anything but a refusal.
    pub fn any(mut self, statement: impl Display) -> Self {
        self.lines.push(Line {
            statement: statement.to_string(),
            result: None,
            reason: None,
        });
        self
    }

    /// A denial in the log that belongs to the last statement, without which the statement does not fail: an
    /// address that was left out of an answer.
    pub fn logging(mut self, reason: &str) -> Self {
        self.lines.push(Line {
            statement: String::new(),
            result: None,
            reason: Some(reason.to_owned()),
        });
        self
    }

    /// The statements as the script guest's arguments.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .map(|line| line.statement.as_str())
            .filter(|statement| !statement.is_empty())
    }

    /// Runs the script in a process that [`Outport::script_guest`] describes, and checks it.
    ///
    /// # Panics
    ///
    /// If anything was not as it must be.
    #[track_caller]
    pub fn run(&self, run: Outport) -> Finished {
        let finished = run.args(self.statements()).finish().expect_code(0);
        self.check(&finished);
        finished
    }

    /// Checks a run of this script.
    ///
    /// # Panics
    ///
    /// If anything was not as it must be.
    #[track_caller]
    pub fn check(&self, finished: &Finished) {
        let results = results(&finished.stdout);
        let statements = self.lines.iter().filter(|line| !line.statement.is_empty());
        assert_eq!(
            results.len(),
            statements.clone().count(),
            "results are missing\n{finished}"
        );
        for (line, result) in statements.zip(results) {
            let expected = line.result.as_deref().unwrap_or(result);
            assert_eq!(result, expected, "`{}`\n{finished}", line.statement);
        }
        let reasons: Vec<_> = self.lines.iter().filter_map(|line| line.reason.clone()).collect();
        assert_eq!(
            finished.reasons(),
            reasons,
            "the denials in the audit log\n{finished}"
        );
    }
}

/// The results in what a script guest printed, `1 tcp.connect 127.0.0.1:80 => ok` a line each.
pub fn results(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| line.split_once(" => "))
        .map(|(_, result)| result)
        .collect()
}

/// The result of a statement after `timed`, which is that of this number from 0, and how long it took.
///
/// # Panics
///
/// If there is none.
pub fn timed(finished: &Finished, number: usize) -> (&str, Duration) {
    let result = results(&finished.stdout).get(number).copied().unwrap_or_default();
    let timed = result.rsplit_once(" in ").and_then(|(result, time)| {
        let microseconds = time.strip_suffix("us")?.parse().ok()?;
        Some((result, Duration::from_micros(microseconds)))
    });
    timed.unwrap_or_else(|| panic!("no time in `{result}`\n{finished}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_what_stands_behind_the_arrow() {
        assert_eq!(
            results("1 print a => a\n2 tcp.listen ipv4 => access-denied\n"),
            ["a", "access-denied"]
        );
    }

    #[test]
    fn a_note_on_the_log_is_no_statement() {
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .logging("dns.rebinding")
            .ok("wait 1");
        assert_eq!(
            script.statements().collect::<Vec<_>>(),
            ["dns.lookup db.test", "wait 1"]
        );
    }
}
