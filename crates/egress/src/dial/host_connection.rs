//! A connection that an interface of the host speaks over, and the handle by which it is kept and used again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Stream;
use super::target::{DialTarget, UsePermit};
use super::use_slot::UseSlot;
use super::user::{Paced, User};
use crate::denied::Denied;
use crate::enforcer::Enforcer;
use crate::host_account::HostAccount;
use crate::process::Component;

/// A connection to an address that was judged. It counts as a socket of its instance while the instance uses it, and of
/// its component and the process for as long as it is open. A deny list that forbids it closes it (DL-9), which reads
/// as an end.
pub struct HostConnection {
    stream: Paced<Stream>,
    inner: Arc<ConnectionInner>,
}

/// A handle to a [`HostConnection`], which whatever speaks over it has taken. Cheap to clone, and keeps nothing open.
#[derive(Clone)]
pub struct ConnectionHandle(Arc<ConnectionInner>);

struct ConnectionInner {
    /// The component that it was made for.
    component: Arc<Component>,
    target: Arc<DialTarget>,
    /// The system's socket, as long as there is one.
    socket: Weak<OwnedFd>,
    user: User,
    /// The slot of the instance that uses it, while one does.
    in_use: Mutex<Option<UseSlot>>,
}

impl HostConnection {
    pub(super) fn new(
        enforcer: &Arc<Enforcer>,
        stream: Paced<Stream>,
        target: DialTarget,
        slot: UseSlot,
    ) -> Self {
        let inner = ConnectionInner {
            component: Arc::clone(enforcer.component()),
            target: Arc::new(target),
            socket: Arc::downgrade(stream.get().handle()),
            user: User::default(),
            in_use: Mutex::new(Some(slot)),
        };
        inner.user.set(enforcer.account().as_ref());
        Self {
            stream,
            inner: Arc::new(inner),
        }
    }

    /// The address that it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.inner.target.remote.into()
    }

    /// A handle that keeps hold of it when something else has taken it.
    pub fn handle(&self) -> ConnectionHandle {
        ConnectionHandle(Arc::clone(&self.inner))
    }
}

impl Drop for HostConnection {
    fn drop(&mut self) {
        self.inner.end_use();
    }
}

impl ConnectionHandle {
    /// The address that it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.0.target.remote.into()
    }

    /// Drives what speaks over the connection, on a task of its own and at the cost of the instance that uses it. While
    /// nobody does it may cost 100 ms and ends then.
    pub fn drive(&self, work: impl Future<Output = ()> + Send + 'static) {
        let driven = self.0.user.clone().pay(work);
        tokio::spawn(async move {
            if driven.await.is_none() {
                tracing::debug!("a connection of a host interface was busy although nobody used it");
            }
        });
    }

    /// Charges what it costs from now on, until its use ends, to `account`: that of the instance for which the host uses a
    /// connection of its own.
    pub fn charge_to(&self, account: Option<&Arc<dyn HostAccount>>) {
        self.0.user.set(account);
    }

    /// Closes it in both directions, whoever has it.
    pub fn close(&self) {
        if let Some(socket) = self.0.socket.upgrade() {
            // One that the peer has ended meanwhile cannot be shut down, and need not be.
            let _ = rustix::net::shutdown(&socket, Shutdown::Both);
        }
    }

    /// True if neither side has ended it, as far as the system knows by now.
    pub fn is_open(&self) -> bool {
        self.0.socket.upgrade().is_some_and(|socket| !has_ended(&socket))
    }

    pub(super) fn component(&self) -> &Arc<Component> {
        &self.0.component
    }

    /// The target, as it was judged when the connection was made.
    pub(super) fn target(&self) -> &Arc<DialTarget> {
        &self.0.target
    }

    /// Begins the one use that `permit` is for, by the instance of `enforcer`. `slot` counts it.
    ///
    /// # Errors
    ///
    /// The permit is for another connection.
    pub(super) fn begin_use(
        &self,
        enforcer: &Enforcer,
        permit: UsePermit,
        slot: UseSlot,
    ) -> Result<(), Denied> {
        let inner = &self.0;
        permit.spend(&inner.target)?;
        inner.user.set(enforcer.account().as_ref());
        *inner.slot() = Some(slot);
        Ok(())
    }

    /// Notes that no instance uses it any more.
    pub(super) fn end_use(&self) {
        self.0.end_use();
    }
}

impl ConnectionInner {
    fn end_use(&self) {
        self.user.unset();
        let slot = self.slot().take();
        drop(slot);
    }

    fn slot(&self) -> MutexGuard<'_, Option<UseSlot>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if the peer has ended the connection, or it has failed. What it has sent before may not be read yet.
fn has_ended(socket: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(socket, HALF_CLOSED)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ended = HALF_CLOSED | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    match poll(&mut asked, Some(&now)) {
        Ok(_) => asked[0].revents().intersects(ended),
        Err(_) => true,
    }
}

/// That the peer sends no more; elsewhere than on Linux a system says only that nobody does.
#[cfg(target_os = "linux")]
const HALF_CLOSED: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const HALF_CLOSED: PollFlags = PollFlags::HUP;

impl AsyncRead for HostConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for HostConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
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
