//! Placeholders for what a component imports and nobody provides.
//!
//! For each such interface, every function becomes one that traps and says which function it was, and every
//! resource a type without values. A resource that the interface only borrows from another one (`use`) is left
//! alone: it is already there, provided or as that interface's placeholder.

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};

use super::provided::is_provided;

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

/// Defines a placeholder for everything that `component` imports and the linker does not have. Returns the names
/// of those imports.
pub(super) fn define_placeholders<T: 'static>(
    linker: &mut Linker<T>,
    component: &Component,
) -> wasmtime::Result<Vec<String>> {
    let engine = component.engine();
    let mut not_provided = Vec::new();
    let mut resources = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        let provided = is_provided(name);
        match import.ty {
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
                if define_all(&mut instance, name, &items, &mut resources)? {
                    not_provided.push(name.to_owned());
                }
            }
            ComponentItem::ComponentFunc(function) => {
                define_trap(&mut linker.root(), "the world", name, &function)?;
                not_provided.push(name.to_owned());
            }
            // Types need no definition. Modules and components as imports cannot be made up; linking says so.
            _ => {}
        }
    }
    Ok(not_provided)
}

/// Defines an interface's items. Answers whether it has any that can be called.
fn define_all<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: &str,
    items: &[(&str, ComponentItem)],
    resources: &mut Vec<ResourceType>,
) -> wasmtime::Result<bool> {
    let mut callable = false;
    for (name, item) in items {
        match item {
            ComponentItem::ComponentFunc(function) => {
                define_trap(instance, interface, name, function)?;
                callable = true;
            }
            ComponentItem::Resource(resource) if !resources.contains(resource) => {
                instance.resource(name, ResourceType::host::<Placeholder>(), |_, _| Ok(()))?;
                resources.push(*resource);
            }
            _ => {}
        }
    }
    Ok(callable)
}

fn define_trap<T: 'static>(
    instance: &mut LinkerInstance<'_, T>,
    interface: &str,
    function: &str,
    ty: &ComponentFunc,
) -> wasmtime::Result<()> {
    let trap = NotProvided {
        interface: interface.to_owned(),
        function: function.to_owned(),
    };
    if ty.async_() {
        instance.func_new_concurrent(function, move |_, _, _, _| {
            let trap = trap.clone();
            Box::pin(async move { Err(trap.into()) })
        })
    } else {
        instance.func_new(function, move |_, _, _, _| Err(trap.clone().into()))
    }
}

fn resource(item: &ComponentItem) -> Option<ResourceType> {
    match item {
        ComponentItem::Resource(resource) => Some(*resource),
        _ => None,
    }
}

/// The type of a resource that nobody can make.
enum Placeholder {}
