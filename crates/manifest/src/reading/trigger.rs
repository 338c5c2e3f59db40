//! The triggers that start a component, or answer by themselves: `[[trigger.http]]`, `[[trigger.command]]`, and those that
//! hand events over ([`event`]).
//!
//! A trigger names its component (`component = "web"`) or holds it (`component = { source = "web.wasm" }`). A held
//! component gets an id as with Spin: the trigger's own id and `-component`. A trigger without an id gets one too:
//! `web-http-trigger` after its component, or `http-trigger1` and so on.
//!
//! A trigger for HTTP may have a `static_response` instead of a component: then nothing is started.

pub(crate) mod cron;
pub(crate) mod event;
pub(crate) mod mqtt;
pub(crate) mod redis;
pub(crate) mod sqs;

use std::collections::{HashMap, HashSet};

use self::event::{EventKind, EventSettings, EventTrigger};
use crate::reading::component::{Component, read_component};
use crate::reading::dependency::read_component_id;
use crate::reading::executor::{Executor, read_executor};
use crate::reading::fields::{Fields, Node};
use crate::reading::middleware::{Middleware, check_middleware, read_middleware};
use crate::reading::static_response::{StaticResponse, read_static_response};
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::spelling::nearest;
use crate::source::{Located, Span};
use crate::values::identifier::ComponentId;
use crate::values::route::{PathRoute, Route, RouteError};

/// One `[[trigger.http]]`: requests that match the route start the component.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Its id, written or made up.
    pub id: String,
    /// The requests that it answers.
    pub route: Located<Route>,
    /// The one who answers them.
    pub answer: HttpAnswer,
    /// The components before that one, the outermost first.
    pub middleware: Vec<Middleware>,
    /// The place where the trigger stands.
    pub span: Span,
}

/// The one who answers the requests of a trigger.
#[derive(Debug, Clone)]
pub enum HttpAnswer {
    /// A component, which they start.
    Component {
        /// The component.
        id: Located<ComponentId>,
        /// The way in which it takes them.
        executor: Executor,
    },
    /// Nobody else than the manifest.
    Static(StaticResponse),
}

/// One `[[trigger.command]]`: starting the app starts the component.
#[derive(Debug, Clone)]
pub struct CommandTrigger {
    /// Its id, written or made up.
    pub id: String,
    /// The component that it starts.
    pub component: Located<ComponentId>,
    /// The arguments that the component gets, its own name not among them.
    pub args: Vec<Located<String>>,
    /// The place where the trigger stands.
    pub span: Span,
}

impl HttpTrigger {
    /// The component that requests start, if they start one.
    pub fn component(&self) -> Option<&Located<ComponentId>> {
        match &self.answer {
            HttpAnswer::Component { id, .. } => Some(id),
            HttpAnswer::Static(_) => None,
        }
    }
}

/// All triggers of an app, and the components that they hold.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    pub(crate) http: Vec<HttpTrigger>,
    pub(crate) command: Vec<CommandTrigger>,
    pub(crate) event: Vec<EventTrigger>,
    pub(crate) held: Vec<Component>,
    /// Components that triggers of other types name, and triggers that could not be read.
    pub(crate) others: Vec<Located<ComponentId>>,
    /// Components that triggers of other types hold; read for the mistakes in them.
    pub(crate) held_by_others: Vec<Component>,
}

/// Reads `trigger`; `taken` are the ids of the components in the manifest, `settings` what `[application.trigger]` has for
/// all triggers of a type.
pub(crate) fn read_triggers(
    found: &mut Findings,
    node: Node<'_>,
    taken: &[ComponentId],
    settings: &EventSettings,
) -> Triggers {
    let mut reader = Reader {
        triggers: Triggers::default(),
        components: taken.iter().cloned().collect(),
        ids: HashSet::new(),
        numbers: HashMap::new(),
    };
    for (kind, node) in node.named(found) {
        match kind.value.as_str() {
            "http" => reader.read_all(found, node.called("trigger.http"), Reader::read_http),
            "command" => reader.read_all(found, node.called("trigger.command"), Reader::read_command),
            other => match EventKind::of(other) {
                Some(kind) => reader.read_all(found, node.called(kind.table()), |reader, found, fields| {
                    reader.read_event(found, fields, kind, settings);
                }),
                None => {
                    report_kind(found, &kind);
                    reader.read_all(found, node, Reader::read_other);
                }
            },
        }
    }
    reader.triggers
}

/// Reports a type of trigger that nothing serves: as a slip of the pen, where it is one.
fn report_kind(found: &mut Findings, kind: &Located<String>) {
    if !report_slip(found, kind) {
        let kind_written = kind.value.clone();
        found.report(&kind.span, Mistake::UnknownTrigger { kind: kind_written });
    }
}

