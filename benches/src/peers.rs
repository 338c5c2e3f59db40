//! The other ends of connections: native servers on loopback that keep up with any client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes that are moved at once.
const CHUNK: usize = 256 * 1024;

/// Answers with what it gets.
pub(crate) fn echo() -> SocketAddr {
    serve(|mut connection| {
        let _ = connection.set_nodelay(true);
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = connection.read(&mut buffer) {
            if connection.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    })
}

/// Answers each datagram with itself.
pub(crate) fn echo_of_datagrams() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, sender)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], sender);
        }
    });
    address
}

/// Takes everything.
pub(crate) fn sink() -> SocketAddr {
    serve(|mut connection| {
        let mut buffer = vec![0; CHUNK];
        while let Ok(1..) = connection.read(&mut buffer) {}
    })
}

/// Sends so many zero bytes and ends.
pub(crate) fn source(bytes: u64) -> SocketAddr {
    serve(move |mut connection| {
        let buffer = vec![0; CHUNK];
        let mut left = bytes;
        while left > 0 {
            let length = left.min(CHUNK as u64);
            if connection.write_all(&buffer[..length as usize]).is_err() {
                break;
            }
            left -= length;
        }
    })
}

/// Accepts, and lets each connection go at once: one thread, so that nothing but accepting is measured.
pub(crate) fn acceptor() -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(move || listener.incoming().for_each(drop));
    address
}

/// Accepts and keeps, until this is dropped.
pub(crate) struct Keeper {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Keeper {
    pub(crate) fn start() -> Self {
        let (listener, address) = listen();
        let over = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&over);
        thread::spawn(move || {
            let connections = listener.incoming().flatten();
            let _kept: Vec<TcpStream> = connections
                .take_while(|_| !of_thread.load(Ordering::Relaxed))
                .collect();
        });
        Self { address, over }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Whoever waits for a connection looks at the flag when there is one.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(answer: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || answer(connection));
        }
    });
    address
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    (listener, address)
}
