//! The state that a store holds for its instance: the WASI contexts, the gate to the network, the variables, and
//! the budget.
//!
//! The network is only in [`GateCtx`]: the WASI context is built without any network right, so that a path which
//! somebody forgot to lead through the gate denies everything.

use std::sync::Arc;

use outport_egress::{GateCtx, GateCtxView, GateView};
#[cfg(feature = "tls")]
use outport_platform::tls::{self, WasiTlsCtx, WasiTlsCtxView, WasiTlsView};
use outport_platform::{Platform, PlatformCtx, PlatformCtxView, PlatformView};
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::account::Account;
use crate::engine::Engine;
use crate::guest_table::GuestTable;
use crate::limits::Budget;
use crate::variables::{GuestVariables, VariablesView};

/// The data of one store.
pub(crate) struct Guest {
    // Before the table: what is in that ends with the instance, which the gate has to know to tell why.
    gate: GateCtx,
    /// The gates of parts that reach only some of its hosts, by their slots.
    parts: Vec<GateCtx>,
    wasi: WasiCtx,
    table: GuestTable,
    variables: GuestVariables,
    platform: PlatformCtx,
    #[cfg(feature = "tls")]
    tls: WasiTlsCtx,
    budget: Budget,
}

impl Guest {
    /// The table of what the instance holds of the host.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The number of sockets that all guests have.
    pub(crate) fn open_sockets(&self) -> u32 {
        self.gate.open_in_process()
    }

    /// The account of what the instance uses up.
    pub(crate) fn account(&self) -> &Arc<Account> {
        self.budget.account()
    }

    /// The rest of what the instance may use up.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }
}

/// A store for one instance, which counts in `account`. What runs in it yields to its neighbours every
/// [`TICK`](crate::engine::TICK) or more often, if it is run by [`Engine::interrupting`].
pub(crate) fn store(
    engine: &Engine,
    wasi: WasiCtx,
    (gate, parts): (GateCtx, Vec<GateCtx>),
    (variables, platform): (GuestVariables, Platform),
    account: &Arc<Account>,
) -> Store<Guest> {
    let guest = Guest {
        #[cfg(feature = "tls")]
        tls: tls::context(&gate),
        gate,
        parts,
        wasi,
        table: GuestTable::new(),
        variables,
        platform: PlatformCtx::new(platform),
        budget: Budget::new(Arc::clone(account)),
    };
    let mut store = Store::new(engine.wasmtime(), guest);
    store.limiter(|guest| &mut guest.budget);
    store.set_hostcall_fuel(MAX_ARGUMENTS);
    store.set_max_component_handles(MAX_HANDLES);
    store.data_mut().table.set_max_capacity(MAX_HANDLES);
    if let Some(tasks) = store.concurrent_resource_table() {
        tasks.set_max_capacity(MAX_HANDLES);
    }
    store.set_epoch_deadline(1);
    let engine = engine.clone();
    store.epoch_deadline_callback(move |mut guest| {
        let budget = &mut guest.data_mut().budget;
        budget.account().charge_so_far();
        budget.account().check()?;
        // It may go on after a pause, in which the epoch moved.
        if !engine.is_held() {
            return Ok(UpdateDeadline::Continue(1));
        }
        budget.hold(engine.interrupted(budget.held()));
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
        self.gate().into_http()
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

impl PlatformView for Guest {
    fn platform(&mut self) -> PlatformCtxView<'_> {
        PlatformCtxView {
            ctx: &mut self.platform,
            gate: &mut self.gate,
            table: &mut self.table,
        }
    }
}

/// What a part has that reaches only some of the hosts of its component.
pub(crate) struct Slot {
    pub(crate) gate: fn(&mut Guest) -> GateCtxView<'_>,
    pub(crate) http: fn(&mut Guest) -> WasiHttpCtxView<'_>,
    pub(crate) platform: fn(&mut Guest) -> PlatformCtxView<'_>,
}

/// Parts of one component that may each have a gate of their own. A linker takes functions that know their part, so that
/// there is one of each for each slot.
pub(crate) const MOST_NARROWED: usize = 16;

pub(crate) const SLOTS: [Slot; MOST_NARROWED] = [
    Guest::slot::<0>(),
    Guest::slot::<1>(),
    Guest::slot::<2>(),
    Guest::slot::<3>(),
    Guest::slot::<4>(),
    Guest::slot::<5>(),
    Guest::slot::<6>(),
    Guest::slot::<7>(),
    Guest::slot::<8>(),
    Guest::slot::<9>(),
    Guest::slot::<10>(),
    Guest::slot::<11>(),
    Guest::slot::<12>(),
    Guest::slot::<13>(),
    Guest::slot::<14>(),
    Guest::slot::<15>(),
];

impl Guest {
    const fn slot<const N: usize>() -> Slot {
        Slot {
            gate: Self::gate_of::<N>,
            http: Self::http_of::<N>,
            platform: Self::platform_of::<N>,
        }
    }

    fn gate_of<const N: usize>(&mut self) -> GateCtxView<'_> {
        GateCtxView {
            ctx: part_of(&mut self.parts, N),
            table: &mut self.table,
        }
    }

    fn http_of<const N: usize>(&mut self) -> WasiHttpCtxView<'_> {
        self.gate_of::<N>().into_http()
    }

    fn platform_of<const N: usize>(&mut self) -> PlatformCtxView<'_> {
        PlatformCtxView {
            ctx: &mut self.platform,
            gate: part_of(&mut self.parts, N),
            table: &mut self.table,
        }
    }
}

fn part_of(parts: &mut [GateCtx], slot: usize) -> &mut GateCtx {
    parts
        .get_mut(slot)
        .expect("INVARIANT: a component is linked with the gates that its instances have")
}

#[cfg(feature = "tls")]
impl WasiTlsView for Guest {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        WasiTlsCtxView {
            ctx: &mut self.tls,
            table: &mut self.table,
        }
    }
}

impl VariablesView for Guest {
    fn variables(&mut self) -> &GuestVariables {
        &self.variables
    }
}

/// Bytes that a guest may pass to the host in one call. The largest that a stream takes is 1 MiB; a list of handles as
/// long as this is waited for in some milliseconds.
const MAX_ARGUMENTS: usize = 2 * 1024 * 1024;

/// Handles that an instance may have at a time, of the host and of its own resources each; and tasks, streams and
/// futures of WASI 0.3.
const MAX_HANDLES: usize = 50_000;
