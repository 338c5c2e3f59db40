//! The socket of a client who may stop reading.
//!
//! A write that makes no progress for as long as a client may take ends the connection, whichever protocol it speaks.
//! So does one that is under way when the response should long have been over: a client who reads a little now and then
//! keeps nothing open for ever. Neither has a timer unless a write waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::stall::Stall;

/// A socket whose writes end.
pub(super) struct ClientSocket {
    socket: TcpStream,
    stall: Stall,
    response: Arc<ResponseClock>,
}

/// The response that is under way on a connection that has one at a time: when it has to be over, and whether the client
/// does anything.
pub(super) struct ResponseClock {
    born: Instant,
    /// `None` is no limit.
    limit: Option<Duration>,
    /// Milliseconds since `born`.
    end: AtomicU64,
    /// Requests that have come, and whose responses are not over.
    under_way: AtomicU64,
    /// Requests that have ever come.
    requests: AtomicU64,
    /// True while something waits to be written.
    writes: AtomicBool,
    /// Goes up with all that happens: something was read, a request has come, a response is over.
    events: AtomicU64,
}

/// A request that is under way until this is dropped.
pub(super) struct UnderWay(Arc<ResponseClock>);

impl ClientSocket {
    pub(super) fn new(socket: TcpStream, timeout: Duration, response: Arc<ResponseClock>) -> Self {
        Self {
            socket,
            stall: Stall::new(timeout),
            response,
        }
    }

    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.response
            .writes
            .store(written.is_pending(), Ordering::Relaxed);
        // Also a write that failed: there is nothing to wait for any more.
        if written.is_ready() {
            self.stall.moved();
            return written;
        }
        self.stall.poll(cx, self.response.end()).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client reads no more",
            ))
        })
    }
}

impl ResponseClock {
    /// A clock for responses that may take so long.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            born: Instant::now(),
            limit,
            end: AtomicU64::new(u64::MAX),
            under_way: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            writes: AtomicBool::new(false),
            events: AtomicU64::new(0),
        }
    }

    /// A request has come.
    pub(super) fn start(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(1, Ordering::Relaxed);
        if let Some(limit) = self.limit {
            let end = self.born.elapsed().saturating_add(limit).as_millis();
            self.end
                .store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        UnderWay(Arc::clone(self))
    }

    /// The number of times that something was read, as far as requests are not counted here.
    pub(super) fn heard(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// No request is under way, and nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0 && !self.writes.load(Ordering::Relaxed)
    }

    /// Waits until nothing is under way, and nothing has happened for so long, or not enough for a request in twice that
    /// time: who sends the beginning of one byte by byte is not waited for.
    pub(super) async fn idle_for(&self, time: Duration) {
        let mut seen = self.events.load(Ordering::Relaxed);
        let mut answered = self.requests.load(Ordering::Relaxed);
        let (mut quiet, mut idle) = (0, 0);
        while quiet < LOOKS && idle < 2 * LOOKS {
            sleep(time / LOOKS).await;
            let events = self.events.load(Ordering::Relaxed);
            let is_idle = self.is_idle();
            quiet = if is_idle && events == seen { quiet + 1 } else { 0 };
            // One that has come and was answered between two looks.
            let requests = self.requests.load(Ordering::Relaxed);
            idle = if is_idle && requests == answered {
                idle + 1
            } else {
                0
            };
            (seen, answered) = (events, requests);
        }
    }

    fn end(&self) -> Option<Instant> {
        match self.end.load(Ordering::Relaxed) {
            u64::MAX => None,
            end => self.born.checked_add(Duration::from_millis(end)),
        }
    }
}

impl UnderWay {
    /// The same request, which is under way until both are dropped.
    pub(super) fn share(&self) -> Self {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.events.fetch_add(1, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_ready() {
            self.response.events.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.after_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Looks at whether a connection is idle, in the time for which it has to be.
const LOOKS: u32 = 4;

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_says_a_little_now_and_then_is_idle_after_twice_the_time() {
        let clock = Arc::new(ResponseClock::new(None));
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let talk = async {
            loop {
                sleep(second / 10).await;
                clock.events.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = clock.idle_for(second) => {}
            () = talk => {}
        }
        assert_eq!(begun.elapsed().as_millis() / 100, 20);
        // What waits to be written is not cut off, and neither is a request of which only the body comes yet.
        clock.writes.store(true, Ordering::Relaxed);
        assert!(timeout(second * 5, clock.idle_for(second)).await.is_err());
        clock.writes.store(false, Ordering::Relaxed);
        let response = clock.start();
        let request = response.share();
        drop(response);
        assert!(timeout(second * 5, clock.idle_for(second)).await.is_err());
        assert!(!clock.is_idle());
        drop(request);
        assert!(clock.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_nothing_has_happened_for_the_whole_time() {
        let clock = Arc::new(ResponseClock::new(None));
        let second = Duration::from_secs(1);
        assert!(timeout(second * 2, clock.idle_for(second)).await.is_ok());
        // A request that takes longer than that keeps it, and so does what came a moment ago.
        let request = clock.start();
        let mut idle = Box::pin(clock.idle_for(second));
        assert!(timeout(second * 5, &mut idle).await.is_err());
        drop(request);
        assert!(timeout(second / 2, &mut idle).await.is_err());
        drop(clock.start());
        assert!(timeout(second * 9 / 10, &mut idle).await.is_err());
        advance(second / 2).await;
        assert!(
            timeout(second / 2, &mut idle).now_or_never().is_some() || timeout(second, idle).await.is_ok()
        );
    }
}
