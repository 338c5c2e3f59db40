//! Components that stand before the handler of a trigger: `[[trigger.http]]` `dependencies.middleware`.
//!
//! ```toml
//! [[trigger.http]]
//! route = "/..."
//! component = "web"
//! dependencies.middleware = [{ path = "auth.wasm" }, { component = "log", inherit_configuration = ["variables"] }]
//! ```
//!
//! The first is the outermost: it is given the request, and what it asks `wasi:http/handler` is answered by the next, the
//! last one's by the component. An entry says where its code is from as one of [`dependencies`](super::dependency) does,
//! and what it inherits is that component's. Without a word it inherits nothing.

use crate::manifest::Manifest;
use crate::reading::dependency::{Implementation, Inheritance, read_part};
use crate::reading::entries::OutboundEntry;
use crate::reading::executor::Executor;
use crate::reading::fields::Fields;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::spelling::nearest;
use crate::source::{Located, Span};
use crate::values::dependency_error::DependencyError;
use crate::values::identifier::ComponentId;

/// One component before the handler of a trigger.
#[derive(Debug, Clone)]
pub struct Middleware {
    /// The source of its code.
    pub implementation: Located<Implementation>,
    /// `inherit_configuration`, if it is written.
    pub inherit: Option<Located<Inheritance>>,
    /// `allowed_outbound_hosts`, if it is written: of the hosts that it inherits, only these.
    pub allowed_outbound_hosts: Option<Vec<OutboundEntry>>,
    /// The place where it stands.
    pub span: Span,
}

impl Manifest {
    /// The middleware of all triggers that stands before a component, and what each is called in messages and by
    /// options: `middleware-1`, and so on through the triggers.
    pub fn middleware_of(&self, id: &ComponentId) -> Vec<(String, &Middleware)> {
        let triggers = self.http_triggers.iter();
        let of_it = triggers.filter(|trigger| trigger.component().is_some_and(|own| own.value == *id));
        let all = (1..).zip(of_it.flat_map(|trigger| &trigger.middleware));
        all.map(|(number, one)| (format!("middleware-{number}"), one))
            .collect()
    }

    /// True if everything that starts the component is a trigger with middleware.
    pub fn is_behind_middleware(&self, id: &ComponentId) -> bool {
        let mut http = self
            .http_triggers
            .iter()
            .filter(|trigger| trigger.component().is_some_and(|own| own.value == *id))
            .peekable();
        http.peek().is_some()
            && http.all(|trigger| !trigger.middleware.is_empty())
            && self
                .command_triggers
                .iter()
                .all(|trigger| trigger.component.value != *id)
            && self
                .event_triggers
                .iter()
                .all(|trigger| trigger.component.value != *id)
    }
}

impl Middleware {
    /// The part that it inherits of the configuration of the component behind it.
    pub fn inheritance(&self) -> Inheritance {
        self.inherit
            .as_ref()
            .map_or(Inheritance::Nothing, |own| own.value.clone())
    }
}

/// Reads `dependencies` of a trigger for HTTP. What stands there beside `middleware` is something else that would run
/// around the component, and is not done without.
pub(crate) fn read_middleware(found: &mut Findings, trigger: &mut Fields<'_>) -> Vec<Middleware> {
    let Some(node) = trigger.get("dependencies") else {
        return Vec::new();
    };
    let mut list = Vec::new();
    for (name, node) in node.named(found) {
        if name.value != "middleware" {
            if let Some(meant) = nearest(&name.value, ["middleware"]) {
                let mistake = Mistake::UnknownKey {
                    key: name.value.clone(),
                    table: "`dependencies` of a trigger".to_owned(),
                    meant: Some(meant.to_owned()),
                    known: vec!["middleware"],
                };
                found.report(&name.span, mistake);
                continue;
            }
            found.report(
                &name.span,
                Mistake::Unsupported {
                    key: format!("dependencies.{}", name.value),
                    consequence: ": the trigger would start its component without it",
                    help: "compose the two into one component, for example with `wac plug`, and remove the key",
                },
            );
            continue;
        }
        for item in node.items(found, "an array of tables") {
            let Some(mut fields) = item.table(found, "the middleware") else {
                continue;
            };
            if let Some(node) = fields.get("export") {
                found.report(
                    &node.span(),
                    Mistake::Dependency(DependencyError::ExportOfMiddleware),
                );
            }
            let part = read_part(found, &mut fields, None);
            fields.finish(found);
            list.extend(part.implementation.map(|implementation| Middleware {
                implementation,
                inherit: part.inherit,
                allowed_outbound_hosts: part.allowed_outbound_hosts,
                span: item.span(),
            }));
        }
    }
    list
}

/// Middleware stands before a handler: a fixed response has none, and neither has what is run as with CGI.
pub(crate) fn check_middleware(
    found: &mut Findings,
    middleware: &[Middleware],
    is_static: bool,
    executor: Option<&Executor>,
) {
    let Some(first) = middleware.first() else { return };
    let other = match executor {
        _ if is_static => "static_response",
        Some(Executor::Wagi(_)) => "executor",
        _ => return,
    };
    let error = DependencyError::MiddlewareWithoutHandler { key: other };
    found.report(&first.span, Mistake::Dependency(error));
}
