//! The connection behind a TCP socket of a guest, and its two directions.
//!
//! Every operation is tried first and waited for only if the system says that it would have to wait ([`Watched`]).
//!
//! When the direction [to the peer](Sending) is over the peer sees the end of it, while the guest has the socket. That
//! nobody [receives](Receiving) any more is nothing that a peer can see, so the system is not told. Either ends when
//! the socket is closed.
//!
//! What the guest sends first passes its [first flight](super::first_flight), which may refuse it: that ends both
//! directions at once. Afterwards sending looks at one pointer.

mod ending;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown};
use wasmtime_wasi::sockets::ErrorCode;

use super::first_flight::{Ending, FirstFlight, Next};
use super::slot::SocketSlot;
use super::system;
use super::watched::{Direction, Watched, now, retry};
use crate::audit::EndedBy;
use crate::byte_budget::{self, Flow, Spent};
use crate::established::{self, Way};
use crate::followed::Followed;
use crate::host_account::HostAccount;
use crate::process::connections::Registration;

/// A socket that does not block, and the slot that counts it.
pub(crate) struct Connection {
    watched: Watched,
    outgoing: Flow,
    incoming: Flow,
    slot: Arc<SocketSlot>,
    /// Set once it is established, where anybody wants to know how it ends.
    followed: OnceLock<Arc<Followed>>,
    tls: Tls,
}

/// What came of the TLS that the guest opened, where it was judged.
#[derive(Default)]
struct Tls {
    /// It may be, until a new deny list forbids a server that the one ClientHello or the other is for.
    permitted: [OnceLock<Registration>; 2],
    /// It was refused, and with it the connection.
    refused: OnceLock<()>,
}

/// The direction from the peer.
pub(crate) struct Receiving(Arc<Connection>);

/// The direction to the peer. Dropping it ends it, and the peer is told.
pub(crate) struct Sending {
    connection: Arc<Connection>,
    /// Until it is over.
    pub(super) first: Option<Box<FirstFlight>>,
}

impl Connection {
    pub(super) fn new(socket: impl Into<Arc<OwnedFd>>, slot: Arc<SocketSlot>) -> Self {
        let budget = slot.enforcer().component().bytes();
        Self {
            watched: Watched::new(socket),
            outgoing: Flow::new(budget, byte_budget::Way::Out),
            incoming: Flow::new(budget, byte_budget::Way::In),
            slot,
            followed: OnceLock::new(),
            tls: Tls::default(),
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

    /// Both directions, to be taken once. What is sent is looked at until `first` is over, if that is to be.
    pub(super) fn directions(self: &Arc<Self>, first: Option<Box<FirstFlight>>) -> (Receiving, Sending) {
        let connection = self.clone();
        (Receiving(self.clone()), Sending { connection, first })
    }

    fn is_refused(&self) -> bool {
        self.tls.refused.get().is_some()
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
        let received = match received {
            // The system's own end of it says less.
            Poll::Ready(Ok(0) | Err(_)) if self.0.is_refused() => {
                return Poll::Ready(Err(ErrorCode::ConnectionReset));
            }
            received => received.map_err(ErrorCode::from),
        };
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
        self.connection.slot.enforcer().account()
    }

    /// Waits until something can be sent, an error among it.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.watched.poll_ready(cx, Direction::Sending)
    }

    /// Sends as much of `bytes` as the system takes now, and says how much. Pending is what the system says now: nobody
    /// is woken.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.first.is_some() {
            return self.send_first(None, bytes);
        }
        self.connection.try_send(bytes)
    }

    /// Like [`try_send`](Sending::try_send), and waits. While that is pending what was not told to be sent is asked for
    /// again.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.first.is_some() {
            return self.send_first(Some(cx), bytes);
        }
        self.connection.poll_send(cx, bytes)
    }

    /// The most that is taken from the guest at a time: what the component may send at once, so that little waits in the
    /// host's memory.
    pub(crate) fn most_at_once(&self) -> usize {
        let Connection { outgoing, .. } = &*self.connection;
        if outgoing.is_limited() {
            outgoing.burst()
        } else {
            usize::MAX
        }
    }

    /// The same while the first flight is not over. What of it is not to go on yet counts as sent for the guest, who need
    /// not wait.
    #[cold]
    fn send_first(
        &mut self,
        mut cx: Option<&mut Context<'_>>,
        bytes: &[u8],
    ) -> Poll<Result<usize, ErrorCode>> {
        let connection = &*self.connection;
        let mut send = |bytes: &[u8]| match &mut cx {
            Some(cx) => connection.poll_send(cx, bytes),
            None => connection.try_send(bytes),
        };
        let Some(first) = &mut self.first else {
            return send(bytes);
        };
        match first.take(bytes) {
            Next::Taken => return Poll::Ready(Ok(bytes.len())),
            Next::Pass(length) => {
                let sent = ready!(send(&bytes[..length]))?;
                first.passed(&bytes[..sent]);
                return Poll::Ready(Ok(sent));
            }
            Next::SendKept => {}
            Next::Judge(ending) => connection.judge(first, ending)?,
            Next::Refused => return Poll::Ready(Err(ErrorCode::ConnectionReset)),
        }
        let mut told = 0;
        while first.is_sending() {
            let waiting = first.to_send(bytes.len() - told);
            match send(waiting) {
                Poll::Ready(sent) => told += first.sent(sent?),
                Poll::Pending if told == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
            if told == bytes.len() {
                break;
            }
        }
        if first.is_over() {
            self.first = None;
        }
        // While it is not over nothing goes on that was not looked at.
        if told > 0 || bytes.is_empty() || self.first.is_some() {
            return Poll::Ready(Ok(told));
        }
        send(bytes)
    }
}

