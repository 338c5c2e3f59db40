//! What no filter of addresses and ports can say: what flows in a connection, how much of it there is, and who else is meant.
//!
//! These notes are no differences by address and port, so that `--strict` does not fail for them: there is no policy without
//! quotas, and no layer below that has any.

use std::collections::BTreeSet;

use outport_policy::{HostPattern, TlsNames};

use super::Exported;
use super::nftables::Attached;
use super::notes::{Differs, Note};
use super::request::{Request, Target};

/// All of them that are in force.
pub(super) fn notes(exported: &Exported, request: &Request<'_>) -> Vec<Note> {
    let mut notes: Vec<Note> = of_user(exported).into_iter().collect();
    if exported.flows().into_iter().any(|flow| exported.uses(flow)) {
        notes.extend(of_tls(exported, request));
        notes.push(of_sockets(request));
        notes.extend(of_bytes(request));
    }
    notes.extend(of_names(exported, request));
    notes.into_iter().map(Note::beyond_addresses).collect()
}

/// Others who are held as well.
fn of_user(exported: &Exported) -> Option<Note> {
    let is_user = matches!(exported.attached, Attached::User(_));
    (exported.target == Target::Nftables && is_user).then(|| {
        Note::new(
            Differs::Narrower,
            format!("--attach {}", exported.attached),
            "whatever else this user runs is held by this table too, other apps as well: what one table accepts another one \
             drops; give each app a user or a cgroup of its own",
        )
    })
}

/// Names that are held to TLS, where there are any.
fn of_tls(exported: &Exported, request: &Request<'_>) -> Option<Note> {
    let [tcp, _] = exported.flows();
    let mode = request.operator.tls_names;
    let denies = !exported.denied.is_empty();
    let lists = match mode {
        TlsNames::Off => return None,
        TlsNames::Denied => "the deny list forbids",
        TlsNames::Allowed | TlsNames::Required => "the lists forbid",
    };
    let holds = denies || (mode.asks_the_author() && !exported.permitted.is_empty());
    (holds && exported.uses(tcp)).then(|| {
        Note::new(
            Differs::Wider,
            format!("--tls-names {mode}"),
            format!(
                "Outport refuses TLS to servers whose names {lists}, whatever the address; the layer below does not look \
                 into connections"
            ),
        )
    })
}

fn of_sockets(request: &Request<'_>) -> Note {
    let quotas = &request.operator.quotas;
    let more = [
        ("max_socket_connections", quotas.sockets_per_component),
        ("max_total_connections", quotas.total_connections),
    ];
    let mut about = format!(
        "--max-sockets {}, --max-sockets-per-instance {}",
        quotas.sockets_per_process, quotas.sockets_per_instance
    );
    for (key, bound) in more {
        if let Some(bound) = bound {
            about.push_str(&format!(", {key} {bound}"));
        }
    }
    Note::new(
        Differs::Wider,
        about,
        "Outport bounds how many sockets are open; the layer below counts nothing",
    )
}

/// Budgets of names, where any is asked for.
fn of_names(exported: &Exported, request: &Request<'_>) -> Option<Note> {
    if exported.asked.is_empty() && !exported.any_name {
        return None;
    }
    let bounds = request
        .policies
        .iter()
        .map(|policy| request.operator.quotas.names_of(policy.component()));
    let lookups: BTreeSet<u32> = bounds.clone().map(|bounds| bounds.lookups_per_minute).collect();
    let mut about = format!("--max-lookups-per-minute {}", span(&lookups));
    let entries = request
        .policies
        .iter()
        .flat_map(|policy| policy.allow().entries());
    let is_wide = |host: &HostPattern| matches!(host, HostPattern::Any | HostPattern::Subdomains(_));
    if entries.flat_map(|entry| entry.hosts()).any(is_wide) {
        let names: BTreeSet<u32> = bounds.map(|bounds| bounds.names_per_wildcard).collect();
        about.push_str(&format!(", --max-names-per-wildcard {}", span(&names)));
    }
    Some(Note::new(
        Differs::Wider,
        about,
        "Outport bounds how many names each component asks for; the layer below counts none",
    ))
}

/// One number, or the least and the largest of those of the components.
fn span(numbers: &BTreeSet<u32>) -> String {
    match (numbers.first(), numbers.last()) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (Some(one), _) => one.to_string(),
        (None, _) => String::new(),
    }
}

/// Budgets of bytes.
fn of_bytes(request: &Request<'_>) -> Option<Note> {
    let budgets = request
        .policies
        .iter()
        .map(|policy| request.operator.quotas.bytes.of(policy.component()));
    let mut options = BTreeSet::new();
    for budget in budgets {
        options.extend(budget.send_rate.map(|_| "--max-send-rate"));
        options.extend(budget.receive_rate.map(|_| "--max-receive-rate"));
        options.extend(budget.sent.iter().flatten().map(|_| "--max-sent"));
    }
    let options: Vec<&str> = options.into_iter().collect();
    (!options.is_empty()).then(|| {
        Note::new(
            Differs::Wider,
            options.join(", "),
            "Outport bounds how much is sent and received; the layer below lets any amount pass",
        )
    })
}
