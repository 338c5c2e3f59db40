//! Where decisions are written to: opened while the process still may, written to later.

use std::fs::File;
use std::path::Path;

use outport_egress::{AuditLog, AuditLogError};
use outport_runtime::stdio;

use crate::failure::Failure;

/// What `--audit-log` names.
#[derive(Debug)]
pub(crate) enum AuditOutput {
    /// `-`.
    StandardError,
    /// A file, open for appending.
    File(File),
}

impl AuditOutput {
    pub(crate) fn open(path: &Path) -> Result<AuditOutput, AuditLogError> {
        match path == Path::new("-") {
            true => Ok(AuditOutput::StandardError),
            false => AuditLog::open(path).map(AuditOutput::File),
        }
    }

    /// Starts to write. What goes to standard error takes its turn with the rest that does.
    pub(crate) fn into_log(self) -> Result<AuditLog, Failure> {
        Ok(match self {
            AuditOutput::StandardError => match stdio::opened() {
                Some(streams) => AuditLog::to(streams.error_in_turn())?,
                None => AuditLog::stderr()?,
            },
            AuditOutput::File(file) => AuditLog::to_file(file)?,
        })
    }
}
