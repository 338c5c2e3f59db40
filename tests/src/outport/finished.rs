//! What a command that has ended left behind.

use std::fmt::{self, Display};

use crate::audit::{self, AuditLine};

/// Output, exit code and audit log of a command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub(super) line: String,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error, without the times that lines begin with.
    pub stderr: String,
    /// Its decisions.
    pub audit: Vec<AuditLine>,
    /// Their outcomes.
    pub outcomes: Vec<serde_json::Value>,
}

impl Finished {
    /// The lines of its standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// The reason codes of its denials, in their order.
    pub fn reasons(&self) -> Vec<String> {
        audit::reasons(&self.audit)
    }

    /// Whether Outport panicked. Guests may; what tells them apart is the source file that the message names.
    pub(super) fn panicked(&self) -> bool {
        let mut files = self
            .stderr
            .lines()
            .filter_map(|line| line.split_once(" panicked at "))
            .map(|(_, file)| file);
        files.any(|file| file.starts_with("crates/") || file.contains("/.cargo/"))
    }

    /// Itself, if it ended with that exit code.
    ///
    /// # Panics
    ///
    /// If it ended with another one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            code,
            stdout,
            stderr,
            audit,
            outcomes,
        } = self;
        writeln!(
            f,
            "$ {line}\nexit code {code:?}\n--- stdout\n{stdout}--- stderr\n{stderr}--- audit"
        )?;
        audit.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        outcomes.iter().try_for_each(|outcome| writeln!(f, "{outcome}"))
    }
}
