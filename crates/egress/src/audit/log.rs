//! The audit log: every decision and what came of it, one JSON object a line.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outport_policy::text;
use serde::Serialize;
use serde_json::ser::Formatter;

use super::event::{AuditEvent, Verdict};
use super::lines::{LineWriter, Lines};
use super::log_error::AuditLogError;
use super::log_file::{AuditFile, Found};
use super::outcome::AuditOutcome;
use super::sink::{AuditSink, Outcomes};
use super::timestamp::Timestamp;
use super::trouble::Trouble;
use crate::counts::AUDIT_LINES;
use crate::meter::Meter;

/// Writes every event as a line of JSON ([`AuditEvent`], [`AuditOutcome`]) to a file or to standard error.
///
/// When the disk is slower than the guests, events are lost rather than guests held up; the log then has a line
/// `{"ts":…,"lost":N}` in their place. A disk that refuses to be written to is reported once a minute, as a `tracing`
/// error, and tried again; what waits meanwhile is kept as far as there is room. Embedders who want nothing to pass
/// that is not recorded make it a [required sink](crate::EgressBuilder::required_sink).
pub struct AuditLog {
    lines: Lines,
    health: Arc<Health>,
    only_denials: bool,
}

/// The state of writing, for whoever wants nothing to be done that is not written.
struct Health {
    /// True if the log could not be written the last time.
    broken: AtomicBool,
    /// Since when a write is under way, in milliseconds from `start`, and one more; 0 while none is.
    writing_since: AtomicU64,
    start: Instant,
}

