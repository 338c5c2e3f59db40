//! WASI 0.3: the adapters. They convert and pass on; what they pass on to is in [`sockets`](crate::sockets) and
//! [`lookup`](crate::lookup).
//!
//! All of `types` and `ip-name-lookup` is of this crate, but for the types of the guest's handles.

#[cfg(feature = "http")]
mod http;
mod ip_name_lookup;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets;
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

#[cfg(feature = "http")]
pub(crate) use self::http::define_client;
use crate::ctx::{GateCtxView, GateView, Gated};
use crate::denied::{Denied, DeniedKind};
use crate::linking::shadowing;
#[cfg(not(feature = "http"))]
use crate::shut_interfaces;

/// Puts the gate in front of sockets, look-ups and outgoing HTTP of WASI 0.3, whatever was there before. The engine has to
/// have concurrency.
pub(crate) fn add_to_linker<T: GateView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    shadowing(linker, |linker| {
        add_shadowing(linker)?;
        #[cfg(feature = "http")]
        http::add_http(linker)?;
        #[cfg(not(feature = "http"))]
        shut_interfaces::shut(linker, shut_interfaces::HTTP_OF_0_3)?;
        Ok(())
    })
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
