//! `wasi:sockets/tcp-create-socket` and `udp-create-socket`.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, SocketResult, TcpSocket, UdpSocket};

use super::{tcp, udp};
use crate::ctx::GateCtxView;
use crate::denied::{Denied, DeniedKind};
use crate::sockets::{self, Family, NotCreated};

impl tcp_create_socket::Host for GateCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let socket = sockets::TcpSocket::create(&self.ctx.enforcer, of(family)).map_err(not_created)?;
        tcp::Socket::new(socket).keep(self.table)
    }
}

impl udp_create_socket::Host for GateCtxView<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let socket = sockets::UdpSocket::create(&self.ctx.enforcer, of(family)).map_err(not_created)?;
        udp::Socket::new(socket).keep(self.table)
    }
}

fn of(family: IpAddressFamily) -> Family {
    match family {
        IpAddressFamily::Ipv4 => Family::V4,
        IpAddressFamily::Ipv6 => Family::V6,
    }
}

fn not_created(error: NotCreated) -> SocketError {
    match error {
        NotCreated::Denied(denied) => refused(denied),
        NotCreated::Failed(code) => code.into(),
    }
}

fn refused(denied: Denied) -> SocketError {
    match denied.kind() {
        DeniedKind::Quota => ErrorCode::NewSocketLimit.into(),
        DeniedKind::Policy => ErrorCode::AccessDenied.into(),
    }
}
