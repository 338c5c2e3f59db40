//! Everything worth saying about a file that refuses nothing.

use outport_policy::text;

use crate::report::severity::Severity;
use crate::report::spelling::MOST_LISTED;

/// One remark. Its `Display` says what is worth knowing, without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// A part of Spin's files that Outport accepts and does nothing with.
    #[error("`{}` is accepted and has no effect: {why}", text::quote(key))]
    NotUsed {
        /// The key as it is written.
        key: String,
        /// The part that Outport lacks or leaves to others.
        why: &'static str,
    },
    /// The same, where a component runs otherwise than was meant.
    #[error("`{}` is accepted and has no effect: {why}", text::quote(key))]
    Missed {
        /// The key as it is written.
        key: String,
        /// The part that Outport lacks.
        why: &'static str,
    },
    /// A route of which another trigger has the same, as with Spin.
    #[error(
        "the route `{}` never gets a request: another trigger has the same, {}",
        text::quote(route),
        by.as_ref().map_or_else(|| "with a `static_response`".to_owned(), |by| format!("for `{by}`"))
    )]
    ShadowedRoute {
        /// The route.
        route: String,
        /// The component that gets the requests; nothing where the other trigger answers by itself.
        by: Option<String>,
    },
    /// `allowed_http_hosts`, which is read as the entries that Spin makes of it.
    #[error(
        "`allowed_http_hosts` is deprecated: write `allowed_outbound_hosts{}` instead{}",
        listed(entries.as_deref()),
        if entries.is_some() { ", as `outport check --fix` does" } else { "" }
    )]
    AllowedHttpHosts {
        /// For each item of the list the entries of `allowed_outbound_hosts` that permit the same. Nothing if an item
        /// is invalid: a shorter list would not permit what was meant.
        entries: Option<Vec<Vec<String>>>,
    },
    /// An entry for a component of the app that it does not have.
    #[error(
        "`{}` permits nothing, since the app has no such component: its components are {}",
        text::quote(entry),
        known.iter().map(|id| format!("`{}`", text::quote(id))).collect::<Vec<_>>().join(", ")
    )]
    NoSuchComponent {
        /// The entry.
        entry: String,
        /// The components there are; of very many the first.
        known: Vec<String>,
    },
    /// A component that no trigger starts and no other component is made of.
    #[error(
        "nothing starts the component `{}`: no trigger names it, and no dependency",
        text::quote(id)
    )]
    NeverStarted {
        /// Its id.
        id: String,
    },
    /// A key that Spin keeps for old files.
    #[error("`{key}` is deprecated: write `{instead}` instead")]
    Deprecated {
        /// The key.
        key: &'static str,
        /// The key that took its place.
        instead: &'static str,
    },
    /// An entry with variables that came to nothing (AL-8).
    #[error(
        "`{}` permits nothing, since its variables leave {left}",
        text::quote(template)
    )]
    EmptyEntry {
        /// The entry before its variables were filled in.
        template: String,
        /// The result, to be read behind "leave".
        left: &'static str,
    },
    /// An entry with a secret variable.
    #[error(
        "`{}` holds a secret: the entry is never shown filled in, but the destinations that a guest tries are",
        text::quote(template)
    )]
    SecretInEntry {
        /// The entry before its variables were filled in.
        template: String,
    },
    /// An entry that could not be looked at, since a variable in it has no value yet.
    #[error(
        "`{}` was not checked, since the variable `{}` has no value here",
        text::quote(template),
        text::quote(variable)
    )]
    UnresolvedEntry {
        /// The entry before its variables were filled in.
        template: String,
        /// The variable.
        variable: String,
    },
    /// A name in the environment or `.env` that sets nothing, and is nearly that of a variable which is not set there.
    #[error(
        "`{}` sets no variable of this app: did you mean `{}`?",
        text::quote(written),
        text::quote(meant)
    )]
    NearlyAVariable {
        /// The name, `SPIN_VARIABLE_…`.
        written: String,
        /// The one that was probably meant.
        meant: String,
    },
}

impl Remark {
    /// The second half of the stable code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotUsed { .. } | Self::Missed { .. } => "not-used",
            Self::ShadowedRoute { .. } => "duplicate-route",
            Self::AllowedHttpHosts { .. } | Self::Deprecated { .. } => "deprecated",
            Self::NoSuchComponent { .. } => "no-such-component",
            Self::NeverStarted { .. } => "never-started",
            Self::EmptyEntry { .. } => "empty-entry",
            Self::SecretInEntry { .. } => "secret-in-entry",
            Self::UnresolvedEntry { .. } => "unresolved-entry",
            Self::NearlyAVariable { .. } => "misspelled",
        }
    }

    /// The severity.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Missed { .. }
            | Self::ShadowedRoute { .. }
            | Self::AllowedHttpHosts { .. }
            | Self::Deprecated { .. }
            | Self::NoSuchComponent { .. }
            | Self::SecretInEntry { .. } => Severity::Warning,
            _ => Severity::Note,
        }
    }
}

/// Entries as they stand in a list, to be read behind its key; of very many the first.
fn listed(entries: Option<&[Vec<String>]>) -> String {
    let Some(entries) = entries else {
        return String::new();
    };
    let mut all = entries.iter().flatten();
    let quoted = all
        .by_ref()
        .take(MOST_LISTED)
        .map(|entry| format!("\"{}\"", text::quote(entry)));
    let mut quoted: Vec<String> = quoted.collect();
    if all.next().is_some() {
        quoted.push("…".to_owned());
    }
    format!(" = [{}]", quoted.join(", "))
}
