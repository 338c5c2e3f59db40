//! The system's socket behind a TCP socket of a guest, and the two directions of a connection.
//!
//! Every operation is tried first and waited for only if the system says that it would have to wait. Until somebody
//! waits the runtime does not know of the socket: a connection that is made, used and closed without having to wait
//! costs no registration with the runtime and none of its wake-ups. On loopback that is most of them, and elsewhere those
//! that fail at once.
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
//!
//! When the direction [to the peer](Sending) is over the peer sees the end of it, while the guest has the socket. That
//! nobody [receives](Receiving) any more is nothing that a peer can see, so the system is not told. Either ends when the
//! socket is closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::Handle;
use tokio::task::coop;
use wasmtime_wasi::sockets::ErrorCode;

use super::slot::SocketSlot;
use crate::audit::EndedBy;
use crate::followed::Followed;
use crate::host_account::HostAccount;

/// A socket that does not block, and the slot that counts it.
pub(crate) struct Connection {
    // The runtime forgets the socket before it is closed: fields drop in the order of declaration.
    watched: OnceLock<AsyncFd<Arc<OwnedFd>>>,
    registering: Mutex<()>,
    socket: Arc<OwnedFd>,
    slot: Arc<SocketSlot>,
    /// Set once it is established, where anybody wants to know how it ends.
    followed: OnceLock<Arc<Followed>>,
}

/// The direction from the peer.
pub(crate) struct Receiving(Arc<Connection>);

/// The direction to the peer. Dropping it ends it, and the peer is told.
pub(crate) struct Sending(Arc<Connection>);

