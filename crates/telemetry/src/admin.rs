//! The admin listener: pages on what the process does, for an operator's tools.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | the counts, as text for Prometheus or as OpenMetrics |
//! | `/healthz` | 200: the process answers |
//! | `/readyz` | 200, or 503 with what is [missing](Readiness) |
//! | `/policy` | the effective policy, as JSON |
//! | `/` | a list of these |
//!
//! They are for reading: of methods there are GET and HEAD, and nothing that is sent changes anything. Whoever reaches the
//! listener may read them all.
//!
//! It has a thread and bounds of its own, so that neither a scrape nor somebody hostile holds a worker up:
//! [`CONNECTIONS`] at a time, each for one request, [`HEADERS`] bytes of headers, and [`TIME`] from its first byte to
//! its last. Where all connections are taken the next one waits in the kernel, until one has ended, or has stood still for
//! [`STANDSTILL`] and makes place.
//!
//! Browsers read no other origin's pages, but one may be had to take this listener for a page's own origin, by a name that
//! first has the page's address and then this one (DNS rebinding). So the `Host` of a request has to be an address,
//! `localhost` or one of the names that the operator has for this listener.

mod host;
mod pages;
mod readiness;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

pub use self::host::{HostNames, NotAHostName};
pub use self::readiness::Readiness;
use crate::connections;
use crate::registry::Registry;

/// Connections at a time.
pub const CONNECTIONS: usize = 32;

/// Bytes of the headers of a request.
pub const HEADERS: usize = connections::HEADERS;

/// The time of a connection, from its first byte to its last.
pub const TIME: Duration = connections::TIME;

/// The time after which a connection makes place for another, if it has not asked, or not read on.
pub const STANDSTILL: Duration = connections::STANDSTILL;

/// The socket that tools connect to, while nobody answers yet.
#[derive(Debug)]
pub struct AdminListener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Nobody can be listened to at an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for an operator's tools: {source}")]
#[non_exhaustive]
pub struct AdminError {
    /// The address.
    pub address: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

/// The things that the pages are about.
pub struct Subjects {
    /// The counts.
    pub registry: Arc<Registry>,
    /// What is still missing.
    pub readiness: Readiness,
    /// The names that the listener is called by.
    pub names: HostNames,
    /// Writes the effective policy, once it is known and while it is in force.
    pub policy: OnceLock<Box<dyn Fn() -> Option<String> + Send + Sync>>,
}

/// A thread that answers. It ends when this is dropped.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl AdminListener {
    /// Listens on `address`. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The address is taken, not this machine's, or not for this user.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let open = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = open().map_err(|source| AdminError { address, source })?;
        Ok(Self { socket, address })
    }

    /// Answers at a socket that listens already.
    ///
    /// # Errors
    ///
    /// The system does not say where it listens, or does not let it be set up.
    pub fn adopt(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The same socket once more, for another process to [adopt](Self::adopt).
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub fn copy(&self) -> io::Result<TcpListener> {
        self.socket.try_clone()
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to answer.
    ///
    /// # Errors
    ///
    /// The system gives no thread, or no way to wait for sockets.
    pub fn start(self, subjects: Arc<Subjects>) -> io::Result<AdminServer> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let (socket, address) = (self.socket, self.address);
        thread::Builder::new()
            .name("outport-admin".to_owned())
            .spawn(move || {
                let served = runtime.block_on(async {
                    let socket = tokio::net::TcpListener::from_std(socket)?;
                    tokio::select! {
                        _ = stopped => Ok(()),
                        never = connections::serve(socket, subjects) => match never {},
                    }
                });
                if let Err(error) = served {
                    let error: io::Error = error;
                    tracing::error!("the admin listener ended: {error}");
                }
            })?;
        Ok(AdminServer { address, _stop: stop })
    }
}

impl AdminServer {
    /// The address that it answers at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests;
