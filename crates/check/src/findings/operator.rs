//! What the operator's deny list does not do, although it reads so, and what it cannot do ahead; and what the operator
//! keeps where it denies guests to go.

use std::sync::Arc;
use std::time::Instant;

use outport_manifest::{KeyValueBackend, RuntimeConfig, ServerUrl, SqliteBackend};
use outport_policy::{
    AllowList, Attempt, Entry, Grants, HostPattern, Layer, LayerAnswer, Operator, Peers, Policy,
    RequestMethod, Situation, Usage, text,
};

use super::{DeniedNames, breadth};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

pub(super) fn findings(operator: &Operator, names: DeniedNames) -> Vec<Diagnostic> {
    let entries = operator.deny.entries();
    let mut findings: Vec<Diagnostic> = entries.iter().filter_map(breadth::half_open_denial).collect();
    if names == DeniedNames::Resolved {
        findings.extend(entries.iter().filter_map(wildcard));
    }
    findings
}

/// Servers that the operator configures for guests, and denies to them (HI-6).
pub(super) fn own_addresses(operator: &Operator, config: &RuntimeConfig) -> Vec<Diagnostic> {
    let stores = config
        .key_value_stores
        .iter()
        .filter_map(|store| match &store.backend {
            KeyValueBackend::Redis(url) => Some(("key-value store", &store.label, url)),
            KeyValueBackend::Local(_) => None,
        });
    let databases = config
        .sqlite_databases
        .iter()
        .filter_map(|database| match &database.backend {
            SqliteBackend::LibSql { url, .. } => Some(("database", &database.label, url)),
            SqliteBackend::Local(_) => None,
        });
    let labelled = stores.chain(databases).map(|(what, label, url)| {
        let what = format!("the {what} `{}` is", text::excerpt(&label.value));
        (what, config.source.location(&label.span), url)
    });
    let models = config.model_server.iter().map(|server| {
        let location = config.source.location(&server.span);
        ("the models are".to_owned(), location, &server.url)
    });
    // Whom nothing is allowed: the deny list alone is asked.
    let guest = Policy::new(
        "",
        Arc::new(AllowList::compile(Vec::new())),
        Arc::new(operator.clone()),
    );
    let brokers = config.brokers.servers().map(|(table, server)| {
        let location = config.source.location(&server.span);
        (format!("`[{table}]` is"), location, &server.value)
    });
    labelled
        .chain(models)
        .chain(brokers)
        .filter_map(|(what, location, url)| {
            let by = denied_by(&guest, url)?;
            let message = format!(
                "{what} at `{url}`, which is denied to guests: they reach it all the same, by the host"
            );
            Some(
                Diagnostic::new(Code::OwnAddress, location, message).helped_by(format!(
                    "it is denied by {by}; keep it somewhere else if it must not be reached"
                )),
            )
        })
        .collect()
}

/// What of the deny list covers the server, if something does.
fn denied_by(guest: &Policy, url: &ServerUrl) -> Option<String> {
    let attempt = Attempt::Request {
        scheme: url.scheme(),
        host: url.host(),
        port: url.port(),
        method: RequestMethod::Other,
    };
    let quotas = &guest.operator().quotas;
    let situation = Situation {
        grants: &Grants::new(quotas.granted_names),
        peers: &Peers::from(quotas),
        usage: Usage::default(),
        now: Instant::now(),
    };
    match guest.ask(Layer::DenyList, &attempt, &situation) {
        LayerAnswer::Refuses(denial) => denial.cited(),
        LayerAnswer::Passes | LayerAnswer::Permits(_) => None,
    }
}

fn wildcard(entry: &Entry) -> Option<Diagnostic> {
    let unknown = |host: &HostPattern| matches!(host, HostPattern::Subdomains(apex) if !apex.is_localhost());
    entry.hosts().iter().any(unknown).then(|| {
        let message = format!(
            "`{}` denies names below a wildcard: by their names, not by addresses that a guest knows already",
            text::excerpt(entry.text())
        );
        Diagnostic::new(Code::WildcardDeny, entry.location().clone(), message)
            .helped_by("deny exact names or networks too, where their addresses must not be reached")
    })
}
