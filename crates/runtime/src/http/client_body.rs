//! The bodies that a connection carries: of a request as its client sends it, of a response as its guest writes it.
//!
//! A client who stops in the middle of a request body would have its guest wait for all of the guest's time. After a
//! while without a byte the body ends with an error instead.
//!
//! A response that its guest does not finish ends with an error too: HTTP/1.1 closes the connection without a last
//! chunk, HTTP/2 resets the stream. The client learns no more than that, so it is [told](OutgoingBody) here.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use outport_policy::text;
use tracing::Level;
use wasmtime_wasi_http::{Error, WasiBody};

use super::client_socket::UnderWay;
use super::exchange::Exchange;
use super::stall::Stall;
use crate::failure_log::FailureLog;

/// A request's body, for as long as its client sends it.
pub(super) struct RequestBody {
    /// None once it is given up.
    body: Option<Incoming>,
    stall: Stall,
    /// The number of bytes that were taken, where somebody is told.
    received: Option<Arc<AtomicU64>>,
    /// The request, of a connection that has one at a time, until all of it has come.
    under_way: Option<UnderWay>,
}

impl RequestBody {
    /// A body whose client may pause for `timeout`.
    pub(super) fn new(body: Incoming, timeout: Duration) -> Self {
        Self {
            body: Some(body),
            stall: Stall::new(timeout),
            received: None,
            under_way: None,
        }
    }

    /// The request is not over before its body has come, or nobody reads that.
    pub(super) fn of_request(mut self, under_way: &UnderWay) -> Self {
        self.under_way = (!self.is_end_stream()).then(|| under_way.share());
        self
    }

    /// Counts the bytes that are taken.
    pub(super) fn count_in(&mut self, received: Arc<AtomicU64>) {
        self.received = Some(received);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.stall.moved();
                if !matches!(frame, Some(Ok(_))) {
                    self.under_way = None;
                }
                if let (Some(received), Some(Ok(frame))) = (&self.received, &frame) {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    received.fetch_add(bytes as u64, Ordering::Relaxed);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&error))))
            }
            Poll::Pending => self.stall.poll(cx, None).map(|()| {
                self.body = None;
                self.under_way = None;
                Some(Err(Error::ConnectionReadTimeout))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// The error that a guest gets to know of a body that its client did not finish.
fn broken(error: &hyper::Error) -> Error {
    if error.is_timeout() {
        Error::ConnectionReadTimeout
    } else {
        Error::ConnectionTerminated
    }
}

/// A response's body on its way to a client.
pub(super) struct OutgoingBody {
    body: WasiBody,
    /// The rest of what is larger than one part.
    rest: Bytes,
    /// Bytes that are handed out at a time.
    part: usize,
    /// Of the component whose response it is.
    failures: Option<Arc<FailureLog>>,
    /// Ends with the body.
    exchange: Option<Box<Exchange>>,
    /// The request, of a connection that has one at a time.
    _under_way: Option<UnderWay>,
}

impl OutgoingBody {
    /// The body of a component's response, or of one of the server's own.
    pub(super) fn new(
        body: WasiBody,
        failures: Option<Arc<FailureLog>>,
        exchange: Option<Box<Exchange>>,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            part: usize::MAX,
            failures,
            exchange,
            _under_way: None,
        }
    }

    /// The request is over with the body.
    pub(super) fn of_request(mut self, under_way: UnderWay) -> Self {
        self._under_way = Some(under_way);
        self
    }

    /// The same in parts of at most so many bytes, for a protocol that shows only between parts whether its client
    /// reads.
    pub(super) fn in_parts(mut self, part: usize) -> Self {
        // A part counts as sent once it is handed over, however much of it waits for its client then.
        let counted = self.exchange.as_ref().map_or(usize::MAX, |_| COUNTED_PART);
        self.part = part.min(counted);
        self
    }

    fn log(&self, error: &Error) {
        if let Some(failures) = &self.failures {
            log_broken(failures, error);
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.rest.is_empty() {
            let part = self.rest.split_to(self.part.min(self.rest.len()));
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match frame {
            Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data.len() > self.part) => {
                self.rest = frame.into_data().unwrap_or_default();
                self.poll_part(cx)
            }
            Poll::Ready(Some(Err(error))) => {
                self.log(&error);
                Poll::Ready(Some(Err(error)))
            }
            frame => frame,
        }
    }
}

/// Logs that a response ended with `error`, before it was whole.
pub(super) fn log_broken(failures: &FailureLog, error: &Error) {
    let component = failures.component();
    let cause = match error {
        // What `wasmtime-wasi-http` makes of a body that was dropped before it was finished, and what is made of one
        // whose instance has ended.
        Error::HttpProtocolError | Error::HttpResponseIncomplete => {
            "its guest ended before it, or gave it up".to_owned()
        }
        Error::HttpResponseBodySize(Some(written)) => {
            format!("its `content-length` is not the {written} bytes that its guest wrote")
        }
        error => text::begin(format_args!("{error}")),
    };
    let what = format!("a response of component `{component}` broke off: {cause}");
    failures.add(Level::WARN, what);
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let part = self.poll_part(cx);
        Seen::note(&part);
        let is_last = self.is_end_stream();
        if let Some(exchange) = &mut self.exchange {
            exchange.pass(&part, is_last);
        }
        part
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

/// Bytes of a response that count at a time, where they are counted.
const COUNTED_PART: usize = 64 * 1024;

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        let is_empty = self.is_end_stream();
        if let Some(exchange) = &mut self.exchange {
            exchange.finish(is_empty);
        }
    }
}

/// The behaviour that was seen of a guest while the task of its response had its turn. What that task waits for follows
/// from it: for the guest if it was asked and had nothing, for the client otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The guest was not asked.
    Nothing,
    /// The guest had something.
    Something,
    /// The guest had nothing yet.
    Waiting,
}

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(Seen::Nothing) };
}

impl Seen {
    /// Notes what a guest had.
    pub(super) fn note<T>(polled: &Poll<T>) {
        SEEN.set(match polled {
            Poll::Ready(_) => Self::Something,
            Poll::Pending => Self::Waiting,
        });
    }

    /// The behaviour that was seen since the last call.
    pub(super) fn take() -> Self {
        SEEN.replace(Self::Nothing)
    }
}
