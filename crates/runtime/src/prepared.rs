//! A component that is compiled, linked, and knows its gate, surroundings and limits: all that is left to do for
//! an instance is to make it. Everything that can be done once is done here, not for each request.

use std::sync::Arc;

use outport_egress::Gate;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::component::{Component, Entrance};
use crate::engine::Engine;
use crate::guest::{self, Guest};
use crate::limits::GuestLimits;
use crate::linker::Interfaces;
use crate::surroundings::{DirectoryError, Surroundings};

/// Prepares components on one engine.
pub struct Workshop {
    engine: Engine,
    interfaces: Interfaces,
}

/// A component, ready to be instantiated. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Prepared {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    component: Component,
    instance: InstancePre<Guest>,
    not_provided: Vec<String>,
    gate: Gate,
    surroundings: Surroundings,
    limits: GuestLimits,
    /// Bytes of the largest memory that an instance begins with.
    first_memory: usize,
}

/// A component imports what cannot be linked, not even to a placeholder.
#[derive(Debug, thiserror::Error)]
#[error("component `{component}` cannot be linked: {reason:#}")]
#[non_exhaustive]
pub struct LinkError {
    /// The component.
    pub component: String,
    reason: wasmtime::Error,
}

impl Workshop {
    /// A workshop on `engine`.
    pub fn new(engine: &Engine) -> Workshop {
        let interfaces = Interfaces::new(engine).expect("the host's own interfaces do not collide");
        Workshop {
            engine: engine.clone(),
            interfaces,
        }
    }

    /// Links `component`, whose name is its gate's.
    ///
    /// # Errors
    ///
    /// When the component imports a module, or uses an interface in a way that the provided one does not allow.
    pub fn prepare(
        &self,
        component: &Component,
        gate: Gate,
        surroundings: Surroundings,
        limits: GuestLimits,
    ) -> Result<Prepared, LinkError> {
        let linked = self
            .interfaces
            .link(component, &gate)
            .map_err(|reason| LinkError {
                component: gate.component().to_owned(),
                reason,
            })?;
        let required = component.wasmtime().resources_required();
        let first_pages = required.and_then(|required| required.max_initial_memory_size);
        let first_memory = usize::try_from(first_pages.unwrap_or(0)).unwrap_or(usize::MAX);
        let shared = Shared {
            engine: self.engine.clone(),
            component: component.clone(),
            instance: linked.instance,
            not_provided: linked.not_provided,
            gate,
            surroundings,
            limits,
            first_memory: first_memory.saturating_mul(PAGE),
        };
        Ok(Prepared {
            shared: Arc::new(shared),
        })
    }
}

impl Prepared {
    /// The component's name.
    pub fn name(&self) -> &str {
        self.shared.gate.component()
    }

    /// Whether the component has this entrance.
    pub fn has(&self, entrance: Entrance) -> bool {
        self.shared.component.has(entrance)
    }

    /// Names of what the component exports.
    pub fn exports(&self) -> impl Iterator<Item = String> {
        self.shared.component.exports()
    }

    /// Imports that nobody provides: they trap when they are called.
    pub fn not_provided(&self) -> &[String] {
        &self.shared.not_provided
    }

    /// The limits of each instance.
    pub fn limits(&self) -> &GuestLimits {
        &self.shared.limits
    }

    /// Whether there is memory for a further instance, as far as can be told before it starts.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.engine.memory().has_room_for(self.shared.first_memory)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn instance(&self) -> &InstancePre<Guest> {
        &self.shared.instance
    }

    /// A store for a new instance, with a gate, grants and budget of its own.
    pub(crate) fn store(&self) -> Result<Store<Guest>, DirectoryError> {
        self.store_at(0)
    }

    /// A store for a new instance that `depth` calls inside the app led to.
    pub(crate) fn store_at(&self, depth: u32) -> Result<Store<Guest>, DirectoryError> {
        let Shared {
            engine,
            gate,
            surroundings,
            limits,
            ..
        } = &*self.shared;
        Ok(guest::store(
            engine,
            surroundings.context()?,
            gate.open_at(depth),
            surroundings.variables.clone(),
            limits,
        ))
    }
}

/// Bytes of a page of linear memory.
const PAGE: usize = 64 * 1024;
