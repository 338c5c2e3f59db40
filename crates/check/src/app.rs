//! A whole app: its manifest and variables, what its code needs, and its operator, held against each other.

use std::collections::HashMap;
use std::sync::Arc;

use outport_manifest::{
    AppReading, Component, ComponentId, EventKind, Executor, HttpAnswer, InheritedKey, Manifest, Part,
    Reading, Remark, ResolvedApp, RuntimeConfig, Severity, StateDir, Stores,
};
use outport_policy::{AllowList, Entry, Label, LabelKind, Location, Operator, Policy};

use crate::code::Code;
use crate::denied_triggers::denied_triggers;
use crate::diagnostic::{Diagnostic, FindingCode};
use crate::findings::{DeniedNames, part_findings, review};
use crate::subject::{Interfaces, Subject, Trigger};

/// The app and the operator's policy that it is checked with.
#[derive(Debug)]
pub struct AppUnderReview<'a> {
    /// The app, whatever is wrong with it.
    pub app: &'a AppReading,
    /// Imports and exports of the components whose code could be read.
    pub interfaces: &'a HashMap<ComponentId, Interfaces>,
    /// The operator's side.
    pub operator: Arc<Operator>,
    /// What the operator defines for components, if he does.
    pub config: Option<&'a RuntimeConfig>,
    /// True if denied names are resolved.
    pub denied_names: DeniedNames,
    /// The types of triggers whose server the operator configures.
    pub own_brokers: &'a [EventKind],
}

impl AppUnderReview<'_> {
    /// Everything that is to be found, whatever else is wrong: mistakes of the files first, then what is odd about the
    /// policy.
    pub fn review(&self) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        let app = self.app.tentative();
        for part in self.app.parts() {
            findings.extend(part.problems().iter().map(Diagnostic::from));
            let notes = part.notes().iter();
            let notes = notes.filter(|note| !is_of_an_undeclared_variable(&note.remark, &app.manifest));
            findings.extend(notes.map(Diagnostic::from));
        }
        // What the code alone uses keeps the app from starting, and nothing from being judged.
        findings.extend(self.app.wanted_to_run().iter().map(|problem| Diagnostic {
            severity: Severity::Warning,
            message: format!("{}, without which the app does not start", problem.mistake),
            ..Diagnostic::from(problem)
        }));
        let triggers = triggers(&app.manifest);
        // What others have of a component's code is judged as a part of theirs, by what they let it have.
        let runs = |id| !app.manifest.runs_in_others_only(id);
        let subjects: Vec<Subject<'_>> = app
            .components()
            .zip(self.app.parts_of_entries())
            .map(|((component, entries), told)| {
                let id = &component.id.value;
                Subject {
                    id: id.as_str(),
                    location: app.manifest.source.location(&component.id.span),
                    entries,
                    converted: component.converted_items().cloned().collect(),
                    unread: unread(component, entries, told),
                    interfaces: self.interfaces.get(id).filter(|_| runs(id)),
                    triggers_unread: app.manifest.triggers_unread,
                    dependencies_unread: component.dependencies.unread,
                    triggers: triggers.get(id).cloned().unwrap_or_default(),
                    granted: component.labels(&app.manifest.source),
                }
            })
            .collect();
        findings.extend(undefined_labels(&subjects, self.config));
        findings.extend(part_findings(app));
        let reviewed = review(&subjects, &self.operator, self.config, self.denied_names);
        findings.retain(|told| !reviewed.iter().any(|more| says_more(more, told)));
        findings.extend(reviewed);
        findings.extend(denied_triggers(app, &self.operator, self.own_brokers));
        findings
    }
}

/// The policy of each component, in the order of the manifest, and behind it those of its parts, called `COMPONENT/PART`.
/// With mistakes in the manifest it has gaps.
pub fn policies(app: &ResolvedApp, operator: &Arc<Operator>) -> Vec<Policy> {
    let mut policies = Vec::new();
    for (component, entries) in app.components() {
        let id = &component.id.value;
        let allow = allow_list(component, entries, &app.manifest);
        let policy = Policy::new(id.as_str(), Arc::new(allow), Arc::clone(operator));
        let parts = app.parts().filter(|(part, _)| part.component == id);
        let of_parts: Vec<Policy> = parts
            .map(|(part, own)| of_part(&policy, &part, own, operator))
            .collect();
        policies.push(policy);
        policies.extend(of_parts);
    }
    policies
}

