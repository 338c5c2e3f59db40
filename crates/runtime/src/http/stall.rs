//! The time that something may wait for a client without anything moving.
//!
//! A timer is made when something waits for the first time, and is not touched while things move: when it goes off, it
//! is looked at how long nothing has moved, and it is set anew for what is left. So what moves costs a reading of the
//! clock at most.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for a client that may leave.
pub(super) struct Stall {
    limit: Duration,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Nothing waits yet; when it does, for `limit` at most.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            sleep: None,
        }
    }

    /// Something has moved, or it is not the client who is waited for.
    pub(super) fn moved(&mut self) {
        self.since = None;
    }

    /// Says that the client is waited for. Ready when nothing has moved for too long, or when `end` has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, end: Option<Instant>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let over = since.checked_add(self.limit);
        let Some(due) = over.into_iter().chain(end).min() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn what_moves_now_and_then_is_waited_for_and_what_does_not_is_given_up() {
        let mut stall = Stall::new(LIMIT);
        let begun = Instant::now();
        for _ in 0..6 {
            let wait = poll_fn(|cx| stall.poll(cx, None));
            assert!(tokio::time::timeout(LIMIT / 2, wait).await.is_err());
            stall.moved();
        }
        assert!(begun.elapsed() >= LIMIT * 3);
        let still = Instant::now();
        poll_fn(|cx| stall.poll(cx, None)).await;
        assert!(still.elapsed() >= LIMIT);
    }

    #[tokio::test]
    async fn what_moves_has_an_end_all_the_same() {
        let mut stall = Stall::new(LIMIT * 100);
        let end = Instant::now() + LIMIT;
        assert!(
            tokio::time::timeout(LIMIT / 2, poll_fn(|cx| stall.poll(cx, None)))
                .await
                .is_err()
        );
        poll_fn(|cx| stall.poll(cx, Some(end))).await;
        assert!(Instant::now() >= end);
    }
}
