//! The audit log: every decision and what came of it, one JSON object a line.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::event::{AuditEvent, Verdict};
use super::outcome::AuditOutcome;
use super::sink::{AuditSink, Outcomes};
use super::timestamp::Timestamp;
use crate::counts::AUDIT_LINES;
use crate::line_log::{Likeness, LineLog, LogError, LogFile, LogKind, json_line};
use crate::meter::Meter;

/// The kind of log that it is.
pub static AUDIT_LOG: LogKind = LogKind {
    name: "audit log",
    thread: "outport-audit",
    recognise: |text| Likeness::to(b"{\"ts\":", text),
    recognised_by: "begins with `{\"ts\":`",
    filler: Some(b' '),
    lost: |lost| Some(format!("{{\"ts\":\"{}\",\"lost\":{lost}}}", Timestamp::now())),
    consequence: "decisions beyond 14336 lines are lost until then, or denied where the log is required",
    most_lines: CAPACITY,
    most_bytes: 64 << 20,
};

/// Writes every event as a line of JSON ([`AuditEvent`], [`AuditOutcome`]) to a file or to standard error.
///
/// When the disk is slower than the guests, events are lost rather than guests held up; the log then has a line
/// `{"ts":…,"lost":N}` in their place. A disk that refuses to be written to is reported once a minute, as a `tracing`
/// error, and tried again; what waits meanwhile is kept as far as there is room. Embedders who want nothing to pass
/// that is not recorded make it a [required sink](crate::EgressBuilder::required_sink).
///
/// Each line ends with the member `process`: numbers of decisions and instances begin anew with a process, and one that
/// replaces another writes to the same log while that still ends.
pub struct AuditLog {
    log: LineLog,
    only_denials: bool,
    /// When it was made, in milliseconds since 1970.
    process: u64,
}

impl AuditLog {
    /// Appends to the file at `path`: [`LogFile::open`] with [`AUDIT_LOG`], then [`to_file`](AuditLog::to_file).
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing or is no log, or the system gave no thread.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        Self::to_file(LogFile::open(&AUDIT_LOG, path)?)
    }

    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn stderr() -> Result<Self, LogError> {
        Self::to(std::io::stderr())
    }

    /// Appends to a file, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to_file(file: LogFile) -> Result<Self, LogError> {
        LineLog::to_file(file).map(Self::of_all)
    }

    /// Writes to `output`, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(output: impl Write + Send + 'static) -> Result<Self, LogError> {
        LineLog::to(&AUDIT_LOG, output).map(Self::of_all)
    }

    fn of_all(log: LineLog) -> Self {
        Self {
            log,
            only_denials: false,
            process: Timestamp::now().millis(),
        }
    }

    /// What it has of a decision or an outcome.
    fn line(&self, value: &impl Serialize) -> Option<String> {
        let mut line = json_line(value)?;
        // By its end, so that what others are told of a decision knows nothing of logs.
        if line.pop() == Some('}') {
            line.push_str(",\"process\":");
            line.push_str(&self.process.to_string());
            line.push('}');
        }
        Some(line)
    }

    /// Writes denials, and nothing of what is permitted.
    #[must_use]
    pub fn only_denials(self) -> Self {
        Self {
            only_denials: true,
            ..self
        }
    }

    /// Writes a line `{"ts":…,"started":true}`, and waits for about a second at most until it is written: so it is
    /// known from the start whether the log can be.
    pub fn try_out(&self) {
        self.log
            .put(format!("{{\"ts\":\"{}\",\"started\":true}}", Timestamp::now()));
        self.log.flush();
    }
}

impl AuditSink for AuditLog {
    fn wants(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Deny || !self.only_denials
    }

    fn outcomes(&self) -> Outcomes {
        if self.only_denials {
            Outcomes::None
        } else {
            Outcomes::All
        }
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        if let Some(line) = self.line(outcome) {
            self.log.put(line);
        }
    }

    fn is_available(&self) -> bool {
        self.log.is_good() && self.log.waiting() < DECISIONS
    }

    fn count_by(&self, meter: &Meter) {
        let counter = |outcome: &'static str| meter.counter(&AUDIT_LINES, [outcome.into()]);
        self.log.count(counter("written"), counter("lost"));
    }

    fn reopen(&self) {
        self.log.reopen();
    }

    fn record(&self, event: &AuditEvent) {
        if let Some(line) = self.line(event) {
            // A decision leaves room for outcomes: the end of what is permitted already cannot be refused for want of
            // it.
            self.log.put_below(DECISIONS, line);
        }
    }

    fn flush(&self) {
        self.log.flush();
    }
}

