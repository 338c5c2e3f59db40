//! The reason why an audit log cannot be kept.

use std::path::PathBuf;

use outport_policy::text;

/// The reason why an audit log cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// The file cannot be opened.
    #[error("the audit log `{}` cannot be opened for writing: {source}", text::path(path))]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file cannot be opened again where it was opened before.
    #[error(
        "the audit log `{}` cannot be opened for writing: {source}; a directory that was made anew stays closed to the \
         kernel sandbox until a restart",
        text::path(path)
    )]
    Shut {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Nothing can be written to it.
    #[error("the audit log cannot be written: {0}")]
    Write(std::io::Error),
    /// The file has something else in it.
    #[error(
        "`{}` is not an audit log: neither its first line nor its last begins with `{{\"ts\":`",
        text::path(path)
    )]
    Another {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no thread to write from.
    #[error("the thread that writes the audit log cannot be started: {0}")]
    Thread(std::io::Error),
}
