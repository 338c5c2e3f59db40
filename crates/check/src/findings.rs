//! Everything that can be found about an app without running it.
//!
//! | file | holds | against |
//! | --- | --- | --- |
//! | [`overlap`] | entries | deny list, blocked networks, limits |
//! | [`list`] | entries | each other |
//! | [`budgets`] | entries | the budgets of names |
//! | [`breadth`] | one entry | what people mean by such an entry |
//! | [`protocols`] | one entry | the protocols that there are interfaces for |
//! | [`needs`] | entries and triggers | imports and exports of the code |
//! | [`tls_names`] | entries for addresses | entries for names, where TLS is held to these |
//! | [`grants`] | labels | imports of the code |
//! | [`operator`] | the deny list | what can be known of it ahead, and what the operator defines |
//!
//! Of an entry that adds nothing, or permits nothing, no more is told: taking it out settles the rest.
//!
//! What the files say wrong is found while they are read, by [`outport_manifest`]. No finding hides another: each
//! is looked for in what could be read, whatever else is wrong. Of an entry that holds a secret only the code of a
//! finding is told.

mod breadth;
mod budgets;
mod configured_budgets;
mod grants;
mod list;
mod needs;
mod operator;
mod overlap;
mod parts;
mod protocols;
mod tls_names;

use std::collections::{HashMap, HashSet};

use outport_manifest::{RuntimeConfig, Severity};
use outport_policy::{Entry, KeptOut, Location, Operator, redundant};

pub(crate) use self::breadth::is_public_suffix;
pub use self::configured_budgets::small_bound;
pub use self::parts::part_findings;
use crate::diagnostic::Diagnostic;
use crate::subject::Subject;

/// The treatment of the operator's denied names: are they resolved, so that their addresses are denied too
/// (DL-5)?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeniedNames {
    /// They are.
    Resolved,
    /// `--no-resolve-disallowed`
    LeftAlone,
}

/// Holds components against their operator. In the order of the components, then of their files.
pub fn review(
    subjects: &[Subject<'_>],
    operator: &Operator,
    config: Option<&RuntimeConfig>,
    names: DeniedNames,
) -> Vec<Diagnostic> {
    let kept_out = KeptOut::of(operator);
    let mut findings: Vec<Diagnostic> = subjects
        .iter()
        .flat_map(|subject| review_one(subject, &kept_out, operator))
        .collect();
    findings.extend(operator::findings(operator, names));
    findings.extend(config.map_or_else(Vec::new, |config| operator::own_addresses(operator, config)));
    findings.extend(config.map_or_else(Vec::new, |config| {
        configured_budgets::findings(config, &operator.quotas, subjects)
    }));
    findings
}

/// The warnings to show when an app starts (VAL-1); notes are for who asks.
pub fn warnings_at_start(
    subjects: &[Subject<'_>],
    operator: &Operator,
    config: Option<&RuntimeConfig>,
) -> Vec<Diagnostic> {
    let mut findings = review(subjects, operator, config, DeniedNames::Resolved);
    findings.retain(|finding| finding.severity >= Severity::Warning);
    findings
}

/// Everything about one component; what its code needs only if that is known.
fn review_one(subject: &Subject<'_>, kept_out: &KeptOut<'_>, operator: &Operator) -> Vec<Diagnostic> {
    let mut redundant = redundant(subject.entries);
    let mut needless: HashSet<usize> = redundant.iter().map(|one| one.number).collect();
    let mut blocked = HashSet::new();
    let mut findings = overlap::findings(subject.entries, kept_out, &needless, &mut blocked);
    needless.extend(&blocked);
    let was_made = |entry: &Entry| subject.converted.contains(entry.location());
    redundant.retain(|one| !was_made(one.entry));
    let made = (0..).zip(subject.entries).filter(|(_, entry)| was_made(entry));
    let not_as_written: HashSet<usize> = made
        .map(|(number, _)| number)
        .chain(needless.iter().copied())
        .collect();
    findings.extend(list::findings(
        subject.entries,
        &redundant,
        &blocked,
        &not_as_written,
    ));
    findings.extend(protocols::findings(subject, &needless));
    needless.extend(protocols::without_effect(subject));
    // A part is called by its component's id and its own.
    let whole = subject.id.split('/').next().unwrap_or(subject.id);
    findings.extend(budgets::findings(
        subject.entries,
        operator.quotas.names_of(whole),
        &needless,
    ));
    findings.extend(breadth::findings(subject.entries, &needless));
    findings.extend(tls_names::findings(
        subject.entries,
        &needless,
        operator.tls_names,
    ));
    let concealed = subject.entries.iter().filter(|entry| entry.is_concealed());
    let concealed: HashMap<&Location, &Entry> = concealed.map(|entry| (entry.location(), entry)).collect();
    let mut findings: Vec<Diagnostic> = findings
        .into_iter()
        .map(|finding| {
            match finding
                .location
                .as_ref()
                .and_then(|location| concealed.get(location))
            {
                Some(entry) => finding.concealing(entry),
                None => finding,
            }
        })
        .collect();
    let mut told = HashSet::new();
    findings.retain(|finding| {
        // What is so of both entries of an item is said once.
        let location = finding.location.as_ref();
        !location.is_some_and(|location| subject.converted.contains(location))
            || told.insert((finding.code, location.cloned()))
    });
    findings.extend(needs::findings(subject));
    findings.extend(grants::findings(subject));
    findings.sort_by_key(|finding| finding.span().map_or(0, |span| span.start));
    findings
        .into_iter()
        .map(|finding| finding.of(subject.id))
        .collect()
}
