//! Sending and receiving on a UDP socket.
//!
//! ```text
//! send     valid for WASI? ─ would the system take it? ─┐
//!                              judged, and sent at once ◀┘ (again, if it has to wait)
//! receive  taken from the system ─ judged ─ the guest has it
//!                                     └──── dropped, unless the guest sent something there (HL-4)
//! ```
//!
//! Where [somebody is asked](crate::asking) first whether a datagram may go there, it is sent when there is an answer.
//!
//! Nothing is kept: what the system does not take is not sent, and what the guest does not ask for stays in the
//! system's buffer, whose size the system bounds. While a datagram is received there is room for the largest one, and
//! afterwards for what it has.
//!
//! Who waits for a datagram is woken by those that it may see. To know, the system is asked who sent the first one that
//! is there, without taking it; one that may not be seen is taken and dropped.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use outport_policy::Attempt;
use rustix::net::{RecvFlags, SocketAddrAny};
use wasmtime_wasi::sockets::ErrorCode;

use super::{UdpInner, UdpSocket};
use crate::asking::PendingQuestion;
use crate::enforcer::ConnectPermit;
use crate::sockets::watched::{Direction, now, retry};
use crate::sockets::{address, system};

/// The data that came, and its sender.
pub(super) type Datagram = (Vec<u8>, SocketAddr);

impl UdpSocket {
    /// Sends `data` to `remote`, or to whom the socket is connected to, and waits until the system takes it.
    pub(crate) fn send(
        &self,
        data: Vec<u8>,
        remote: Option<SocketAddr>,
    ) -> impl Future<Output = Result<(), ErrorCode>> + Send + use<> {
        let this = self.0.clone();
        let remote = this.destination(&data, remote);
        async move {
            let remote = remote?;
            if let Some(question) = this.question(remote) {
                let _ = question.await;
            }
            if this.outgoing.is_limited() {
                return this.send_within(&data, remote).await;
            }
            let send = || this.send_now(&data, remote);
            this.socket.until(Direction::Sending, send).await?
        }
    }

    /// The question whether a datagram may go to `remote`, or to whom the socket is connected to, if there is one to ask.
    pub(crate) fn question(&self, data: &[u8], remote: Option<SocketAddr>) -> Option<PendingQuestion> {
        let remote = self.0.destination(data, remote).ok()?;
        self.0.question(remote)
    }

    /// Like [`send`](UdpSocket::send). Pending is what the system says now: nothing was sent, and nobody is woken.
    pub(crate) fn try_send(&self, data: &[u8], remote: Option<SocketAddr>) -> Poll<Result<(), ErrorCode>> {
        let remote = self.0.destination(data, remote)?;
        if self.0.outgoing.is_limited() {
            return self.0.try_send_within(data, remote);
        }
        now(|| self.0.send_now(data, remote)).map(|sent| sent?)
    }

    /// True if the system takes a datagram now.
    pub(crate) fn is_sendable(&self) -> bool {
        let is_ready = self.0.socket.is_ready(Direction::Sending);
        is_ready && (!self.0.outgoing.is_limited() || self.0.outgoing.poll_room(None).is_ready())
    }

