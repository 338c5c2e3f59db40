//! The name of an app or a component that is to be made: that of a folder, of a package and of a component at once.

use std::fmt;
use std::str::FromStr;

use outport_manifest::{ComponentId, IdentifierError};

/// A name in kebab case and lower case, which is a component's id, a folder, and a package of cargo and npm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

/// The reason why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProjectNameError {
    #[error("it is not the name of a component: {error}{}", likely(.like))]
    NotAnId {
        error: IdentifierError,
        like: Option<String>,
    },
    #[error("packages have names in lower case{}", likely(.0))]
    UpperCase(Option<String>),
    #[error("a name is no path: `--output DIR` says where it is made")]
    Path,
    #[error("it is longer than {LONGEST} characters")]
    Long,
}

fn likely(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!("; perhaps `{name}`"))
        .unwrap_or_default()
}

/// Characters of a name. A folder's may have 255 with what tools put behind it.
const LONGEST: usize = 64;

impl ProjectName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that is nearest to a text, if anything is: `my-app` for `My_App`.
    pub(crate) fn like(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.chars() {
            match c {
                c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
                _ if name.is_empty() || name.ends_with('-') => {}
                _ => name.push('-'),
            }
        }
        let name = name
            .trim_end_matches('-')
            .trim_start_matches(|c: char| !c.is_ascii_lowercase());
        Self::is_one(name).then(|| Self(name.to_owned()))
    }

    fn is_one(text: &str) -> bool {
        let is_id = ComponentId::parse(text).is_ok() && text.len() <= LONGEST;
        is_id && text.chars().all(is_in_names)
    }
}

/// Of the characters of an id, upper case and `:` are none of a package.
fn is_in_names(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-')
}

impl FromStr for ProjectName {
    type Err = ProjectNameError;

    fn from_str(text: &str) -> Result<Self, ProjectNameError> {
        if text.len() > LONGEST {
            return Err(ProjectNameError::Long);
        }
        if text.contains('/') || text == "." || text == ".." {
            return Err(ProjectNameError::Path);
        }
        let like = || Self::like(text).map(|name| name.0);
        ComponentId::parse(text).map_err(|error| ProjectNameError::NotAnId { error, like: like() })?;
        match text.chars().find(|c| !is_in_names(*c)) {
            Some(c) if c.is_ascii_uppercase() => Err(ProjectNameError::UpperCase(like())),
            // Ids may hold a colon, and packages may not.
            Some(c) => Err(ProjectNameError::NotAnId {
                error: IdentifierError::Character(c),
                like: like(),
            }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_in_lower_case() {
        for name in ["a", "shop", "my-app", "a1", "my-2nd-app", &"a".repeat(64)] {
            assert_eq!(name.parse::<ProjectName>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "-",
            "-a",
            "a-",
            "a--b",
            "1a",
            "My-App",
            "MY-APP",
            "my_app",
            "my.app",
            "a b",
            "a/b",
            ".",
            "..",
            "ä",
            "a:b",
            "../a",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(name.parse::<ProjectName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_is_not_a_name_has_one_that_is_like_it() {
        let rows = [
            ("My_App", Some("my-app")),
            ("my app", Some("my-app")),
            ("MY-APP", Some("my-app")),
            ("2nd.shop", Some("nd-shop")),
            ("a--b-", Some("a-b")),
            ("ä", None),
            ("", None),
            ("12", None),
        ];
        for (text, like) in rows {
            let found = ProjectName::like(text);
            assert_eq!(found.as_ref().map(ProjectName::as_str), like, "{text:?}");
        }
        let error = "My_App".parse::<ProjectName>().unwrap_err().to_string();
        assert!(error.ends_with("; perhaps `my-app`"), "{error}");
    }
}
