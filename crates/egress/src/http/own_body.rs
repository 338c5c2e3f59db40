//! The body of a request that an instance sends.
//!
//! ```text
//! guest ──writes──▶ OwnBody ──lend──▶ Loan: what one attempt to send it reads
//!                      │                ╳ a later loan ends an earlier one
//!                      └─ nobody holds it, and the guest has not ended it ──▶ discarded
//! ```
//!
//! **Whoever reads may stop early**: the length was reached, the server has answered, the request was refused. That is
//! no concern of the guest, which may have some more to write, or only the end: were the body gone, its write would
//! fail, and many a guest would give up before it looks at the answer. So the rest is read and thrown away, a piece at
//! a time and at the cost of the instance, until the guest ends the body or the instance is gone.
//!
//! **A body may be sent again** on another connection as long as nothing was taken from the guest.
//!
//! **It is whole or it fails.** To `wasmtime-wasi-http`, a body of WASI 0.3 whose writer is gone ends like one that was
//! written to its end. So who runs instances tells how one [ended](Ending), before anybody reads on. A body that is
//! longer or shorter than its `content-length` fails as such, whatever the reader makes of it.

use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use tokio::sync::watch;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::host_account::{HostAccount, charged};

/// The end of an instance, for the bodies that it was sending.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Notes that the instance was stopped: by a trap, or by a limit. A body that ends from then on ends with an error.
    pub fn stopped(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn was_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The instance that writes the body.
pub(super) struct Writer {
    ending: Ending,
    /// Closed once the instance is gone.
    alive: watch::Sender<()>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            ending: Ending::default(),
            alive: watch::Sender::new(()),
        }
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// A body that it writes, whose `content-length` is `length`.
    pub(super) fn body(
        &self,
        body: WasiBody,
        length: Option<u64>,
        account: Option<Arc<dyn HostAccount>>,
    ) -> OwnBody {
        // Most requests have none.
        if body.is_end_stream() && matches!(length, None | Some(0)) {
            return OwnBody(None);
        }
        OwnBody(Some(Arc::new(Mutex::new(State {
            body,
            ending: self.ending.clone(),
            alive: self.alive.subscribe(),
            account,
            length,
            taken: 0,
            progress: Progress::Untouched,
            false_length: FalseLength::default(),
            loan: 0,
        }))))
    }
}

/// The body of a request. Once neither this nor a loan is left, what the guest still writes goes nowhere. None is one
/// that was at its end from the beginning.
pub(super) struct OwnBody(Option<Arc<Mutex<State>>>);

struct State {
    body: WasiBody,
    ending: Ending,
    alive: watch::Receiver<()>,
    account: Option<Arc<dyn HostAccount>>,
    length: Option<u64>,
    /// Bytes.
    taken: u64,
    progress: Progress,
    false_length: FalseLength,
    /// The loan that may read.
    loan: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Untouched,
    /// Something was taken from the guest.
    Begun,
    /// The guest ended it without anything in it.
    Empty,
    Ended,
}

impl OwnBody {
    /// The body for an attempt to send it. What was lent before reads no more.
    pub(super) fn lend(&self) -> WasiBody {
        let Some(shared) = &self.0 else {
            return nothing();
        };
        let mut state = lock(shared);
        state.loan = state.loan.wrapping_add(1);
        let loan = Loan {
            number: state.loan,
            state: Arc::clone(shared),
        };
        drop(state);
        loan.boxed_unsync()
    }

    /// True if nothing was taken from the guest, so that it can be lent again.
    pub(super) fn is_untouched(&self) -> bool {
        self.0
            .as_deref()
            .is_none_or(|state| matches!(lock(state).progress, Progress::Untouched | Progress::Empty))
    }

    /// True if a server that got none of it cannot take the request for whole.
    pub(super) fn is_awaited(&self) -> bool {
        let Some(state) = self.0.as_deref().map(lock) else {
            return false;
        };
        state.progress == Progress::Untouched && state.length != Some(0) && !state.body.is_end_stream()
    }

