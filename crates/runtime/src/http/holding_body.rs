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
use crate::account::Account;

/// The slots that a request holds while its instance lives and until its answer is read.
pub(super) struct Held {
    pub(super) account: Arc<Account>,
    pub(super) slot: RequestSlot,
}

/// The body of an answer.
pub(super) struct HoldingBody {
    body: WasiBody,
    held: Option<Arc<Held>>,
}

impl HoldingBody {
    /// The body of the answer to the request that holds this.
    pub(super) fn new(body: WasiBody, held: Arc<Held>) -> Self {
        Self {
            held: Some(held).filter(|_| !body.is_end_stream()),
            body,
        }
    }
}

impl Body for HoldingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if matches!(frame, None | Some(Err(_))) {
            self.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
