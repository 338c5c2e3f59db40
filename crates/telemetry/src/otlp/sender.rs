//! One signal's way to its collector: by the operator's own client, tried again for as long as an export may take.
//!
//! | answer | what follows |
//! | --- | --- |
//! | 2xx | delivered, but for what the collector says that it rejects |
//! | none, 429, 502, 503, 504 | tried again, after the time that it asks for |
//! | anything else, redirects too | dropped |
//!
//! What is not delivered is dropped, and the reason is said once, until the collector takes something again.

use std::cell::Cell;
use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use outport_policy::text;
use outport_sources::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use outport_sources::http::{
    FetchError, FetchErrorKind, Fetcher, HeaderMap, HeaderValue, Method, Request, RequestBody, Response,
    StatusCode,
};
use rand::random;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::health::{Health, Trouble};
use super::settings::{Compression, Endpoint};
use super::signal::Signal;

/// The end of all exports: none as long as nobody has asked for it.
pub(super) type End = watch::Receiver<Option<Instant>>;

/// One signal's way to its collector.
pub(super) struct Sender {
    pub(super) signal: Signal,
    pub(super) endpoint: Endpoint,
    pub(super) client: Arc<Fetcher>,
    pub(super) health: Arc<Health>,
    pub(super) end: End,
    /// The time until which the collector wants nothing.
    pub(super) held: Cell<Option<Instant>>,
}

/// What a try came to.
enum Outcome {
    Delivered {
        body: Vec<u8>,
    },
    /// It may be otherwise the next moment, after the time that the collector asks for.
    Again(Trouble, Option<Duration>),
    Refused(Trouble),
}

impl Sender {
    /// Sends a message. Answers the body of the collector's answer, which [`rejected`](Sender::rejected) is to be told of;
    /// none if it was not delivered.
    pub(super) async fn send(&self, message: Vec<u8>) -> Option<Vec<u8>> {
        if let Some(held) = self.held.take() {
            self.pause(held.saturating_duration_since(Instant::now())).await?;
        }
        let deadline = Instant::now() + self.endpoint.timeout;
        let request = match self.request(message) {
            Ok(request) => request,
            Err(error) => {
                self.health.failed(self.signal, self.trouble(error));
                return None;
            }
        };
        let mut attempt = 0;
        let trouble = loop {
            let outcome = match self.before(deadline, self.attempt(&request)).await {
                Some(outcome) => outcome,
                None => {
                    break Trouble::of_server(&self.endpoint.url, "it does not answer in time".to_owned());
                }
            };
            match outcome {
                Outcome::Delivered { body } => return Some(body),
                Outcome::Refused(trouble) => break trouble,
                Outcome::Again(trouble, asked) => {
                    // A collector may ask for any time: none is no reason to ask again at once, and what it asks for
                    // holds for what comes next too.
                    let pause = asked.unwrap_or_default().max(wait(attempt));
                    attempt += 1;
                    if pause >= deadline.saturating_duration_since(Instant::now()) {
                        let held = asked.map(|asked| Instant::now() + asked.min(LONGEST_HOLD));
                        self.held.set(held);
                        break trouble;
                    }
                    if self.pause(pause).await.is_none() {
                        break trouble;
                    }
                }
            }
        };
        self.health.failed(self.signal, trouble);
        None
    }

    /// The number of records that the collector rejects, by what is in its answer. That it does is said once.
    pub(super) fn rejected(&self, partly: Option<(i64, String)>) -> u64 {
        let Some((number @ 1.., why)) = partly else {
            self.health.works(self.signal, &self.endpoint.url);
            return 0;
        };
        let why = format!("it rejects some of them: {}", text::quote(&why));
        self.health
            .failed(self.signal, Trouble::of_signal(&self.endpoint.url, why));
        number.unsigned_abs()
    }

    fn request(&self, message: Vec<u8>) -> Result<Request, FetchError> {
        let mut headers = self.endpoint.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let message = match self.endpoint.compression {
            Compression::None => message,
            Compression::Gzip => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                compressed(&message)
            }
        };
        let request = Request::new(Method::POST, self.endpoint.url.as_str())?;
        Ok(request
            .with_headers(headers)
            .with_body(RequestBody::Bytes(message.into()))
            .direct())
    }

    async fn attempt(&self, request: &Request) -> Outcome {
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(error) => {
                let may_help = error.is_transient() || matches!(error.kind(), FetchErrorKind::Stopped(_));
                let trouble = self.trouble(error);
                return if may_help {
                    Outcome::Again(trouble, None)
                } else {
                    Outcome::Refused(trouble)
                };
            }
        };
        self.answered(response).await
    }

    async fn answered(&self, response: Response) -> Outcome {
        let status = response.status();
        let asked = asked_for(response.headers());
        if status.is_success() {
            // An answer that breaks off was one. It is read so that its connection can be used again.
            let body = response.bytes(LARGEST_ANSWER).await.unwrap_or_default();
            return Outcome::Delivered { body };
        }
        let trouble = Trouble::of_signal(&self.endpoint.url, format!("it answers {status}"));
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Again(trouble, asked),
            _ => Outcome::Refused(trouble),
        }
    }

    fn trouble(&self, error: FetchError) -> Trouble {
        let why = error.into_kind().to_string();
        // What TLS and HTTP say when the other is spoken there.
        let hint = match self.endpoint.url.scheme() {
            "https" if why.contains("InvalidContentType") => {
                "; perhaps TLS is not spoken at this port, and the URL begins with `http://`"
            }
            "http" if why.contains("invalid HTTP version") => {
                "; perhaps this port is for gRPC, or the URL begins with `https://`"
            }
            _ => "",
        };
        Trouble::of_server(&self.endpoint.url, why + hint)
    }

    /// What comes of it before a time, and before the end of all.
    async fn before<T>(&self, deadline: Instant, act: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = act => Some(outcome),
            () = sleep_until(deadline) => None,
            () = ended(self.end.clone()) => None,
        }
    }

    /// Waits; answers nothing when the end is near, where nobody waits.
    async fn pause(&self, pause: Duration) -> Option<()> {
        let mut end = self.end.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => Some(()),
            _ = end.wait_for(Option::is_some) => None,
        }
    }
}

/// Waits until all has to be over.
pub(super) async fn ended(mut end: End) {
    let at = match end.wait_for(Option::is_some).await {
        Ok(at) => *at,
        Err(_) => None,
    };
    if let Some(at) = at {
        sleep_until(at).await;
    }
}

/// The wait that the collector asks for, in seconds; of a date nothing is made.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The wait after a try, of which the first is 0: longer each time, and not the same for all who failed at once.
fn wait(attempt: u32) -> Duration {
    let full = FIRST_WAIT * 2_u32.saturating_pow(attempt.min(5));
    full / 2 + full * u32::from(random::<u8>()) / 510
}

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    // Memory takes what is written.
    let _ = encoder.write_all(message);
    encoder.finish().unwrap_or_default()
}

/// The time for which a collector can have nothing sent to it.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 64 << 10;
