//! The connection behind a TCP socket of a guest, and its two directions.
//!
//! Every operation is tried first and waited for only if the system says that it would have to wait ([`Watched`]).
//!
//! When the direction [to the peer](Sending) is over the peer sees the end of it, while the guest has the socket. That
//! nobody [receives](Receiving) any more is nothing that a peer can see, so the system is not told. Either ends when
//! the socket is closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown};
use wasmtime_wasi::sockets::ErrorCode;

use super::slot::SocketSlot;
use super::watched::{Direction, Watched, now, retry};
use crate::audit::EndedBy;
use crate::byte_budget::{Flow, Spent, Way};
use crate::followed::Followed;
use crate::host_account::HostAccount;

/// A socket that does not block, and the slot that counts it.
pub(crate) struct Connection {
    watched: Watched,
    outgoing: Flow,
    incoming: Flow,
    slot: Arc<SocketSlot>,
    /// Set once it is established, where anybody wants to know how it ends.
    followed: OnceLock<Arc<Followed>>,
}

/// The direction from the peer.
pub(crate) struct Receiving(Arc<Connection>);

/// The direction to the peer. Dropping it ends it, and the peer is told.
pub(crate) struct Sending(Arc<Connection>);

impl Connection {
    pub(super) fn new(socket: impl Into<Arc<OwnedFd>>, slot: Arc<SocketSlot>) -> Self {
        let budget = slot.enforcer().component().bytes();
        Self {
            watched: Watched::new(socket),
            outgoing: Flow::new(budget, Way::Out),
            incoming: Flow::new(budget, Way::In),
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
        self.watched.socket()
    }

    pub(super) fn slot(&self) -> &SocketSlot {
        &self.slot
    }

    /// Both directions, to be taken once.
    pub(super) fn directions(self: &Arc<Self>) -> (Receiving, Sending) {
        (Receiving(self.clone()), Sending(self.clone()))
    }

    /// Tries `connect`, which says that it would block while the connection is being made, until it does not.
    pub(super) fn poll_connect(
        &self,
        cx: &mut Context<'_>,
        connect: impl FnMut() -> io::Result<()>,
    ) -> Poll<io::Result<()>> {
        self.watched.poll(cx, Direction::Sending, connect)
    }
}

impl Connection {
    /// What the guest is told of a connection that has ended, since its component has sent all that it may.
    fn spent(&self, _: Spent) -> ErrorCode {
        if let Some(followed) = self.followed.get() {
            followed.note_end(EndedBy::Quota);
        }
        ErrorCode::ConnectionReset
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watched.as_fd()
    }
}

impl Receiving {
    /// Waits until there is something to receive, the end or an error among it.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.0.watched.poll_ready(cx, Direction::Receiving));
        if self.0.incoming.is_limited() {
            return self.0.incoming.poll_room(Some(cx));
        }
        Poll::Ready(())
    }

    /// Receives what there is, at most `most` bytes; none at the end. Pending is what the system says now: nobody is
    /// woken.
    pub(crate) fn try_receive(&self, most: usize) -> Poll<Result<Vec<u8>, ErrorCode>> {
        let mut bytes = Vec::new();
        if self.0.incoming.is_limited() {
            let received = self.receive_within(None, most, |most| self.receive(&mut bytes, most));
            return received.map_ok(|_| bytes);
        }
        let received = now(|| self.receive(&mut bytes, most));
        self.noted(received).map_ok(|_| bytes)
    }