impl Health {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            broken: AtomicBool::new(false),
            writing_since: AtomicU64::new(0),
            start: Instant::now(),
        })
    }

    /// Notes that `write` is under way while it is.
    fn during<R>(&self, write: impl FnOnce() -> R) -> R {
        self.writing_since.store(self.now() + 1, Ordering::Relaxed);
        let written = write();
        self.writing_since.store(0, Ordering::Relaxed);
        written
    }

    /// True if what is put is written, as far as is known: a disk or a reader that stands still says nothing.
    fn is_good(&self) -> bool {
        let stands_still = match self.writing_since.load(Ordering::Relaxed) {
            0 => false,
            since => self.now().saturating_sub(since) > STANDSTILL.as_millis() as u64,
        };
        !stands_still && !self.broken.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

impl AuditLog {
    /// Appends to the file at `path`: [`AuditFile::open`], then [`to_file`](AuditLog::to_file).
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing or is no log, or the system gave no thread.
    pub fn create(path: &Path) -> Result<Self, AuditLogError> {
        Self::to_file(AuditFile::open(path)?)
    }

    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn stderr() -> Result<Self, AuditLogError> {
        Self::to(std::io::stderr())
    }

    /// Appends to a file, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to_file(file: AuditFile) -> Result<Self, AuditLogError> {
        Self::start(file)
    }

    /// Writes to `output`, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(output: impl Write + Send + 'static) -> Result<Self, AuditLogError> {
        Self::start(Fixed(output))
    }

    fn start(output: impl Output) -> Result<Self, AuditLogError> {
        let health = Health::new();
        let writer = JsonLines::to(output, health.clone());
        let lines = Lines::start("outport-audit", "the audit log", CAPACITY, writer)
            .map_err(AuditLogError::Thread)?;
        Ok(Self {
            lines,
            health,
            only_denials: false,
        })
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
        self.lines
            .put(format!("{{\"ts\":\"{}\",\"started\":true}}", Timestamp::now()));
        self.lines.flush();
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
        if let Some(line) = to_json(outcome) {
            self.lines.put(line);
        }
    }

    fn is_available(&self) -> bool {
        self.health.is_good() && self.lines.waiting() < DECISIONS
    }

    fn count_by(&self, meter: &Meter) {
        let counter = |outcome: &'static str| meter.counter(&AUDIT_LINES, [outcome.into()]);
        self.lines.count_by(counter("written"), counter("lost"));
    }

    fn reopen(&self) {
        self.lines.renew();
    }

    fn record(&self, event: &AuditEvent) {
        if let Some(line) = to_json(event) {
            // A decision leaves room for outcomes: the end of what is permitted already cannot be refused for want of
            // it.
            self.lines.put_below(DECISIONS, line);
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

/// An event as a line of JSON; none if it cannot become one, which an event of text and numbers always can.
fn to_json(event: &impl Serialize) -> Option<String> {
    let mut line = Vec::with_capacity(512);
    event
        .serialize(&mut serde_json::Serializer::with_formatter(&mut line, Printable))
        .ok()?;
    String::from_utf8(line).ok()
}

/// JSON in which every character is escaped that a terminal could take for more than text (RSN-4). What it means is the
/// same.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> std::io::Result<()> {
        // Nearly every text, and each name of a member, has nothing to escape.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| text::mask(*c) != *c) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Lines on their way to the output.
///
/// Whoever kills the process must not find half a line. What is written at once is whole lines, and a system call that
/// has begun to write a page of a file writes all that it has for this page, killed or not; but perhaps no more. So
/// where lines come fast, the last one that fits a page is padded with spaces to its end, which JSON does not mind.
/// Only a line that comes alone, or is longer than a page, goes across.
///
/// What cannot be written waits, and is tried again. Of a line that was written in part the whole waits: where the rest
/// would come into another file than the beginning, it is written there from its beginning.
struct JsonLines<W: Output> {
    output: W,
    /// Bytes in the file so far, if it is one.
    length: Option<u64>,
    pending: Vec<u8>,
    /// Bytes of the first line that waits which are written.
    begun: usize,
    health: Arc<Health>,
    trouble: Trouble,
}

/// An output that lines are written to.
trait Output: Write + Send + 'static {
    /// Makes sure that what is written is found, and answers the bytes that are there, if it is a file.
    fn renew(&mut self) -> Result<Option<u64>, AuditLogError>;

    /// The same, as somebody asks for it, who is told what came of it.
    fn reopen(&mut self) -> Result<Option<u64>, AuditLogError> {
        self.renew()
    }
}

impl Output for AuditFile {
    fn renew(&mut self) -> Result<Option<u64>, AuditLogError> {
        Self::renew(self).map(|(length, _)| length)
    }

    fn reopen(&mut self) -> Result<Option<u64>, AuditLogError> {
        self.forget_trouble();
        let (length, found) = Self::renew(self)?;
        match found {
            Found::Anew => tracing::info!("the audit log was opened again"),
            Found::Here if length.is_some() => tracing::info!("the audit log goes on in the same file"),
            // The one is nothing to open again, the other was said.
            Found::Here | Found::Elsewhere => {}
        }
        Ok(length)
    }
}

/// An output that is there for good.
struct Fixed<W>(W);

impl<W: Write> Write for Fixed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send + 'static> Output for Fixed<W> {
    fn renew(&mut self) -> Result<Option<u64>, AuditLogError> {
        Ok(None)
    }
}

impl<W: Output> JsonLines<W> {
    fn to(mut output: W, health: Arc<Health>) -> Self {
        Self {
            length: output.renew().ok().flatten(),
            output,
            pending: Vec::with_capacity(PAGE),
            begun: 0,
            health,
            trouble: Trouble::default(),
        }
    }

    fn push(&mut self, line: &str) {
        if line.len() >= self.room() {
            self.pad();
            self.write_out();
        }
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }

    /// Bytes that still fit the page.
    fn room(&self) -> usize {
        let begun = self.length.map_or(0, |length| (length % PAGE as u64) as usize);
        PAGE - (begun + self.pending.len() - self.begun) % PAGE
    }

