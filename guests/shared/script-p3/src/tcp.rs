//! TCP sockets of WASI 0.3.

use std::net::SocketAddr;
use std::time::Duration;

use script::{Code, Direction, Family, Received, TcpSocket};
use wasip3::sockets::types::{self, ErrorCode};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};
use wasip3::wit_stream;

use crate::{address, code, within};

/// The most bytes that are received at once.
const CHUNK: usize = 64 * 1024;

/// A TCP socket, and its streams once it is connected or listens.
pub struct Socket {
    outgoing: Option<StreamWriter<u8>>,
    incoming: Option<StreamReader<u8>>,
    accepted: Option<StreamReader<types::TcpSocket>>,
    /// What sending and receiving will have come to. The host may stop when these are dropped, so they are kept.
    _ends: Vec<FutureReader<Result<(), ErrorCode>>>,
    socket: types::TcpSocket,
}

impl Socket {
    pub(crate) fn create(family: Family) -> Result<Self, Code> {
        types::TcpSocket::create(address::family(family))
            .map(Self::new)
            .map_err(code)
    }

    fn new(socket: types::TcpSocket) -> Self {
        Self {
            outgoing: None,
            incoming: None,
            accepted: None,
            _ends: Vec::new(),
            socket,
        }
    }

    /// Opens both streams of a connection.
    fn open(&mut self) {
        let (outgoing, bytes) = wit_stream::new();
        let sent = self.socket.send(bytes);
        let (incoming, received) = self.socket.receive();
        self.outgoing = Some(outgoing);
        self.incoming = Some(incoming);
        self._ends = vec![sent, received];
    }
}

impl TcpSocket for Socket {
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        self.socket.bind(address::to_wasi(local)).map_err(code)
    }

    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code> {
        self.socket
            .connect(address::to_wasi(remote))
            .await
            .map_err(code)?;
        self.open();
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), Code> {
        self.accepted = Some(self.socket.listen().map_err(code)?);
        Ok(())
    }

    async fn accept(&mut self) -> Result<Self, Code> {
        let accepted = self.accepted.as_mut().ok_or(Code::named("invalid-state"))?;
        let mut socket = accepted
            .next()
            .await
            .map(Self::new)
            .ok_or(Code::named("closed"))?;
        socket.open();
        Ok(socket)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Code> {
        let outgoing = self.outgoing.as_mut().ok_or(Code::named("not-connected"))?;
        let unsent = outgoing.write_all(bytes.to_vec()).await;
        if unsent.is_empty() {
            Ok(())
        } else {
            Err(Code::named("closed"))
        }
    }

    async fn receive(&mut self, time: Duration) -> Result<Received, Code> {
        let incoming = self.incoming.as_mut().ok_or(Code::named("not-connected"))?;
        Ok(
            match within(time, incoming.read(Vec::with_capacity(CHUNK))).await {
                None => Received::Timeout,
                Some((StreamResult::Complete(_), bytes)) => Received::Bytes(bytes),
                Some((StreamResult::Dropped | StreamResult::Cancelled, _)) => Received::End,
            },
        )
    }

    async fn shutdown(&mut self, direction: Direction) -> Result<(), Code> {
        if matches!(direction, Direction::Send | Direction::Both) {
            self.outgoing = None;
        }
        if matches!(direction, Direction::Receive | Direction::Both) {
            self.incoming = None;
        }
        Ok(())
    }

    fn local(&self) -> Result<SocketAddr, Code> {
        self.socket
            .get_local_address()
            .map(address::from_wasi)
            .map_err(code)
    }

    fn remote(&self) -> Result<SocketAddr, Code> {
        self.socket
            .get_remote_address()
            .map(address::from_wasi)
            .map_err(code)
    }
}
