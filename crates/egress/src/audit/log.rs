//! The audit log: every decision, one JSON object a line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::AuditSink;
use super::event::AuditEvent;
use super::lines::{LineWriter, Lines};
use super::timestamp::Timestamp;

/// Writes every event as a line of JSON ([`AuditEvent`]) to a file or to standard error.
///
/// When the disk is slower than the guests, events are lost rather than guests held up; the log then has a line
/// `{"ts":…,"lost":N}` in their place. A disk that refuses to be written to is reported once, as a `tracing` error.
pub struct AuditLog {
    lines: Lines,
}

impl AuditLog {
    /// Appends to the file at `path`, which is made if there is none. On Unix a new file can be read by its owner
    /// only, since it tells whom the guests talk to.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing, or the system gave no thread.
    pub fn create(path: &Path) -> Result<AuditLog, AuditLogError> {
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|source| AuditLogError::Open {
            path: path.to_owned(),
            source,
        })?;
        AuditLog::to(file)
    }

    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn stderr() -> Result<AuditLog, AuditLogError> {
        AuditLog::to(std::io::stderr())
    }

    /// Writes to `output`, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(output: impl Write + Send + 'static) -> Result<AuditLog, AuditLogError> {
        let writer = JsonLines {
            output: BufWriter::new(output),
            failed: false,
        };
        let lines = Lines::start("outport-audit", CAPACITY, writer).map_err(AuditLogError::Thread)?;
        Ok(AuditLog { lines })
    }
}

impl AuditSink for AuditLog {
    fn record(&self, event: &AuditEvent) {
        // An event holds only text and numbers, so it cannot fail to become JSON.
        if let Ok(line) = serde_json::to_string(event) {
            self.lines.put(line);
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

struct JsonLines<W: Write> {
    output: BufWriter<W>,
    failed: bool,
}

impl<W: Write> JsonLines<W> {
    fn check(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!(%error, "the audit log cannot be written; decisions are no longer recorded");
        }
    }
}

impl<W: Write + Send + 'static> LineWriter for JsonLines<W> {
    fn line(&mut self, line: &str) {
        let written = writeln!(self.output, "{line}");
        self.check(written);
    }

    fn lost(&mut self, lost: u64) {
        let written = writeln!(self.output, "{{\"ts\":\"{}\",\"lost\":{lost}}}", Timestamp::now());
        self.check(written);
    }

    fn flush(&mut self) {
        let written = self.output.flush();
        self.check(written);
    }
}

/// Why an audit log cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// The file cannot be opened.
    #[error("the audit log `{}` cannot be opened for writing: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no thread to write from.
    #[error("the thread that writes the audit log cannot be started: {0}")]
    Thread(std::io::Error),
}

/// As many events as may wait for the disk; some megabytes at most.
const CAPACITY: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::super::event::tests::denial;
    use super::*;

    #[test]
    fn the_log_appends_whole_lines_to_a_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for component in ["web", "api"] {
            let log = AuditLog::create(&path).unwrap();
            log.record(&denial(component, "10.0.0.5:5432"));
            log.flush();
            assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let components: Vec<String> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["component"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(components, ["web", "api"]);

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_log_in_a_folder_that_is_not_there_says_which() {
        let error = AuditLog::create(Path::new("no/such/folder/audit.jsonl"))
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("the audit log `no/such/folder/audit.jsonl` cannot be opened"),
            "{error}"
        );
    }
}
