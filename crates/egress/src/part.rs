//! Interfaces for a part of a component that reaches less than the component: the same ones, under a name that the
//! embedder chooses, behind a gate of the part's own.
//!
//! A socket belongs to the gate that it was made by, whoever connects it: what a part is handed is judged by the list of
//! who made it, and what it makes by its own, whoever it hands that to.

use wasmtime::component::LinkerInstance;
use wasmtime_wasi::p2::bindings::sockets as p2;
#[cfg(feature = "p3")]
use wasmtime_wasi::p3::bindings::sockets as p3;
use wasmtime_wasi_http::WasiHttpCtxView;

use crate::ctx::{GateCtxView, GateView, Gated};

/// What a part of the component in the store has, with the part's gate.
pub struct PartViews<T> {
    /// The gate and the table of the store.
    pub gate: fn(&mut T) -> GateCtxView<'_>,
    /// HTTP, whose hooks are that gate's.
    pub http: fn(&mut T) -> WasiHttpCtxView<'_>,
}

/// Defines in `instance` the interface `name` in that version, of those by which a guest makes a socket, looks a name up
/// or sends a request; answers whether it is one of them. What it does is judged by the gate of `views`.
///
/// # Errors
///
/// What the linker reports.
pub fn add_for_part<T: GateView + 'static>(
    instance: &mut LinkerInstance<'_, T>,
    (name, version): (&str, &str),
    views: &PartViews<T>,
) -> wasmtime::Result<bool> {
    let is_0_3 = version.starts_with("0.3.");
    let gate = views.gate;
    if version.contains('-') {
        return Ok(false);
    }
    match name {
        "wasi:sockets/tcp-create-socket" => {
            p2::tcp_create_socket::add_to_linker_instance::<T, Gated>(instance, gate)?;
        }
        "wasi:sockets/udp-create-socket" => {
            p2::udp_create_socket::add_to_linker_instance::<T, Gated>(instance, gate)?;
        }
        #[cfg(feature = "p3")]
        "wasi:sockets/ip-name-lookup" if is_0_3 => {
            p3::ip_name_lookup::add_to_linker_instance::<T, Gated>(instance, gate)?;
        }
        "wasi:sockets/ip-name-lookup" => {
            p2::ip_name_lookup::add_to_linker_instance::<T, Gated>(instance, gate)?;
        }
        #[cfg(feature = "p3")]
        "wasi:sockets/types" if is_0_3 => {
            p3::types::add_to_linker_instance::<T, Gated>(instance, gate)?;
        }
        "wasi:http/outgoing-handler" => crate::p2::define_outgoing_handler(instance, views.http)?,
        #[cfg(feature = "p3")]
        "wasi:http/client" if is_0_3 => crate::p3::define_client(instance, views.http)?,
        "fermyon:spin/http" if version.is_empty() => crate::spin_v1::define_http(instance, gate)?,
        _ => return Ok(false),
    }
    Ok(true)
}
