//! The manifest of an app: `spin.toml`, version 2.

use std::collections::{HashMap, HashSet};

use outport_policy::{Entry, HostPattern};

use crate::reading::application::{Application, read_application};
use crate::reading::component::{Component, read_component, read_variable_name};
use crate::reading::component_source::Source;
use crate::reading::dependency::Implementation;
use crate::reading::entries::OutboundEntry;
use crate::reading::fields::{Fields, Node};
use crate::reading::trigger::event::{EventSettings, EventTrigger};
use crate::reading::trigger::{CommandTrigger, HttpTrigger, Triggers, read_triggers};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Reading};
use crate::report::remark::Remark;
use crate::report::spelling::{MOST_LISTED, candidates};
use crate::source::{Located, SourceFile, Span};
use crate::syntax::Repaired;
use crate::template::Template;
use crate::values::dependency_error::DependencyError;
use crate::values::identifier::ComponentId;
use crate::values::route::{Route, serving};
use crate::values::source_error::SourceError;
use crate::values::variable::{Fallback, VariableDeclaration, VariableName};
use crate::values::variable_text::VariableText;

/// The content of a `spin.toml`.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file it was read from.
    pub source: SourceFile,
    /// The app as a whole.
    pub application: Application,
    /// The variables of the app, in the order of the file.
    pub variables: Vec<VariableDeclaration>,
    /// HTTP triggers, in the order of the file. Of two with the same route the later one counts, as with Spin.
    pub http_triggers: Vec<HttpTrigger>,
    /// Command triggers, in the order of the file.
    pub command_triggers: Vec<CommandTrigger>,
    /// Triggers that hand events over, those of one type together, each type in the order of the file.
    pub event_triggers: Vec<EventTrigger>,
    /// The components, in the order of the file; those inside triggers last.
    pub components: Vec<Component>,
    /// True if a mistake in a trigger, or in the settings of one, hides what starts some component.
    pub triggers_unread: bool,
}

impl Manifest {
    /// Reads a manifest. All mistakes are reported, each at its place; none hides another.
    pub fn parse(source: &SourceFile) -> Reading<Self> {
        let repaired = Repaired::of(source);
        let tree = repaired.tree();
        let mut found = Findings::new(source, Area::Manifest, &tree);
        let fields = Fields::new("the manifest", 0..0, tree.root.get_ref());
        let manifest = read_manifest(&mut found, fields);
        found.into_reading(manifest)
    }

    /// Nothing but where it was read from.
    fn empty(source: &SourceFile) -> Self {
        Self {
            source: source.clone(),
            application: Application::default(),
            variables: Vec::new(),
            http_triggers: Vec::new(),
            command_triggers: Vec::new(),
            event_triggers: Vec::new(),
            components: Vec::new(),
            triggers_unread: true,
        }
    }

    fn starts_nothing(&self) -> bool {
        self.http_triggers.is_empty() && self.command_triggers.is_empty() && self.event_triggers.is_empty()
    }

    /// The components that triggers start, once for each trigger.
    pub fn started(&self) -> impl Iterator<Item = &Located<ComponentId>> {
        let http = self.http_triggers.iter().filter_map(HttpTrigger::component);
        let command = self.command_triggers.iter().map(|trigger| &trigger.component);
        let event = self.event_triggers.iter().map(|trigger| &trigger.component);
        http.chain(command).chain(event)
    }

    /// True if other components are made of the code of this one, and no trigger starts it: it never runs as itself.
    pub fn runs_in_others_only(&self, id: &ComponentId) -> bool {
        self.named_by_others().any(|named| named == id) && self.started().all(|started| started.value != *id)
    }

    /// The components whose code others have: as their source, as a dependency or as middleware.
    fn named_by_others(&self) -> impl Iterator<Item = &ComponentId> {
        let dependencies = self
            .components
            .iter()
            .flat_map(|component| &component.dependencies.list);
        let middleware = self.http_triggers.iter().flat_map(|trigger| &trigger.middleware);
        let composed = dependencies
            .map(|dependency| &dependency.implementation)
            .chain(middleware.map(|middleware| &middleware.implementation));
        let composed = composed.filter_map(|implementation| match &implementation.value {
            Implementation::Component(id) => Some(id),
            _ => None,
        });
        let sources = self.components.iter();
        composed.chain(sources.filter_map(|component| match &component.source.value {
            Source::Component(id) => Some(id),
            _ => None,
        }))
    }

    /// The component with this id.
    pub fn component(&self, id: &ComponentId) -> Option<&Component> {
        self.components.iter().find(|component| component.id.value == *id)
    }

