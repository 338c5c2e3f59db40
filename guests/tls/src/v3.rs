//! `wasi:tls@0.3.0-draft`.

use std::net::SocketAddr;
use std::pin::{Pin, pin};

use futures_util::future::{Either, select};
use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};
use wasip3::wit_stream;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::wasi::tls0_3_0_draft::client::Connector;
use crate::bindings::wasi::tls0_3_0_draft::types::Error;
use crate::{Counts, Outcome, number_and_rest, ok, shown, text};

/// What is current, and what is held.
#[derive(Default)]
pub(crate) struct V3 {
    plain: Option<TcpSocket>,
    secured: Option<Secured>,
    held: Vec<(Option<TcpSocket>, Option<Secured>)>,
    handshakes: Vec<Handshake>,
}

struct Secured {
    sending: Option<StreamWriter<u8>>,
    receiving: StreamReader<u8>,
    sent: Option<FutureReader<Result<(), Error>>>,
    received: Option<FutureReader<Result<(), Error>>>,
    _of_socket: (
        FutureReader<Result<(), ErrorCode>>,
        FutureReader<Result<(), ErrorCode>>,
    ),
    _socket: TcpSocket,
}

/// A handshake with nobody.
type Handshake = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

const SECOND: u64 = 1_000_000_000;

impl V3 {
    pub(crate) async fn perform(&mut self, verb: &str, rest: &str) -> Option<Outcome> {
        Some(match verb {
            "connect" => connect(rest).await.map(|socket| ok(self.plain = Some(socket))),
            "secure" => self.secure(rest).await,
            "hold" => Ok(ok(self.held.push((self.plain.take(), self.secured.take())))),
            "flood" => {
                let (number, name) = number_and_rest(rest)?;
                Ok(self.flood(number, name).await)
            }
            "start" => {
                self.flood(1, rest).await;
                Ok("ok".to_owned())
            }
            _ => {
                let Some(secured) = &mut self.secured else {
                    return Some(Err("not secured".to_owned()));
                };
                match verb {
                    "send" => secured.send(text(rest)).await,
                    "receive" => secured.receive().await,
                    "fill" => secured.fill(rest.parse().ok()?).await,
                    "close" => secured.close().await,
                    _ => return None,
                }
            }
        })
    }

    async fn secure(&mut self, name: &str) -> Outcome {
        let socket = self.plain.take().ok_or_else(|| "not connected".to_owned())?;
        let connector = Connector::new();
        let (sending, cleartext) = wit_stream::new();
        let (ciphertext, sent) = connector.send(cleartext);
        let outgoing = socket.send(ciphertext);
        let (ciphertext, incoming) = socket.receive();
        let (receiving, received) = connector.receive(ciphertext);
        Connector::connect(connector, name.to_owned())
            .await
            .map_err(told)?;
        self.secured = Some(Secured {
            sending: Some(sending),
            receiving,
            sent: Some(sent),
            received: Some(received),
            _of_socket: (outgoing, incoming),
            _socket: socket,
        });
        Ok("ok".to_owned())
    }

    async fn flood(&mut self, number: usize, name: &str) -> String {
        let mut counts = Counts::default();
        for _ in 0..number {
            match select(handshake_with_nobody(name), pin!(wait_for(SECOND / 50))).await {
                Either::Left((Ok(()), _)) => counts.add("ok".to_owned()),
                Either::Left((Err(error), _)) => counts.add(told(error)),
                Either::Right(((), handshake)) => {
                    counts.add("pending".to_owned());
                    self.handshakes.push(handshake);
                }
            }
        }
        counts.shown()
    }
}

/// Nobody reads what is sent, and nobody answers.
fn handshake_with_nobody(name: &str) -> Handshake {
    let name = name.to_owned();
    Box::pin(async move {
        let connector = Connector::new();
        let (_cleartext, to_send) = wit_stream::new();
        let _sent = connector.send(to_send);
        let (_ciphertext, to_receive) = wit_stream::new();
        let _received = connector.receive(to_receive);
        Connector::connect(connector, name).await
    })
}

impl Secured {
    async fn send(&mut self, bytes: Vec<u8>) -> Outcome {
        let sending = self.sending.as_mut().ok_or_else(|| "closed".to_owned())?;
        match &sending.write_all(bytes).await[..] {
            [] => Ok("ok".to_owned()),
            _ => self.close().await.and(Err("closed".to_owned())),
        }
    }

    async fn receive(&mut self) -> Outcome {
        let (result, bytes) = self.receiving.read(Vec::with_capacity(64 * 1024)).await;
        match result {
            _ if !bytes.is_empty() => Ok(shown(&bytes)),
            StreamResult::Complete(_) => Ok("nothing".to_owned()),
            StreamResult::Dropped | StreamResult::Cancelled => match self.received.take() {
                // It comes when the connection below has ended, too, and of that the server may be in no hurry.
                Some(received) => {
                    match select(pin!(received.into_future()), pin!(wait_for(SECOND / 2))).await {
                        Either::Left((Err(error), _)) => Err(told(error)),
                        Either::Left((Ok(()), _)) | Either::Right(_) => Ok("end".to_owned()),
                    }
                }
                None => Ok("end".to_owned()),
            },
        }
    }

    async fn fill(&mut self, bytes: usize) -> Outcome {
        let mut time = pin!(wait_for(SECOND));
        let mut taken = 0;
        while taken < bytes {
            let sending = self.sending.as_mut().ok_or_else(|| "closed".to_owned())?;
            let part = (bytes - taken).min(64 * 1024);
            match select(pin!(sending.write_all(vec![b'f'; part])), time).await {
                Either::Left((left, rest)) if left.is_empty() => (taken, time) = (taken + part, rest),
                Either::Left(_) => return Err("closed".to_owned()),
                Either::Right(_) => break,
            }
        }
        Ok(format!("{taken} bytes"))
    }

    /// Sends the end, and says what sending came to.
    async fn close(&mut self) -> Outcome {
        self.sending = None;
        match self.sent.take() {
            Some(sent) => sent.await.map(ok).map_err(told),
            None => Ok("ok".to_owned()),
        }
    }
}

fn told(error: Error) -> String {
    error.to_debug_string()
}

async fn connect(address: &str) -> Result<TcpSocket, String> {
    let Ok(SocketAddr::V4(remote)) = address.parse() else {
        return Err("not an address".to_owned());
    };
    let [a, b, c, d] = remote.ip().octets();
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: remote.port(),
        address: (a, b, c, d),
    });
    let named = |code: ErrorCode| match code {
        ErrorCode::AccessDenied => "access-denied".to_owned(),
        code => format!("{code:?}"),
    };
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(named)?;
    socket.connect(remote).await.map_err(named)?;
    Ok(socket)
}
