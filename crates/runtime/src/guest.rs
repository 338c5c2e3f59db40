//! What a store holds for its instance: the WASI contexts, the gate to the network, the variables, and
//! the budget.
//!
//! The network is only in [`GateCtx`]: the WASI context is built without any network right, so that a path which
//! somebody forgot to lead through the gate denies everything.

use outport_egress::{GateCtx, GateCtxView, GateView};
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::engine::Engine;
use crate::limits::{Budget, GuestLimits};
use crate::variables::{GuestVariables, VariablesView};

/// The data of one store.
pub(crate) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    gate: GateCtx,
    variables: GuestVariables,
    budget: Budget,
}

impl Guest {
    /// What the instance holds of the host.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What is left of what the instance may use up.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }
}

/// A store for one instance. What runs in it yields to its neighbours every [`TICK`](crate::engine::TICK) or more
/// often, if it is run by [`Engine::interrupting`].
pub(crate) fn store(
    engine: &Engine,
    wasi: WasiCtx,
    gate: GateCtx,
    variables: GuestVariables,
    limits: &GuestLimits,
) -> Store<Guest> {
    let guest = Guest {
        wasi,
        http: WasiHttpCtx::new(),
        table: ResourceTable::new(),
        gate,
        variables,
        budget: Budget::new(limits, engine.memory()),
    };
    let mut store = Store::new(engine.wasmtime(), guest);
    store.limiter(|guest| &mut guest.budget);
    store.set_epoch_deadline(1);
    let engine = engine.clone();
    store.epoch_deadline_callback(move |mut guest| {
        let budget = &mut guest.data_mut().budget;
        if !engine.is_held() {
            // It goes on after a pause. It is charged all the same: else it could pause whenever a tick is near.
            budget.spend(engine.tick())?;
            return Ok(UpdateDeadline::Continue(1));
        }
        budget.spend_slice(engine.interrupted(budget.held()))?;
        // Tokio's own yield also lets it look at sockets and timers. A future that merely wakes itself would be
        // polled some sixty times, a slice each, before anybody looks.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: self.gate.http_hooks(),
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl GateView for Guest {
    fn gate(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: &mut self.gate,
            table: &mut self.table,
        }
    }
}

impl VariablesView for Guest {
    fn variables(&mut self) -> &GuestVariables {
        &self.variables
    }
}
