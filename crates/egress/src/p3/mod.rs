//! WASI 0.3: the adapters. They convert and pass on; what they pass on to is in [`sockets`](crate::sockets) and
//! [`lookup`](crate::lookup).
//!
//! | interface | of this crate | of `wasmtime-wasi` |
//! | --- | --- | --- |
//! | `types`, `tcp-socket` | all | – |
//! | `types`, `udp-socket` | creation is judged and counted; binds and connects are marked | all else |
//! | `ip-name-lookup` | all | – |

mod http;
mod ip_name_lookup;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets;
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::ctx::{GateCtxView, GateView, Gated};
use crate::denied::{Denied, DeniedKind};

pub use http::add_http_to_linker;

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
        self.sockets().convert_error_code(error)
    }
}

/// The getter of `wasmtime-wasi`'s own implementation.
fn sockets_of<T: GateView>(data: &mut T) -> WasiSocketsCtxView<'_> {
    data.gate().into_sockets()
}

fn refused<R>(denied: Denied) -> SocketResult<R> {
    use sockets::types::ErrorCode;
    Err(match denied.kind() {
        DeniedKind::Quota => ErrorCode::Other(Some("connection quota exhausted".to_owned())).into(),
        DeniedKind::Policy => ErrorCode::AccessDenied.into(),
    })
}
