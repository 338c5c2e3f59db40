//! The data of a store for a host that has nothing of its own to keep there but what it likes: all views are here.

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::ctx::{GateCtx, GateCtxView, GateView};

/// WASI behind a gate, as the data of a [`Store`](wasmtime::Store). Made by [`GateCtx::with_wasi`]. A host that has data of
/// another kind implements [`GateView`] for that instead.
pub struct WasiState<D = ()> {
    // Before the table: what is in that ends with the instance, which the gate has to know to tell why.
    gate: GateCtx,
    wasi: WasiCtx,
    table: ResourceTable,
    /// What else the host keeps for the instance.
    pub data: D,
}

impl GateCtx {
    /// The data of a store with this gate and with `wasi`, whose network is the gate's whatever it was set to.
    pub fn with_wasi(self, wasi: WasiCtx) -> WasiState {
        WasiState {
            gate: self,
            wasi,
            table: ResourceTable::new(),
            data: (),
        }
    }
}

impl<D> WasiState<D> {
    /// The same with other data of the host's.
    pub fn with_data<E>(self, data: E) -> WasiState<E> {
        WasiState {
            gate: self.gate,
            wasi: self.wasi,
            table: self.table,
            data,
        }
    }
}

impl<D: Send> WasiView for WasiState<D> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl<D: Send> GateView for WasiState<D> {
    fn gate(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: &mut self.gate,
            table: &mut self.table,
        }
    }
}

/// For who serves HTTP with components.
#[cfg(feature = "http")]
impl<D: Send> wasmtime_wasi_http::WasiHttpView for WasiState<D> {
    fn http(&mut self) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
        self.gate().into_http()
    }
}
