//! An app: from what the manifest says to components that are ready to run.
//!
//! Each file is read and compiled once, however many components use it, and all of them at the same time. What is
//! wrong is collected, each with its place in the manifest, so that one start shows all of it.

mod composition;
mod problem;
mod sources;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use outport_egress::{Egress, Gate, TlsProfile};
use outport_manifest::{
    ComponentId, EventKind, Executor, HttpAnswer, HttpTrigger, Located, Manifest, PathRoute, Route,
    Variables, serving,
};
use outport_platform::Platform;
use outport_policy::AllowList;

pub use self::composition::CompositionError;
pub(crate) use self::composition::{Isolated, Right, file_of, stands_for};
#[cfg(test)]
pub(crate) use self::composition::{leads_to_hosts, right_of};
pub use self::problem::{AppProblem, AppProblemKind};
pub(crate) use self::sources::CodeFile;
pub use self::sources::FetchedCode;
use self::sources::{Code, Compiled};
use crate::cache::CacheDirectory;
use crate::command::Command;
use crate::component::Component;
use crate::engine::Engine;
use crate::files::{FileTree, FilesProblem};
use crate::guest_env::GuestEnv;
use crate::guest_pre::GuestPre;
use crate::http::{HttpComponent, RouteAnswer, RouteEntry};
use crate::limits::GuestLimits;
use crate::linker::GuestLinker;
use crate::triggers::{Brokers, EventComponent, Listener, NoConnector, Surroundings, connector};
use crate::variables::GuestVariables;

/// An app that is ready to run.
pub struct App {
    /// The routes, and who answers at them.
    pub router: Vec<RouteEntry>,
    /// The components that answer HTTP for other components, by name; routes do not matter. One that has several triggers
    /// answers as the first that has middleware says, and where none has as the first.
    pub callees: Vec<(String, HttpComponent)>,
    /// The gates of all components.
    pub gates: Vec<Gate>,
    /// The components that run once.
    pub commands: Vec<Command>,
    /// What hands events to components, in the order of the manifest.
    pub listeners: Vec<Listener>,
    /// The component that was [built](AppBuilder::build_by_hand) for an event by hand.
    pub by_hand: Option<EventComponent>,
    /// The code of each component.
    pub components: BTreeMap<ComponentId, Component>,
    /// The copies of the app's files, to be kept as long as it runs.
    pub files: Vec<FileTree>,
}

/// The result of building an app, for those who do not want to run it.
pub struct AppCheck {
    /// The code of the components that have any.
    pub components: BTreeMap<ComponentId, Component>,
    /// The files of the components that have any.
    pub files: Vec<FileTree>,
    /// Everything that keeps the app from running.
    pub problems: Vec<AppProblem>,
}

/// Everything that an app is made with, besides its manifest.
pub struct AppBuilder<'a> {
    /// The engine that compiles and runs it.
    pub engine: &'a Engine,
    /// The directory where files are copied to.
    pub cache: &'a CacheDirectory,
    /// The files of code that is from elsewhere.
    pub fetched: &'a FetchedCode,
    /// The operator's side of the network.
    pub egress: &'a Egress,
    /// The allow list of each component by its author's word; one that is not here reaches nothing.
    pub allow: HashMap<ComponentId, AllowList>,
    /// The hosts that parts of components reach of those that they inherit, where the author says which, by the component
    /// and the name of the part. One that should be here and is not reaches nothing.
    pub allow_parts: HashMap<(ComponentId, String), Arc<AllowList>>,
    /// The TLS profiles of each component, by the operator's word.
    pub client_tls: &'a dyn Fn(&ComponentId) -> Vec<Arc<TlsProfile>>,
    /// The app's variables, from which those of each component are filled in.
    pub variables: &'a Variables,
    /// What the labels of stores stand for.
    pub platform: &'a Platform,
    /// The operator's brokers and queues.
    pub brokers: &'a Brokers,
    /// Environment variables of every component, over its own.
    pub environment: &'a [(String, String)],
    /// The text that lines of output begin with.
    pub output_lines: OutputLines,
    /// Bytes that the files of one component may have together.
    pub files_size: u64,
    /// Limits of an instance that answers a request.
    pub request_limits: GuestLimits,
    /// Limits of a command.
    pub command_limits: GuestLimits,
}

