//! Names of components and of the resources they use.
//!
//! Spin's rule for both: words of ASCII letters and digits with one separator between them, `-` (kebab case) or
//! `_` (snake case). A word is all lower or all upper case, the first starts with a letter, and a word may hold `:`.
//! Components are named in kebab case, key-value stores and databases in either.

use std::fmt;
use std::sync::Arc;

use outport_policy::{Label, LabelKind, Location, text};

/// The id of a component: the `web` of `[component.web]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId(Arc<str>);

impl ComponentId {
    /// Reads an id in kebab case.
    ///
    /// # Errors
    /// The part of `text` that is not kebab case.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        Separator::Hyphen.check(text)?;
        Ok(Self(text.into()))
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// `my_app` for a component.
    #[error("words are separated with `{expected}`, not with `{found}`")]
    WrongSeparator {
        /// The separator that belongs there.
        expected: char,
        /// The one that was written.
        found: char,
    },
    /// `my--app`, `-app`.
    #[error("there is an empty word beside a `{0}`")]
    EmptyWord(char),
    /// `2nd-app`.
    #[error("it starts with `{0}`, not with an ASCII letter")]
    Start(char),
    /// `my.app`.
    #[error("`{}` is neither an ASCII letter nor a digit", .0.escape_debug())]
    Character(char),
    /// `myApp`.
    #[error("the word `{}` mixes upper and lower case", text::quote(.0))]
    MixedCase(String),
}

/// The label of a store or database that is written at `location`, in kebab or in snake case.
///
/// # Errors
/// The part of `text` that is neither.
pub fn parse_label(kind: LabelKind, text: &str, location: Location) -> Result<Label, IdentifierError> {
    check_label(text)?;
    Ok(Label::new(kind, text, location))
}

/// A name in kebab or in snake case, such as that of a key-value store.
pub(crate) fn check_label(text: &str) -> Result<(), IdentifierError> {
    if text.contains('_') {
        Separator::Underscore.check(text)
    } else {
        Separator::Hyphen.check(text)
    }
}

/// A name in kebab case, such as that of an import.
pub(crate) fn check_kebab(text: &str) -> Result<(), IdentifierError> {
    Separator::Hyphen.check(text)
}

#[derive(Clone, Copy)]
enum Separator {
    Hyphen,
    Underscore,
}

impl Separator {
    fn check(self, text: &str) -> Result<(), IdentifierError> {
        let (expected, found) = match self {
            Self::Hyphen => ('-', '_'),
            Self::Underscore => ('_', '-'),
        };
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.contains(found) {
            return Err(IdentifierError::WrongSeparator { expected, found });
        }
        for (index, word) in text.split(expected).enumerate() {
            let first = word.chars().next().ok_or(IdentifierError::EmptyWord(expected))?;
            check_word(word, first)?;
            if index == 0 && !first.is_ascii_alphabetic() {
                return Err(IdentifierError::Start(first));
            }
        }
        Ok(())
    }
}

fn check_word(word: &str, first: char) -> Result<(), IdentifierError> {
    if let Some(odd) = word.chars().find(|c| !c.is_ascii_alphanumeric() && *c != ':') {
        return Err(IdentifierError::Character(odd));
    }
    if first == ':' {
        return Err(IdentifierError::Character(':'));
    }
    let upper = first.is_ascii_uppercase();
    let mixed = word
        .chars()
        .any(|c| c.is_ascii_alphabetic() && c.is_ascii_uppercase() != upper);
    if mixed {
        return Err(IdentifierError::MixedCase(word.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_ids_are_kebab_case() {
        use IdentifierError::*;
        let rows = [
            ("web", None),
            ("web-2", None),
            ("web-2nd", None),
            ("WEB-api", None),
            ("a1", None),
            ("", Some(Empty)),
            (
                "my_app",
                Some(WrongSeparator {
                    expected: '-',
                    found: '_',
                }),
            ),
            ("my--app", Some(EmptyWord('-'))),
            ("-app", Some(EmptyWord('-'))),
            ("app-", Some(EmptyWord('-'))),
            ("2nd", Some(Start('2'))),
            ("my.app", Some(Character('.'))),
            ("größe", Some(Character('ö'))),
            ("../x", Some(Character('.'))),
            ("myApp", Some(MixedCase("myApp".into()))),
        ];
        for (text, wrong) in rows {
            assert_eq!(ComponentId::parse(text).err(), wrong, "{text:?}");
        }
    }

    #[test]
    fn labels_are_kebab_or_snake_case() {
        for text in ["default", "my-store", "my_store"] {
            assert_eq!(check_label(text), Ok(()), "{text:?}");
        }
        for text in ["", "my-big_store", "my store"] {
            assert!(check_label(text).is_err(), "{text:?}");
        }
    }
}
