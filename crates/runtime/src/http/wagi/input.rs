//! The body of a request as a command reads it: its standard input.
//!
//! It is read from the client when the guest reads, and no sooner. All handles that a guest has share it. A body that
//! breaks off is an error once, and then at its end.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::body::Body;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_http::WasiBody;

/// A request's body, as standard input.
#[derive(Clone)]
pub(super) struct Input(Arc<Mutex<State>>);

struct State {
    /// None at its end.
    body: Option<WasiBody>,
    /// The part that was read from the client and not by the guest.
    rest: Bytes,
    /// The reason why it has ended, until the guest knows.
    error: Option<io::Error>,
}

impl Input {
    pub(super) fn new(body: WasiBody) -> Self {
        Self(Arc::new(Mutex::new(State {
            body: Some(body),
            rest: Bytes::new(),
            error: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Waits until there is something to read, or nothing more.
    fn poll_filled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.rest.is_empty() {
            let Some(body) = &mut self.body else { break };
            match ready!(Pin::new(body).poll_frame(cx)) {
                // Trailers are nothing that a program of CGI could read.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    self.body = None;
                    self.error = Some(io::Error::other(error));
                }
                None => self.body = None,
            }
        }
        Poll::Ready(())
    }

    /// Something of what there is; nothing at the end.
    fn take(&mut self, most: usize) -> io::Result<Bytes> {
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(self.rest.split_to(most.min(self.rest.len()))),
        }
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.lock().poll_filled(cx)).await;
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut state = self.lock();
        // For a guest that reads without waiting. Whoever waits polls again.
        if state
            .poll_filled(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            return Ok(Bytes::new());
        }
        let is_over = state.rest.is_empty() && state.error.is_none();
        if is_over {
            return Err(StreamError::Closed);
        }
        state
            .take(size)
            .map_err(|error| StreamError::LastOperationFailed(error.into()))
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        ready!(state.poll_filled(cx));
        let taken = state.take(buffer.remaining())?;
        buffer.put_slice(&taken);
        Poll::Ready(Ok(()))
    }
}
