//! HTTP/1.1 with a server of the operator's, over a connection that was judged.
//!
//! Nobody drives a connection but the call that uses it, so that what a server sends is worked on at the cost of the guest
//! that asked, and a guest that ends takes its call with it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use outport_egress::{ConnectionHandle, Pooled};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// What a connection carries: a TCP stream, or TLS over one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Driver = Pin<Box<Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>>>;

/// A connection to a server, at one request at a time.
pub(crate) struct ServerConnection {
    requests: SendRequest<Full<Bytes>>,
    /// Until it has ended.
    driver: Option<Driver>,
    handle: ConnectionHandle,
}

/// An answer, as far as it was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoExchange {
    /// The connection had ended before the request was sent.
    #[error("it closed the connection")]
    Unsent,
    /// The connection ended before the server had begun to answer.
    #[error("it closed the connection without an answer")]
    Unanswered,
    /// What came is not HTTP/1.1.
    #[error("it answered something that is not HTTP")]
    NotHttp,
    /// The answer ended too early.
    #[error("its answer broke off")]
    BrokenOff,
    /// The answer is longer than any may be.
    #[error("its answer is longer than {} MiB", .0 >> 20)]
    TooLong(usize),
}

impl Pooled for ServerConnection {
    fn connection(&self) -> &ConnectionHandle {
        &self.handle
    }
}

impl ServerConnection {
    /// Speaks HTTP over `stream`, which is the connection of `handle`.
    pub(crate) async fn new(stream: Box<dyn Stream>, handle: ConnectionHandle) -> Result<Self, NoExchange> {
        let handshake = Builder::new()
            .max_buf_size(MOST_BUFFERED)
            .handshake(TokioIo::new(stream));
        let (requests, driver) = handshake.await.map_err(|_| NoExchange::Unanswered)?;
        Ok(Self {
            requests,
            driver: Some(Box::pin(driver)),
            handle,
        })
    }

    /// Sends a request and reads its answer of at most `most` bytes; of one that is a failure, or leads elsewhere, only the
    /// beginning.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Answer, NoExchange> {
        let Self { requests, driver, .. } = self;
        let answered = driven(driver, requests.try_send_request(request)).await;
        let answer = answered.map_err(|mut error| {
            if error.take_message().is_some() {
                NoExchange::Unsent
            } else if error.error().is_parse() {
                NoExchange::NotHttp
            } else {
                NoExchange::Unanswered
            }
        })?;
        driven(driver, read(answer, most)).await
    }

    /// Whether another request can be sent: both sides are through with the last one, and neither has ended the connection.
    pub(crate) async fn is_reusable(&mut self) -> bool {
        let ready = driven(&mut self.driver, self.requests.ready());
        matches!(timeout(SETTLING_TIME, ready).await, Ok(Ok(())))
    }
}

/// Does `work` while the connection is driven.
async fn driven<T>(driver: &mut Option<Driver>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            match driver.as_mut().map(|driver| driver.as_mut().poll(cx)) {
                // Whoever waits for the connection is told that it has ended, with an error or without.
                Some(Poll::Ready(_)) => *driver = None,
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
}

async fn read(answer: Response<Incoming>, most: usize) -> Result<Answer, NoExchange> {
    let (head, mut rest) = (answer.status(), answer.into_body());
    let most = if head.is_success() { most } else { MOST_FAILURE };
    if head.is_success() && rest.size_hint().lower() > most as u64 {
        return Err(NoExchange::TooLong(most));
    }
    // One text, since pieces of a byte each would keep a buffer each.
    let mut body = Vec::new();
    while let Some(frame) = rest.frame().await {
        let frame = frame.map_err(|_| NoExchange::BrokenOff)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = most - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            if head.is_success() {
                return Err(NoExchange::TooLong(most));
            }
            break;
        }
    }
    Ok(Answer { status: head, body })
}

/// Bytes that are read of what a server says when it fails.
const MOST_FAILURE: usize = 16 << 10;

/// Bytes that a connection holds of what is read and written: its head has to fit into them.
const MOST_BUFFERED: usize = 64 << 10;

/// How long both sides may take to be through with a request that was answered.
const SETTLING_TIME: Duration = Duration::from_millis(50);
