//! TCP peers: one that echoes, and others that count, close, reset or say nothing; and a port where nobody is.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

use crate::until::until;

/// A port of 127.0.0.1 that refuses connections for as long as this lives: it is bound, so that nobody else listens
/// there meanwhile, and does not listen itself.
#[derive(Debug)]
pub struct ClosedPort {
    port: u16,
    _bound: OwnedFd,
}

impl ClosedPort {
    /// Takes a free port.
    pub fn take() -> Self {
        let bound = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a TCP socket");
        rustix::net::bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free TCP port");
        let address = rustix::net::getsockname(&bound).expect("a bound socket has an address");
        let address = SocketAddr::try_from(address).expect("a TCP socket has an IP address");
        Self {
            port: address.port(),
            _bound: bound,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.port
    }
}

/// What a [`TcpPeer`] does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Sends back what it gets, until the other side is done.
    Echo,
    /// Closes in order (FIN) right after accepting.
    Close,
    /// Closes with RST right after accepting.
    Reset,
    /// Keeps the connection open, reads nothing and sends nothing.
    Stall,
    /// Sends one line, then closes.
    Greet(&'static str),
}

/// A TCP server on a free port, which counts what it accepts. Ends when dropped, with all its connections.
#[derive(Debug)]
pub struct TcpPeer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    accepted: AtomicUsize,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl TcpPeer {
    /// A peer on 127.0.0.1 that echoes.
    pub fn echo() -> Self {
        Self::start(Manner::Echo)
    }

    /// A peer on 127.0.0.1.
    pub fn start(manner: Manner) -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0), manner)
    }

    /// A peer on an address of the test's choice; port 0 is any free one.
    ///
    /// # Panics
    ///
    /// If the address is not one of this machine, or the port is taken.
    pub fn start_on(address: (impl Into<IpAddr>, u16), manner: Manner) -> Self {
        let address = SocketAddr::new(address.0.into(), address.1);
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State::default());
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || accept(&listener, manner, &state)
        });
        Self {
            address,
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

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Waits until it has accepted `count` connections.
    ///
    /// # Panics
    ///
    /// If that takes more than [`PATIENCE`](crate::until::PATIENCE).
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        until(format_args!("{count} connections"), || self.accepted() >= count);
    }
}

impl Drop for TcpPeer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        for stream in self
            .state
            .open
            .lock()
            .expect("no thread panics with the connections")
            .drain(..)
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, manner: Manner, state: &State) {
    for stream in listener.incoming() {
        if state.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        state.accepted.fetch_add(1, Ordering::SeqCst);
        if let Ok(copy) = stream.try_clone() {
            treat(stream, manner);
            if matches!(manner, Manner::Echo | Manner::Stall) {
                state
                    .open
                    .lock()
                    .expect("no thread panics with the connections")
                    .push(copy);
            }
        }
    }
}

fn treat(mut stream: TcpStream, manner: Manner) {
    match manner {
        Manner::Echo => {
            let _ = stream.set_nodelay(true);
            thread::spawn(move || echo(stream));
        }
        Manner::Stall | Manner::Close => {}
        Manner::Reset => reset(&stream),
        Manner::Greet(line) => {
            let _ = stream.write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// A socket that lingers for no time at all is closed with RST.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::until::PATIENCE;

    fn connect(peer: &TcpPeer) -> TcpStream {
        let stream = TcpStream::connect(peer.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    #[test]
    fn an_echo_comes_back_and_is_counted() {
        let peer = TcpPeer::echo();
        let mut stream = connect(&peer);
        stream.write_all(b"ping").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), peer.accepted()), ("ping", 1));
    }

    #[test]
    fn every_manner_is_seen_by_the_client() {
        for (manner, expected) in [
            (Manner::Close, Ok(0)),
            (Manner::Greet("hello"), Ok(6)),
            (Manner::Reset, Err(ErrorKind::ConnectionReset)),
            (Manner::Stall, Err(ErrorKind::WouldBlock)),
        ] {
            let peer = TcpPeer::start(manner);
            let mut stream = connect(&peer);
            if manner == Manner::Stall {
                stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            }
            let got = stream.read(&mut [0; 64]).map_err(|error| error.kind());
            assert_eq!(got, expected, "{manner:?}");
        }
    }

    #[test]
    fn a_dropped_peer_ends_its_connections() {
        let peer = TcpPeer::start(Manner::Stall);
        let mut stream = connect(&peer);
        peer.wait_for(1);
        drop(peer);
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
}
