//! UDP sockets of WASI 0.3.

use std::net::SocketAddr;
use std::time::Duration;

use script::{Code, Datagram, Family, UdpSocket};
use wasip3::sockets::types;

use crate::{address, code, within};

/// A UDP socket.
pub struct Socket(types::UdpSocket);

impl Socket {
    pub(crate) fn create(family: Family) -> Result<Self, Code> {
        types::UdpSocket::create(address::family(family))
            .map(Self)
            .map_err(code)
    }
}

impl UdpSocket for Socket {
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        self.0.bind(address::to_wasi(local)).map_err(code)
    }

    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code> {
        self.0.connect(address::to_wasi(remote)).map_err(code)
    }

    async fn send(&mut self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Code> {
        self.0
            .send(data.to_vec(), to.map(address::to_wasi))
            .await
            .map_err(code)
    }

    async fn receive(&mut self, time: Duration) -> Result<Vec<Datagram>, Code> {
        let Some(received) = within(time, self.0.receive()).await else {
            return Ok(Vec::new());
        };
        let (data, from) = received.map_err(code)?;
        Ok(vec![Datagram {
            data,
            from: address::from_wasi(from),
        }])
    }

    fn local(&self) -> Result<SocketAddr, Code> {
        self.0.get_local_address().map(address::from_wasi).map_err(code)
    }
}
