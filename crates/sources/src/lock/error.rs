//! The reasons why a lock file cannot be used.

use std::io;
use std::path::PathBuf;

use outport_policy::{Location, text};

/// The reason why a lock file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It cannot be read.
    #[error("cannot read the lock file `{}`: {source}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It does not say what a lock file says.
    #[error("the lock file is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
        /// Where.
        location: Location,
    },
    /// It is of a later version of Outport.
    #[error("the lock file has version {version}, and this Outport knows 1")]
    Newer {
        /// The version.
        version: u32,
        /// Where it says so.
        location: Location,
    },
    /// It cannot be written.
    #[error("cannot write the lock file `{}`: {source}", text::path(.path))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl LockError {
    /// The place in the file, if it is about one.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Damaged { location, .. } | Self::Newer { location, .. } => Some(location),
            _ => None,
        }
    }
}
