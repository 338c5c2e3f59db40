//! `wasi:tls@0.2.0-draft`. Beside the common verbs `twice NAME`: gives the same streams to two handshakes, which the
//! component model does not permit.

use std::net::SocketAddr;

use wasip2::cli::{stdin, stdout};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::bindings::wasi::tls0_2_0_draft::types::{ClientConnection, ClientHandshake, FutureClientStreams};
use crate::{Counts, Outcome, number_and_rest, ok, shown, text};

/// What is current, and what is held.
#[derive(Default)]
pub(crate) struct V2 {
    // Streams before the sockets that they are children of.
    secured: Option<Secured>,
    plain: Option<Plain>,
    held: Vec<(Option<Secured>, Option<Plain>)>,
    handshakes: Vec<FutureClientStreams>,
}

struct Plain {
    input: Option<InputStream>,
    output: Option<OutputStream>,
    _socket: TcpSocket,
}

struct Secured {
    input: InputStream,
    output: OutputStream,
    connection: ClientConnection,
}

const SECOND: u64 = 1_000_000_000;

impl V2 {
    pub(crate) async fn perform(&mut self, verb: &str, rest: &str) -> Option<Outcome> {
        Some(match verb {
            "connect" => connect(rest).map(|plain| ok(self.plain = Some(plain))),
            "secure" => self.secure(rest),
            "twice" => self.twice(rest),
            "hold" => Ok(ok(self.held.push((self.secured.take(), self.plain.take())))),
            "flood" => {
                let (number, name) = number_and_rest(rest)?;
                Ok(self.flood(number, name))
            }
            "start" => Ok(ok(self.handshakes.push(handshake_with_nobody(rest)))),
            "send" => self
                .secured
                .as_mut()
                .map_or_else(not_secured, |secured| secured.send(&text(rest))),
            "receive" => self.secured.as_mut().map_or_else(not_secured, Secured::receive),
            "fill" => {
                let bytes = rest.parse().ok()?;
                self.secured
                    .as_mut()
                    .map_or_else(not_secured, |secured| secured.fill(bytes))
            }
            "close" => self.secured.as_mut().map_or_else(not_secured, Secured::close),
            _ => return None,
        })
    }

    fn secure(&mut self, name: &str) -> Outcome {
        let (input, output) = self.streams()?;
        let streams = ClientHandshake::finish(ClientHandshake::new(name, input, output));
        streams.subscribe().block();
        self.secured = Some(outcome(&streams)?);
        Ok("ok".to_owned())
    }

    fn twice(&mut self, name: &str) -> Outcome {
        let (input, output) = self.streams()?;
        // SAFETY: there is none, which is what is tried.
        let again = unsafe {
            (
                InputStream::from_handle(input.handle()),
                OutputStream::from_handle(output.handle()),
            )
        };
        let first = ClientHandshake::new(name, input, output);
        let second = ClientHandshake::new(name, again.0, again.1);
        Ok(ok((first, second)))
    }

    fn streams(&mut self) -> Result<(InputStream, OutputStream), String> {
        let streams = self
            .plain
            .as_mut()
            .and_then(|plain| Some((plain.input.take()?, plain.output.take()?)));
        streams.ok_or_else(|| "not connected".to_owned())
    }

    fn flood(&mut self, number: usize, name: &str) -> String {
        let mut counts = Counts::default();
        for _ in 0..number {
            let streams = handshake_with_nobody(name);
            poll(&[&streams.subscribe(), &subscribe_duration(SECOND / 50)]);
            match streams.get() {
                None => {
                    counts.add("pending".to_owned());
                    self.handshakes.push(streams);
                }
                Some(Ok(Ok(_))) => counts.add("ok".to_owned()),
                Some(Ok(Err(error))) => counts.add(error.to_debug_string()),
                Some(Err(())) => counts.add("taken".to_owned()),
            }
        }
        counts.shown()
    }
}

/// Standard input says nothing, and standard output is nobody who would answer.
fn handshake_with_nobody(name: &str) -> FutureClientStreams {
    ClientHandshake::finish(ClientHandshake::new(
        name,
        stdin::get_stdin(),
        stdout::get_stdout(),
    ))
}

fn outcome(streams: &FutureClientStreams) -> Result<Secured, String> {
    match streams.get() {
        Some(Ok(Ok((connection, input, output)))) => Ok(Secured {
            input,
            output,
            connection,
        }),
        Some(Ok(Err(error))) => Err(error.to_debug_string()),
        Some(Err(())) => Err("taken".to_owned()),
        None => Err("not ready".to_owned()),
    }
}

impl Secured {
    fn send(&mut self, bytes: &[u8]) -> Outcome {
        for part in bytes.chunks(4096) {
            self.output.blocking_write_and_flush(part).map_err(told)?;
        }
        Ok("ok".to_owned())
    }

    fn receive(&mut self) -> Outcome {
        match self.input.blocking_read(64 * 1024) {
            Ok(bytes) => Ok(shown(&bytes)),
            Err(StreamError::Closed) => Ok("end".to_owned()),
            Err(error) => Err(told(error)),
        }
    }

    /// Sends the end, and waits until it is sent.
    fn close(&mut self) -> Outcome {
        self.connection.close_output();
        Ok(ok(self.output.subscribe().block()))
    }

    fn fill(&mut self, bytes: usize) -> Outcome {
        let time = subscribe_duration(SECOND);
        let mut taken = 0;
        while taken < bytes && !time.ready() {
            match self.output.check_write().map_err(told)? {
                0 => drop(poll(&[&self.output.subscribe(), &time])),
                most => {
                    let part = usize::try_from(most).unwrap_or(usize::MAX).min(bytes - taken);
                    self.output.write(&vec![b'f'; part]).map_err(told)?;
                    taken += part;
                }
            }
        }
        Ok(format!("{taken} bytes"))
    }
}

fn not_secured() -> Outcome {
    Err("not secured".to_owned())
}

fn told(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

fn connect(address: &str) -> Result<Plain, String> {
    let Ok(SocketAddr::V4(remote)) = address.parse() else {
        return Err("not an address".to_owned());
    };
    let [a, b, c, d] = remote.ip().octets();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: remote.port(),
        address: (a, b, c, d),
    });
    let named = |code: ErrorCode| code.name().to_owned();
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(named)?;
    socket.start_connect(&instance_network(), remote).map_err(named)?;
    let (input, output) = loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            connected => break connected.map_err(named)?,
        }
    };
    Ok(Plain {
        input: Some(input),
        output: Some(output),
        _socket: socket,
    })
}
