//! `wasi:sockets/tcp-create-socket` and `udp-create-socket`.

use outport_policy::Transport;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::ctx::GateCtxView;
use crate::refusal::{Refusal, RefusalKind};
use crate::sockets::admit;

impl tcp_create_socket::Host for GateCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let (mut ctx, permit) = admit(&self.ctx.gate, Transport::Tcp).map_err(refused)?;
        let mut sockets = WasiSocketsCtxView {
            ctx: &mut ctx,
            table: self.table,
        };
        let socket = tcp_create_socket::Host::create_tcp_socket(&mut sockets, family)?;
        self.ctx.tcp.insert(socket.rep(), permit);
        Ok(socket)
    }
}

impl udp_create_socket::Host for GateCtxView<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let (mut ctx, _permit) = admit(&self.ctx.gate, Transport::Udp).map_err(refused)?;
        let mut sockets = WasiSocketsCtxView {
            ctx: &mut ctx,
            table: self.table,
        };
        udp_create_socket::Host::create_udp_socket(&mut sockets, family).await
    }
}

fn refused(refusal: Refusal) -> SocketError {
    match refusal.kind() {
        RefusalKind::Quota => ErrorCode::NewSocketLimit.into(),
        RefusalKind::Policy => ErrorCode::AccessDenied.into(),
    }
}
