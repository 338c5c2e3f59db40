//! A body of an exchange that is followed (RSN-6): its bytes are counted, and how it ends is noted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::audit::EndedBy;
use crate::followed::Followed;

struct FollowedBody {
    body: WasiBody,
    way: Way,
    followed: Arc<Followed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// Counts what is sent of the body of a request, if it is followed.
pub(super) fn of_request(body: WasiBody, followed: Option<&Arc<Followed>>) -> WasiBody {
    match followed {
        None => body,
        Some(followed) => FollowedBody::around(body, Way::Out, followed),
    }
}

/// Counts what is received of `response`, if it is followed. The exchange ends when both bodies are gone.
pub(super) fn of_response(
    response: Response<WasiBody>,
    followed: Option<&Arc<Followed>>,
) -> Response<WasiBody> {
    let Some(followed) = followed else {
        return response;
    };
    followed.succeeded(Some(response.status().as_u16()));
    if response.body().is_end_stream() {
        followed.note_end(EndedBy::Complete);
    }
    response.map(|body| FollowedBody::around(body, Way::In, followed))
}

impl FollowedBody {
    fn around(body: WasiBody, way: Way, followed: &Arc<Followed>) -> WasiBody {
        let followed = Arc::clone(followed);
        Self { body, way, followed }.boxed_unsync()
    }

    fn note(&self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        match (frame, self.way) {
            (None, Way::In) => self.followed.note_end(EndedBy::Complete),
            // What is sent may end long before the answer does.
            (None, Way::Out) => {}
            (Some(Ok(frame)), way) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match way {
                    Way::In => self.followed.count_received(length),
                    Way::Out => self.followed.count_sent(length),
                }
                if way == Way::In && self.body.is_end_stream() {
                    self.followed.note_end(EndedBy::Complete);
                }
            }
            (Some(Err(error)), _) => self.followed.note_error(error),
        }
    }
}

impl Body for FollowedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            self.note(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FollowedBody {
    /// An answer that is dropped before its end is one that the guest reads no further, or that ends with it.
    fn drop(&mut self) {
        if self.way == Way::In {
            self.followed.note_end_by_guest();
        }
    }
}
