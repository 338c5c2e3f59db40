//! Components that are composed of several files: `[component.ID.dependencies]`.
//!
//! ```text
//!            ┌──────────── one component, which is compiled and run like any other ───────────┐
//!            │  ┌────────────┐ my:dep/api   ┌────────────┐                                    │
//! exports ◀──┼──┤ the main   │◀─────────────┤ dependency │                                    │
//!            │  │ component  │              │            │                                    │
//!            │  └──────┬─────┘              └─┬────────┬─┘                                    │
//!            │         │ everything           │ harmless or inherited                         │
//!            │         │                      │        │ the rest, under a name of its own    │
//!            └─────────┼──────────────────────┼────────┼──────────────────────────────────────┘
//!                      ▼                      ▼        ▼
//!                 WASI and the gate      the same    isolated-d0-wasi:…, which refuses
//! ```
//!
//! Each entry of `dependencies` becomes an instance of its own, which satisfies the imports of the main component that
//! the entry names:
//!
//! | entry | imports |
//! | --- | --- |
//! | `my:dep/api@1.0.0` | the interface, in that version or one that is compatible |
//! | `my:dep/api` | the interface; an error if there are several versions |
//! | `my:dep@1.0.0`, `my:dep` | every interface of the package (in versions that are compatible); those that hold types alone may stay open |
//! | `dep-api` | the import of that plain name |
//!
//! An import is satisfied by the export of the same name, or of a compatible version, or by the one that `export`
//! names. What does not fit is an error with its place; nothing is left open silently.
//!
//! A dependency runs in the store of the component that it is composed into, and shares its gate and limits. What it
//! may use of the component's rights is what it inherits: [`isolation`] gives its other imports names under which the
//! [linker](crate::linker) refuses.

mod error;
mod isolation;
mod matching;

use std::sync::Arc;

use outport_manifest::{
    Component as Written, Dependency, DependencyName, Implementation, Inheritance, Manifest, Span,
};
use wac_graph::types::{Package, WorldId};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

pub use self::error::CompositionError;
pub(crate) use self::isolation::Isolated;
#[cfg(test)]
pub(crate) use self::isolation::right_of;
use super::sources::{CodeFile, FetchedCode};
use super::{AppProblem, AppProblemKind};
use crate::component::ComponentError;
use crate::engine::Engine;

/// A component and what is to be composed into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composition {
    main: CodeFile,
    parts: Vec<Part>,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: DependencyName,
    span: Span,
    file: CodeFile,
    export: Option<String>,
    inherits: Inheritance,
}

/// The content of the main component's file, and of those of its dependencies.
type Contents = (Vec<u8>, Vec<Vec<u8>>);

/// A component that was put together.
pub(super) struct Composed {
    pub(super) bytes: Vec<u8>,
    /// Names under which it must import what its dependencies do not inherit.
    pub(super) isolated: Vec<String>,
}

/// The mistake that keeps a composition from being made, and the dependency at fault, if it is one's.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) span: Option<Span>,
}

/// The mistake.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// A file.
    Component(Arc<ComponentError>),
    /// A mistake in how files were to be put together.
    Composition(Arc<CompositionError>),
}

impl Composition {
    /// The composition of `written`, whose own code is in `main` if anywhere; or all that is wrong, besides that.
    pub(super) fn of(
        written: &Written,
        main: Option<CodeFile>,
        manifest: &Manifest,
        fetched: &FetchedCode,
    ) -> Result<Option<Self>, Vec<AppProblem>> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        for dependency in &written.dependencies.list {
            match file_of(dependency, manifest, fetched) {
                Ok(file) => parts.push(Part {
                    name: dependency.name.value.clone(),
                    span: dependency.name.span.clone(),
                    file,
                    export: dependency.export.as_ref().map(|export| export.value.clone()),
                    inherits: written.dependencies.inheritance(dependency),
                }),
                Err(kind) => {
                    problems.push(AppProblem::at(manifest, &dependency.implementation.span, kind));
                }
            }
        }
        if problems.is_empty() {
            Ok(main.map(|main| Self { main, parts }))
        } else {
            Err(problems)
        }
    }

    /// The main component's file.
    pub(super) fn main(&self) -> &CodeFile {
        &self.main
    }

    /// The names of the dependencies, by their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.parts.iter().map(|part| part.name.to_string())
    }

    /// Puts the component together. Of files that cannot be read all are told.
    pub(super) fn compose(&self, engine: &Engine) -> Result<Composed, Vec<Failed>> {
        let (main, parts) = self.read(engine)?;
        self.put_together(main, parts).map_err(|failed| vec![failed])
    }

    /// The main component, and the dependencies in their order.
    fn read(&self, engine: &Engine) -> Result<Contents, Vec<Failed>> {
        let mut failed = Vec::new();
        let main = self
            .main
            .component(engine)
            .map_err(|error| failed.push(Failed::whole(error)));
        let parts: Vec<Vec<u8>> = self
            .parts
            .iter()
            .filter_map(|part| {
                let unread = |error| failed.push(part.failed(error));
                part.file.component(engine).map_err(unread).ok()
            })
            .collect();
        match main {
            Ok(main) if failed.is_empty() => Ok((main, parts)),
            _ => Err(failed),
        }
    }

    fn put_together(&self, main: Vec<u8>, parts: Vec<Vec<u8>>) -> Result<Composed, Failed> {
        let mut graph = CompositionGraph::new();
        let main = register(&mut graph, "outport:main", &self.main, main).map_err(Failed::whole)?;
        let world = graph[main].ty();
        let instance = graph.instantiate(main);
        let mut isolated = Vec::new();
        for (number, (part, bytes)) in self.parts.iter().zip(parts).enumerate() {
            let own = part
                .plug(&mut graph, (world, instance), number, bytes)
                .map_err(|fault| part.failed(fault))?;
            isolated.extend(own);
        }
        let bytes = finish(&mut graph, world, instance).map_err(Failed::whole)?;
        Ok(Composed { bytes, isolated })
    }
}