/// The text that the lines begin with that components print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputLines {
    /// `[COMPONENT] `.
    Named,
    /// Nothing: they are as they were written.
    Plain,
}

impl AppBuilder<'_> {
    /// Makes the app of `manifest`: the triggers whose component `wanted` picks.
    ///
    /// # Errors
    ///
    /// Everything that keeps the app from running.
    pub fn build(
        self,
        manifest: &Manifest,
        wanted: impl Fn(&ComponentId) -> bool,
    ) -> Result<App, Vec<AppProblem>> {
        match self.draft(manifest, wanted, Events::OfTriggers) {
            (app, problems) if problems.is_empty() => Ok(app),
            (_, problems) => Err(problems),
        }
    }

    /// Makes the app of `manifest` so that a component can be started by hand, whether or not a trigger does that: for
    /// an event of a type, or without one as a command, which is among the app's [`commands`](App::commands) then.
    /// Nothing listens.
    ///
    /// # Errors
    ///
    /// Everything that keeps the app from running.
    pub fn build_by_hand(
        self,
        manifest: &Manifest,
        (id, kind): (&ComponentId, Option<EventKind>),
    ) -> Result<App, Vec<AppProblem>> {
        match self.draft(manifest, |_| true, Events::ByHand(id, kind)) {
            (app, problems) if problems.is_empty() => Ok(app),
            (_, problems) => Err(problems),
        }
    }

    /// Does all that [`build`](AppBuilder::build) does, and answers what it found instead of an app. `manifest`
    /// may have gaps.
    pub fn check(self, manifest: &Manifest, wanted: impl Fn(&ComponentId) -> bool) -> AppCheck {
        let (app, problems) = self.draft(manifest, wanted, Events::OfTriggers);
        AppCheck {
            components: app.components,
            files: app.files,
            problems,
        }
    }

    /// As much of the app as could be made, and what is missing.
    fn draft(
        mut self,
        manifest: &Manifest,
        wanted: impl Fn(&ComponentId) -> bool,
        events: Events<'_>,
    ) -> (App, Vec<AppProblem>) {
        let components = manifest
            .components
            .iter()
            .filter(|component| wanted(&component.id.value));
        let mut problems = Vec::new();
        let mut codes = Vec::new();
        for component in components {
            match codes_of(component, manifest, self.fetched) {
                Ok(of_it) => codes.push((component, of_it)),
                Err(found) => {
                    problems.extend(found);
                    problems.extend(self.problems_of_files(component, manifest));
                }
            }
        }
        let all = codes.iter().flat_map(|(_, of_it)| of_it);
        let compiled = Compiled::from(all.map(|(_, code)| code), self.engine);
        let mut parts = BTreeMap::new();
        for (written, of_it) in &codes {
            let part = match compiled_of(written, of_it, &compiled, manifest) {
                Ok(compiled) => self.part(written, compiled, manifest),
                Err(mut found) => {
                    found.extend(self.problems_of_files(written, manifest));
                    Err(found)
                }
            };
            match part {
                Ok(part) => drop(parts.insert(&written.id.value, part)),
                Err(found) => problems.extend(found),
            }
        }
        let app = self.triggers(manifest, &parts, events, &mut problems);
        problems
            .iter_mut()
            .for_each(|problem| problem.say_how_to_build(manifest));
        (app, problems)
    }

    fn part<'m>(
        &mut self,
        written: &'m outport_manifest::Component,
        compiled: Vec<(Option<&'m str>, Component)>,
        manifest: &Manifest,
    ) -> Result<Part<'m>, Vec<AppProblem>> {
        let id = &written.id.value;
        let allow = self
            .allow
            .remove(id)
            .unwrap_or_else(|| AllowList::compile(Vec::new()));
        let gate = self.egress.gate(id.as_str(), allow.into());
        let files = FileTree::copy(written, &directory_of(manifest), self.cache, self.files_size)
            .map_err(|problems| of_files(problems, manifest))?;
        Ok(Part {
            written,
            compiled,
            gate: gate.with_tls((self.client_tls)(id)),
            files,
        })
    }

    /// The problems of the files of a component that has no code, told beside that.
    fn problems_of_files(
        &self,
        written: &outport_manifest::Component,
        manifest: &Manifest,
    ) -> Vec<AppProblem> {
        let problems = FileTree::look(written, &directory_of(manifest), self.files_size);
        of_files(problems, manifest)
    }

    fn triggers(
        &self,
        manifest: &Manifest,
        parts: &BTreeMap<&ComponentId, Part<'_>>,
        events: Events<'_>,
        problems: &mut Vec<AppProblem>,
    ) -> App {
        let linker = GuestLinker::new(self.engine);
        let mut app = App {
            router: Vec::new(),
            callees: Vec::new(),
            gates: parts.values().map(|part| part.gate.clone()).collect(),
            commands: Vec::new(),
            listeners: Vec::new(),
            by_hand: None,
            components: parts
                .iter()
                .map(|(id, part)| ((*id).clone(), part.alone().clone()))
                .collect(),
            files: parts.values().filter_map(|part| part.files.clone()).collect(),
        };
        let mut http_components: HashMap<(&ComponentId, &Executor, Option<&str>), HttpComponent> =
            HashMap::new();
        let mut callees: BTreeMap<&ComponentId, (bool, HttpComponent)> = BTreeMap::new();
        for trigger in &manifest.http_triggers {
            let HttpAnswer::Component { id, executor } = &trigger.answer else {
                continue;
            };
            // Once for each component, however many routes lead to it: they share its instances. Behind middleware it is
            // another one for each trigger.
            let key = (&id.value, executor, behind(trigger));
            let Some(part) = parts
                .get(&id.value)
                .filter(|_| !http_components.contains_key(&key))
            else {
                continue;
            };
            match self.http_component(&linker, part, (executor, behind(trigger))) {
                Ok(http_component) => {
                    // Whoever calls it from inside passes its middleware, if any trigger of it has some.
                    let is_behind = behind(trigger).is_some();
                    match callees.get(&id.value) {
                        Some((was_behind, _)) if *was_behind || !is_behind => {}
                        _ => drop(callees.insert(&id.value, (is_behind, http_component.clone()))),
                    }
                    http_components.insert(key, http_component);
                }
                Err(kind) => problems.push(AppProblem::at(manifest, &id.span, kind)),
            }
        }
        for (trigger, route) in effective_routes(&manifest.http_triggers) {
            let answer = match &trigger.answer {
                HttpAnswer::Component { id, executor } => http_components
                    .get(&(&id.value, executor, behind(trigger)))
                    .map(|http_component| RouteAnswer::Component(http_component.clone())),
                HttpAnswer::Static(fixed) => Some(RouteAnswer::Static(fixed.clone())),
            };
            let route = route.clone();
            app.router
                .extend(answer.map(|answer| RouteEntry { route, answer }));
        }
        app.callees = callees
            .into_iter()
            .map(|(id, (_, http_component))| (id.as_str().to_owned(), http_component))
            .collect();
        for trigger in &manifest.command_triggers {
            let Some(part) = parts.get(&trigger.component.value) else {
                continue;
            };
            let arguments = trigger.args.iter().map(|argument| argument.value.clone());
            match self.command(&linker, part, arguments) {
                Ok(command) => app.commands.push(command),
                Err(kind) => problems.push(AppProblem::at(manifest, &trigger.component.span, kind)),
            }
        }
        match events {
            Events::OfTriggers => app.listeners = self.listeners(&linker, manifest, parts, problems),
            Events::ByHand(id, kind) => {
                if let Some(part) = parts.get(id)
                    && let Err(kind) = self.start_by_hand(&linker, (part, kind), &mut app, manifest)
                {
                    problems.push(AppProblem::at(manifest, &part.written.id.span, kind));
                }
            }
        }
        app
    }

    /// Makes what is started by hand, unless a trigger made it.
    fn start_by_hand(
        &self,
        linker: &GuestLinker,
        (part, kind): (&Part<'_>, Option<EventKind>),
        app: &mut App,
        manifest: &Manifest,
    ) -> Result<(), AppProblemKind> {
        let id = &part.written.id.value;
        let mut commands = manifest.command_triggers.iter();
        match kind {
            Some(kind) => app.by_hand = Some(self.event_component(linker, part, kind)?),
            None if commands.any(|trigger| trigger.component.value == *id) => {}
            None => app.commands.push(self.command(linker, part, std::iter::empty())?),
        }
        Ok(())
    }

    fn listeners(
        &self,
        linker: &GuestLinker,
        manifest: &Manifest,
        parts: &BTreeMap<&ComponentId, Part<'_>>,
        problems: &mut Vec<AppProblem>,
    ) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let mut event_components: HashMap<(&ComponentId, EventKind), Option<EventComponent>> = HashMap::new();
        for trigger in &manifest.event_triggers {
            let (Located { value: id, span }, kind) = (&trigger.component, trigger.source.kind());
            let Some(part) = parts.get(id) else {
                continue;
            };
            // Once for each component and type: they share the log of what goes wrong.
            let component = event_components.entry((id, kind)).or_insert_with(|| {
                let made = self.event_component(linker, part, kind);
                made.map_err(|kind| problems.push(AppProblem::at(manifest, span, kind)))
                    .ok()
            });
            let Some(component) = component else {
                continue;
            };
            let around = Surroundings {
                id: &trigger.id,
                app: &manifest.application.name.value,
                gate: &part.gate,
                egress: self.egress,
                variables: self.variables,
                brokers: self.brokers,
            };
            match connector(&trigger.source, component, &around) {
                Ok(connector) => listeners.push(Listener {
                    component: component.clone(),
                    connector,
                }),
                Err(none) => {
                    let span = none.span().unwrap_or(&trigger.span).clone();
                    let kind = match none {
                        NoConnector::Variable { error, .. } => error.into(),
                        none => none.into(),
                    };
                    problems.push(AppProblem::at(manifest, &span, kind));
                }
            }
        }
        listeners
    }

    fn event_component(
        &self,
        linker: &GuestLinker,
        part: &Part<'_>,
        kind: EventKind,
    ) -> Result<EventComponent, AppProblemKind> {
        let guest = self.link(linker, (part, part.alone()), Vec::new(), self.request_limits)?;
        Ok(EventComponent::new(guest, kind)?)
    }

    fn http_component(
        &self,
        linker: &GuestLinker,
        part: &Part<'_>,
        (executor, behind): (&Executor, Option<&str>),
    ) -> Result<HttpComponent, AppProblemKind> {
        let code = part.compiled(behind);
        let guest = self.link(linker, (part, code), Vec::new(), self.request_limits)?;
        Ok(match executor {
            Executor::Handler => HttpComponent::new(guest)?,
            Executor::Wagi(arguments) => HttpComponent::wagi(guest, arguments.clone())?,
        })
    }

    fn command(
        &self,
        linker: &GuestLinker,
        part: &Part<'_>,
        arguments: impl Iterator<Item = String>,
    ) -> Result<Command, AppProblemKind> {
        let own_name = part.written.id.value.as_str().to_owned();
        let arguments = std::iter::once(own_name).chain(arguments).collect();
        let guest = self.link(linker, (part, part.alone()), arguments, self.command_limits)?;
        Ok(Command::new(guest)?)
    }

    fn link(
        &self,
        linker: &GuestLinker,
        (part, code): (&Part<'_>, &Component),
        arguments: Vec<String>,
        limits: GuestLimits,
    ) -> Result<GuestPre, AppProblemKind> {
        let own = part
            .written
            .environment
            .iter()
            .map(|(name, value)| (name.value.clone(), value.value.clone()));
        let guest_env = GuestEnv {
            arguments,
            environment: own.chain(self.environment.iter().cloned()).collect(),
            variables: GuestVariables::of(part.written, self.variables)?,
            platform: self.platform.clone(),
            directories: part.files.as_ref().map(FileTree::directories).unwrap_or_default(),
            output_prefix: match self.output_lines {
                OutputLines::Named => Some(part.written.id.value.as_str().to_owned()),
                OutputLines::Plain => None,
            },
            ..GuestEnv::default()
        };
        let id = &part.written.id.value;
        let hosts = |name: &str| self.allow_parts.get(&(id.clone(), name.to_owned())).cloned();
        let gate = (part.gate.clone(), &hosts as &dyn Fn(&str) -> _);
        Ok(GuestPre::link_parts(linker, code, gate, guest_env, limits)?)
    }
}

