//! `fermyon:spin/rdbms-types@2.0.0`: what version 2 of the interfaces of databases has in common.

#[allow(unreachable_pub, reason = "the bindings of others re-export it")]
pub use bindings::fermyon::spin::rdbms_types as types;
use wasmtime::component::Linker;

use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;

/// Adds the interface, which has no function.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Hosted>(linker, T::platform)
}

impl types::Host for PlatformCtxView<'_> {}

impl From<NotOpened> for types::Error {
    fn from(why: NotOpened) -> Self {
        Self::ConnectionFailed(why.to_string())
    }
}

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:platform/rdbms",
        imports: { default: async | trappable },
    });
}
