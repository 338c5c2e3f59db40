//! Everything worth saying about a file that refuses nothing.

use crate::problem::Severity;
use crate::shown::shown;
use crate::spelling::MOST_LISTED;

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
    /// The same, where a component runs otherwise than was meant.
    #[error("`{}` is accepted and has no effect: {why}", shown(key))]
    Missed {
        /// The key as it is written.
        key: String,
        /// What Outport lacks.
        why: &'static str,
    },
    /// A trigger of a type that Outport does not serve, beside others that it does.
    #[error(
        "triggers of type `{}` are not served and never start anything: only `http` and `command` are",
        shown(kind)
    )]
    UnknownTrigger {
        /// The type.
        kind: String,
    },
    /// A route that Spin answers by itself.
    #[error("`static_response` is not supported: nobody answers at `{}`", shown(route))]
    StaticResponse {
        /// The route.
        route: String,
    },
    /// A route of which another trigger has the same, as with Spin.
    #[error(
        "the route `{}` never gets a request: another trigger has the same, for `{by}`",
        shown(route)
    )]
    ShadowedRoute {
        /// The route.
        route: String,
        /// The component that gets the requests.
        by: String,
    },
    /// `allowed_http_hosts`, which is read as the entries that Spin makes of it.
    #[error(
        "`allowed_http_hosts` is deprecated: write `allowed_outbound_hosts = [{}]` instead, as `outport check --fix` does",
        listed(entries)
    )]
    AllowedHttpHosts {
        /// The entries of `allowed_outbound_hosts` that permit the same.
        entries: Vec<String>,
    },
    /// A key that Spin keeps for old files.
    #[error("`{key}` is deprecated: write `{instead}` instead")]
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
            Self::NotUsed { .. } | Self::Missed { .. } => "not-used",
            Self::UnknownTrigger { .. } => "unknown-trigger",
            Self::StaticResponse { .. } => "static-response",
            Self::ShadowedRoute { .. } => "duplicate-route",
            Self::AllowedHttpHosts { .. } | Self::Deprecated { .. } => "deprecated",
            Self::EmptyEntry { .. } => "empty-entry",
            Self::SecretInEntry { .. } => "secret-in-entry",
            Self::UnresolvedEntry { .. } => "unresolved-entry",
        }
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Missed { .. }
            | Self::UnknownTrigger { .. }
            | Self::StaticResponse { .. }
            | Self::ShadowedRoute { .. }
            | Self::AllowedHttpHosts { .. }
            | Self::Deprecated { .. }
            | Self::SecretInEntry { .. } => Severity::Warning,
            _ => Severity::Note,
        }
    }
}

/// Entries as they stand in a list; of very many the first.
fn listed(entries: &[String]) -> String {
    let quoted = entries
        .iter()
        .take(MOST_LISTED)
        .map(|entry| format!("\"{}\"", shown(entry)));
    let mut quoted: Vec<String> = quoted.collect();
    if entries.len() > MOST_LISTED {
        quoted.push("…".to_owned());
    }
    quoted.join(", ")
}
