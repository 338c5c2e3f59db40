//! Datagrams of a component that has a budget of bytes (BUD-3).
//!
//! ```text
//! send     the system would take it ─ reserved ─ judged, and sent ─ settled
//! receive  one is there ─ room for a byte ─ taken from the system ─ settled, all its bytes
//! ```
//!
//! One that there is no room for waits: on WASI 0.2 the guest is told that it would block. None is dropped here; what is not
//! received in time the system drops beyond its buffer, as it does with a guest that is slow. One that would send more than
//! what is left of a bound is judged like any other, and refused as too much.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, ready};

use wasmtime_wasi::sockets::ErrorCode;

use super::UdpInner;
use super::datagrams::Datagram;
use crate::byte_budget::Reserved;
use crate::sockets::watched::{Direction, now};

impl UdpInner {
    /// Sends `data` as soon as the component may and the system takes it.
    pub(super) async fn send_within(&self, data: &[u8], remote: SocketAddr) -> Result<(), ErrorCode> {
        // Others of this socket may wait as well.
        let outgoing = self.outgoing.beside();
        loop {
            let is_writable = || Direction::Sending.ask(self.socket.socket());
            self.socket.until(Direction::Sending, is_writable).await?;
            let reserved = poll_fn(|cx| outgoing.poll_reserve_datagram(Some(cx), cost(data))).await;
            let sent = match reserved {
                Ok(reserved) => self.send_reserved(data, remote, reserved),
                Err(_) => self.judge_spent(data, remote),
            };
            if let Poll::Ready(sent) = sent {
                return sent;
            }
        }
    }

    /// Like [`send_within`](Self::send_within). Pending is what may be now: nothing was sent, and nobody is woken.
    pub(super) fn try_send_within(&self, data: &[u8], remote: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        match ready!(self.outgoing.poll_reserve_datagram(None, cost(data))) {
            Ok(reserved) => self.send_reserved(data, remote, reserved),
            Err(_) => self.judge_spent(data, remote),
        }
    }

    fn send_reserved(
        &self,
        data: &[u8],
        remote: SocketAddr,
        reserved: Reserved<'_>,
    ) -> Poll<Result<(), ErrorCode>> {
        let sent = now(|| self.send_now(data, remote));
        let left = matches!(sent, Poll::Ready(Ok(Ok(()))));
        reserved.settle(if left { cost(data) } else { 0 });
        sent.map(|sent| sent?)
    }

    /// Has what nothing is left for judged, so that the refusal is told. Should a time be over by now it is tried again.
    fn judge_spent(&self, data: &[u8], remote: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        let nothing = |_, _| Err(io::ErrorKind::WouldBlock.into());
        now(|| self.judge_and_send(data, remote, nothing)).map(|sent| sent?)
    }

    /// Receives a datagram as soon as one is there and the component may have it; nothing if the guest may not.
    pub(super) async fn receive_within(&self) -> Result<Option<Datagram>, ErrorCode> {
        let incoming = self.incoming.beside();
        loop {
            self.socket.until(Direction::Receiving, || self.peek()).await?;
            let room = poll_fn(|cx| incoming.poll_reserve_datagram(Some(cx), 1)).await;
            if let Poll::Ready(received) = self.receive_reserved(room.ok()) {
                return received?;
            }
        }
    }

    /// Like [`receive_within`](Self::receive_within). Pending is what is there now: nobody is woken.
    pub(super) fn try_receive_within(&self) -> Poll<io::Result<Result<Option<Datagram>, ErrorCode>>> {
        let reserved = ready!(self.incoming.poll_reserve_datagram(None, 1));
        self.receive_reserved(reserved.ok())
    }

    fn receive_reserved(
        &self,
        reserved: Option<Reserved<'_>>,
    ) -> Poll<io::Result<Result<Option<Datagram>, ErrorCode>>> {
        let received = now(|| self.receive_now());
        if let Some(reserved) = reserved {
            reserved.settle(match &received {
                Poll::Ready(Ok(Ok(Some((data, _))))) => data.len(),
                _ => 0,
            });
        }
        received
    }
}

/// Bytes that a datagram counts for: one without content says something too, by where it goes.
fn cost(data: &[u8]) -> usize {
    data.len().max(1)
}
