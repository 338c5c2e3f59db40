//! Entries that the operator or the limits keep out, whole or in part (VAL-2, VAL-3).
//!
//! Two kinds of cuts are not told, since nearly every entry has them and nobody who wrote it means them: UDP that
//! is shut, for an entry that does not name `udp`; and addresses that embed denied ones, in IPv6 networks.
//! A limit that takes a part out of a wider network is told as a note, and out of `*` not at all: it is so for
//! everybody, and `outport explain` without a destination lists it.

use std::collections::HashSet;

use outport_manifest::Severity;
use outport_policy::{
    Cut, Entry, EntryScheme, HostPattern, Hosts, KeptOut, KeptOutBy, Left, Reason, Transport, text,
};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::wording;

/// Cuts that are told one by one; more are only mentioned.
const MOST_CUTS: usize = 4;

/// Puts the numbers of the entries that permit nothing into `blocked`. Of these and the `needless` ones no more is told.
pub(super) fn findings(
    entries: &[Entry],
    kept_out: &KeptOut<'_>,
    needless: &HashSet<usize>,
    blocked: &mut HashSet<usize>,
) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let left = kept_out.left(entry);
        if left == Left::Nothing {
            findings.push(permits_nothing(entry, kept_out));
            blocked.insert(number);
            continue;
        }
        if needless.contains(&number) {
            continue;
        }
        if let Left::Part { .. } = left {
            findings.extend(narrowed(entry, kept_out));
        }
        findings.extend(undecided(entry, kept_out));
    }
    findings
}

fn permits_nothing(entry: &Entry, kept_out: &KeptOut<'_>) -> Diagnostic {
    let cuts: Vec<Cut<'_>> = kept_out
        .direct_cuts(entry)
        .filter(|cut| speaks_of(cut, entry))
        .take(MOST_CUTS)
        .collect();
    let reasons = reasons(&cuts);
    let message = format!(
        "`{}` permits nothing: {}",
        text::excerpt(entry.text()),
        reasons.join("; ")
    );
    let finding = Diagnostic::new(Code::Blocked, entry.location().clone(), message);
    with_places(finding, &cuts, entry)
}

fn narrowed(entry: &Entry, kept_out: &KeptOut<'_>) -> Option<Diagnostic> {
    let mut cuts = kept_out.direct_cuts(entry).filter(|cut| speaks_of(cut, entry));
    let told: Vec<Cut<'_>> = cuts.by_ref().take(MOST_CUTS).collect();
    let more = if cuts.next().is_some() { " and more" } else { "" };
    if told.is_empty() {
        return None;
    }
    let severity = match told.iter().all(|cut| is_a_limit_inside(cut, entry)) {
        true if entry.hosts().contains(&HostPattern::Any) => return None,
        true => Severity::Note,
        false => Severity::Warning,
    };
    let mut parts: Vec<String> = told.iter().map(|cut| wording::left_out(cut, entry)).collect();
    parts.dedup();
    let reasons = reasons(&told);
    let message = format!(
        "`{}` is narrowed, without {}{more}: {}",
        text::excerpt(entry.text()),
        parts.join(", "),
        reasons.join("; ")
    );
    let finding = Diagnostic::new(Code::Narrowed, entry.location().clone(), message).with_severity(severity);
    Some(with_places(finding, &told, entry))
}

fn undecided(entry: &Entry, kept_out: &KeptOut<'_>) -> Option<Diagnostic> {
    let found = kept_out.undecided(entry, MOST_CUTS);
    let (told, more) = match found.len() {
        0 => return None,
        MOST_CUTS => (&found[..MOST_CUTS - 1], " and others"),
        _ => (&found[..], ""),
    };
    let denied: Vec<String> = told
        .iter()
        .filter_map(|by| match by {
            KeptOutBy::Entry(entry) => Some(format!("`{}`", text::excerpt(entry.text()))),
            KeptOutBy::Blocked(blocked) => Some(format!("`{blocked}`")),
            KeptOutBy::Limit(_) => None,
        })
        .collect();
    let message = format!(
        "whether `{}` is denied depends on what its name resolves to: the operator denies {}{more}",
        text::excerpt(entry.text()),
        denied.join(", ")
    );
    Some(told.iter().fold(
        Diagnostic::new(Code::Undecided, entry.location().clone(), message),
        |finding, by| with_place(finding, by),
    ))
}

fn speaks_of(cut: &Cut<'_>, entry: &Entry) -> bool {
    match cut.by {
        KeptOutBy::Limit(Reason::RuntimeUdp | Reason::RuntimeUdpProxied) => {
            entry.schemes().contains(&EntryScheme::Socket(Transport::Udp))
        }
        _ => true,
    }
}

fn is_a_limit_inside(cut: &Cut<'_>, entry: &Entry) -> bool {
    let whole_host = |host: &HostPattern| cut.region.hosts == Hosts::Pattern(host.clone());
    matches!(cut.by, KeptOutBy::Limit(_)) && !entry.hosts().iter().any(whole_host)
}

fn reasons(cuts: &[Cut<'_>]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for reason in cuts.iter().map(|cut| wording::by(&cut.by)) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// The places of the operator's entries, and what would lift the limits.
fn with_places(finding: Diagnostic, cuts: &[Cut<'_>], entry: &Entry) -> Diagnostic {
    let finding = cuts
        .iter()
        .fold(finding, |finding, cut| with_place(finding, &cut.by));
    let told = cuts.iter().filter(|cut| !is_a_limit_inside(cut, entry));
    // Where something that no switch lifts keeps out the same hosts, a switch alone changes nothing.
    let helps = |cut: &&Cut<'_>| {
        let mut others = cuts.iter().filter(|other| lift(other).is_none());
        !others.any(|other| other.region.hosts == cut.region.hosts)
    };
    let mut lifts: Vec<String> = Vec::new();
    for switch in told.filter(helps).filter_map(lift) {
        if !lifts.contains(&switch) {
            lifts.push(switch);
        }
    }
    if lifts.is_empty() {
        finding
    } else {
        finding.helped_by(format!("the operator can lift this with `{}`", lifts.join(" ")))
    }
}

fn lift(cut: &Cut<'_>) -> Option<String> {
    match cut.by {
        KeptOutBy::Limit(reason) => wording::switch(reason, &cut.region.ports),
        _ => None,
    }
}

fn with_place(finding: Diagnostic, by: &KeptOutBy<'_>) -> Diagnostic {
    let (location, text) = match by {
        KeptOutBy::Entry(entry) => (entry.location(), text::excerpt(entry.text()).into_owned()),
        KeptOutBy::Blocked(blocked) => (blocked.location(), blocked.to_string()),
        KeptOutBy::Limit(_) => return finding,
    };
    let what = format!("`{text}` is denied here");
    if finding.related.iter().any(|(_, own)| *own == what) {
        finding
    } else {
        finding.related_to(location.clone(), what)
    }
}
