//! One connection of a client: HTTP/1.1, or HTTP/2 for a client who begins with it; within TLS as was agreed on.
//!
//! Whatever a client owes has a time limit, so that nobody keeps a connection who does nothing with it:
//!
//! | what a client owes | time | otherwise |
//! | --- | --- | --- |
//! | the first bytes; where TLS is spoken, all of the [handshake](super::tls) | [`header_timeout`](super::ServerLimits::header_timeout) | the connection ends |
//! | the rest of a request's headers, and of HTTP/1.1 the next request | the same | the connection ends |
//! | of HTTP/2 a request, with none under way: pings, or headers that never end, are none | the same for the first, then [`client_timeout`](super::ServerLimits::client_timeout) | the connection ends |
//! | to go on with a request's body, while its guest reads | `client_timeout` | the guest gets an error |
//! | to read on: of HTTP/1.1 a part of what was written, of HTTP/2 a part of a body ([`Streams`]) | `client_timeout` | the connection ends; of HTTP/2 the stream |
//! | to have read the whole response | the longest time of a guest, and `client_timeout` | the same |
//!
//! When the server stops, a client may be about to send a request, and would not know whether it was taken if the
//! connection were closed. So HTTP/1.1 answers what still comes with `Connection: close`, and closes a connection only when
//! it was idle for [`linger`](super::ServerLimits::linger). HTTP/2 says by GOAWAY which requests it takes. Who has begun
//! something and does not go on is idle, too, and who goes on byte by byte is so after twice that time: the end of a
//! handshake, or of a request's headers, is not waited for. Neither is a client of HTTP/2 with nothing under way that does
//! not answer.
//!
//! What a connection may cost beside its requests, in bytes: of HTTP/1.1 [`MAX_HEADERS`] for headers, of which nothing
//! is taken before it comes, and as much again for what is to be written; of HTTP/2 [`CONNECTION_WINDOW`] for bodies
//! that nobody reads yet, [`MAX_HEADER_LIST`] for the headers of each of [`MAX_STREAMS`] requests, and [`SEND_BUFFER`]
//! for what each of them has to write. TLS keeps as much as that
//! again in either direction, at most.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::client_body::{OutgoingBody, RequestBody, Seen};
use super::client_socket::{ClientSocket, ResponseClock, UnderWay};
use super::clients::{Client, ConnectionSlot};
use super::leaving::Leave;
use super::router::Router;
use super::streams::Streams;
use super::tls::{Handshakes, HttpVersion, Secured, TlsFacts, Turns};
use super::transport::Transport;
use super::wanted_body::{ClientConnection, Presence};

/// A connection.
pub(super) struct Connection {
    pub(super) shared: Arc<ConnectionInner>,
    /// Counts it for as long as it is open.
    pub(super) _slot: ConnectionSlot,
    /// Tells of the server's end.
    pub(super) leave: Leave,
    /// Where TLS is spoken, its handshakes, and the turns that those of this worker take.
    pub(super) handshakes: Option<(Arc<Handshakes>, Arc<Turns>)>,
}

/// The part that a connection and its requests share.
pub(super) struct ConnectionInner {
    pub(super) router: Arc<Router>,
    pub(super) client: Arc<Client>,
    pub(super) address: SocketAddr,
    pub(super) times: Times,
}

/// The times that a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// For the headers of a request.
    pub(super) header: Duration,
    /// For anything else, without a byte or a request.
    pub(super) client: Duration,
    /// For a whole response. `None` is no limit.
    pub(super) response: Option<Duration>,
}