    /// Waits until the system takes a datagram.
    pub(crate) fn poll_sendable(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.0.socket.poll_ready(cx, Direction::Sending));
        if self.0.outgoing.is_limited() {
            return self.0.outgoing.poll_room(Some(cx));
        }
        Poll::Ready(())
    }

    /// Waits for a datagram that the guest may have.
    pub(crate) fn receive(&self) -> impl Future<Output = Result<Datagram, ErrorCode>> + Send + use<> {
        let this = self.0.clone();
        let bound = self.is_bound();
        async move {
            if !bound {
                return Err(ErrorCode::InvalidState);
            }
            loop {
                let received = if this.incoming.is_limited() {
                    this.receive_within().await?
                } else {
                    let receive = || this.receive_now();
                    this.socket.until(Direction::Receiving, receive).await??
                };
                if let Some(datagram) = received {
                    return Ok(datagram);
                }
            }
        }
    }

    /// Receives a datagram that the guest may have. Pending is what is there now: nobody is woken.
    pub(crate) fn try_receive(&self) -> Poll<Result<Datagram, ErrorCode>> {
        if !self.is_bound() {
            return Poll::Ready(Err(ErrorCode::InvalidState));
        }
        for _ in 0..MOST_DROPPED {
            let received = if self.0.incoming.is_limited() {
                self.0.try_receive_within()
            } else {
                now(|| self.0.receive_now())
            };
            match ready!(received)? {
                Ok(Some(datagram)) => return Poll::Ready(Ok(datagram)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// Keeps an error that was received behind datagrams, for the next to receive.
    pub(crate) fn keep_error(&self, error: ErrorCode) {
        self.0.state().error = Some(error);
    }

    /// Waits until there is a datagram that the guest may have, or an error.
    pub(crate) fn poll_receivable(&self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MOST_DROPPED {
            if self.0.state().error.is_some() {
                return Poll::Ready(());
            }
            match ready!(self.0.socket.poll(cx, Direction::Receiving, || self.0.peek())) {
                Ok(Some(peer)) if self.0.may_have(peer) => {
                    if self.0.incoming.is_limited() {
                        return self.0.incoming.poll_room(Some(cx));
                    }
                    return Poll::Ready(());
                }
                Ok(_) => self.0.drop_one(),
                Err(error) => self.0.state().error = Some(error.into()),
            }
        }
        // Strangers get no more of this thread at a time.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl UdpInner {
    /// The destination of a datagram, if WASI permits to ask for it.
    fn destination(&self, data: &[u8], remote: Option<SocketAddr>) -> Result<SocketAddr, ErrorCode> {
        if data.len() > LARGEST {
            return Err(ErrorCode::DatagramTooLarge);
        }
        match (remote, self.state().remote) {
            (Some(remote), _)
                if !address::is_somebody(remote) || !address::is_of(remote.ip(), self.family) =>
            {
                Err(ErrorCode::InvalidArgument)
            }
            (Some(remote), Some(connected)) if !is_the_same(remote, connected) => {
                Err(ErrorCode::InvalidArgument)
            }
            (Some(_), Some(connected)) => Ok(connected),
            (Some(remote), _) | (None, Some(remote)) => Ok(remote),
            (None, None) => Err(ErrorCode::InvalidArgument),
        }
    }

    fn question(&self, remote: SocketAddr) -> Option<PendingQuestion> {
        let remote = remote.into();
        self.enforcer().question(&Attempt::Send { remote })
    }

    /// Judges a datagram and sends it, in one step. What the system says is outside; inside, that it is refused.
    pub(super) fn send_now(&self, data: &[u8], remote: SocketAddr) -> io::Result<Result<(), ErrorCode>> {
        let send =
            |connected, permit| system::send(&self.socket, connected, data, permit).map_err(io::Error::from);
        self.judge_and_send(data, remote, send)
    }

    /// The same, with what sends it.
    pub(super) fn judge_and_send(
        &self,
        data: &[u8],
        remote: SocketAddr,
        send: impl FnOnce(Option<SocketAddr>, ConnectPermit) -> io::Result<()>,
    ) -> io::Result<Result<(), ErrorCode>> {
        // Held until it is sent, so that no other thread connects the socket to somebody else between the two.
        let mut state = self.state();
        let implied = self.authorize_implied_bind(&mut state);
        let connected = state.remote;
        let send = |permit| send(connected, permit);
        match implied.and_then(|()| self.enforcer().send(remote, data.len(), send)) {
            Ok(sent) => sent?,
            Err(_) => return Ok(Err(ErrorCode::AccessDenied)),
        }
        if let Some(followed) = &self.followed {
            followed.count_sent(1);
        }
        if let Some(counts) = self.enforcer().component().counts() {
            counts.datagrams().sent.increment(data.len() as u64);
        }
        Ok(Ok(()))
    }

    /// Takes the first datagram from the system, and judges it. There is none left if the guest may not have it. What
    /// the system says is outside; inside, what it has said before.
    pub(super) fn receive_now(&self) -> io::Result<Result<Option<Datagram>, ErrorCode>> {
        if let Some(error) = self.state().error.take() {
            return Ok(Err(error));
        }
        let mut data = Vec::new();
        let peer = retry(|| {
            data.reserve_exact(LARGEST);
            let spare = rustix::buffer::spare_capacity(&mut data);
            rustix::net::recvfrom(&self.socket, spare, RecvFlags::empty()).map(|(_, _, peer)| peer)
        })?;
        let Some(peer) = address_of(peer) else {
            return Ok(Ok(None));
        };
        if self.enforcer().authorize_receive(peer).is_err() || !self.is_expected(peer) {
            return Ok(Ok(None));
        }
        data.shrink_to_fit();
        if let Some(followed) = &self.followed {
            followed.count_received(1);
        }
        if let Some(counts) = self.enforcer().component().counts() {
            counts.datagrams().received.increment(data.len() as u64);
        }
        Ok(Ok(Some((data, peer))))
    }

    /// The sender of the first datagram that is there. It stays.
    pub(super) fn peek(&self) -> io::Result<Option<SocketAddr>> {
        retry(|| rustix::net::recvfrom(&self.socket, &mut [0; 1], RecvFlags::PEEK))
            .map(|(_, _, peer)| address_of(peer))
    }

    /// True if the guest may have a datagram from `peer`. Nobody is told.
    fn may_have(&self, peer: SocketAddr) -> bool {
        let attempt = Attempt::Receive { peer: peer.into() };
        let enforcer = self.enforcer();
        self.is_expected(peer) && enforcer.recheck(&attempt, enforcer.usage()).is_ok()
    }

    /// Takes the first datagram, which the guest may not have, and lets it be told and counted.
    fn drop_one(&self) {
        if let Ok((_, _, peer)) =
            retry(|| rustix::net::recvfrom(&self.socket, &mut [0; 1], RecvFlags::empty()))
            && let Some(peer) = address_of(peer)
        {
            let _ = self.enforcer().authorize_receive(peer);
        }
    }

    /// True if a socket that is connected is so to `peer`. The system sorts out what others send from then on, and
    /// leaves what came before.
    fn is_expected(&self, peer: SocketAddr) -> bool {
        self.state().remote.is_none_or(|remote| remote == peer)
    }
}

/// True if two addresses are one, where the system may have left the scope out.
pub(super) fn is_the_same(remote: SocketAddr, connected: SocketAddr) -> bool {
    let scope = |address: SocketAddr| match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let scopes = [scope(remote), scope(connected)];
    let same_scope = scopes[0] == scopes[1] || scopes.contains(&0);
    (remote.ip(), remote.port()) == (connected.ip(), connected.port()) && same_scope
}

fn address_of(peer: Option<SocketAddrAny>) -> Option<SocketAddr> {
    SocketAddr::try_from(peer?).ok()
}

/// Bytes; what a UDP header can say. Larger ones are refused before the system is asked.
const LARGEST: usize = u16::MAX as usize;

/// So many datagrams of strangers are dropped before the guest, and others on its thread, have their turn.
const MOST_DROPPED: usize = 64;