    /// Like [`try_receive`](Receiving::try_receive), and waits.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Vec<u8>, ErrorCode>> {
        let mut bytes = Vec::new();
        if self.0.incoming.is_limited() {
            let received = self.receive_within(Some(cx), most, |most| self.receive(&mut bytes, most));
            return received.map_ok(|_| bytes);
        }
        let receive = || self.receive(&mut bytes, most);
        let received = self.0.watched.poll(cx, Direction::Receiving, receive);
        self.noted(received).map_ok(|_| bytes)
    }

    /// Receives into `buffer`, and says how many bytes; none at the end. Pending is what the system says now.
    pub(crate) fn try_receive_into(&self, buffer: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.0.incoming.is_limited() {
            let (most, receive) = (buffer.len(), |most| self.receive_into(&mut buffer[..most]));
            return self.receive_within(None, most, receive);
        }
        self.noted(now(|| self.receive_into(buffer)))
    }

    /// Like [`try_receive_into`](Receiving::try_receive_into), and waits.
    pub(crate) fn poll_receive_into(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, ErrorCode>> {
        if self.0.incoming.is_limited() {
            let (most, receive) = (buffer.len(), |most| self.receive_into(&mut buffer[..most]));
            return self.receive_within(Some(cx), most, receive);
        }
        let receive = || self.receive_into(buffer);
        self.noted(self.0.watched.poll(cx, Direction::Receiving, receive))
    }

    /// Receives as much of `most` bytes as the component may have now (BUD-3). It waits for the system first: who has
    /// nothing to receive is in nobody's way.
    #[cold]
    fn receive_within(
        &self,
        mut cx: Option<&mut Context<'_>>,
        most: usize,
        receive: impl FnOnce(usize) -> io::Result<usize>,
    ) -> Poll<Result<usize, ErrorCode>> {
        let Connection {
            watched, incoming, ..
        } = &*self.0;
        ready!(watched.poll_now(&mut cx, Direction::Receiving));
        let reserved = match ready!(incoming.poll_reserve(cx.as_deref_mut(), most)) {
            Ok(reserved) => reserved,
            Err(spent) => return Poll::Ready(Err(self.0.spent(spent))),
        };
        let bytes = reserved.bytes().min(most);
        let mut receive = Some(receive);
        let received = now(|| receive.take().map_or(Ok(0), |receive| receive(bytes)));
        match &received {
            Poll::Ready(Ok(length)) => reserved.settle(*length),
            _ => reserved.settle(0),
        }
        if received.is_pending()
            && let Some(cx) = cx
        {
            // Somebody else was faster, and it is seen with the next poll.
            cx.waker().wake_by_ref();
        }
        if matches!(received, Poll::Ready(Ok(0))) && incoming.is_cut() {
            return Poll::Ready(Err(self.0.spent(Spent)));
        }
        self.noted(received)
    }

    fn receive(&self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        retry(|| {
            // Exactly that, since there was nothing.
            bytes.reserve_exact(most);
            let spare = rustix::buffer::spare_capacity(bytes);
            rustix::net::recv(&self.0.watched, spare, RecvFlags::empty()).map(|(length, _)| length)
        })
    }

    fn receive_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let receive = || rustix::net::recv(&self.0.watched, &mut *buffer, RecvFlags::empty());
        retry(receive).map(|(length, _)| length)
    }

    /// The result of a receive, noted for whoever follows the connection.
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
    /// The account that is charged for what is done to send.
    pub(crate) fn account(&self) -> Option<Arc<dyn HostAccount>> {
        self.0.slot.enforcer().account()
    }

    /// Waits until something can be sent, an error among it.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.watched.poll_ready(cx, Direction::Sending)
    }

    /// Sends as much of `bytes` as the system takes now, and says how much. Pending is what the system says now: nobody
    /// is woken.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.0.outgoing.is_limited() {
            return self.send_within(None, bytes);
        }
        self.noted(now(|| self.send(bytes)))
    }

    /// Like [`try_send`](Sending::try_send), and waits.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.0.outgoing.is_limited() {
            return self.send_within(Some(cx), bytes);
        }
        self.noted(self.0.watched.poll(cx, Direction::Sending, || self.send(bytes)))
    }

    /// The most that is taken from the guest at a time: what the component may send at once, so that little waits in the
    /// host's memory.
    pub(crate) fn most_at_once(&self) -> usize {
        let Connection { outgoing, .. } = &*self.0;
        if outgoing.is_limited() {
            outgoing.burst()
        } else {
            usize::MAX
        }
    }

    /// Sends as much of `bytes` as the component may now (BUD-3).
    #[cold]
    fn send_within(&self, mut cx: Option<&mut Context<'_>>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        let Connection {
            watched, outgoing, ..
        } = &*self.0;
        if outgoing.is_cut() {
            return Poll::Ready(Err(self.0.spent(Spent)));
        }
        ready!(watched.poll_now(&mut cx, Direction::Sending));
        let reserved = match ready!(outgoing.poll_reserve(cx.as_deref_mut(), bytes.len())) {
            Ok(reserved) => reserved,
            Err(spent) => return Poll::Ready(Err(self.0.spent(spent))),
        };
        let bytes = &bytes[..reserved.bytes().min(bytes.len())];
        let sent = now(|| self.send(bytes));
        let sent = self.noted(sent);
        match &sent {
            Poll::Ready(Ok(length)) => reserved.settle(*length),
            _ => reserved.settle(0),
        }
        if sent.is_pending()
            && let Some(cx) = cx
        {
            cx.waker().wake_by_ref();
        }
        sent
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a connection that there was a permit for"
    )]
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // Rust's own `main` ignores SIGPIPE; a program that embeds this need not.
        retry(|| rustix::net::send(&self.0.watched, bytes, SendFlags::NOSIGNAL))
    }

    /// The result of a send, noted for whoever follows the connection.
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
        let Self(connection) = self;
        if let Some(followed) = connection.followed.get() {
            followed.note_end_by_guest();
        }
        if Arc::strong_count(connection) > 1 {
            // A connection that the peer has ended meanwhile cannot be shut down, and need not be.
            let _ = rustix::net::shutdown(&connection.watched, Shutdown::Write);
        }
    }
}
