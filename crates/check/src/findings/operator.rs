//! The effects that the operator's deny list does not have, although it reads so, and those that it cannot have ahead
//! of time.

use outport_policy::{Entry, HostPattern, Operator, text};

use super::{DeniedNames, breadth};
use crate::code::Code;
use crate::diagnostic::Diagnostic;

pub(super) fn findings(operator: &Operator, names: DeniedNames) -> Vec<Diagnostic> {
    let entries = operator.deny.entries();
    let mut findings: Vec<Diagnostic> = entries.iter().filter_map(breadth::half_open_denial).collect();
    if names == DeniedNames::Resolved {
        findings.extend(entries.iter().filter_map(wildcard));
    }
    findings
}

fn wildcard(entry: &Entry) -> Option<Diagnostic> {
    let unknown = |host: &HostPattern| matches!(host, HostPattern::Subdomains(apex) if !apex.is_localhost());
    entry.hosts().iter().any(unknown).then(|| {
        let message = format!(
            "`{}` denies names below a wildcard: by their names, not by addresses that a guest knows already",
            text::excerpt(entry.text())
        );
        Diagnostic::new(Code::WildcardDeny, entry.location().clone(), message)
            .helped_by("deny exact names or networks too, where their addresses must not be reached")
    })
}
