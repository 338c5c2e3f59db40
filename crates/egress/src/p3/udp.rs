//! `udp-socket` of WASI 0.3.

use wasmtime::component::{Accessor, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{
    HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress, UdpSocket,
};
use wasmtime_wasi::p3::sockets::SocketResult;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView};

use super::{refused, sockets_of};
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::pass_on::pass_on;
use crate::sockets::{Step, admit, during};

impl<T: GateView + 'static> HostUdpSocketWithStore<T> for Gated {
    async fn send(
        store: &Accessor<T, Self>,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        let store = store.with_getter::<WasiSockets>(sockets_of::<T>);
        <WasiSockets as HostUdpSocketWithStore<T>>::send(&store, socket, data, remote).await
    }

    async fn receive(
        store: &Accessor<T, Self>,
        socket: Resource<UdpSocket>,
    ) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let store = store.with_getter::<WasiSockets>(sockets_of::<T>);
        <WasiSockets as HostUdpSocketWithStore<T>>::receive(&store, socket).await
    }
}

impl HostUdpSocket for GateCtxView<'_> {
    async fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let mut ctx = match admit(&self.ctx.enforcer) {
            Ok(ctx) => ctx,
            Err(denied) => return refused(denied),
        };
        let mut sockets = WasiSocketsCtxView {
            ctx: &mut ctx,
            table: self.table,
        };
        HostUdpSocket::create(&mut sockets, family).await
    }

    async fn bind(&mut self, socket: Resource<UdpSocket>, local: IpSocketAddress) -> SocketResult<()> {
        during(
            Step::Bind,
            HostUdpSocket::bind(&mut self.sockets(), socket, local),
        )
        .await
    }

    async fn connect(&mut self, socket: Resource<UdpSocket>, remote: IpSocketAddress) -> SocketResult<()> {
        during(
            Step::UdpConnect,
            HostUdpSocket::connect(&mut self.sockets(), socket, remote),
        )
        .await
    }

    pass_on! { HostUdpSocket:
        fn disconnect(socket: Resource<UdpSocket>) -> SocketResult<()>;
        fn get_local_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn get_remote_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn get_address_family(socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn get_unicast_hop_limit(socket: Resource<UdpSocket>) -> SocketResult<u8>;
        fn set_unicast_hop_limit(socket: Resource<UdpSocket>, value: u8) -> SocketResult<()>;
        fn get_receive_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn get_send_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn drop(socket: Resource<UdpSocket>) -> wasmtime::Result<()>;
    }
}
