//! `wasi:sockets/tcp`: all of it is `wasmtime-wasi`'s, except that a bind is marked as one, a connection is noted,
//! and multicast is refused by the policy before it is found to be no argument.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, SocketResult, TcpSocket};

use crate::ctx::GateCtxView;
use crate::pass_on::pass_on;
use crate::sockets::{Step, during, refuses_multicast};

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
type Accepted = (
    Resource<TcpSocket>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
);

impl Host for GateCtxView<'_> {}

impl HostTcpSocket for GateCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        during(
            Step::Bind,
            HostTcpSocket::start_bind(&mut self.sockets(), socket, network, local),
        )
        .await
    }

    fn start_connect(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        if refuses_multicast(&self.ctx.gate, remote.into()).is_err() {
            return Err(ErrorCode::AccessDenied.into());
        }
        HostTcpSocket::start_connect(&mut self.sockets(), socket, network, remote)
    }

    async fn start_listen(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        HostTcpSocket::start_listen(&mut self.sockets(), socket).await
    }

    fn finish_connect(&mut self, socket: Resource<TcpSocket>) -> SocketResult<Streams> {
        let number = socket.rep();
        let streams = HostTcpSocket::finish_connect(&mut self.sockets(), socket)?;
        let local = self.local_address(Resource::new_borrow(number));
        let remote = self.remote_address(Resource::new_borrow(number));
        // A socket without two ends is one whose peer has ended the connection by now, so there is nothing to close
        // later. The guest learns of it by its streams.
        if let (Ok(local), Ok(remote)) = (local, remote) {
            self.ctx.tcp.connected(number, local.into(), remote.into());
        }
        Ok(streams)
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.ctx.tcp.remove(socket.rep());
        HostTcpSocket::drop(&mut self.sockets(), socket)
    }

    pass_on! { HostTcpSocket:
        fn finish_bind(socket: Resource<TcpSocket>) -> SocketResult<()>;
        fn finish_listen(socket: Resource<TcpSocket>) -> SocketResult<()>;
        fn accept(socket: Resource<TcpSocket>) -> SocketResult<Accepted>;
        fn local_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn is_listening(socket: Resource<TcpSocket>) -> wasmtime::Result<bool>;
        fn address_family(socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn keep_alive_enabled(socket: Resource<TcpSocket>) -> SocketResult<bool>;
        fn set_keep_alive_enabled(socket: Resource<TcpSocket>, value: bool) -> SocketResult<()>;
        fn keep_alive_idle_time(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_keep_alive_idle_time(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn keep_alive_interval(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_keep_alive_interval(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn keep_alive_count(socket: Resource<TcpSocket>) -> SocketResult<u32>;
        fn set_keep_alive_count(socket: Resource<TcpSocket>, value: u32) -> SocketResult<()>;
        fn hop_limit(socket: Resource<TcpSocket>) -> SocketResult<u8>;
        fn set_hop_limit(socket: Resource<TcpSocket>, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>>;
        fn shutdown(socket: Resource<TcpSocket>, how: ShutdownType) -> SocketResult<()>;
    }
}
