//! Components that are composed of several files: `[component.ID.dependencies]`, and `dependencies.middleware` of a
//! trigger for HTTP.
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
//! Middleware stands before the handler of the main component, from the last to the first: each one's
//! `wasi:http/handler` becomes the import of that name of the one before it, and only the first one's is exported. What
//! else the main component exports is not: it would be reached past its middleware.
//!
//! A part, of either kind, runs in the store of the component that it is composed into, and shares its gate and limits. What it
//! may use of the component's rights is what it inherits: [`isolation`] gives its other imports names under which the
//! [linker](crate::linker) refuses.

mod error;
mod isolation;
mod matching;

use std::sync::Arc;

use outport_manifest::{
    Component as Written, DependencyName, Implementation, Inheritance, Located, Manifest, Middleware, Span,
};
use wac_graph::types::{Package, WorldId};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

pub use self::error::CompositionError;
use self::isolation::Share;
pub(crate) use self::isolation::{Isolated, Right};
#[cfg(test)]
pub(crate) use self::isolation::{leads_to_hosts, right_of};
pub(crate) use self::matching::stands_for;
use super::sources::{CodeFile, FetchedCode};
use super::{AppProblem, AppProblemKind};
use crate::component::ComponentError;
use crate::engine::Engine;
use crate::guest::MOST_NARROWED;

/// A component and what is to be composed into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composition {
    main: CodeFile,
    parts: Vec<Part>,
}

/// One dependency, or one middleware.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    role: Role,
    span: Span,
    file: CodeFile,
    inherits: Inheritance,
    /// Of the hosts that it inherits it reaches only some.
    narrowed: bool,
}

/// The place of a part in the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// It satisfies imports of the main component.
    Dependency {
        name: DependencyName,
        export: Option<String>,
    },
    /// It stands before the handler, called so.
    Middleware { name: String },
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
    /// The composition of `written`, whose own code is in `main` if anywhere, behind `middleware`; or all that is wrong,
    /// besides that.
    pub(super) fn of(
        (written, middleware): (&Written, &[Middleware]),
        main: Option<CodeFile>,
        manifest: &Manifest,
        fetched: &FetchedCode,
    ) -> Result<Option<Self>, Vec<AppProblem>> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        let mut add = |implementation: &Located<Implementation>, role, span: &Span, (inherits, narrowed)| {
            match file_of(&implementation.value, manifest, fetched) {
                Ok(file) => parts.push(Part {
                    role,
                    span: span.clone(),
                    file,
                    inherits,
                    narrowed,
                }),
                Err(kind) => problems.push(AppProblem::at(manifest, &implementation.span, kind)),
            }
        };
        for dependency in &written.dependencies.list {
            let role = Role::Dependency {
                name: dependency.name.value.clone(),
                export: dependency.export.as_ref().map(|export| export.value.clone()),
            };
            let inherits = written.dependencies.inheritance(dependency);
            let share = (inherits, dependency.allowed_outbound_hosts.is_some());
            add(&dependency.implementation, role, &dependency.name.span, share);
        }
        let names = manifest.middleware_of(&written.id.value);
        for one in middleware {
            let name = names.iter().find(|(_, known)| known.span == one.span);
            let role = Role::Middleware {
                name: name.map_or_else(String::new, |(name, _)| name.clone()),
            };
            let share = (one.inheritance(), one.allowed_outbound_hosts.is_some());
            add(&one.implementation, role, &one.span, share);
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

    /// The names of the parts, by their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.parts.iter().map(|part| match &part.role {
            Role::Dependency { name, .. } => name.to_string(),
            Role::Middleware { name } => name.clone(),
        })
    }

    /// Puts the component together. Of files that cannot be read all are told.
    pub(super) fn compose(&self, engine: &Engine) -> Result<Composed, Vec<Failed>> {
        let (main, parts) = self.read(engine)?;
        self.put_together(main, parts).map_err(|failed| vec![failed])
    }

    /// The main component, and the parts in their order.
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
        let count = self.parts.iter().filter(|part| part.narrowed).count();
        if count > MOST_NARROWED {
            let most = MOST_NARROWED;
            return Err(Failed::whole(CompositionError::TooManyLists { count, most }));
        }
        let mut isolated = Vec::new();
        let mut outermost: Option<Handler> = None;
        // From the inside: what a middleware calls is there before it.
        let (dependencies, mut middleware): (Vec<_>, Vec<_>) = self
            .parts
            .iter()
            .zip(parts)
            .enumerate()
            .partition(|(_, (part, _))| matches!(part.role, Role::Dependency { .. }));
        middleware.reverse();
        for (number, (part, bytes)) in dependencies.into_iter().chain(middleware) {
            let put = || {
                let plugged = part.instantiate(&mut graph, number, bytes)?;
                match &part.role {
                    Role::Dependency { name, export } => {
                        plugged.satisfy(&mut graph, (world, instance), name, export.as_deref())?;
                    }
                    Role::Middleware { .. } => {
                        let behind = match outermost.take() {
                            Some(next) => next,
                            None => Handler::of(&graph, world, instance)?,
                        };
                        outermost = Some(plugged.stand_before(&mut graph, &behind)?);
                    }
                }
                Ok(plugged.isolated)
            };
            isolated.extend(put().map_err(|fault: Fault| part.failed(fault))?);
        }
        let bytes = match outermost {
            // What else the main component exports would be reached past its middleware.
            Some(handler) => finish(&mut graph, handler.instance, [handler.export]),
            None => {
                let exports: Vec<String> = graph.types()[world].exports.keys().cloned().collect();
                finish(&mut graph, instance, exports)
            }
        };
        let bytes = bytes.map_err(Failed::whole)?;
        Ok(Composed { bytes, isolated })
    }
}

