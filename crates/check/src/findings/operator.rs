//! What the operator's deny list cannot do ahead.

use super::DeniedNames;
use crate::code::Code;
use crate::finding::Finding;
use outport_policy::{HostPattern, Operator, excerpt};

pub(super) fn findings(operator: &Operator, names: DeniedNames) -> Vec<Finding> {
    if names == DeniedNames::LeftAlone {
        return Vec::new();
    }
    let entries = operator.deny.entries().iter().filter(|entry| {
        let unknown =
            |host: &HostPattern| matches!(host, HostPattern::Subdomains(apex) if !apex.is_localhost());
        entry.hosts().iter().any(unknown)
    });
    entries
        .map(|entry| {
            let message = format!(
                "`{}` denies names below a wildcard: by their names, not by addresses that a guest knows already",
                excerpt(entry.text())
            );
            Finding::new(Code::WildcardDeny, entry.place().clone(), message)
                .helped_by("deny exact names or networks too, where their addresses must not be reached")
        })
        .collect()
}
