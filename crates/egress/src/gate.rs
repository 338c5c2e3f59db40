//! The gate of one component.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use outport_policy::{AllowList, Operator, Policy};

use crate::ctx::GateCtx;
use crate::instance::InstanceGate;
use crate::wall::Wall;

/// What one component may reach: the author's allow list before the operator's [`Wall`]. Cheap to clone; shared by
/// all instances of the component.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    wall: Wall,
    component: Arc<str>,
    allow: Arc<AllowList>,
    sockets: AtomicU32,
    connections: AtomicU32,
}

impl Gate {
    pub(crate) fn new(wall: Wall, component: Arc<str>, allow: Arc<AllowList>) -> Gate {
        let (sockets, connections) = (AtomicU32::new(0), AtomicU32::new(0));
        Gate {
            shared: Arc::new(Shared {
                wall,
                component,
                allow,
                sockets,
                connections,
            }),
        }
    }

    /// Opens the gate for a new instance, which starts without grants and peers (DNS-7).
    pub fn open(&self) -> GateCtx {
        GateCtx::new(InstanceGate::new(self.clone()))
    }

    /// The id of the component.
    pub fn component(&self) -> &str {
        &self.shared.component
    }

    /// The wall that the gate is in.
    pub fn wall(&self) -> &Wall {
        &self.shared.wall
    }

    pub(crate) fn component_id(&self) -> &Arc<str> {
        &self.shared.component
    }

    /// The policy of the component under `operator`.
    pub(crate) fn policy(&self, operator: Arc<Operator>) -> Policy {
        Policy::new(self.shared.component.clone(), self.shared.allow.clone(), operator)
    }

    /// The sockets of all instances of the component.
    pub(crate) fn sockets(&self) -> &AtomicU32 {
        &self.shared.sockets
    }

    /// The connections of outgoing HTTP of all instances of the component.
    pub(crate) fn connections(&self) -> &AtomicU32 {
        &self.shared.connections
    }
}
