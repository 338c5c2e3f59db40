//! The source of a component's code: a file beside the manifest, or one from elsewhere that is in the cache.

use std::fmt;

use crate::reading::fields::Node;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::source::Located;
use crate::values::source_error::SourceError;

/// The source of a component's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file, relative to the manifest.
    Path(String),
    /// A file from elsewhere that is in the cache already.
    Url {
        /// The address that it is from.
        url: String,
        /// The hash that it must have.
        digest: Digest,
    },
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
        return Some(node.filled_string(found)?.map(Source::Path));
    }
    let mut fields = node.table(found, "`source`")?;
    let registry = fields
        .get("registry")
        .or_else(|| fields.get("package"))
        .or_else(|| fields.get("version"));
    if registry.is_some() {
        found.report(&node.span(), Mistake::Source(SourceError::Registry));
        return None;
    }
    let url = fields
        .require(found, "url")
        .and_then(|node| node.filled_string(found));
    let digest = fields
        .require(found, "digest")
        .and_then(|node| node.string(found));
    fields.finish(found);
    if let Some(url) = &url
        && !url.value.starts_with("https://")
        && !url.value.starts_with("http://")
    {
        found.report(&url.span, Mistake::Source(SourceError::UrlScheme));
    }
    let digest = digest.and_then(|text| read_digest(found, &text))?;
    Some(Located::new(
        Source::Url {
            url: url?.value,
            digest,
        },
        node.span(),
    ))
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
