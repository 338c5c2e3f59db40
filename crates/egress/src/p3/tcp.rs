//! `tcp-socket` of WASI 0.3 over the [`TcpSocket`](sockets::TcpSocket) that both versions share.
//!
//! The socket type that the bindings name belongs to `wasmtime-wasi` and cannot be made here, so the table holds a
//! socket of ours and the guest gets a handle with its number.

mod streams;

use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, ResourceTable, StreamReader};
use wasmtime_wasi::p3::bindings::sockets::types::{
    Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress, TcpSocket,
};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

use super::refused;
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::sockets::{self, Family, NotCreated};

impl<T: GateView + 'static> HostTcpSocketWithStore<T> for Gated {
    async fn connect(
        store: &Accessor<T, Self>,
        socket: Resource<TcpSocket>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        store.with(|mut store| -> SocketResult<()> {
            Ok(tcp_mut(store.get().table, &socket)?.start_connect(remote.into())?)
        })?;
        // The store is not held between two polls: the guest goes on with its other tasks.
        std::future::poll_fn(|cx| {
            store.with(|mut store| {
                let connected = tcp_mut(store.get().table, &socket)?.poll_connect(cx);
                connected.map_err(SocketError::from)
            })
        })
        .await
    }

    async fn listen(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
    ) -> SocketResult<StreamReader<Resource<TcpSocket>>> {
        match tcp_mut(store.get().table, &socket)?.listen()? {}
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        let sending = store.get().table.get_mut(&ours(&socket))?.take_sending();
        streams::send(store.as_context_mut(), sending, data)
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), ErrorCode>>)> {
        let receiving = store.get().table.get_mut(&ours(&socket))?.take_receiving();
        streams::receive(store.as_context_mut(), receiving)
    }
}

/// The socket, or what else the table of resources has, that a handle stands for.
fn ours(socket: &Resource<TcpSocket>) -> Resource<sockets::TcpSocket> {
    Resource::new_borrow(socket.rep())
}

fn tcp_mut<'a>(
    table: &'a mut ResourceTable,
    socket: &Resource<TcpSocket>,
) -> SocketResult<&'a mut sockets::TcpSocket> {
    table.get_mut(&ours(socket)).map_err(SocketError::trap)
}

/// Writes the methods that get and set an option of the system's socket.
macro_rules! options {
    ($($get:ident: $of_system:ident, $set:ident: $type:ty;)*) => {$(
        fn $get(&mut self, socket: Resource<TcpSocket>) -> SocketResult<$type> {
            Ok(tcp_mut(self.table, &socket)?.options()?.$of_system()?)
        }

        fn $set(&mut self, socket: Resource<TcpSocket>, value: $type) -> SocketResult<()> {
            Ok(tcp_mut(self.table, &socket)?.options()?.$set(value)?)
        }
    )*};
}

impl HostTcpSocket for GateCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let family = match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        };
        let socket = match sockets::TcpSocket::create(&self.ctx.enforcer, family) {
            Ok(socket) => socket,
            Err(NotCreated::Denied(denied)) => return refused(denied),
            Err(NotCreated::Failed(code)) => return Err(code.into()),
        };
        let entry = self.table.push(socket);
        let entry = entry.map_err(SocketError::trap)?;
        Ok(Resource::new_own(entry.rep()))
    }

    async fn bind(&mut self, socket: Resource<TcpSocket>, local: IpSocketAddress) -> SocketResult<()> {
        Ok(tcp_mut(self.table, &socket)?.bind(local.into())?)
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        let socket = Resource::<sockets::TcpSocket>::new_own(socket.rep());
        self.table.delete(socket)?;
        Ok(())
    }

    fn get_local_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(tcp_mut(self.table, &socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(tcp_mut(self.table, &socket)?.remote_address()?.into())
    }

    fn get_is_listening(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        self.table.get(&ours(&socket))?;
        Ok(false)
    }

    fn get_address_family(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(match self.table.get(&ours(&socket))?.family() {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        })
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(tcp_mut(self.table, &socket)?.set_listen_backlog_size(value)?)
    }

    options! {
        get_keep_alive_enabled: keep_alive_enabled, set_keep_alive_enabled: bool;
        get_keep_alive_idle_time: keep_alive_idle_time, set_keep_alive_idle_time: Duration;
        get_keep_alive_interval: keep_alive_interval, set_keep_alive_interval: Duration;
        get_keep_alive_count: keep_alive_count, set_keep_alive_count: u32;
        get_hop_limit: hop_limit, set_hop_limit: u8;
        get_receive_buffer_size: receive_buffer_size, set_receive_buffer_size: u64;
        get_send_buffer_size: send_buffer_size, set_send_buffer_size: u64;
    }
}
