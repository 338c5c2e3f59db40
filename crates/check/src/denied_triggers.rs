//! Triggers that listen to servers which their component may not connect to: none of their events would ever come.
//!
//! A server is judged as it is named, with the variables filled in, as the component's own attempt (HI-1, HI-2). What a
//! name resolves to is not known ahead. Servers of the operator's are his to choose (HI-6).

use std::sync::Arc;
use std::time::Instant;

use outport_manifest::{EventKind, EventSource, Located, ResolvedApp, ServerUrl, Span, Template, Variables};
use outport_policy::{
    Attempt, Decision, Denial, Grants, Operator, Peers, RequestMethod, Situation, Usage, text,
};

use crate::app::policies;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::words::CommandWords;

/// An error for each of them. `own` are the types of triggers whose server the operator configures. A server whose address
/// cannot be read is told of elsewhere.
pub fn denied_triggers(app: &ResolvedApp, operator: &Arc<Operator>, own: &[EventKind]) -> Vec<Diagnostic> {
    let policies = policies(app, operator);
    let mut denied = Vec::new();
    for trigger in &app.manifest.event_triggers {
        let id = trigger.component.value.as_str();
        let policy = (app.manifest.components.iter())
            .zip(&policies)
            .filter(|(component, _)| component.id.value == trigger.component.value)
            .map(|(_, policy)| policy)
            .next();
        let Some((policy, (server, span))) = policy
            .filter(|_| !own.contains(&trigger.source.kind()))
            .zip(server(&trigger.source, &app.variables))
        else {
            continue;
        };
        let attempt = attempt(&server);
        let quotas = &policy.operator().quotas;
        let situation = Situation {
            grants: &Grants::new(quotas.granted_names),
            peers: &Peers::from(quotas),
            usage: Usage::default(),
            now: Instant::now(),
        };
        if let Decision::Deny(denial) = policy.decide(&attempt, &situation) {
            let location = app.manifest.source.location(&span);
            let finding = Diagnostic::new(Code::DeniedTrigger, location, message(id, &server, &denial));
            let finding = match denial.remedy(&attempt) {
                Some(remedy) => finding.helped_by(remedy.in_words_of(&CommandWords).to_string()),
                None => finding,
            };
            denied.push(finding.of(id));
        }
    }
    denied
}

fn message(component: &str, server: &ServerUrl, denial: &Denial<'_>) -> String {
    format!(
        "a trigger of component `{}` listens to `{server}`, which the component may not connect to: {}",
        text::message(component),
        denial.reason().sentence()
    )
}

fn attempt(server: &ServerUrl) -> Attempt<'_> {
    Attempt::Request {
        scheme: server.scheme(),
        host: server.host(),
        port: server.port(),
        method: RequestMethod::Other,
    }
}

/// The server that a trigger connects to, and where it is written.
fn server(source: &EventSource, variables: &Variables) -> Option<(ServerUrl, Span)> {
    let of = |address: &Located<Template>, schemes: &[(&str, u16)]| {
        let text = address.value.resolve(variables).ok()?;
        let server = ServerUrl::parse(text.expose(), schemes).ok()?;
        Some((server, address.span.clone()))
    };
    match source {
        EventSource::Redis(channel) => of(&channel.address, &ServerUrl::REDIS),
        EventSource::Mqtt(topic) => of(&topic.server.address, &ServerUrl::MQTT),
        EventSource::Sqs(queue) => Some((queue.queue_url.value.clone(), queue.queue_url.span.clone())),
        EventSource::Cron(_) => None,
    }
}
