//! The payer of what a connection costs the host that it has made for a guest (ISO-2).
//!
//! A connection is driven by a task of its own, and what that has to do is for the server to say: a hundred thousand
//! `103 Early Hints`, pings, chunks of one byte. All of it is charged to the instance whose use the connection is in, with outgoing HTTP at whose request it is,
//! the last one where several share it. While nobody uses it, it may cost [`UNUSED_TIME`] and ends then.
//!
//! However much a server sends, its connection holds the thread for about [`TURN`] at a time: [`Paced`] lets others
//! have their turn in between.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

#[cfg(feature = "http")]
use hyper::rt::Executor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::audit::EndedBy;
use crate::byte_budget::Spent;
use crate::followed::Followed;
use crate::host_account::HostAccount;

/// The user whose request a connection is at. Cheap to clone; clones are of one connection.
#[derive(Clone, Default)]
pub(crate) struct User(Arc<Mutex<Who>>);

/// The user of a connection.
#[derive(Clone, Default)]
enum Who {
    #[default]
    Nobody,
    /// Somebody who is charged for nothing.
    Unaccounted,
    /// The instance with this account, while it lives.
    Instance(Weak<dyn HostAccount>),
}

impl User {
    /// From now on it is at a request of the instance with this account.
    pub(crate) fn set(&self, account: Option<&Arc<dyn HostAccount>>) {
        *self.lock() = account.map_or(Who::Unaccounted, |account| Who::Instance(Arc::downgrade(account)));
    }

    /// From now on nobody uses it.
    pub(crate) fn unset(&self) {
        *self.lock() = Who::Nobody;
    }

    /// The account of whoever uses it, if anybody does.
    fn get(&self) -> Option<Option<Arc<dyn HostAccount>>> {
        match &*self.lock() {
            Who::Nobody => None,
            Who::Unaccounted => Some(None),
            Who::Instance(account) => account.upgrade().map(Some),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Who> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives a connection at the cost of who uses it, until it ends or costs too much while nobody does.
    pub(crate) async fn pay<F: Future>(self, connection: F) -> Option<F::Output> {
        let mut connection = Box::pin(connection);
        let mut unused = Duration::ZERO;
        std::future::poll_fn(|cx| {
            let Some(account) = self.get() else {
                let start = Instant::now();
                let polled = connection.as_mut().poll(cx).map(Some);
                unused += start.elapsed();
                return match polled {
                    Poll::Pending if unused > UNUSED_TIME => Poll::Ready(None),
                    polled => polled,
                };
            };
            unused = Duration::ZERO;
            let Some(account) = account else {
                return connection.as_mut().poll(cx).map(Some);
            };
            let mut polled = Poll::Pending;
            account.charge(&mut || polled = connection.as_mut().poll(cx).map(Some));
            polled
        })
        .await
    }
}

/// HTTP/2 has tasks of its own, one for the connection and one for each body that is sent: they are paid for alike.
#[cfg(feature = "http")]
impl<F> Executor<F> for User
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        tokio::spawn(self.clone().pay(task));
    }
}

/// Notes the error that ends a connection, or that the bytes of its component did.
fn note_error(followed: &Followed, error: &io::Error) {
    if Spent::is_cause_of(error) {
        followed.note_end(EndedBy::Quota);
    } else {
        followed.note_error(&error.kind());
    }
}

