//! Whether a server has said anything since a request was sent: anything on the connection, of HTTP/2 also what may be for
//! another request.
//!
//! A server that closes a connection just when a request is on its way has not seen the request, as far as anybody can
//! tell; one that has begun to answer has.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often something was heard on a stream, and since when it counts. Clones are of one stream.
#[derive(Clone, Default)]
pub(super) struct Heard {
    times: Arc<AtomicUsize>,
    before: usize,
}

impl Heard {
    /// Nothing counts for this clone that was heard before.
    pub(super) fn forget(&mut self) {
        self.before = self.times.load(Ordering::Relaxed);
    }

    /// Whether a byte has come since.
    pub(super) fn anything(&self) -> bool {
        self.times.load(Ordering::Relaxed) != self.before
    }

    /// `stream`, listened to.
    pub(super) fn listen<S>(&self, stream: S) -> Listening<S> {
        Listening {
            stream,
            times: Arc::clone(&self.times),
        }
    }
}

/// A stream that notes when something comes.
pub(super) struct Listening<S> {
    stream: S,
    times: Arc<AtomicUsize>,
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
