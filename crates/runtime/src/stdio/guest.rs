//! Standard output and error as a guest has them, on WASI 0.2 and 0.3.
//!
//! A flush answers at once, since what was taken is on its way and nobody can take it back. To wait for the file would
//! cost a guest two changes of threads for each line that it prints.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use outport_egress::GateCtx;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{self, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::observer::ObservedLines;
use super::prefixed::{Prefixed, Reader};
use super::queue::OutputQueue;
use super::{Stream, WhenFull};

/// One of the two streams, for a guest's context.
#[derive(Debug, Clone)]
pub(crate) struct GuestOutput {
    stream: Stream,
    /// The lines that each get a prefix; the instance's handles share what they have begun.
    lines: Option<Arc<Prefixed>>,
    /// What is told to somebody else.
    observed: Option<Arc<ObservedLines>>,
}

impl GuestOutput {
    pub(super) fn new(stream: Stream, prefix: Option<Arc<str>>, gate: &GateCtx) -> Self {
        let rest = move |bytes: &[u8]| {
            if let Ok(streams) = super::streams() {
                streams.queue(stream).offer(bytes);
            }
        };
        let reader = || {
            if is_terminal(stream) {
                Reader::Terminal
            } else {
                Reader::Other
            }
        };
        Self {
            stream,
            lines: prefix.map(|prefix| Arc::new(Prefixed::new(prefix, reader(), rest))),
            observed: ObservedLines::of(gate, stream).map(Arc::new),
        }
    }
}

impl cli::IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        is_terminal(self.stream)
    }
}

fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Output => cli::IsTerminal::is_terminal(&io::stdout()),
        Stream::Error => cli::IsTerminal::is_terminal(&io::stderr()),
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(GuestStream::to(self))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(GuestStream::to(self))
    }
}

/// A handle that the guest writes to.
#[derive(Debug, Clone)]
pub(super) struct GuestStream {
    /// None if there is no thread to write from.
    queue: Option<&'static OutputQueue>,
    when_full: WhenFull,
    lines: Option<Arc<Prefixed>>,
    observed: Option<Arc<ObservedLines>>,
}

impl GuestStream {
    fn to(output: &GuestOutput) -> Self {
        let (lines, observed) = (output.lines.clone(), output.observed.clone());
        match super::streams() {
            Ok(streams) => Self {
                lines,
                observed,
                ..Self::of(streams.queue(output.stream), streams.when_full)
            },
            Err(_) => Self {
                queue: None,
                when_full: WhenFull::Drop,
                lines,
                observed,
            },
        }
    }

    pub(super) fn of(queue: &'static OutputQueue, when_full: WhenFull) -> Self {
        Self {
            queue: Some(queue),
            when_full,
            lines: None,
            observed: None,
        }
    }

    /// Tells of what was taken.
    fn taken(&self, bytes: &[u8]) {
        if let Some(observed) = &self.observed {
            observed.wrote(bytes);
        }
    }

    /// Takes `bytes` line by line, and puts the prefixes in. The room that is asked for is for what a guest writes; the
    /// prefixes come on top, as far as [`OutputQueue::push`] lets them.
    fn put_lines(&self, lines: &Prefixed, bytes: &[u8]) -> io::Result<()> {
        let queue = self.queue()?;
        // A guest that prints empty lines alone makes most of what has the prefixes for its content.
        for piece in bytes.chunks(LINES_AT_ONCE) {
            let whole = lines.lines(piece);
            match self.when_full {
                _ if whole.is_empty() => {}
                WhenFull::Wait => queue.push(&whole)?,
                WhenFull::Drop => queue.offer(&whole),
            }
        }
        Ok(())
    }

    fn queue(&self) -> io::Result<&'static OutputQueue> {
        self.queue.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

#[async_trait::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {
        if let (Some(queue), WhenFull::Wait) = (self.queue, self.when_full) {
            std::future::poll_fn(|context| queue.poll_room(context)).await;
        }
    }
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let queue = self.queue().map_err(stream_error)?;
        match (&self.lines, self.when_full) {
            (Some(lines), _) => self.put_lines(lines, &bytes).map_err(stream_error)?,
            (None, WhenFull::Wait) => queue.push(&bytes).map_err(stream_error)?,
            (None, WhenFull::Drop) => queue.offer(&bytes),
        }
        self.taken(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let queue = self.queue().map_err(stream_error)?;
        match self.when_full {
            WhenFull::Wait => Ok(queue.room().map_err(stream_error)?.min(AT_ONCE)),
            // Never less: what does not fit is dropped, and no guest waits.
            WhenFull::Drop => Ok(AT_ONCE),
        }
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(AT_ONCE)];
        let queue = self.queue()?;
        if let Some(lines) = &self.lines {
            if self.when_full == WhenFull::Wait && queue.poll_room(context).is_pending() {
                return Poll::Pending;
            }
            self.put_lines(lines, bytes)?;
            self.taken(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let taken = match self.when_full {
            WhenFull::Wait => ready!(queue.accept(context, bytes))?,
            WhenFull::Drop => {
                queue.offer(bytes);
                bytes.len()
            }
        };
        self.taken(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// As wasmtime-wasi has it for streams that are written in place.
fn stream_error(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        io::ErrorKind::QuotaExceeded => StreamError::trap("wrote more than `check-write` permits"),
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

/// Bytes of a write at most, as wasmtime-wasi has it.
const AT_ONCE: usize = 64 << 10;

/// Bytes of a guest whose lines are handed over together.
const LINES_AT_ONCE: usize = 4 << 10;
