//! Everything worth saying about a file that refuses nothing.

use crate::problem::Severity;
use crate::shown::shown;

/// One remark. Its `Display` says what is worth knowing, without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// A part of Spin's files that Outport accepts and does nothing with.
    #[error("`{}` is accepted and has no effect: {why}", shown(key))]
    NotUsed {
        /// The key as it is written.
        key: String,
        /// What Outport lacks or leaves to others.
        why: &'static str,
    },
    /// A trigger of a type that Outport does not serve.
    #[error(
        "triggers of type `{}` are accepted and never start anything: only `http` and `command` do",
        shown(kind)
    )]
    UnknownTrigger {
        /// The type.
        kind: String,
    },
    /// No trigger that Outport serves.
    #[error("the app has nothing to start: no trigger of type `http` or `command` has a component")]
    NothingToStart,
    /// A route that a later trigger takes over, as with Spin.
    #[error(
        "the route `{}` never gets a request: a later trigger has the same, for `{by}`",
        shown(route)
    )]
    ShadowedRoute {
        /// The route.
        route: String,
        /// The component that gets the requests.
        by: String,
    },
    /// A key that Spin keeps for old manifests.
    #[error("`{key}` is deprecated and permits nothing; use `{instead}`")]
    Deprecated {
        /// The key.
        key: &'static str,
        /// The key that took its place.
        instead: &'static str,
    },
    /// An entry with variables that came to nothing (policy clause AL-8).
    #[error("`{}` permits nothing, since its variables leave {left}", shown(template))]
    EmptyEntry {
        /// The entry before its variables were filled in.
        template: String,
        /// What became of it, to be read behind "leave".
        left: &'static str,
    },
    /// An entry with a secret variable.
    #[error(
        "`{}` holds a secret: the entry is never shown filled in, but the destinations that a guest tries are",
        shown(template)
    )]
    SecretInEntry {
        /// The entry before its variables were filled in.
        template: String,
    },
    /// An entry that could not be looked at, since a variable in it has no value yet.
    #[error(
        "`{}` was not checked, since the variable `{}` has no value here",
        shown(template),
        shown(variable)
    )]
    UnresolvedEntry {
        /// The entry before its variables were filled in.
        template: String,
        /// The variable.
        variable: String,
    },
}

impl Remark {
    /// The second half of the stable code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotUsed { .. } => "not-used",
            Self::UnknownTrigger { .. } => "unknown-trigger",
            Self::NothingToStart => "nothing-to-start",
            Self::ShadowedRoute { .. } => "duplicate-route",
            Self::Deprecated { .. } => "deprecated",
            Self::EmptyEntry { .. } => "empty-entry",
            Self::SecretInEntry { .. } => "secret-in-entry",
            Self::UnresolvedEntry { .. } => "unresolved-entry",
        }
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::NothingToStart
            | Self::ShadowedRoute { .. }
            | Self::Deprecated { .. }
            | Self::SecretInEntry { .. } => Severity::Warning,
            _ => Severity::Note,
        }
    }
}
