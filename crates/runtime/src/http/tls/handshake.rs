//! The handshake with a client: from an accepted connection to one that HTTP is spoken on, or to its end.
//!
//! | the client | outcome | it gets |
//! | --- | --- | --- |
//! | agrees on TLS | `succeeded` | HTTP |
//! | says nothing, or goes on too slowly | `timed-out`, after [`header_timeout`](crate::http::ServerLimits::header_timeout) | the end |
//! | hangs up before it is done, or is not done when the server has stopped for a while | `abandoned` | the end |
//! | sends a request without TLS | `plain-http` | an answer that says so (400), then the end |
//! | sends anything else, shows no certificate that it should, or accepts ours not | `failed` | an alert, then the end |
//!
//! The connection counts as its client's all the while, since it was accepted. How large a message may be is bounded by
//! rustls; the steps of all handshakes of a worker take [turns](super::turns). After an answer or an alert the connection
//! stays until the client has read it: were it closed with something unread, the system would take both back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::metrics::Counter;
use outport_egress::meter::Meter;
use outport_policy::text;
use rustls::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::facts::TlsFacts;
use super::turns::Turns;
use super::{H2, ServerTls};
use crate::http::client_socket::{ClientSocket, ResponseClock};
use crate::http::leaving::Leave;
use crate::http::occasional::Occasional;
use crate::metrics::TLS_HANDSHAKES;

/// The handshakes of a server.
pub(in crate::http) struct Handshakes {
    tls: ServerTls,
    /// For one.
    time: Duration,
    counts: Counts,
    failed: Occasional,
    in_the_clear: Occasional,
}

/// A connection that HTTP is spoken on.
pub(in crate::http) struct Secured {
    pub(in crate::http) stream: Box<TlsStream<ClientSocket>>,
    pub(in crate::http) version: HttpVersion,
    pub(in crate::http) facts: TlsFacts,
}

/// The version of HTTP that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum HttpVersion {
    Http1,
    Http2,
}

/// The reason why there is no connection.
enum Trouble {
    Left,
    InTheClear(TcpStream),
    Failed(io::Error, ClientSocket),
}

impl Handshakes {
    /// Those of a server, each of which may take so long.
    pub(in crate::http) fn new(tls: ServerTls, time: Duration, meter: &Meter) -> Self {
        Self {
            tls,
            time,
            counts: Counts::of(meter),
            failed: Occasional::default(),
            in_the_clear: Occasional::default(),
        }
    }

    /// Agrees on TLS with the client at `address`, unless the server stops before that comes to anything; the clock is that of
    /// the `socket`. None where nothing came of it, which was seen to.
    pub(in crate::http) async fn secure(
        &self,
        (client, address): (TcpStream, SocketAddr),
        turns: &Turns,
        ending: (Leave, &ResponseClock),
        socket: impl FnOnce(TcpStream) -> ClientSocket,
    ) -> Option<Secured> {
        let trouble = match timeout(self.time, self.agree(client, turns, ending, socket)).await {
            Ok(Ok(secured)) => {
                self.counts.succeeded.increment(1);
                return Some(secured);
            }
            Ok(Err(trouble)) => trouble,
            Err(_) => {
                self.counts.timed_out.increment(1);
                tracing::debug!(%address, "a TLS handshake took too long");
                return None;
            }
        };
        match trouble {
            Trouble::Left => self.counts.abandoned.increment(1),
            Trouble::Failed(error, socket) if is_end(&error) => {
                self.counts.abandoned.increment(1);
                drop(socket);
            }
            Trouble::Failed(error, socket) => {
                self.counts.failed.increment(1);
                let client = address.ip().to_canonical();
                self.failed
                    .log(|| format!("a TLS handshake with {client} failed: {}", why(&error)));
                linger(socket).await;
            }
            Trouble::InTheClear(mut client) => {
                self.counts.in_the_clear.increment(1);
                self.in_the_clear.log(|| {
                    let client = address.ip().to_canonical();
                    format!("a client at {client} sent plain HTTP where HTTPS is spoken, and was told so")
                });
                let told = client.write_all(IN_THE_CLEAR.as_bytes());
                if let Ok(Ok(())) = timeout(LINGER, told).await {
                    linger(client).await;
                }
            }
        }
        None
    }

