//! The socket of a client who may stop reading.
//!
//! A write that makes no progress for as long as a client may take ends the connection, whichever protocol it speaks.
//! So does one that is under way when the response should long have been over: a client who reads a little now and then
//! keeps nothing open for ever. Neither has a timer unless a write waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::stall::Stall;

/// A socket whose writes end.
pub(super) struct ClientSocket {
    socket: TcpStream,
    stall: Stall,
    response: Arc<ResponseClock>,
}

/// The time when the response that is under way has to be over, of a connection that has one at a time.
pub(super) struct ResponseClock {
    born: Instant,
    /// `None` is no limit.
    limit: Option<Duration>,
    /// Milliseconds since `born`.
    end: AtomicU64,
}

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
        }
    }

    /// A request has come.
    pub(super) fn start(&self) {
        if let Some(limit) = self.limit {
            let end = self.born.elapsed().saturating_add(limit).as_millis();
            self.end
                .store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    fn end(&self) -> Option<Instant> {
        match self.end.load(Ordering::Relaxed) {
            u64::MAX => None,
            end => self.born.checked_add(Duration::from_millis(end)),
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
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
