//! What a guest is given piece by piece: a stream, and beside it a future that says whether those were all.
//!
//! ```text
//!                    ┌─ Stream:  the piece that was found ahead, else the next one
//! Pieces ─ Shared ───┤
//!                    └─ Outcome: looks ahead until the end is found, at most two pieces
//! ```
//!
//! The SDKs of Spin wait for the future of a statement that gives no rows and leave the stream alone, so the future must not
//! wait for somebody who reads. It finds the end by itself, of what is no longer than what it may look ahead; beyond, the
//! guest has to read, or to drop the stream, which says that it does not want the rest.
//!
//! Both wait for the same pieces, and what they wait for wakes whoever asked last. So each wakes the other whenever it has
//! found something, and when it goes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Lower, StreamProducer, StreamResult, VecBuffer};

/// What is given, bit by bit.
pub(crate) trait Pieces: Send + 'static {
    type Item: Lower + Send + Sync + 'static;
    type Error: Send + 'static;

    /// The next items, or none if those before were the last. Not asked again after that, or after an error.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Found<Self::Item, Self::Error>>;
}

/// Some items, or none where there are no more.
pub(crate) type Found<I, E> = Result<Option<Vec<I>>, E>;

/// The two ends of `pieces`.
pub(crate) fn given<P: Pieces>(pieces: P) -> (Stream<P>, Outcome<P>) {
    let shared = Shared(Arc::new(Mutex::new(State {
        pieces: Some(pieces),
        ahead: VecDeque::new(),
        end: None,
        stream: None,
        outcome: None,
    })));
    (Stream(shared.clone()), Outcome(shared))
}

/// Gives the pieces to the guest.
pub(crate) struct Stream<P: Pieces>(Shared<P>);

/// Whether those were all. One whose stream is gone is content.
pub(crate) struct Outcome<P: Pieces>(Shared<P>);

struct Shared<P: Pieces>(Arc<Mutex<State<P>>>);

struct State<P: Pieces> {
    /// Until the end is found, or nobody wants it.
    pieces: Option<P>,
    ahead: VecDeque<Vec<P::Item>>,
    end: Option<Result<(), P::Error>>,
    /// Who waits on either side.
    stream: Option<Waker>,
    outcome: Option<Waker>,
}

/// As many pieces are found before somebody reads the first: one, and the next, to learn whether it is the end.
const MOST_AHEAD: usize = 2;

impl<P: Pieces> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Pieces> Shared<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Pieces> State<P> {
    /// The next piece, or none if the end is found.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<P::Item>>> {
        let Some(pieces) = &mut self.pieces else {
            return Poll::Ready(None);
        };
        let end = match pieces.poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(piece))) => return Poll::Ready(Some(piece)),
            Poll::Ready(Ok(None)) => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
        };
        self.pieces = None;
        self.end = Some(end);
        Poll::Ready(None)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T, P: Pieces> StreamProducer<T> for Stream<P> {
    type Item = P::Item;
    type Buffer = VecBuffer<P::Item>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, T>,
        mut destination: Destination<'a, P::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut state = self.0.lock();
        let next = match state.ahead.pop_front() {
            Some(piece) => Poll::Ready(Some(piece)),
            None => state.poll_next(cx),
        };
        let result = match next {
            Poll::Ready(Some(piece)) => {
                destination.set_buffer(piece.into());
                StreamResult::Completed
            }
            Poll::Ready(None) => StreamResult::Dropped,
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => {
                state.stream = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let other = state.outcome.take();
        drop(state);
        wake(other);
        Poll::Ready(Ok(result))
    }
}

impl<P: Pieces> Future for Outcome<P> {
    type Output = Result<(), P::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        while state.pieces.is_some() && state.ahead.len() < MOST_AHEAD {
            match state.poll_next(cx) {
                Poll::Ready(Some(piece)) => state.ahead.push_back(piece),
                Poll::Ready(None) => {}
                Poll::Pending => break,
            }
        }
        let answer = match &state.pieces {
            Some(_) => {
                state.outcome = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(state.end.take().unwrap_or(Ok(()))),
        };
        let other = if answer.is_ready() || !state.ahead.is_empty() {
            state.stream.take()
        } else {
            None
        };
        drop(state);
        wake(other);
        answer
    }
}

/// Without a word the guest has dropped the stream, and does not want what was to come.
impl<P: Pieces> Drop for Stream<P> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let unwanted = (state.pieces.take(), std::mem::take(&mut state.ahead));
        let other = state.outcome.take();
        drop(state);
        drop(unwanted);
        wake(other);
    }
}

impl<P: Pieces> Drop for Outcome<P> {
    fn drop(&mut self) {
        let other = self.0.lock().stream.take();
        wake(other);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll::{Pending, Ready};

    use super::*;

    /// So many pieces, and how they end.
    struct Few(usize, Result<(), &'static str>);

    impl Pieces for Few {
        type Item = String;
        type Error = &'static str;

        fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Vec<String>>, &'static str>> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Ready(Ok(Some(vec!["an item".to_owned()])))
                }
                None => Ready(self.1.map(|()| None)),
            }
        }
    }

    #[test]
    fn the_end_is_found_without_a_reader_as_far_as_may_be_looked_ahead() {
        let mut cx = Context::from_waker(Waker::noop());
        for (pieces, end, expected) in [
            (0, Ok(()), Ready(Ok(()))),
            (0, Err("broken"), Ready(Err("broken"))),
            (1, Ok(()), Ready(Ok(()))),
            (1, Err("broken"), Ready(Err("broken"))),
            (2, Ok(()), Pending),
            (1_000_000, Ok(()), Pending),
        ] {
            let (stream, outcome) = given(Few(pieces, end));
            assert_eq!(pin!(outcome).poll(&mut cx), expected, "{pieces} {end:?}");
            // What was found ahead is still to be read.
            assert_eq!(stream.0.lock().ahead.len(), pieces.min(MOST_AHEAD), "{pieces}");
        }
    }

    #[test]
    fn who_drops_the_stream_does_not_want_the_rest() {
        let mut cx = Context::from_waker(Waker::noop());
        let (stream, outcome) = given(Few(1_000_000, Err("never found")));
        let mut outcome = pin!(outcome);
        assert_eq!(outcome.as_mut().poll(&mut cx), Pending);
        drop(stream);
        assert_eq!(outcome.poll(&mut cx), Ready(Ok(())));
    }
}
