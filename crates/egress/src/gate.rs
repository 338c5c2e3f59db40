//! The gate of one component.

use std::sync::Arc;

use outport_policy::AllowList;

use crate::ctx::GateCtx;
use crate::egress::Egress;
use crate::enforcer::Enforcer;
#[cfg(feature = "http")]
use crate::http::Internal;
use crate::outgoing::Outgoing;
use crate::process::Component;
use crate::shut::ShutGate;
#[cfg(feature = "tls")]
use crate::tls::TlsProfile;

/// The gate of one component: the author's allow list before the operator's [`Egress`]. Cheap to clone; shared by
/// all instances of the component.
#[derive(Clone)]
pub struct Gate {
    egress: Egress,
    component: Arc<Component>,
    outgoing: Arc<Outgoing>,
}

impl Gate {
    pub(crate) fn new(egress: Egress, component: Arc<str>, allow: Arc<AllowList>) -> Self {
        let process = egress.process();
        Self {
            component: Arc::new(Component::new(process.clone(), component, allow)),
            outgoing: Arc::new(Outgoing::new(&process.usage)),
            egress,
        }
    }

    /// Opens the gate for a new instance, which starts without grants and peers (DNS-7).
    pub fn open(&self) -> GateCtx {
        self.open_at(0)
    }

    /// Opens the gate for a new instance that `depth` calls inside the app led to, one after the other: 0 for one that
    /// answers a client, 1 for one that such an instance called. [`Internal::call`] gets it back.
    pub fn open_at(&self, depth: u32) -> GateCtx {
        let enforcer = Enforcer::new(self.component.clone()).at(depth);
        GateCtx::new(enforcer, self.outgoing.clone())
    }

    /// The id of the component.
    pub fn component(&self) -> &str {
        self.component.name()
    }

    /// The operator's side that the gate stands before.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// A gate for the same component with TLS profiles for some hosts, the first that names a host being the one
    /// for it. Instances that are open already keep the gate they came through.
    #[must_use]
    #[cfg(feature = "tls")]
    pub fn with_tls(&self, profiles: Vec<Arc<TlsProfile>>) -> Self {
        let usage = &self.egress.process().usage;
        Self {
            egress: self.egress.clone(),
            component: Arc::new(self.component.again()),
            outgoing: Arc::new(self.outgoing.with_tls(profiles, usage)),
        }
    }

    /// Lets requests to the app itself and to its components be answered by `app` (AL-7). Can be set once; later
    /// calls change nothing. Without it such requests find nobody.
    #[cfg(feature = "http")]
    pub fn set_internal(&self, app: Arc<dyn Internal>) {
        self.outgoing.set_internal(app);
    }

    /// The gate of a part of the component, such as a dependency, that inherits what the component may reach, as far as
    /// `allow` permits it as well. `part` is what the host calls it. What it has open counts as the component's.
    pub fn part(&self, part: &str, allow: Arc<AllowList>) -> PartGate {
        let name = format!("{}/{part}", self.component()).into();
        PartGate {
            component: Arc::new(self.component.part(name, allow)),
            outgoing: self.outgoing.clone(),
        }
    }

    /// The gate of a dependency of the component that does not inherit what the component may reach.
    /// `dependency` is what the host calls it.
    pub fn shut(&self, dependency: &str) -> ShutGate {
        let name = format!("{}/{dependency}", self.component()).into();
        let nothing = AllowList::not_inherited().into();
        ShutGate::new(Component::new(self.egress.process().clone(), name, nothing))
    }
}

/// The gate of a part of a component. Cheap to clone. Made by [`Gate::part`].
#[derive(Clone)]
pub struct PartGate {
    component: Arc<Component>,
    outgoing: Arc<Outgoing>,
}

impl PartGate {
    /// Opens the gate for the part of an instance whose own gate is `whole`. Grants and peers are the part's; what it
    /// has open, its account and its end are the instance's.
    pub fn open(&self, whole: &GateCtx) -> GateCtx {
        whole.part(self.component.clone(), self.outgoing.clone())
    }
}
