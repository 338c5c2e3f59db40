//! The reason why no component can come from a source.

/// The reason why no component can come from a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A version that is none.
    #[error("`{0}` is not a version")]
    Version(String),
    /// A range of versions that is none.
    #[error("`{0}` is not a range of versions")]
    VersionRange(String),
    /// A name that no package can have.
    #[error("`{0}` is not the name of a package")]
    PackageName(String),
    /// A registry that is none.
    #[error("`{0}` is not a registry")]
    RegistryName(String),
    /// A component whose source is another one's, whose source is its own in the end.
    #[error("the source of `{0}` leads back to itself")]
    Circle(String),
    /// A digest without `sha256:`.
    #[error("the digest does not start with `sha256:`")]
    DigestKind,
    /// A digest that is too short, too long or not hexadecimal.
    #[error("the digest is not 64 hexadecimal digits after `sha256:`")]
    DigestLength,
    /// A URL in the place of a path.
    #[error("a file on a web server is given with its digest, not by its URL alone")]
    UrlAsPath,
    /// A path in a table, which a source is without one.
    #[error("a source that is a file is written as its path alone")]
    PathInTable,
    /// A URL of another kind than HTTP.
    #[error("the URL is neither `https://` nor `http://`")]
    UrlScheme,
}

impl SourceError {
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::Version(_) => "write it in full, such as `1.2.0`; a component has one version".to_owned(),
            Self::UrlAsPath => URL.to_owned(),
            Self::PathInTable => "write `source = \"app.wasm\"`".to_owned(),
            Self::VersionRange(text) if is_url(text) => URL.to_owned(),
            Self::VersionRange(text) if text.contains('/') || text.ends_with(".wasm") => {
                "a file is written `{ path = \"…\" }`".to_owned()
            }
            Self::VersionRange(_) => "write it as `1.2`, `=1.2.3` or `>=1.0, <3`".to_owned(),
            Self::PackageName(_) => "write namespace and name, such as `my-namespace:my-package`".to_owned(),
            Self::RegistryName(_) => "write its host, such as `registry.example.com`".to_owned(),
            _ => return None,
        })
    }
}

/// How a file on a web server is written.
const URL: &str = "write `{ url = \"https://…\", digest = \"sha256:…\" }`";

/// True for the address of a file on a web server, which is no path.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
