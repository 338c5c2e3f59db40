//! The body of an answer from an instance that answers several requests: at its end the request's turn is over.
//!
//! A guest of WASI 0.3 gives the head of its answer first and writes the body after that, a part at a time, each when
//! the one before was taken. Passed on as they come, head, body and end of a small answer would leave in three packets,
//! each with a system call and a client who wakes up. So what the guest writes without waiting for anything is
//! [gathered](ResponseBody::gather) before the head leaves: at most [`GATHERED`] bytes, and for as long as the instance
//! has its turn [`TURNS`] times more. A guest that waits for something keeps its head waiting no longer than that.
//!
//! A body whose instance ended before it did is not whole, though to `wasmtime-wasi-http` its end looks like any other:
//! it ends with an error here. If the guest had ended it, and the instance was gone before anybody looked, this
//! is said of a whole one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::instance_queue::InFlight;
use crate::account::Account;

/// The body of an answer, which ends what is in flight.
pub(super) struct ResponseBody {
    gathered: VecDeque<Result<Frame<Bytes>, Error>>,
    body: WasiBody,
    ended: bool,
    /// None once the body has ended and all of it was handed on: what waits for its client holds a slot.
    in_flight: Option<InFlight>,
}

impl ResponseBody {
    /// The body of the answer to the request that is in flight.
    pub(super) fn new(body: WasiBody, in_flight: InFlight) -> Self {
        let ended = body.is_end_stream();
        Self {
            gathered: VecDeque::new(),
            body,
            ended,
            in_flight: Some(in_flight).filter(|_| !ended),
        }
    }

    /// The account that is charged for who writes it; nothing, if all is written.
    pub(super) fn account(&self) -> Weak<Account> {
        self.in_flight
            .as_ref()
            .map_or_else(Weak::new, |in_flight| in_flight.account().clone())
    }

    /// The same body, with what the guest writes of it at once.
    pub(super) async fn gather(mut self) -> Self {
        let (mut bytes, mut turns) = (0, 0);
        std::future::poll_fn(|cx| {
            while !self.ended && bytes < GATHERED {
                match self.poll_body(cx) {
                    Poll::Ready(Some(frame)) => {
                        bytes += length(&frame);
                        self.gathered.push_back(frame);
                    }
                    Poll::Ready(None) => break,
                    Poll::Pending if turns == TURNS => break,
                    Poll::Pending => {
                        turns += 1;
                        // Whoever was woken before goes first, the instance among them.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(())
        })
        .await;
        self
    }

    /// The reason why nothing of it can be sent, where the guest was told so before it had written anything.
    pub(super) fn failed_at_once(&self) -> Option<&Error> {
        self.gathered.front()?.as_ref().err()
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) && self.in_flight.as_ref().is_some_and(InFlight::is_cut_off) {
            frame = Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
        }
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.ended = true;
        }
        frame
    }

    fn release(&mut self) {
        if self.ended && self.gathered.is_empty() {
            self.in_flight = None;
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match self.gathered.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if self.ended => Poll::Ready(None),
            None => self.poll_body(cx),
        };
        self.release();
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.is_empty() && self.ended
    }

    /// The hint of what is left. What was gathered is not in it, and a guest that knows the length says so in a header.
    fn size_hint(&self) -> SizeHint {
        if self.gathered.is_empty() && !self.ended {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

fn length(frame: &Result<Frame<Bytes>, Error>) -> usize {
    // What has no data is small, and counted so that many of them are not gathered for ever.
    let data = frame.as_ref().ok().and_then(Frame::data_ref);
    data.map_or(0, Bytes::len).max(1024)
}

/// Bytes.
const GATHERED: usize = 64 * 1024;

/// Turns of the instance. One or two are for the end of a body of one part, if nothing comes between.
const TURNS: u32 = 8;
