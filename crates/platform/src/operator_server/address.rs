//! What comes of the address of a server that an operator wrote.

use http::HeaderValue;
use outport_egress::Destination;
use outport_policy::{EntryError, NameError, Scheme};
use url::Url;

/// Why an address or a token is not one of a server. It tells nothing that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It is not a URL.
    #[error("is not a URL: {0}")]
    Url(url::ParseError),
    /// It is not `http` or `https`.
    #[error("is not one of `http` or `https`")]
    Scheme,
    /// It has a user or a password.
    #[error("has a user or a password, which is not sent; the token is")]
    UserInfo,
    /// It has a part behind the path.
    #[error("has a `?` or a `#`, and what is behind it would not be sent")]
    Query,
    /// Its host is not a name or an address.
    #[error("has no valid host: {0}")]
    Host(NameError),
    /// Nobody can listen there.
    #[error("cannot be connected to: {0}")]
    Place(EntryError),
    /// The token cannot be in a header of HTTP.
    #[error("comes with a token that cannot be sent in a header: it has to be printable ASCII")]
    Token,
}

/// Where to connect to.
pub(crate) fn destination(url: &Url) -> Result<Destination, ServerError> {
    let scheme = match url.scheme() {
        "http" => Scheme::HTTP,
        "https" => Scheme::HTTPS,
        _ => return Err(ServerError::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ServerError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ServerError::Query);
    }
    let (host, port) = (url.host_str(), url.port_or_known_default());
    Destination::new(scheme, host.unwrap_or_default(), port.unwrap_or_default()).map_err(ServerError::Host)
}

/// The host as the server knows itself, with its port where that is not the scheme's own.
pub(crate) fn host_header(url: &Url, destination: &Destination) -> Result<HeaderValue, ServerError> {
    let host = destination.host();
    let host = url
        .port()
        .map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    HeaderValue::try_from(host).map_err(|_| ServerError::Scheme)
}