/// As many events as may wait for the disk; some megabytes at most.
const CAPACITY: usize = 16_384;

/// Of these, as many as may be decisions when they come: the rest is for what became of those.
const DECISIONS: usize = CAPACITY - 2048;

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use outport_policy::text;

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
    fn a_line_that_was_cut_off_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (before, lines) in [("", 1), ("{\"ts\":1}\n", 2), ("{\"ts\":1}\n{\"ts", 3)] {
            std::fs::write(&path, before).unwrap();
            let log = AuditLog::create(&path).unwrap();
            log.record(&denial("web", "10.0.0.5:5432"));
            log.flush();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(
                text.starts_with(before) && text.lines().last().unwrap().starts_with('{'),
                "{text}"
            );
        }
    }

    /// Notes what is written at once.
    #[derive(Clone, Default)]
    struct Pieces(Arc<std::sync::Mutex<Vec<Vec<u8>>>>);

    /// Takes as many bytes as there is room for, and then none.
    struct Disk {
        room: Arc<std::sync::atomic::AtomicUsize>,
        pieces: Pieces,
    }

    impl Write for Disk {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            let room = self.room.load(Ordering::Relaxed).min(piece.len());
            if room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room.fetch_sub(room, Ordering::Relaxed);
            self.pieces.0.lock().unwrap().push(piece[..room].to_vec());
            Ok(room)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // proves: RSN-6
    #[test]
    fn nothing_is_lost_while_a_disk_is_full_and_the_log_is_unavailable_until_it_takes_more() {
        let (room, pieces) = (
            Arc::new(std::sync::atomic::AtomicUsize::new(700)),
            Pieces::default(),
        );
        let disk = Disk {
            room: room.clone(),
            pieces: pieces.clone(),
        };
        let log = AuditLog::to(disk).unwrap();
        log.try_out();
        assert!(log.is_available());
        for _ in 0..5 {
            log.record(&denial("web", "10.0.0.5:5432"));
        }
        log.flush();
        assert!(!log.is_available(), "half of the lines did not fit");
        room.store(1_000_000, Ordering::Relaxed);
        let start = std::time::Instant::now();
        while !log.is_available() && start.elapsed() < std::time::Duration::from_secs(60) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(log.is_available());
        drop(log);
        let text = String::from_utf8(pieces.0.lock().unwrap().concat()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 6, "{text}");
        assert_eq!(lines[0]["started"], true);
    }

    /// Stands still until it is let go.
    struct Still(std::sync::mpsc::Receiver<()>);

    impl Write for Still {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(piece.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // proves: RSN-6
    #[test]
    fn a_log_that_stands_still_is_unavailable_and_decisions_leave_room_for_what_became_of_others() {
        let (go_on, still) = std::sync::mpsc::channel();
        let log = AuditLog::to(Still(still)).unwrap();
        log.record(&denial("web", "10.0.0.5:5432"));
        assert!(log.is_available(), "it has only begun");
        let start = Instant::now();
        while log.is_available() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!log.is_available());
        for _ in 0..CAPACITY {
            log.record(&denial("web", "10.0.0.5:5432"));
        }
        assert_eq!(log.log.waiting(), DECISIONS);
        drop(go_on);
        while !log.is_available() && start.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(log.is_available());
    }

    #[test]
    fn the_message_on_a_log_that_cannot_be_written_has_the_true_number() {
        assert!(AUDIT_LOG.consequence.contains(&format!(" {DECISIONS} lines ")));
    }

    #[test]
    fn a_log_of_denials_wants_nothing_else() {
        let log = AuditLog::to(std::io::sink()).unwrap();
        assert!(log.wants(Verdict::Allow) && log.outcomes() == Outcomes::All);
        let log = log.only_denials();
        assert!(!log.wants(Verdict::Allow) && log.wants(Verdict::Deny) && log.outcomes() == Outcomes::None);
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

    // proves: RSN-4
    #[test]
    fn the_log_has_the_true_name_in_characters_that_do_nothing() {
        for name in [
            "a\n{\"ts\":1}",
            "größe",
            "\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{e0041}\u{7f}",
        ] {
            let event = denial(name, "10.0.0.5:5432");
            let line = AuditLog::to(std::io::sink()).unwrap().line(&event).unwrap();
            assert!(line.chars().all(|c| text::mask(c) == c), "{line:?}");
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["component"], name);
            assert!(read["process"].as_u64().unwrap() > 1_700_000_000_000, "{line:?}");
            let shown = event.to_string();
            assert!(shown.chars().all(|c| text::mask(c) == c), "{shown:?}");
        }
    }
}
