//! A watch on whether a server has said anything since a request was sent: anything on the connection, of HTTP/2 also
//! what may be for another request.
//!
//! A server that closes a connection just when a request is on its way has not seen the request, as far as anybody can
//! tell; one that has begun to answer has. Of HTTP/1.1 what is still written of the request then goes nowhere: were it
//! told that nothing can be sent any more, hyper would give up the answer, which is there to be read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of times that something was heard on a stream, and since when it counts. Clones are of one stream.
#[derive(Clone, Default)]
pub(super) struct Heard {
    times: Arc<AtomicUsize>,
    /// The value of `times` when the last request was sent, by whatever clone.
    last: Arc<AtomicUsize>,
    before: usize,
}

impl Heard {
    /// Nothing counts for this clone that was heard before.
    pub(super) fn forget(&mut self) {
        self.before = self.times.load(Ordering::Relaxed);
        self.last.store(self.before, Ordering::Relaxed);
    }

    /// True if a byte has come since.
    pub(super) fn anything(&self) -> bool {
        self.times.load(Ordering::Relaxed) != self.before
    }

    /// `stream`, listened to. Where requests come one at a time, what is written of one whose answer has begun does not
    /// fail.
    pub(super) fn listen<S>(&self, stream: S, requests: Requests) -> Listening<S> {
        Listening {
            stream,
            times: Arc::clone(&self.times),
            last: Arc::clone(&self.last),
            requests,
            is_shut: false,
        }
    }
}

/// The order in which the requests of a connection follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    /// HTTP/1.1.
    OneAtATime,
    /// HTTP/2.
    Several,
}

/// A stream that notes when something comes.
pub(super) struct Listening<S> {
    stream: S,
    times: Arc<AtomicUsize>,
    last: Arc<AtomicUsize>,
    requests: Requests,
    /// Nothing can be sent any more, and nobody was told.
    is_shut: bool,
}

impl<S> Listening<S> {
    /// The result of a write, which may have gone nowhere: `length` bytes.
    fn or_nowhere(&mut self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        let answering = self.times.load(Ordering::Relaxed) != self.last.load(Ordering::Relaxed);
        match written {
            Poll::Ready(Err(_)) if answering && self.requests == Requests::OneAtATime => {
                self.is_shut = true;
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Listening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.times.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Listening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What is written from here on goes nowhere, too.
        if self.is_shut {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_nowhere(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.is_shut {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.or_nowhere(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        self.or_nowhere(flushed, 0).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
