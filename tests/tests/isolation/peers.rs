//! Servers that do not behave: what they send never ends, or never begins. Each ends when dropped.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outport_e2e::tls::Authority;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::row::{Complaint, Seen};

/// What a peer does with a connection, once the request has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// Sends this first, and then the second again and again, for as long as it is read.
    Endlessly(&'static [u8], &'static [u8]),
    /// Sends this, and keeps the connection.
    Once(&'static [u8]),
    /// Answers nothing, and keeps the connection.
    Nothing,
}

/// A hostile server on a free port of 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    accepted: AtomicUsize,
}

impl Peer {
    /// One that speaks HTTP/1.1 or pretends to.
    pub(crate) fn start(does: Does) -> Self {
        Self::accepting(move |mut stream, state| {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request)?;
            act(&mut stream, does, state, |_| ())
        })
    }

    /// One that speaks HTTP/2 behind TLS, with a certificate of `authority` for `localhost`. What it does, it does after
    /// the preface and its own settings; the request, if it is one, is the stream with the number 1.
    pub(crate) fn start_http2(authority: &Authority, does: Does) -> Self {
        let config = authority.server_config("localhost", &[b"h2"]);
        Self::accepting(move |stream, state| {
            let mut stream = secure(stream, &config)?;
            let mut preface = [0; 24];
            stream.read_exact(&mut preface)?;
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])?;
            stream.flush()?;
            wait_for_headers(&mut stream)?;
            act(&mut stream, does, state, read_what_is_there)
        })
    }

    fn accepting(serve: impl Fn(TcpStream, &State) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (state, serve) = (Arc::new(State::default()), Arc::new(serve));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let (state, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                let _ = stream.set_write_timeout(Some(MOMENT));
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let served = thread::Builder::new()
                    .stack_size(256 * 1024)
                    .spawn(move || serve(stream, &state));
                drop(served);
            }
        });
        Self { address, state }
    }

    /// A demand for a row: that somebody came at all, without which it shows nothing.
    pub(crate) fn is_reached(&self) -> impl Fn(&Seen) -> Option<Complaint> + use<> {
        let state = Arc::clone(&self.state);
        move |_| {
            (state.accepted.load(Ordering::SeqCst) == 0)
                .then(|| Complaint::Late("nobody came to the peer".to_owned()))
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn secure(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Reads frames until the first with headers.
fn wait_for_headers(stream: &mut impl Read) -> io::Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length])?;
        if head[3] == 1 {
            return Ok(());
        }
    }
}

/// What the other side answers to frames: if it is not taken, it sends no more, and takes no more itself.
fn read_what_is_there(stream: &mut StreamOwned<ServerConnection, TcpStream>) {
    let _ = stream.sock.set_nonblocking(true);
    while stream.read(&mut [0; 16 * 1024]).is_ok_and(|length| length > 0) {}
    let _ = stream.sock.set_nonblocking(false);
}

fn act<S: Write>(stream: &mut S, does: Does, state: &State, between: impl Fn(&mut S)) -> io::Result<()> {
    let (first, again) = match does {
        Does::Endlessly(first, again) => (first, again),
        Does::Once(first) => (first, &[][..]),
        Does::Nothing => (&[][..], &[][..]),
    };
    stream.write_all(first)?;
    if again.is_empty() {
        while !state.ended.load(Ordering::SeqCst) {
            thread::sleep(MOMENT);
        }
        return Ok(());
    }
    let many = again.repeat((16 * 1024 / again.len()).max(1));
    let mut rest = &many[..];
    while !state.ended.load(Ordering::SeqCst) {
        match stream.write(rest) {
            Ok(0) => return Ok(()),
            Ok(length) => rest = &rest[length..],
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        if rest.is_empty() {
            rest = &many;
        }
        between(stream);
    }
    Ok(())
}

const MOMENT: Duration = Duration::from_millis(50);
