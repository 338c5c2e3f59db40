//! `tcp-socket` of WASI 0.3.

use outport_policy::Transport;
use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime_wasi::p3::bindings::sockets::types::{
    Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress, TcpSocket,
};
use wasmtime_wasi::p3::sockets::SocketResult;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView};

use super::{refused, sockets_of, streamed};
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::pass_on::pass_on;
use crate::sockets::{Step, admit, during, refuses_multicast};

impl<T: GateView + 'static> HostTcpSocketWithStore<T> for Gated {
    async fn connect(
        store: &Accessor<T, Self>,
        socket: Resource<TcpSocket>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        let gate = store.with(|mut store| store.get().ctx.gate.clone());
        if let Err(refusal) = refuses_multicast(&gate, remote.into()) {
            return refused(refusal);
        }
        let number = socket.rep();
        let of_wasi = store.with_getter::<WasiSockets>(sockets_of::<T>);
        WasiSockets::connect(&of_wasi, socket, remote).await?;
        store.with(|mut store| {
            let mut view = store.get();
            let local = HostTcpSocket::get_local_address(&mut view, Resource::new_borrow(number))?;
            view.ctx.tcp.connected(number, local.into(), remote.into());
            Ok(())
        })
    }

    async fn listen(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
    ) -> SocketResult<StreamReader<Resource<TcpSocket>>> {
        WasiSockets::listen(of_wasi(&mut store), socket).await
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        let permit = store.get().ctx.tcp.permit(socket.rep());
        let closed = WasiSockets::send(of_wasi(&mut store), socket, data)?;
        streamed::hold(store, closed, permit)
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Resource<TcpSocket>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), ErrorCode>>)> {
        let permit = store.get().ctx.tcp.permit(socket.rep());
        let (data, closed) = WasiSockets::receive(of_wasi(&mut store), socket)?;
        Ok((data, streamed::hold(store, closed, permit)?))
    }
}

/// The access of `wasmtime-wasi`'s own implementation.
fn of_wasi<'a, T: GateView + 'static>(store: &'a mut Access<'_, T, Gated>) -> Access<'a, T, WasiSockets> {
    Access::<T, WasiSockets>::new(store.as_context_mut(), sockets_of::<T>)
}

impl HostTcpSocket for GateCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let (mut ctx, permit) = match admit(&self.ctx.gate, Transport::Tcp) {
            Ok(admitted) => admitted,
            Err(refusal) => return refused(refusal),
        };
        let mut sockets = WasiSocketsCtxView {
            ctx: &mut ctx,
            table: self.table,
        };
        let socket = HostTcpSocket::create(&mut sockets, family)?;
        self.ctx.tcp.insert(socket.rep(), permit);
        Ok(socket)
    }

    async fn bind(&mut self, socket: Resource<TcpSocket>, local: IpSocketAddress) -> SocketResult<()> {
        during(
            Step::Bind,
            HostTcpSocket::bind(&mut self.sockets(), socket, local),
        )
        .await
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.ctx.tcp.remove(socket.rep());
        HostTcpSocket::drop(&mut self.sockets(), socket)
    }

    pass_on! { HostTcpSocket:
        fn get_local_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn get_remote_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn get_is_listening(socket: Resource<TcpSocket>) -> wasmtime::Result<bool>;
        fn get_address_family(socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn get_keep_alive_enabled(socket: Resource<TcpSocket>) -> SocketResult<bool>;
        fn set_keep_alive_enabled(socket: Resource<TcpSocket>, value: bool) -> SocketResult<()>;
        fn get_keep_alive_idle_time(socket: Resource<TcpSocket>) -> SocketResult<Duration>;
        fn set_keep_alive_idle_time(socket: Resource<TcpSocket>, value: Duration) -> SocketResult<()>;
        fn get_keep_alive_interval(socket: Resource<TcpSocket>) -> SocketResult<Duration>;
        fn set_keep_alive_interval(socket: Resource<TcpSocket>, value: Duration) -> SocketResult<()>;
        fn get_keep_alive_count(socket: Resource<TcpSocket>) -> SocketResult<u32>;
        fn set_keep_alive_count(socket: Resource<TcpSocket>, value: u32) -> SocketResult<()>;
        fn get_hop_limit(socket: Resource<TcpSocket>) -> SocketResult<u8>;
        fn set_hop_limit(socket: Resource<TcpSocket>, value: u8) -> SocketResult<()>;
        fn get_receive_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn get_send_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
    }
}