fn of_files(problems: Vec<FilesProblem>, manifest: &Manifest) -> Vec<AppProblem> {
    let as_problem = |FilesProblem { error, span }| AppProblem::at(manifest, &span, error.into());
    problems.into_iter().map(as_problem).collect()
}

/// Which components events are handed to.
#[derive(Clone, Copy)]
enum Events<'a> {
    /// Those of triggers, by what listens for them.
    OfTriggers,
    /// This one, by somebody else; without a type it is started as a command.
    ByHand(&'a ComponentId, Option<EventKind>),
}

/// A component of the app, compiled, before a trigger makes something of it.
struct Part<'a> {
    written: &'a outport_manifest::Component,
    /// Its code, never empty: alone, and behind the middleware of each trigger that has some, by the trigger's id.
    compiled: Vec<(Option<&'a str>, Component)>,
    gate: Gate,
    files: Option<FileTree>,
}

impl Part<'_> {
    /// The code behind the middleware of a trigger.
    fn compiled(&self, trigger: Option<&str>) -> &Component {
        let wanted = self.compiled.iter().find(|(behind, _)| *behind == trigger);
        let (_, code) = wanted.unwrap_or(&self.compiled[0]);
        code
    }

    /// The code without middleware, or where nothing starts that with the first trigger's.
    fn alone(&self) -> &Component {
        self.compiled(None)
    }
}

