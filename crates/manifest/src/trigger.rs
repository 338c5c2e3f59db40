//! What starts a component: `[[trigger.http]]` and `[[trigger.command]]`.
//!
//! A trigger names its component (`component = "web"`) or holds it (`component = { source = "web.wasm" }`). A held
//! component gets an id as with Spin: the trigger's own id and `-component`. A trigger without an id gets one too:
//! `web-http-trigger` after its component, or `http-trigger1` and so on.

use std::collections::{HashMap, HashSet};

use crate::component::{Component, note_not_used, read_component};
use crate::dependency::read_component_id;
use crate::fields::{Fields, Node};
use crate::findings::Findings;
use crate::identifier::ComponentId;
use crate::mistake::Mistake;
use crate::remark::Remark;
use crate::route::{PathRoute, Route, RouteError};
use crate::source::{Located, Span};

/// One `[[trigger.http]]`: requests that match the route start the component.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Its id, written or made up.
    pub id: String,
    /// Which requests.
    pub route: Located<Route>,
    /// What they start.
    pub component: Located<ComponentId>,
    /// Where the trigger stands.
    pub span: Span,
}

/// One `[[trigger.command]]`: starting the app starts the component.
#[derive(Debug, Clone)]
pub struct CommandTrigger {
    /// Its id, written or made up.
    pub id: String,
    /// What it starts.
    pub component: Located<ComponentId>,
    /// What the component gets as arguments, its own name not among them.
    pub args: Vec<Located<String>>,
    /// Where the trigger stands.
    pub span: Span,
}

/// All triggers of an app, and the components that they hold.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    pub(crate) http: Vec<HttpTrigger>,
    pub(crate) command: Vec<CommandTrigger>,
    pub(crate) held: Vec<Component>,
    /// Components that triggers of other types name, and triggers that could not be read.
    pub(crate) others: Vec<Located<ComponentId>>,
}

/// Reads `trigger`; `taken` are the ids of the components in the manifest.
pub(crate) fn read_triggers(found: &mut Findings, node: Node<'_>, taken: &[ComponentId]) -> Triggers {
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
            _ => {
                found.remark(
                    &kind.span,
                    Remark::UnknownTrigger {
                        kind: kind.value.clone(),
                    },
                );
                reader.read_all(found, node, Reader::read_other);
            }
        }
    }
    reader.triggers
}

struct Reader {
    triggers: Triggers,
    /// Ids of components that are taken.
    components: HashSet<ComponentId>,
    /// Ids of triggers that are taken.
    ids: HashSet<String>,
    /// How many numbers each stem of a made-up id has used up.
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
        if let Some(node) = fields.get("executor") {
            read_executor(found, node);
        }
        let static_response = fields.get("static_response");
        if let Some(node) = static_response {
            note_not_used(found, node, "only components answer requests");
        }
        let component = match static_response {
            Some(_) => fields.get("component"),
            None => fields.require(found, "component"),
        };
        let (id, component) = self.read_started(found, "http", id, component);
        note_reserved(found, &mut fields);
        fields.finish(found);
        match (route, component) {
            (Some(route), Some(component)) => self.triggers.http.push(HttpTrigger {
                id,
                route,
                component,
                span,
            }),
            (None, component) => self.triggers.others.extend(component),
            (Some(_), None) => {}
        }
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
        note_reserved(found, &mut fields);
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

    /// Triggers of other types have keys that only they know; what they name is looked at all the same.
    fn read_other(&mut self, found: &mut Findings, mut fields: Fields<'_>) {
        let named = fields.get("component").filter(Node::is_string);
        let id = named.and_then(|node| read_component_id(found, node));
        self.triggers.others.extend(id);
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
    match private.value {
        true => Some(Located::new(Route::Private, node.span())),
        false => {
            found.report(&private.span, Mistake::Route(RouteError::NotPrivate));
            None
        }
    }
}

fn read_executor(found: &mut Findings, node: Node<'_>) {
    let Some(mut fields) = node.table(found, "`executor`") else {
        return;
    };
    let kind = fields.require(found, "type").and_then(|node| node.string(found));
    let [entrypoint, argv] = ["entrypoint", "argv"].map(|key| fields.get(key));
    match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("http" | "spin") | None => {}
        Some("wagi") => {
            [entrypoint, argv]
                .into_iter()
                .flatten()
                .for_each(|node| drop(node.string(found)));
            note_not_used(found, node, "the Wagi interface is not served");
        }
        Some(other) => {
            let wrong = format!("cannot be `{other}`");
            let help = Some("write `type = \"http\"`, or leave `executor` out".to_owned());
            let span = kind
                .as_ref()
                .map_or_else(|| node.span(), |kind| kind.span.clone());
            found.report(
                &span,
                Mistake::Value {
                    key: "type".into(),
                    wrong,
                    help,
                },
            );
        }
    }
    fields.finish(found);
}

/// Keys that Spin accepts for every trigger.
fn note_reserved(found: &mut Findings, fields: &mut Fields<'_>) {
    for key in ["components", "dependencies"] {
        if let Some(node) = fields.get(key) {
            node.named(found);
            note_not_used(found, node, "a trigger starts its `component` only");
        }
    }
}
