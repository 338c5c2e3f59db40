//! A package of a registry: whose name, from which registry, in which versions.

use std::fmt;

use outport_policy::text;
use semver::{Version, VersionReq};

use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::values::identifier::check_kebab;
use crate::values::source_error::SourceError;

/// A package of a registry, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageRequest {
    /// `namespace:name`
    pub name: String,
    /// The registry, if the manifest names one: a host, perhaps with a port.
    pub registry: Option<String>,
    /// The versions that will do.
    pub versions: VersionRange,
}

/// The versions of a package that will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionRange {
    /// This one.
    Exact(Version),
    /// Those in a range, as `>=1.0, <3` or `1.2`, which is the same as `^1.2`.
    Range(VersionReq),
}

impl VersionRange {
    /// True if a version will do. One with a pre-release tag only does where the range names one of the same version.
    pub fn includes(&self, version: &Version) -> bool {
        match self {
            Self::Exact(exact) => exact == version,
            Self::Range(range) => range.matches(version),
        }
    }
}

/// `=1.2.3`, or the range in its canonical form.
impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => write!(f, "={version}"),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// `namespace:name ^1.2`
impl fmt::Display for PackageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.versions)
    }
}

/// Reads `package`, `version` and `registry` of a source, where the version is one.
pub(crate) fn read_exact_package(found: &mut Findings, fields: &mut Fields<'_>) -> Option<PackageRequest> {
    let name = fields
        .require(found, "package")
        .and_then(|node| read_package_name(found, node));
    let registry = read_registry(found, fields);
    let version = fields.require(found, "version")?.filled_string(found)?;
    let versions = match Version::parse(version.value.trim()) {
        Ok(exact) => VersionRange::Exact(exact),
        Err(_) => return report(found, &version, SourceError::Version),
    };
    Some(PackageRequest {
        name: name?.value,
        registry: registry.ok()?,
        versions,
    })
}

/// A string that is a range of versions.
pub(crate) fn read_range(found: &mut Findings, node: Node<'_>) -> Option<VersionRange> {
    let range = node.filled_string(found)?;
    match VersionReq::parse(range.value.trim()) {
        Ok(parsed) => Some(VersionRange::Range(parsed)),
        Err(_) => report(found, &range, SourceError::VersionRange),
    }
}

/// A string that is the name of a package.
pub(crate) fn read_package_name(found: &mut Findings, node: Node<'_>) -> Option<Located<String>> {
    let name = node.filled_string(found)?;
    let parts = name.value.split_once(':');
    if parts.is_some_and(|(namespace, bare)| check_kebab(namespace).is_ok() && check_kebab(bare).is_ok()) {
        Some(name)
    } else {
        report(found, &name, SourceError::PackageName)
    }
}

/// Reads `registry`.
///
/// # Errors
///
/// It is there, and no registry.
pub(crate) fn read_registry(found: &mut Findings, fields: &mut Fields<'_>) -> Result<Option<String>, ()> {
    let Some(node) = fields.get("registry") else {
        return Ok(None);
    };
    let registry = node.filled_string(found).ok_or(())?;
    let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if registry.value.chars().all(is_of_a_host) {
        Ok(Some(registry.value.to_ascii_lowercase()))
    } else {
        report::<()>(found, &registry, SourceError::RegistryName);
        Err(())
    }
}

fn report<T>(found: &mut Findings, wrong: &Located<String>, error: fn(String) -> SourceError) -> Option<T> {
    let quoted = text::quote(&wrong.value).to_string();
    found.report(&wrong.span, Mistake::Source(error(quoted)));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_versions_will_do() {
        let range = |text: &str| VersionRange::Range(VersionReq::parse(text).unwrap());
        let version = |text: &str| Version::parse(text).unwrap();
        let rows: [(VersionRange, &str, bool); 10] = [
            (VersionRange::Exact(version("1.2.3")), "1.2.3", true),
            (VersionRange::Exact(version("1.2.3")), "1.2.4", false),
            (VersionRange::Exact(version("1.0.0-rc.1")), "1.0.0-rc.1", true),
            (range("1.0"), "1.9.9", true),
            (range("1.0"), "2.0.0", false),
            (range("0.1"), "0.2.0", false),
            (range(">=1.0, <3"), "2.5.0", true),
            (range("*"), "0.0.1", true),
            (range(">=1.0"), "1.1.0-rc.1", false),
            (range(">=1.1.0-rc.1"), "1.1.0-rc.2", true),
        ];
        for (range, text, expected) in rows {
            assert_eq!(range.includes(&version(text)), expected, "{range} {text}");
        }
    }
}
