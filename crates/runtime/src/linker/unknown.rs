//! Placeholders for what a component imports and nobody provides.
//!
//! Names that stand for what a dependency does not inherit are left to [`isolated`].
//!
//! For each such interface, every function becomes one that traps and says which function it was, and every
//! resource a type without values. A resource that the interface only borrows from another one (`use`) is left
//! alone: it is already there, provided or as that interface's placeholder.

use std::collections::BTreeSet;
use std::error::Error;

use outport_egress::Gate;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Linker, LinkerInstance, ResourceType};

use super::provided::is_provided;
use super::{isolated, part};
use crate::app::{Isolated, Right};
use crate::component::Component;
use crate::guest::Guest;

/// A guest called a function that is not there. The guest ends with it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("called `{function}` of `{interface}`, which Outport does not provide")]
#[non_exhaustive]
pub struct NotProvided {
    /// The interface, with its version.
    pub interface: String,
    /// The function in it.
    pub function: String,
}

/// The name of the component that is linked, and the one that asks.
pub(super) struct Asker<'a> {
    pub(super) gate: &'a Gate,
    /// The names of the dependencies that were composed into it, by number.
    pub(super) dependencies: &'a [String],
    /// The numbers of those that have a gate of their own.
    pub(super) narrowed: &'a BTreeSet<usize>,
}

/// Defines a placeholder for everything that `component` imports and the linker does not have. Returns the names
/// of those imports that nobody provides.
pub(super) fn define_placeholders(
    linker: &mut Linker<Guest>,
    component: &Component,
    asker: &Asker<'_>,
) -> wasmtime::Result<Vec<String>> {
    let compiled = component.wasmtime();
    let engine = compiled.engine();
    let mut not_provided = Vec::new();
    let mut resources = Vec::new();
    for (name, import) in compiled.component_type().imports(engine) {
        let provided = is_provided(name);
        match import.ty {
            // Its resources are there: a placeholder that uses one must not define it again.
            ComponentItem::ComponentInstance(interface) if provided => {
                resources.extend(
                    interface
                        .exports(engine)
                        .filter_map(|(_, export)| resource(&export.ty)),
                );
            }
            ComponentItem::ComponentInstance(interface) => {
                let items: Vec<_> = interface
                    .exports(engine)
                    .map(|(name, item)| (name, item.ty))
                    .collect();
                let mut instance = linker.instance(name)?;
                let isolated = component.own_import(name);
                if let Some(own) = isolated.filter(|own| own.right == Right::Narrowed) {
                    let slot = asker.narrowed.iter().position(|part| *part == own.part);
                    part::define(&mut instance, own.import, slot)?;
                    resources.extend(items.iter().filter_map(|(_, item)| resource(item)));
                } else if let Some(isolated) = isolated {
                    let dependency = asker.dependency(isolated);
                    let asker = (asker.gate, dependency);
                    isolated::define(&mut instance, isolated, &items, &mut resources, asker)?;
                } else if define_all(&mut instance, name, &items, &mut resources)? {
                    not_provided.push(name.to_owned());
                }
            }
            ComponentItem::ComponentFunc(function) => {
                let trap = NotProvided::new("the world", name);
                define_trap(&mut linker.root(), name, &function, trap)?;
                not_provided.push(name.to_owned());
            }
            // Types need no definition. Modules and components as imports cannot be made up; linking says so.
            _ => {}
        }
    }
    Ok(not_provided)
}

impl NotProvided {
    fn new(interface: &str, function: &str) -> Self {
        Self {
            interface: interface.to_owned(),
            function: function.to_owned(),
        }
    }
}

impl Asker<'_> {
    fn dependency(&self, isolated: Isolated<'_>) -> &str {
        let name = self.dependencies.get(isolated.part);
        name.map_or("unknown", String::as_str)
    }
}

/// Defines an interface's items. Answers whether it has any that can be called.
fn define_all(
    instance: &mut LinkerInstance<'_, Guest>,
    interface: &str,
    items: &[(&str, ComponentItem)],
    resources: &mut Vec<ResourceType>,
) -> wasmtime::Result<bool> {
    let mut callable = false;
    for (name, item) in items {
        match item {
            ComponentItem::ComponentFunc(function) => {
                define_trap(instance, name, function, NotProvided::new(interface, name))?;
                callable = true;
            }
            ComponentItem::Resource(resource) => define_resource(instance, name, *resource, resources)?,
            _ => {}
        }
    }
    Ok(callable)
}

/// Defines a resource that is not there yet as one that nobody can make.
pub(super) fn define_resource(
    instance: &mut LinkerInstance<'_, Guest>,
    name: &str,
    resource: ResourceType,
    known: &mut Vec<ResourceType>,
) -> wasmtime::Result<()> {
    if known.contains(&resource) {
        return Ok(());
    }
    instance.resource(name, ResourceType::host::<Placeholder>(), |_, _| Ok(()))?;
    known.push(resource);
    Ok(())
}

/// Defines a function that ends the guest with `trap`.
pub(super) fn define_trap<E: Error + Clone + Send + Sync + 'static>(
    instance: &mut LinkerInstance<'_, Guest>,
    name: &str,
    ty: &ComponentFunc,
    trap: E,
) -> wasmtime::Result<()> {
    if ty.async_() {
        instance.func_new_concurrent(name, move |_, _, _, _| {
            let trap = trap.clone();
            Box::pin(async move { Err(trap.into()) })
        })
    } else {
        instance.func_new(name, move |_, _, _, _| Err(trap.clone().into()))
    }
}

fn resource(item: &ComponentItem) -> Option<ResourceType> {
    match item {
        ComponentItem::Resource(resource) => Some(*resource),
        _ => None,
    }
}

/// The type of a resource that nobody can make.
pub(crate) enum Placeholder {}
