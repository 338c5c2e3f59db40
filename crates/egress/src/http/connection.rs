//! A connection to a server, and what was judged when it was made.

use std::sync::{Arc, Weak};

use http::header::CONNECTION;
use http::{HeaderMap, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use outport_policy::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{Error, WasiBody};

use super::errors;
use super::failure::{Delivery, Failure};
use super::heard::{Heard, Requests};
use crate::dial::{Destination, DialTarget, Paced, Stream, User};
use crate::followed::Followed;
use crate::host_account::HostAccount;
use crate::tls::server_name;

/// A connection that can take a request.
pub(super) struct Connection {
    /// Dropped before what sends: see [`End`].
    target: Arc<DialTarget>,
    sender: Sender,
    user: User,
    heard: Heard,
    /// Told when the server ends the connection; ends with the connection itself.
    followed: Weak<Followed>,
    used: bool,
}

enum Sender {
    Http1(http1::SendRequest<WasiBody>),
    Http2(http2::SendRequest<WasiBody>),
}

impl Connection {
    /// Speaks TLS where the scheme says so, and HTTP in the version that both sides know. The connection is driven
    /// by tasks of its own until nobody can send on it and the last answer is complete.
    pub(super) async fn establish(
        stream: Paced<Stream>,
        target: DialTarget,
        destination: &Destination,
        tls: &TlsConnector,
    ) -> Result<Self, Error> {
        let followed = stream.follower();
        if destination.scheme != Scheme::HTTPS {
            return Self::over(stream, followed, Version::HTTP_11, target).await;
        }
        let stream = tls
            .connect(
                server_name(&destination.host).map_err(|_| Error::HttpRequestUriInvalid)?,
                stream,
            )
            .await
            .map_err(|error| errors::of_tls(&error))?;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::HTTP_2,
            _ => Version::HTTP_11,
        };
        Self::over(stream, followed, version, target).await
    }

    /// Speaks HTTP of this version.
    async fn over<S>(
        stream: S,
        followed: Option<Arc<Followed>>,
        version: Version,
        target: DialTarget,
    ) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let target = Arc::new(target);
        let end = End {
            followed,
            target: Arc::downgrade(&target),
        };
        let followed = end.followed.as_ref().map(Arc::downgrade).unwrap_or_default();
        let user = User::default();
        let heard = Heard::default();
        let requests = match version {
            Version::HTTP_2 => Requests::Several,
            _ => Requests::OneAtATime,
        };
        let stream = heard.listen(stream, requests);
        let sender = match version {
            Version::HTTP_2 => http2(stream, &user, end).await?,
            _ => http1(stream, &user, end).await?,
        };
        Ok(Self {
            sender,
            target,
            user,
            heard,
            followed,
            used: false,
        })
    }

    /// The target, as it was judged.
    pub(super) fn target(&self) -> &Arc<DialTarget> {
        &self.target
    }

    /// The same connection for another request, if it takes several at a time.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                target: self.target.clone(),
                user: self.user.clone(),
                heard: self.heard.clone(),
                followed: self.followed.clone(),
                used: true,
            }),
        }
    }

    /// True if both are the same connection.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.target, &other.target)
    }

    /// True if it has served a request before.
    pub(super) fn was_used(&self) -> bool {
        self.used
    }

    /// Notes that it has served a request.
    pub(super) fn mark_used(&mut self) {
        self.used = true;
    }

    /// True if it can take a request now.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    /// Waits until it can take another request; an error if it never will.
    pub(super) async fn ready(&mut self) -> Result<(), Error> {
        let ready = match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await,
            Sender::Http2(sender) => sender.ready().await,
        };
        ready.map_err(|error| errors::of_hyper(&error))
    }

    /// Sends a request for `destination` and waits for the head of the answer. What the connection costs from now on is
    /// charged to `account`.
    pub(super) async fn send(
        &mut self,
        destination: &Destination,
        mut request: Request<WasiBody>,
        account: Option<&Arc<dyn HostAccount>>,
    ) -> Result<Response<Incoming>, Failure> {
        self.user.set(account);
        // What the server said before this request is no sign that it has seen this one.
        self.heard.forget();
        let (mut parts, body) = request.into_parts();
        let written = match &self.sender {
            Sender::Http1(_) => destination.write_http1(&mut parts.uri, &mut parts.headers),
            Sender::Http2(_) => destination.write_http2(&mut parts.uri, &mut parts.headers),
        };
        request = Request::from_parts(parts, body);
        if written.is_err() {
            return Err(Failure {
                error: Error::HttpRequestUriInvalid,
                delivery: Delivery::Perhaps,
            });
        }
        let sent = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        let answer = sent.map_err(|error| self.failure(error))?;
        // What hyper reads at once may be larger than its bound for what it holds.
        if head_size(answer.headers()) > MAX_HEAD {
            return Err(Failure {
                error: Error::HttpResponseHeaderSectionSize(None),
                delivery: Delivery::Perhaps,
            });
        }
        if is_last(&answer)
            && let Some(followed) = self.followed.upgrade()
        {
            followed.expect_end_by_peer();
        }
        Ok(answer)
    }

    fn failure(&self, mut error: TrySendError<Request<WasiBody>>) -> Failure {
        if error.take_message().is_some() {
            return Failure {
                error: errors::of_hyper(error.error()),
                delivery: Delivery::Unsent,
            };
        }
        Failure::of(error.error(), self.used && !self.heard.anything())
    }
}

