//! A component that is compiled, linked, and knows its gate, environment and limits: all that is left to do for
//! an instance is to make it. Everything that can be done once is done here, not for each request.

use std::sync::Arc;

use outport_egress::{Egress, Gate, GateCtx, PartGate};
use outport_policy::{AllowList, text};
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi::WasiCtx;

use crate::account::{Account, STACK};
use crate::component::{Component, Export};
use crate::engine::Engine;
use crate::guest::{self, Guest};
use crate::guest_env::GuestEnv;
use crate::instance_counts::{InstanceCounts, LiveInstance};
use crate::limits::{GuestLimits, MAX_GROWN_TABLE, MAX_MEMORIES, MAX_TABLES};
use crate::linker::GuestLinker;
use crate::memory_ceiling::MemoryShare;

/// A component, ready to be instantiated. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct GuestPre {
    shared: Arc<GuestPreInner>,
}

/// The lists of hosts that parts have of their own, by the names of the parts.
type PartLists<'l> = dyn Fn(&str) -> Option<Arc<AllowList>> + 'l;

struct GuestPreInner {
    name: String,
    engine: Engine,
    component: Component,
    instance: InstancePre<Guest>,
    not_provided: Vec<String>,
    gate: Gate,
    /// The gates of parts that reach only some of its hosts, by their slots.
    parts: Vec<PartGate>,
    guest_env: GuestEnv,
    limits: GuestLimits,
    counts: InstanceCounts,
    /// The share that the instances may take of the memory of all guests.
    share: Arc<MemoryShare>,
    /// Bytes of the largest memory that an instance begins with.
    first_memory: usize,
}

/// The reason why a component cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The component imports what cannot be linked, not even to a placeholder.
    #[error("component `{component}` cannot be linked: {reason:#}")]
    Unlinkable {
        /// The component.
        component: String,
        /// The linker's error.
        reason: wasmtime::Error,
    },
    /// The component needs more than one component may have (ISO-1).
    #[error("component `{component}` has {needed} {what}, and may have {most}")]
    TooMany {
        /// The component.
        component: String,
        /// Of what.
        what: &'static str,
        /// The number that it has.
        needed: u64,
        /// The number that it may have.
        most: u64,
    },
    /// Its instances would begin with more memory than one may have (ISO-1).
    #[error(
        "component `{component}` begins with {} KiB of memory, and may have {} KiB (`{option}`): no instance of it \
         would start", .needed >> 10, .most >> 10
    )]
    TooLarge {
        /// The component.
        component: String,
        /// Bytes.
        needed: usize,
        /// Bytes.
        most: usize,
        /// The option that sets the number.
        option: &'static str,
    },
}

impl GuestPre {
    /// Links `component`, whose name is its gate's.
    ///
    /// # Errors
    ///
    /// When the component imports a module, uses an interface in a way that the provided one does not allow, or needs
    /// more than one component may have.
    pub fn link(
        linker: &GuestLinker,
        component: &Component,
        gate: Gate,
        guest_env: GuestEnv,
        limits: GuestLimits,
    ) -> Result<Self, LinkError> {
        Self::link_parts(linker, component, (gate, &|_| None), guest_env, limits)
    }

