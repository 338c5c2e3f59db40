//! WASI 0.2: the adapters. They convert and pass on; what they pass on to is in [`sockets`](crate::sockets) and
//! [`lookup`](crate::lookup).
//!
//! | interface | of this crate | of `wasmtime-wasi` |
//! | --- | --- | --- |
//! | `tcp-create-socket`, `tcp` | all | – |
//! | `udp-create-socket`, `udp` | all | – |
//! | `ip-name-lookup` | all | – |
//! | `network`, `instance-network` | – | all; they carry no rights |

mod create_socket;
mod http;
mod ip_name_lookup;
mod network;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::sockets;

pub(crate) use self::http::define_outgoing_handler;
pub use self::http::{add_http_to_linker, error_code, send};
use crate::ctx::{GateView, Gated};

/// Puts the gate in front of the sockets and look-ups of WASI 0.2.
///
/// To be called after [`wasmtime_wasi::p2::add_to_linker_async`], whose interfaces it replaces. Without that call
/// the interfaces of the table above that are `wasmtime-wasi`'s are missing.
///
/// # Errors
///
/// What the linker reports. An engine without asynchronous support is one such case.
pub fn add_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add_shadowing(linker);
    linker.allow_shadowing(false);
    added
}

fn add_shadowing<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sockets::tcp_create_socket::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::udp_create_socket::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::tcp::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::udp::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::ip_name_lookup::add_to_linker::<T, Gated>(linker, T::gate)
}

#[cfg(test)]
mod tests;
