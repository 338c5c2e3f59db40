//! Logs of lines: written behind whoever has something to log, who never waits, to a file that may be moved away.
//!
//! ```text
//! LineLog::put ─▶ queue, bounded ─▶ thread ─▶ writer: whole lines, tried again ─▶ file, opened again where it was moved
//! ```
//!
//! What a log is called, how its lines look, and what it costs when some are lost says its [`LogKind`].

mod error;
mod file;
mod health;
mod json;
mod queue;
mod trouble;
mod writer;

use std::io::Write;
use std::sync::Arc;

use metrics::Counter;

pub use self::error::LogError;
pub use self::file::LogFile;
use self::health::Health;
pub use self::json::json_line;
pub(crate) use self::queue::{LineWriter, Lines, Room};
use self::writer::{Fixed, Output, PendingLines};

/// A kind of log.
#[derive(Debug)]
pub struct LogKind {
    /// Its name in messages: `audit log`.
    pub name: &'static str,
    /// The name of the thread that writes it; 15 bytes at most.
    pub thread: &'static str,
    /// What a line, or the beginning of one, looks like.
    pub recognise: fn(&[u8]) -> Likeness,
    /// The way in which lines are recognised, for the message on a file that has others.
    pub recognised_by: &'static str,
    /// A byte that lines may end with as often as they like; none if there is no such byte. See `writer`.
    pub filler: Option<u8>,
    /// The line that stands for so many that are lost; none if no line of such a log can: then it is said.
    pub lost: fn(u64) -> Option<String>,
    /// The consequence of a log that cannot be written, for the message that says so.
    pub consequence: &'static str,
    /// As many lines as may wait to be written.
    pub most_lines: usize,
    /// As many bytes as may wait to be written.
    pub most_bytes: usize,
}

/// What a text looks like to somebody who looks for lines of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It begins as lines of the log do.
    Line,
    /// It is shorter, and lines begin so.
    Beginning,
    /// It is something else.
    Other,
}

impl Likeness {
    /// Looks whether a text begins so, as lines do.
    pub fn to(begins: &[u8], text: &[u8]) -> Self {
        if text.starts_with(begins) {
            Self::Line
        } else if begins.starts_with(text) {
            Self::Beginning
        } else {
            Self::Other
        }
    }
}

/// A log that is being written, from a thread of its own. Dropping it writes out what is left, for about a second at most.
///
/// When the disk is slower than lines come, lines are lost rather than somebody held up. A disk that refuses to be written
/// to is reported once a minute, as a `tracing` error, and tried again; what waits meanwhile is kept as far as there is
/// room.
pub struct LineLog {
    lines: Lines,
    health: Arc<Health>,
}

impl LineLog {
    /// Appends to a file.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to_file(file: LogFile) -> Result<Self, LogError> {
        Self::start(file.kind(), file)
    }

    /// Writes to `output`, which is there for good.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(kind: &'static LogKind, output: impl Write + Send + 'static) -> Result<Self, LogError> {
        Self::start(kind, Fixed(output))
    }

    fn start(kind: &'static LogKind, output: impl Output) -> Result<Self, LogError> {
        let health = Health::new();
        let writer = PendingLines::to(kind, output, health.clone());
        let room = Room {
            lines: kind.most_lines,
            bytes: kind.most_bytes,
        };
        let what = format!("the {}", kind.name);
        let lines = Lines::start(kind.thread, what, room, writer).map_err(|source| LogError::Thread {
            log: kind.name,
            source,
        })?;
        Ok(Self { lines, health })
    }

    /// Counts lines that were written, and those that were lost, from now on. A second time it changes nothing.
    #[must_use]
    pub fn counted(self, written: Counter, lost: Counter) -> Self {
        self.count(written, lost);
        self
    }

    /// The same of a log that somebody has already.
    pub(crate) fn count(&self, written: Counter, lost: Counter) {
        self.lines.count(written, lost);
    }

    /// Puts a line, without its line break, into the queue, or counts it as lost.
    pub fn put(&self, line: String) {
        self.lines.put(line);
    }

    /// Puts a line if fewer than `most` wait, or counts it as lost.
    pub(crate) fn put_below(&self, most: usize, line: String) {
        self.lines.put_below(most, line);
    }

    /// The number of lines that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.lines.waiting()
    }

    /// True if what is put is written, as far as is known: a disk or a reader that stands still says nothing.
    pub(crate) fn is_good(&self) -> bool {
        self.health.is_good()
    }

    /// Opens what it writes to again, where that is a file that was moved away, and says so.
    pub fn reopen(&self) {
        self.lines.renew();
    }

    /// Waits until everything that was put before is written, a second at most.
    pub fn flush(&self) {
        self.lines.flush();
    }
}
