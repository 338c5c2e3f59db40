//! The check of one UDP socket: what `wasmtime-wasi` asks, put to the gate.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use outport_policy::{Attempt, Endpoint, Layer, Transport};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx};

use super::slot::SocketSlot;
use super::step::{self, Step};
use crate::denied::Denied;
use crate::enforcer::Enforcer;
use crate::followed::Followed;

/// Judges and counts a new UDP socket. What comes back makes exactly this socket: a context whose check holds the
/// slot, to be handed to `wasmtime-wasi`'s own creation and then dropped.
///
/// # Errors
///
/// The refusal, before any system call.
pub(crate) fn admit(enforcer: &Arc<Enforcer>) -> Result<WasiSocketsCtx, Denied> {
    let held = SocketSlot::take(enforcer, Transport::Udp)?;
    let mut builder = WasiCtx::builder();
    builder.allow_udp(true);
    let transport = Transport::Udp;
    let created = Attempt::CreateSocket { transport };
    let followed = Followed::begin(enforcer, held.created(), &created);
    if let Some(followed) = &followed {
        followed.exists();
    }
    builder.socket_addr_check(move |address, purpose| {
        let permitted = is_permitted(held.gate(), address, purpose);
        match (&followed, purpose, step::current()) {
            (Some(followed), SocketAddrUse::UdpSend, Step::Other) if permitted => followed.count_sent(1),
            (Some(followed), SocketAddrUse::UdpReceive, Step::Other) if permitted => {
                followed.count_received(1)
            }
            _ => {}
        }
        Box::pin(ready(permitted))
    });
    Ok(builder.build().sockets().clone())
}

/// A context that makes no socket and permits no address.
pub(crate) fn closed_ctx() -> WasiSocketsCtx {
    WasiSocketsCtx::default()
}

/// The only place that knows [`SocketAddrUse`]. A variant that a later wasmtime adds does not compile until it has
/// its line here.
fn is_permitted(enforcer: &Enforcer, address: SocketAddr, purpose: SocketAddrUse) -> bool {
    let (transport, remote) = (Transport::Udp, address);
    let verdict = match (purpose, step::current()) {
        (SocketAddrUse::UdpBind, step) => bind(enforcer, address, step),
        (SocketAddrUse::UdpSend, Step::UdpConnect) => enforcer.authorize_connect(transport, remote).map(drop),
        (SocketAddrUse::UdpReceive, Step::UdpConnect) => {
            let remote = Endpoint::from(remote);
            enforcer.recheck(&Attempt::Connect { transport, remote }, enforcer.usage())
        }
        (SocketAddrUse::UdpSend, Step::Bind | Step::Other) => enforcer.authorize_send(remote).map(drop),
        (SocketAddrUse::UdpReceive, Step::Bind | Step::Other) => enforcer.authorize_receive(remote),
        // No TCP socket is made by `wasmtime-wasi`.
        (
            SocketAddrUse::TcpBind
            | SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept
            | SocketAddrUse::TcpConnect,
            _,
        ) => return false,
    };
    verdict.is_ok()
}

/// A bind that the guest did not ask for is part of a connect or datagram that is judged right after it.
fn bind(enforcer: &Enforcer, local: SocketAddr, step: Step) -> Result<(), Denied> {
    let transport = Transport::Udp;
    let attempt = Attempt::Bind { transport, local };
    match step {
        Step::Bind => enforcer.authorize(&attempt, enforcer.usage()).map(drop),
        Step::UdpConnect | Step::Other => enforcer.authorize_implied(&attempt, &[Layer::AllowList]),
    }
}