    /// The later answer to whether it failed by itself.
    pub(super) fn false_length(&self) -> FalseLength {
        match &self.0 {
            Some(state) => lock(state).false_length.clone(),
            None => FalseLength::default(),
        }
    }
}

/// The reason why a body failed by itself, if it did: it is not as long as it says. Holds nothing of the body.
#[derive(Debug, Clone, Default)]
pub(super) struct FalseLength(Arc<OnceLock<Option<u64>>>);

impl FalseLength {
    pub(super) fn error(&self) -> Option<Error> {
        self.0.get().copied().map(Error::HttpRequestBodySize)
    }

    /// So many bytes were written.
    fn note(&self, written: Option<u64>) {
        // It fails but once.
        let _ = self.0.set(written);
    }
}

impl State {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if matches!(self.progress, Progress::Empty | Progress::Ended) {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            None if self.ending.was_stopped() => self.fail(Error::ConnectionTerminated),
            // `wasmtime-wasi-http` has told of it where it could: not where no body of WASI 0.3 was given, nor where
            // what was written before is not read yet.
            None if self.is_short() => self.fail_by_length(),
            None if self.progress == Progress::Untouched => {
                self.progress = Progress::Empty;
                None
            }
            None => {
                self.progress = Progress::Ended;
                None
            }
            Some(Err(Error::HttpRequestBodySize(written))) => {
                self.false_length.note(written);
                self.fail(Error::HttpRequestBodySize(written))
            }
            // What `wasmtime-wasi-http` makes of a body of WASI 0.2 that its guest finished too early.
            Some(Err(Error::HttpProtocolError)) if self.length.is_some_and(|length| length != self.taken) => {
                self.fail_by_length()
            }
            Some(Err(error)) => self.fail(error),
            Some(Ok(frame)) => {
                self.progress = Progress::Begun;
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.taken = self.taken.saturating_add(bytes as u64);
                match self.length {
                    Some(length) if length < self.taken => self.fail_by_length(),
                    _ => Some(Ok(frame)),
                }
            }
        })
    }

    /// Less was taken than it says that there is.
    fn is_short(&self) -> bool {
        self.length.is_some_and(|length| self.taken < length)
    }

    fn fail_by_length(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        self.false_length.note(Some(self.taken));
        self.fail(Error::HttpRequestBodySize(Some(self.taken)))
    }

    /// The guest may go on writing: what it writes goes nowhere.
    fn fail(&mut self, error: Error) -> Option<Result<Frame<Bytes>, Error>> {
        self.discard();
        self.progress = Progress::Ended;
        Some(Err(error))
    }

    /// Has what the guest still writes read by nobody.
    fn discard(&mut self) {
        if matches!(self.progress, Progress::Empty | Progress::Ended) || self.body.is_end_stream() {
            return;
        }
        // Without a runtime no instance writes anything either.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let body = mem::replace(&mut self.body, nothing());
        runtime.spawn(charged(self.account.take(), discard(body, self.alive.clone())));
    }
}

fn nothing() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Reads `body` to its end, or until its writer is gone.
async fn discard(mut body: WasiBody, mut alive: watch::Receiver<()>) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::select! {
        () = read => {}
        _ = alive.changed() => {}
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The part of a request's body that one attempt to send it has.
struct Loan {
    state: Arc<Mutex<State>>,
    number: u32,
}

impl Body for Loan {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = lock(&self.state);
        if state.loan == self.number {
            state.poll_frame(cx)
        } else {
            Poll::Ready(Some(Err(Error::ConnectionTerminated)))
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        let at_end = matches!(state.progress, Progress::Empty | Progress::Ended);
        at_end || state.body.is_end_stream() && !state.ending.was_stopped() && !state.is_short()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.state).body.size_hint()
    }
}

/// Locks the state, which is right between any two steps, whatever panicked elsewhere.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
