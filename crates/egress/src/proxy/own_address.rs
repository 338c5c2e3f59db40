//! Whether an address leads to this machine, where a proxy on this machine may be reached by it.
//!
//! Addresses come and go, and some that nobody can bind to lead here all the same: a whole network that the local routes
//! have. So the kernel is asked each time, by sockets that send nothing:
//!
//! | asked | answer | leads |
//! | --- | --- | --- |
//! | bind to the address | it can be, or no port is free | here |
//! | connect for datagrams | from the address itself, or from loopback | here |
//! | | by a route with the MTU of the loopback interface | here |
//! | | no route | elsewhere |
//! | | any other error, such as no descriptor, no port, no right | nobody knows |
//!
//! What nobody knows is refused, and forgotten.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use outport_policy::Endpoint;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// The place that an address leads to, now. The greatest of several is what has to be assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leads {
    Elsewhere,
    Unknown,
    Here,
}

impl Leads {
    /// Asks the kernel where packets to `remote` would go. A scope counts.
    pub(super) fn of(remote: SocketAddr) -> Self {
        if remote.ip().is_loopback() || remote.ip().is_unspecified() || can_be_bound(remote) {
            return Self::Here;
        }
        route(remote).unwrap_or_else(Self::of_error)
    }

    /// The same by any of its readings: what embeds an address may come to that one.
    pub(super) fn of_readings(remote: SocketAddr) -> Self {
        let Endpoint { address, port } = Endpoint::from(remote);
        let embedded = address.readings().skip(1);
        let embedded = embedded.map(|address| Self::of(Endpoint::new(address, port).into()));
        embedded.fold(Self::of(remote), Self::max)
    }

    fn of_error(errno: Errno) -> Self {
        match errno {
            Errno::NETUNREACH | Errno::HOSTUNREACH => Self::Elsewhere,
            _ => Self::Unknown,
        }
    }
}

/// True if the system lets one bind to the address, or would if a port were free: it is one of an interface.
fn can_be_bound(remote: SocketAddr) -> bool {
    let mut local = remote;
    local.set_port(0);
    match UdpSocket::bind(local) {
        Ok(_) => true,
        Err(error) => Errno::from_io_error(&error) == Some(Errno::ADDRINUSE),
    }
}

/// The route, as a connected socket shows it. The socket is one for datagrams, which is gone before anything could be sent.
#[expect(
    clippy::disallowed_methods,
    reason = "for datagrams it sends nothing: it has the kernel say its route"
)]
fn route(remote: SocketAddr) -> Result<Leads, Errno> {
    let family = match remote {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &remote)?;
    let local = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    let (from, to): (IpAddr, IpAddr) = (local.ip().to_canonical(), remote.ip().to_canonical());
    if from == to || from.is_loopback() {
        return Ok(Leads::Here);
    }
    let mtu = match remote {
        SocketAddr::V4(_) => sockopt::ip_mtu(&socket)?,
        SocketAddr::V6(_) => sockopt::ipv6_mtu(&socket)?,
    };
    Ok(if mtu >= LOOPBACK_MTU {
        Leads::Here
    } else {
        Leads::Elsewhere
    })
}

/// The MTU in bytes that the loopback interface has at least, as IPv4 tells it. That of a network is smaller.
const LOOPBACK_MTU: u32 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: PX-2
    #[test]
    fn loopback_is_this_machines_and_what_is_for_documentation_nobodys() {
        for (text, leads) in [
            ("127.0.0.1", Leads::Here),
            ("127.8.9.1", Leads::Here),
            ("0.0.0.0", Leads::Here),
            ("::1", Leads::Here),
            ("192.0.2.1", Leads::Elsewhere),
            ("2001:db8::1", Leads::Elsewhere),
            // Without a scope nobody knows whose it is.
            ("fe80::1234", Leads::Unknown),
        ] {
            let remote = SocketAddr::new(text.parse().unwrap(), 3128);
            assert_eq!(Leads::of(remote), leads, "{text}");
        }
    }

    // proves: PX-2, ORD-4
    #[test]
    fn the_route_alone_tells_loopback_from_elsewhere() {
        let of = |text: &str| route(text.parse().unwrap()).unwrap_or_else(Leads::of_error);
        for here in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "0.0.0.0:1"] {
            assert_eq!(of(here), Leads::Here, "{here}");
        }
        assert_eq!(of("192.0.2.1:1"), Leads::Elsewhere);
    }

    // proves: PX-2, ORD-4
    #[test]
    fn an_error_is_no_answer_unless_it_says_that_there_is_no_way() {
        for errno in [Errno::NETUNREACH, Errno::HOSTUNREACH] {
            assert_eq!(Leads::of_error(errno), Leads::Elsewhere);
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::AGAIN,
            Errno::ADDRNOTAVAIL,
            Errno::ACCESS,
            Errno::PERM,
            Errno::INVAL,
            Errno::NOBUFS,
            Errno::NOMEM,
        ] {
            assert_eq!(Leads::of_error(errno), Leads::Unknown, "{errno}");
        }
        assert_eq!(
            [Leads::Elsewhere, Leads::Here, Leads::Unknown].into_iter().max(),
            Some(Leads::Here)
        );
    }
}
