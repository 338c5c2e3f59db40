//! The body of a request that an instance sends, which is not whole if the instance is stopped in the middle of it.
//!
//! To `wasmtime-wasi-http`, a body of WASI 0.3 whose writer is gone ends like one that was written to its end. So who runs
//! instances tells how one [ended](Ending), before anybody reads on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

/// How an instance ended, for the bodies that it was sending.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// It was stopped: by a trap, or by a limit. A body that ends from then on ends with an error.
    pub fn stopped(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn was_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request of the instance that ends so.
pub(super) fn own_body(body: WasiBody, ending: &Ending) -> WasiBody {
    if body.is_end_stream() {
        return body;
    }
    let ending = ending.clone();
    OwnBody { body, ending }.boxed_unsync()
}

struct OwnBody {
    body: WasiBody,
    ending: Ending,
}

impl Body for OwnBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) if self.ending.was_stopped() => {
                Poll::Ready(Some(Err(Error::ConnectionTerminated)))
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.ending.was_stopped()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::Full;

    use super::*;

    // proves: ISO-8
    #[test]
    fn a_body_of_an_instance_that_was_stopped_is_not_whole() {
        for (stopped, whole) in [(false, true), (true, false)] {
            let ending = Ending::default();
            let body = Full::new(Bytes::from_static(b"begun")).map_err(|never| match never {});
            let body = own_body(body.boxed_unsync(), &ending);
            if stopped {
                ending.stopped();
            }
            let end = body.collect().now_or_never().expect("it is there");
            assert_eq!(end.is_ok(), whole);
        }
    }
}
