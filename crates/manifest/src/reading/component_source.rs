//! The source of a component's code.
//!
//! | written | code |
//! | --- | --- |
//! | `"app.wasm"` | a file, relative to the manifest |
//! | `{ url = "https://…", digest = "sha256:…" }` | a file on a web server, with this hash |
//! | `{ package = "ns:name", version = "1.0.0" }` | a package of the registry that is set for it, or of `registry` |
//! | `{ component = "other" }` | the code of another component of the app |

use std::fmt;

use crate::reading::dependency::read_component_id;
use crate::reading::fields::Node;
use crate::reading::package_request::{PackageRequest, read_exact_package};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::values::identifier::ComponentId;
use crate::values::server_url::ServerUrl;
use crate::values::source_error::{SourceError, is_url};

/// The source of a component's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file, relative to the manifest.
    Path(String),
    /// The source of another component of the app.
    Component(ComponentId),
    /// Somewhere else.
    Remote(Remote),
}

/// A source that is not beside the manifest: somebody fetches it before the app runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// A file on a web server.
    Url {
        /// The address that it is from.
        url: String,
        /// The hash that it must have.
        digest: Digest,
    },
    /// A package of a registry.
    Package(PackageRequest),
}

/// The URL without what may be secret, or the package and its versions.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => f.write_str(&shown_url(url)),
            Self::Package(package) => package.fmt(f),
        }
    }
}

/// A URL without user and password, and without what follows the `?`, which may be a signature that somebody else could
/// use. Of what is no URL only the scheme.
pub fn shown_url(url: &str) -> String {
    let [user, _] = ServerUrl::hidden_parts(url);
    let end = url.find(['?', '#']).unwrap_or(url.len()).max(user.end);
    let hidden = if user.is_empty() { "" } else { "…" };
    let query = if url[end..].starts_with('?') { "?…" } else { "" };
    format!("{}{hidden}{}{query}", &url[..user.start], &url[user.end..end])
}

/// A SHA-256 digest, written `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    /// Anything but `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let hex = text.strip_prefix("sha256:").ok_or(SourceError::DigestKind)?;
        if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(hex.to_ascii_lowercase()))
        } else {
            Err(SourceError::DigestLength)
        }
    }

    /// The 64 digits, in lower case.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// Reads `source`.
pub(crate) fn read_source(found: &mut Findings, node: Node<'_>) -> Option<Located<Source>> {
    if !node.is_table() {
        if !node.is_string() {
            return node.wrong_type(found, "a path or a table with `url` and `digest`");
        }
        return read_path(found, node).map(|path| path.map(Source::Path));
    }
    let mut fields = node.table(found, "`source`")?;
    if ["url", "component", "package"].iter().all(|key| !fields.has(key)) && fields.has("path") {
        found.report(&node.span(), Mistake::Source(SourceError::PathInTable));
        return None;
    }
    let is_package = ["registry", "package", "version"]
        .map(|key| fields.get(key).is_some())
        .contains(&true);
    let component = fields.get("component");
    let source = if let Some(component) = component {
        read_component_id(found, component).map(|id| Source::Component(id.value))
    } else if is_package {
        read_exact_package(found, &mut fields).map(|package| Source::Remote(Remote::Package(package)))
    } else {
        let url = fields
            .require(found, "url")
            .and_then(|node| read_url(found, node));
        let digest = fields
            .require(found, "digest")
            .and_then(|node| node.string(found))
            .and_then(|text| read_digest(found, &text));
        match (url, digest) {
            (Some(url), Some(digest)) => Some(Source::Remote(Remote::Url {
                url: url.value,
                digest,
            })),
            _ => None,
        }
    };
    fields.finish(found);
    Some(Located::new(source?, node.span()))
}

/// A string that is the path of a file.
pub(crate) fn read_path(found: &mut Findings, node: Node<'_>) -> Option<Located<String>> {
    let path = node.filled_string(found)?;
    if is_url(&path.value) {
        found.report(&path.span, Mistake::Source(SourceError::UrlAsPath));
        return None;
    }
    Some(path)
}

/// A string that is the URL of a file.
pub(crate) fn read_url(found: &mut Findings, node: Node<'_>) -> Option<Located<String>> {
    let url = node.filled_string(found)?;
    if !is_url(&url.value) {
        found.report(&url.span, Mistake::Source(SourceError::UrlScheme));
        return None;
    }
    Some(url)
}

/// A string that is a digest.
pub(crate) fn read_digest(found: &mut Findings, text: &Located<String>) -> Option<Digest> {
    let report = |found: &mut Findings, error: SourceError| found.report(&text.span, Mistake::Source(error));
    Digest::parse(&text.value)
        .map_err(|error| report(found, error))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_of_a_url_is_not_shown() {
        let rows = [
            ("https://h/a.wasm", "https://h/a.wasm"),
            ("https://h:1/a?token=SECRET#x", "https://h:1/a?…"),
            ("https://h/a#SECRET?x", "https://h/a"),
            ("https://u:SECRET@h/a?b", "https://…@h/a?…"),
            ("https://u:SECRET@[h/a?token=SECRET", "https://…"),
        ];
        for (url, expected) in rows {
            assert_eq!(shown_url(url), expected, "{url}");
        }
    }

    #[test]
    fn a_digest_is_sha256_and_64_digits() {
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        let rows = [
            (format!("sha256:{digits}"), Ok(digits.to_ascii_lowercase())),
            (digits.clone(), Err(SourceError::DigestKind)),
            (format!("sha512:{digits}"), Err(SourceError::DigestKind)),
            (format!("sha256:{}", &digits[1..]), Err(SourceError::DigestLength)),
            (format!("sha256:{digits}0"), Err(SourceError::DigestLength)),
            (
                format!("sha256:../{}", &digits[3..]),
                Err(SourceError::DigestLength),
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(
                Digest::parse(&text).map(|digest| digest.hex().to_owned()),
                expected,
                "{text}"
            );
        }
    }
}
