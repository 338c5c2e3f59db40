//! Entries for protocols that nothing here speaks (AL-9): `redis://`, `postgres://` and the like are for host
//! interfaces, and give a socket to nobody.

use std::collections::HashSet;

use outport_manifest::Severity;
use outport_policy::{Entry, EntryScheme, HostPattern, Scheme, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::explain::is_spoken;
use crate::subject::{Interfaces, Subject};

/// Of the `needless` entries nothing is told: they are to be taken out.
pub(super) fn findings(subject: &Subject<'_>, needless: &HashSet<usize>) -> Vec<Diagnostic> {
    // All of them are told at once as unused then.
    if subject
        .interfaces
        .is_some_and(|code| !code.uses_sockets() && !code.uses_http())
    {
        return Vec::new();
    }
    let entries = (0..).zip(subject.entries);
    let needed = entries.filter(|(number, _)| !needless.contains(number));
    needed
        .filter_map(|(_, entry)| no_effect(subject, entry))
        .collect()
}

/// The numbers of the entries that permit nothing, whoever reads them.
pub(super) fn without_effect(entries: &[Entry]) -> impl Iterator<Item = usize> {
    let nothing = |entry: &Entry| unspoken(entry).count() == entry.schemes().len();
    (0..)
        .zip(entries)
        .filter(move |(_, entry)| nothing(entry))
        .map(|(number, _)| number)
}

/// The schemes of an entry that nothing speaks.
pub(super) fn unspoken(entry: &Entry) -> impl Iterator<Item = (&EntryScheme, &Scheme)> {
    entry.schemes().iter().filter_map(|scheme| match scheme {
        EntryScheme::Url(url) if !is_spoken(url) => Some((scheme, url)),
        _ => None,
    })
}

fn no_effect(subject: &Subject<'_>, entry: &Entry) -> Option<Diagnostic> {
    let names: Vec<String> = unspoken(entry).map(|(_, url)| format!("`{url}`")).collect();
    let (first, url) = unspoken(entry).next()?;
    let whole = names.len() == entry.schemes().len();
    let text = text::excerpt(entry.text());
    let message = if whole {
        format!(
            "`{text}` permits nothing: Outport has no interface that speaks {}, and such an entry permits no socket",
            names.join(" or ")
        )
    } else {
        format!(
            "{} in `{text}` permits nothing: Outport has no interface that speaks it, and it permits no socket",
            names.join(" and ")
        )
    };
    let severity = if whole { Severity::Warning } else { Severity::Note };
    let finding = Diagnostic::new(Code::NoEffect, entry.location().clone(), message).with_severity(severity);
    let by_itself = || {
        format!(
            "write `{}` if the code connects by itself",
            text::excerpt(&as_socket(entry, first))
        )
    };
    let import = subject.interfaces.and_then(|code| import_of(url, code));
    let opens_sockets = subject.interfaces.is_none_or(Interfaces::uses_sockets);
    Some(finding.helped_by(match (import, opens_sockets) {
        (Some(import), true) => format!(
            "a call of `{}`, which the code imports, ends it; {}",
            text::excerpt(import),
            by_itself()
        ),
        (Some(import), false) => format!(
            "a call of `{}`, which the code imports, ends it",
            text::excerpt(import)
        ),
        (None, true) => by_itself(),
        (None, false) => "take it out: the component opens no sockets either".to_owned(),
    }))
}

/// The import of the host interface that the entry is for, which is not provided: an SDK brings it, and most likely it
/// is what the author means.
fn import_of<'i>(scheme: &Scheme, code: &'i Interfaces) -> Option<&'i str> {
    let interface = match scheme.as_str() {
        "rediss" => "redis",
        "mqtts" => "mqtt",
        "postgresql" => "postgres",
        name => name,
    };
    let is_for_it = |import: &&String| {
        let name = import.split('@').next().unwrap_or(import);
        [
            name.strip_prefix("fermyon:spin/"),
            name.strip_prefix("spin:").and_then(|name| name.split('/').next()),
        ]
        .contains(&Some(interface))
    };
    code.trapped.iter().find(is_for_it).map(String::as_str)
}

/// The entry for a client inside the component, which opens a socket. In place of every host or port it asks for those
/// that are meant: every host in one protocol is less than every host in all of them.
fn as_socket(entry: &Entry, scheme: &EntryScheme) -> String {
    let hosts = entry.hosts().iter().map(|host| match host {
        HostPattern::Any => "HOST".to_owned(),
        host => host.to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let ports = entry.ports_for(scheme);
    let listed = |parts: &str| {
        if parts.contains(',') {
            format!("{{{parts}}}")
        } else {
            parts.to_owned()
        }
    };
    let ports = if ports.is_all() {
        "PORT".to_owned()
    } else {
        ports.to_string()
    };
    format!("*://{}:{}", listed(&hosts.join(",")), listed(&ports))
}
