//! Entries beside others that permit the same, and entries that are spelled unlike their canonical form.

use std::collections::HashSet;
use std::ops::Range;

use outport_manifest::Severity;
use outport_policy::{Entry, Redundant, text};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Fix, span_of};

pub(super) fn findings(
    entries: &[Entry],
    redundant: &[Redundant<'_>],
    blocked: &HashSet<usize>,
    not_as_written: &HashSet<usize>,
) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = redundant
        .iter()
        .map(|one| {
            let by: Vec<String> = one
                .covered_by
                .iter()
                .map(|entry| format!("`{}`", text::excerpt(entry.text())))
                .collect();
            // Where all of it is kept out nobody permits it.
            let (one_does, several_do) = if blocked.contains(&one.number) {
                ("covers", "together cover")
            } else {
                ("permits", "together permit")
            };
            let verb = if by.len() == 1 { one_does } else { several_do };
            let (entry, by) = (text::excerpt(one.entry.text()), by.join(", "));
            let location = one.entry.location().clone();
            let for_now = one.entry.is_filled_in() || one.covered_by.iter().any(|entry| entry.is_filled_in());
            let finding = if for_now {
                // With other values it may add something, so it stays where it is.
                let message = format!(
                    "`{entry}` adds nothing with the present values of variables: {by} {verb} all of it"
                );
                Diagnostic::new(Code::Redundant, location, message).with_severity(Severity::Note)
            } else {
                let message = format!("`{entry}` adds nothing: {by} {verb} all of it");
                let fix = written_span(one.entry).map(|span| Fix::Remove { span });
                Diagnostic::new(Code::Redundant, location, message)
                    .helped_by("take it out")
                    .fixed_by(fix)
            };
            let finding = one.covered_by.iter().fold(finding, |finding, entry| {
                finding.related_to(
                    entry.location().clone(),
                    format!("`{}` {one_does} it here", text::excerpt(entry.text())),
                )
            });
            if one.covered_by.iter().any(|entry| entry.is_concealed()) {
                finding.concealing(one.entry)
            } else {
                finding
            }
        })
        .collect();
    let spelled = entries
        .iter()
        .enumerate()
        .filter(|(number, _)| !not_as_written.contains(number));
    findings.extend(spelled.filter_map(|(_, entry)| spelling(entry)));
    findings
}

/// The bytes of the file that are the entry. Where variables are filled in, what stands there is not the entry but what
/// it was made of, which may become another one the next time.
fn written_span(entry: &Entry) -> Option<Range<usize>> {
    let is_entry = |span: &Range<usize>| !entry.is_filled_in() && span.len() == entry.text().len();
    span_of(entry.location()).filter(is_entry)
}

fn spelling(entry: &Entry) -> Option<Diagnostic> {
    let canonical = entry.to_string();
    if entry.text() == canonical {
        return None;
    }
    let message = format!(
        "`{}` is not in its canonical spelling",
        text::excerpt(entry.text())
    );
    let fix = written_span(entry).map(|span| Fix::Replace {
        span,
        with: canonical.clone(),
    });
    let finding = Diagnostic::new(Code::Spelling, entry.location().clone(), message);
    Some(
        finding
            .helped_by(format!("write `{}`", text::excerpt(&canonical)))
            .fixed_by(fix),
    )
}