/// The code of a component for each of its triggers that has middleware, by the trigger's id, and for all others.
type Codes<'m> = Vec<(Option<&'m str>, Code)>;

fn codes_of<'m>(
    written: &'m outport_manifest::Component,
    manifest: &'m Manifest,
    fetched: &FetchedCode,
) -> Result<Codes<'m>, Vec<AppProblem>> {
    let id = &written.id.value;
    let alone = (!manifest.is_behind_middleware(id)).then_some((None, &[][..]));
    let triggers = manifest.http_triggers.iter();
    let with_middleware = triggers
        .filter(|trigger| trigger.component().is_some_and(|own| own.value == *id))
        .filter_map(|trigger| Some((Some(behind(trigger)?), trigger.middleware.as_slice())));
    let mut codes = Vec::new();
    let mut problems: Vec<AppProblem> = Vec::new();
    for (trigger, middleware) in alone.into_iter().chain(with_middleware) {
        match Code::of((written, middleware), manifest, fetched) {
            Ok(code) => codes.push((trigger, code)),
            Err(found) => add_new(&mut problems, found),
        }
    }
    if problems.is_empty() {
        Ok(codes)
    } else {
        Err(problems)
    }
}

/// What each of these was compiled to.
fn compiled_of<'m>(
    written: &outport_manifest::Component,
    codes: &Codes<'m>,
    compiled: &Compiled,
    manifest: &Manifest,
) -> Result<Vec<(Option<&'m str>, Component)>, Vec<AppProblem>> {
    let mut components = Vec::new();
    let mut problems = Vec::new();
    for (trigger, code) in codes {
        match compiled.component(code, &written.source.span, manifest) {
            Ok(component) => components.push((*trigger, component)),
            Err(found) => add_new(&mut problems, found),
        }
    }
    if problems.is_empty() {
        Ok(components)
    } else {
        Err(problems)
    }
}

