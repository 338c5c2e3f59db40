//! WASI 0.3: the adapters. They convert and pass on; what they pass on to is in [`sockets`](crate::sockets) and
//! [`lookup`](crate::lookup).
//!
//! All of `types` and `ip-name-lookup` is of this crate, but for the types of the guest's handles.

mod http;
mod ip_name_lookup;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets;
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

pub use self::http::add_http_to_linker;
pub(crate) use self::http::define_client;
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::denied::{Denied, DeniedKind};

/// Puts the gate in front of the sockets and look-ups of WASI 0.3.
///
/// To be called after [`wasmtime_wasi::p3::add_to_linker`], whose interfaces it replaces.
///
/// # Errors
///
/// What the linker reports. An engine without the asynchronous component model is one such case.
pub fn add_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add_shadowing(linker);
    linker.allow_shadowing(false);
    added
}

fn add_shadowing<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sockets::types::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::ip_name_lookup::add_to_linker::<T, Gated>(linker, T::gate)
}

impl sockets::types::Host for GateCtxView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<sockets::types::ErrorCode> {
        error.downcast()
    }
}

fn refused<R>(denied: Denied) -> SocketResult<R> {
    use sockets::types::ErrorCode;
    Err(match denied.kind() {
        DeniedKind::Quota => ErrorCode::Other(Some("connection quota exhausted".to_owned())).into(),
        DeniedKind::Policy => ErrorCode::AccessDenied.into(),
    })
}
