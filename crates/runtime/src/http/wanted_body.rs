//! The body of a response, of which its client may not want all.
//!
//! A response to HEAD has no body, nor has a 204 or 304, and one with a `content-length` ends there. Its guest may write
//! one all the same, or only have to end it. Were the body gone by then, the write would fail, and many a guest would end
//! with a trap after the right answer. So what nobody wants is read and thrown away, until the guest ends the body or its
//! time is over; the request keeps its place meanwhile.
//!
//! A client who hangs up is another matter: he wanted more, and the guest is told by a write that fails. Otherwise whoever
//! streams would do so for nobody.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// What a request wants of the body of its response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    head_only: bool,
    version: Version,
}

impl Wants {
    pub(super) fn of<B>(request: &Request<B>) -> Wants {
        Wants {
            head_only: request.method() == Method::HEAD,
            version: request.version(),
        }
    }

    /// The response, whose guest has `time` to end what is not wanted. None is no limit.
    pub(super) fn apply(self, response: Response<WasiBody>, time: Option<Duration>) -> Response<WasiBody> {
        let bodiless = matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let wanted = match self.head_only || bodiless {
            true => Some(0),
            false => length,
        };
        let Some(wanted) = wanted else {
            return response;
        };
        response.map(|body| match body.is_end_stream() {
            true => body,
            false => WantedBody {
                body,
                wanted,
                // HTTP/2 is told by this alone. HTTP/1.1 knows by itself, and would take the length for a false one.
                hidden: self.head_only || bodiless && self.version == Version::HTTP_2,
                ended: false,
                time,
            }
            .boxed_unsync(),
        })
    }
}

struct WantedBody {
    body: WasiBody,
    /// Bytes that the client still wants.
    wanted: u64,
    hidden: bool,
    ended: bool,
    time: Option<Duration>,
}

impl Body for WantedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.hidden {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None | Some(Err(_)) => self.ended = true,
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.wanted = self.wanted.saturating_sub(bytes as u64);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.hidden || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.hidden {
            true => SizeHint::with_exact(0),
            false => self.body.size_hint(),
        }
    }
}

impl Drop for WantedBody {
    fn drop(&mut self) {
        if self.ended || self.wanted > 0 || self.body.is_end_stream() {
            return;
        }
        // Without a runtime no instance writes anything either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let body = mem::replace(&mut self.body, nothing);
            runtime.spawn(discard(body, self.time));
        }
    }
}

async fn discard(mut body: WasiBody, time: Option<Duration>) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    match time {
        // If it is not read by then, its guest is at its end, too.
        Some(time) => drop(tokio::time::timeout(time, read).await),
        None => read.await,
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::StreamBody;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    // proves: ISO-5
    #[tokio::test]
    async fn what_is_not_wanted_is_read_and_who_wanted_more_has_hung_up() {
        // (method, status, content-length, whether what was written after a first piece of 2 bytes goes nowhere in peace)
        let rows = [
            (Method::HEAD, 200, None, true),
            (Method::HEAD, 200, Some("9"), true),
            (Method::GET, 204, None, true),
            (Method::GET, 304, Some("9"), true),
            (Method::GET, 200, None, false),
            (Method::GET, 200, Some("2"), true),
            (Method::GET, 200, Some("3"), false),
            (Method::GET, 200, Some("many"), false),
        ];
        for (method, status, length, peace) in rows {
            let row = format!("{method} {status} {length:?}");
            let (guest, mut pieces) = mpsc::channel::<&str>(1);
            let frames = futures::stream::poll_fn(move |cx| pieces.poll_recv(cx))
                .map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
            let mut response = Response::builder().status(status);
            if let Some(length) = length {
                response = response.header(CONTENT_LENGTH, length);
            }
            let response = response.body(StreamBody::new(frames).boxed_unsync()).unwrap();
            let request = Request::builder().method(method).body(()).unwrap();
            let mut body = Wants::of(&request).apply(response, None).into_body();
            guest.send("ab").await.unwrap();
            if !body.is_end_stream() {
                assert!(body.frame().await.unwrap().is_ok(), "{row}");
            }
            drop(body);
            let written = async {
                for _ in 0..100 {
                    guest.send("more").await.map_err(drop)?;
                }
                Ok::<(), ()>(())
            };
            let written = timeout(Duration::from_secs(10), written)
                .await
                .expect("it does not wait");
            assert_eq!(written.is_ok(), peace, "{row}");
        }
    }

    // proves: ISO-5
    #[tokio::test(start_paused = true)]
    async fn a_guest_that_never_ends_it_has_its_time() {
        let (guest, mut pieces) = mpsc::channel::<&str>(1);
        let frames = futures::stream::poll_fn(move |cx| pieces.poll_recv(cx))
            .map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
        let response = Response::new(StreamBody::new(frames).boxed_unsync());
        let request = Request::builder().method(Method::HEAD).body(()).unwrap();
        drop(Wants::of(&request).apply(response, Some(Duration::from_secs(30))));
        let start = tokio::time::Instant::now();
        guest.closed().await;
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }
}