impl Connection {
    /// Serves a connection until one side ends it, or until the server stops.
    pub(super) async fn serve(self, socket: TcpStream) {
        let address = self.shared.address;
        // Only HTTP/1.1 starts it.
        let clock = Arc::new(ResponseClock::new(self.shared.times.response));
        let ended = match self.begin(socket, &clock).await {
            Some((HttpVersion::Http1, transport, tls)) => self.serve_http1(transport, clock, tls).await,
            Some((HttpVersion::Http2, transport, tls)) => self.serve_http2(transport, &clock, tls).await,
            // The client left, or had nothing to say.
            None => Ok(()),
        };
        if let Err(error) = ended {
            // That a response was not whole was told when its body ended.
            tracing::debug!(%address, %error, "a connection broke");
        }
    }

    /// Finds out what the client speaks, and speaks TLS where that is spoken. Who says nothing is not waited for when the
    /// server stops.
    async fn begin(
        &self,
        socket: TcpStream,
        clock: &Arc<ResponseClock>,
    ) -> Option<(HttpVersion, Transport, Option<TlsFacts>)> {
        let times = self.shared.times;
        let mut leave = self.leave.clone();
        let bounded = |socket| ClientSocket::new(socket, times.client, Arc::clone(clock));
        if let Some((handshakes, turns)) = &self.handshakes {
            let client = (socket, self.shared.address);
            let secured = handshakes.secure(client, turns, (leave, clock), bounded);
            let Secured {
                stream,
                version,
                facts,
            } = secured.await?;
            return Some((version, Transport::Tls(stream), Some(facts)));
        }
        let version = tokio::select! {
            biased;
            first = timeout(times.header, first_words(&socket)) => first.ok()?.ok()?,
            () = leave.lingered() => return None,
        };
        Some((version, Transport::Plain(bounded(socket)), None))
    }

