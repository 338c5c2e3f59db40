//! The requests that are under way on a connection of HTTP/2, and for how long a client may leave one lying.
//!
//! A client of HTTP/2 grants what may be sent to it, for each stream. One who grants nothing and answers our pings is
//! not to be told from a live one by the socket. So the task of each response is watched, in which hyper hands the
//! parts of its body out: if it waits, and not for the guest, then for the client.
//!
//! | the task waits | |
//! | --- | --- |
//! | for the guest | until the guest's own limits end it |
//! | for the client, without a part handed out for as long as a client may take | the stream is reset |
//! | for the client, when the response should long have been over | the stream is reset |
//!
//! The other streams of the connection go on: a proxy has clients of its own. With no stream left the connection is
//! idle.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::Instant;

use super::client_body::Seen;
use super::stall::Stall;

/// The streams of one connection, as hyper's executor. Clones share everything.
#[derive(Clone)]
pub(super) struct Streams {
    shared: Arc<StreamsInner>,
}

struct StreamsInner {
    /// Time for a client to take a part of a body, and between two requests.
    timeout: Duration,
    /// Time for a whole response. `None` is no limit.
    whole: Option<Duration>,
    born: Instant,
    open: AtomicUsize,
    /// Milliseconds from `born` to the end of the last stream.
    left: AtomicU64,
}

/// One of the open streams.
struct Open(Arc<StreamsInner>);

impl Streams {
    /// No streams yet.
    pub(super) fn new(timeout: Duration, whole: Option<Duration>) -> Self {
        Self {
            shared: Arc::new(StreamsInner {
                timeout,
                whole,
                born: Instant::now(),
                open: AtomicUsize::new(0),
                left: AtomicU64::new(NEVER),
            }),
        }
    }

    /// The time when the connection has been idle for too long; `first` is for the first request. None with a stream
    /// open.
    pub(super) fn idle_until(&self, first: Duration) -> Option<Instant> {
        let shared = &self.shared;
        if shared.open.load(Ordering::Relaxed) > 0 {
            return None;
        }
        match shared.left.load(Ordering::Relaxed) {
            NEVER => shared.born.checked_add(first),
            left => shared
                .born
                .checked_add(Duration::from_millis(left).saturating_add(shared.timeout)),
        }
    }

    /// True if there ever was one.
    pub(super) fn were_used(&self) -> bool {
        self.are_open() || self.shared.left.load(Ordering::Relaxed) != NEVER
    }

    /// True while there is one.
    pub(super) fn are_open(&self) -> bool {
        self.shared.open.load(Ordering::Relaxed) > 0
    }

    fn open(&self) -> Open {
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Idle since the last one ended, not since it began.
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            let left = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(NEVER - 1);
            self.0.left.store(left, Ordering::Relaxed);
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let open = self.open();
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            let mut stall = Stall::new(open.0.timeout);
            let end = open.0.whole.and_then(|whole| Instant::now().checked_add(whole));
            poll_fn(|cx| {
                // What another stream of this thread has left there.
                Seen::take();
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match Seen::take() {
                    Seen::Waiting => {
                        stall.moved();
                        return Poll::Pending;
                    }
                    Seen::Something => stall.moved(),
                    Seen::Nothing => {}
                }
                stall.poll(cx, end)
            })
            .await;
        });
    }
}

const NEVER: u64 = u64::MAX;
