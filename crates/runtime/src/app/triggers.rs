//! What triggers make of the components of an app: who answers at its routes, what runs once, what listens for events.
//!
//! A component is made once for each way in which it is started, however many triggers do so: they share its instances and
//! the log of what goes wrong.

use std::collections::{BTreeMap, HashMap};

use outport_manifest::{
    ComponentId, EventKind, Executor, HttpAnswer, HttpTrigger, Located, Manifest, PathRoute, Route, serving,
};

use super::part::{Part, behind};
use super::{App, AppBuilder, AppProblem, AppProblemKind, OutputLines};
use crate::command::Command;
use crate::component::Component;
use crate::files::FileTree;
use crate::guest_env::{GuestEnv, replaced};
use crate::guest_pre::GuestPre;
use crate::http::{HttpComponent, RouteAnswer, RouteEntry};
use crate::limits::GuestLimits;
use crate::linker::GuestLinker;
use crate::triggers::{EventComponent, Listener, NoConnector, Surroundings, connector};
use crate::variables::GuestVariables;

/// Which components events are handed to.
#[derive(Clone, Copy)]
pub(super) enum Events<'a> {
    /// Those of triggers, by what listens for them.
    OfTriggers,
    /// This one, by somebody else; without a type it is started as a command.
    ByHand(&'a ComponentId, Option<EventKind>),
}

impl AppBuilder<'_> {
    pub(super) fn triggers(
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
            environment: replaced(own.chain(self.environment.iter().cloned())),
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
