//! Sockets of the two snapshots.
//!
//! Those of October are not served: creating one and looking a name up answer `not-supported`, and everything that needs
//! a socket traps, since nobody has one. Those of November are the sockets of 0.2, which are behind the gate, under its
//! name; only `ipv6-only` is not there any more. A socket for IPv6 never takes IPv4 (as today), and says so.

use outport_egress::GateView;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::HostUdpSocket;
use wasmtime_wasi::p2::{Network, TcpSocket, UdpSocket};

use super::OCTOBER;
use crate::guest::Guest;
use crate::linker::{NotProvided, Placeholder};

/// True for an interface whose functions refuse.
pub(crate) fn refuses(import: &str) -> bool {
    let interface = import
        .strip_suffix(OCTOBER)
        .and_then(|name| name.strip_suffix('@'));
    interface.is_some_and(|interface| REFUSING.contains(&interface))
}

const REFUSING: [&str; 3] = [
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp-create-socket",
];

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let tcp = "wasi:sockets/tcp@0.2.0-rc-2023-10-18";
    let mut interface = linker.instance(tcp)?;
    interface.resource("tcp-socket", ResourceType::host::<TcpSocket>(), |_, _| Ok(()))?;
    define_methods(&mut interface, tcp, "tcp-socket", OF_BOTH)?;
    define_methods(&mut interface, tcp, "tcp-socket", OF_TCP)?;

    let udp = "wasi:sockets/udp@0.2.0-rc-2023-10-18";
    let mut interface = linker.instance(udp)?;
    interface.resource("udp-socket", ResourceType::host::<UdpSocket>(), |_, _| Ok(()))?;
    define_methods(&mut interface, udp, "udp-socket", OF_BOTH)?;
    define_methods(&mut interface, udp, "udp-socket", &["receive", "send"])?;

    define_refusals(linker)?;
    define_ipv6_only(linker)
}

fn define_refusals(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker
        .instance("wasi:sockets/tcp-create-socket@0.2.0-rc-2023-10-18")?
        .func_wrap("create-tcp-socket", |_, (_,): (IpAddressFamily,)| {
            Ok((Err::<Resource<TcpSocket>, _>(ErrorCode::NotSupported),))
        })?;
    linker
        .instance("wasi:sockets/udp-create-socket@0.2.0-rc-2023-10-18")?
        .func_wrap("create-udp-socket", |_, (_,): (IpAddressFamily,)| {
            Ok((Err::<Resource<UdpSocket>, _>(ErrorCode::NotSupported),))
        })?;
    let name = "wasi:sockets/ip-name-lookup@0.2.0-rc-2023-10-18";
    let mut lookup = linker.instance(name)?;
    let stream = "resolve-address-stream";
    lookup.resource(stream, ResourceType::host::<Placeholder>(), |_, _| Ok(()))?;
    define_methods(&mut lookup, name, stream, &["resolve-next-address", "subscribe"])?;
    type Asked = (Resource<Network>, String, Option<IpAddressFamily>, bool);
    lookup.func_wrap("resolve-addresses", |_, (_, _, _, _): Asked| {
        Ok((Err::<Resource<Placeholder>, _>(ErrorCode::NotSupported),))
    })
}

/// Defines methods that nobody can call, since nobody has what they are for.
fn define_methods(
    interface: &mut LinkerInstance<'_, Guest>,
    name: &str,
    resource: &str,
    methods: &[&str],
) -> wasmtime::Result<()> {
    for method in methods {
        let function = format!("[method]{resource}.{method}");
        let trap = NotProvided {
            interface: name.to_owned(),
            function: function.clone(),
        };
        interface.func_new(&function, move |_, _, _, _| Err(trap.clone().into()))?;
    }
    Ok(())
}

fn define_ipv6_only(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    tcp.func_wrap(
        "[method]tcp-socket.ipv6-only",
        |mut store, (socket,): (Resource<TcpSocket>,)| {
            let family = HostTcpSocket::address_family(&mut store.data_mut().gate(), socket)?;
            Ok((ipv6_only(family),))
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.set-ipv6-only",
        |mut store, (socket, value): (Resource<TcpSocket>, bool)| {
            let family = HostTcpSocket::address_family(&mut store.data_mut().gate(), socket)?;
            Ok((set_ipv6_only(family, value),))
        },
    )?;
    let mut udp = linker.instance("wasi:sockets/udp@0.2.12")?;
    udp.func_wrap(
        "[method]udp-socket.ipv6-only",
        |mut store, (socket,): (Resource<UdpSocket>,)| {
            let family = HostUdpSocket::address_family(&mut store.data_mut().gate(), socket)?;
            Ok((ipv6_only(family),))
        },
    )?;
    udp.func_wrap(
        "[method]udp-socket.set-ipv6-only",
        |mut store, (socket, value): (Resource<UdpSocket>, bool)| {
            let family = HostUdpSocket::address_family(&mut store.data_mut().gate(), socket)?;
            Ok((set_ipv6_only(family, value),))
        },
    )
}

fn ipv6_only(family: IpAddressFamily) -> Result<bool, ErrorCode> {
    match family {
        IpAddressFamily::Ipv6 => Ok(true),
        IpAddressFamily::Ipv4 => Err(ErrorCode::NotSupported),
    }
}

fn set_ipv6_only(family: IpAddressFamily, value: bool) -> Result<(), ErrorCode> {
    match (ipv6_only(family)?, value) {
        (true, true) => Ok(()),
        _ => Err(ErrorCode::NotSupported),
    }
}

const OF_BOTH: &[&str] = &[
    "start-bind",
    "finish-bind",
    "start-connect",
    "finish-connect",
    "local-address",
    "remote-address",
    "address-family",
    "ipv6-only",
    "set-ipv6-only",
    "unicast-hop-limit",
    "set-unicast-hop-limit",
    "receive-buffer-size",
    "set-receive-buffer-size",
    "send-buffer-size",
    "set-send-buffer-size",
    "subscribe",
];

const OF_TCP: &[&str] = &[
    "start-listen",
    "finish-listen",
    "accept",
    "set-listen-backlog-size",
    "keep-alive",
    "set-keep-alive",
    "no-delay",
    "set-no-delay",
    "shutdown",
];
