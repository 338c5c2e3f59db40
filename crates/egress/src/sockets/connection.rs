//! The system's socket behind a TCP socket of a guest, and the two directions of a connection.
//!
//! Every operation is tried first and waited for only if the system says that it would have to wait. Until then the
//! runtime does not know of the socket: a connection that is made, used and closed without having to wait costs no
//! registration with the runtime and none of its wake-ups. On loopback that is most of them, and elsewhere those that
//! fail at once.
//!
//! ```text
//! try ─ done
//!  └ would wait ─ register with the runtime (once) ─ wait until it may go on ─ try ─ …
//! ```
//!
//! When the direction [to the peer](Sending) is over the peer sees the end of it, while the guest has the socket. That
//! nobody [receives](Receiving) any more is nothing that a peer can see, so the system is not told. Either ends when the
//! socket is closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::runtime::Handle;
use wasmtime_wasi::sockets::ErrorCode;

use super::permit::SocketPermit;
use crate::host_account::HostAccount;

/// A socket that does not block, and the permit to have it.
pub(crate) struct Connection {
    // The runtime forgets the socket before it is closed: fields drop in the order of declaration.
    watched: OnceLock<AsyncFd<Arc<OwnedFd>>>,
    registering: Mutex<()>,
    socket: Arc<OwnedFd>,
    permit: Arc<SocketPermit>,
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
    pub(super) fn new(socket: OwnedFd, permit: Arc<SocketPermit>) -> Connection {
        Connection {
            watched: OnceLock::new(),
            registering: Mutex::new(()),
            socket: Arc::new(socket),
            permit,
        }
    }

    /// The system's socket, for whoever closes connections that have become forbidden.
    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        &self.socket
    }

    pub(super) fn permit(&self) -> &SocketPermit {
        &self.permit
    }

    /// Both directions, to be taken once.
    pub(super) fn directions(self: &Arc<Connection>) -> (Receiving, Sending) {
        (Receiving(self.clone()), Sending(self.clone()))
    }

    /// Tries `connect`, which says that it would block while the connection is being made.
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
        let watched = match self.watched.get() {
            Some(watched) => watched,
            None => match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watch()?,
                done => return Poll::Ready(done),
            },
        };
        loop {
            let mut guard = ready!(poll_ready(watched, cx, direction))?;
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                done => return Poll::Ready(done),
            }
        }
    }

    fn watch(&self) -> io::Result<&AsyncFd<Arc<OwnedFd>>> {
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
        let watched = match self.0.watched.get() {
            Some(watched) => watched,
            None => match self.0.watch() {
                Ok(watched) => watched,
                // Whoever receives now gets the error.
                Err(_) => return Poll::Ready(()),
            },
        };
        poll_ready(watched, cx, Direction::Receiving).map(|_| ())
    }

    /// Receives what there is, at most `most` bytes; none at the end.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Vec<u8>, ErrorCode>> {
        let mut bytes = Vec::new();
        let received = self.receive_with(cx, |socket| {
            // Exactly that, since there was nothing.
            bytes.reserve_exact(most);
            let spare = rustix::buffer::spare_capacity(&mut bytes);
            rustix::net::recv(socket, spare, RecvFlags::empty()).map(|_| ())
        });
        received.map_ok(|()| bytes)
    }

    /// Receives into `buffer`, and says how many bytes; none at the end.
    pub(crate) fn poll_receive_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, ErrorCode>> {
        self.receive_with(cx, |socket| {
            rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()).map(|(length, _)| length)
        })
    }

    fn receive_with<R>(
        &self,
        cx: &mut Context<'_>,
        mut receive: impl FnMut(&OwnedFd) -> rustix::io::Result<R>,
    ) -> Poll<Result<R, ErrorCode>> {
        let Receiving(connection) = self;
        let receive = || retry(|| receive(&connection.socket));
        let received = connection.poll(cx, Direction::Receiving, receive);
        received.map_err(ErrorCode::from)
    }
}

impl Sending {
    /// What is charged for what is done to send.
    pub(crate) fn account(&self) -> Option<Arc<dyn HostAccount>> {
        self.0.permit.gate().account()
    }

    /// Waits until something can be sent. A socket that never had to wait is taken at its word.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.watched.get() {
            Some(watched) => poll_ready(watched, cx, Direction::Sending).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Sends as much of `bytes` as the system takes now, and says how much.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        let Sending(connection) = self;
        let send = || retry(|| rustix::net::send(&connection.socket, bytes, SendFlags::NOSIGNAL));
        let sent = connection.poll(cx, Direction::Sending, send);
        sent.map_err(ErrorCode::from)
    }
}

impl Drop for Sending {
    /// Tells the peer that it was all. Where nobody else has the socket it is closed right after this, which says so.
    fn drop(&mut self) {
        let Sending(connection) = self;
        if Arc::strong_count(connection) > 1 {
            // A connection that the peer has ended meanwhile cannot be shut down, and need not be.
            let _ = rustix::net::shutdown(&connection.socket, Shutdown::Write);
        }
    }
}

/// Again, when a signal came in between.
fn retry<R>(operation: impl FnMut() -> rustix::io::Result<R>) -> io::Result<R> {
    rustix::io::retry_on_intr(operation).map_err(io::Error::from)
}
