//! The body of a response, of which its client may not want all.
//!
//! A response to HEAD has no body, nor has a 204 or 304, and one with a `content-length` ends there, and not before.
//! Its guest may write one all the same, or only have to end it. Were the body gone by then, the write would fail, and
//! many a guest would end with a trap after the right answer. So what nobody wants is read and thrown away at the cost
//! of its guest, until the guest ends the body or its time is over; the request keeps its slot meanwhile.
//!
//! A client who hangs up is another matter: there is nobody left for whom the guest could do anything, and it is told
//! by a write that fails. Who wanted more is known at once to have left; who wanted nothing more, by the end of its
//! [presence](Presence), [`GRACE`] later: most clients leave as soon as they have what they wanted.

use std::mem;
use std::pin::{Pin, pin};
use std::sync::Weak;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::account::Account;

/// The connection of a client, with whose end the client is gone for all its requests.
pub(super) struct ClientConnection(watch::Sender<()>);

/// The request of a client who is there: until its connection ends, or has the next request where it has one at a time.
#[derive(Clone)]
pub(super) struct Presence(watch::Receiver<()>);

impl ClientConnection {
    /// For a new connection.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// For the requests of the connection.
    pub(super) fn presence(&self) -> Presence {
        Presence(self.0.subscribe())
    }

    /// All requests so far are over for the client, who has the next one.
    pub(super) fn next_request(&self) {
        // One is the connection's, of which the others are made.
        if self.0.receiver_count() > 1 {
            self.0.send_replace(());
        }
    }
}

impl Presence {
    /// The one that is under way.
    fn current(&self) -> Self {
        let mut presence = self.clone();
        presence.0.mark_unchanged();
        presence
    }

    async fn over(mut self) {
        // An error says that the connection has ended.
        let _ = self.0.changed().await;
    }
}

/// The part of the response's body that a request wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    head_only: bool,
    version: Version,
}