/// What is wrong with a component is so behind any middleware, and is told once.
fn add_new(problems: &mut Vec<AppProblem>, found: Vec<AppProblem>) {
    for problem in found {
        if !problems.iter().any(|known| known.is_like(&problem)) {
            problems.push(problem);
        }
    }
}

/// The id of a trigger with middleware, for which a component is another one than without.
fn behind(trigger: &HttpTrigger) -> Option<&str> {
    (!trigger.middleware.is_empty()).then_some(trigger.id.as_str())
}

/// The routes that are reached from outside, without those that another one answers for.
fn effective_routes(triggers: &[HttpTrigger]) -> Vec<(&HttpTrigger, &PathRoute)> {
    let routed: Vec<_> = triggers
        .iter()
        .filter_map(|trigger| match &trigger.route.value {
            Route::Path(route) => Some((trigger, route)),
            Route::Private => None,
        })
        .collect();
    let serving = serving(routed.iter().map(|(_, route)| *route));
    let numbered = routed.iter().enumerate();
    numbered
        .filter(|(number, (_, route))| serving[&route.form()] == *number)
        .map(|(_, effective)| *effective)
        .collect()
}

/// The directory that the manifest is in.
fn directory_of(manifest: &Manifest) -> PathBuf {
    manifest
        .source
        .path()
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from)
}

/// The path that a path of the manifest leads to.
fn beside(manifest: &Manifest, path: &str) -> PathBuf {
    manifest.source.path().with_file_name(path)
}
