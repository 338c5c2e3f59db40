//! The reasons why a file cannot be run as a component, with advice for each.

use std::io;
use std::path::{Path, PathBuf};

use outport_components::AdaptError;
use outport_policy::text;

use super::file::LARGEST;
use crate::compiler::CompileError;

/// The reason why a file cannot be run as a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The file is not there.
    #[error("there is no file `{}`", text::path(.path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("cannot read `{}`: {source}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A directory, pipe, socket or device.
    #[error("`{}` was not opened: {source}", text::path(.path))]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The kind of file that it is.
        source: io::Error,
    },
    /// WebAssembly that cannot be run, whatever is done with it.
    #[error("`{}` cannot be run: {reason}", text::path(.path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: AdaptError,
    },
    /// WebAssembly's text format.
    #[error("`{}` is WebAssembly text, not a component", text::path(.path))]
    Text {
        /// The file.
        path: PathBuf,
    },
    /// Machine code of another program, which Outport does not run.
    #[error("`{}` is compiled code, not a component", text::path(.path))]
    Precompiled {
        /// The file.
        path: PathBuf,
    },
    /// More than a component may have.
    #[error("`{}` is larger than {} MiB, which no component may be", text::path(.path), LARGEST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something else altogether.
    #[error("`{}` is not WebAssembly: it {found}", text::path(.path))]
    NotWebAssembly {
        /// The file.
        path: PathBuf,
        /// The first bytes of the file.
        found: String,
    },
    /// The manifest says what the file hashes to, and it does not.
    #[error("`{}` does not have the digest that the manifest gives", text::path(.path))]
    WrongDigest {
        /// The file.
        path: PathBuf,
    },
    /// The file begins as a component and does not hold up.
    #[error("`{}` is not a valid component: {reason}", text::path(.path))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The compiler's message.
        reason: String,
    },
    /// The file was not compiled, whatever it is.
    #[error("`{}` was not compiled: {reason}", text::path(.path))]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: CompileError,
    },
    /// The component cannot be composed with others, whether or not it can be run alone.
    #[error("`{}` cannot be composed: {reason}", text::path(.path))]
    CannotCompose {
        /// The file.
        path: PathBuf,
        /// The composer's message.
        reason: String,
    },
}

impl ComponentError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.into() },
            io::ErrorKind::InvalidInput => Self::NotAFile {
                path: path.into(),
                source,
            },
            _ => Self::Unreadable {
                path: path.into(),
                source,
            },
        }
    }

    pub(crate) fn not_compiled(path: &Path, reason: CompileError) -> Self {
        match reason {
            CompileError::Invalid { reason } => Self::Invalid {
                path: path.into(),
                reason,
            },
            reason => Self::NotCompiled {
                path: path.into(),
                reason,
            },
        }
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NotAFile { .. } => {
                Some("give the path of a file; write the output of a program to one first")
            }
            Self::Missing { path } if path.to_str().is_some_and(|path| path.contains("://")) => {
                Some("a path belongs there: download the file first")
            }
            Self::Missing { .. } => Some("build the component first, or correct the path"),
            Self::Unusable { reason, .. } => reason.advice(),
            Self::Text { .. } => Some("turn it into a binary: `wasm-tools parse FILE.wat -o FILE.wasm`"),
            Self::Precompiled { .. } => {
                Some("give the component itself; Outport compiles it once and keeps the result")
            }
            Self::NotCompiled { reason, .. } => reason.advice(),
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::WrongDigest { .. }
            | Self::NotWebAssembly { .. }
            | Self::Invalid { .. }
            | Self::CannotCompose { .. } => None,
        }
    }
}
