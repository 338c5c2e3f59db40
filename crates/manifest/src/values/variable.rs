//! The part of a manifest about a variable: the lines of `[variables]`.

use std::fmt;
use std::sync::Arc;

use crate::source::{Located, Span};
use crate::values::variable_text::VariableText;

/// The name of a variable: lower-case ASCII letters, digits and single `_` between them, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableName(Arc<str>);

impl VariableName {
    /// Reads a name.
    ///
    /// # Errors
    /// The part of `text` that makes it no name.
    pub fn parse(text: &str) -> Result<Self, VariableNameError> {
        let odd = text
            .chars()
            .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_'));
        if let Some(odd) = odd {
            return Err(VariableNameError::Character(odd));
        }
        if text.is_empty() {
            return Err(VariableNameError::Empty);
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(VariableNameError::Start);
        }
        if text.ends_with('_') || text.contains("__") {
            return Err(VariableNameError::Underscore);
        }
        Ok(Self(text.into()))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment variable that can set it: `SPIN_VARIABLE_` and the name in upper case.
    pub fn environment_variable(&self) -> String {
        format!("SPIN_VARIABLE_{}", self.0.to_ascii_uppercase())
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a text is not a variable's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableNameError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// `apiHost`, `api-host`.
    #[error("`{}` is not a lower-case ASCII letter, a digit or `_`", .0.escape_default())]
    Character(char),
    /// `1st`, `_a`.
    #[error("it does not start with a lower-case ASCII letter")]
    Start,
    /// `a_`, `a__b`.
    #[error("a `_` stands between two letters or digits")]
    Underscore,
}

/// One line of `[variables]`: a variable that the app has, and what it is if nobody sets it.
#[derive(Debug, Clone)]
pub struct VariableDeclaration {
    /// Its name, at the key.
    pub name: Located<VariableName>,
    /// Its value if nobody sets it, or that somebody must.
    pub fallback: Fallback,
    /// True if its value must not be shown.
    pub secret: bool,
    /// The purpose of the variable.
    pub description: Option<Located<String>>,
    /// The place where the declaration stands.
    pub span: Span,
}

/// The value of a variable that nobody sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// `required = true`: somebody must.
    Required,
    /// `default = "…"`
    Value(Located<VariableText>),
    /// The declaration says neither, or both, which was reported: nothing more is known of the variable.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_snake_case() {
        use VariableNameError::*;
        let rows = [
            ("a", None),
            ("abc", None),
            ("a1b2", None),
            ("a_1", None),
            ("api_host_2", None),
            ("", Some(Empty)),
            ("apiHost", Some(Character('H'))),
            ("api-host", Some(Character('-'))),
            ("api.host", Some(Character('.'))),
            ("größe", Some(Character('ö'))),
            ("1st", Some(Start)),
            ("_a", Some(Start)),
            ("a_", Some(Underscore)),
            ("a__b", Some(Underscore)),
        ];
        for (text, wrong) in rows {
            assert_eq!(VariableName::parse(text).err(), wrong, "{text:?}");
        }
    }

    #[test]
    fn the_environment_variable_is_in_upper_case() {
        let name = VariableName::parse("api_host").unwrap();
        assert_eq!(name.environment_variable(), "SPIN_VARIABLE_API_HOST");
    }
}