    async fn serve_http1(
        mut self,
        transport: Transport,
        clock: Arc<ResponseClock>,
        tls: Option<TlsFacts>,
    ) -> hyper::Result<()> {
        let times = self.shared.times;
        let client_connection = ClientConnection::new();
        let present = Arc::new(Present {
            shared: self.shared,
            presence: client_connection.presence(),
            leave: self.leave.clone(),
            tls,
        });
        let requests = Arc::clone(&clock);
        let answer = service_fn(move |request| {
            let under_way = requests.start();
            client_connection.next_request();
            answer_http1(Arc::clone(&present), request, under_way)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(times.header)
            .max_buf_size(MAX_HEADERS)
            .max_header_size(MAX_HEADERS)
            .serve_connection(TokioIo::new(transport), answer);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            () = self.leave.without_request(&clock) => connection.as_mut().graceful_shutdown(),
        }
        match poll_once(connection.as_mut()).await {
            Some(ended) => ended,
            // There is the beginning of a request, whose end nobody waits for.
            None if clock.is_idle() => Ok(()),
            // All of one has come in the last moment.
            None => connection.await,
        }
    }

    async fn serve_http2(
        mut self,
        transport: Transport,
        clock: &ResponseClock,
        tls: Option<TlsFacts>,
    ) -> hyper::Result<()> {
        let times = self.shared.times;
        let streams = Streams::new(times.client, times.response);
        let client_connection = ClientConnection::new();
        let present = Arc::new(Present {
            shared: self.shared,
            presence: client_connection.presence(),
            leave: self.leave.clone(),
            tls,
        });
        let answer = service_fn(move |request| answer(Arc::clone(&present), request, None, PART));
        let connection = http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            // Pings find clients that are gone.
            .keep_alive_interval(times.header)
            .keep_alive_timeout(times.header)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .serve_connection(TokioIo::new(transport), answer);
        let mut connection = pin!(connection);
        let mut look = Instant::now() + times.header.min(times.client);
        loop {
            tokio::select! {
                biased;
                linger = self.leave.asked() => {
                    connection.as_mut().graceful_shutdown();
                    return tokio::select! {
                        biased;
                        ended = connection => ended,
                        () = unanswered(&streams, clock, linger) => Ok(()),
                    };
                }
                ended = &mut connection => return ended,
                () = sleep_until(look) => {}
            }
            let now = Instant::now();
            match streams.idle_until(times.header) {
                None => look = now + times.client,
                Some(due) if due > now => look = due,
                Some(_) if !streams.were_used() => return Ok(()),
                Some(_) => break,
            }
        }
        // The client is told, and may end what it began a moment ago.
        connection.as_mut().graceful_shutdown();
        let leave = times.header.min(times.client);
        timeout(leave, connection).await.unwrap_or(Ok(()))
    }
}

/// Waits until a client of HTTP/2, who was told that the server stops, has sent no request, or has none under way and does not
/// answer: for ever, if it is otherwise.
async fn unanswered(streams: &Streams, clock: &ResponseClock, linger: Duration) {
    let heard = clock.heard();
    clock.idle_for(linger).await;
    if !streams.were_used() {
        return;
    }
    sleep(ANSWER).await;
    if streams.are_open() || clock.heard() != heard {
        std::future::pending().await
    }
}

/// The result of a future that has come to its end by now.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// The part of a connection that each of its requests needs.
struct Present {
    shared: Arc<ConnectionInner>,
    presence: Presence,
    leave: Leave,
    /// None in the clear.
    tls: Option<TlsFacts>,
}

/// Answers a request. Where the server stops it is the last one of its connection, and the client is told.
async fn answer_http1(
    present: Arc<Present>,
    request: Request<Incoming>,
    under_way: UnderWay,
) -> Result<Response<OutgoingBody>, Infallible> {
    let response = answer(Arc::clone(&present), request, Some(&under_way), usize::MAX).await?;
    let mut response = response.map(|body| body.of_request(under_way));
    if present.leave.is_asked() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn answer(
    present: Arc<Present>,
    request: Request<Incoming>,
    under_way: Option<&UnderWay>,
    part: usize,
) -> Result<Response<OutgoingBody>, Infallible> {
    let Present {
        shared,
        presence,
        tls,
        ..
    } = &*present;
    let mut request = request.map(|body| {
        let body = RequestBody::new(body, shared.times.client);
        match under_way {
            Some(under_way) => body.of_request(under_way),
            None => body,
        }
    });
    if let Some(tls) = tls {
        request.extensions_mut().insert(tls.clone());
    }
    let mut answer = pin!(
        shared
            .router
            .answer(request, &shared.client, shared.address, presence)
    );
    let response = poll_fn(|cx| {
        let polled = answer.as_mut().poll(cx);
        Seen::note(&polled);
        polled
    })
    .await;
    Ok(response.map(|body| body.in_parts(part)))
}

/// Looks at the first bytes and leaves them where they are. No HTTP/1 request begins with the method `PRI`.
async fn first_words(socket: &TcpStream) -> io::Result<HttpVersion> {
    let mut start = [0; 3];
    let seen = socket.peek(&mut start).await?;
    Ok(if &start[..seen] == b"PRI" {
        HttpVersion::Http2
    } else {
        HttpVersion::Http1
    })
}

/// The time in which a client of HTTP/2 with nothing under way has to answer that the server stops.
const ANSWER: Duration = Duration::from_secs(1);

/// Bytes of a request's headers on HTTP/1.1. What is longer is answered with 431.
const MAX_HEADERS: usize = 64 * 1024;

/// The same on HTTP/2, counted as RFC 9113, section 6.5.2, counts them.
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Requests that may run at a time on one connection of HTTP/2.
const MAX_STREAMS: u32 = 100;

/// Bytes of one request's body on HTTP/2 that nobody has read yet.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same of all requests of a connection.
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Bytes of a response on HTTP/2 that its client has not granted yet, and one [`PART`].
const SEND_BUFFER: usize = 64 * 1024;

/// Bytes of a response that are handed to HTTP/2 at a time. A client has to take as many in the time that it may take.
const PART: usize = 64 * 1024;

/// Streams of HTTP/2 that a client may reset, or have reset by its mistakes, before the connection ends.
const MAX_RESETS: usize = 100;
