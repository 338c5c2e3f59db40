//! The audit log: every decision, one JSON object a line.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::AuditSink;
use super::event::AuditEvent;
use super::lines::{LineWriter, Lines};
use super::timestamp::Timestamp;
use outport_policy::{masked, printable_path};
use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes every event as a line of JSON ([`AuditEvent`]) to a file or to standard error.
///
/// When the disk is slower than the guests, events are lost rather than guests held up; the log then has a line
/// `{"ts":…,"lost":N}` in their place. A disk that refuses to be written to is reported once, as a `tracing` error.
pub struct AuditLog {
    lines: Lines,
}

impl AuditLog {
    /// Appends to the file at `path`: [`open`](AuditLog::open), then [`to_file`](AuditLog::to_file).
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing, or the system gave no thread.
    pub fn create(path: &Path) -> Result<AuditLog, AuditLogError> {
        AuditLog::to_file(AuditLog::open(path)?)
    }

    /// Opens the file at `path` to append to, which is made if there is none. On Unix a new file can be read by its
    /// owner only, since it tells whom the guests talk to. A last line that was cut off, when a disk was full or a
    /// process was killed, is ended first, so that the next one stands for itself.
    ///
    /// A named pipe (on Linux) is opened whether or not somebody reads it, and stays open when its reader leaves for
    /// another one to come.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing.
    pub fn open(path: &Path) -> Result<File, AuditLogError> {
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let open = || {
            let mut file = match is_pipe(path) {
                // A pipe that cannot be read is waited for by whoever opens it.
                true => options
                    .clone()
                    .read(true)
                    .open(path)
                    .or_else(|_| options.open(path))?,
                false => options.open(path)?,
            };
            if ends_within_a_line(path)? {
                file.write_all(b"\n")?;
            }
            Ok(file)
        };
        open().map_err(|source| AuditLogError::Open {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn stderr() -> Result<AuditLog, AuditLogError> {
        AuditLog::to(std::io::stderr())
    }

    /// Appends to a file, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to_file(file: File) -> Result<AuditLog, AuditLogError> {
        let plain = file.metadata().ok().filter(std::fs::Metadata::is_file);
        AuditLog::start(file, plain.map(|file| file.len()))
    }

    /// Writes to `output`, from a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(output: impl Write + Send + 'static) -> Result<AuditLog, AuditLogError> {
        AuditLog::start(output, None)
    }

    fn start(output: impl Write + Send + 'static, length: Option<u64>) -> Result<AuditLog, AuditLogError> {
        let writer = JsonLines {
            output,
            length,
            pending: Vec::with_capacity(PAGE),
            failed: false,
        };
        let lines = Lines::start("outport-audit", CAPACITY, writer).map_err(AuditLogError::Thread)?;
        Ok(AuditLog { lines })
    }
}

impl AuditSink for AuditLog {
    fn record(&self, event: &AuditEvent) {
        if let Some(line) = to_json(event) {
            self.lines.put(line);
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

/// An event as a line of JSON; none if it cannot become one, which an event of text and numbers always can.
fn to_json(event: &AuditEvent) -> Option<String> {
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
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| masked(*c) != *c) {
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
struct JsonLines<W: Write> {
    output: W,
    /// Bytes in the file so far, if it is one.
    length: Option<u64>,
    pending: Vec<u8>,
    failed: bool,
}

impl<W: Write> JsonLines<W> {
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
        PAGE - (begun + self.pending.len()) % PAGE
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
        if self.pending.is_empty() {
            return;
        }
        let written = self
            .output
            .write_all(&self.pending)
            .and_then(|()| self.output.flush());
        self.length = self.length.map(|length| length + self.pending.len() as u64);
        self.pending.clear();
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!(%error, "the audit log cannot be written; decisions are no longer recorded");
        }
    }
}

impl<W: Write + Send + 'static> LineWriter for JsonLines<W> {
    fn line(&mut self, line: &str) {
        self.push(line);
    }

    fn lost(&mut self, lost: u64) {
        self.push(&format!("{{\"ts\":\"{}\",\"lost\":{lost}}}", Timestamp::now()));
    }

    fn flush(&mut self) {
        self.write_out();
    }
}

/// Whether there is a named pipe. To open one to write waits for a reader, to open it to read and write does not; see
/// fifo(7).
fn is_pipe(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// Whether there is a plain file that does not end with a line break.
fn ends_within_a_line(path: &Path) -> std::io::Result<bool> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut file = match File::open(path) {
        // A log that may be written and not read.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(false),
        opened => opened?,
    };
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Why an audit log cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// The file cannot be opened.
    #[error(
        "the audit log `{}` cannot be opened for writing: {source}",
        printable_path(path)
    )]
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
    struct Pieces(std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>);

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
                output: pieces.clone(),
                length,
                pending: Vec::new(),
                failed: false,
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
            assert!(line.chars().all(|c| masked(c) == c), "{line:?}");
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["component"], name);
            let shown = event.to_string();
            assert!(shown.chars().all(|c| masked(c) == c), "{shown:?}");
        }
    }
}
