//! The output that requests are written to: opened while the process still may, written to later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::Diagnostic;
use outport_egress::line_log::{LogError, LogFile};
use outport_egress::meter::Meter;
use outport_policy::text;
use outport_runtime::stdio;
use outport_telemetry::access_log::{AccessLog, AccessLogFormat};

use crate::audit_output::AuditOutput;
use crate::configuration::Given;
use crate::failure::Failure;
use crate::files::Files;
use crate::terminal::Terminal;

/// The options of the access log.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AccessLogOptions {
    /// Write a line for each request that was answered to a file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,

    /// The format of these lines [default: combined]
    #[arg(long, value_enum, value_name = "FORMAT")]
    access_log_format: Option<Format>,

    #[arg(skip = Given::of_the_process())]
    given: Given,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Apache's common log format
    Common,
    /// The same, with referer and user agent
    Combined,
    /// A JSON object, with duration, component and trace
    Json,
}

impl From<Format> for AccessLogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Common => Self::Common,
            Format::Combined => Self::Combined,
            Format::Json => Self::Json,
        }
    }
}

/// The output that `--access-log` names, and the format of its lines.
#[derive(Debug)]
pub(crate) struct AccessLogOutput {
    /// None: standard output.
    file: Option<LogFile>,
    format: AccessLogFormat,
}

impl AccessLogOptions {
    /// Opens what `--access-log` names, if it is there and the process `serves` clients. It must be another file than that of
    /// the audit log.
    pub(crate) fn open(
        &self,
        audit: Option<&AuditOutput>,
        serves: bool,
        terminal: Terminal,
    ) -> Result<Option<AccessLogOutput>, Failure> {
        if !serves {
            self.warn_of_no_requests(terminal);
            return Ok(None);
        }
        if self.access_log.is_none() {
            return match self.access_log_format {
                None => Ok(None),
                Some(_) => Err(Failure::unusable(
                    Diagnostic::error("`--access-log-format` is there, and no access log").helped_by(
                        "say where it is written to: `--access-log FILE`, or `-` for standard output",
                    ),
                )),
            };
        }
        let format = self.access_log_format.map(Into::into).unwrap_or_default();
        let Some(path) = self.file(serves) else {
            return Ok(Some(AccessLogOutput { file: None, format }));
        };
        if audit.is_some_and(|audit| audit.is_at(&path)) {
            let error = format!(
                "`{}` is the audit log, and cannot be the access log too",
                text::path(&path)
            );
            return Err(Failure::unusable(
                Diagnostic::error(error).helped_by("name another file: `--access-log FILE`"),
            ));
        }
        let file = LogFile::open(format.kind(), &path).map_err(unusable)?;
        Ok(Some(AccessLogOutput {
            file: Some(file),
            format,
        }))
    }

    /// The file that is written to, if one is in a process that `serves` clients.
    pub(crate) fn file(&self, serves: bool) -> Option<PathBuf> {
        let path = self.access_log.clone().filter(|_| serves);
        path.filter(|path| path != Path::new("-"))
    }

    /// A variable or a file may be there for other commands.
    fn warn_of_no_requests(&self, terminal: Terminal) {
        let mut options = ["access-log", "access-log-format"].into_iter();
        if let Some(option) = options.find(|option| self.given.is_typed(option)) {
            let warning = format!("`--{option}` has no effect: no client's requests are answered here");
            let advice = "leave it out; `up` of an app with HTTP, and `serve`, have an access log";
            terminal.show(&Diagnostic::warning(warning).helped_by(advice), &Files::default());
        }
    }
}

impl AccessLogOutput {
    /// The directory in which the log may be made anew.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.file.as_ref()?.directory()
    }

    /// Starts to write. What goes to standard output takes its turn with what guests write there.
    pub(crate) fn start(self, meter: &Meter) -> Result<Arc<AccessLog>, Failure> {
        let Self { file, format } = self;
        let log = match (file, stdio::opened()) {
            (Some(file), _) => AccessLog::to_file(file, format, meter),
            (None, Some(streams)) => AccessLog::to(streams.output_in_turn(), format, meter),
            (None, None) => AccessLog::to(std::io::stdout(), format, meter),
        };
        Ok(Arc::new(log?))
    }
}

/// A log that cannot be opened, with what to do.
pub(crate) fn unusable(error: LogError) -> Failure {
    let advice = match error {
        LogError::Another { .. } => "name another file, or move this one away",
        _ => "name a file in a directory that is there and that you may write to, or `-`",
    };
    Failure::unusable(Diagnostic::error(error.to_string()).helped_by(advice))
}