    async fn agree(
        &self,
        client: TcpStream,
        turns: &Turns,
        (mut leave, clock): (Leave, &ResponseClock),
        socket: impl FnOnce(TcpStream) -> ClientSocket,
    ) -> Result<Secured, Trouble> {
        let mut first = [0];
        let seen = tokio::select! {
            biased;
            seen = client.peek(&mut first) => seen,
            () = leave.lingered() => return Err(Trouble::Left),
        };
        match seen {
            Ok(1..) if first[0].is_ascii_uppercase() => return Err(Trouble::InTheClear(client)),
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(Trouble::Left),
        }
        let accepting = TlsAcceptor::from(self.tls.current());
        let handshake = accepting.accept_with(socket(client), |session| {
            session.set_buffer_limit(Some(BUFFER));
        });
        let agreed = tokio::select! {
            biased;
            agreed = turns.take(handshake.into_fallible()) => agreed,
            () = leave.before_request(clock) => return Err(Trouble::Left),
        };
        let stream = agreed.map_err(|(error, socket)| Trouble::Failed(error, socket))?;
        let (_, session) = stream.get_ref();
        Ok(Secured {
            version: if session.alpn_protocol() == Some(H2) {
                HttpVersion::Http2
            } else {
                HttpVersion::Http1
            },
            facts: TlsFacts::of(session),
            stream: Box::new(stream),
        })
    }

    /// Tells what happened so often that it was only counted.
    pub(in crate::http) fn sum_up(&self) {
        self.failed.sum_up("TLS handshakes failed");
        self.in_the_clear
            .sum_up("clients sent plain HTTP where HTTPS is spoken");
    }
}

/// True if the client is gone, without a word why.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// The reason in words for the operator.
fn why(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::NoCertificatesPresented) => "the client showed no certificate".to_owned(),
        Some(Error::InvalidCertificate(error)) => {
            text::begin(format_args!("the client's certificate is not accepted: {error}"))
        }
        Some(Error::AlertReceived(alert)) => {
            text::begin(format_args!("the client gave it up (alert `{alert:?}`)"))
        }
        Some(Error::PeerIncompatible(error)) => text::begin(format_args!(
            "the client speaks TLS as it is not spoken here (`{error:?}`)"
        )),
        Some(Error::NoApplicationProtocol) => {
            "the client offers protocols (ALPN), and neither HTTP/2 nor HTTP/1.1 is among them".to_owned()
        }
        Some(Error::InvalidMessage(_)) => "the client sent something that is not TLS".to_owned(),
        _ => text::begin(format_args!("{error}")),
    }
}

/// Ends a connection so that the other side reads what was written. What comes meanwhile is thrown away, and is not waited for
/// for long.
async fn linger(mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    let end = async {
        socket.shutdown().await?;
        let mut rest = socket.take(MOST_THROWN_AWAY);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // Whether the client reads it is its own affair.
    let _: Result<io::Result<u64>, _> = timeout(LINGER, end).await;
}

/// The answer to who speaks HTTP where TLS is spoken.
const IN_THE_CLEAR: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 57\r\nconnection: close\r\n\r\n\
    this server speaks HTTPS: the URL begins with `https://`\n";

/// The time that a client has to read why there is no connection.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that a client may send meanwhile.
const MOST_THROWN_AWAY: u64 = 64 * 1024;

/// Bytes of a response that are kept, and kept sealed, when the client reads no more of it.
const BUFFER: usize = 64 * 1024;

/// What became of handshakes.
struct Counts {
    succeeded: Counter,
    failed: Counter,
    abandoned: Counter,
    timed_out: Counter,
    in_the_clear: Counter,
}

impl Counts {
    fn of(meter: &Meter) -> Self {
        let counter = |outcome: &'static str| meter.counter(&TLS_HANDSHAKES, [outcome.into()]);
        Self {
            succeeded: counter("succeeded"),
            failed: counter("failed"),
            abandoned: counter("abandoned"),
            timed_out: counter("timed-out"),
            in_the_clear: counter("plain-http"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let (head, body) = IN_THE_CLEAR.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
