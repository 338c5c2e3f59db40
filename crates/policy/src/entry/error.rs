//! An entry that cannot be read, and what to write instead.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::problem::EntryProblem;
use super::suggestion::to_deny;
use crate::{Location, text, without_user_info};

/// An entry that cannot be read: the entry as written, where, what is wrong with which part of it, and what to
/// write instead where that can be told. Its message quotes the beginning only of an entry that is very long, and so does
/// `Debug`; neither has users and passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryError(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    text: Box<str>,
    location: Location,
    problem: EntryProblem,
    span: Range<usize>,
    instead: Option<Box<str>>,
}

impl EntryError {
    pub(crate) fn new(
        text: &str,
        location: Location,
        problem: EntryProblem,
        span: Range<usize>,
        instead: Option<Box<str>>,
    ) -> Self {
        Self(Box::new(Parts {
            text: text.into(),
            location,
            problem,
            span,
            instead,
        }))
    }

    /// The same mistake in the operator's deny list: what is suggested there denies all that may have been meant.
    #[must_use]
    pub fn in_a_deny_list(mut self) -> Self {
        match self.0.problem {
            EntryProblem::NoScheme if self.0.text.trim() == "private" => {
                self.0.problem = EntryProblem::Private;
                self.0.instead = None;
            }
            EntryProblem::NoScheme if networks_called(self.0.text.trim()).is_some() => {
                self.0.instead = networks_called(self.0.text.trim()).map(Into::into);
            }
            EntryProblem::NoScheme
            | EntryProblem::NoDefaultPort(_)
            | EntryProblem::UnknownScheme { meant: None, .. } => {
                self.0.instead = to_deny(self.0.text.trim());
            }
            EntryProblem::BareIpv6(_) => {
                let open = self.0.instead.take();
                self.0.instead = open.and_then(|text| match text.strip_suffix(":PORT") {
                    Some(host) => to_deny(host),
                    None => Some(text),
                });
            }
            _ => {}
        }
        self
    }

    /// The entry as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The same to show it to people: with `*` in place of user and password, and else as it was written, byte by byte.
    pub fn shown(&self) -> Cow<'_, str> {
        match (self.text().contains("://"), self.text().rfind('@')) {
            (false, Some(at)) => Cow::Owned("*".repeat(at) + &self.text()[at..]),
            _ => without_user_info(self.text()),
        }
    }

    /// The place where it was written.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// The mistake.
    pub fn problem(&self) -> &EntryProblem {
        &self.0.problem
    }

    /// The bytes of [`text`](Self::text) that are at fault.
    pub fn span(&self) -> Range<usize> {
        self.0.span.clone()
    }

    /// An entry that can be read and most likely means what the writer meant. `:PORT` at its end stands for the port of
    /// the service, which only the writer knows.
    pub fn instead(&self) -> Option<&str> {
        self.0.instead.as_deref()
    }
}

/// The networks that a word which is most likely no host stands for, on every port.
fn networks_called(word: &str) -> Option<&'static str> {
    match word {
        "loopback" => Some("*://{127.0.0.0/8,[::1]}:*"),
        "link-local" => Some("*://{169.254.0.0/16,[fe80::]/10}:*"),
        "all" | "any" => Some("*://*:*"),
        _ => None,
    }
}

impl fmt::Debug for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The problem in its words: what it quotes of the entry is bounded there.
        f.debug_struct("EntryError")
            .field("text", &text::excerpt(&self.shown()))
            .field("location", &self.0.location)
            .field("problem", &format_args!("{}", self.0.problem))
            .field("span", &self.0.span)
            .field("instead", &self.0.instead.as_deref().map(text::excerpt))
            .finish()
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a valid entry: {}",
            text::excerpt(&self.shown()).escape_debug(),
            self.0.problem
        )?;
        match &self.0.instead {
            Some(instead) => write!(f, "; write `{instead}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for EntryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.problem)
    }
}
