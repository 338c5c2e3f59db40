//! Entries for protocols against the interfaces that speak them (AL-9 and HI-2): `redis://`, `postgres://` and the
//! like are for host interfaces, and give a socket to nobody; `tcp://` is for sockets, and permits no host interface.
//!
//! | entry | the component | then |
//! | --- | --- | --- |
//! | `redis://cache` | has no interface for Redis, since Outport has none or it imports none | the entry permits nothing |
//! | `tcp://cache:6379` | imports the interface for Redis, and no other entry is for that | the interface is refused |

use std::collections::HashSet;

use outport_manifest::{Service, Severity};
use outport_policy::{Entry, EntryScheme, HostPattern, PortRange, Protocol, Scheme, Transport, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::explain::is_spoken;
use crate::subject::{Interfaces, Subject};

/// Of the `needless` entries nothing is told: they are to be taken out.
pub(super) fn findings(subject: &Subject<'_>, needless: &HashSet<usize>) -> Vec<Diagnostic> {
    // All of them are told at once as unused then.
    if subject.interfaces.is_some_and(|code| !code.uses_network()) && !subject.listens() {
        return Vec::new();
    }
    let entries = (0..).zip(subject.entries);
    let needed = entries.filter(|(number, _)| !needless.contains(number));
    needed
        .filter_map(|(_, entry)| no_effect(subject, entry).or_else(|| socket_only(subject, entry)))
        .collect()
}

/// The numbers of the entries that permit nothing, whoever reads them.
pub(super) fn without_effect(subject: &Subject<'_>) -> impl Iterator<Item = usize> {
    let nothing = |entry: &Entry| unspoken(entry, subject).count() == entry.schemes().len();
    (0..)
        .zip(subject.entries)
        .filter(move |(_, entry)| nothing(entry))
        .map(|(number, _)| number)
}

/// The schemes of an entry that nothing speaks: Outport, or the code if that is known, or a trigger.
pub(super) fn unspoken<'e>(
    entry: &'e Entry,
    subject: &'e Subject<'_>,
) -> impl Iterator<Item = (&'e EntryScheme, &'e Scheme)> {
    let lacked = |url: &Scheme| {
        let lacked_by_code = |code| is_not_imported(url, code);
        subject.interfaces.is_some_and(lacked_by_code) && !subject.listens_by(url)
    };
    entry.schemes().iter().filter_map(move |scheme| match scheme {
        EntryScheme::Url(url) if !is_spoken(url) || lacked(url) => Some((scheme, url)),
        _ => None,
    })
}

/// Whether there is an interface for the scheme, and the code has none.
fn is_not_imported(scheme: &Scheme, code: &Interfaces) -> bool {
    Service::of_scheme(scheme).is_some_and(|service| code.uses(service).is_none())
}

fn no_effect(subject: &Subject<'_>, entry: &Entry) -> Option<Diagnostic> {
    let code = subject.interfaces;
    let names: Vec<String> = unspoken(entry, subject)
        .map(|(_, url)| format!("`{url}`"))
        .collect();
    let (first, url) = unspoken(entry, subject).next()?;
    let service = Service::of_scheme(url);
    let lacked = service.and_then(|service| code.and_then(|code| code.lacks(service)));
    let not_imported = service.filter(|service| service.is_served() && lacked.is_none());
    let whole = names.len() == entry.schemes().len();
    let text = text::excerpt(entry.text());
    let message = match (whole, not_imported) {
        (true, None) => format!(
            "`{text}` permits nothing: Outport has no interface that speaks {}, and such an entry permits no socket",
            names.join(" or ")
        ),
        (true, Some(service)) => format!(
            "`{text}` permits nothing: `{}` does not import `{}`, and such an entry gives no socket",
            text::excerpt(subject.id),
            service.interface()
        ),
        (false, None) => format!(
            "{} in `{text}` permits nothing: Outport has no interface that speaks it, and it permits no socket",
            names.join(" and ")
        ),
        (false, Some(service)) => format!(
            "{} in `{text}` permits nothing: `{}` does not import `{}`, and it gives no socket",
            names.join(" and "),
            text::excerpt(subject.id),
            service.interface()
        ),
    };
    let severity = if whole { Severity::Warning } else { Severity::Note };
    let finding = Diagnostic::new(Code::NoEffect, entry.location().clone(), message).with_severity(severity);
    if let Some(meant) = url.misspelled() {
        return Some(finding.helped_by(format!("did you mean `{meant}`?")));
    }
    let by_itself = || {
        format!(
            "write `{}` if the code connects by itself",
            text::excerpt(&as_socket(entry, first))
        )
    };
    let opens_sockets = code.is_none_or(Interfaces::uses_sockets);
    Some(finding.helped_by(match (lacked, opens_sockets) {
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

/// An entry for sockets where the code has the interface of what is there. Code that opens sockets, too, may mean it so.
fn socket_only(subject: &Subject<'_>, entry: &Entry) -> Option<Diagnostic> {
    let code = subject.interfaces?;
    let tcp = EntryScheme::Socket(Transport::Tcp);
    if !entry.schemes().contains(&tcp) || (code.uses_sockets() && code.brings_whole_platform()) {
        return None;
    }
    let ports = entry.ports_for(&tcp);
    let services = Service::ALL.into_iter().filter(|service| service.is_served());
    let is_its_port = |scheme: &Scheme| match ports.ranges() {
        [only] => scheme.default_port().and_then(PortRange::one) == Some(*only),
        _ => false,
    };
    let (service, scheme) = services
        .filter(|service| code.uses(*service).is_some())
        .filter_map(|service| Some((service, Scheme::parse(service.scheme()?)?)))
        .find(|(_, scheme)| is_its_port(scheme))?;
    if subject.entries.iter().any(|other| is_for(other, &scheme, entry)) {
        return None;
    }
    let message = format!(
        "`{}` permits sockets alone, not `{}`, which `{}` imports",
        text::excerpt(entry.text()),
        service.interface(),
        text::excerpt(subject.id)
    );
    let severity = if code.uses_sockets() {
        Severity::Note
    } else {
        Severity::Warning
    };
    let hosts: Vec<String> = entry.hosts().iter().map(ToString::to_string).collect();
    let instead = format!("{scheme}://{}", listed(&hosts.join(",")));
    let finding =
        Diagnostic::new(Code::SocketOnly, entry.location().clone(), message).with_severity(severity);
    Some(finding.helped_by(format!("write `{}` for that", text::excerpt(&instead))))
}

/// Whether an entry permits the scheme at one of the hosts of `entry`.
fn is_for(other: &Entry, scheme: &Scheme, entry: &Entry) -> bool {
    let speaks = |own: &EntryScheme| own.permits(Protocol::Url(scheme));
    let same = |host: &HostPattern| *host == HostPattern::Any || entry.hosts().contains(host);
    other.schemes().iter().any(speaks) && other.hosts().iter().any(same)
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
    let ports = if ports.is_all() {
        "PORT".to_owned()
    } else {
        ports.to_string()
    };
    format!("*://{}:{}", listed(&hosts.join(",")), listed(&ports))
}

fn listed(parts: &str) -> String {
    if parts.contains(',') {
        format!("{{{parts}}}")
    } else {
        parts.to_owned()
    }
}