    /// The component whose source is the code of `component`: itself, or the one that its source names. None if that
    /// leads nowhere, which is a mistake of the manifest.
    pub fn code_of<'m>(&'m self, component: &'m Component) -> Option<&'m Component> {
        let mut at = component;
        // Whoever needs more steps than there are components goes round.
        for _ in &self.components {
            match &at.source.value {
                Source::Component(id) => at = self.component(id)?,
                _ => return Some(at),
            }
        }
        None
    }
}

fn read_manifest(found: &mut Findings, mut fields: Fields<'_>) -> Manifest {
    if let Some(version) = first_version(&fields, found.source()) {
        found.report(&version, Mistake::FirstVersion);
        return Manifest::empty(found.source());
    }
    if let Some(node) = fields.require(found, "spin_manifest_version") {
        check_version(found, node);
    }
    let mistakes_before = found.mistakes();
    let (application, settings) = fields
        .require(found, "application")
        .map(|node| read_application(found, node))
        .unwrap_or_default();
    let all_settings_read = found.mistakes() == mistakes_before;
    let variables = fields
        .get("variables")
        .map(|node| read_variables(found, node))
        .unwrap_or_default();
    let Components { mut named, unnamed } = fields
        .get("component")
        .map(|node| read_components(found, node))
        .unwrap_or_default();
    let ids: Vec<ComponentId> = named.iter().map(|component| component.id.value.clone()).collect();
    let triggers = fields.require(found, "trigger");
    let triggers_span = triggers.map(|node| node.span());
    let mistakes_elsewhere = found.mistakes();
    let triggers = triggers
        .map(|node| read_triggers(found, node, &ids, &settings))
        .unwrap_or_default();
    let all_triggers_read = found.mistakes() == mistakes_elsewhere;
    fields.finish(found);

    let Triggers {
        http,
        command,
        event,
        held,
        others,
        held_by_others,
    } = triggers;
    named.extend(held);
    let manifest = Manifest {
        source: found.source().clone(),
        application,
        variables: variables.read,
        http_triggers: http,
        command_triggers: command,
        event_triggers: event,
        components: named,
        triggers_unread: !(all_settings_read && all_triggers_read),
    };
    let by_id = ById::of(&manifest);
    check_triggered(found, &manifest, &by_id, &others);
    if let Some(span) = triggers_span
        && all_triggers_read
        && manifest.starts_nothing()
    {
        found.report(&span, Mistake::NothingToStart);
    }
    check_routes(found, &manifest.http_triggers);
    if found.mistakes() == 0 {
        report_never_started(found, &manifest, &others);
    }
    check_chained(found, &manifest);
    check_sources(found, &manifest, &by_id);
    check_dependencies(found, &manifest, &by_id);
    check_templates(
        found,
        manifest.components.iter().chain(&unnamed).chain(&held_by_others),
        &variables.names,
    );
    check_templates_of_parts(found, &manifest, &variables.names);
    check_settings(found, &manifest, &settings, &variables.names);
    manifest
}

/// The place where a manifest says that it is of version 1. What else stands in it would only be misunderstood.
fn first_version(fields: &Fields<'_>, source: &SourceFile) -> Option<Span> {
    let keys = fields.names(source);
    let value = |wanted: &str| keys.iter().find(|(key, _)| key.value == wanted);
    if value("application").is_some() {
        return None;
    }
    let (_, version) = value("spin_version").or_else(|| value("spin_manifest_version"))?;
    let span = version.span();
    (source.slice(&span).trim_matches('"') == "1").then_some(span)
}

fn check_version(found: &mut Findings, node: Node<'_>) {
    if node.integer() == Some(2) || found.is_damaged(&node.span()) {
        return;
    }
    let version = found.source().slice(&node.span()).to_owned();
    found.report(&node.span(), Mistake::Version { found: version });
}

/// `[variables]`: what could be read, and the names of all.
#[derive(Default)]
struct DeclaredVariables {
    read: Vec<VariableDeclaration>,
    names: HashSet<VariableName>,
}

fn read_variables(found: &mut Findings, node: Node<'_>) -> DeclaredVariables {
    let mut declared = DeclaredVariables::default();
    for (text, node) in node.named(found) {
        let name = read_variable_name(found, &text);
        declared
            .names
            .extend(name.as_ref().map(|name| name.value.clone()));
        declared.read.extend(read_variable(found, &text, name, node));
    }
    declared
}

