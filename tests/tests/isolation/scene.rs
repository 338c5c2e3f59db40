//! Where an attack takes place: the server, and when it is over.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketType};

use crate::row::Complaint;

/// Where an attack takes place.
pub(crate) struct Scene<'a> {
    /// Where the server listens.
    pub(crate) server: SocketAddr,
    pub(crate) ended: &'a AtomicBool,
    pub(crate) answers: &'a AtomicUsize,
    pub(crate) complaints: &'a Mutex<Vec<Complaint>>,
}

impl Scene<'_> {
    /// The row is over: whoever attacks goes home.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Something is not as it should be.
    pub(crate) fn complain(&self, complaint: Complaint) {
        let complaints = self.complaints.lock();
        complaints.unwrap_or_else(PoisonError::into_inner).push(complaint);
    }

    /// A hostile request has ended.
    pub(crate) fn count(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the row is over.
    pub(crate) fn wait(&self) {
        while !self.is_over() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A connection of a client at 127.0.0.2: who attacks and who asks hello are two clients.
    pub(crate) fn connect(&self) -> Option<TcpStream> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).ok()?;
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 2], 0))).ok()?;
        // Also how long connecting takes at most.
        let moment = Some(Duration::from_millis(200));
        rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, moment).ok()?;
        rustix::net::connect(&socket, &self.server).ok()?;
        Some(TcpStream::from(socket))
    }

    /// One request after the other to the hostile component.
    pub(crate) fn ask_again_and_again(&self) {
        while !self.is_over() {
            self.ask();
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request to the hostile component, whose answer is read to its end.
    pub(crate) fn ask(&self) {
        self.send("GET /hostile HTTP/1.1\r\nHost: hostile\r\nConnection: close\r\n\r\n");
    }

    /// The same with a body.
    pub(crate) fn post(&self, body: &str) {
        let length = body.len();
        self.send(&format!(
            "POST /hostile HTTP/1.1\r\nHost: hostile\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    fn send(&self, request: &str) {
        let Some(mut stream) = self.connect() else {
            return;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = stream.write_all(request.as_bytes());
        let mut buffer = vec![0; 64 * 1024];
        while !self.is_over() {
            match stream.read(&mut buffer) {
                Ok(1..) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Ok(0) | Err(_) => {
                    self.count();
                    return;
                }
            }
        }
    }
}