/// A part that was instantiated.
struct Plugged {
    world: WorldId,
    instance: NodeId,
    /// The names under which it imports what it does not inherit.
    isolated: Vec<String>,
}

/// What answers requests, so far.
struct Handler {
    instance: NodeId,
    export: String,
}

impl Part {
    fn instantiate(
        &self,
        graph: &mut CompositionGraph,
        number: usize,
        bytes: Vec<u8>,
    ) -> Result<Plugged, Fault> {
        let package = register(graph, &format!("outport:part-{number}"), &self.file, bytes)?;
        let world = graph[package].ty();
        let instance = graph.instantiate(package);
        let share = Share {
            inherits: &self.inherits,
            narrowed: self.narrowed,
        };
        let isolated = isolation::isolate(graph, world, instance, number, &share)?;
        Ok(Plugged {
            world,
            instance,
            isolated,
        })
    }

    fn failed(&self, fault: impl Into<Fault>) -> Failed {
        Failed {
            fault: fault.into(),
            span: Some(self.span.clone()),
        }
    }
}

impl Plugged {
    /// Satisfies imports of the main component.
    fn satisfy(
        &self,
        graph: &mut CompositionGraph,
        (world, instance): (WorldId, NodeId),
        name: &DependencyName,
        export: Option<&str>,
    ) -> Result<(), Fault> {
        for pair in matching::pairs(graph.types(), world, self.world, name, export)? {
            let export = graph
                .alias_instance_export(self.instance, &pair.export)
                .map_err(CompositionError::wac)?;
            connect(graph, (instance, &pair.import), (export, &pair.export))?;
        }
        Ok(())
    }

    /// Calls `behind` from now on, and is what is called instead.
    fn stand_before(&self, graph: &mut CompositionGraph, behind: &Handler) -> Result<Handler, Fault> {
        let own = &graph.types()[self.world];
        let Some(import) = own.imports.keys().find(|name| is_handler(name)).cloned() else {
            return Err(CompositionError::CallsNobody {
                imports: own.imports.keys().cloned().collect(),
            }
            .into());
        };
        let handler = Handler::of(graph, self.world, self.instance)?;
        let export = graph
            .alias_instance_export(behind.instance, &behind.export)
            .map_err(CompositionError::wac)?;
        connect(graph, (self.instance, &import), (export, &behind.export))?;
        Ok(handler)
    }
}

impl Handler {
    fn of(graph: &CompositionGraph, world: WorldId, instance: NodeId) -> Result<Self, Fault> {
        let exports = &graph.types()[world].exports;
        match exports.keys().find(|name| is_handler(name)) {
            Some(export) => Ok(Self {
                instance,
                export: export.clone(),
            }),
            None => Err(CompositionError::NoHandler {
                exports: exports.keys().cloned().collect(),
            }
            .into()),
        }
    }
}

/// True of `wasi:http/handler` in a version of the track that middleware is called by.
fn is_handler(name: &str) -> bool {
    let version = name
        .strip_prefix(HANDLER)
        .and_then(|rest| rest.strip_prefix("@0.3."));
    version.is_some_and(|patch| patch.parse::<u64>().is_ok())
}

const HANDLER: &str = "wasi:http/handler";

fn connect(
    graph: &mut CompositionGraph,
    (instance, import): (NodeId, &str),
    (node, export): (NodeId, &str),
) -> Result<(), CompositionError> {
    graph
        .set_instantiation_argument(instance, import, node)
        .map_err(|error| CompositionError::DoesNotFit {
            import: import.to_owned(),
            export: export.to_owned(),
            reason: error::chain(&error),
        })
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

/// The file that a part's code is in.
pub(crate) fn file_of(
    implementation: &Implementation,
    manifest: &Manifest,
    fetched: &FetchedCode,
) -> Result<CodeFile, AppProblemKind> {
    match implementation {
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
    let package = graph
        .register_package(package)
        .map_err(|error| invalid(error.to_string()))?;
    let imports = &graph.types()[graph[package].ty()].imports;
    match imports.keys().find(|import| Isolated::is_reserved(import)) {
        None => Ok(package),
        Some(import) => Err(CompositionError::ReservedImport {
            import: import.clone(),
        }
        .into()),
    }
}

/// Exports these of an instance, and writes it all down.
fn finish(
    graph: &mut CompositionGraph,
    instance: NodeId,
    exports: impl IntoIterator<Item = String>,
) -> Result<Vec<u8>, CompositionError> {
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
