//! The family of a socket's addresses, and new sockets of it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use outport_policy::Transport;
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

/// The family of a socket's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of `address`.
    pub(crate) fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    pub(super) fn unspecified(self) -> SocketAddr {
        let address = match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(address, 0)
    }

    /// A new socket, which does not block. One of IPv6 has nothing to do with IPv4, as WASI wants it.
    pub(crate) fn socket(self, transport: Transport) -> io::Result<OwnedFd> {
        let (kind, protocol) = match transport {
            Transport::Tcp => (SocketType::STREAM, ipproto::TCP),
            Transport::Udp => (SocketType::DGRAM, ipproto::UDP),
        };
        match self {
            Self::V4 => Ok(system::socket(AddressFamily::INET, kind, protocol)?),
            Self::V6 => {
                let socket = system::socket(AddressFamily::INET6, kind, protocol)?;
                sockopt::set_ipv6_v6only(&socket, true)?;
                Ok(socket)
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::OwnedFd;

    use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

    pub(super) fn socket(
        family: AddressFamily,
        kind: SocketType,
        protocol: Protocol,
    ) -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(family, kind, flags, Some(protocol))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::os::fd::OwnedFd;

    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
    use rustix::net::{AddressFamily, Protocol, SocketType};

    pub(super) fn socket(
        family: AddressFamily,
        kind: SocketType,
        protocol: Protocol,
    ) -> rustix::io::Result<OwnedFd> {
        let socket = rustix::net::socket(family, kind, Some(protocol))?;
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }
}
