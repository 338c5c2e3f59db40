//! A line for each request that was answered.
//!
//! ```text
//! RequestRecord ─▶ Entry, its values bounded ─▶ a line: common, combined, JSON ─▶ LineLog ─▶ a file, or standard output
//! ```
//!
//! A worker makes the line and never waits for it to be written: lines that find no room are counted and lost, as those of
//! the audit log are. Whatever a client chose stands in a line of its own: quotes, backslashes, control characters and what
//! is no ASCII are escaped.

mod apache;
mod entry;
mod format;
mod json;

use std::io::Write;

use outport_egress::line_log::{LineLog, LogError, LogFile};
use outport_egress::meter::{Meter, MetricDescription, MetricKind};
use outport_runtime::http::{RequestObserver, RequestRecord};

use self::entry::Entry;
pub use self::format::AccessLogFormat;

/// A log of requests, which is being written.
pub struct AccessLog {
    log: LineLog,
    format: AccessLogFormat,
}

impl AccessLog {
    /// Appends to a file of the [kind](AccessLogFormat::kind) that the format is.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to_file(file: LogFile, format: AccessLogFormat, meter: &Meter) -> Result<Self, LogError> {
        Ok(Self::counted(LineLog::to_file(file)?, format, meter))
    }

    /// Writes to `output`.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn to(
        output: impl Write + Send + 'static,
        format: AccessLogFormat,
        meter: &Meter,
    ) -> Result<Self, LogError> {
        Ok(Self::counted(LineLog::to(format.kind(), output)?, format, meter))
    }

    fn counted(log: LineLog, format: AccessLogFormat, meter: &Meter) -> Self {
        let of = |outcome: &'static str| meter.counter(&LINES, [outcome.into()]);
        Self {
            log: log.counted(of("written"), of("lost")),
            format,
        }
    }

    /// Opens the file again, if it was moved away, and says so.
    pub fn reopen(&self) {
        self.log.reopen();
    }

    /// Waits until everything that ended before is written, a second at most.
    pub fn flush(&self) {
        self.log.flush();
    }
}

impl RequestObserver for AccessLog {
    fn ended(&self, request: &RequestRecord<'_>) {
        if let Some(line) = self.format.line(&Entry::of(request)) {
            self.log.put(line);
        }
    }
}

/// Lines of the access log, by what became of them: `written` or `lost`.
pub const LINES: MetricDescription = MetricDescription {
    name: "outport_access_log_lines_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "Lines of the access log that were written, and that were lost because it could not be written so fast",
};
