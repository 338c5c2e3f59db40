//! TCP sockets of WASI 0.3.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use script::{Code, Direction, Family, Received, TcpSocket};
use wasip3::sockets::types::{self, ErrorCode};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};
use wasip3::wit_stream;

use crate::{address, code, within};

/// A TCP socket.
pub struct Socket {
    outgoing: Half<StreamWriter<u8>>,
    incoming: Half<StreamReader<u8>>,
    accepted: Option<StreamReader<types::TcpSocket>>,
    socket: types::TcpSocket,
}

/// One direction of a socket.
enum Half<S> {
    /// The socket is not connected.
    Unconnected,
    /// The stream, and what it will have come to.
    Open(S, FutureReader<Result<(), ErrorCode>>),
    /// Shut down by either side.
    Ended,
}

impl<S> Half<S> {
    fn stream(&mut self) -> Result<Option<&mut S>, Code> {
        match self {
            Self::Unconnected => Err(Code::named("not-connected")),
            Self::Open(stream, _) => Ok(Some(stream)),
            Self::Ended => Ok(None),
        }
    }

    /// Ends this direction, and says what it came to.
    async fn end(&mut self) -> Result<(), Code> {
        match mem::replace(self, Self::Ended) {
            Self::Open(_, result) => result.await.map_err(code),
            Self::Unconnected | Self::Ended => Ok(()),
        }
    }
}

impl Socket {
    pub(crate) fn create(family: Family) -> Result<Self, Code> {
        types::TcpSocket::create(address::family(family))
            .map(Self::new)
            .map_err(code)
    }

    fn new(socket: types::TcpSocket) -> Self {
        Self {
            outgoing: Half::Unconnected,
            incoming: Half::Unconnected,
            accepted: None,
            socket,
        }
    }

    /// Opens both directions of a connection.
    fn open(&mut self) {
        let (outgoing, bytes) = wit_stream::new();
        self.outgoing = Half::Open(outgoing, self.socket.send(bytes));
        let (incoming, received) = self.socket.receive();
        self.incoming = Half::Open(incoming, received);
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
        let Some(outgoing) = self.outgoing.stream()? else {
            return Err(Code::named("closed"));
        };
        let unsent = outgoing.write_all(bytes.to_vec()).await;
        if unsent.is_empty() {
            return Ok(());
        }
        self.outgoing.end().await?;
        Err(Code::named("closed"))
    }

    async fn receive(&mut self, most: usize, time: Option<Duration>) -> Result<Received, Code> {
        let Some(incoming) = self.incoming.stream()? else {
            return Ok(Received::End);
        };
        let reading = incoming.read(Vec::with_capacity(most));
        let read = match time {
            None => Some(reading.await),
            Some(time) => within(time, reading).await,
        };
        match read {
            None => Ok(Received::Timeout),
            Some((StreamResult::Complete(_), bytes)) => Ok(Received::Bytes(bytes)),
            Some((StreamResult::Dropped | StreamResult::Cancelled, _)) => {
                self.incoming.end().await.map(|()| Received::End)
            }
        }
    }

    /// WASI 0.3 has no call for this: a direction is shut down by dropping its stream.
    async fn shutdown(&mut self, direction: Direction) -> Result<(), Code> {
        self.outgoing.stream()?;
        if matches!(direction, Direction::Send | Direction::Both) {
            self.outgoing = Half::Ended;
        }
        if matches!(direction, Direction::Receive | Direction::Both) {
            self.incoming = Half::Ended;
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
