//! The reason why components cannot be composed.

use crate::component::list;

/// The reason why a dependency cannot be composed into a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompositionError {
    /// The app has no component of that id.
    #[error("the app has no component `{id}`")]
    NoSuchComponent {
        /// The id.
        id: String,
    },
    /// The source of a component names others, and none of them has code in the end.
    #[error("the source of `{id}` leads to no code")]
    NoCode {
        /// The id.
        id: String,
    },
    /// The main component imports nothing of that name.
    #[error("the component imports nothing called `{name}`; it imports {}", list(.imports))]
    NoSuchImport {
        /// The name of the dependency.
        name: String,
        /// The imports of the component, besides WASI.
        imports: Vec<String>,
    },
    /// The name is one for several imports.
    #[error("`{name}` stands for several imports: {}", list(.imports))]
    AmbiguousImport {
        /// The name of the dependency.
        name: String,
        /// The imports.
        imports: Vec<String>,
    },
    /// The dependency does not export what is to be imported.
    #[error("the dependency exports no `{export}`; it exports {}", list(.exports))]
    NoSuchExport {
        /// The export that it should have.
        export: String,
        /// The exports that it has.
        exports: Vec<String>,
    },
    /// Several exports could satisfy the import.
    #[error("the dependency has several exports for `{export}`: {}", list(.exports))]
    AmbiguousExport {
        /// The export that it should have.
        export: String,
        /// Those that could be meant.
        exports: Vec<String>,
    },
    /// The export has another type than the import.
    #[error("the export `{export}` does not fit the import `{import}`: {reason}")]
    DoesNotFit {
        /// The import of the main component.
        import: String,
        /// The export of the dependency.
        export: String,
        /// The place where they differ.
        reason: String,
    },
    /// Something in a chain of middleware answers no requests in the way of WASI 0.3.
    #[error("there is no `wasi:http/handler@0.3.0` to call: the component behind exports {}", list(.exports))]
    NoHandler {
        /// The exports of the component.
        exports: Vec<String>,
    },
    /// Middleware that what is behind it would never be called by.
    #[error("it imports no `wasi:http/handler@0.3.0` to call what is behind it; it imports {}", list(.imports))]
    CallsNobody {
        /// The imports of the middleware.
        imports: Vec<String>,
    },
    /// A file imports what only composing may make.
    #[error("it imports `{import}`: names that begin so are Outport's, for what a part has for itself")]
    ReservedImport {
        /// The import.
        import: String,
    },
    /// The part has a list of hosts of its own, and an interface that cannot be held to one.
    #[error("`allowed_outbound_hosts` cannot be held against `{import}`, which it imports")]
    CannotNarrow {
        /// The interface.
        import: String,
    },
    /// More parts with a list of their own than there may be.
    #[error("{count} parts have an `allowed_outbound_hosts` of their own, and {most} may")]
    TooManyLists {
        /// Parts that have one.
        count: usize,
        /// The most that may.
        most: usize,
    },
    /// The dependency was not kept apart from the rights of the component. Never run.
    #[error("the dependencies cannot be isolated: `{import}` went missing in the composition")]
    NotIsolated {
        /// The import that the composition should have.
        import: String,
    },
    /// Something else.
    #[error("the components cannot be composed: {reason}")]
    Graph {
        /// The composer's message.
        reason: String,
    },
}

impl CompositionError {
    /// The composer's message.
    pub(super) fn wac(error: impl std::error::Error) -> Self {
        Self::Graph {
            reason: chain(&error),
        }
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::AmbiguousImport { .. } => Some("write the version after an `@`"),
            Self::AmbiguousExport { .. } => Some("name the one that is meant: `export = \"…\"`"),
            Self::NoHandler { .. } => {
                Some("middleware and what is behind it are for WASI 0.3: build it with a newer SDK")
            }
            Self::NoSuchExport { .. } => Some("name the export that has the same type: `export = \"…\"`"),
            _ => None,
        }
    }
}

/// An error with what caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
