//! TCP sockets of WASI 0.2.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use script::{Code, Direction, Family, Received, TcpSocket};
use wasip2::io::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::tcp::{self, ShutdownType};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::{address, code, timer, wait};

/// A TCP socket, and its streams once it is connected.
pub struct Socket {
    // The streams are children of the socket, so they go first: fields drop in the order of declaration.
    streams: Option<(InputStream, OutputStream)>,
    socket: tcp::TcpSocket,
}

impl Socket {
    pub(crate) fn create(family: Family) -> Result<Self, Code> {
        let socket = create_tcp_socket(address::family(family)).map_err(code)?;
        Ok(Self {
            streams: None,
            socket,
        })
    }

    fn streams(&mut self) -> Result<&mut (InputStream, OutputStream), Code> {
        self.streams.as_mut().ok_or(Code::named("not-connected"))
    }
}

impl TcpSocket for Socket {
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        self.socket
            .start_bind(&instance_network(), address::to_wasi(local))
            .map_err(code)?;
        wait(&self.socket.subscribe(), || self.socket.finish_bind())
    }

    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code> {
        self.socket
            .start_connect(&instance_network(), address::to_wasi(remote))
            .map_err(code)?;
        let streams = wait(&self.socket.subscribe(), || self.socket.finish_connect())?;
        self.streams = Some(streams);
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), Code> {
        self.socket.start_listen().map_err(code)?;
        wait(&self.socket.subscribe(), || self.socket.finish_listen())
    }

    async fn accept(&mut self) -> Result<Self, Code> {
        let (socket, input, output) = wait(&self.socket.subscribe(), || self.socket.accept())?;
        Ok(Self {
            streams: Some((input, output)),
            socket,
        })
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Code> {
        let (_, output) = self.streams()?;
        output.write_all(bytes).map_err(|_| Code::named("closed"))
    }

    async fn receive(&mut self, most: usize, within: Option<Duration>) -> Result<Received, Code> {
        let (input, _) = self.streams()?;
        let Some(within) = within else {
            return received(input.blocking_read(most as u64));
        };
        let timeout = timer(within);
        let ready = input.subscribe();
        loop {
            match received(input.read(most as u64))? {
                Received::Timeout => {}
                something => return Ok(something),
            }
            if poll::poll(&[&ready, &timeout]) == [1] {
                return Ok(Received::Timeout);
            }
        }
    }

    async fn shutdown(&mut self, direction: Direction) -> Result<(), Code> {
        let direction = match direction {
            Direction::Receive => ShutdownType::Receive,
            Direction::Send => ShutdownType::Send,
            Direction::Both => ShutdownType::Both,
        };
        self.socket.shutdown(direction).map_err(code)
    }

    fn local(&self) -> Result<SocketAddr, Code> {
        self.socket.local_address().map(address::from_wasi).map_err(code)
    }

    fn remote(&self) -> Result<SocketAddr, Code> {
        self.socket.remote_address().map(address::from_wasi).map_err(code)
    }
}

/// What a read came to. One that does not wait reads no bytes where it would have to.
fn received(read: Result<Vec<u8>, StreamError>) -> Result<Received, Code> {
    match read {
        Ok(bytes) if bytes.is_empty() => Ok(Received::Timeout),
        Ok(bytes) => Ok(Received::Bytes(bytes)),
        Err(StreamError::Closed) => Ok(Received::End),
        Err(StreamError::LastOperationFailed(_)) => Err(Code::named("closed")),
    }
}