/// Reports a type of trigger that is one of those served here but for a slip of the pen, and answers whether it is.
pub(crate) fn report_slip(found: &mut Findings, kind: &Located<String>) -> bool {
    if OTHERS_OF_SPIN.contains(&kind.value.as_str()) {
        return false;
    }
    let Some(meant) = nearest(&kind.value, SERVED) else {
        return false;
    };
    let mistake = Mistake::TriggerType {
        kind: kind.value.clone(),
        meant: meant.to_owned(),
    };
    found.report(&kind.span, mistake);
    true
}

/// Types of triggers that are served.
pub(crate) const SERVED: [&str; 6] = ["http", "command", "redis", "cron", "mqtt", "sqs"];

/// Further types of triggers that Spin has by plugins.
const OTHERS_OF_SPIN: [&str; 4] = ["timer", "kafka", "nats", "kinesis"];

struct Reader {
    triggers: Triggers,
    /// Ids of components that are taken.
    components: HashSet<ComponentId>,
    /// Ids of triggers that are taken.
    ids: HashSet<String>,
    /// The count of numbers that each stem of a made-up id has used up.
    numbers: HashMap<String, u64>,
}

impl Reader {
    fn read_all(
        &mut self,
        found: &mut Findings,
        node: Node<'_>,
        read: impl Fn(&mut Self, &mut Findings, Fields<'_>),
    ) {
        let tables: Vec<_> = node
            .items(found, "an array of tables")
            .into_iter()
            .filter_map(|item| item.table(found, format!("`[[{}]]`", node.key())))
            .collect();
        for table in tables {
            read(self, found, table);
        }
    }

    fn read_http(&mut self, found: &mut Findings, mut fields: Fields<'_>) {
        let span = fields.span().clone();
        let id = fields.get("id").and_then(|node| node.string(found));
        let route = fields
            .require(found, "route")
            .and_then(|node| read_route(found, node));
        let executor = fields.get("executor").map(|node| read_executor(found, node));
        let static_response = fields.get("static_response");
        let component = match static_response {
            Some(_) => fields.get("component"),
            None => fields.require(found, "component"),
        };
        // Written in the place of the component.
        let (static_response, component) = match component.and_then(|node| node.only("static_response")) {
            Some(inner) if static_response.is_none() => (Some(inner), None),
            _ => (static_response, component),
        };
        if let (Some(node), Some(_)) = (static_response, component) {
            report_both(found, node, "component");
        }
        if let (Some(node), Some(_)) = (static_response, executor.as_ref()) {
            report_both(found, node, "executor");
        }
        let static_response = static_response.and_then(|node| read_static_response(found, node));
        let (id, component) = self.read_started(found, "http", id, component);
        let middleware = read_middleware(found, &mut fields);
        check_middleware(found, &middleware, static_response.is_some(), executor.as_ref());
        refuse_further_components(found, &mut fields, &["components"]);
        fields.finish(found);
        let Some(route) = route else {
            self.triggers.others.extend(component);
            return;
        };
        let executor = executor.unwrap_or_default();
        let answer = component
            .map(|id| HttpAnswer::Component { id, executor })
            .or(static_response.map(HttpAnswer::Static));
        self.triggers.http.extend(answer.map(|answer| HttpTrigger {
            id,
            route,
            answer,
            middleware,
            span,
        }));
    }

    fn read_command(&mut self, found: &mut Findings, mut fields: Fields<'_>) {
        let span = fields.span().clone();
        let id = fields.get("id").and_then(|node| node.string(found));
        let component = fields.require(found, "component");
        let (id, component) = self.read_started(found, "command", id, component);
        let args = fields
            .get("args")
            .map(|node| node.strings(found))
            .unwrap_or_default();
        refuse_further_components(found, &mut fields, &["components", "dependencies"]);
        fields.finish(found);
        if let Some(component) = component {
            self.triggers.command.push(CommandTrigger {
                id,
                component,
                args,
                span,
            });
        }
    }

    fn read_event(
        &mut self,
        found: &mut Findings,
        mut fields: Fields<'_>,
        kind: EventKind,
        settings: &EventSettings,
    ) {
        let span = fields.span().clone();
        let id = fields.get("id").and_then(|node| node.string(found));
        let component = fields.require(found, "component");
        let (id, component) = self.read_started(found, kind.name(), id, component);
        let source = event::read_source(found, &mut fields, kind, settings);
        refuse_further_components(found, &mut fields, &["components", "dependencies"]);
        fields.finish(found);
        match (component, source) {
            (Some(component), Some(source)) => self.triggers.event.push(EventTrigger {
                id,
                component,
                source,
                span,
            }),
            (component, _) => self.triggers.others.extend(component),
        }
    }

    /// Triggers of other types have keys that only they know; what they name is looked at all the same.
    fn read_other(&mut self, found: &mut Findings, mut fields: Fields<'_>) {
        if let Some(node) = fields.get("id") {
            node.string(found);
        }
        let Some(node) = fields.get("component") else {
            return;
        };
        if !node.is_table() {
            self.triggers.others.extend(read_component_id(found, node));
            return;
        }
        let held = node.table(found, "the component of the trigger");
        self.triggers.held_by_others.extend(held.map(|fields| {
            let id = ComponentId::parse("unnamed").expect("INVARIANT: a lower-case word is kebab case");
            read_component(found, Located::new(id, node.span()), fields)
        }));
    }

    /// The ids of the trigger and of the component that it names or holds.
    fn read_started(
        &mut self,
        found: &mut Findings,
        kind: &str,
        id: Option<Located<String>>,
        node: Option<Node<'_>>,
    ) -> (String, Option<Located<ComponentId>>) {
        let named = node
            .filter(|node| !node.is_table())
            .and_then(|node| read_component_id(found, node));
        let id = self.trigger_id(kind, id, named.as_ref());
        let held = node.filter(Node::is_table).and_then(|node| {
            let fields = node.table(found, format!("the component of `{id}`"))?;
            let component = Located::new(self.held_id(&id), node.span());
            self.triggers
                .held
                .push(read_component(found, component.clone(), fields));
            Some(component)
        });
        (id, named.or(held))
    }

    fn trigger_id(
        &mut self,
        kind: &str,
        written: Option<Located<String>>,
        component: Option<&Located<ComponentId>>,
    ) -> String {
        let natural = component.map(|component| format!("{}-{kind}-trigger", component.value));
        let written = written.map(|id| id.value).filter(|id| !id.is_empty());
        let id = match (written, natural) {
            (Some(written), _) => written,
            (None, Some(natural)) if !self.ids.contains(&natural) => natural,
            _ => self.numbered(format!("{kind}-trigger"), |reader, id| reader.ids.contains(id)),
        };
        self.ids.insert(id.clone());
        id
    }

    fn held_id(&mut self, trigger: &str) -> ComponentId {
        let natural = ComponentId::parse(&format!("{trigger}-component")).ok();
        let id = natural
            .filter(|id| !self.components.contains(id))
            .unwrap_or_else(|| {
                let is_taken =
                    |reader: &Self, id: &str| reader.components.iter().any(|taken| taken.as_str() == id);
                let id = self.numbered("inline-component".to_owned(), is_taken);
                ComponentId::parse(&id)
                    .expect("INVARIANT: a word, a hyphen and a word with a number is kebab case")
            });
        self.components.insert(id.clone());
        id
    }

    /// The first of `stem1`, `stem2` and so on that is not taken.
    fn numbered(&mut self, stem: String, is_taken: impl Fn(&Self, &str) -> bool) -> String {
        loop {
            let number = self.numbers.entry(stem.clone()).or_default();
            *number += 1;
            let id = format!("{stem}{number}");
            if !is_taken(self, &id) {
                return id;
            }
        }
    }
}

fn read_route(found: &mut Findings, node: Node<'_>) -> Option<Located<Route>> {
    if node.is_table() {
        return read_private_route(found, node);
    }
    if !node.is_string() {
        return node.wrong_type(found, "a path or `{ private = true }`");
    }
    let text = node.string(found)?;
    match PathRoute::parse(&text.value) {
        Ok(route) => Some(Located::new(Route::Path(route), text.span)),
        Err(error) => {
            found.report(&text.span, Mistake::Route(error));
            None
        }
    }
}

fn read_private_route(found: &mut Findings, node: Node<'_>) -> Option<Located<Route>> {
    let mut fields = node.table(found, "`route`")?;
    let private = fields
        .require(found, "private")
        .and_then(|node| node.boolean(found));
    fields.finish(found);
    let private = private?;
    if private.value {
        Some(Located::new(Route::Private, node.span()))
    } else {
        found.report(&private.span, Mistake::Route(RouteError::NotPrivate));
        None
    }
}

/// Reports that a trigger with this key also has the `static_response` at `node`.
fn report_both(found: &mut Findings, node: Node<'_>, key: &str) {
    let mistake = Mistake::Value {
        key: node.key().to_owned(),
        wrong: format!("and `{key}` exclude each other"),
        help: Some("remove one of the two".into()),
    };
    found.report(&node.span(), mistake);
}

/// Further components that Spin runs around the one of a trigger, such as the middleware that asks who somebody is.
/// Without them it would run as it was never meant to.
fn refuse_further_components(found: &mut Findings, fields: &mut Fields<'_>, keys: &[&'static str]) {
    for &key in keys {
        let named = fields.get(key).map(|node| node.named(found)).unwrap_or_default();
        for (name, _) in named {
            found.report(
                &name.span,
                Mistake::Unsupported {
                    key: format!("{key}.{}", name.value),
                    consequence: ": the trigger would start its component without it",
                    help: "compose the two into one component, for example with `wac plug`, and remove the key",
                },
            );
        }
    }
}
