//! The check of one socket: what wasmtime asks, put to the gate.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use outport_policy::{Attempt, Endpoint, Transport};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx};

use super::permit::SocketPermit;
use super::step::{self, Step};
use crate::instance::InstanceGate;
use crate::refusal::Refusal;

/// Judges and counts a new socket. What comes back makes exactly this socket: a context whose check holds the
/// permit, to be handed to `wasmtime-wasi`'s own creation and then dropped.
///
/// # Errors
///
/// The refusal, before any system call.
pub(crate) fn admit(
    gate: &Arc<InstanceGate>,
    transport: Transport,
) -> Result<(WasiSocketsCtx, Arc<SocketPermit>), Refusal> {
    let permit = SocketPermit::take(gate, transport)?;
    let held = permit.clone();
    let mut builder = WasiCtx::builder();
    builder.allow_tcp(transport == Transport::Tcp);
    builder.allow_udp(transport == Transport::Udp);
    builder.socket_addr_check(move |address, purpose| {
        let permitted = is_permitted(held.gate(), address, purpose);
        Box::pin(ready(permitted))
    });
    Ok((builder.build().sockets().clone(), permit))
}

/// Refuses to connect a TCP socket to a multicast or broadcast address (HL-5). `wasmtime-wasi` would call that an
/// invalid argument without asking the check, and the refusal would be in no log.
pub(crate) fn refuses_multicast(gate: &InstanceGate, remote: SocketAddr) -> Result<(), Refusal> {
    let remote = Endpoint::from(remote);
    if !remote.address.reads_as_multicast() {
        return Ok(());
    }
    let transport = Transport::Tcp;
    gate.judge("tcp.connect", &Attempt::Reach { transport, remote })
}

/// A context that makes no socket and permits no address.
pub(crate) fn closed_ctx() -> WasiSocketsCtx {
    WasiSocketsCtx::default()
}

/// The only place that knows [`SocketAddrUse`]. A variant that a later wasmtime adds does not compile until it has
/// its line here.
fn is_permitted(gate: &InstanceGate, address: SocketAddr, purpose: SocketAddrUse) -> bool {
    let reach = |transport| Attempt::Reach {
        transport,
        remote: Endpoint::from(address),
    };
    let verdict = match (purpose, step::current()) {
        (SocketAddrUse::TcpBind, step) => bind(gate, "tcp.bind", Transport::Tcp, address, step),
        (SocketAddrUse::UdpBind, step) => bind(gate, "udp.bind", Transport::Udp, address, step),
        (SocketAddrUse::TcpListen, _) => gate.judge("tcp.listen", &Attempt::Listen { local: address }),
        (SocketAddrUse::TcpAccept, _) => gate.judge("tcp.accept", &Attempt::Accept { peer: address }),
        (SocketAddrUse::TcpConnect, _) => gate.judge("tcp.connect", &reach(Transport::Tcp)),
        (SocketAddrUse::UdpSend, Step::UdpConnect) => gate.judge("udp.connect", &reach(Transport::Udp)),
        (SocketAddrUse::UdpReceive, Step::UdpConnect) => gate.judge_again(&reach(Transport::Udp)),
        (SocketAddrUse::UdpSend, Step::Bind | Step::Other) => {
            gate.judge_datagram_out(Endpoint::from(address))
        }
        (SocketAddrUse::UdpReceive, Step::Bind | Step::Other) => {
            gate.judge_datagram_in(Endpoint::from(address))
        }
    };
    verdict.is_ok()
}

/// A bind that the guest did not ask for is part of a connect, listen or datagram that is judged right after it.
fn bind(
    gate: &InstanceGate,
    what: &'static str,
    transport: Transport,
    local: SocketAddr,
    step: Step,
) -> Result<(), Refusal> {
    let attempt = Attempt::Bind { transport, local };
    match step {
        Step::Bind => gate.judge(what, &attempt),
        Step::UdpConnect | Step::Other => gate.judge_implied(what, &attempt),
    }
}
