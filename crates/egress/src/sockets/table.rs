//! The TCP sockets of a store, by the number of their entry in its table.
//!
//! `wasmtime-wasi` owns the sockets; what this crate knows of one is its [`SocketPermit`]. The permit is found here
//! while the socket is in the table.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::permit::SocketPermit;

/// The permits of the TCP sockets in the table of a store.
#[derive(Default)]
pub(crate) struct TcpSockets {
    permits: HashMap<u32, Arc<SocketPermit>>,
}

impl TcpSockets {
    pub(crate) fn insert(&mut self, socket: u32, permit: Arc<SocketPermit>) {
        self.permits.insert(socket, permit);
    }

    pub(crate) fn remove(&mut self, socket: u32) {
        self.permits.remove(&socket);
    }

    pub(crate) fn permit(&self, socket: u32) -> Option<Arc<SocketPermit>> {
        self.permits.get(&socket).cloned()
    }

    /// Notes that a socket is connected, so that the connection can be closed when it becomes forbidden.
    pub(crate) fn connected(&self, socket: u32, local: SocketAddr, remote: SocketAddr) {
        if let Some(permit) = self.permits.get(&socket) {
            permit.connected(local, remote);
        }
    }
}
