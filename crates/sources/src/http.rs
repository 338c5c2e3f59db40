//! The operator's HTTP client, which fetches code before any of it runs, and sends telemetry.
//!
//! It is configured as `curl` is: proxies from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, authorities from
//! this machine or `SSL_CERT_FILE`. What servers answer is not trusted:
//!
//! - Redirects are followed by hand, ten at most, from `https` only to `https`. Nothing that says who asks
//!   (`Authorization`, cookies) goes on to another server, and a body only where it is an upload.
//! - Where a request may lead is in [`place`]: never to link-local addresses, and never from outside to the inside.
//! - Bodies have a bound, and a server that stops sending is not waited for.
//! - What may be better the next moment is asked again, a few times and with growing waits: connections that fail, and
//!   answers that say so (429, 5xx).
//!
//! Credentials, in headers or in a body, never go over plain HTTP, but to this machine.

mod error;
mod place;
mod request;
mod response;
mod retry;
mod tls;

use std::sync::OnceLock;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect;

pub use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode, Url};

pub use self::error::{FetchError, FetchErrorKind};
pub use self::place::Reach;
use self::place::{Guarded, Place};
pub use self::request::{Request, RequestBody};
pub use self::response::Response;

/// How the client fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchOptions {
    /// Nothing is asked at all: each request ends with [`FetchErrorKind::Offline`]. Off by default.
    pub offline: bool,
    /// Bytes of one body. 512 MiB by default.
    pub max_size: u64,
    /// The time to connect, names and TLS included. 10 seconds by default.
    pub connect_timeout: Duration,
    /// The time without any byte after which a server has stopped. 30 seconds by default.
    pub stall_timeout: Duration,
    /// How often a request is sent before its failure counts. 4 by default.
    pub attempts: u32,
    /// Where requests may lead that do not say it themselves. Anywhere by default.
    pub reach: Reach,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            offline: false,
            max_size: 512 << 20,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            attempts: 4,
            reach: Reach::Anywhere,
        }
    }
}

/// The operator's HTTP client. It costs nothing before the first request.
pub struct Fetcher {
    options: FetchOptions,
    proxies: Matcher,
    clients: OnceLock<Result<Clients, String>>,
}

/// One client for each answer to where a request may lead, so that no connection is shared between them.
struct Clients {
    anywhere: reqwest::Client,
    outside: reqwest::Client,
    by_proxy: reqwest::Client,
}

impl Fetcher {
    /// A client.
    pub fn new(options: FetchOptions) -> Self {
        Self {
            options,
            proxies: Matcher::from_env(),
            clients: OnceLock::new(),
        }
    }

    /// What it was made with.
    pub fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// Sends a GET request.
    ///
    /// # Errors
    ///
    /// As [`send`](Fetcher::send).
    pub async fn get(&self, url: &str, headers: HeaderMap) -> Result<Response, FetchError> {
        self.send(&Request::get(url)?.with_headers(headers)).await
    }

    /// Sends a request, follows redirects, and asks again where that may help. An answer with any status is an answer;
    /// [`Response::success`] tells.
    ///
    /// # Errors
    ///
    /// There is no answer, or it leads to where no request may go.
    pub async fn send(&self, request: &Request) -> Result<Response, FetchError> {
        let mut attempt = 1;
        loop {
            let outcome = self.follow(request).await;
            let again = match &outcome {
                Ok(response) => request.is_repeatable() && retry::may_help(response.status()),
                Err(error) => error.is_transient() && (request.is_repeatable() || error.was_not_sent()),
            };
            if !again || attempt >= self.options.attempts {
                return outcome;
            }
            let asked = outcome.as_ref().ok().and_then(retry::asked_for);
            tokio::time::sleep(retry::wait(attempt, asked)).await;
            attempt += 1;
        }
    }

    async fn follow(&self, request: &Request) -> Result<Response, FetchError> {
        let mut request = request.clone();
        let mut reach = request.reach.unwrap_or(self.options.reach);
        for _ in 0..=MAX_REDIRECTS {
            let by_proxy = self.is_proxied(&request.url);
            let response = self.send_once(&request, reach, by_proxy).await?;
            if request.is_direct {
                return Ok(response);
            }
            let Some(next) = request.redirected(&response)? else {
                return Ok(response);
            };
            reach = response.reach();
            request = next;
        }
        Err(FetchError::new(
            &request.url,
            FetchErrorKind::TooManyRedirects(MAX_REDIRECTS),
        ))
    }

    async fn send_once(
        &self,
        request: &Request,
        reach: Reach,
        by_proxy: bool,
    ) -> Result<Response, FetchError> {
        let url = &request.url;
        let fail = |kind| FetchError::new(url, kind);
        if self.options.offline {
            return Err(fail(FetchErrorKind::Offline));
        }
        // What a name stands for is looked at by the resolver, or is the proxy's matter.
        if let Some(place) = Place::of_url(url).filter(|_| !request.is_direct) {
            reach.permit(place).map_err(fail)?;
        }
        if request.has_credentials()
            && url.scheme() != "https"
            && (by_proxy || Place::of_url(url) != Some(Place::Loopback))
        {
            return Err(fail(FetchErrorKind::PlainTextCredentials));
        }
        let clients = self.clients.get_or_init(|| Clients::new(&self.options));
        let clients = clients
            .as_ref()
            .map_err(|error| fail(FetchErrorKind::Client(error.clone())))?;
        let client = match (by_proxy, reach) {
            (true, _) => &clients.by_proxy,
            (false, Reach::Anywhere) => &clients.anywhere,
            (false, Reach::Outside) => &clients.outside,
        };
        let time = self.options.stall_timeout + self.options.connect_timeout + request.time_to_send();
        let body = request
            .body
            .open()
            .await
            .map_err(|error| fail(FetchErrorKind::Body(error)))?;
        let sending = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .body(body)
            .send();
        let answered = tokio::time::timeout(time, sending).await;
        match answered {
            Ok(Ok(response)) => Ok(Response::new(
                response,
                url.clone(),
                (reach, by_proxy),
                &self.options,
            )),
            Ok(Err(error)) => Err(fail(FetchErrorKind::of(error))),
            Err(_) => Err(fail(FetchErrorKind::Stopped(self.options.stall_timeout))),
        }
    }

    fn is_proxied(&self, url: &Url) -> bool {
        let Ok(uri) = url.as_str().parse() else {
            return false;
        };
        self.proxies.intercept(&uri).is_some()
    }
}

impl Clients {
    fn new(options: &FetchOptions) -> Result<Self, String> {
        let tls = tls::config();
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(USER_AGENT)
                .connect_timeout(options.connect_timeout)
        };
        let built = |builder: reqwest::ClientBuilder| builder.build().map_err(|error| error.to_string());
        Ok(Self {
            anywhere: built(builder().no_proxy().dns_resolver(Guarded(Reach::Anywhere)))?,
            outside: built(builder().no_proxy().dns_resolver(Guarded(Reach::Outside)))?,
            by_proxy: built(builder())?,
        })
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The wait before a transfer that broke off is begun again, after so many attempts.
pub(crate) fn wait_before_retry(attempts: u32) -> Duration {
    retry::wait(attempts, None)
}

/// As many as Spin's client follows.
const MAX_REDIRECTS: usize = 10;

const USER_AGENT: &str = concat!("outport/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
