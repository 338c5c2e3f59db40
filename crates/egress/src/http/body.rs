//! The body of an answer, with the time that may pass between its parts.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::errors;
use super::own_body::FalseLength;
use crate::dial::UseSlot;

/// Passes the frames of an answer on as they come, and fails when the next one takes longer than `between`. Until its
/// end it is one of the exchanges of its instance.
pub(super) struct TimedBody {
    incoming: Incoming,
    slot: Option<UseSlot>,
    between: Option<Duration>,
    /// Set while a frame is waited for.
    deadline: Option<Pin<Box<Sleep>>>,
    /// That of the request, which breaks the answer off, too.
    false_length: FalseLength,
}

impl TimedBody {
    pub(super) fn new(
        incoming: Incoming,
        between: Option<Duration>,
        slot: UseSlot,
        false_length: FalseLength,
    ) -> Self {
        Self {
            slot: Some(slot).filter(|_| !incoming.is_end_stream()),
            incoming,
            between,
            deadline: None,
            false_length,
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(between) = self.between else {
            return Poll::Pending;
        };
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + between)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Error::ConnectionReadTimeout)
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                // Each part has the whole time; see `between_bytes_timeout` of WASI.
                self.deadline = None;
                if matches!(frame, None | Some(Err(_))) {
                    self.slot = None;
                }
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| {
                        let own = self.false_length.error();
                        own.unwrap_or_else(|| errors::of_body(&error))
                    })
                }))
            }
            Poll::Pending => self.poll_deadline(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
