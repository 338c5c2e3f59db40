//! The system calls by which a socket reaches somebody for a guest. Each takes the permit to do so, and gives the
//! system the address that the permit is for; nothing else in this crate makes them for a guest, which `clippy.toml`
//! holds.

use std::os::fd::AsFd;

use rustix::io::{Errno, Result};
use rustix::net::SendFlags;

use crate::enforcer::ConnectPermit;

/// Begins to connect, or asks how the connection that has begun is doing.
#[expect(clippy::disallowed_methods, reason = "there is a permit for this address")]
pub(crate) fn connect(socket: impl AsFd, permit: &ConnectPermit) -> Result<()> {
    rustix::net::connect(socket, &permit.remote())
}

/// Makes a UDP socket speak to one peer alone.
pub(super) fn connect_datagrams(socket: impl AsFd, permit: &ConnectPermit) -> Result<()> {
    match connect(&socket, permit) {
        // Linux keeps the local address that the route to the last peer gave the socket, whatever the route to this
        // one.
        #[cfg(target_os = "linux")]
        Err(Errno::INVAL) => {
            let _ = disconnect_datagrams(&socket);
            connect(&socket, permit)
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

/// Sends a datagram, from a socket that is not connected.
#[expect(clippy::disallowed_methods, reason = "there is a permit for this address")]
pub(super) fn send_to(socket: impl AsFd, datagram: &[u8], permit: ConnectPermit) -> Result<()> {
    let (socket, remote) = (socket.as_fd(), permit.remote());
    let send = || rustix::net::sendto(socket, datagram, SendFlags::NOSIGNAL, &remote);
    rustix::io::retry_on_intr(send).map(drop)
}

/// Sends a datagram, from a socket that is connected to the peer that the permit is for. To say the address again would
/// have the system look for the way to it once more.
pub(super) fn send_to_peer(socket: impl AsFd, datagram: &[u8], _: ConnectPermit) -> Result<()> {
    let socket = socket.as_fd();
    let send = || rustix::net::send(socket, datagram, SendFlags::NOSIGNAL);
    rustix::io::retry_on_intr(send).map(drop)
}
