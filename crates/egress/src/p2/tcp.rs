//! `wasi:sockets/tcp`: the steps of WASI 0.2 over the [`TcpSocket`](sockets::TcpSocket) that both versions share.
//!
//! The socket type that the bindings name belongs to `wasmtime-wasi` and cannot be made here, so the table holds
//! [`Socket`] and the guest gets a handle with its number.

mod streams;

use std::task::{Context, Poll, Waker};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, TcpSocket, subscribe,
};

use self::streams::{Input, Output};
use crate::ctx::GateCtxView;
use crate::sockets::{self, Family};

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);
type Accepted = (
    Resource<TcpSocket>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
);

/// A TCP socket in the table.
pub(super) struct Socket {
    tcp: sockets::TcpSocket,
    under_way: Option<UnderWay>,
    streams: Option<(Input, Output)>,
}

/// The operation that was started, and has not been finished.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Bind,
    Connect,
}

impl Socket {
    pub(super) fn new(tcp: sockets::TcpSocket) -> Self {
        Self {
            tcp,
            under_way: None,
            streams: None,
        }
    }

    /// Puts the socket into the table, and hands out the guest's handle.
    pub(super) fn keep(self, table: &mut ResourceTable) -> SocketResult<Resource<TcpSocket>> {
        Ok(Resource::new_own(table.push(self)?.rep()))
    }

    /// Begins something, unless something else is under way.
    fn idle(&mut self) -> SocketResult<&mut sockets::TcpSocket> {
        match self.under_way {
            None => Ok(&mut self.tcp),
            Some(_) => Err(ErrorCode::ConcurrencyConflict.into()),
        }
    }

    /// Ends what was begun.
    fn finish(&mut self, what: UnderWay) -> SocketResult<()> {
        if self.under_way != Some(what) {
            return Err(ErrorCode::NotInProgress.into());
        }
        self.under_way = None;
        Ok(())
    }

    fn finish_connect(&mut self) -> SocketResult<(Input, Output)> {
        self.finish(UnderWay::Connect)?;
        // Whoever waits does so through `subscribe`; this only looks.
        match self.tcp.poll_connect(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                self.under_way = Some(UnderWay::Connect);
                Err(ErrorCode::WouldBlock.into())
            }
            Poll::Ready(outcome) => {
                outcome?;
                let input = Input::new(self.tcp.take_receiving()?);
                let output = Output::new(self.tcp.take_sending()?);
                self.streams = Some((input.clone(), output.clone()));
                Ok((input, output))
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Socket {
    async fn ready(&mut self) {
        if self.under_way == Some(UnderWay::Connect) {
            let _ = std::future::poll_fn(|cx| self.tcp.poll_connect(cx)).await;
        }
    }
}

impl GateCtxView<'_> {
    fn tcp(&mut self, socket: &Resource<TcpSocket>) -> SocketResult<&mut Socket> {
        Ok(self.table.get_mut(&ours(socket))?)
    }
}

/// The socket, or what else the table of resources has, that a handle stands for.
fn ours(socket: &Resource<TcpSocket>) -> Resource<Socket> {
    Resource::new_borrow(socket.rep())
}

/// Writes the methods that get and set an option of the system's socket.
macro_rules! options {
    ($($get:ident, $set:ident: $type:ty;)*) => {$(
        fn $get(&mut self, socket: Resource<TcpSocket>) -> SocketResult<$type> {
            Ok(self.tcp(&socket)?.tcp.options()?.$get()?)
        }

        fn $set(&mut self, socket: Resource<TcpSocket>, value: $type) -> SocketResult<()> {
            Ok(self.tcp(&socket)?.tcp.options()?.$set(value)?)
        }
    )*};
}

impl Host for GateCtxView<'_> {}

impl HostTcpSocket for GateCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        // There must be such a handle, and it gives no right: the gate does.
        self.table.get(&network)?;
        let socket = self.tcp(&socket)?;
        socket.idle()?.bind(local.into())?;
        socket.under_way = Some(UnderWay::Bind);
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        self.tcp(&socket)?.finish(UnderWay::Bind)
    }

    fn start_connect(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.tcp(&socket)?;
        socket.idle()?.start_connect(remote.into())?;
        socket.under_way = Some(UnderWay::Connect);
        Ok(())
    }

    fn finish_connect(&mut self, socket: Resource<TcpSocket>) -> SocketResult<Streams> {
        let (input, output) = self.tcp(&socket)?.finish_connect()?;
        let parent = ours(&socket);
        let input: DynInputStream = Box::new(input);
        let output: DynOutputStream = Box::new(output);
        let input = self.table.push_child(input, &parent)?;
        let output = self.table.push_child(output, &parent)?;
        Ok((input, output))
    }

    async fn start_listen(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        let tcp = self.tcp(&socket)?.idle()?;
        // What WASI 0.2 answers first stands (HL-1).
        if !tcp.is_bound() {
            return Err(ErrorCode::InvalidState.into());
        }
        match tcp.listen()? {}
    }

    fn finish_listen(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        self.tcp(&socket)?;
        Err(ErrorCode::NotInProgress.into())
    }

    fn accept(&mut self, socket: Resource<TcpSocket>) -> SocketResult<Accepted> {
        self.tcp(&socket)?;
        Err(ErrorCode::InvalidState.into())
    }

    fn local_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.tcp.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.tcp(&socket)?.tcp.remote_address()?.into())
    }

    fn is_listening(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        self.table.get(&ours(&socket))?;
        Ok(false)
    }

    fn address_family(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(match self.table.get(&ours(&socket))?.tcp.family() {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        })
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.tcp(&socket)?.tcp.set_listen_backlog_size(value)?)
    }

    fn subscribe(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours(&socket))
    }

    fn shutdown(&mut self, socket: Resource<TcpSocket>, how: ShutdownType) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        let (input, output) = socket.streams.as_ref().ok_or(ErrorCode::InvalidState)?;
        if matches!(how, ShutdownType::Receive | ShutdownType::Both) {
            input.shut_down();
        }
        if matches!(how, ShutdownType::Send | ShutdownType::Both) {
            output.shut_down();
        }
        Ok(())
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Socket>::new_own(socket.rep()))?;
        Ok(())
    }

    options! {
        keep_alive_enabled, set_keep_alive_enabled: bool;
        keep_alive_idle_time, set_keep_alive_idle_time: u64;
        keep_alive_interval, set_keep_alive_interval: u64;
        keep_alive_count, set_keep_alive_count: u32;
        hop_limit, set_hop_limit: u8;
        receive_buffer_size, set_receive_buffer_size: u64;
        send_buffer_size, set_send_buffer_size: u64;
    }
}
