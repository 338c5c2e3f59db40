//! The variables that texts with variables in them name, in components, in their parts and in triggers: each is to be
//! declared.

use std::collections::HashSet;

use super::Manifest;
use crate::reading::component::Component;
use crate::reading::entries::OutboundEntry;
use crate::reading::trigger::event::EventSettings;
use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::spelling::candidates;
use crate::source::Located;
use crate::template::Template;
use crate::values::variable::VariableName;

pub(super) fn check_templates<'c>(
    found: &mut Findings,
    components: impl Iterator<Item = &'c Component>,
    declared: &HashSet<VariableName>,
) {
    for component in components {
        let entries = component
            .allowed_outbound_hosts
            .iter()
            .filter_map(OutboundEntry::template);
        let variables = component.variables.iter().map(|(_, template)| template);
        for template in entries.chain(variables) {
            check_template(found, template, declared);
        }
    }
}

/// Variables in the lists of parts, too, are to be declared.
pub(super) fn check_templates_of_parts(
    found: &mut Findings,
    manifest: &Manifest,
    declared: &HashSet<VariableName>,
) {
    for part in manifest.parts() {
        let entries = part.allowed_outbound_hosts.into_iter().flatten();
        for template in entries.filter_map(OutboundEntry::template) {
            check_template(found, template, declared);
        }
    }
}

/// The templates of triggers, and of `[application.trigger]`: each once, however many triggers take it over.
pub(super) fn check_settings(
    found: &mut Findings,
    manifest: &Manifest,
    settings: &EventSettings,
    declared: &HashSet<VariableName>,
) {
    let triggers = manifest.event_triggers.iter();
    let own = triggers.flat_map(|trigger| trigger.source.templates());
    let mut seen = HashSet::new();
    for template in settings.templates().chain(own) {
        if seen.insert(template.span.start) {
            check_template(found, template, declared);
        }
    }
}

fn check_template(found: &mut Findings, template: &Located<Template>, declared: &HashSet<VariableName>) {
    for (name, part) in template.value.variables() {
        if declared.contains(name) || found.is_in_unread_part(name.as_str()) {
            continue;
        }
        let mut all: Vec<&str> = declared.iter().map(VariableName::as_str).collect();
        all.sort_unstable();
        let (meant, known) = candidates(name.as_str(), all);
        let span = found
            .source()
            .part_of(&template.span, template.value.as_str(), part);
        found.report(
            &span,
            Mistake::VariableReference {
                name: name.clone(),
                meant,
                known,
            },
        );
    }
}
