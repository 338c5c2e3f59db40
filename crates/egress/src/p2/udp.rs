//! `wasi:sockets/udp`: all of it is `wasmtime-wasi`'s, except that binds and connects are marked as such.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::{DynPollable, SocketResult, UdpSocket};

use crate::ctx::GateCtxView;
use crate::pass_on::pass_on;
use crate::sockets::{Step, during};

type Streams = (Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>);

impl Host for GateCtxView<'_> {}

impl HostUdpSocket for GateCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<UdpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        during(
            Step::Bind,
            HostUdpSocket::start_bind(&mut self.sockets(), socket, network, local),
        )
        .await
    }

    async fn stream(
        &mut self,
        socket: Resource<UdpSocket>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<Streams> {
        during(
            Step::UdpConnect,
            HostUdpSocket::stream(&mut self.sockets(), socket, remote),
        )
        .await
    }

    pass_on! { HostUdpSocket:
        fn finish_bind(socket: Resource<UdpSocket>) -> SocketResult<()>;
        fn local_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn address_family(socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn unicast_hop_limit(socket: Resource<UdpSocket>) -> SocketResult<u8>;
        fn set_unicast_hop_limit(socket: Resource<UdpSocket>, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Resource<UdpSocket>) -> wasmtime::Result<Resource<DynPollable>>;
        fn drop(socket: Resource<UdpSocket>) -> wasmtime::Result<()>;
    }
}

impl HostIncomingDatagramStream for GateCtxView<'_> {
    pass_on! { HostIncomingDatagramStream:
        fn receive(stream: Resource<IncomingDatagramStream>, most: u64) -> SocketResult<Vec<IncomingDatagram>>;
        fn subscribe(stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>>;
        fn drop(stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()>;
    }
}

impl HostOutgoingDatagramStream for GateCtxView<'_> {
    pass_on! { HostOutgoingDatagramStream:
        fn check_send(stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64>;
        fn send(stream: Resource<OutgoingDatagramStream>, datagrams: Vec<OutgoingDatagram>) -> SocketResult<u64>;
        fn subscribe(stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>>;
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        HostOutgoingDatagramStream::drop(&mut self.sockets(), stream).await
    }
}