impl Wants {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            head_only: request.method() == Method::HEAD,
            version: request.version(),
        }
    }

    /// The reason why the body of a response is not what its head says, where that is known before the head has left.
    pub(super) fn failed_at_once(self, response: &Response<WasiBody>) -> Option<Error> {
        let is_short = response.body().is_end_stream() && self.wanted(response)? > 0;
        is_short.then_some(Error::HttpResponseBodySize(Some(0)))
    }

    /// Bytes that a client wants of the body. None is all of it.
    pub(super) fn wanted<B>(self, response: &Response<B>) -> Option<u64> {
        if self.head_only || has_no_body(response.status()) {
            return Some(0);
        }
        let length = response.headers().get(CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// The response, whose guest has `time` to end what is not wanted, and does so at its `account`. None is no limit.
    /// No presence is one that is over when the body is dropped.
    pub(super) fn apply(
        self,
        response: Response<WasiBody>,
        presence: Option<&Presence>,
        time: Option<Duration>,
        account: Weak<Account>,
    ) -> Response<WasiBody> {
        let bodiless = has_no_body(response.status());
        let Some(wanted) = self.wanted(&response) else {
            return response;
        };
        response.map(|body| {
            if body.is_end_stream() && wanted == 0 {
                body
            } else {
                WantedBody {
                    body,
                    wanted,
                    passed: 0,
                    // HTTP/2 is told by this alone. HTTP/1.1 knows by itself, and would take the length for a false
                    // one.
                    hidden: self.head_only || bodiless && self.version == Version::HTTP_2,
                    ended: false,
                    presence: presence.map(Presence::current),
                    time,
                    account,
                }
                .boxed_unsync()
            }
        })
    }
}

pub(super) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

struct WantedBody {
    body: WasiBody,
    /// Bytes that the client still wants.
    wanted: u64,
    /// Bytes so far.
    passed: u64,
    hidden: bool,
    ended: bool,
    presence: Option<Presence>,
    time: Option<Duration>,
    account: Weak<Account>,
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
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // `wasmtime-wasi-http` tells of a body of WASI 0.3 that is too short, but not where what was written before its
        // end is not read yet.
        if frame.is_none() && self.wanted > 0 && !self.ended {
            frame = Some(Err(Error::HttpResponseBodySize(Some(self.passed))));
        }
        match &frame {
            None | Some(Err(_)) => self.ended = true,
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.wanted = self.wanted.saturating_sub(bytes as u64);
                self.passed = self.passed.saturating_add(bytes as u64);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.hidden || self.body.is_end_stream() && (self.wanted == 0 || self.ended)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        match hint.exact() {
            _ if self.hidden => SizeHint::with_exact(0),
            // hyper would send a length of its own beside the one in the headers, and believe it.
            Some(length) if length != self.wanted => SizeHint::default(),
            _ => hint,
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
            let discarded = discard(body, self.presence.take(), self.time);
            runtime.spawn(charged(mem::take(&mut self.account), discarded));
        }
    }
}

async fn discard(mut body: WasiBody, presence: Option<Presence>, time: Option<Duration>) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    let left = async {
        if let Some(presence) = presence {
            presence.over().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    let over = async {
        match time {
            // If it is not read by then, its guest is at its end, too.
            Some(time) => drop(tokio::time::timeout(time, left).await),
            None => left.await,
        }
    };
    tokio::select! {
        biased;
        () = over => {}
        () = read => {}
    }
}

/// Does all of `work` at an account, for as long as there is one.
async fn charged(account: Weak<Account>, work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match account.upgrade() {
        Some(account) => account.charge(|| work.as_mut().poll(cx)),
        None => work.as_mut().poll(cx),
    })
    .await;
}

/// For a guest to end a body of which nobody wants anything, once its client is gone.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::{Full, StreamBody};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    // proves: ISO-5
    #[tokio::test]
    async fn what_is_not_wanted_is_read_and_who_wanted_more_has_hung_up() {
        // (method, status, content-length, whether what was written after a first piece of 2 bytes goes nowhere in
        // peace)
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
            let client_connection = ClientConnection::new();
            let presence = client_connection.presence();
            let mut body = Wants::of(&request)
                .apply(response, Some(&presence), None, Weak::new())
                .into_body();
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

    // proves: ISO-8
    #[tokio::test]
    async fn a_body_that_is_shorter_than_it_says_is_not_whole() {
        // (method, status, content-length, whether a body of 2 bytes is whole)
        let rows = [
            (Method::GET, 200, None, true),
            (Method::GET, 200, Some("2"), true),
            (Method::GET, 200, Some("3"), false),
            (Method::GET, 304, Some("3"), true),
            (Method::HEAD, 200, Some("3"), true),
        ];
        // Whether the body says with its last frame that it is the last one.
        let each = rows
            .iter()
            .flat_map(|row| [false, true].map(|known| (row.clone(), known)));
        for ((method, status, length, whole), known) in each {
            let row = format!("{method} {status} {length:?} {known}");
            let frame = Ok(Frame::data(Bytes::from_static(b"ab")));
            let body = if known {
                Full::new(Bytes::from_static(b"ab"))
                    .map_err(|never| match never {})
                    .boxed_unsync()
            } else {
                StreamBody::new(futures::stream::iter([frame])).boxed_unsync()
            };
            let mut response = Response::builder().status(status);
            if let Some(length) = length {
                response = response.header(CONTENT_LENGTH, length);
            }
            let request = Request::builder().method(method).body(()).unwrap();
            let response = Wants::of(&request).apply(response.body(body).unwrap(), None, None, Weak::new());
            let mut body = response.into_body();
            let mut end = Ok(());
            // As hyper reads it, which asks for no frame after the last one.
            while !body.is_end_stream() && end.is_ok() {
                let Some(frame) = body.frame().await else { break };
                end = frame.map(drop);
            }
            assert_eq!(end.is_ok(), whole, "{row}");
        }
    }

    // proves: ISO-5
    #[tokio::test(start_paused = true)]
    async fn a_guest_that_never_ends_it_has_its_time_while_its_client_is_there() {
        #[derive(Debug, Clone, Copy)]
        enum Client {
            Stays,
            Leaves,
            AsksOn,
            None,
        }
        let rows = [
            (Client::Stays, Some(30), 30),
            (Client::Leaves, Some(30), 6),
            (Client::AsksOn, Some(30), 6),
            (Client::Leaves, None, 6),
            (Client::Leaves, Some(3), 3),
            (Client::None, Some(30), 1),
        ];
        for (client, time, expected) in rows {
            let took = time_of_head(
                async |client_connection: ClientConnection| {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    match client {
                        Client::Leaves => drop(client_connection),
                        Client::AsksOn => {
                            client_connection.next_request();
                            std::future::pending().await
                        }
                        Client::Stays | Client::None => std::future::pending().await,
                    }
                },
                !matches!(client, Client::None),
                time.map(Duration::from_secs),
            );
            assert_eq!(took.await, Duration::from_secs(expected), "{client:?} {time:?}");
        }
    }

    /// The time for which a guest can write into the body of a response to HEAD.
    async fn time_of_head(
        client: impl AsyncFnOnce(ClientConnection),
        present: bool,
        time: Option<Duration>,
    ) -> Duration {
        let (guest, mut pieces) = mpsc::channel::<&str>(1);
        let frames = futures::stream::poll_fn(move |cx| pieces.poll_recv(cx))
            .map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
        let response = Response::new(StreamBody::new(frames).boxed_unsync());
        let request = Request::builder().method(Method::HEAD).body(()).unwrap();
        let client_connection = ClientConnection::new();
        // What came before is over already.
        let presence = client_connection.presence();
        drop(presence.current());
        client_connection.next_request();
        let wants = Wants::of(&request);
        let presence = Some(&presence).filter(|_| present);
        drop(wants.apply(response, presence, time, Weak::new()));
        let start = tokio::time::Instant::now();
        tokio::select! {
            () = guest.closed() => {}
            never = async {
                client(client_connection).await;
                std::future::pending::<std::convert::Infallible>().await
            } => match never {},
        }
        start.elapsed()
    }
}
