//! The gate of one component.

use std::sync::{Arc, OnceLock};

use ::http::Response;
use outport_policy::{AllowList, Operator, Policy};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::ctx::GateCtx;
use crate::egress::Egress;
use crate::enforcer::Enforcer;
use crate::http::{Internal, InternalRequest, Pool, Tls, TlsProfile};
use crate::shut::ShutGate;
use crate::usage_counter::OpenInComponent;

/// What one component may reach: the author's allow list before the operator's [`Egress`]. Cheap to clone; shared by
/// all instances of the component.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<GateInner>,
}

struct GateInner {
    egress: Egress,
    component: Arc<str>,
    allow: Arc<AllowList>,
    open: Arc<OpenInComponent>,
    tls: Tls,
    pool: Arc<Pool>,
    internal: OnceLock<Arc<dyn Internal>>,
}

impl Gate {
    pub(crate) fn new(egress: Egress, component: Arc<str>, allow: Arc<AllowList>) -> Self {
        let pool = Arc::new(Pool::new(&egress));
        Self::of(GateInner {
            egress,
            component,
            allow,
            open: Arc::default(),
            tls: Tls::default(),
            pool,
            internal: OnceLock::new(),
        })
    }

    fn of(shared: GateInner) -> Self {
        shared.egress.note_pool(&shared.pool);
        shared.egress.note_component(&shared.open);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Opens the gate for a new instance, which starts without grants and peers (DNS-7).
    pub fn open(&self) -> GateCtx {
        self.open_at(0)
    }

    /// Opens the gate for a new instance that `depth` calls inside the app led to, one after the other: 0 for one that
    /// answers a client, 1 for one that such an instance called. [`Internal::call`] gets it back.
    pub fn open_at(&self, depth: u32) -> GateCtx {
        GateCtx::new(Enforcer::new(self.clone()).at(depth))
    }

    /// The id of the component.
    pub fn component(&self) -> &str {
        &self.shared.component
    }

    /// The operator's side that the gate stands before.
    pub fn egress(&self) -> &Egress {
        &self.shared.egress
    }

    /// A gate for the same component with TLS profiles for some hosts, the first that names a host being the one
    /// for it. Instances that are open already keep the gate they came through.
    #[must_use]
    pub fn with_tls(&self, profiles: Vec<Arc<TlsProfile>>) -> Self {
        let GateInner {
            egress,
            component,
            allow,
            internal,
            ..
        } = &*self.shared;
        Self::of(GateInner {
            egress: egress.clone(),
            component: component.clone(),
            allow: allow.clone(),
            open: Arc::default(),
            tls: Tls::new(profiles),
            pool: Arc::new(Pool::new(egress)),
            internal: internal.clone(),
        })
    }

    /// Lets requests to the app itself and to its components be answered by `app` (AL-7). Can be set once; later
    /// calls change nothing. Without it such requests find nobody.
    pub fn set_internal(&self, app: Arc<dyn Internal>) {
        let _ = self.shared.internal.set(app);
    }

    /// What is there instead for a dependency of the component that does not inherit what the component may reach.
    /// `dependency` is what the manifest calls it.
    pub fn shut(&self, dependency: &str) -> ShutGate {
        let component = format!("{} ({dependency})", self.component());
        let nothing = AllowList::not_inherited();
        ShutGate::new(self.shared.egress.gate(component, nothing.into()))
    }

    /// Lets the app answer a request that is permitted.
    pub(crate) async fn call_internal(
        &self,
        request: InternalRequest,
        depth: u32,
    ) -> Result<Response<WasiBody>, Error> {
        let (destination, request) = request.into_parts();
        match self.shared.internal.get() {
            Some(app) => app.call(destination, depth, request).await,
            None => Err(Error::DestinationNotFound),
        }
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.shared.tls
    }

    /// The idle connections of the component.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.shared.pool
    }

    pub(crate) fn component_id(&self) -> &Arc<str> {
        &self.shared.component
    }

    /// The policy of the component under `operator`.
    pub(crate) fn policy(&self, operator: Arc<Operator>) -> Policy {
        Policy::new(self.shared.component.clone(), self.shared.allow.clone(), operator)
    }

    /// What all instances of the component have open.
    pub(crate) fn open_in_component(&self) -> &Arc<OpenInComponent> {
        &self.shared.open
    }
}
