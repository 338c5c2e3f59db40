//! The reason why a log cannot be kept.

use std::path::PathBuf;

use outport_policy::text;

/// The reason why a log cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be opened.
    #[error("the {log} `{}` cannot be opened for writing: {source}", text::path(path))]
    Open {
        /// The name of the log.
        log: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file cannot be opened again where it was opened before.
    #[error(
        "the {log} `{}` cannot be opened for writing: {source}; a directory that was made anew stays closed to the \
         kernel sandbox until a restart",
        text::path(path)
    )]
    Shut {
        /// The name of the log.
        log: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Nothing can be written to it.
    #[error("the {log} cannot be written: {source}")]
    Write {
        /// The name of the log.
        log: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has something else in it.
    #[error(
        "`{}` is not an {log}: neither its first line nor its last {recognised_by}",
        text::path(path)
    )]
    Another {
        /// The name of the log.
        log: &'static str,
        /// The file.
        path: PathBuf,
        /// The way in which lines are recognised.
        recognised_by: &'static str,
    },
    /// The system gave no thread to write from.
    #[error("the thread that writes the {log} cannot be started: {source}")]
    Thread {
        /// The name of the log.
        log: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}
