//! `fermyon:spin/rdbms-types@2.0.0`: what version 2 of the interfaces of databases has in common. Those without a version
//! have the same in common, but for the error.

pub use bindings::fermyon::spin::rdbms_types as types;
pub use types::{ParameterValue, RowSet};
use wasmtime::component::Linker;

use crate::ctx::{Hosted, PlatformCtxView, PlatformView};
use crate::not_opened::NotOpened;

/// Adds the interface, which has no function, in both versions.
pub(crate) fn add_to_linker<T: PlatformView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, Hosted>(linker, T::platform)?;
    linker.instance("fermyon:spin/rdbms-types").map(drop)
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
