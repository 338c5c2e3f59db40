//! The two streams of a connection as WASI 0.2 has them.
//!
//! Input is what the system has, when the guest asks. Output is taken from the guest at once, up to [`MOST`] bytes, and
//! as much as the system takes is sent at once; a task sends the rest, and until it is done the stream takes nothing
//! more. Whether a stream is ready is what the system says then. The guest may drop the stream meanwhile: what it has
//! written is sent all the same, and then the peer is told that it was all.
//!
//! ```text
//! Open ─ write ─┬─ all is sent: Open
//!               └─ some is left: Sending ─┬─ done: Open
//!                                         └─ failed: Ended, with the error
//! Open, Sending ─ shut down ─ Ending ─ Ended
//! ```

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi::sockets::ErrorCode;

use crate::host_account::charged;
use crate::sockets::{Receiving, Sending};

/// Bytes that the host allocates for a guest at once: 64 KiB.
const MOST: usize = 64 * 1024;

/// The stream of bytes from the peer.
#[derive(Clone)]
pub(super) struct Input {
    /// None once it has ended.
    receiving: Arc<Mutex<Option<Receiving>>>,
}

/// The stream of bytes to the peer.
#[derive(Clone)]
pub(super) struct Output {
    state: Arc<Mutex<OutputState>>,
}

enum OutputState {
    /// So many bytes may be written.
    Open {
        sending: Sending,
        write_budget: usize,
    },
    Sending(AbortOnDropJoinHandle<Result<Sending, ErrorCode>>),
    Ending(AbortOnDropJoinHandle<Result<Sending, ErrorCode>>),
    Ended(Ended),
}

#[derive(Clone, Copy)]
enum Ended {
    /// By the guest, or because the peer receives no more.
    Closed,
    Failed(ErrorCode),
}

impl Input {
    pub(super) fn new(receiving: Receiving) -> Self {
        Self {
            receiving: Arc::new(Mutex::new(Some(receiving))),
        }
    }

    pub(super) fn shut_down(&self) {
        *self.receiving() = None;
    }

    fn receiving(&self) -> MutexGuard<'_, Option<Receiving>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of `receive`, the end or an error among it.
    fn read_with(
        &self,
        receive: impl FnOnce(&Receiving) -> Poll<Result<Vec<u8>, ErrorCode>>,
    ) -> Poll<StreamResult<Bytes>> {
        let mut receiving = self.receiving();
        let Some(open) = &*receiving else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        let error = match ready!(receive(open)) {
            Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Ok(bytes.into())),
            Ok(_) => StreamError::Closed,
            Err(error) => failed(error),
        };
        *receiving = None;
        Poll::Ready(Err(error))
    }
}

#[async_trait::async_trait]
impl InputStream for Input {
    fn read(&mut self, most: usize) -> StreamResult<Bytes> {
        if most == 0 {
            let open = self.receiving().is_some();
            return if open {
                Ok(Bytes::new())
            } else {
                Err(StreamError::Closed)
            };
        }
        match self.read_with(|open| open.try_receive(most.min(MOST))) {
            Poll::Ready(read) => read,
            Poll::Pending => Ok(Bytes::new()),
        }
    }

    async fn blocking_read(&mut self, most: usize) -> StreamResult<Bytes> {
        if most == 0 {
            self.ready().await;
            return self.read(most);
        }
        poll_fn(|cx| self.read_with(|open| open.poll_receive(cx, most.min(MOST)))).await
    }
}

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        poll_fn(|cx| match &*self.receiving() {
            Some(receiving) => receiving.poll_ready(cx),
            None => Poll::Ready(()),
        })
        .await;
    }
}

impl Output {
    pub(super) fn new(sending: Sending) -> Self {
        Self {
            state: Arc::new(Mutex::new(OutputState::Open {
                sending,
                write_budget: 0,
            })),
        }
    }

    pub(super) fn shut_down(&self) {
        let mut state = self.state();
        *state = match state.take() {
            OutputState::Open { .. } => OutputState::Ended(Ended::Closed),
            OutputState::Sending(task) => OutputState::Ending(task),
            over => over,
        };
    }

