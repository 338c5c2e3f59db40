//! `udp-socket` of WASI 0.3 over the [`UdpSocket`](sockets::UdpSocket) that both versions share.
//!
//! The socket type that the bindings name belongs to `wasmtime-wasi` and cannot be made here, so the table holds a
//! socket of ours and the guest gets a handle with its number.

use std::net::SocketAddr;

use wasmtime::component::{Accessor, Resource, ResourceTable};
use wasmtime_wasi::p3::bindings::sockets::types::{
    HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress, UdpSocket,
};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

use super::refused;
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::sockets::{self, Family, NotCreated};

impl<T: GateView + 'static> HostUdpSocketWithStore<T> for Gated {
    async fn send(
        store: &Accessor<T, Self>,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        // The future has a share of the socket, so that the store is free while it waits.
        let sending = store.with(|mut store| -> SocketResult<_> {
            let remote = remote.map(SocketAddr::from);
            Ok(udp(store.get().table, &socket)?.send(data, remote))
        })?;
        Ok(sending.await?)
    }

    async fn receive(
        store: &Accessor<T, Self>,
        socket: Resource<UdpSocket>,
    ) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let receiving =
            store.with(|mut store| -> SocketResult<_> { Ok(udp(store.get().table, &socket)?.receive()) })?;
        let (data, peer) = receiving.await?;
        Ok((data, peer.into()))
    }
}

/// The socket, or what else the table of resources has, that a handle stands for.
fn ours(socket: &Resource<UdpSocket>) -> Resource<sockets::UdpSocket> {
    Resource::new_borrow(socket.rep())
}

fn udp<'a>(table: &'a ResourceTable, socket: &Resource<UdpSocket>) -> SocketResult<&'a sockets::UdpSocket> {
    table.get(&ours(socket)).map_err(SocketError::trap)
}

/// Writes the methods that get and set an option of the system's socket.
macro_rules! options {
    ($($get:ident: $of_system:ident, $set:ident: $set_of_system:ident, $type:ty;)*) => {$(
        fn $get(&mut self, socket: Resource<UdpSocket>) -> SocketResult<$type> {
            Ok(udp(self.table, &socket)?.options().$of_system()?)
        }

        fn $set(&mut self, socket: Resource<UdpSocket>, value: $type) -> SocketResult<()> {
            Ok(udp(self.table, &socket)?.options().$set_of_system(value)?)
        }
    )*};
}

impl HostUdpSocket for GateCtxView<'_> {
    async fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let family = match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        };
        let socket = match sockets::UdpSocket::create(&self.ctx.enforcer, family) {
            Ok(socket) => socket,
            Err(NotCreated::Denied(denied)) => return refused(denied),
            Err(NotCreated::Failed(code)) => return Err(code.into()),
        };
        let entry = self.table.push(socket).map_err(SocketError::trap)?;
        Ok(Resource::new_own(entry.rep()))
    }

    async fn bind(&mut self, socket: Resource<UdpSocket>, local: IpSocketAddress) -> SocketResult<()> {
        Ok(udp(self.table, &socket)?.bind(local.into())?)
    }

    async fn connect(&mut self, socket: Resource<UdpSocket>, remote: IpSocketAddress) -> SocketResult<()> {
        let socket = udp(self.table, &socket)?.clone();
        socket.ask_to_connect(remote.into()).await;
        Ok(socket.connect(remote.into())?)
    }

    fn disconnect(&mut self, socket: Resource<UdpSocket>) -> SocketResult<()> {
        Ok(udp(self.table, &socket)?.disconnect()?)
    }

    fn get_local_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(udp(self.table, &socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(udp(self.table, &socket)?.remote_address()?.into())
    }

    fn get_address_family(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(match self.table.get(&ours(&socket))?.family() {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        })
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table
            .delete(Resource::<sockets::UdpSocket>::new_own(socket.rep()))?;
        Ok(())
    }

    options! {
        get_unicast_hop_limit: hop_limit, set_unicast_hop_limit: set_hop_limit, u8;
        get_receive_buffer_size: receive_buffer_size, set_receive_buffer_size: set_receive_buffer_size, u64;
        get_send_buffer_size: send_buffer_size, set_send_buffer_size: set_send_buffer_size, u64;
    }
}
