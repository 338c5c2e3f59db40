//! The lists of hosts that parts of components have: dependencies, and middleware.
//!
//! Such a list takes away from what the part inherits and never adds to it. So an entry that the component's list has
//! nothing of permits nothing, and neither does a whole list where no hosts are inherited.

use outport_manifest::{InheritedKey, ResolvedApp};
use outport_policy::{is_apart, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// What is odd about the lists of the parts of an app.
pub fn part_findings(app: &ResolvedApp) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (part, entries) in app.parts() {
        let entries = entries.unwrap_or_default();
        let id = part.component.as_str();
        let name = text::excerpt(&part.name);
        let inherits = part.inherits.includes(InheritedKey::AllowedOutboundHosts);
        let of_component = app.entries_of(part.component);
        for entry in entries {
            let location = entry.location().clone();
            let finding = if !inherits {
                let message =
                    format!("an entry of `{name}` permits nothing, since it inherits no hosts of `{id}`");
                let help =
                    "add \"allowed_outbound_hosts\" to its `inherit_configuration`, or take the list out";
                Diagnostic::new(Code::NotInherited, location, message).helped_by(help.to_owned())
            } else if is_apart(entry, of_component) {
                let message = format!(
                    "an entry of `{name}` permits nothing, since `allowed_outbound_hosts` of `{id}` has nothing of it"
                );
                let help = format!("add it to the list of `{id}` too, or take it out here");
                Diagnostic::new(Code::NotInherited, location, message).helped_by(help)
            } else {
                continue;
            };
            let finding = if entry.is_concealed() {
                finding.concealing(entry)
            } else {
                finding
            };
            findings.push(finding.of(id));
        }
    }
    findings
}
