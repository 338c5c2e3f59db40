//! Cleartext of a guest's, over streams of its own that carry TLS.
//!
//! Whoever polls it does so at the account of the instance (ISO-2), and what is allocated meanwhile counts there, too
//! (ISO-3).
//!
//! rustls keeps up to 64 KiB that the streams did not take. Guests need not say that they want it sent, so what is
//! left after a write is sent by a task, as soon as the streams take more.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::Transport;
use super::trouble::Trouble;
use crate::dial::Paced;
use crate::host_account::HostAccount;
use crate::tls_usage::TlsPlace;

/// A connection whose server has shown a certificate for the name that was judged. Reading ends without an error only
/// where the server has said so in TLS.
pub struct SecuredStream<S> {
    session: Arc<Session<S>>,
    /// Sends what is left.
    sender: Option<AbortOnDropJoinHandle<()>>,
}

struct Session<S> {
    // Before the streams: it is free when they are.
    _place: TlsPlace,
    account: Option<Arc<dyn HostAccount>>,
    /// As much as the host holds at most for whoever reads it on WASI 0.2: wasmtime takes that from the allocator while
    /// nobody is charged. Never touched, so it takes no memory of the machine.
    _read_ahead: Vec<u8>,
    writers: Arc<Writers>,
    state: Mutex<State<S>>,
}

struct State<S> {
    stream: TlsStream<Paced<Transport<S>>>,
    /// A task sends what is left.
    is_sending: bool,
}

/// All who wait for the streams to take something, which remember one of them only.
#[derive(Default)]
struct Writers {
    writer: AtomicWaker,
    sender: AtomicWaker,
}

impl Wake for Writers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.writer.wake();
        self.sender.wake();
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> SecuredStream<S> {
    pub(super) fn new(
        stream: TlsStream<Paced<Transport<S>>>,
        place: TlsPlace,
        account: Option<Arc<dyn HostAccount>>,
    ) -> Self {
        let mut read_ahead = Vec::new();
        charge(account.as_ref(), || read_ahead.reserve_exact(READ_AHEAD));
        Self {
            session: Arc::new(Session {
                _place: place,
                account,
                _read_ahead: read_ahead,
                writers: Arc::default(),
                state: Mutex::new(State {
                    stream,
                    is_sending: false,
                }),
            }),
            sender: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Session<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may have to wait until the streams take more.
    fn poll_to_peer<R>(
        &self,
        waiting: &AtomicWaker,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut State<S>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        waiting.register(cx.waker());
        let all = Waker::from(Arc::clone(&self.writers));
        let state = &mut *self.state();
        let done = charge(self.account.as_ref(), || {
            work(state, &mut Context::from_waker(&all))
        });
        done.map_err(said)
    }

    /// Sends what is left.
    async fn send(self: Arc<Self>) {
        poll_fn(|cx| {
            let sent = self.poll_to_peer(&self.writers.sender, cx, |state, cx| {
                let sent = Pin::new(&mut state.stream).poll_flush(cx);
                // Under the lock: whoever writes next sees it.
                state.is_sending = sent.is_pending();
                sent
            });
            // Whoever writes or reads next hears of the error.
            sent.map(drop)
        })
        .await;
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncRead for SecuredStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let session = &self.session;
        let stream = &mut session.state().stream;
        let read = charge(session.account.as_ref(), || {
            Pin::new(stream).poll_read(cx, buffer)
        });
        read.map_err(said)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncWrite for SecuredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // As much as rustls keeps, so that one call holds the thread for a short while.
        let bytes = &bytes[..bytes.len().min(MOST)];
        let mut is_left = false;
        let written = self
            .session
            .poll_to_peer(&self.session.writers.writer, cx, |state, cx| {
                let written = Pin::new(&mut state.stream).poll_write(cx, bytes);
                let wants_write = state.stream.get_ref().1.wants_write();
                is_left = matches!(written, Poll::Ready(Ok(_))) && wants_write && !state.is_sending;
                state.is_sending |= is_left;
                written
            });
        if is_left {
            self.sender = Some(spawn(Arc::clone(&self.session).send()));
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session
            .poll_to_peer(&self.session.writers.writer, cx, |state, cx| {
                Pin::new(&mut state.stream).poll_flush(cx)
            })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session
            .poll_to_peer(&self.session.writers.writer, cx, |state, cx| {
                Pin::new(&mut state.stream).poll_shutdown(cx)
            })
    }
}

/// The same error in words for the guest.
fn said(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Trouble::of(&error).afterwards())
}

/// Does `work` at `account`.
fn charge<R>(account: Option<&Arc<dyn HostAccount>>, work: impl FnOnce() -> R) -> R {
    let Some(account) = account else {
        return work();
    };
    let (mut work, mut done) = (Some(work), None);
    account.charge(&mut || done = work.take().map(|work| work()));
    done.expect("an account does the work that it is given")
}

/// Bytes that are taken of a write at a time: 64 KiB.
const MOST: usize = 64 * 1024;

/// Bytes that wasmtime reads ahead of a guest on WASI 0.2: three buffers of 64 KiB.
const READ_AHEAD: usize = 3 * 64 * 1024;
