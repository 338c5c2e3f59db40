//! The body of an answer whose instance gives no other one, which holds what its instance held until it is read to its end.
//!
//! The instance may be gone by then. What it has written waits for its client all the same, and takes memory: so the
//! slot of the request is not free yet (ISO-5), and the memory is still counted (ISO-3).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::concurrency_limit::RequestSlot;
use super::request_trace::TraceStay;
use crate::account::Account;

/// The slots that a request holds while its instance lives and until its answer is read.
pub(super) struct Held {
    pub(super) account: Arc<Account>,
    pub(super) slot: RequestSlot,
    /// At the place of the request in its trace.
    pub(super) stay: TraceStay,
}

/// The body of an answer.
pub(super) struct HoldingBody {
    body: WasiBody,
    held: Option<Arc<Held>>,
    /// The error that the body ended with, until it is passed on.
    failed: Option<Error>,
}

impl HoldingBody {
    /// The body of the answer to the request that holds this.
    pub(super) fn new(body: WasiBody, held: Arc<Held>) -> Self {
        let mut holding = Self {
            held: Some(held),
            body,
            failed: None,
        };
        if holding.body.is_end_stream() {
            holding.release();
        }
        holding
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            held.stay.end();
        }
    }
}

impl Drop for HoldingBody {
    fn drop(&mut self) {
        self.release();
    }
}

impl Body for HoldingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if matches!(frame, None | Some(Err(_))) {
            self.release();
        }
        match frame {
            // Hyper throws away what it has not written when a body fails. It writes while a body has nothing: so the head,
            // and what came before the error, leaves first.
            Some(Err(error)) => {
                self.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
