//! The sockets that the workers accept connections from: one a worker, all on the same address, so that the
//! kernel spreads connections and no thread hands them on. What they speak, HTTP or HTTPS, is told with them.
//!
//! Sockets may also be inherited: from systemd, or from an Outport that is about to end. Each of them has a queue of
//! connections of its own, so each is served, whatever the number of workers:
//!
//! | sockets of an address | each worker has |
//! | --- | --- |
//! | as many as workers | one |
//! | more | several |
//! | fewer | one, that others have too; whoever is first has the next connection |

use std::io;
use std::net::{SocketAddr, TcpListener};

use http::uri::Scheme;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::tls::ServerTls;

/// Listening sockets for workers.
#[derive(Debug)]
pub struct Listeners {
    /// The addresses, each once, and the sockets of each.
    sockets: Vec<(SocketAddr, Vec<TcpListener>)>,
    workers: usize,
    tls: Option<ServerTls>,
}

/// A socket, as one of the workers has it.
#[derive(Debug)]
pub(super) struct WorkerSocket {
    pub(super) socket: TcpListener,
    pub(super) sharing: WorkerSharing,
}

/// Who accepts from a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerSharing {
    /// One worker.
    Own,
    /// Several.
    Shared,
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
    /// A socket that was inherited cannot be served.
    #[error("the inherited socket cannot be used: {source}")]
    Inherited {
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
            sockets: vec![(address, sockets)],
            workers: workers.max(1),
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

    /// The settings of TLS, where that is spoken.
    pub(super) fn tls(&self) -> Option<ServerTls> {
        self.tls.clone()
    }

    /// Serves sockets that listen already, by so many workers. They may be of several addresses.
    ///
    /// # Errors
    ///
    /// When there is none, or the system does not let one be set up as this crate's own are.
    pub fn adopt(sockets: Vec<TcpListener>, workers: usize) -> Result<Self, ListenError> {
        let mut adopted: Vec<(SocketAddr, Vec<TcpListener>)> = Vec::new();
        for socket in sockets {
            let inherited = |source| ListenError::Inherited { source };
            set_up(&SockRef::from(&socket)).map_err(inherited)?;
            let address = socket.local_addr().map_err(inherited)?;
            match adopted.iter_mut().find(|(known, _)| *known == address) {
                Some((_, sockets)) => sockets.push(socket),
                None => adopted.push((address, vec![socket])),
            }
        }
        if adopted.is_empty() {
            let source = io::Error::other("there is none");
            return Err(ListenError::Inherited { source });
        }
        Ok(Self {
            sockets: adopted,
            workers: workers.max(1),
            tls: None,
        })
    }

    /// The address that the sockets listen on, with the port that was taken; of several the first.
    pub fn address(&self) -> SocketAddr {
        self.sockets[0].0
    }

    /// The addresses that the sockets listen on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    /// The same sockets once more, for another process to [adopt](Self::adopt).
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    pub fn copies(&self) -> io::Result<Vec<TcpListener>> {
        let sockets = self.sockets.iter().flat_map(|(_, sockets)| sockets);
        sockets.map(TcpListener::try_clone).collect()
    }

    /// The sockets of each worker.
    pub(super) fn by_worker(self) -> io::Result<Vec<Vec<WorkerSocket>>> {
        let mut workers: Vec<_> = (0..self.workers).map(|_| Vec::new()).collect();
        for (_, sockets) in self.sockets {
            let number = sockets.len();
            let sharing = |socket| {
                if socket + number < self.workers {
                    WorkerSharing::Shared
                } else {
                    WorkerSharing::Own
                }
            };
            for worker in number..self.workers {
                let of = worker % number;
                workers[worker].push(WorkerSocket {
                    socket: sockets[of].try_clone()?,
                    sharing: WorkerSharing::Shared,
                });
            }
            for (place, socket) in sockets.into_iter().enumerate() {
                workers[place % self.workers].push(WorkerSocket {
                    socket,
                    sharing: sharing(place),
                });
            }
        }
        Ok(workers)
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
    set_up(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets what each socket has, whoever opened it.
fn set_up(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    // Inherited by the connections; set here it costs no system call for each of them.
    socket.set_tcp_nodelay(true)?;
    // So that a write waits for the client, and not for a kernel with megabytes of room: what is written and not
    // acknowledged costs memory for as long as the client does not read.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
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
        let workers = listeners.by_worker().unwrap();
        assert_eq!(workers.len(), 3);
        for sockets in workers {
            let [own] = &sockets[..] else {
                panic!("{sockets:?}")
            };
            assert_eq!(own.socket.local_addr().unwrap(), address);
            assert_eq!(own.sharing, WorkerSharing::Own);
        }
    }

    #[test]
    fn every_inherited_socket_is_served_and_every_worker_has_one() {
        // (sockets, workers, sockets of each worker, those that are shared)
        for (sockets, workers, expected, expected_shared) in [
            (1, 1, vec![1], 0),
            (1, 3, vec![1, 1, 1], 3),
            (2, 3, vec![1, 1, 1], 2),
            (3, 3, vec![1, 1, 1], 0),
            (5, 2, vec![3, 2], 0),
        ] {
            let opened = Listeners::bind(ANY_PORT, sockets).unwrap();
            let copies = opened.copies().unwrap();
            assert_eq!(copies.len(), sockets);
            let served = Listeners::adopt(copies, workers).unwrap();
            assert_eq!(served.address(), opened.address());
            let by_worker = served.by_worker().unwrap();
            let numbers: Vec<_> = by_worker.iter().map(Vec::len).collect();
            assert_eq!(numbers, expected, "{sockets} by {workers}");
            let shared = by_worker.iter().flatten();
            let shared = shared.filter(|socket| socket.sharing == WorkerSharing::Shared);
            assert_eq!(shared.count(), expected_shared, "{sockets} by {workers}");
        }
    }

    #[test]
    fn sockets_of_several_addresses_are_served_by_every_worker() {
        let one = Listeners::bind(ANY_PORT, 1).unwrap();
        let two = Listeners::bind(ANY_PORT, 2).unwrap();
        let mut sockets = one.copies().unwrap();
        sockets.extend(two.copies().unwrap());
        let both = Listeners::adopt(sockets, 2).unwrap();
        assert_eq!(
            both.addresses().collect::<Vec<_>>(),
            [one.address(), two.address()]
        );
        assert!(both.by_worker().unwrap().iter().all(|sockets| sockets.len() == 2));
    }

    #[test]
    fn no_socket_is_none_to_serve() {
        let none = Listeners::adopt(Vec::new(), 1).expect_err("there is none");
        assert!(matches!(none, ListenError::Inherited { .. }), "{none}");
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
