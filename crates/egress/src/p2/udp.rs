//! `wasi:sockets/udp`: the steps of WASI 0.2 over the [`UdpSocket`](sockets::UdpSocket) that both versions share.
//!
//! The types that the bindings name belong to `wasmtime-wasi` and cannot be made here, so the table holds [`Socket`],
//! [`Incoming`] and [`Outgoing`], and the guest gets handles with their numbers.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, UdpSocket, subscribe};

use crate::asking::PendingQuestion;
use crate::ctx::GateCtxView;
use crate::sockets::{self, Family};

type Streams = (Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>);

/// A UDP socket in the table.
pub(super) struct Socket {
    udp: sockets::UdpSocket,
    /// A bind was started, and has not been finished.
    binding: bool,
}

/// The stream of datagrams to a socket.
struct Incoming(sockets::UdpSocket);

/// The stream of datagrams from a socket.
struct Outgoing {
    udp: sockets::UdpSocket,
    /// So many datagrams may be sent at a time, says the last `check-send`.
    permitted: usize,
    /// Somebody is asked whether a datagram may be sent, and the guest is told meanwhile that there is no room.
    question: Option<PendingQuestion>,
    /// Where the last question was about. Whoever was asked has answered: the next datagram to there is judged as it is.
    answered: Option<SocketAddr>,
}

impl Socket {
    pub(super) fn new(udp: sockets::UdpSocket) -> Self {
        Self { udp, binding: false }
    }

    /// Puts the socket into the table, and hands out the guest's handle.
    pub(super) fn keep(self, table: &mut ResourceTable) -> SocketResult<Resource<UdpSocket>> {
        Ok(Resource::new_own(table.push(self)?.rep()))
    }
}

#[async_trait::async_trait]
impl Pollable for Socket {
    /// Nothing that a socket itself does has to wait.
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.poll_receivable(cx)).await;
    }
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_answered(cx)).await;
        poll_fn(|cx| self.udp.poll_sendable(cx)).await;
    }
}

impl Outgoing {
    /// True if somebody is asked first whether the datagram may be sent, who has not answered.
    fn asks(&mut self, data: &[u8], remote: Option<SocketAddr>) -> bool {
        let to = remote.or_else(|| self.udp.remote_address().ok());
        if std::mem::take(&mut self.answered).is_some_and(|answered| Some(answered) == to) {
            return false;
        }
        self.question = self.udp.question(data, remote);
        self.answered = self.question.as_ref().and(to);
        // It is asked with the first poll.
        self.poll_answered(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(question) = &mut self.question {
            // What was agreed to is on the list: there is no once for datagrams.
            let _ = ready!(Pin::new(question).poll(cx));
            self.question = None;
        }
        Poll::Ready(())
    }
}

impl GateCtxView<'_> {
    fn udp(&mut self, socket: &Resource<UdpSocket>) -> SocketResult<&mut Socket> {
        Ok(self.table.get_mut(&ours(socket))?)
    }
}

/// The socket, or what else the table of resources has, that a handle of the guest stands for.
fn ours(socket: &Resource<UdpSocket>) -> Resource<Socket> {
    Resource::new_borrow(socket.rep())
}

fn incoming(stream: &Resource<IncomingDatagramStream>) -> Resource<Incoming> {
    Resource::new_borrow(stream.rep())
}

fn outgoing(stream: &Resource<OutgoingDatagramStream>) -> Resource<Outgoing> {
    Resource::new_borrow(stream.rep())
}

/// Writes the methods that get and set an option of the system's socket.
macro_rules! options {
    ($($get:ident: $of_system:ident, $set:ident: $set_of_system:ident, $type:ty;)*) => {$(
        fn $get(&mut self, socket: Resource<UdpSocket>) -> SocketResult<$type> {
            Ok(self.udp(&socket)?.udp.options().$of_system()?)
        }

        fn $set(&mut self, socket: Resource<UdpSocket>, value: $type) -> SocketResult<()> {
            Ok(self.udp(&socket)?.udp.options().$set_of_system(value)?)
        }
    )*};
}

impl Host for GateCtxView<'_> {}

