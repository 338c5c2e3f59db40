//! Entries and triggers against what the code imports and exports (VAL-4). What entries with mistakes would
//! permit is not known, so nothing is said of what is missing beside them.

use outport_manifest::Severity;
use outport_policy::{Entry, Location, text};

use super::protocols::unspoken;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::imports::{list_imports, sum_up_imports};
use crate::subject::{Interfaces, Subject, Trigger};

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let Some(interfaces) = subject.interfaces else {
        return Vec::new();
    };
    let mut findings: Vec<Diagnostic> = entries(subject, interfaces).into_iter().collect();
    let missing = subject
        .triggers
        .iter()
        .filter(|trigger| !interfaces.answers(**trigger));
    findings.extend(missing.map(|trigger| missing_export(subject, *trigger)));
    if !subject.dependencies_unread {
        findings.extend(trapped(subject, interfaces));
    }
    findings.extend(refused_sockets(subject, interfaces));
    findings
}

fn entries(subject: &Subject<'_>, interfaces: &Interfaces) -> Option<Diagnostic> {
    let id = text::excerpt(subject.id);
    let first = subject.entries.first();
    let all_were_read = subject.unread == 0;
    match first {
        // Of the entry for its server its trigger tells.
        None if subject.listens() => None,
        None if all_were_read && interfaces.brings_whole_libc() => Some(brought_along(
            Code::NoEntries,
            subject.location.clone(),
            format!(
                "`{id}` has no entries; its C library imports `wasi:sockets`, and every connection is refused"
            ),
        )),
        None if all_were_read && interfaces.uses_sockets() && subject.handles_events() => {
            Some(brought_along(
                Code::NoEntries,
                subject.location.clone(),
                format!("`{id}` imports `wasi:sockets` and has no entries, so every connection is refused"),
            ))
        }
        None if all_were_read && interfaces.uses_sockets() => Some(
            Diagnostic::new(
                Code::NoEntries,
                subject.location.clone(),
                format!("`{id}` imports `wasi:sockets` and has no entries, so every connection is refused"),
            )
            .helped_by("add `allowed_outbound_hosts = [\"*://HOST:PORT\"]` with the hosts that it needs"),
        ),
        None => None,
        Some(first) if !interfaces.uses_network() && !subject.listens() => Some(
            Diagnostic::new(
                Code::UnusedEntries,
                first.location().clone(),
                format!("`{id}` has entries and imports neither sockets nor HTTP, so they permit nothing"),
            )
            .helped_by("take `allowed_outbound_hosts` out, or check that this is the right component"),
        ),
        Some(first) if all_were_read && interfaces.uses_sockets() && permit_no_socket(subject) => {
            let location = first.location().clone();
            Some(if interfaces.brings_whole_libc() {
                brought_along(
                    Code::NoSocketEntry,
                    location,
                    format!(
                        "the entries of `{id}` permit URLs only; its C library imports `wasi:sockets`, and every \
                         socket is refused"
                    ),
                )
            } else if subject.handles_events() {
                brought_along(
                    Code::NoSocketEntry,
                    location,
                    format!(
                        "`{id}` imports `wasi:sockets`, and its entries permit URLs only: every socket is refused"
                    ),
                )
            } else {
                Diagnostic::new(
                    Code::NoSocketEntry,
                    location,
                    format!("`{id}` imports `wasi:sockets`, and its entries permit URLs only: every socket is refused"),
                )
                .helped_by("write `*://HOST:PORT` for what it connects to by itself")
            })
        }
        Some(_) => None,
    }
}

/// True if none is for sockets. Of one for a protocol that nothing speaks it is told what to write instead.
fn permit_no_socket(subject: &Subject<'_>) -> bool {
    let speaks = |entry: &Entry| entry.permits_sockets() || unspoken(entry, subject).next().is_some();
    !subject.entries.iter().any(speaks)
}

/// A finding that is true of code whether or not it opens a socket: each program that is built with a whole library imports
/// them, and one that answers events may only do its work with what it is handed.
fn brought_along(code: Code, location: Location, message: String) -> Diagnostic {
    let finding = Diagnostic::new(code, location, message).with_severity(Severity::Note);
    finding.helped_by("nothing is missing if the code opens no sockets; a denial would say what to add")
}

fn missing_export(subject: &Subject<'_>, trigger: Trigger) -> Diagnostic {
    let exports: Vec<String> = trigger
        .exports()
        .iter()
        .map(|export| format!("`{export}`"))
        .collect();
    let exports = match exports.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        few => few.concat(),
    };
    let message = format!(
        "`{}` has a trigger of type `{}`{} and exports no {exports}",
        text::excerpt(subject.id),
        trigger.as_str(),
        if trigger == Trigger::Wagi {
            " with the executor `wagi`"
        } else {
            ""
        },
    );
    let finding = Diagnostic::new(Code::MissingExport, subject.location.clone(), message);
    let answers = |other| {
        subject
            .interfaces
            .is_some_and(|interfaces| interfaces.answers(other))
    };
    match trigger {
        Trigger::Http if answers(Trigger::Wagi) => finding.helped_by(
            "it is a command: `executor = { type = \"wagi\" }` in the trigger runs it for each request",
        ),
        Trigger::Wagi if answers(Trigger::Http) => {
            finding.helped_by("it has a handler: leave `executor` out")
        }
        _ => finding,
    }
}

fn trapped(subject: &Subject<'_>, interfaces: &Interfaces) -> Option<Diagnostic> {
    if interfaces.trapped.is_empty() {
        return None;
    }
    let message = format!(
        "`{}` imports what Outport does not provide: {}",
        text::excerpt(subject.id),
        list_imports(interfaces.trapped.iter().map(String::as_str))
    );
    let brief = format!(
        "`{}` imports {}, which Outport does not provide: a call ends it; `-v` lists them",
        text::excerpt(subject.id),
        sum_up_imports(interfaces.trapped.iter().map(String::as_str))
    );
    let finding = Diagnostic::new(Code::TrappedImport, subject.location.clone(), message);
    let finding =
        finding.helped_by("it starts all the same, and ends with an error if it calls one of these");
    Some(finding.in_brief(brief))
}

fn refused_sockets(subject: &Subject<'_>, interfaces: &Interfaces) -> Option<Diagnostic> {
    if interfaces.refused.is_empty() {
        return None;
    }
    let message = format!(
        "`{}` imports sockets that are refused: {}",
        text::excerpt(subject.id),
        list_imports(interfaces.refused.iter().map(String::as_str))
    );
    let finding = Diagnostic::new(Code::RefusedSockets, subject.location.clone(), message);
    Some(finding.helped_by("rebuild it with WASI 0.2.0 or later"))
}
