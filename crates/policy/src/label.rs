//! Labels: what a component calls a store, a database or a model that the host has for it (HI-5).
//!
//! A label is granted by the component's own list and by nothing else. It is compared as it is written: `Default` is not
//! `default`.

use std::fmt;

use crate::{Location, text};

/// The kind of thing that a label stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelKind {
    /// A key-value store.
    KeyValueStore,
    /// An SQLite database.
    SqliteDatabase,
    /// A model.
    AiModel,
}

/// A label that a component lists, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    kind: LabelKind,
    text: Box<str>,
    location: Location,
}

impl LabelKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::KeyValueStore, Self::SqliteDatabase, Self::AiModel];

    /// The name that Outport's command has for the list that grants it, a key of its manifest; what another host calls it is
    /// said by [`RemedyWords`](crate::RemedyWords).
    pub const fn list(self) -> &'static str {
        match self {
            Self::KeyValueStore => "key_value_stores",
            Self::SqliteDatabase => "sqlite_databases",
            Self::AiModel => "ai_models",
        }
    }

    /// The prefix of one as a destination, as in `key-value:default`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::KeyValueStore => "key-value",
            Self::SqliteDatabase => "sqlite",
            Self::AiModel => "llm",
        }
    }

    /// The attempt to use one, as the audit log calls it. A code is never renamed.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::KeyValueStore => "key-value.open",
            Self::SqliteDatabase => "sqlite.open",
            Self::AiModel => "llm.infer",
        }
    }

    /// True if somebody could list it: other texts come from guests alone, and nobody is advised to write them down.
    pub(crate) fn may_be(label: &str) -> bool {
        !label.is_empty()
            && label.len() <= MOST_ADVISED
            && label.chars().all(|c| c.is_ascii_graphic() && c != '"')
    }
}

impl Label {
    /// The label `text` of that kind, which is written at `location`.
    pub fn new(kind: LabelKind, text: &str, location: Location) -> Self {
        Self {
            kind,
            text: text.into(),
            location,
        }
    }

    /// The kind of what it stands for.
    pub fn kind(&self) -> LabelKind {
        self.kind
    }

    /// The label as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The line for a log: the label, its list and its place.
    pub fn cited(&self) -> impl fmt::Display + '_ {
        format!(
            "{} in {} ({})",
            text::excerpt(&self.text),
            self.kind.list(),
            self.location
        )
    }

    pub(crate) fn is(&self, kind: LabelKind, text: &str) -> bool {
        self.kind == kind && *self.text == *text
    }
}

/// For people: `key-value store`.
impl fmt::Display for LabelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyValueStore => "key-value store",
            Self::SqliteDatabase => "SQLite database",
            Self::AiModel => "model",
        })
    }
}

/// Bytes of a label that a remedy has room for.
const MOST_ADVISED: usize = 64;