#[derive(Clone, Copy)]
enum Direction {
    Receiving,
    Sending,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, slot: Arc<SocketSlot>) -> Connection {
        Connection {
            watched: OnceLock::new(),
            registering: Mutex::new(()),
            socket: Arc::new(socket),
            slot,
            followed: OnceLock::new(),
        }
    }

    /// Notes what tells how the connection ends.
    pub(super) fn follow(&self, followed: Arc<Followed>) {
        let _ = self.followed.set(followed);
    }

    /// The system's socket, for whoever closes connections that have become forbidden.
    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    pub(super) fn slot(&self) -> &SocketSlot {
        &self.slot
    }

    /// Both directions, to be taken once.
    pub(super) fn directions(self: &Arc<Connection>) -> (Receiving, Sending) {
        (Receiving(self.clone()), Sending(self.clone()))
    }

    /// Tries `connect`, which says that it would block while the connection is being made, until it does not.
    pub(super) fn poll_connect(
        &self,
        cx: &mut Context<'_>,
        connect: impl FnMut() -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, Direction::Sending, connect)
    }

    /// Tries `operation` until it would not block.
    fn poll<R>(
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

    /// Waits until an operation in `direction` would not block, the end or an error among it.
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<()> {
        let ask = || direction.ask(&self.socket);
        // An error of asking or waiting is told by the operation that follows.
        match now(ask) {
            Poll::Pending => self.wait(cx, direction, ask).map(drop),
            Poll::Ready(_) => Poll::Ready(()),
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
    fn ask(self, socket: &OwnedFd) -> io::Result<()> {
        let wanted = match self {
            Direction::Receiving => PollFlags::IN,
            Direction::Sending => PollFlags::OUT,
        };
        let mut asked = [PollFd::new(socket, wanted)];
        match retry(|| rustix::event::poll(&mut asked, Some(&Timespec::default())))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            // Where the connection has failed or has ended there is something to be told.
            _ => Ok(()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[allow(
    unsafe_code,
    reason = "the runtime cannot see that the descriptor stays open; see SAFETY"
)]
fn register(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
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

impl Receiving {
    /// Waits until there is something to receive, the end or an error among it.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx, Direction::Receiving)
    }

    /// Receives what there is, at most `most` bytes; none at the end. Pending is what the system says now: nobody is
    /// woken.
    pub(crate) fn try_receive(&self, most: usize) -> Poll<Result<Vec<u8>, ErrorCode>> {
        let mut bytes = Vec::new();
        let received = now(|| self.receive(&mut bytes, most));
        self.noted(received).map_ok(|_| bytes)
    }

    /// Like [`try_receive`](Receiving::try_receive), and waits.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Vec<u8>, ErrorCode>> {
        let mut bytes = Vec::new();
        let receive = || self.receive(&mut bytes, most);
        let received = self.0.poll(cx, Direction::Receiving, receive);
        self.noted(received).map_ok(|_| bytes)
    }

    /// Receives into `buffer`, and says how many bytes; none at the end. Pending is what the system says now.
    pub(crate) fn try_receive_into(&self, buffer: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        self.noted(now(|| self.receive_into(buffer)))
    }

    /// Like [`try_receive_into`](Receiving::try_receive_into), and waits.
    pub(crate) fn poll_receive_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, ErrorCode>> {
        let receive = || self.receive_into(buffer);
        self.noted(self.0.poll(cx, Direction::Receiving, receive))
    }

    fn receive(&self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        retry(|| {
            // Exactly that, since there was nothing.
            bytes.reserve_exact(most);
            let spare = rustix::buffer::spare_capacity(bytes);
            rustix::net::recv(&self.0.socket, spare, RecvFlags::empty()).map(|(length, _)| length)
        })
    }

    fn receive_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let receive = || rustix::net::recv(&self.0.socket, &mut *buffer, RecvFlags::empty());
        retry(receive).map(|(length, _)| length)
    }

    /// What was received, and noted for whoever follows the connection.
    fn noted(&self, received: Poll<io::Result<usize>>) -> Poll<Result<usize, ErrorCode>> {
        let received = received.map_err(ErrorCode::from);
        if let (Some(followed), Poll::Ready(received)) = (self.0.followed.get(), &received) {
            match received {
                Ok(0) => followed.note_end(EndedBy::Peer),
                Ok(length) => followed.count_received(*length),
                Err(error) => followed.note_error(error),
            }
        }
        received
    }
}

impl Sending {
    /// What is charged for what is done to send.
    pub(crate) fn account(&self) -> Option<Arc<dyn HostAccount>> {
        self.0.slot.gate().account()
    }

    /// Waits until something can be sent, an error among it.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_ready(cx, Direction::Sending)
    }

    /// Sends as much of `bytes` as the system takes now, and says how much. Pending is what the system says now: nobody
    /// is woken.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        self.noted(now(|| self.send(bytes)))
    }

    /// Like [`try_send`](Sending::try_send), and waits.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        self.noted(self.0.poll(cx, Direction::Sending, || self.send(bytes)))
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| rustix::net::send(&self.0.socket, bytes, SendFlags::NOSIGNAL))
    }

    /// What was sent, and noted for whoever follows the connection.
    fn noted(&self, sent: Poll<io::Result<usize>>) -> Poll<Result<usize, ErrorCode>> {
        let sent = sent.map_err(ErrorCode::from);
        if let (Some(followed), Poll::Ready(sent)) = (self.0.followed.get(), &sent) {
            match sent {
                Ok(length) => followed.count_sent(*length),
                Err(error) => followed.note_error(error),
            }
        }
        sent
    }
}

impl Drop for Sending {
    /// Tells the peer that it was all. Where nobody else has the socket it is closed right after this, which says so.
    fn drop(&mut self) {
        let Sending(connection) = self;
        if let Some(followed) = connection.followed.get() {
            followed.note_end_by_guest();
        }
        if Arc::strong_count(connection) > 1 {
            // A connection that the peer has ended meanwhile cannot be shut down, and need not be.
            let _ = rustix::net::shutdown(&connection.socket, Shutdown::Write);
        }
    }
}

/// What `operation` comes to now; pending if it would block.
fn now<R>(mut operation: impl FnMut() -> io::Result<R>) -> Poll<io::Result<R>> {
    match operation() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// Again, when a signal came in between.
fn retry<R>(operation: impl FnMut() -> rustix::io::Result<R>) -> io::Result<R> {
    rustix::io::retry_on_intr(operation).map_err(io::Error::from)
}
