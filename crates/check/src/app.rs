//! A whole app: its manifest and variables, what its code needs, and its operator, held against each other.

use crate::code::Code;
use crate::finding::{Finding, FindingCode, span_of};
use crate::findings::{DeniedNames, review};
use crate::subject::{Granted, Interfaces, Subject, Trigger};
use outport_manifest::{Component, ComponentId, GivenVariables, Manifest, Reading, Remark, Variables};
use outport_policy::{AllowList, Entry, Operator, Policy};
use std::collections::HashMap;
use std::sync::Arc;

/// What an app is checked with.
#[derive(Debug)]
pub struct AppUnderReview<'a> {
    /// Its manifest, whatever is wrong with it.
    pub manifest: &'a Reading<Manifest>,
    /// What sets its variables.
    pub given: &'a GivenVariables,
    /// Imports and exports of the components whose code could be read.
    pub interfaces: &'a HashMap<ComponentId, Interfaces>,
    /// The operator's side.
    pub operator: Arc<Operator>,
    /// Whether denied names are resolved.
    pub denied_names: DeniedNames,
}

/// What came of it.
#[derive(Debug)]
pub struct AppReview {
    /// Everything that was found: mistakes of the file first, then what is odd about the policy.
    pub findings: Vec<Finding>,
    /// The policy of each component, in the order of the manifest. With mistakes in the manifest it has gaps.
    pub policies: Vec<Policy>,
}

impl AppUnderReview<'_> {
    /// Looks for everything, whatever else is wrong.
    pub fn review(&self) -> AppReview {
        let manifest = self.manifest.tentative();
        let mut findings = Vec::new();
        tell(self.manifest, &mut findings);
        let variables = Variables::resolve(&manifest.variables, self.given, &manifest.source);
        tell(&variables, &mut findings);
        let entries: Vec<Reading<Vec<Entry>>> = manifest
            .components
            .iter()
            .map(|component| {
                let entries = component.outbound_entries(variables.tentative());
                tell(&entries, &mut findings);
                entries
            })
            .collect();
        let triggers = triggers(manifest);
        let components = manifest.components.iter().zip(&entries);
        let subjects: Vec<Subject<'_>> = components
            .map(|(component, entries)| self.subject(manifest, &triggers, component, entries))
            .collect();
        let reviewed = review(&subjects, &self.operator, self.denied_names);
        findings.retain(|told| !reviewed.iter().any(|more| says_more(more, told)));
        findings.extend(reviewed);
        let policies = subjects.iter().map(|subject| {
            let allow = AllowList::compile(subject.entries.to_vec());
            Policy::new(subject.id, Arc::new(allow), Arc::clone(&self.operator))
        });
        AppReview {
            findings,
            policies: policies.collect(),
        }
    }

    fn subject<'m>(
        &'m self,
        manifest: &'m Manifest,
        triggers: &HashMap<&ComponentId, Vec<Trigger>>,
        component: &'m Component,
        entries: &'m Reading<Vec<Entry>>,
    ) -> Subject<'m> {
        let id = &component.id.value;
        Subject {
            id: id.as_str(),
            location: manifest.source.location(&component.id.span),
            entries: entries.tentative(),
            unread: unread(component, entries),
            interfaces: self.interfaces.get(id),
            triggers: triggers.get(id).cloned().unwrap_or_default(),
            granted: Granted::of(component, &manifest.source),
        }
    }
}

/// How many of the entries that were written are none. One that its variables leave empty is read: as no entry.
fn unread(component: &Component, entries: &Reading<Vec<Entry>>) -> usize {
    let left_empty = entries
        .notes()
        .iter()
        .filter(|note| matches!(note.remark, Remark::EmptyEntry { .. }))
        .count();
    let read = entries.tentative().len() + left_empty;
    let written = component.allowed_outbound_hosts.len() + component.entries_left_out;
    written.saturating_sub(read)
}

/// Whether `more` tells of a grant that the code needs what `told` says of it without the code: that nothing is there.
fn says_more(more: &Finding, told: &Finding) -> bool {
    let not_used = |code: &FindingCode| matches!(code, FindingCode::File(code) if code.name == "not-used");
    let within = match (span_of(&told.location), span_of(&more.location)) {
        (Some(list), Some(label)) => list.start <= label.start && label.end <= list.end,
        _ => false,
    };
    more.code == FindingCode::Check(Code::UnservedGrant) && not_used(&told.code) && within
}

/// What starts each component.
fn triggers(manifest: &Manifest) -> HashMap<&ComponentId, Vec<Trigger>> {
    let http = manifest.http_triggers.iter();
    let command = manifest.command_triggers.iter();
    let all = http
        .map(|trigger| (&trigger.component.value, Trigger::Http))
        .chain(command.map(|trigger| (&trigger.component.value, Trigger::Command)));
    let mut triggers: HashMap<&ComponentId, Vec<Trigger>> = HashMap::new();
    for (id, trigger) in all {
        let own = triggers.entry(id).or_default();
        if !own.contains(&trigger) {
            own.push(trigger);
        }
    }
    triggers
}

fn tell<T>(reading: &Reading<T>, findings: &mut Vec<Finding>) {
    findings.extend(reading.problems().iter().map(Finding::from));
    findings.extend(reading.notes().iter().map(Finding::from));
}
