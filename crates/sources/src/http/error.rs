//! The reasons why something was not fetched.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use outport_policy::text;
use reqwest::{StatusCode, Url};

use super::place::Refused;

/// The reason why something was not fetched, and from where.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct FetchError {
    url: String,
    kind: FetchErrorKind,
}

/// The reason why something was not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// `--offline` is on.
    #[error("nothing is fetched with `--offline`")]
    Offline,
    /// It is no URL.
    #[error("it is no URL: {0}")]
    Url(String),
    /// Its scheme is not for HTTP.
    #[error("code is fetched by `https` or `http`, not by `{}`", text::quote(.0))]
    Scheme(String),
    /// The client could not be made.
    #[error("there is no HTTP client: {0}")]
    Client(String),
    /// The file that should be sent cannot be read.
    #[error("what should be sent cannot be read: {0}")]
    Body(io::Error),
    /// There was no connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke, or what came was not HTTP.
    #[error("the transfer broke off: {0}")]
    Broken(String),
    /// The server sent nothing for this long.
    #[error("the server stopped: nothing came for {} seconds", .0.as_secs_f64())]
    Stopped(Duration),
    /// The answer says that it is none.
    #[error("the server answers {status}{}", hint(*.status))]
    Status {
        /// The status.
        status: StatusCode,
    },
    /// The body has more bytes than it may.
    #[error("it has more than {0} bytes; `--max-download` sets the bound")]
    TooLarge(u64),
    /// The body is not what was expected.
    #[error(
        "what came has the digest sha256:{found}, not sha256:{expected}: the file was changed, or is another one"
    )]
    WrongDigest {
        /// The digest that it must have, in hexadecimal digits.
        expected: String,
        /// The digest that it has.
        found: String,
    },
    /// Redirects lead to redirects.
    #[error("it leads on more than {0} times")]
    TooManyRedirects(usize),
    /// A redirect leads from `https` to `http`.
    #[error("the server leads from https to http, where anybody could change what comes")]
    RedirectToPlainHttp,
    /// A redirect leads to another server with what was sent.
    #[error("the server leads to another one with what is sent, which is for this one alone")]
    RedirectWithBody,
    /// A redirect leads to something that is not HTTP.
    #[error("the server leads to a `{}` address", text::quote(.0))]
    RedirectScheme(String),
    /// A redirect leads to no URL.
    #[error("the server leads to `{0}`, which is no URL")]
    RedirectUrl(String),
    /// It is a link-local address or a metadata service.
    #[error("nothing is fetched from link-local addresses or metadata services")]
    ForbiddenAddress,
    /// A server outside, or an app from there, leads to this machine or a private network.
    #[error("a server outside leads to this machine or a private network")]
    RedirectInside,
    /// Credentials would go over plain HTTP.
    #[error("credentials are not sent over plain http, where anybody could read them")]
    PlainTextCredentials,
}

impl FetchError {
    pub(crate) fn new(url: &Url, kind: FetchErrorKind) -> Self {
        // What follows the `?` may be a signature that somebody else could use.
        let mut shown = url.clone();
        if shown.query().is_some() {
            shown.set_query(Some("…"));
        }
        shown.set_fragment(None);
        Self::of_text(&shown.as_str().replace("?%E2%80%A6", "?…"), kind)
    }

    pub(super) fn of_text(url: &str, kind: FetchErrorKind) -> Self {
        let url = text::quote(url).to_string();
        Self { url, kind }
    }

    /// The reason.
    pub fn kind(&self) -> &FetchErrorKind {
        &self.kind
    }

    /// The reason, without from where.
    pub fn into_kind(self) -> FetchErrorKind {
        self.kind
    }

    /// True if it may be otherwise the next moment.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FetchErrorKind::Connect(_) | FetchErrorKind::Broken(_))
    }

    /// True if the server has seen nothing of the request.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self.kind, FetchErrorKind::Connect(_))
    }
}

impl FetchErrorKind {
    pub(super) fn of(error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        // The outermost says only that a request failed, and the URL once more.
        let mut cause = error.source();
        let mut last = None;
        while let Some(source) = cause {
            if let Some(Refused(kind)) = source.downcast_ref() {
                return match kind {
                    Self::RedirectInside => Self::RedirectInside,
                    _ => Self::ForbiddenAddress,
                };
            }
            last = Some(source.to_string());
            cause = source.source();
        }
        let reason = text::quote(&last.unwrap_or_else(|| error.without_url().to_string())).to_string();
        if connecting {
            Self::Connect(reason)
        } else {
            Self::Broken(reason)
        }
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": it wants to know who asks",
        StatusCode::NOT_FOUND | StatusCode::GONE => ": there is no such file",
        _ => "",
    }
}
