//! The reason why a dependency cannot be.

use outport_policy::text;

use crate::values::identifier::{ComponentId, IdentifierError};

/// The reason why a dependency cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// A name that is not one of an import.
    #[error("`{}` is not the name of an import: {error}", text::quote(text))]
    Name {
        /// The name as it is written.
        text: String,
        /// The mistake in a part of it.
        error: IdentifierError,
    },
    /// A version that is none.
    #[error("`{}` is not a version", text::quote(text))]
    Version {
        /// The version as it is written.
        text: String,
    },
    /// A version without a package, where no name of an import has one.
    #[error("no package is named")]
    NoPackage,
    /// None of `path`, `component`, `url` and `version`, or more than one of them.
    #[error("a dependency has exactly one of `path`, `component`, `url` and `version`")]
    Kind,
    /// An `export` for all interfaces of a package.
    #[error(
        "`{}` stands for a whole package, so that no single `export` can satisfy it",
        text::quote(name)
    )]
    ExportOfPackage {
        /// The name of the dependency.
        name: String,
    },
    /// An `export` for middleware, which is used by one.
    #[error("middleware has no `export`: it is called by `wasi:http/handler`")]
    ExportOfMiddleware,
    /// Middleware of a trigger whose requests no handler answers.
    #[error("middleware stands before a handler, and with `{key}` there is none")]
    MiddlewareWithoutHandler {
        /// The key of the trigger that says so.
        key: &'static str,
    },
    /// Two dependencies that satisfy the same import.
    #[error(
        "`{}` and `{}` satisfy the same import",
        text::quote(name),
        text::quote(other)
    )]
    Conflict {
        /// This one.
        name: String,
        /// The earlier one.
        other: String,
    },
    /// Both ways to say what is inherited.
    #[error("`inherit_configuration` and `dependencies_inherit_configuration` exclude each other")]
    InheritanceTwice,
    /// A component of the app with permissions of its own, which would have no effect.
    #[error(
        "the component `{}` cannot be a dependency, since it has `{}`",
        text::quote(&id.to_string()),
        .keys.join("`, `")
    )]
    OwnResources {
        /// The component.
        id: ComponentId,
        /// The keys that it has.
        keys: Vec<&'static str>,
    },
}

impl DependencyError {
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoPackage => "write `{ package = \"namespace:name\", version = \"1.0\" }`".into(),
            Self::Version { .. } => "write it in full, such as `1.2.0`".into(),
            Self::InheritanceTwice => "remove one of the two".into(),
            Self::ExportOfMiddleware => "remove it".into(),
            Self::ExportOfPackage { name } => format!("name the interface: `{}/…`", text::quote(name)),
            Self::OwnResources { .. } => {
                "a dependency runs with what it inherits; move these keys to the component it is for".into()
            }
            _ => return None,
        })
    }
}
