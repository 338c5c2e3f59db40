//! Sockets of WASI 0.2 and 0.3: what both have in common.
//!
//! They are ours from end to end ([`TcpSocket`], [`UdpSocket`]): judged, made, connected, read and written here. Either
//! passes the gate at two points, and nowhere else:
//!
//! 1. **Creation** ([`slot::SocketSlot`]): judged and counted before the system call. The slot is what keeps the count,
//!    and it lives exactly as long as the socket.
//! 2. **Every address**: the [system calls](system) that lead to somebody take a permit for the address that the system
//!    gets. Nothing awaits between the decision that gives it and the call that takes it. Another thread may replace the
//!    policy in just that moment: a connection that this has overtaken is closed when it is registered (DL-9), and a
//!    datagram may go by the list of a moment ago. Where the system says that it would have to wait the permit is
//!    spent, and the next try has to be permitted anew; but for a TCP connection, which goes on by itself once it has
//!    begun. What comes from somebody, a datagram, is judged after it was received and before the guest knows of it.
//!
//! The store's own context keeps every network switch off. A linker that lacks
//! [`add_to_linker`](crate::add_to_linker), or a path that this crate forgot, makes sockets that cannot be opened at
//! all.

mod address;
mod connection;
mod family;
mod first_flight;
mod options;
mod slot;
mod system;
mod tcp;
mod udp;
mod watched;

use std::net::SocketAddr;
use std::os::fd::AsFd;

use wasmtime_wasi::sockets::ErrorCode;

pub(crate) use self::connection::{Receiving, Sending};
pub(crate) use self::family::Family;
pub(crate) use self::options::Carried;
#[cfg(test)]
pub(crate) use self::slot::SocketSlot;
pub(crate) use self::system::{Begun, begin, begin_to_proxy};
pub(crate) use self::tcp::TcpSocket;
pub(crate) use self::udp::UdpSocket;
pub(crate) use self::watched::register;
use crate::denied::Denied;

/// The reason why there is no new socket.
#[derive(Debug)]
pub(crate) enum NotCreated {
    Denied(Denied),
    Failed(ErrorCode),
}

/// A refusal in the guest's terms: no quota is looked at once there is a socket.
fn permitted<T>(verdict: Result<T, Denied>) -> Result<T, ErrorCode> {
    verdict.map_err(|_| ErrorCode::AccessDenied)
}

fn local_address(socket: impl AsFd) -> Result<SocketAddr, ErrorCode> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?).map_err(ErrorCode::from)
}