/// A stream that is read for a short while at a time.
pub(crate) struct Paced<S> {
    stream: S,
    /// Since when there was always something to read.
    since: Option<Instant>,
    followed: Option<Arc<Followed>>,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            since: None,
            followed: None,
        }
    }

    /// The same, with its bytes counted and its end noted.
    pub(crate) fn followed(self, followed: Option<Arc<Followed>>) -> Self {
        Self { followed, ..self }
    }

    /// The record that its end is noted in.
    pub(crate) fn follower(&self) -> Option<Arc<Followed>> {
        self.followed.clone()
    }

    /// The stream that is read.
    pub(super) fn get(&self) -> &S {
        &self.stream
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        match (&self.followed, written) {
            (Some(followed), Poll::Ready(Ok(length))) => followed.count_sent(*length),
            (Some(followed), Poll::Ready(Err(error))) => note_error(followed, error),
            _ => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.since.is_some_and(|since| since.elapsed() > TURN) {
            self.since = None;
            // Tokio's own yield wakes the task after it has looked at sockets and timers. A task that wakes itself
            // would be polled some sixty times before anybody looks.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match (&self.followed, &read) {
            (Some(followed), Poll::Ready(Ok(()))) => match buffer.filled().len() - before {
                0 => followed.note_end(EndedBy::Peer),
                length => followed.count_received(length),
            },
            (Some(followed), Poll::Ready(Err(error))) => note_error(followed, error),
            _ => {}
        }
        match read {
            Poll::Pending => self.since = None,
            Poll::Ready(_) => {
                self.since.get_or_insert_with(Instant::now);
            }
        }
        Poll::Ready(ready!(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The processor time that driving a connection may cost in a row while nobody uses it.
const UNUSED_TIME: Duration = Duration::from_millis(100);

/// The time that a connection is read in one go.
const TURN: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::testing::{Script, World};

    #[derive(Default)]
    struct Turns(AtomicUsize);

    impl HostAccount for Turns {
        fn charge(&self, work: &mut dyn FnMut()) {
            self.0.fetch_add(1, Ordering::Relaxed);
            work();
        }

        fn aside(&self, work: &mut dyn FnMut()) {
            work();
        }
    }

    /// Takes 10 ms of every turn, and never ends.
    async fn flooded() {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    }

    // proves: ISO-2
    #[tokio::test]
    async fn a_connection_that_nobody_uses_and_that_costs_time_ends() {
        assert_eq!(User::default().pay(flooded()).await, None);
    }

    #[tokio::test]
    async fn a_connection_that_somebody_without_an_account_uses_goes_on() {
        let user = User::default();
        user.set(None);
        let driven = tokio::time::timeout(Duration::from_millis(400), user.clone().pay(flooded()));
        assert!(driven.await.is_err(), "it does not end by itself");
        user.unset();
        assert_eq!(user.pay(flooded()).await, None, "nobody uses it any more");
    }

    // proves: ISO-2
    #[tokio::test]
    async fn what_a_used_connection_costs_is_its_users() {
        let user = User::default();
        let turns = Arc::new(Turns::default());
        let account: Arc<dyn HostAccount> = turns.clone();
        user.set(Some(&account));
        // Longer than one that nobody uses may go on.
        let many = async {
            while turns.0.load(Ordering::Relaxed) <= 20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            end = user.clone().pay(flooded()) => panic!("it ends by itself: {end:?}"),
            () = many => {}
        }
        drop((account, turns));
        assert_eq!(user.pay(flooded()).await, None, "its user is gone");
    }

    #[tokio::test]
    async fn what_an_instance_without_an_account_uses_goes_on_until_it_is_gone() {
        let enforcer = World::new(Script::new()).instance(&[]);
        let user = User::default();
        user.set(Some(&enforcer.payer()));
        tokio::select! {
            end = user.clone().pay(flooded()) => panic!("it ends by itself: {end:?}"),
            () = tokio::time::sleep(3 * UNUSED_TIME) => {}
        }
        drop(enforcer);
        assert_eq!(user.pay(flooded()).await, None, "its user is gone");
    }

    // proves: ISO-2
    #[tokio::test]
    async fn a_stream_without_end_lets_others_have_their_turn() {
        // 20 times a turn of 0.2 ms and a timer of 2 ms at most; were the stream polled sixty times in between, it took far
        // longer. What else the machine is doing should not count, so one time of ten is enough.
        let mut took = Vec::new();
        for _ in 0..10 {
            took.push(twenty_timers_beside_a_flood().await);
            if took.last() < Some(&Duration::from_millis(600)) {
                return;
            }
        }
        panic!("{took:?}");
    }

    /// Each time that a timer is looked at takes a turn of the stream, and no more.
    async fn twenty_timers_beside_a_flood() -> Duration {
        let start = Instant::now();
        let others = tokio::spawn(async move {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            start.elapsed()
        });
        let mut stream = Paced::new(tokio::io::repeat(7));
        let mut buffer = [0; 1024];
        let flood = async {
            loop {
                stream.read_exact(&mut buffer).await.unwrap();
            }
        };
        tokio::select! {
            () = flood => unreachable!("the flood never ends"),
            ended = others => ended.unwrap(),
        }
    }
}