    fn state(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputState {
    fn take(&mut self) -> Self {
        // Whatever fails before the state is put back leaves a stream that is closed.
        std::mem::replace(self, Self::Ended(Ended::Closed))
    }

    /// Waits until something can be written, or never again.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_sent(cx));
        match self {
            Self::Open { sending, .. } => sending.poll_ready(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Waits until what was written is sent, or never will be.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let sent = match self {
            Self::Sending(task) => ready!(Pin::new(task).poll(cx)).map(Some),
            Self::Ending(task) => ready!(Pin::new(task).poll(cx)).map(|_| None),
            Self::Open { .. } | Self::Ended(_) => return Poll::Ready(()),
        };
        *self = match sent {
            Ok(Some(sending)) => Self::Open {
                sending,
                write_budget: 0,
            },
            Ok(None) => Self::Ended(Ended::Closed),
            Err(error) => Self::Ended(Ended::by(error)),
        };
        Poll::Ready(())
    }

    /// An open stream takes something always: the system may have room for a part of it when poll(2) says that it is
    /// not worth while, and nobody knows but who sends.
    fn check_write(&mut self) -> StreamResult<usize> {
        // Whoever waits does so through `ready`; this only looks.
        let _ = self.poll_sent(&mut Context::from_waker(Waker::noop()));
        match self {
            Self::Open {
                sending,
                write_budget,
            } => {
                *write_budget = MOST.min(sending.most_at_once());
                Ok(*write_budget)
            }
            Self::Sending(_) | Self::Ending(_) => Ok(0),
            Self::Ended(ended) => Err(ended.error()),
        }
    }

    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        let mut sending = match self.take() {
            Self::Open {
                sending,
                write_budget,
            } if bytes.len() <= write_budget => sending,
            Self::Ended(ended) => {
                *self = Self::Ended(ended);
                return Err(ended.error());
            }
            before => {
                *self = before;
                return Err(StreamError::trap(
                    "more is written than `check-write` has permitted",
                ));
            }
        };
        while !bytes.is_empty() {
            match sending.try_send(&bytes) {
                Poll::Ready(Ok(sent)) => bytes.advance(sent),
                Poll::Ready(Err(error)) => {
                    let ended = Ended::by(error);
                    *self = Self::Ended(ended);
                    return Err(ended.error());
                }
                Poll::Pending => {
                    let account = sending.account();
                    *self = Self::Sending(spawn(charged(account, send(sending, bytes))));
                    return Ok(());
                }
            }
        }
        *self = Self::Open {
            sending,
            write_budget: 0,
        };
        Ok(())
    }
}

/// Sends all of `bytes`.
async fn send(mut sending: Sending, mut bytes: Bytes) -> Result<Sending, ErrorCode> {
    while !bytes.is_empty() {
        let sent = poll_fn(|cx| sending.poll_send(cx, &bytes)).await?;
        bytes.advance(sent);
    }
    Ok(sending)
}

impl Ended {
    fn by(error: ErrorCode) -> Self {
        match error {
            ErrorCode::ConnectionBroken => Self::Closed,
            error => Self::Failed(error),
        }
    }

    fn error(self) -> StreamError {
        match self {
            Self::Closed => StreamError::Closed,
            Self::Failed(error) => failed(error),
        }
    }
}

fn failed(error: ErrorCode) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.state().write(bytes)
    }

    /// Nothing is held back that could be sent: of a ClientHello that is not whole nothing is, until the rest of it comes.
    fn flush(&mut self) -> StreamResult<()> {
        match &*self.state() {
            OutputState::Ended(ended) => Err(ended.error()),
            _ => Ok(()),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.state().check_write()
    }

    /// The guest has dropped the stream. What it has written is sent before the stream goes.
    async fn cancel(&mut self) {
        let sending = matches!(&*self.state(), OutputState::Sending(_) | OutputState::Ending(_));
        if sending {
            self.ready().await;
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        poll_fn(|cx| self.state().poll_ready(cx)).await;
    }
}

#[cfg(test)]
mod tests;
