//! The place where a value was written.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::text;

/// The place that an entry or another value comes from, for messages that send somebody there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A file.
    File {
        /// The file as the user named it.
        path: Arc<str>,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// The bytes of the file that hold the value.
        span: Range<usize>,
    },
    /// An option of a command line.
    Option {
        /// The option as it is written there, with its dashes.
        name: Arc<str>,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: Arc<str>,
    },
    /// An embedder's own code.
    Code,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                path, line, column, ..
            } => write!(f, "{}:{line}:{column}", text::message(path)),
            Self::Option { name } => f.write_str(name),
            Self::Environment { variable } => text::message(variable).fmt(f),
            Self::Code => f.write_str("the embedder"),
        }
    }
}
