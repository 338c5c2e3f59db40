//! The sockets that the workers accept connections from: one a worker, all on the same address, so that the
//! kernel spreads connections and no thread hands them on. What they speak, HTTP or HTTPS, is told with them.

use std::io;
use std::net::{SocketAddr, TcpListener};

use http::uri::Scheme;
use socket2::{Domain, Protocol, Socket, Type};

use super::tls::ServerTls;

/// Listening sockets of one address.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
    tls: Option<ServerTls>,
}

/// Nobody can be listened to at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program, or another Outport, listens there.
    #[error("another program listens on {address}; stop it, or choose another address with `--listen`")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The machine has no such address.
    #[error(
        "this machine has no address {ip}; `--listen 127.0.0.1:{port}` is reached from this machine only, \
         `--listen 0.0.0.0:{port}` from everywhere",
        ip = .address.ip(),
        port = .address.port()
    )]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Ports below 1024 are for privileged users on most systems.
    #[error("listening on {address} is not permitted; ports from 1024 on are")]
    NotPermitted {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

impl Listeners {
    /// Listens on `address` with a socket for each of `workers`. Port 0 takes a free port.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn bind(address: SocketAddr, workers: usize) -> Result<Self, ListenError> {
        let sockets = open_all(address, workers).map_err(|source| ListenError::of(address, source))?;
        let address = sockets[0]
            .local_addr()
            .map_err(|source| ListenError::Other { address, source })?;
        Ok(Self {
            address,
            sockets,
            tls: None,
        })
    }

    /// The same, on which HTTPS is spoken, and no HTTP.
    pub fn with_tls(self, tls: ServerTls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// `https` where TLS is spoken, else `http`.
    pub fn scheme(&self) -> Scheme {
        match self.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        }
    }

    /// The address that the sockets listen on, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn into_parts(self) -> (Vec<TcpListener>, Option<ServerTls>) {
        (self.sockets, self.tls)
    }
}

impl ListenError {
    fn of(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address },
            _ => Self::Other { address, source },
        }
    }
}

fn open_all(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        // Sockets that share a port also share it with another process of the same user. This one does not.
        open(address, Sharing::Alone)?;
    }
    let first = open(address, Sharing::WithWorkers)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(open(address, Sharing::WithWorkers)?);
    }
    Ok(sockets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithWorkers,
}

#[expect(clippy::disallowed_methods, reason = "the app's own server listens")]
fn open(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A server that was just stopped leaves connections behind that would keep the address for minutes.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::WithWorkers)?;
    socket.set_nonblocking(true)?;
    // Inherited by the connections; set here it costs no system call for each of them.
    socket.set_tcp_nodelay(true)?;
    // So that a write waits for the client, and not for a kernel with megabytes of room: what is written and not
    // acknowledged costs memory for as long as the client does not read.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Bytes of a connection that are written and that the client has no room for yet. A write goes on when half of them
/// are gone.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Connections that the kernel completes before a worker takes them.
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn all_workers_listen_on_the_port_that_was_taken() {
        let listeners = Listeners::bind(ANY_PORT, 3).unwrap();
        let address = listeners.address();
        assert_ne!(address.port(), 0);
        let (sockets, _) = listeners.into_parts();
        assert_eq!(sockets.len(), 3);
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
    }

    #[test]
    fn an_address_that_is_in_use_is_refused_even_by_sockets_that_share() {
        let listeners = Listeners::bind(ANY_PORT, 2).unwrap();
        let refused = Listeners::bind(listeners.address(), 2).expect_err("it is in use");
        assert!(matches!(refused, ListenError::InUse { .. }), "{refused}");
        let address = listeners.address();
        drop(listeners);
        Listeners::bind(address, 2).expect("it is free again");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let refused = Listeners::bind("192.0.2.1:0".parse().unwrap(), 1).expect_err("it is nobody's");
        assert!(matches!(refused, ListenError::NotHere { .. }), "{refused}");
    }
}
