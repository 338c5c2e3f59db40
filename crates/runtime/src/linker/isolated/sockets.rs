//! The refusals of sockets and look-ups, each of which is an attempt.

use outport_egress::{GateView, ShutGate};
use outport_policy::Transport;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::sockets::network as p2_network;
use wasmtime_wasi::p2::{Network, TcpSocket, UdpSocket};
use wasmtime_wasi::p3::bindings::sockets as p3_sockets;

use super::Placeholder;
use crate::guest::Guest;
use crate::wasi_2023::OCTOBER;

/// Defines a function that answers; says whether it is one of those.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    (interface, version, function): (&str, &str, &str),
    shut: ShutGate,
) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:sockets/tcp-create-socket", "create-tcp-socket") => {
            instance.func_wrap(
                function,
                move |mut store, (_,): (p2_network::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, Transport::Tcp);
                    Ok((Err::<Resource<TcpSocket>, _>(p2_network::ErrorCode::AccessDenied),))
                },
            )?;
        }
        ("wasi:sockets/udp-create-socket", "create-udp-socket") => {
            instance.func_wrap(
                function,
                move |mut store, (_,): (p2_network::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, Transport::Udp);
                    Ok((Err::<Resource<UdpSocket>, _>(p2_network::ErrorCode::AccessDenied),))
                },
            )?;
        }
        ("wasi:sockets/types", "[static]tcp-socket.create" | "[static]udp-socket.create") => {
            let transport = if function.contains("tcp") {
                Transport::Tcp
            } else {
                Transport::Udp
            };
            instance.func_wrap(
                function,
                move |mut store, (_,): (p3_sockets::types::IpAddressFamily,)| {
                    shut.refuse_socket(store.data_mut().gate().ctx, transport);
                    let denied = p3_sockets::types::ErrorCode::AccessDenied;
                    Ok((Err::<Resource<Placeholder>, _>(denied),))
                },
            )?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") if version == OCTOBER => {
            type Asked = (
                Resource<Network>,
                String,
                Option<p2_network::IpAddressFamily>,
                bool,
            );
            instance.func_wrap(function, move |mut store, (_, name, _, _): Asked| {
                shut.refuse_lookup(store.data_mut().gate().ctx, &name);
                Ok((Err::<Resource<Placeholder>, _>(
                    p2_network::ErrorCode::AccessDenied,
                ),))
            })?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") if version.starts_with("0.2.") => {
            instance.func_wrap(
                function,
                move |mut store, (_, name): (Resource<Network>, String)| {
                    shut.refuse_lookup(store.data_mut().gate().ctx, &name);
                    Ok((Err::<Resource<Placeholder>, _>(
                        p2_network::ErrorCode::AccessDenied,
                    ),))
                },
            )?;
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") => {
            instance.func_wrap_concurrent(function, move |store, (name,): (String,)| {
                store.with(|mut store| shut.refuse_lookup(store.get().gate().ctx, &name));
                let denied = p3_sockets::ip_name_lookup::ErrorCode::AccessDenied;
                let answer = (Err::<Vec<p3_sockets::types::IpAddress>, _>(denied),);
                Box::pin(std::future::ready(Ok(answer)))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