impl HostUdpSocket for GateCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<UdpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.udp(&socket)?;
        if socket.binding {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        socket.udp.bind(local.into())?;
        socket.binding = true;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<UdpSocket>) -> SocketResult<()> {
        if std::mem::take(&mut self.udp(&socket)?.binding) {
            Ok(())
        } else {
            Err(ErrorCode::NotInProgress.into())
        }
    }

    async fn stream(
        &mut self,
        socket: Resource<UdpSocket>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<Streams> {
        let parent = ours(&socket);
        let has_streams = {
            let mut children = self.table.iter_children(&parent)?;
            children.any(|child| child.is::<Incoming>() || child.is::<Outgoing>())
        };
        if has_streams {
            let error = wasmtime::format_err!("the streams of the UDP socket are not dropped yet");
            return Err(SocketError::trap(error));
        }
        let udp = self.table.get(&parent)?.udp.clone();
        // A socket of WASI 0.3 is bound by connecting it.
        if !udp.is_bound() {
            return Err(ErrorCode::InvalidState.into());
        }
        match remote {
            Some(remote) => {
                udp.ask_to_connect(remote.into()).await;
                udp.connect(remote.into())?;
            }
            None if udp.is_connected() => udp.disconnect()?,
            None => {}
        }
        let permitted = 0;
        let incoming = self.table.push_child(Incoming(udp.clone()), &parent)?;
        let outgoing = Outgoing {
            udp,
            permitted,
            question: None,
            answered: None,
        };
        let outgoing = self.table.push_child(outgoing, &parent)?;
        Ok((
            Resource::new_own(incoming.rep()),
            Resource::new_own(outgoing.rep()),
        ))
    }

    fn local_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.udp(&socket)?.udp.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.udp(&socket)?.udp.remote_address()?.into())
    }

    fn address_family(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(match self.table.get(&ours(&socket))?.udp.family() {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        })
    }

    fn subscribe(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours(&socket))
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Socket>::new_own(socket.rep()))?;
        Ok(())
    }

    options! {
        unicast_hop_limit: hop_limit, set_unicast_hop_limit: set_hop_limit, u8;
        receive_buffer_size: receive_buffer_size, set_receive_buffer_size: set_receive_buffer_size, u64;
        send_buffer_size: send_buffer_size, set_send_buffer_size: set_send_buffer_size, u64;
    }
}

impl HostIncomingDatagramStream for GateCtxView<'_> {
    fn receive(
        &mut self,
        stream: Resource<IncomingDatagramStream>,
        most: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let Incoming(udp) = self.table.get(&incoming(&stream))?;
        let most = usize::try_from(most)
            .unwrap_or(MOST_DATAGRAMS)
            .min(MOST_DATAGRAMS);
        let mut datagrams = Vec::new();
        let mut bytes = 0;
        while datagrams.len() < most && bytes < MOST_BYTES {
            match udp.try_receive() {
                Poll::Pending => break,
                Poll::Ready(Ok((data, peer))) => {
                    bytes += 1 + data.len();
                    let remote_address = peer.into();
                    datagrams.push(IncomingDatagram { data, remote_address });
                }
                Poll::Ready(Err(error)) if datagrams.is_empty() => return Err(error.into()),
                Poll::Ready(Err(error)) => {
                    udp.keep_error(error);
                    break;
                }
            }
        }
        Ok(datagrams)
    }

    fn subscribe(
        &mut self,
        stream: Resource<IncomingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, incoming(&stream))
    }

    fn drop(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Incoming>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl HostOutgoingDatagramStream for GateCtxView<'_> {
    fn check_send(&mut self, stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        let stream = self.table.get_mut(&outgoing(&stream))?;
        // How many the system has room for it does not say. `send` says how many it took.
        // Whoever waits does so through `subscribe`; this only looks.
        let answered = stream.poll_answered(&mut Context::from_waker(Waker::noop()));
        stream.permitted = if answered.is_ready() && stream.udp.is_sendable() {
            MOST_DATAGRAMS
        } else {
            0
        };
        Ok(stream.permitted as u64)
    }

    fn send(
        &mut self,
        stream: Resource<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let stream = self.table.get_mut(&outgoing(&stream))?;
        if datagrams.is_empty() {
            return Ok(0);
        }
        // Each `send` has to be preceded by a `check-send` of its own.
        if datagrams.len() > std::mem::take(&mut stream.permitted) {
            let error = wasmtime::format_err!("more datagrams than `check-send` permitted");
            return Err(SocketError::trap(error));
        }
        let mut sent = 0;
        for datagram in datagrams {
            let remote = datagram.remote_address.map(SocketAddr::from);
            if stream.asks(&datagram.data, remote) {
                break;
            }
            match stream.udp.try_send(&datagram.data, remote) {
                Poll::Ready(Ok(())) => sent += 1,
                Poll::Ready(Err(error)) if sent == 0 => return Err(error.into()),
                // What was sent was sent: the guest learns of the error when it tries the rest.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Ok(sent)
    }

    fn subscribe(
        &mut self,
        stream: Resource<OutgoingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, outgoing(&stream))
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Outgoing>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// So many datagrams are sent or received at a time.
const MOST_DATAGRAMS: usize = 16;

/// Bytes; no further datagram is received at a time once there are so many.
const MOST_BYTES: usize = 64 * 1024;
