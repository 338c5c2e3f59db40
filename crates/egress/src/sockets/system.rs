//! The system calls by which a socket reaches somebody for a guest. Each takes the permit to do so, and gives the
//! system the address that the permit is for; nothing else in this crate makes them for a guest, which `clippy.toml`
//! holds. To send on a connection needs no further permit: who does that says so, too.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::{Errno, Result};
use rustix::net::{SendFlags, Shutdown};

use crate::enforcer::{ConnectPermit, Step};
use crate::proxy::Hop;

/// The state of a TCP connection that has begun.
pub(crate) enum Begun {
    /// Established already, without a wait.
    Established,
    /// The system goes on with it by itself.
    UnderWay(UnderWay),
}

/// A TCP connection that was permitted, has begun, and is not there yet.
pub(crate) struct UnderWay(SocketAddr);

/// Begins a TCP connection to the address that the permit is for, directly.
pub(crate) fn begin(socket: impl AsFd, permit: ConnectPermit) -> Result<Begun> {
    // Whatever leads through the operator's proxy is not gone to without (PX-1): a mistake of ours, which connects nothing.
    if permit.proxy().is_some() {
        return Err(Errno::ACCESS);
    }
    let remote = address(permit, Step::ConnectStream)?;
    begin_to(socket, remote)
}

/// Begins a TCP connection to the operator's proxy, because of a permit that leads through it.
pub(crate) fn begin_to_proxy(socket: impl AsFd, hop: Hop) -> Result<Begun> {
    begin_to(socket, hop.address())
}

fn begin_to(socket: impl AsFd, remote: SocketAddr) -> Result<Begun> {
    match connect(socket, remote) {
        Ok(()) => Ok(Begun::Established),
        // Interrupted or not, it goes on by itself.
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(Begun::UnderWay(UnderWay(remote))),
        Err(errno) => Err(errno),
    }
}

impl UnderWay {
    /// Asks the socket that it began with how it is doing. That begins no other one, and tells what it failed of:
    /// connect(2), and `__inet_stream_connect` of Linux.
    pub(super) fn ask(&self, socket: impl AsFd) -> Result<()> {
        connect(socket, self.0)
    }
}

/// Makes a UDP socket speak to one peer alone.
pub(super) fn connect_datagrams(socket: impl AsFd, permit: ConnectPermit) -> Result<()> {
    let remote = address(permit, Step::ConnectDatagrams)?;
    match connect(&socket, remote) {
        // Linux keeps the local address that the route to the last peer gave the socket, whatever the route to this
        // one.
        #[cfg(target_os = "linux")]
        Err(Errno::INVAL) => {
            let _ = disconnect_datagrams(&socket);
            connect(&socket, remote)
        }
        Err(Errno::AFNOSUPPORT) => Err(Errno::INVAL),
        done => done,
    }
}

/// Makes a UDP socket speak to anybody again.
pub(super) fn disconnect_datagrams(socket: impl AsFd) -> Result<()> {
    match rustix::net::connect_unspec(socket) {
        // It is done all the same, says its manual.
        #[cfg(target_vendor = "apple")]
        Err(Errno::INVAL | Errno::AFNOSUPPORT) => Ok(()),
        done => done,
    }
}

/// Ends a TCP connection at once, in both directions: the peer sees a reset, and what was not sent yet is not sent.
pub(super) fn reset(socket: impl AsFd) {
    let socket = socket.as_fd();
    // So that closing resets it, where the system does not do so right now.
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
    // tcp_disconnect of Linux, by connect(2) to no family.
    #[cfg(target_os = "linux")]
    let done = rustix::net::connect_unspec(socket);
    #[cfg(not(target_os = "linux"))]
    let done: Result<()> = Err(Errno::NOSYS);
    if done.is_err() {
        // One that the peer has ended meanwhile cannot be shut down, and need not be.
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }
}

/// Sends a datagram. `connected` is whom the system says that it has connected the socket to. Where that is whom the
/// permit is for, its address is not said again, which would have the system look for the way to it once more.
#[expect(clippy::disallowed_methods, reason = "there is a permit for this address")]
pub(super) fn send(
    socket: impl AsFd,
    connected: Option<SocketAddr>,
    datagram: &[u8],
    permit: ConnectPermit,
) -> Result<()> {
    let (socket, flags) = (socket.as_fd(), SendFlags::NOSIGNAL);
    let remote = address(permit, Step::SendDatagram)?;
    let sent = if connected == Some(remote) {
        rustix::io::retry_on_intr(|| rustix::net::send(socket, datagram, flags))
    } else {
        rustix::io::retry_on_intr(|| rustix::net::sendto(socket, datagram, flags, &remote))
    };
    sent.map(drop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever calls it had a permit for this address"
)]
fn connect(socket: impl AsFd, remote: SocketAddr) -> Result<()> {
    rustix::net::connect(socket, &remote)
}

/// The address of a permit for this step.
fn address(permit: ConnectPermit, step: Step) -> Result<SocketAddr> {
    permit.spend(step).map_err(|_| Errno::ACCESS)
}
