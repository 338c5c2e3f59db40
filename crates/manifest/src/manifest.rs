//! The manifest of an app: `spin.toml`, version 2.

mod references;
mod templates;

use self::references::{
    ById, check_chained, check_dependencies, check_routes, check_sources, check_triggered,
    report_never_started,
};
use self::templates::{check_settings, check_templates, check_templates_of_parts};
use crate::reading::application::{Application, read_application};
use crate::reading::component::{Component, read_component};
use crate::reading::component_source::Source;
use crate::reading::dependency::Implementation;
use crate::reading::fields::{Fields, Node};
use crate::reading::trigger::event::EventTrigger;
use crate::reading::trigger::{CommandTrigger, HttpTrigger, Triggers, read_triggers};
use crate::reading::variables::read_variables;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Reading};
use crate::source::{Located, SourceFile, Span};
use crate::syntax::Repaired;
use crate::values::identifier::ComponentId;
use crate::values::variable::VariableDeclaration;

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
