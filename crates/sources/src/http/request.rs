//! A request, and what becomes of it when a server sends it elsewhere.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use outport_manifest::shown_url;
use outport_policy::text;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION,
};
use reqwest::{Method, StatusCode, Url};

use super::{FetchError, FetchErrorKind, Reach, Response};

/// A request of the operator's client.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
    /// The server may have the body sent elsewhere.
    is_upload: bool,
    /// Where it may lead, if that is not where the client's requests do.
    pub(super) reach: Option<Reach>,
    /// It goes where it says, and nowhere else.
    pub(super) is_direct: bool,
}

/// The body of a request, which can be sent again.
#[derive(Clone, Default)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// These bytes, which say who asks, as a token does.
    Secret(Bytes),
    /// What is in a file, which must not change meanwhile.
    File {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        length: u64,
    },
}

impl Request {
    /// A request. User and password in the URL become an `Authorization` header.
    ///
    /// # Errors
    ///
    /// `url` is none, or not for HTTP.
    pub fn new(method: Method, url: &str) -> Result<Self, FetchError> {
        let url = Url::parse(url)
            .map_err(|error| FetchError::of_text(&shown_url(url), FetchErrorKind::Url(error.to_string())))?;
        Self::to(method, url)
    }

    /// A GET request.
    ///
    /// # Errors
    ///
    /// As [`new`](Request::new).
    pub fn get(url: &str) -> Result<Self, FetchError> {
        Self::new(Method::GET, url)
    }

    fn to(method: Method, mut url: Url) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme().to_owned();
            return Err(FetchError::new(&url, FetchErrorKind::Scheme(scheme)));
        }
        let mut headers = HeaderMap::new();
        if !url.username().is_empty() || url.password().is_some() {
            let decode = |text: &str| percent_decoded(text);
            let pair = format!(
                "{}:{}",
                decode(url.username()),
                decode(url.password().unwrap_or_default())
            );
            if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            // It has a host, being for HTTP, so these cannot fail.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        Ok(Self {
            method,
            url,
            headers,
            body: RequestBody::Empty,
            is_upload: false,
            reach: None,
            is_direct: false,
        })
    }

    /// The same with more headers, in place of those of the same name.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The same with a body, which goes to no other server than this one.
    #[must_use]
    pub fn with_body(mut self, body: RequestBody) -> Self {
        if let RequestBody::File { length, .. } = body {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.body = body;
        self
    }

    /// The same with a body that the server may have sent to another one.
    #[must_use]
    pub fn with_upload(mut self, body: RequestBody) -> Self {
        self.is_upload = true;
        self.with_body(body)
    }

    /// The same, which leads only to where `reach` permits: of what a server names, [`Response::reach`].
    #[must_use]
    pub fn within(self, reach: Reach) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }

    /// The same for the very server that the operator wrote down: also at a link-local address, where that is what he
    /// wrote. No redirect is followed.
    #[must_use]
    pub fn direct(self) -> Self {
        Self {
            is_direct: true,
            ..self
        }
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// True if it says who asks.
    pub(super) fn has_credentials(&self) -> bool {
        matches!(self.body, RequestBody::Secret(_))
            || CREDENTIALS.iter().any(|name| self.headers.contains_key(name))
    }

    /// True if sending it twice comes to the same as sending it once.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The time that its body may take, at 16 KiB a second.
    pub(super) fn time_to_send(&self) -> Duration {
        let bytes = match &self.body {
            RequestBody::Empty => 0,
            RequestBody::Bytes(bytes) | RequestBody::Secret(bytes) => bytes.len() as u64,
            RequestBody::File { length, .. } => *length,
        };
        Duration::from_secs(bytes / (16 << 10))
    }

    /// The request that follows from a redirect; none if the answer is no redirect, or one that is not for this request.
    pub(super) fn redirected(&self, response: &Response) -> Result<Option<Self>, FetchError> {
        let keeps_method = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => self.is_repeatable(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => false,
        };
        let Some(location) = response.headers().get(LOCATION).filter(|_| keeps_method) else {
            return Ok(None);
        };
        let fail = |kind| FetchError::new(&self.url, kind);
        let location = String::from_utf8_lossy(location.as_bytes());
        let mut url = self
            .url
            .join(&location)
            .map_err(|_| fail(FetchErrorKind::RedirectUrl(text::quote(&location).to_string())))?;
        match (self.url.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => {}
            ("https", "http") => return Err(fail(FetchErrorKind::RedirectToPlainHttp)),
            (_, other) => return Err(fail(FetchErrorKind::RedirectScheme(other.to_owned()))),
        }
        // What a server would have us say of ourselves is of no interest.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut next = self.clone();
        if url.origin() != self.url.origin() {
            let stays = match self.body {
                RequestBody::Empty => false,
                RequestBody::Bytes(_) | RequestBody::File { .. } => !self.is_upload,
                RequestBody::Secret(_) => true,
            };
            if stays {
                return Err(fail(FetchErrorKind::RedirectWithBody));
            }
            for name in CREDENTIALS {
                next.headers.remove(name);
            }
        }
        next.url = url;
        Ok(Some(next))
    }
}

impl RequestBody {
    pub(super) async fn open(&self) -> io::Result<reqwest::Body> {
        Ok(match self {
            Self::Empty => reqwest::Body::from(""),
            Self::Bytes(bytes) | Self::Secret(bytes) => reqwest::Body::from(bytes.clone()),
            Self::File { path, .. } => reqwest::Body::from(tokio::fs::File::open(path).await?),
        })
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Secret(_) => f.write_str("Secret"),
            Self::File { path, length } => write!(f, "File({}, {length})", text::path(path)),
        }
    }
}

fn percent_decoded(text: &str) -> String {
    // Of a form `key=value` the value alone, in which only percent signs mean something here.
    let escaped = text.replace('+', "%2B");
    let form = format!("v={escaped}");
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// The headers that say who asks.
const CREDENTIALS: [reqwest::header::HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_urls_become_a_header() {
        let rows = [
            ("https://u:p%40+@h/", Some("Basic dTpwQCs=")),
            ("https://u@h/", Some("Basic dTo=")),
            ("https://h/", None),
        ];
        for (url, expected) in rows {
            let request = Request::get(url).unwrap();
            let header = request.headers.get(AUTHORIZATION);
            assert_eq!(header.map(|value| value.to_str().unwrap()), expected, "{url}");
            assert_eq!(request.url.as_str(), "https://h/");
        }
    }

    #[test]
    fn only_http_is_asked() {
        for url in ["file:///etc/passwd", "ftp://h/", "data:,a", "h/a", ""] {
            assert!(Request::get(url).is_err(), "{url}");
        }
    }
}
