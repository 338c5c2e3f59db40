//! The gate as a store has it: what an embedder puts into the data of a [`Store`](wasmtime::Store).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use outport_policy::{Attempt, LabelKind};
use wasmtime::component::{HasData, ResourceTable};
#[cfg(feature = "http")]
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView};

use crate::denied::Denied;
use crate::dial::Dialer;
use crate::enforcer::Enforcer;
use crate::host_account::HostAccount;
use crate::host_calls::{HostCalls, HostInterface};
#[cfg(feature = "http")]
use crate::http::{Ending, GateHooks};
use crate::outgoing::Outgoing;
use crate::process::Component;
#[cfg(feature = "tls")]
use crate::stream_tls::StreamTls;
use crate::trace::TraceCell;

/// The network of one instance: its grants, its peers, its counts. Made by [`Gate::open`](crate::Gate::open), kept
/// in the store, and everything that it counts is given back when the store is dropped. Data of a store that has it
/// before the table lets outcomes tell what ended with the instance from what the guest closed.
pub struct GateCtx {
    pub(crate) enforcer: Arc<Enforcer>,
    outgoing: Arc<Outgoing>,
    #[cfg(feature = "http")]
    hooks: GateHooks,
    #[cfg(feature = "http")]
    http: WasiHttpCtx,
}

impl GateCtx {
    pub(crate) fn new(enforcer: Enforcer, outgoing: Arc<Outgoing>) -> Self {
        let enforcer = Arc::new(enforcer);
        Self {
            #[cfg(feature = "http")]
            hooks: GateHooks::new(enforcer.clone(), outgoing.clone()),
            #[cfg(feature = "http")]
            http: WasiHttpCtx::new(),
            enforcer,
            outgoing,
        }
    }

    /// The gate of a part of the instance.
    pub(crate) fn part(&self, component: Arc<Component>, outgoing: Arc<Outgoing>) -> Self {
        let enforcer = Arc::new(self.enforcer.part(component));
        Self {
            #[cfg(feature = "http")]
            hooks: self.hooks.of_part(enforcer.clone(), outgoing.clone()),
            #[cfg(feature = "http")]
            http: self.http.clone(),
            enforcer,
            outgoing,
        }
    }

    /// Charges what the host does for the instance, and holds for it, to `account`. To be called before the instance
    /// runs; later calls change nothing. Default: nobody is told.
    #[must_use]
    pub fn charge_to(self, account: Arc<dyn HostAccount>) -> Self {
        self.enforcer.charge_to(account);
        self
    }

    /// The account that is charged for what is done for the instance, if any is.
    pub fn account(&self) -> Option<Arc<dyn HostAccount>> {
        self.enforcer.account()
    }

    /// Judges whether the instance may open the store, the database or the model that it calls so (HI-5).
    ///
    /// # Errors
    ///
    /// The refusal, of which the sinks were told.
    pub fn authorize_open(&self, kind: LabelKind, label: &str) -> Result<(), Denied> {
        let attempt = Attempt::Open { kind, label };
        self.enforcer.authorize(&attempt, self.enforcer.usage()).map(drop)
    }

    /// The number of sockets, and connections of outgoing HTTP, that all instances of the process have.
    pub fn open_in_process(&self) -> u32 {
        self.enforcer.process().usage.open().load(Ordering::Relaxed)
    }

    /// The id of the component.
    pub fn component(&self) -> &Arc<str> {
        self.enforcer.component().name()
    }

    /// The number of the instance, unique in the process; the audit log names it.
    pub fn instance(&self) -> u64 {
        self.enforcer.number()
    }

    /// The point of a trace at which the instance is: what it does is part of that. To be moved when it begins to answer
    /// a request.
    pub fn trace(&self) -> &TraceCell {
        self.enforcer.trace()
    }

    /// The dialer that connects on behalf of the instance, for interfaces of the host beside sockets and HTTP.
    pub fn dialer(&self) -> Dialer {
        Dialer::new(self.enforcer.clone(), self.outgoing.tls().clone())
    }

    /// The calls of an interface by the instance, to be counted and traced.
    pub fn calls(&self, interface: HostInterface) -> HostCalls {
        HostCalls::new(&self.enforcer, interface)
    }

    /// What speaks TLS for the instance on streams of its own.
    #[cfg(feature = "tls")]
    pub fn stream_tls(&self) -> StreamTls {
        StreamTls::new(self.enforcer.clone(), self.outgoing.tls().clone())
    }

    /// Sets the bounds of `wasi:http`, such as that of headers. Default: those of [`WasiHttpCtx::new`].
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_http(mut self, http: WasiHttpCtx) -> Self {
        self.http = http;
        self
    }

    /// To tell the bodies under way that the instance did not end by itself.
    #[cfg(feature = "http")]
    pub fn ending(&self) -> Ending {
        self.hooks.ending().clone()
    }

    /// The hooks for [`WasiHttpCtxView::hooks`](wasmtime_wasi_http::WasiHttpCtxView::hooks), through which every
    /// outgoing request of the instance has to go.
    #[cfg(feature = "http")]
    pub fn http_hooks(&mut self) -> &mut GateHooks {
        &mut self.hooks
    }
}

/// A gate and the table that its sockets live in, borrowed from the data of a store.
pub struct GateCtxView<'a> {
    /// The instance's side of the gate.
    pub ctx: &'a mut GateCtx,
    /// The table of the store: the one that [`WasiView`](wasmtime_wasi::WasiView) gives out as well. What the gate makes and
    /// what WASI makes refer to each other in it, so with two tables a guest traps where it waits or reads.
    pub table: &'a mut ResourceTable,
}

impl<'a> GateCtxView<'a> {
    /// The context of `wasi:http`, whose hooks are the gate's. For who serves HTTP: it is what
    /// [`WasiHttpView`](wasmtime_wasi_http::WasiHttpView) has to give out.
    #[cfg(feature = "http")]
    pub fn into_http(self) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView {
            hooks: &mut self.ctx.hooks,
            table: self.table,
            ctx: &mut self.ctx.http,
        }
    }
}

/// Ends what the instance still holds.
impl Drop for GateCtx {
    fn drop(&mut self) {
        self.enforcer.end();
    }
}

/// Data of a store that has a gate. Its table has to be the same that the store's other views give out.
pub trait GateView: Send {
    /// The gate and the table of the store.
    fn gate(&mut self) -> GateCtxView<'_>;
}

/// Says to `wasmtime` that the adapters of this crate work on a [`GateCtxView`].
pub(crate) struct Gated;

impl HasData for Gated {
    type Data<'a> = GateCtxView<'a>;
}