impl Part {
    /// Instantiates the dependency and satisfies imports of the main component by it. Answers the names under which
    /// it imports what it does not inherit.
    fn plug(
        &self,
        graph: &mut CompositionGraph,
        (world, instance): (WorldId, NodeId),
        number: usize,
        bytes: Vec<u8>,
    ) -> Result<Vec<String>, Fault> {
        let package = register(graph, &format!("outport:dependency-{number}"), &self.file, bytes)?;
        let own_world = graph[package].ty();
        let pairs = matching::pairs(
            graph.types(),
            world,
            own_world,
            &self.name,
            self.export.as_deref(),
        )?;
        let dependency = graph.instantiate(package);
        let isolated = isolation::isolate(graph, own_world, dependency, number, &self.inherits)
            .map_err(CompositionError::wac)?;
        for pair in pairs {
            let export = graph
                .alias_instance_export(dependency, &pair.export)
                .map_err(CompositionError::wac)?;
            graph
                .set_instantiation_argument(instance, &pair.import, export)
                .map_err(|error| CompositionError::DoesNotFit {
                    import: pair.import.clone(),
                    export: pair.export.clone(),
                    reason: error::chain(&error),
                })?;
        }
        Ok(isolated)
    }

    fn failed(&self, fault: impl Into<Fault>) -> Failed {
        Failed {
            fault: fault.into(),
            span: Some(self.span.clone()),
        }
    }
}

impl Failed {
    /// No single dependency is at fault.
    pub(super) fn whole(fault: impl Into<Fault>) -> Self {
        Self {
            fault: fault.into(),
            span: None,
        }
    }
}

impl From<ComponentError> for Fault {
    fn from(error: ComponentError) -> Self {
        Self::Component(Arc::new(error))
    }
}

impl From<CompositionError> for Fault {
    fn from(error: CompositionError) -> Self {
        Self::Composition(Arc::new(error))
    }
}

impl From<Fault> for AppProblemKind {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Component(error) => Self::Component(error),
            Fault::Composition(error) => Self::Composition(error),
        }
    }
}

/// The file that a dependency's code is in.
fn file_of(
    dependency: &Dependency,
    manifest: &Manifest,
    fetched: &FetchedCode,
) -> Result<CodeFile, AppProblemKind> {
    match &dependency.implementation.value {
        Implementation::Path(path) => Ok(CodeFile::at(manifest, path)),
        Implementation::Remote(remote) => fetched.file(remote),
        Implementation::Component(id) => match manifest.component(id) {
            Some(component) => CodeFile::of(component, manifest, fetched),
            None => Err(CompositionError::NoSuchComponent { id: id.to_string() }.into()),
        },
    }
}

/// Makes the content of a file known to the graph.
fn register(
    graph: &mut CompositionGraph,
    name: &str,
    file: &CodeFile,
    bytes: Vec<u8>,
) -> Result<PackageId, Fault> {
    let invalid = |reason: String| {
        Fault::from(ComponentError::CannotCompose {
            path: file.path().to_owned(),
            reason,
        })
    };
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())
        .map_err(|error| invalid(format!("{error:#}")))?;
    graph
        .register_package(package)
        .map_err(|error| invalid(error.to_string()))
}

/// Exports what the main component exports, and writes it all down.
fn finish(
    graph: &mut CompositionGraph,
    world: WorldId,
    instance: NodeId,
) -> Result<Vec<u8>, CompositionError> {
    let exports: Vec<String> = graph.types()[world].exports.keys().cloned().collect();
    for name in exports {
        let export = graph
            .alias_instance_export(instance, &name)
            .map_err(CompositionError::wac)?;
        graph.export(export, &name).map_err(CompositionError::wac)?;
    }
    // The compiler validates what comes of it.
    let options = EncodeOptions {
        validate: false,
        ..EncodeOptions::default()
    };
    graph.encode(options).map_err(CompositionError::wac)
}