impl Connection {
    fn try_send(&self, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.outgoing.is_limited() {
            return self.send_within(None, bytes);
        }
        self.sent(now(|| self.send(bytes)))
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        if self.outgoing.is_limited() {
            return self.send_within(Some(cx), bytes);
        }
        self.sent(self.watched.poll(cx, Direction::Sending, || self.send(bytes)))
    }

    /// Sends as much of `bytes` as the component may now (BUD-3).
    #[cold]
    fn send_within(&self, mut cx: Option<&mut Context<'_>>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        let Self {
            watched, outgoing, ..
        } = self;
        if outgoing.is_cut() {
            return Poll::Ready(Err(self.spent(Spent)));
        }
        ready!(watched.poll_now(&mut cx, Direction::Sending));
        let reserved = match ready!(outgoing.poll_reserve(cx.as_deref_mut(), bytes.len())) {
            Ok(reserved) => reserved,
            Err(spent) => return Poll::Ready(Err(self.spent(spent))),
        };
        let bytes = &bytes[..reserved.bytes().min(bytes.len())];
        let sent = self.sent(now(|| self.send(bytes)));
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
        retry(|| rustix::net::send(&self.watched, bytes, SendFlags::NOSIGNAL))
    }

    /// The result of a send, noted for whoever follows the connection.
    fn sent(&self, sent: Poll<io::Result<usize>>) -> Poll<Result<usize, ErrorCode>> {
        let sent = sent.map_err(ErrorCode::from);
        if let (Some(followed), Poll::Ready(sent)) = (self.followed.get(), &sent) {
            match sent {
                Ok(length) => followed.count_sent(*length),
                Err(error) => followed.note_error(error),
            }
        }
        sent
    }

    /// Judges the ClientHello that a first flight has kept (TLS-1). Where it may go on the connection closes as soon as a
    /// new deny list forbids its server (DL-9); where it is refused it ends right here (TLS-3).
    fn judge(&self, first: &mut FirstFlight, ending: Ending) -> Result<(), ErrorCode> {
        let enforcer = self.slot.enforcer();
        let followed = self.followed.get();
        match first.judge(enforcer, ending) {
            Ok(servers) if servers.is_empty() => Ok(()),
            Ok(servers) => {
                let way = Way::Tls(servers, first.remote());
                let mut registration = Some(established::register(enforcer, self.socket(), way, followed));
                for place in &self.tls.permitted {
                    if let Some(own) = registration.take() {
                        registration = place.set(own).err();
                    }
                }
                Ok(())
            }
            Err(_) => {
                if let Some(followed) = followed {
                    followed.note_end(EndedBy::Policy);
                }
                let _ = self.tls.refused.set(());
                system::reset(&self.watched);
                Err(ErrorCode::ConnectionReset)
            }
        }
    }
}

impl Drop for Sending {
    /// Tells the peer that it was all. Where nobody else has the socket it is closed right after this, which says so.
    fn drop(&mut self) {
        if let Some(first) = self.first.take()
            && self.end_first(first)
        {
            return;
        }
        let Self { connection, .. } = self;
        if let Some(followed) = connection.followed.get() {
            followed.note_end_by_guest();
        }
        if Arc::strong_count(connection) > 1 {
            // A connection that the peer has ended meanwhile cannot be shut down, and need not be.
            let _ = rustix::net::shutdown(&connection.watched, Shutdown::Write);
        }
    }
}
