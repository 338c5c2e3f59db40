//! The pages: from a request to a response.
//!
//! | path | answer |
//! | --- | --- |
//! | `/SECRET/` | the page, in HTML |
//! | `/SECRET/page.css`, `….js`, `icon.svg` | what it is made of |
//! | `/SECRET/events`, `events?since=ID` | the [stream](super::stream), from its beginning or behind the message with that id |
//!
//! All of it is in the program; the page loads nothing from elsewhere, and its policy would not let it.
//!
//! A request is held against these, in this order, and gets an empty 404 if one does not hold, so that nobody learns which:
//!
//! 1. `Host` is the address of the listener, or `localhost` with its port. A name that somebody has lead here (DNS
//!    rebinding) is none.
//! 2. The path begins with the secret.
//! 3. It comes from no other page: `Sec-Fetch-Site`, where the browser says it, is `same-origin` or `none`, and `Origin` is
//!    the listener's own. A page of a guest at another port of this machine is *same-site*, and refused as well.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, ORIGIN, RETRY_AFTER,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::secret::Secret;
use super::stream::{Slots, Stream};
use super::{CONNECTIONS, Dashboard};
use crate::connections::{Answers, Progress};

/// Who answers.
#[derive(Clone)]
pub(super) struct Pages(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    secret: Secret,
    dashboard: Dashboard,
    streams: Slots,
}

/// A part of the page, in the program.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "",
        content_type: "text/html; charset=utf-8",
        text: include_str!("page/page.html"),
    },
    Asset {
        name: "page.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("page/page.css"),
    },
    Asset {
        name: "page.js",
        content_type: SCRIPT,
        text: include_str!("page/page.js"),
    },
    Asset {
        name: "picture.js",
        content_type: SCRIPT,
        text: include_str!("page/picture.js"),
    },
    Asset {
        name: "tables.js",
        content_type: SCRIPT,
        text: include_str!("page/tables.js"),
    },
    Asset {
        name: "words.js",
        content_type: SCRIPT,
        text: include_str!("page/words.js"),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What is sent: one piece, or a stream.
pub(super) enum Answer {
    Whole(Option<Bytes>),
    Stream(Box<Stream>),
}

impl Pages {
    pub(super) fn new(address: SocketAddr, secret: Secret, dashboard: Dashboard) -> Self {
        Self(Arc::new(Inner {
            address,
            secret,
            dashboard,
            streams: Slots::default(),
        }))
    }

    /// What is asked for behind the secret; none if the request is not to be answered.
    fn asked<'r, B>(&self, request: &'r Request<B>) -> Option<&'r str> {
        let (headers, path) = (request.headers(), request.uri().path());
        if !self.is_called(headers) || request.uri().authority().is_some() {
            return None;
        }
        let path = path.strip_prefix('/')?;
        let (secret, asked) = match path.split_once('/') {
            Some((secret, asked)) => (secret, Some(asked)),
            None => (path, None),
        };
        if !self.0.secret.is(secret) || self.comes_from_elsewhere(headers) {
            return None;
        }
        // Without the slash what the page loads would be looked for beside it.
        Some(asked.unwrap_or(BESIDE))
    }

    /// True if the browser believes to speak with this listener.
    fn is_called(&self, headers: &HeaderMap) -> bool {
        only(headers, &HOST).is_some_and(|host| self.is_own(host))
    }

    fn is_own(&self, authority: &str) -> bool {
        authority == self.0.address.to_string() || authority == format!("localhost:{}", self.0.address.port())
    }

    fn comes_from_elsewhere(&self, headers: &HeaderMap) -> bool {
        let site = HeaderName::from_static("sec-fetch-site");
        let is_here = |value: &str| ["same-origin", "none"].contains(&value);
        let from_a_site = headers.contains_key(&site) && !only(headers, &site).is_some_and(is_here);
        let is_own = |value: &str| {
            let authority = value.strip_prefix("http://");
            authority.is_some_and(|authority| self.is_own(authority))
        };
        from_a_site || headers.contains_key(ORIGIN) && !only(headers, &ORIGIN).is_some_and(is_own)
    }

    fn page<B>(&self, asked: &str, request: &Request<B>, connection: &Progress) -> Response<Answer> {
        if asked == BESIDE {
            let mut response = text(StatusCode::PERMANENT_REDIRECT, "");
            let location = format!("/{}/", self.0.secret.as_str());
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(LOCATION, location);
            }
            return response;
        }
        if asked == "events" {
            return self.events(request, connection);
        }
        match ASSETS.iter().find(|asset| asset.name == asked) {
            Some(asset) => {
                let mut response = text(StatusCode::OK, asset.text);
                let content_type = HeaderValue::from_static(asset.content_type);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            None => text(StatusCode::NOT_FOUND, ""),
        }
    }

    fn events<B>(&self, request: &Request<B>, connection: &Progress) -> Response<Answer> {
        // What a browser says by itself when it connects again is newer than what the page said first.
        let by_browser = only(request.headers(), &HeaderName::from_static("last-event-id"));
        let by_page = request
            .uri()
            .query()
            .and_then(|query| query.strip_prefix("since="));
        let seen = by_browser.or(by_page).and_then(|id| id.parse().ok());
        let Some(stream) = Stream::open(&self.0.dashboard, seen, &self.0.streams) else {
            let mut response = text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the dashboard is open in too many places: close one\n",
            );
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return response;
        };
        connection.go_on();
        let mut response = Response::new(Answer::Stream(Box::new(stream)));
        let content_type = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }
}

/// The page, asked for without the slash behind the secret.
const BESIDE: &str = "..";

impl Answers for Pages {
    type Body = Answer;

    const LISTENER: &'static str = "the dashboard";

    const CONNECTIONS: usize = CONNECTIONS;

    // A browser on the same machine asks at once; a guest that may connect there can come again and again.
    const STANDSTILL: Duration = Duration::from_millis(100);

    fn answer(&self, request: &Request<Incoming>, connection: &Arc<Progress>) -> Response<Answer> {
        let mut response = match self.asked(request) {
            None => text(StatusCode::NOT_FOUND, ""),
            Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
                let mut response = text(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "there is nothing to do here but to read\n",
                );
                let methods = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(ALLOW, methods);
                response
            }
            // What a stream would send is not known, and it needs no place for that.
            Some("events") if *request.method() == Method::HEAD => text(StatusCode::OK, ""),
            Some(asked) => self.page(asked, request, connection),
        };
        for (name, value) in HEADERS {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            response.headers_mut().insert(name, value);
        }
        if *request.method() == Method::HEAD {
            *response.body_mut() = Answer::Whole(None);
        }
        response
    }
}

/// What every answer has: also those to people who are not to know that there is a dashboard, since they have no less of
/// a browser.
const HEADERS: &[(&str, &str)] = &[
    ("cache-control", "no-store"),
    ("content-security-policy", POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// Scripts, styles, the icon and the stream are the listener's own files; nothing in the page itself is a script or a style,
/// and no text becomes a part of the page by being parsed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

fn text(status: StatusCode, text: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    if !text.is_empty() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
    }
    response
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Stream(stream) => Pin::new(&mut **stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
