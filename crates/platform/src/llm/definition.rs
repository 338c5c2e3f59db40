//! What an operator configures of a model server, and what comes of its address.

use std::time::Duration;

use http::HeaderValue;
use outport_egress::Destination;
use outport_policy::{EntryError, Location, NameError, Scheme};
use url::Url;

use super::api::ModelApi;

/// What an operator configures.
pub struct ModelServerDefinition<'a> {
    /// `http://` or `https://`, a host, and where its API begins.
    pub url: &'a str,
    /// Shown to the server as a bearer token if it is not empty, and to nobody else.
    pub token: &'a str,
    /// What it understands.
    pub api: ModelApi,
    /// How long a call may take, from its beginning to the end of its answer. Of a new definition that is 60 seconds.
    pub time: Duration,
    /// Where all this is configured.
    pub location: Location,
}

/// Why an address or a token is not one of a model server. It tells nothing that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelServerError {
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

impl<'a> ModelServerDefinition<'a> {
    /// The server at `url`, with the time that is the default.
    pub fn new(url: &'a str, token: &'a str, api: ModelApi, location: Location) -> Self {
        Self {
            url,
            token,
            api,
            time: TIME,
            location,
        }
    }
}

/// Where to connect to.
pub(super) fn destination(url: &Url) -> Result<Destination, ModelServerError> {
    let scheme = match url.scheme() {
        "http" => Scheme::HTTP,
        "https" => Scheme::HTTPS,
        _ => return Err(ModelServerError::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ModelServerError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ModelServerError::Query);
    }
    let (host, port) = (url.host_str(), url.port_or_known_default());
    Destination::new(scheme, host.unwrap_or_default(), port.unwrap_or_default())
        .map_err(ModelServerError::Host)
}

/// What stands before the paths of the API.
pub(super) fn base(url: &Url, api: ModelApi) -> &str {
    let base = url.path().trim_end_matches('/');
    match api {
        ModelApi::Spin => base,
        // It is written with the version or without it, depending on whose documentation one reads.
        ModelApi::OpenAi => base.strip_suffix("/v1").unwrap_or(base),
    }
}

/// The host as the server knows itself, with its port where that is not the scheme's own.
pub(super) fn host_header(url: &Url, destination: &Destination) -> Result<HeaderValue, ModelServerError> {
    let host = destination.host();
    let host = url
        .port()
        .map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
    HeaderValue::try_from(host).map_err(|_| ModelServerError::Scheme)
}

/// How long a call may take, to the end of its answer.
const TIME: Duration = Duration::from_secs(60);
