//! The sources that a component's imports are linked to, in this order:
//!
//! 1. WASI 0.2 and 0.3 of wasmtime, whose network has no rights, with random bytes made in pieces,
//!    a bound for open files, and entries of directories that are the guest's own;
//! 2. the gate, which takes the place of every interface that leads to the network, makes outgoing requests the
//!    same in both, and has those of Spin's first interfaces;
//! 3. the interfaces by which a guest reads its variables, [snapshots of WASI](crate::wasi_2023) from before 0.2, and
//!    interfaces of the platform that the component imports;
//! 4. for a composed component, [refusals](isolated) in place of the rights that its parts do not inherit, and for those
//!    that reach only some of its hosts the [same interfaces](part) behind a gate of their own;
//! 5. for a component that imports what nobody provides, [placeholders](unknown) that trap when they are called,
//!    so that a component with many imports runs as long as it calls only the ones that are there.
//!
//! A component built against WASI 0.2.3 runs on our 0.2.12: within a track of versions wasmtime links an older
//! import to a newer implementation. [`provided`] knows the tracks.

mod isolated;
mod part;
mod provided;
mod unknown;

use outport_egress::Gate;
use wasmtime::component::{InstancePre, Linker};

pub use self::isolated::NotInherited;
pub(crate) use self::part::is_narrowed;
pub use self::provided::is_provided;
use self::unknown::Asker;
pub use self::unknown::NotProvided;
pub(crate) use self::unknown::Placeholder;
use crate::component::Component;
use crate::engine::Engine;
use crate::guest::Guest;

/// Links components to everything that Outport provides. Made once, used for every component.
pub struct GuestLinker {
    engine: Engine,
    linker: Linker<Guest>,
}

/// A component whose imports are all accounted for.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<Guest>,
    /// Interfaces, and functions outside of any, that trap when they are called.
    pub(crate) not_provided: Vec<String>,
}

impl GuestLinker {
    /// A linker for components that `engine` has compiled.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            linker: provided_by_outport(engine).expect("the host's own interfaces do not collide"),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    #[cfg(test)]
    pub(crate) fn everything_but_the_platform(&self) -> &Linker<Guest> {
        &self.linker
    }

    /// Links one component, whose gate says what it is called.
    pub(crate) fn link(&self, component: &Component, gate: &Gate) -> wasmtime::Result<Linked> {
        let mut linker = self.linker.clone();
        let component_type = component.wasmtime().component_type();
        let imports: Vec<&str> = component_type
            .imports(self.engine.wasmtime())
            .map(|(name, _)| name)
            .collect();
        outport_platform::add_imported_to_linker(&mut linker, &imports)?;
        #[cfg(feature = "tls")]
        if imports.iter().any(|import| import.starts_with("wasi:tls/")) {
            outport_platform::tls::add_to_linker(&mut linker)?;
        }
        let asker = Asker {
            gate,
            dependencies: component.dependencies(),
            narrowed: &component.narrowed(),
        };
        let not_provided = unknown::define_placeholders(&mut linker, component, &asker)?;
        Ok(Linked {
            instance: linker.instantiate_pre(component.wasmtime())?,
            not_provided,
        })
    }
}

/// In this order, since the later ones take the place of earlier ones.
fn provided_by_outport(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine.wasmtime());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    outport_egress::add_to_linker(&mut linker)?;
    outport_egress::spin_v1::add_http_to_linker(&mut linker)?;
    crate::directory_entries::add_to_linker(&mut linker)?;
    crate::open_files::add_to_linker(&mut linker)?;
    crate::random::add_to_linker(&mut linker)?;
    crate::variables::add_to_linker(&mut linker)?;
    crate::wasi_2023::add_to_linker(&mut linker)?;
    Ok(linker)
}
