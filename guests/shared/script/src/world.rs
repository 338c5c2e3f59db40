//! What a version of WASI has to offer to the interpreter.
//!
//! The functions are asynchronous, because those of WASI 0.3 are; an implementation for WASI 0.2 blocks inside
//! them and is ready when first polled.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An error code by its name in the WIT of the interface that gave it, such as `access-denied`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// A code by its name in the WIT.
    pub const fn named(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The code of a generated Rust variant, from its `Debug` text: `ErrorCode::HttpRequestDenied` is
    /// `HTTP-request-denied`, and a payload is left out.
    pub fn of_variant(variant: &impl fmt::Debug) -> Self {
        const ACRONYMS: [&str; 5] = ["dns", "http", "ip", "tls", "uri"];

        let text = format!("{variant:?}");
        let name = text
            .rsplit_once("ErrorCode::")
            .map_or(text.as_str(), |(_, name)| name);
        let mut words: Vec<String> = Vec::new();
        for letter in name.chars().take_while(char::is_ascii_alphanumeric) {
            match words.last_mut() {
                Some(word) if !letter.is_ascii_uppercase() => word.push(letter),
                _ => words.push(letter.to_ascii_lowercase().to_string()),
            }
        }
        for word in &mut words {
            if ACRONYMS.contains(&word.as_str()) {
                word.make_ascii_uppercase();
            }
        }
        Self(Cow::Owned(words.join("-")))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family that an address belongs to.
    pub fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

/// Which half of a TCP connection to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nothing more is received.
    Receive,
    /// Nothing more is sent.
    Send,
    /// Neither.
    Both,
}

/// What waiting for bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// At least one byte.
    Bytes(Vec<u8>),
    /// The peer has finished sending.
    End,
    /// Nothing came in time.
    Timeout,
}

/// A datagram and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// What was sent.
    pub data: Vec<u8>,
    /// By whom.
    pub from: SocketAddr,
}

/// An outgoing HTTP request, in the parts that `wasi:http` takes. `None` leaves a part unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in the case in which it was written.
    pub method: String,
    /// The scheme.
    pub scheme: Option<String>,
    /// The authority: host, port and whatever else was written there.
    pub authority: Option<String>,
    /// The path with its query.
    pub path: Option<String>,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The length in bytes of the body, which is all zeroes. 0 sends none.
    pub body: u64,
}

/// The answer to an HTTP request, its body read to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The first [`HttpAnswer::KEPT`] bytes of the body.
    pub start: Vec<u8>,
    /// The length of the whole body in bytes.
    pub length: u64,
}

impl HttpAnswer {
    /// How much of a body is kept, in bytes.
    pub const KEPT: usize = 4096;
}

/// What a version of WASI has to offer to the interpreter.
#[expect(
    async_fn_in_trait,
    reason = "a guest has one thread, so nothing needs to be `Send`"
)]
pub trait World {
    /// A TCP socket in any state.
    type Tcp: TcpSocket;
    /// A UDP socket in any state.
    type Udp: UdpSocket;
    /// A look-up that was started.
    type Lookup: Lookup;

    /// Creates a TCP socket.
    fn create_tcp(&self, family: Family) -> Result<Self::Tcp, Code>;
    /// Creates a UDP socket.
    fn create_udp(&self, family: Family) -> Result<Self::Udp, Code>;
    /// Starts a look-up and does not wait for its answer.
    async fn start_lookup(&self, name: &str) -> Result<Self::Lookup, Code>;
    /// Sends a request and reads the answer to its end.
    async fn fetch(&self, request: &HttpRequest) -> Result<HttpAnswer, Code>;
    /// The content of a file below the first directory that the guest was given.
    async fn read_file(&self, path: &str) -> Result<Vec<u8>, Code>;
    /// Makes a file there, or overwrites its beginning.
    async fn write_file(&self, path: &str, content: &[u8]) -> Result<(), Code>;
    /// The monotonic clock.
    fn now(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// The command line, argument 0 included.
    fn arguments(&self) -> Vec<String>;
    /// The environment variables.
    fn environment(&self) -> Vec<(String, String)>;
    /// Ends the guest with an exit code.
    fn exit(&self, code: u8) -> !;
}

/// A TCP socket in any state: calls that its state does not permit answer with WASI's own code.
#[expect(
    async_fn_in_trait,
    reason = "a guest has one thread, so nothing needs to be `Send`"
)]
pub trait TcpSocket: Sized {
    /// Binds to a local address.
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code>;
    /// Connects.
    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code>;
    /// Listens.
    async fn listen(&mut self) -> Result<(), Code>;
    /// Accepts one connection.
    async fn accept(&mut self) -> Result<Self, Code>;
    /// Sends all the bytes.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Code>;
    /// Receives up to `most` bytes, as soon as there is any, and waits no longer than `within` if that is given.
    async fn receive(&mut self, most: usize, within: Option<Duration>) -> Result<Received, Code>;
    /// Shuts one half or both halves down.
    async fn shutdown(&mut self, direction: Direction) -> Result<(), Code>;
    /// The local address.
    fn local(&self) -> Result<SocketAddr, Code>;
    /// The peer's address.
    fn remote(&self) -> Result<SocketAddr, Code>;
}

/// A UDP socket in any state: calls that its state does not permit answer with WASI's own code.
#[expect(
    async_fn_in_trait,
    reason = "a guest has one thread, so nothing needs to be `Send`"
)]
pub trait UdpSocket {
    /// Binds to a local address.
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code>;
    /// Connects, having bound the socket to the unspecified address where WASI demands that.
    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code>;
    /// Sends a datagram, to the connected peer if `to` is `None`.
    async fn send(&mut self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Code>;
    /// The datagrams that came first, or none in time.
    async fn receive(&mut self, within: Duration) -> Result<Vec<Datagram>, Code>;
    /// The local address.
    fn local(&self) -> Result<SocketAddr, Code>;
}

/// A look-up that was started. Dropping it abandons it.
#[expect(
    async_fn_in_trait,
    reason = "a guest has one thread, so nothing needs to be `Send`"
)]
pub trait Lookup {
    /// Waits for the next address, and answers `None` after the last.
    async fn next(&mut self) -> Result<Option<IpAddr>, Code>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelt_as_in_the_wit() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only printed")]
        enum ErrorCode {
            AccessDenied,
            DnsError(Option<String>),
            HttpRequestDenied,
            DestinationIpProhibited,
            HttpRequestUriTooLong,
            Other { text: &'static str },
        }
        let cases: [(ErrorCode, &str); 6] = [
            (ErrorCode::AccessDenied, "access-denied"),
            (ErrorCode::DnsError(Some("A Name".into())), "DNS-error"),
            (ErrorCode::HttpRequestDenied, "HTTP-request-denied"),
            (ErrorCode::DestinationIpProhibited, "destination-IP-prohibited"),
            (ErrorCode::HttpRequestUriTooLong, "HTTP-request-URI-too-long"),
            (ErrorCode::Other { text: "it" }, "other"),
        ];
        for (variant, code) in cases {
            assert_eq!(Code::of_variant(&variant), Code::named(code));
        }
    }
}
