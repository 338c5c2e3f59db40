//! A system's socket that is tried first and waited for only if it has to be.
//!
//! Until somebody waits the runtime does not know of the socket: one that is made, used and closed without having to
//! wait costs no registration with the runtime and none of its wake-ups. On loopback that is most of them, and
//! elsewhere those that fail at once.
//!
//! ```text
//! try ─ done
//!  └ would wait ─ register with the runtime (once) ─ wait until it may go on ─ try ─ …
//! ```
//!
//! What a guest is told is what the system says at that moment. What the runtime remembers of a socket is older: it is
//! ready in the runtime's eyes until an operation would have had to wait, though all that came was read, and it is not
//! ready until the runtime has looked, though the system would take what is sent. So the runtime only wakes whoever
//! waits, and the system is asked before anything is said: by the operation itself, or by poll(2) where the guest wants
//! to know whether one could go on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::Handle;
use tokio::task::coop;

/// A socket that does not block.
pub(super) struct Watched {
    // The runtime forgets the socket before it is closed: fields drop in the order of declaration.
    watched: OnceLock<AsyncFd<Arc<OwnedFd>>>,
    registering: Mutex<()>,
    socket: Arc<OwnedFd>,
}

/// The direction that an operation waits for.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Receiving,
    Sending,
}

impl Watched {
    pub(super) fn new(socket: impl Into<Arc<OwnedFd>>) -> Self {
        Self {
            watched: OnceLock::new(),
            registering: Mutex::new(()),
            socket: socket.into(),
        }
    }

    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    /// Tries `operation` until it would not block. Of several tasks that wait in one direction only the last one is
    /// woken.
    pub(super) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        // Whoever waits lets others have their turn, however fast the peer is.
        let turn = ready!(coop::poll_proceed(cx));
        let done = match now(&mut operation) {
            Poll::Ready(done) => done,
            Poll::Pending => ready!(self.wait(cx, direction, operation)),
        };
        turn.made_progress();
        Poll::Ready(done)
    }

    /// Tries `operation` until it would not block. Any number of tasks may wait.
    pub(super) async fn until<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        coop::consume_budget().await;
        if let Poll::Ready(done) = now(&mut operation) {
            return done;
        }
        let watched = self.watch()?;
        loop {
            let mut guard = match direction {
                Direction::Receiving => watched.readable().await?,
                Direction::Sending => watched.writable().await?,
            };
            match now(&mut operation) {
                Poll::Pending => guard.clear_ready(),
                Poll::Ready(done) => return done,
            }
        }
    }

    /// Waits until an operation in `direction` would not block, the end or an error among it.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<()> {
        let ask = || direction.ask(&self.socket);
        // An error of asking or waiting is told by the operation that follows.
        match now(ask) {
            Poll::Pending => self.wait(cx, direction, ask).map(drop),
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    /// Like [`poll_ready`](Self::poll_ready); where nobody is given to wake, what the system says now.
    pub(super) fn poll_now(&self, cx: &mut Option<&mut Context<'_>>, direction: Direction) -> Poll<()> {
        match cx {
            Some(cx) => self.poll_ready(cx, direction),
            None if self.is_ready(direction) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    /// True if an operation in `direction` would not block now. Nobody is woken.
    pub(super) fn is_ready(&self, direction: Direction) -> bool {
        now(|| direction.ask(&self.socket)).is_ready()
    }

    /// Waits until `operation`, which would block, does not.
    fn wait<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let watched = self.watch()?;
        loop {
            let mut guard = ready!(poll_ready(watched, cx, direction))?;
            match now(&mut operation) {
                Poll::Pending => guard.clear_ready(),
                done => return done,
            }
        }
    }

    fn watch(&self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        // What the guest has written may be sent on another thread while it receives here, and a socket can be
        // registered once.
        let _one_at_a_time = self.registering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = self.watched.get() {
            return Ok(watched);
        }
        if Handle::try_current().is_err() {
            return Err(io::Error::other("guests run on a tokio runtime"));
        }
        let watched = register(self.socket.clone())?;
        Ok(self.watched.get_or_init(|| watched))
    }
}

impl Direction {
    /// Asks the system whether an operation would block.
    pub(super) fn ask(self, socket: &OwnedFd) -> io::Result<()> {
        let wanted = match self {
            Self::Receiving => PollFlags::IN,
            Self::Sending => PollFlags::OUT,
        };
        let mut asked = [PollFd::new(socket, wanted)];
        match retry(|| rustix::event::poll(&mut asked, Some(&Timespec::default())))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            // Where the connection has failed or has ended there is something to be told.
            _ => Ok(()),
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[allow(
    unsafe_code,
    reason = "the runtime cannot see that the descriptor stays open; see SAFETY"
)]
pub(crate) fn register(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the descriptor must stay open, and the same, for as long as it is registered. What is registered owns a
    // share of the `OwnedFd`, which is immutable and closes it with the last share.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

fn poll_ready<'a>(
    watched: &'a AsyncFd<Arc<OwnedFd>>,
    cx: &mut Context<'_>,
    direction: Direction,
) -> Poll<io::Result<AsyncFdReadyGuard<'a, Arc<OwnedFd>>>> {
    match direction {
        Direction::Receiving => watched.poll_read_ready(cx),
        Direction::Sending => watched.poll_write_ready(cx),
    }
}

/// The result of `operation` now; pending if it would block.
pub(super) fn now<R>(mut operation: impl FnMut() -> io::Result<R>) -> Poll<io::Result<R>> {
    match operation() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// Again, when a signal came in between.
pub(super) fn retry<R>(operation: impl FnMut() -> rustix::io::Result<R>) -> io::Result<R> {
    rustix::io::retry_on_intr(operation).map_err(io::Error::from)
}
