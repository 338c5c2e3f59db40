//! The outputs that decisions are written to: opened while the process still may, written to later.

use std::path::{Path, PathBuf};

use clap::Args;
use outport_check::Diagnostic;
use outport_egress::line_log::{LogError, LogFile};
use outport_egress::{AUDIT_LOG, AuditLog};
use outport_runtime::stdio;

use crate::failure::Failure;

/// The options of the audit log: what is recorded, where, and whether anything is done that is not recorded.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Observability")]
pub(crate) struct AuditOptions {
    /// Write every decision, and what came of it, to a file as a line of JSON; `-` is standard error
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,

    /// Write only denials to the audit log
    #[arg(long, requires = "audit_log")]
    audit_denials: bool,

    /// Refuse every new connection, request and look-up while the audit log cannot be written
    #[arg(long, requires = "audit_log")]
    audit_required: bool,
}

/// The output that `--audit-log` names.
#[derive(Debug)]
pub(crate) enum AuditOutput {
    /// `-`.
    StandardError,
    /// A file, open for appending.
    File(LogFile),
}

/// The choice whether anything is done that is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// Nothing.
    Required,
    /// As far as it can be.
    Wanted,
}

impl AuditOptions {
    /// Opens what `--audit-log` names, if it is there.
    pub(crate) fn open(&self) -> Result<Option<AuditOutput>, LogError> {
        self.audit_log.as_deref().map(AuditOutput::open).transpose()
    }

    /// The file that `--audit-log` names, if it names one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.audit_log.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// Starts to write to `output`.
    pub(crate) fn start(&self, output: AuditOutput) -> Result<(AuditLog, Record), Failure> {
        if self.audit_required && matches!(output, AuditOutput::StandardError) {
            let error = Diagnostic::error(
                "`--audit-required` needs an audit log in a file, and `-` is standard error",
            );
            return Err(Failure::unusable(error.helped_by(
                "Outport cannot tell whether standard error is kept; name a file: `--audit-log FILE`",
            )));
        }
        let mut log = output.into_log()?;
        if self.audit_denials {
            log = log.only_denials();
        }
        if !self.audit_required {
            return Ok((log, Record::Wanted));
        }
        log.try_out();
        Ok((log, Record::Required))
    }
}

impl AuditOutput {
    fn open(path: &Path) -> Result<Self, LogError> {
        if path == Path::new("-") {
            Ok(Self::StandardError)
        } else {
            LogFile::open(&AUDIT_LOG, path).map(AuditOutput::File)
        }
    }

    /// The directory in which the log may be made anew.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::StandardError => None,
            Self::File(file) => file.directory(),
        }
    }

    /// True if the path leads to the file that it is.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match self {
            Self::StandardError => false,
            Self::File(file) => file.is_at(path),
        }
    }

    /// Starts to write. What goes to standard error takes its turn with the rest that does.
    fn into_log(self) -> Result<AuditLog, Failure> {
        Ok(match self {
            Self::StandardError => match stdio::opened() {
                Some(streams) => AuditLog::to(streams.error_in_turn())?,
                None => AuditLog::stderr()?,
            },
            Self::File(file) => AuditLog::to_file(file)?,
        })
    }
}
