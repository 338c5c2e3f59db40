//! WASI 0.2: the adapters. They convert and pass on; what they pass on to is in [`sockets`](crate::sockets) and
//! [`lookup`](crate::lookup).
//!
//! | interface | of this crate | of `wasmtime-wasi` |
//! | --- | --- | --- |
//! | `tcp-create-socket`, `tcp` | all | – |
//! | `udp-create-socket`, `udp` | all | – |
//! | `ip-name-lookup` | all | – |
//! | `network`, `instance-network` | – | all; they carry no rights |
//!
//! `wasi:http` is of `wasmtime-wasi-http`, but for what sends.

mod create_socket;
#[cfg(feature = "http")]
mod http;
mod ip_name_lookup;
mod network;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::sockets;

#[cfg(feature = "http")]
pub(crate) use self::http::define_outgoing_handler;
#[cfg(feature = "http")]
pub use self::http::{error_code, send};
use crate::ctx::{GateView, Gated};
use crate::linking::shadowing;
#[cfg(not(feature = "http"))]
use crate::shut_interfaces;

/// Puts the gate in front of sockets, look-ups and outgoing HTTP of WASI 0.2, whatever was there before. What the table has
/// of `wasmtime-wasi` is not added.
pub(crate) fn add_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    shadowing(linker, |linker| {
        add_shadowing(linker)?;
        #[cfg(feature = "http")]
        http::add_http(linker)?;
        #[cfg(not(feature = "http"))]
        shut_interfaces::shut(linker, shut_interfaces::HTTP_OF_0_2)?;
        Ok(())
    })
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
