//! The reason why no component can come from a source.

/// The reason why no component can come from a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// `source = { registry = … }`
    #[error("components from a registry are not supported")]
    Registry,
    /// A digest without `sha256:`.
    #[error("the digest does not start with `sha256:`")]
    DigestKind,
    /// A digest that is too short, too long or not hexadecimal.
    #[error("the digest is not 64 hexadecimal digits after `sha256:`")]
    DigestLength,
    /// A URL of another kind than HTTP.
    #[error("the URL is neither `https://` nor `http://`")]
    UrlScheme,
}

impl SourceError {
    pub(crate) fn help(&self) -> Option<String> {
        matches!(self, Self::Registry)
            .then(|| "download it and write its path: `source = \"app.wasm\"`".to_owned())
    }
}
