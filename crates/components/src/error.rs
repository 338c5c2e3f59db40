//! The reason why there is no component.

use outport_policy::text;

/// The reason why no component can be made of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// It is damaged.
    #[error("{reason}")]
    Invalid {
        /// The reader's message.
        reason: String,
    },
    /// It is of a version of WASI that never was released, whose functions differ from those of the release.
    #[error("it is for a release candidate that is not provided: `{}`", text::quote(.name))]
    Candidate {
        /// An import or export of that version.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// Its memory cannot be shared with the adapter.
    #[error("it is a module for preview 1 made by Go, in which no room for the adapter was found")]
    Go,
    /// It wants a host that is written in JavaScript.
    #[error("it is a module made by {by}, which wants a JavaScript host")]
    JavaScript {
        /// What made it.
        by: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// It addresses memory with 64 bits.
    #[error("it is a module with 64-bit memory, which a component cannot have")]
    LargeMemory,
    /// Its allocator and the adapter take the same memory.
    #[error("it is a module for preview 1 made by clang {}, whose C library corrupts memory that it is given", text::quote(.version))]
    OldClang {
        /// The version of clang that it says.
        version: String,
    },
    /// It is for the snapshot of WASI before preview 1.
    #[error("it is a module for `wasi_unstable`, the snapshot before WASI preview 1")]
    Preview0,
    /// It is a module of which no component can be made.
    #[error("no component can be made of the module: {reason}")]
    Module {
        /// The reason.
        reason: String,
    },
    /// It has threads.
    #[error("it is a module with threads, which are not provided")]
    Threads,
    /// It imports what is neither WASI nor an interface.
    #[error("it is a module that imports `{}` of `{}`, which nobody provides", text::quote(.name), text::quote(.module))]
    UnknownImport {
        /// The module of the import.
        module: String,
        /// The name in it.
        name: String,
    },
}

impl AdaptError {
    pub(crate) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid {
            reason: reason.to_string(),
        }
    }

    /// Of a library whose errors have causes.
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self::Module {
            reason: format!("{error:#}"),
        }
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Candidate { advice, .. } | Self::JavaScript { advice, .. } => Some(advice),
            Self::Go => Some("build with Go 1.21 or newer, and leave the file as `go build` makes it"),
            Self::LargeMemory => Some("build with 32-bit memory, as for `wasm32-wasip2`"),
            Self::OldClang { .. } => Some("rebuild with wasi-sdk 19 or newer (clang 15.0.7), or a newer SDK"),
            Self::Preview0 => Some("rebuild with a compiler of 2020 or later, for WASI preview 1 or 2"),
            Self::Threads => Some(
                "build without threads: for `wasm32-wasip1` or `wasm32-wasip2`, not `…-threads`, without `-pthread`",
            ),
            Self::UnknownImport { .. } => Some(
                "build for `wasm32-wasip2` or another target of WASI, and link all that the module imports",
            ),
            Self::Invalid { .. } | Self::Module { .. } => None,
        }
    }
}