fn read_variable(
    found: &mut Findings,
    text: &Located<String>,
    name: Option<Located<VariableName>>,
    node: Node<'_>,
) -> Option<VariableDeclaration> {
    let mut fields = node.table(found, format!("the variable `{}`", text.value))?;
    let secret = fields
        .get("secret")
        .and_then(|node| node.boolean(found))
        .is_some_and(|secret| secret.value);
    let required = fields.get("required").map(|node| node.boolean(found));
    let default = fields.get("default").map(|node| node.string(found));
    let description = fields.get("description").and_then(|node| node.string(found));
    let meant = fields.finish(found);
    let name = name?;
    let is_required = required
        .as_ref()
        .is_some_and(|flag| flag.as_ref().is_none_or(|flag| flag.value));
    let fallback = match (is_required, default) {
        (true, None) => Fallback::Required,
        (false, Some(default)) => Fallback::Value(default?.map(|text| {
            if secret {
                VariableText::secret(text)
            } else {
                VariableText::public(text)
            }
        })),
        (true, Some(_)) => {
            let both = Mistake::VariableWithBoth {
                name: name.value.clone(),
            };
            found.report(&name.span, both);
            Fallback::Unclear
        }
        (false, None) => {
            // One that is misspelled is one mistake.
            let may_be_there = |key| found.is_in_unread_part(key) || meant.contains(&key);
            if !may_be_there("default") && !may_be_there("required") {
                let neither = Mistake::VariableWithoutValue {
                    name: name.value.clone(),
                };
                found.report(&name.span, neither);
            }
            Fallback::Unclear
        }
    };
    Some(VariableDeclaration {
        name,
        fallback,
        secret,
        description,
        span: node.span(),
    })
}

/// `[component]`.
#[derive(Default)]
struct Components {
    named: Vec<Component>,
    /// Those whose id is none; read for the mistakes in them.
    unnamed: Vec<Component>,
}

fn read_components(found: &mut Findings, node: Node<'_>) -> Components {
    let mut components = Components::default();
    for (text, node) in node.named(found) {
        let Some(fields) = node.table(found, format!("`[component.{}]`", text.value)) else {
            continue;
        };
        match ComponentId::parse(&text.value) {
            Ok(id) => components
                .named
                .push(read_component(found, Located::new(id, text.span), fields)),
            Err(error) => {
                let mistake = Mistake::ComponentId {
                    text: text.value.clone(),
                    error,
                };
                found.report(&text.span, mistake);
                let id = ComponentId::parse("unnamed").expect("INVARIANT: a lower-case word is kebab case");
                components
                    .unnamed
                    .push(read_component(found, Located::new(id, text.span), fields));
            }
        }
    }
    components
}

/// The components, found by their ids.
struct ById<'m>(HashMap<&'m ComponentId, &'m Component>);

impl<'m> ById<'m> {
    fn of(manifest: &'m Manifest) -> Self {
        let components = manifest.components.iter();
        // Of two with the same id the first counts, as with `Manifest::component`.
        let reversed = components.rev().map(|component| (&component.id.value, component));
        Self(reversed.collect())
    }

    /// The component of that id; reported if there is none.
    fn check(
        &self,
        found: &mut Findings,
        manifest: &Manifest,
        id: &Located<ComponentId>,
    ) -> Option<&'m Component> {
        let component = self.0.get(&id.value).copied();
        if component.is_none() && !found.is_in_unread_part(id.value.as_str()) {
            let (meant, known) = candidates(
                id.value.as_str(),
                manifest
                    .components
                    .iter()
                    .map(|component| component.id.value.as_str()),
            );
            let id_written = id.value.clone();
            found.report(
                &id.span,
                Mistake::ComponentReference {
                    id: id_written,
                    meant,
                    known,
                },
            );
        }
        component
    }
}

fn check_triggered(
    found: &mut Findings,
    manifest: &Manifest,
    by_id: &ById<'_>,
    others: &[Located<ComponentId>],
) {
    for id in manifest.started().chain(others) {
        by_id.check(found, manifest, id);
    }
}

fn check_routes(found: &mut Findings, triggers: &[HttpTrigger]) {
    let routed: Vec<_> = triggers
        .iter()
        .filter_map(|trigger| match &trigger.route.value {
            Route::Path(route) => Some((trigger, route)),
            Route::Private => None,
        })
        .collect();
    let serving = serving(routed.iter().map(|(_, route)| *route));
    for (number, (trigger, route)) in routed.iter().enumerate() {
        let answers = serving[&route.form()];
        if answers != number {
            found.remark(
                &trigger.route.span,
                Remark::ShadowedRoute {
                    route: route.to_string(),
                    by: routed[answers].0.component().map(|id| id.value.to_string()),
                },
            );
        }
    }
}

/// With mistakes in the file nobody knows what starts a component.
fn report_never_started(found: &mut Findings, manifest: &Manifest, others: &[Located<ComponentId>]) {
    let triggered = manifest.started().chain(others).map(|id| &id.value);
    let used: HashSet<&ComponentId> = triggered.chain(manifest.named_by_others()).collect();
    for component in &manifest.components {
        if !used.contains(&component.id.value) {
            let id = component.id.value.to_string();
            found.remark(&component.id.span, Remark::NeverStarted { id });
        }
    }
}

