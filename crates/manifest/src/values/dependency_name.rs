//! The names that components import things by.

use std::fmt;

use crate::values::dependency_error::DependencyError;
use crate::values::identifier::check_kebab;

/// The import that a dependency satisfies: `foo:bar/baz@0.1.0`, `foo:bar/baz`, `foo:bar@0.1.0`, `foo:bar`, `foo-bar`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DependencyName {
    /// A plain import: `foo-bar`.
    Plain(String),
    /// An interface of a package, or all of them.
    Package {
        /// `foo:bar`
        package: String,
        /// `baz`
        interface: Option<String>,
        /// `0.1.0`
        version: Option<String>,
    },
}

impl DependencyName {
    /// Reads the name of an import.
    ///
    /// # Errors
    /// The part of `text` that makes it none.
    pub fn parse(text: &str) -> Result<Self, DependencyError> {
        let name = |part: &str| match check_kebab(part) {
            Ok(()) => Ok(part.to_owned()),
            Err(error) => Err(DependencyError::Name {
                text: text.to_owned(),
                error,
            }),
        };
        if !text.contains([':', '/']) {
            return name(text).map(Self::Plain);
        }
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (package, interface) = match path.split_once('/') {
            Some((package, interface)) => (package, Some(interface)),
            None => (path, None),
        };
        let (namespace, bare) = package.split_once(':').unwrap_or((package, ""));
        name(namespace)?;
        name(bare)?;
        let interface = interface.map(name).transpose()?;
        if let Some(version) = version
            && !is_version(version)
        {
            return Err(DependencyError::Version {
                text: version.to_owned(),
            });
        }
        Ok(Self::Package {
            package: package.to_owned(),
            interface,
            version: version.map(str::to_owned),
        })
    }

    /// True if one import could be satisfied by both.
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        let (
            Self::Package {
                package,
                interface,
                version,
            },
            Self::Package {
                package: other_package,
                interface: other_interface,
                version: other_version,
            },
        ) = (self, other)
        else {
            return false;
        };
        let versions_apart = match (version, other_version) {
            (Some(a), Some(b)) => compatible_part(a) != compatible_part(b),
            _ => false,
        };
        let interfaces_apart = match (interface, other_interface) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        package == other_package && !versions_apart && !interfaces_apart
    }
}

impl fmt::Display for DependencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Package {
                package,
                interface,
                version,
            } => {
                f.write_str(package)?;
                interface
                    .iter()
                    .try_for_each(|interface| write!(f, "/{interface}"))?;
                version.iter().try_for_each(|version| write!(f, "@{version}"))
            }
        }
    }
}

/// `1.2.3`, perhaps with `-pre` and `+build` behind.
fn is_version(text: &str) -> bool {
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let mut parts = numbers.split('.');
    let three = (&mut parts).take(3).filter(|part| is_number(part)).count() == 3 && parts.next().is_none();
    let tail = rest
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    three && tail && rest.len() != 1
}

/// The part that two versions share that are compatible by semantic versioning.
fn compatible_part(version: &str) -> &str {
    let version = version.split('+').next().unwrap_or(version);
    if version.contains('-') {
        return version;
    }
    let significant = match version.split('.').position(|part| part != "0") {
        Some(index) => index + 1,
        None => return version,
    };
    let end = version
        .match_indices('.')
        .nth(significant - 1)
        .map_or(version.len(), |(at, _)| at);
    &version[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_imports_read_in_all_of_spins_forms() {
        let rows = [
            "foo-bar",
            "foo:bar",
            "foo:bar/baz",
            "foo:bar@0.1.0",
            "foo:bar/baz@1.2.3-rc.1+b2",
        ];
        for text in rows {
            assert_eq!(DependencyName::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_the_name_of_an_import_is_refused() {
        let rows = [
            "",
            "Foo_Bar",
            "foo:",
            ":bar",
            "foo/bar",
            "foo:bar/",
            "foo:bar@",
            "foo:bar@1",
            "foo:bar@01.0.0",
            "foo:bar@1.0.0-",
            "foo:bar/b z",
        ];
        for text in rows {
            assert!(DependencyName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn two_dependencies_conflict_if_one_import_could_be_satisfied_by_both() {
        let rows = [
            ("foo:bar/a", "foo:bar/b", false),
            ("foo:bar/a", "foo:bar/a@1.0.0", true),
            ("foo:bar/a@1.0.0", "foo:bar/a@1.2.3", true),
            ("foo:bar/a@1.0.0", "foo:bar/a@2.0.0", false),
            ("foo:bar/a@0.1.0", "foo:bar/a@0.2.0", false),
            ("foo:bar/a@0.1.0", "foo:bar/a@0.1.7", true),
            ("foo:bar/a@0.0.1", "foo:bar/a@0.0.2", false),
            ("foo:bar", "foo:bar/a", true),
            ("foo:bar", "foo:baz", false),
            ("foo-bar", "foo-bar", false),
        ];
        for (a, b, conflict) in rows {
            let [a, b] = [a, b].map(|text| DependencyName::parse(text).unwrap());
            assert_eq!(a.conflicts_with(&b), conflict, "{a} {b}");
            assert_eq!(b.conflicts_with(&a), conflict, "{b} {a}");
        }
    }
}