/// Bytes of the headers, as HTTP/1.1 writes them.
fn head_size(headers: &HeaderMap) -> usize {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    sizes.sum()
}

/// True if the server closes the connection after this answer (RFC 9112, section 9.3).
fn is_last<B>(answer: &Response<B>) -> bool {
    let says = |word: &str| {
        let values = answer.headers().get_all(CONNECTION).into_iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|option| option.trim().eq_ignore_ascii_case(word))
    };
    match answer.version() {
        Version::HTTP_09 | Version::HTTP_10 => !says("keep-alive"),
        Version::HTTP_11 => says("close"),
        _ => false,
    }
}

async fn http1<S>(stream: S, user: &User, end: End) -> Result<Sender, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| errors::of_hyper(&error))?;
    drive(connection, user, end);
    Ok(Sender::Http1(sender))
}

async fn http2<S>(stream: S, user: &User, end: End) -> Result<Sender, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(user.clone());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| errors::of_hyper(&error))?;
    drive(connection, user, end);
    Ok(Sender::Http2(sender))
}

/// The party that ends a connection.
struct End {
    /// Not told before it is known.
    followed: Option<Arc<Followed>>,
    /// Lives as long as somebody could send on it.
    target: Weak<DialTarget>,
}

impl End {
    /// Notes that it has ended in order: as the server asked for, if somebody could still have sent on it. That may be
    /// before whoever sent a request has seen the answer.
    fn note(&self) {
        if self.target.strong_count() > 0
            && let Some(followed) = &self.followed
        {
            followed.expect_end_by_peer();
        }
    }
}

/// Drives a connection for as long as somebody can send on it; its stream is closed with the last answer that is under
/// way.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static, user: &User, end: End) {
    let driven = user.clone().pay(connection);
    tokio::spawn(async move {
        match driven.await {
            Some(Ok(())) => end.note(),
            Some(Err(error)) => tracing::debug!(%error, "a connection of outgoing HTTP ended"),
            None => tracing::debug!("a connection of outgoing HTTP was busy although nobody used it"),
        }
    });
}

/// Bytes of the head of an answer of HTTP/1.1, and of what is read ahead of its body.
const MAX_HEAD: usize = 128 * 1024;

/// Bytes that a server of HTTP/2 may send for one answer before the guest reads them.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for all answers on one connection.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

#[cfg(test)]
mod tests;
