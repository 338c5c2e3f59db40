//! UDP sockets of WASI 0.2.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use script::{Code, Datagram, Family, UdpSocket};
use wasip2::io::poll;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::udp::{self, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use crate::{address, code, timer, wait};

/// The most datagrams that are received at once.
const BATCH: u64 = 64;

/// A UDP socket, and its streams once it has sent, received or connected.
pub struct Socket {
    // The streams are children of the socket, so they go first: fields drop in the order of declaration.
    streams: Option<(IncomingDatagramStream, OutgoingDatagramStream)>,
    socket: udp::UdpSocket,
    family: Family,
    bound: bool,
}

impl Socket {
    pub(crate) fn create(family: Family) -> Result<Self, Code> {
        let socket = create_udp_socket(address::family(family)).map_err(code)?;
        Ok(Self {
            streams: None,
            socket,
            family,
            bound: false,
        })
    }

    /// The streams, opened without a peer if there are none yet. WASI 0.2 wants a bound socket for that.
    fn streams(&mut self) -> Result<&(IncomingDatagramStream, OutgoingDatagramStream), Code> {
        if self.streams.is_none() {
            self.streams = Some(self.socket.stream(None).map_err(code)?);
        }
        Ok(self.streams.as_ref().expect("opened above"))
    }
}

impl UdpSocket for Socket {
    async fn bind(&mut self, local: SocketAddr) -> Result<(), Code> {
        self.socket
            .start_bind(&instance_network(), address::to_wasi(local))
            .map_err(code)?;
        wait(&self.socket.subscribe(), || self.socket.finish_bind())?;
        self.bound = true;
        Ok(())
    }

    async fn connect(&mut self, remote: SocketAddr) -> Result<(), Code> {
        if !self.bound {
            let unspecified = match self.family {
                Family::Ipv4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                Family::Ipv6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            self.bind(unspecified).await?;
        }
        self.streams = None;
        self.streams = Some(self.socket.stream(Some(address::to_wasi(remote))).map_err(code)?);
        Ok(())
    }

    async fn send(&mut self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Code> {
        let (_, outgoing) = self.streams()?;
        let ready = outgoing.subscribe();
        while outgoing.check_send().map_err(code)? == 0 {
            ready.block();
        }
        let datagram = OutgoingDatagram {
            data: data.to_vec(),
            remote_address: to.map(address::to_wasi),
        };
        match outgoing.send(&[datagram]).map_err(code)? {
            0 => Err(Code::named("would-block")),
            _ => Ok(()),
        }
    }

    async fn receive(&mut self, within: Duration) -> Result<Vec<Datagram>, Code> {
        let (incoming, _) = self.streams()?;
        let ready = incoming.subscribe();
        let timeout = timer(within);
        loop {
            let datagrams = incoming.receive(BATCH).map_err(code)?;
            if !datagrams.is_empty() {
                return Ok(datagrams.into_iter().map(datagram).collect());
            }
            if poll::poll(&[&ready, &timeout]) == [1] {
                return Ok(Vec::new());
            }
        }
    }

    fn local(&self) -> Result<SocketAddr, Code> {
        self.socket.local_address().map(address::from_wasi).map_err(code)
    }
}

fn datagram(datagram: udp::IncomingDatagram) -> Datagram {
    Datagram {
        data: datagram.data,
        from: address::from_wasi(datagram.remote_address),
    }
}
