//! The standard output of a command that answers a request: the head of the response, and then its body.
//!
//! All handles that a guest has share it. The response is answered when its head is complete. Its body waits for its
//! reader, [`CAPACITY`] bytes of it, and then the guest waits. Where nobody reads on, or the head was none, a write
//! fails.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_http::Error;

use super::head::{Head, HeadError, HeadWriter};
use crate::failure_log::FailureLog;
use crate::http::response_parts::ResponseParts;

/// The standard output, as the guest, the response and the instance's task share it.
#[derive(Clone)]
pub(super) struct Output {
    state: Arc<Mutex<State>>,
    failures: Arc<FailureLog>,
}

struct State {
    phase: Phase,
    /// The part of the body that waits for its reader.
    pending: BytesMut,
    end: Option<Ended>,
    reader: Option<Waker>,
    writers: Vec<Waker>,
    /// True once a write has failed.
    refused: bool,
    task: Option<Waker>,
}

enum Phase {
    Head(HeadWriter, ResponseParts),
    Body,
    /// Nobody reads on.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    Broken,
}

/// The output, which is broken off where this is dropped before it is [whole](End::whole).
pub(super) struct End(Output);

impl End {
    pub(super) fn of(output: Output) -> Self {
        Self(output)
    }

    pub(super) fn stream(&self) -> Output {
        self.0.clone()
    }

    /// The guest has ended, and everything is written that will be.
    pub(super) fn whole(&self) {
        if let Some(missing) = self.0.end(Ended::Whole) {
            self.0
                .tell(Level::ERROR, format_args!("gave no response: {missing}"));
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.end(Ended::Broken);
    }
}

impl Output {
    /// The output of an instance that answers by `parts`.
    pub(super) fn new(parts: ResponseParts, failures: Arc<FailureLog>) -> Self {
        let state = State {
            phase: Phase::Head(HeadWriter::default(), parts),
            pending: BytesMut::new(),
            end: None,
            reader: None,
            writers: Vec::new(),
            refused: false,
            task: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            failures,
        }
    }

    /// Waits until a write has failed.
    pub(super) async fn refused(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.refused {
                return Poll::Ready(());
            }
            state.task = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Ends it, if it has not ended. Without a head there is no response, for the reason that is answered.
    fn end(&self, ended: Ended) -> Option<HeadError> {
        let mut state = self.lock();
        state.end.get_or_insert(ended);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        match &state.phase {
            Phase::Head(head, _) => {
                let missing = head.missing();
                let closed = mem::replace(&mut state.phase, Phase::Closed);
                drop(state);
                // With it goes what its client waits for.
                drop(closed);
                Some(missing)
            }
            Phase::Body | Phase::Closed => None,
        }
    }

    /// Takes all of `bytes`, of which the room was asked for.
    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let written = match &mut state.phase {
            Phase::Head(head, _) => head.write(bytes),
            Phase::Body => {
                state.pending.extend_from_slice(bytes);
                if let Some(reader) = state.reader.take() {
                    reader.wake();
                }
                return Ok(());
            }
            Phase::Closed => return Err(state.refuse()),
        };
        let next = match &written {
            Ok(None) => return Ok(()),
            Ok(Some((_, taken))) => {
                state.pending.extend_from_slice(&bytes[*taken..]);
                Phase::Body
            }
            Err(_) => Phase::Closed,
        };
        let before = mem::replace(&mut state.phase, next);
        // The response goes to others, who may drop it at once, and with it its end of this.
        drop(state);
        let Phase::Head(_, parts) = before else {
            return Ok(());
        };
        match written {
            Ok(Some((head, _))) => {
                self.answer(head, parts);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                self.tell(Level::ERROR, format_args!("gave no response: {error}"));
                drop(parts);
                Err(self.lock().refuse())
            }
        }
    }

    fn answer(&self, head: Head, parts: ResponseParts) {
        for left_out in head.left_out {
            self.tell(
                Level::WARN,
                format_args!("wrote a line that is left out of its response: {left_out}"),
            );
        }
        let body = OutputBody(self.clone());
        parts.answer(head.response.map(|()| body.boxed_unsync()));
    }

    fn tell(&self, level: Level, what: std::fmt::Arguments<'_>) {
        let component = self.failures.component();
        self.failures
            .add(level, format!("component `{component}` {what}"));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Bytes that may be written now.
    ///
    /// # Errors
    ///
    /// Nobody reads on.
    fn room(&mut self) -> io::Result<usize> {
        match self.phase {
            Phase::Head(..) => Ok(AT_ONCE),
            Phase::Body => Ok(CAPACITY.saturating_sub(self.pending.len()).min(AT_ONCE)),
            Phase::Closed => Err(self.refuse()),
        }
    }

    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match self.room() {
            Ok(0) => {
                if !self.writers.iter().any(|writer| writer.will_wake(cx.waker())) {
                    self.writers.push(cx.waker().clone());
                }
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    fn refuse(&mut self) -> io::Error {
        self.refused = true;
        if let Some(task) = self.task.take() {
            task.wake();
        }
        io::ErrorKind::BrokenPipe.into()
    }

    fn wake_writers(&mut self) {
        self.writers.drain(..).for_each(Waker::wake);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        // That it is closed is told by the write.
        let _ = poll_fn(|cx| self.lock().poll_room(cx)).await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Another handle may have taken the room since, but nobody asked for more than this.
        let waiting = self.lock().pending.len();
        if bytes.len() > AT_ONCE || waiting.saturating_add(bytes.len()) > CAPACITY + AT_ONCE {
            return Err(StreamError::trap("wrote more than `check-write` permits"));
        }
        self.put(&bytes).map_err(|_| StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.lock().room().map_err(|_| StreamError::Closed)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = std::task::ready!(self.lock().poll_room(cx))?;
        let taken = bytes.len().min(room);
        self.put(&bytes[..taken])?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The body of the response.
struct OutputBody(Output);

impl Body for OutputBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.0.lock();
        if !state.pending.is_empty() {
            let bytes = state.pending.split().freeze();
            state.wake_writers();
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match state.end {
            Some(Ended::Whole) => Poll::Ready(None),
            Some(Ended::Broken) => {
                state.end = Some(Ended::Whole);
                Poll::Ready(Some(Err(Error::HttpProtocolError)))
            }
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.pending.is_empty() && state.end == Some(Ended::Whole)
    }
}

impl Drop for OutputBody {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.phase = Phase::Closed;
        state.pending = BytesMut::new();
        state.wake_writers();
    }
}

/// Bytes of the body that may wait for their reader.
const CAPACITY: usize = 64 * 1024;

/// Bytes of a write at most, as wasmtime-wasi has it.
const AT_ONCE: usize = 64 * 1024;
