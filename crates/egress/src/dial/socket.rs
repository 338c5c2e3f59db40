//! The socket under a connection that the host makes for a guest.
//!
//! It is ours, so that what a new deny list forbids is closed by its handle
//! ([`Connections`](crate::process::connections)), and it has its slot with it: a connection is counted, and can be
//! closed, for exactly as long as its socket is open, whatever hyper does with the streams on it. (HTTP/2 goes on with
//! the answers that are under way after nobody can send any more.)
//!
//! System calls are those of tokio's own stream. What was read is less than there was room for when nothing more is
//! there, so the next read waits before it asks the system.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use outport_policy::{Endpoint, Transport};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_slot::ConnectionSlot;
use crate::byte_budget::{Flow, Spent, Way};
use crate::enforcer::ConnectPermit;
use crate::process::Component;
use crate::proxy::{Trouble, Tunnel};
use crate::sockets::{Begun, Carried, Family, begin, register};

/// A socket that the runtime watches.
pub(super) struct Socket(AsyncFd<Arc<OwnedFd>>);

/// A connected socket, which takes its slot along.
pub(crate) struct Stream {
    // Closed before the slot is given back: fields drop in the order of declaration.
    socket: Socket,
    outgoing: Flow,
    incoming: Flow,
    _slot: ConnectionSlot,
}

impl Socket {
    /// Connects to `remote`, which is what is permitted, directly or through a proxy.
    pub(super) async fn connect(
        component: &Arc<Component>,
        remote: Endpoint,
        permit: ConnectPermit,
    ) -> io::Result<Self> {
        if permit.proxy().is_some() {
            let tunnel = Tunnel::new(component, permit, Carried::default());
            let opened = async { tunnel?.open().await };
            return Ok(Self(register(opened.await.map_err(Trouble::into_io)?)?));
        }
        let socket = Arc::new(Family::of(remote.into()).socket(Transport::Tcp)?);
        // Connected before it is registered, as the event of a socket that is not connected yet would be taken for
        // its readiness.
        let begun = begin(&socket, permit);
        let socket = Self(register(socket)?);
        if let Begun::UnderWay(_) = begun? {
            let _ = socket.0.writable().await?;
            sockopt::socket_error(&socket)??;
        }
        Ok(socket)
    }

    /// Sends what is written at once: what is sent together is written together.
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(self, true)?)
    }

    /// The system's socket, for whoever closes connections that have become forbidden.
    pub(super) fn handle(&self) -> &Arc<OwnedFd> {
        self.0.get_ref()
    }

    /// The stream of a connection with this slot.
    pub(super) fn with(self, slot: ConnectionSlot) -> Stream {
        let budget = slot.budget();
        Stream {
            outgoing: Flow::new(budget, Way::Out),
            incoming: Flow::new(budget, Way::In),
            socket: self,
            _slot: slot,
        }
    }

    /// Sends what `send` sends of `length` bytes as soon as the system takes any.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        length: usize,
        mut send: impl FnMut() -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match retry_on_intr(&mut send) {
                Ok(sent) => {
                    // Less than all was taken, so the system has no room: the next one waits without asking.
                    if 0 < sent && sent < length {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(Errno::WOULDBLOCK) => guard.clear_ready(),
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }
}

impl Stream {
    /// The system's socket.
    pub(super) fn handle(&self) -> &Arc<OwnedFd> {
        self.socket.handle()
    }

    /// Reads as much as the component may have now (BUD-3). It waits for the system first.
    #[cold]
    fn poll_read_within(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.socket.0.poll_read_ready(cx))?;
            let reserved = ready!(self.incoming.poll_reserve(Some(cx), buffer.remaining()))?;
            let room = reserved.bytes().min(buffer.remaining());
            let received = receive(&self.socket, buffer, room);
            reserved.settle(received.unwrap_or(0));
            match received {
                // The end may be one that was made here.
                Ok(0) if self.incoming.is_cut() => return Poll::Ready(Err(Spent.into())),
                Ok(length) => {
                    if 0 < length && length < room {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::WOULDBLOCK) => guard.clear_ready(),
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }

    /// Writes as much of `bytes` as the component may send now (BUD-3).
    #[cold]
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection that there was a permit for"
    )]
    fn poll_write_within(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.socket.0.poll_write_ready(cx))?;
            let reserved = ready!(self.outgoing.poll_reserve(Some(cx), bytes.len()))?;
            let bytes = &bytes[..reserved.bytes().min(bytes.len())];
            let sent = retry_on_intr(|| rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL));
            reserved.settle(sent.unwrap_or(0));
            match sent {
                Ok(sent) => {
                    if 0 < sent && sent < bytes.len() {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(_) if self.outgoing.is_cut() => return Poll::Ready(Err(Spent.into())),
                Err(Errno::WOULDBLOCK) => guard.clear_ready(),
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.incoming.is_limited() && buffer.remaining() > 0 {
            return self.poll_read_within(cx, buffer);
        }
        loop {
            let mut guard = ready!(self.socket.0.poll_read_ready(cx))?;
            let room = buffer.remaining();
            match receive(&self.socket, buffer, room) {
                Ok(length) => {
                    if 0 < length && length < room {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::WOULDBLOCK) => guard.clear_ready(),
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }
}

#[allow(
    unsafe_code,
    reason = "the buffer is not cleared for the system to fill it; see SAFETY"
)]
fn receive(socket: &Socket, buffer: &mut ReadBuf<'_>, most: usize) -> rustix::io::Result<usize> {
    // SAFETY: the system only writes to it, so nothing that was initialised is not any more.
    let room = unsafe { buffer.unfilled_mut() };
    let most = most.min(room.len());
    let room = &mut room[..most];
    let receive = || rustix::net::recv(socket, &mut *room, RecvFlags::empty()).map(|(_, length)| length);
    let length = retry_on_intr(receive)?;
    // SAFETY: the system has written so many bytes at the start of `room`.
    unsafe { buffer.assume_init(length) };
    buffer.advance(length);
    Ok(length)
}

impl AsyncWrite for Stream {
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection that there was a permit for"
    )]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.outgoing.is_limited() && !bytes.is_empty() {
            return self.poll_write_within(cx, bytes);
        }
        let socket = &self.socket;
        socket.poll_send(cx, bytes.len(), || {
            rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a connection that there was a permit for"
    )]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.outgoing.is_limited()
            && let Some(first) = parts.iter().find(|part| !part.is_empty())
        {
            return self.poll_write_within(cx, first);
        }
        let socket = &self.socket;
        let parts = &parts[..parts.len().min(MOST_PARTS)];
        let length = parts.iter().map(|part| part.len()).sum();
        socket.poll_send(cx, length, || {
            let mut nothing = SendAncillaryBuffer::default();
            rustix::net::sendmsg(socket, parts, &mut nothing, SendFlags::NOSIGNAL)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match rustix::net::shutdown(&self.socket, Shutdown::Write) {
            // What the peer has ended need not be.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(errno) => Err(errno.into()),
        })
    }
}

/// The number of pieces that the system takes at once (IOV_MAX).
const MOST_PARTS: usize = 1024;
