//! The turns that the handshakes of a worker take.
//!
//! Proving a certificate takes a worker from 50 µs (ECDSA) to several milliseconds (RSA with 4096 bits), in one go. Whoever
//! opens many connections at a time would have a worker do that for all of them in a row, while requests wait that have long
//! been accepted. So handshakes go on one after the other, each by one step, and before each step everybody else who is
//! ready has a turn. Who waits for its client has no turn meanwhile, so that nobody is kept by those who say nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::Semaphore;

/// The turns of one worker. The first who asks is the next.
pub(in crate::http) struct Turns(Semaphore);

impl Turns {
    /// Nobody has a turn yet.
    pub(in crate::http) fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Does `work` to its end, each step of it in a turn of its own.
    pub(super) async fn take<T>(&self, mut work: impl Future<Output = T> + Unpin) -> T {
        loop {
            let turn = self.0.acquire().await;
            tokio::task::yield_now().await;
            let step = poll_fn(|cx| Poll::Ready(Pin::new(&mut work).poll(cx))).await;
            drop(turn);
            match step {
                Poll::Ready(done) => return done,
                // Nothing is waited for between that step and this, so whatever wakes the work wakes this.
                Poll::Pending => woken().await,
            }
        }
    }
}

/// Waits until the task is woken by what it was polled for last.
async fn woken() {
    let mut waited = false;
    poll_fn(|_| {
        if std::mem::replace(&mut waited, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;

    use tokio::task::{LocalSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn others_have_a_turn_between_the_steps_of_any_two() {
        let turns = Rc::new(Turns::new());
        let log = Rc::new(RefCell::new(Vec::new()));
        let tasks = LocalSet::new();
        for number in 0..3 {
            let (turns, log) = (Rc::clone(&turns), Rc::clone(&log));
            tasks.spawn_local(async move {
                let work = pin!(async {
                    for _ in 0..2 {
                        log.borrow_mut().push(Some(number));
                        yield_now().await;
                    }
                });
                turns.take(work).await;
            });
        }
        let other = Rc::clone(&log);
        tasks.spawn_local(async move {
            for _ in 0..40 {
                other.borrow_mut().push(None);
                yield_now().await;
            }
        });
        tasks.await;
        let log = log.borrow();
        let steps = log.iter().flatten().count();
        assert_eq!(steps, 6, "{log:?}");
        // The others come once in each round, sometimes before a step and sometimes behind one.
        let in_a_row = log.windows(3).any(|steps| steps.iter().all(Option::is_some));
        assert!(!in_a_row, "{log:?}");
    }

    #[tokio::test]
    async fn who_waits_keeps_nobody_and_is_woken() {
        let turns = Turns::new();
        let (go, gone) = tokio::sync::oneshot::channel::<u8>();
        let waits = turns.take(gone);
        let goes = async {
            turns.take(pin!(async { yield_now().await })).await;
            go.send(7).unwrap();
        };
        let (got, ()) = tokio::join!(waits, goes);
        assert_eq!(got, Ok(7));
    }
}