    /// The same for a component with parts that reach only some of its hosts, of which `hosts` tells the lists by their
    /// names. One that it does not know reaches nothing.
    pub(crate) fn link_parts(
        linker: &GuestLinker,
        component: &Component,
        (gate, hosts): (Gate, &PartLists<'_>),
        guest_env: GuestEnv,
        limits: GuestLimits,
    ) -> Result<Self, LinkError> {
        let names = component.dependencies();
        let parts = component.narrowed().into_iter().map(|number| {
            let name = names.get(number).map_or("unknown", String::as_str);
            gate.part(name, hosts(name).unwrap_or_default())
        });
        let parts = parts.collect();
        let name = text::message(gate.component()).to_string();
        let first_memory = first_memory(component.wasmtime(), &name, &limits)?;
        let counts = InstanceCounts::of(gate.egress().meter(), gate.component());
        let share = linker.engine().memory().share(&name).measured(counts.memory());
        let most = linker.engine().memory().limit().saturating_sub(STACK);
        if first_memory > most {
            return Err(LinkError::TooLarge {
                component: name,
                needed: first_memory,
                most,
                option: "--max-memory-total",
            });
        }
        let linked = linker
            .link(component, &gate)
            .map_err(|reason| LinkError::Unlinkable {
                component: name.clone(),
                reason,
            })?;
        let shared = GuestPreInner {
            name,
            engine: linker.engine().clone(),
            component: component.clone(),
            instance: linked.instance,
            not_provided: linked.not_provided,
            gate,
            parts,
            guest_env,
            limits,
            counts,
            share: Arc::new(share),
            first_memory,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The component's name, as messages show it: with everything escaped that a terminal or log could take for more
    /// than text.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// True if the component exports it.
    pub fn has(&self, export: Export) -> bool {
        self.shared.component.has(export)
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

    /// The account of a further instance, with what it takes to start it. None where there is no memory for one.
    pub(crate) fn admit(&self) -> Option<Arc<Account>> {
        let GuestPreInner {
            limits,
            counts,
            share,
            first_memory,
            ..
        } = &*self.shared;
        let account = Account::open(limits, share, *first_memory)?;
        Some(Arc::new(account.counted(counts.cpu())))
    }

    /// Counts an instance that is about to be made, until what is answered here is dropped.
    pub(crate) fn count_instance(&self) -> LiveInstance {
        self.shared.counts.start()
    }

    /// The id of the component, as the manifest writes it.
    pub(crate) fn id(&self) -> &str {
        self.shared.gate.component()
    }

    /// The operator's side of its gate.
    pub fn egress(&self) -> &Egress {
        self.shared.gate.egress()
    }

    /// Warns where what is kept for the component is not enough for one instance, once all components are known.
    pub(crate) fn check_own_memory(&self) {
        let GuestPreInner {
            name,
            share,
            first_memory,
            ..
        } = &*self.shared;
        let needed = first_memory.saturating_add(STACK);
        if needed > share.own() {
            tracing::warn!(
                outport.component = name.as_str(),
                "{} KiB of memory are kept for component `{name}`, and one instance begins with {} KiB: others can \
                 keep it from starting; a larger `--max-memory-total` keeps more",
                share.own() >> 10,
                needed >> 10
            );
        }
    }

    /// The environment of each instance.
    pub(crate) fn guest_env(&self) -> &GuestEnv {
        &self.shared.guest_env
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn instance(&self) -> &InstancePre<Guest> {
        &self.shared.instance
    }

    /// A store for a new instance that was admitted, with a gate and grants of its own; `depth` calls inside the app
    /// led to it.
    pub(crate) fn store_at(&self, depth: u32, account: &Arc<Account>) -> Store<Guest> {
        self.store_with(GuestEnv::context, depth, account)
    }

    /// The same with a WASI context that is made by `wasi` of its [environment](Self::guest_env).
    pub(crate) fn store_with(
        &self,
        wasi: impl FnOnce(&GuestEnv, &GateCtx) -> WasiCtx,
        depth: u32,
        account: &Arc<Account>,
    ) -> Store<Guest> {
        let GuestPreInner {
            engine,
            gate,
            parts,
            guest_env,
            ..
        } = &*self.shared;
        let gate = gate.open_at(depth).charge_to(account.clone());
        let parts = parts.iter().map(|part| part.open(&gate)).collect();
        let wasi = wasi(guest_env, &gate);
        guest::store(
            engine,
            wasi,
            (gate, parts),
            (guest_env.variables.clone(), guest_env.platform.clone()),
            account,
        )
    }
}

/// Bytes of linear memory that an instance begins with; an error where that, or what else it declares, is more than it
/// may have. What cannot be told before it starts is held when it does.
fn first_memory(
    component: &wasmtime::component::Component,
    name: &str,
    limits: &GuestLimits,
) -> Result<usize, LinkError> {
    // Nothing is known ahead where a component takes in others or modules from outside.
    let Some(required) = component.resources_required() else {
        return Ok(0);
    };
    let counts = [
        (
            "memories",
            u64::from(required.num_memories),
            u64::from(MAX_MEMORIES),
        ),
        ("tables", u64::from(required.num_tables), u64::from(MAX_TABLES)),
        (
            "elements in a table",
            required.max_initial_table_size.unwrap_or(0),
            MAX_GROWN_TABLE as u64,
        ),
    ];
    for (what, needed, most) in counts {
        if needed > most {
            return Err(LinkError::TooMany {
                component: name.to_owned(),
                what,
                needed,
                most,
            });
        }
    }
    let pages = usize::try_from(required.max_initial_memory_size.unwrap_or(0)).unwrap_or(usize::MAX);
    let needed = pages.saturating_mul(PAGE);
    if needed > limits.memory {
        return Err(LinkError::TooLarge {
            component: name.to_owned(),
            needed,
            most: limits.memory,
            option: "--max-memory",
        });
    }
    Ok(needed)
}

/// Bytes of a page of linear memory.
const PAGE: usize = 64 * 1024;