/// The policy of a part of the component that `policy` is for, with the list that it has of its own.
fn of_part(policy: &Policy, part: &Part<'_>, own: Option<&[Entry]>, operator: &Arc<Operator>) -> Policy {
    let name = format!("{}/{}", policy.component(), part.name);
    let inherits = |kind: LabelKind| {
        part.inherits.includes(match kind {
            LabelKind::KeyValueStore => InheritedKey::KeyValueStores,
            LabelKind::SqliteDatabase => InheritedKey::SqliteDatabases,
            LabelKind::AiModel => InheritedKey::AiModels,
        })
    };
    let labels = policy.allow().labels().iter();
    let labels = labels.filter(|label| inherits(label.kind())).cloned().collect();
    let hosts = if part.inherits.includes(InheritedKey::AllowedOutboundHosts) {
        let entries = own.unwrap_or(policy.allow().entries());
        AllowList::compile(entries.to_vec())
    } else {
        AllowList::not_inherited()
    };
    let list = Arc::new(hosts.with_labels(labels));
    match own {
        Some(_) if !list.is_not_inherited() => policy.for_part(name, list),
        _ => Policy::new(name, list, Arc::clone(operator)),
    }
}

/// What the parts of components may reach of what these may, where the author says which, by the component and the name of
/// the part.
pub fn part_lists(app: &ResolvedApp) -> HashMap<(ComponentId, String), Arc<AllowList>> {
    let lists = app.parts().filter_map(|(part, entries)| {
        let list = Arc::new(AllowList::compile(entries?.to_vec()));
        Some(((part.component.clone(), part.name), list))
    });
    lists.collect()
}

/// What the author of a component says that it may reach and open. `entries` are those of the component, filled in.
pub fn allow_list(component: &Component, entries: &[Entry], manifest: &Manifest) -> AllowList {
    AllowList::compile(entries.to_vec()).with_labels(component.labels(&manifest.source))
}

/// An error for each label that nothing defines (HI-5).
fn undefined_labels(subjects: &[Subject<'_>], config: Option<&RuntimeConfig>) -> Vec<Diagnostic> {
    let labels: Vec<Label> = subjects
        .iter()
        .flat_map(|subject| &subject.granted)
        .cloned()
        .collect();
    // Where the state is kept makes nothing defined.
    let stores = Stores::resolve(&labels, config, &StateDir::None);
    let problems = stores.problems().iter();
    let of_whom = |location: &Location| {
        let lists = |label: &Label| label.location() == location;
        subjects.iter().find(|subject| subject.granted.iter().any(lists))
    };
    problems
        .map(|problem| {
            let finding = Diagnostic::from(problem);
            match of_whom(&problem.location) {
                Some(subject) => finding.of(subject.id),
                None => finding,
            }
        })
        .collect()
}

/// That there is no such variable is an error at the same place, which says it all.
fn is_of_an_undeclared_variable(remark: &Remark, manifest: &Manifest) -> bool {
    let Remark::UnresolvedEntry { variable, .. } = remark else {
        return false;
    };
    let mut declared = manifest
        .variables
        .iter()
        .map(|declared| declared.name.value.as_str());
    !declared.any(|name| name == variable)
}

/// The number of the entries that were written and cannot be read. One that its variables leave empty is read: as no
/// entry.
fn unread(component: &Component, entries: &[Entry], told: &Reading<()>) -> usize {
    let left_empty = told
        .notes()
        .iter()
        .filter(|note| matches!(note.remark, Remark::EmptyEntry { .. }))
        .count();
    let read = entries.len() + left_empty;
    let written = component.allowed_outbound_hosts.len() + component.entries_left_out;
    written.saturating_sub(read)
}

/// True if `more` tells of a grant that the code needs what `told` says of it without the code: that nothing is there.
fn says_more(more: &Diagnostic, told: &Diagnostic) -> bool {
    let not_used =
        |code: &Option<FindingCode>| matches!(code, Some(FindingCode::File(code)) if code.name == "not-used");
    let within = match (told.span(), more.span()) {
        (Some(list), Some(label)) => list.start <= label.start && label.end <= list.end,
        _ => false,
    };
    more.code == Some(FindingCode::Check(Code::UnservedGrant)) && not_used(&told.code) && within
}

/// The triggers of each component.
fn triggers(manifest: &Manifest) -> HashMap<&ComponentId, Vec<Trigger>> {
    let http = manifest.http_triggers.iter();
    let command = manifest.command_triggers.iter();
    let event = manifest.event_triggers.iter();
    let all = http
        .filter_map(|trigger| match &trigger.answer {
            HttpAnswer::Component { id, executor } => Some((&id.value, started_by(executor))),
            HttpAnswer::Static(_) => None,
        })
        .chain(command.map(|trigger| (&trigger.component.value, Trigger::Command)))
        .chain(event.map(|trigger| (&trigger.component.value, Trigger::Event(trigger.source.kind()))));
    let mut triggers: HashMap<&ComponentId, Vec<Trigger>> = HashMap::new();
    for (id, trigger) in all {
        let own = triggers.entry(id).or_default();
        if !own.contains(&trigger) {
            own.push(trigger);
        }
    }
    triggers
}

fn started_by(executor: &Executor) -> Trigger {
    match executor {
        Executor::Handler => Trigger::Http,
        Executor::Wagi(_) => Trigger::Wagi,
    }
}