    /// Lets the last line that waits end where the page ends.
    fn pad(&mut self) {
        let room = self.room();
        if self.length.is_some() && room < PAGE && self.pending.pop().is_some() {
            self.pending.resize(self.pending.len() + room, b' ');
            self.pending.push(b'\n');
        }
    }

    fn write_out(&mut self) {
        if self.pending.is_empty() && !self.is_stuck() {
            return;
        }
        // The page was filled for the file as it was known. One that is new now, or was cut, has its pages elsewhere,
        // for this one write.
        let health = self.health.clone();
        let written = health.during(|| {
            let length = self.output.renew()?;
            self.goes_on_at(length);
            self.write_pending().map_err(AuditLogError::Write)
        });
        self.note(written);
    }

    /// The file has `length` bytes now. Where it is not as it was left, it is another one or was cut.
    fn goes_on_at(&mut self, length: Option<u64>) {
        if length != self.length {
            // The beginning of the line is in the file that was: it is written whole here.
            self.begun = 0;
        }
        self.length = length;
    }

    /// Tells trouble, and its end.
    fn note(&mut self, written: Result<(), AuditLogError>) {
        match written {
            Ok(()) => {
                self.health.broken.store(false, Ordering::Relaxed);
                if self.trouble.over() {
                    tracing::warn!("the audit log is written again");
                }
            }
            Err(error) => {
                self.health.broken.store(true, Ordering::Relaxed);
                let error = error.to_string();
                if self.trouble.is_due(&error, Instant::now()) {
                    tracing::error!(
                        "{error}; it is tried again, and decisions beyond {DECISIONS} lines are lost until then, or \
                         denied where the log is required"
                    );
                }
            }
        }
    }

