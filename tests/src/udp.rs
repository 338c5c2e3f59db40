//! UDP peers: one that echoes, and a stranger that speaks before it was spoken to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::until::until;

/// A UDP server on a free port that sends every datagram back and remembers who sent it. Ends when dropped.
#[derive(Debug)]
pub struct UdpEcho {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    senders: Mutex<Vec<SocketAddr>>,
    ended: AtomicBool,
}

impl UdpEcho {
    /// A peer on 127.0.0.1.
    pub fn start() -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0))
    }

    /// A peer on an address of the test's choice; port 0 is any free one.
    ///
    /// # Panics
    ///
    /// If the address is not one of this machine, or the port is taken.
    pub fn start_on(address: (impl Into<IpAddr>, u16)) -> Self {
        let address = SocketAddr::new(address.0.into(), address.1);
        let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time-out can be set");
        let address = socket.local_addr().expect("a bound socket has an address");
        let (socket, state) = (Arc::new(socket), Arc::new(State::default()));
        let thread = thread::spawn({
            let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
            move || echo(&socket, &state)
        });
        Self {
            address,
            socket,
            state,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sends a datagram without being asked.
    pub fn say(&self, target: SocketAddr, message: &[u8]) {
        let _ = self.socket.send_to(message, target);
    }

    /// Who sent each datagram so far.
    pub fn senders(&self) -> Vec<SocketAddr> {
        self.state
            .senders
            .lock()
            .expect("no thread panics with the senders")
            .clone()
    }

    /// Waits for the first datagram and says who sent it.
    ///
    /// # Panics
    ///
    /// If none comes within [`PATIENCE`](crate::until::PATIENCE).
    pub fn wait_for_sender(&self) -> SocketAddr {
        until("a datagram", || !self.senders().is_empty());
        self.senders()[0]
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn echo(socket: &UdpSocket, state: &State) {
    let mut buffer = [0; 64 * 1024];
    while !state.ended.load(Ordering::SeqCst) {
        let Ok((length, sender)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        state
            .senders
            .lock()
            .expect("no thread panics with the senders")
            .push(sender);
        let _ = socket.send_to(&buffer[..length], sender);
    }
}

/// Sends `count` datagrams to `target` from a new socket on `from`, which `target` has never heard of.
///
/// # Panics
///
/// If `from` is not an address of this machine.
pub fn send_as_stranger(from: impl Into<IpAddr>, target: SocketAddr, message: &[u8], count: usize) {
    let socket = UdpSocket::bind((from.into(), 0)).expect("a free UDP port");
    for _ in 0..count {
        let _ = socket.send_to(message, target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::until::PATIENCE;

    fn client() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    #[test]
    fn an_echo_comes_back_and_its_sender_is_known() {
        let peer = UdpEcho::start();
        let socket = client();
        socket.send_to(b"ping", peer.address()).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (4, peer.address()));
        assert_eq!(peer.wait_for_sender(), socket.local_addr().unwrap());
    }

    #[test]
    fn a_stranger_reaches_an_open_socket() {
        let socket = client();
        send_as_stranger(Ipv4Addr::LOCALHOST, socket.local_addr().unwrap(), b"boo", 1);
        assert_eq!(socket.recv_from(&mut [0; 16]).unwrap().0, 3);
    }
}
