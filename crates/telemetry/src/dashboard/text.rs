//! Texts that the page is sent, and how much of them.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Characters of a text that is kept.
const LONGEST: usize = 300;

/// A text that is had in several places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Text(Arc<str>);

impl Text {
    /// The text, or so much of it as is kept.
    pub(super) fn bounded(text: &str) -> Self {
        match text.char_indices().nth(LONGEST) {
            None => Self(text.into()),
            Some((end, _)) => Self(format!("{}…", &text[..end]).into()),
        }
    }

    /// All of a text that is bounded where it is made.
    pub(super) fn whole(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&Arc<str>> for Text {
    fn from(text: &Arc<str>) -> Self {
        Self(text.clone())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}