    /// Writes what waits; what could not be written waits on.
    fn write_pending(&mut self) -> std::io::Result<()> {
        while !self.pending.is_empty() {
            match self.output.write(&self.pending[self.begun..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.length = self.length.map(|length| length + written as u64);
                    let reached = self.begun + written;
                    let last = self.pending[..reached].iter().rposition(|byte| *byte == b'\n');
                    let whole = last.map_or(0, |at| at + 1);
                    self.pending.drain(..whole);
                    self.begun = reached - whole;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.flush()
    }
}

impl<W: Output> LineWriter for JsonLines<W> {
    fn line(&mut self, line: &str) {
        self.push(line);
    }

    fn lost(&mut self, lost: u64) {
        self.push(&format!("{{\"ts\":\"{}\",\"lost\":{lost}}}", Timestamp::now()));
    }

    fn flush(&mut self) {
        self.write_out();
    }

    fn renew(&mut self) {
        match self.output.reopen() {
            Ok(length) => self.goes_on_at(length),
            Err(error) => {
                self.trouble.over();
                self.note(Err(error));
            }
        }
    }

    fn is_stuck(&self) -> bool {
        self.health.broken.load(Ordering::Relaxed)
    }
}

/// As many events as may wait for the disk; some megabytes at most.
const CAPACITY: usize = 16_384;

/// Of these, as many as may be decisions when they come: the rest is for what became of those.
const DECISIONS: usize = CAPACITY - 2048;

/// The time that a write may be under way until it counts as one that fails.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Bytes of a page of a file, as small as any system has it.
const PAGE: usize = 4096;

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

    /// A file of so many bytes at first, if it is one.
    struct Pages(Pieces, Option<u64>);

    impl Write for Pages {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            self.1 = self.1.map(|length| length + piece.len() as u64);
            self.0.write(piece)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Output for Pages {
        fn renew(&mut self) -> Result<Option<u64>, AuditLogError> {
            Ok(self.1)
        }
    }

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
            self.pieces.write(&piece[..room])
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

    /// A file that is exchanged for another after so many bytes, in the middle of a line.
    struct Rotated {
        files: Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
        room: usize,
    }

    impl Write for Rotated {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            let taken = self.room.min(piece.len());
            if taken == 0 {
                self.room = usize::MAX;
                self.files.lock().unwrap().push(Vec::new());
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.files
                .lock()
                .unwrap()
                .last_mut()
                .unwrap()
                .extend(&piece[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Output for Rotated {
        fn renew(&mut self) -> Result<Option<u64>, AuditLogError> {
            Ok(self.files.lock().unwrap().last().map(|file| file.len() as u64))
        }
    }

    #[test]
    fn a_line_that_was_cut_by_a_rotation_is_whole_in_the_new_file() {
        for room in 1..40 {
            let files = Arc::new(std::sync::Mutex::new(vec![Vec::new()]));
            let output = Rotated {
                files: files.clone(),
                room,
            };
            let mut writer = JsonLines::to(output, Health::new());
            for number in 10..14 {
                writer.line(&format!("{{\"ts\":{number}}}"));
            }
            writer.flush();
            assert!(writer.is_stuck(), "{room}");
            writer.flush();
            let files = files.lock().unwrap();
            let whole = room / 10;
            let second = String::from_utf8(files[1].clone()).unwrap();
            let expected: Vec<String> = (10 + whole..14)
                .map(|number| format!("{{\"ts\":{number}}}"))
                .collect();
            assert_eq!(second.lines().collect::<Vec<_>>(), expected, "{room}");
            assert_eq!(files[0].len(), room);
        }
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
        assert_eq!(log.lines.waiting(), DECISIONS);
        drop(go_on);
        while !log.is_available() && start.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(log.is_available());
    }

    #[test]
    fn a_log_of_denials_wants_nothing_else() {
        let log = AuditLog::to(std::io::sink()).unwrap();
        assert!(log.wants(Verdict::Allow) && log.outcomes() == Outcomes::All);
        let log = log.only_denials();
        assert!(!log.wants(Verdict::Allow) && log.wants(Verdict::Deny) && log.outcomes() == Outcomes::None);
    }

    impl Write for Pieces {
        fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(piece.to_vec());
            Ok(piece.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whole_lines_are_written_at_once_and_where_they_come_fast_none_crosses_a_page() {
        for length in [None, Some(0), Some(1), Some(4095), Some(4096), Some(10_000)] {
            let pieces = Pieces::default();
            let mut writer = JsonLines {
                output: Pages(pieces.clone(), length),
                length,
                pending: Vec::new(),
                begun: 0,
                health: Health::new(),
                trouble: Trouble::default(),
            };
            for number in 0..500 {
                writer.line(&format!("{{{}}}", "x".repeat(number)));
            }
            writer.flush();
            let pieces = pieces.0.lock().unwrap();
            let mut at = length.unwrap_or_default() as usize;
            for (number, piece) in pieces.iter().enumerate() {
                assert!(piece.starts_with(b"{") && piece.ends_with(b"\n"), "{length:?}");
                let crosses = at % PAGE + piece.len() > PAGE;
                assert!(
                    length.is_none() || number == 0 || !crosses,
                    "{length:?}: piece {number} at {at}"
                );
                at += piece.len();
            }
            let text = pieces.concat();
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let lengths: Vec<usize> = lines.map(|line| line.trim_ascii_end().len()).collect();
            assert_eq!(lengths, (2..502).collect::<Vec<_>>(), "{length:?}");
            assert!(pieces.len() < 60, "lines are written together: {}", pieces.len());
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

    // proves: RSN-4
    #[test]
    fn the_log_has_the_true_name_in_characters_that_do_nothing() {
        for name in [
            "a\n{\"ts\":1}",
            "größe",
            "\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{e0041}\u{7f}",
        ] {
            let event = denial(name, "10.0.0.5:5432");
            let line = to_json(&event).unwrap();
            assert!(line.chars().all(|c| text::mask(c) == c), "{line:?}");
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["component"], name);
            let shown = event.to_string();
            assert!(shown.chars().all(|c| text::mask(c) == c), "{shown:?}");
        }
    }
}