/// Names below `spin.internal` are components of the app.
fn check_chained(found: &mut Findings, manifest: &Manifest) {
    let ids: HashSet<&str> = ids_of(manifest).collect();
    let entries = manifest
        .components
        .iter()
        .flat_map(|component| &component.allowed_outbound_hosts);
    for written in entries {
        let hosts = written.literal().map(Entry::hosts).unwrap_or_default();
        let is_of_none = |host: &HostPattern| match host {
            HostPattern::Name(name) => name
                .as_str()
                .strip_suffix(".spin.internal")
                .is_some_and(|id| !ids.contains(id) && !found.is_in_unread_part(id)),
            _ => false,
        };
        if !hosts.is_empty() && hosts.iter().all(is_of_none) {
            let known = ids_of(manifest).take(MOST_LISTED).map(str::to_owned).collect();
            let entry = written.text.value.clone();
            found.remark(&written.text.span, Remark::NoSuchComponent { entry, known });
        }
    }
}

fn ids_of(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest
        .components
        .iter()
        .map(|component| component.id.value.as_str())
}

fn check_sources(found: &mut Findings, manifest: &Manifest, by_id: &ById<'_>) {
    for component in &manifest.components {
        let Source::Component(id) = &component.source.value else {
            continue;
        };
        let id = Located::new(id.clone(), component.source.span.clone());
        if by_id.check(found, manifest, &id).is_some() && manifest.code_of(component).is_none() {
            let error = SourceError::Circle(component.id.value.to_string());
            found.report(&id.span, Mistake::Source(error));
        }
    }
}

fn check_dependencies(found: &mut Findings, manifest: &Manifest, by_id: &ById<'_>) {
    let dependencies = manifest
        .components
        .iter()
        .flat_map(|component| &component.dependencies.list);
    let middleware = manifest
        .http_triggers
        .iter()
        .flat_map(|trigger| &trigger.middleware);
    let all = dependencies
        .map(|dependency| &dependency.implementation)
        .chain(middleware.map(|middleware| &middleware.implementation));
    for implementation in all {
        let Implementation::Component(id) = &implementation.value else {
            continue;
        };
        let id = Located::new(id.clone(), implementation.span.clone());
        let Some(component) = by_id.check(found, manifest, &id) else {
            continue;
        };
        let keys = component.own_resources();
        if !keys.is_empty() {
            let error = DependencyError::OwnResources { id: id.value, keys };
            found.report(&id.span, Mistake::Dependency(error));
        }
    }
}

fn check_templates<'c>(
    found: &mut Findings,
    components: impl Iterator<Item = &'c Component>,
    declared: &HashSet<VariableName>,
) {
    for component in components {
        let entries = component
            .allowed_outbound_hosts
            .iter()
            .filter_map(OutboundEntry::template);
        let variables = component.variables.iter().map(|(_, template)| template);
        for template in entries.chain(variables) {
            check_template(found, template, declared);
        }
    }
}

/// Variables in the lists of parts, too, are to be declared.
fn check_templates_of_parts(found: &mut Findings, manifest: &Manifest, declared: &HashSet<VariableName>) {
    for part in manifest.parts() {
        let entries = part.allowed_outbound_hosts.into_iter().flatten();
        for template in entries.filter_map(OutboundEntry::template) {
            check_template(found, template, declared);
        }
    }
}

/// The templates of triggers, and of `[application.trigger]`: each once, however many triggers take it over.
fn check_settings(
    found: &mut Findings,
    manifest: &Manifest,
    settings: &EventSettings,
    declared: &HashSet<VariableName>,
) {
    let triggers = manifest.event_triggers.iter();
    let own = triggers.flat_map(|trigger| trigger.source.templates());
    let mut seen = HashSet::new();
    for template in settings.templates().chain(own) {
        if seen.insert(template.span.start) {
            check_template(found, template, declared);
        }
    }
}

fn check_template(found: &mut Findings, template: &Located<Template>, declared: &HashSet<VariableName>) {
    for (name, part) in template.value.variables() {
        if declared.contains(name) || found.is_in_unread_part(name.as_str()) {
            continue;
        }
        let mut all: Vec<&str> = declared.iter().map(VariableName::as_str).collect();
        all.sort_unstable();
        let (meant, known) = candidates(name.as_str(), all);
        let span = found
            .source()
            .part_of(&template.span, template.value.as_str(), part);
        found.report(
            &span,
            Mistake::VariableReference {
                name: name.clone(),
                meant,
                known,
            },
        );
    }
}
