//! Entries by name that no run can use, since the operator leaves no budget for names (BUD-1, BUD-2).

use std::collections::HashSet;

use outport_policy::{Entry, HostPattern, Name, NameBounds, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;

/// One for each entry that has such a host and is not `needless`.
pub(super) fn findings(entries: &[Entry], bounds: NameBounds, needless: &HashSet<usize>) -> Vec<Diagnostic> {
    let useful = (0..)
        .zip(entries)
        .filter(|(number, _)| !needless.contains(number));
    useful.filter_map(|(_, entry)| finding(entry, bounds)).collect()
}

fn finding(entry: &Entry, bounds: NameBounds) -> Option<Diagnostic> {
    let (why, help) = entry
        .hosts()
        .iter()
        .find_map(|host| without_budget(host, bounds))?;
    let message = format!("`{}` permits nothing by name: {why}", text::excerpt(entry.text()));
    let finding = Diagnostic::new(Code::NoNames, entry.location().clone(), message);
    Some(finding.helped_by(help))
}

/// Why names of the host are not asked for, and what the operator can do.
fn without_budget(host: &HostPattern, bounds: NameBounds) -> Option<(&'static str, &'static str)> {
    let asks_servers = |name: &Name| !name.is_localhost() && !name.is_service_chaining();
    match host {
        HostPattern::Subdomains(apex) if asks_servers(apex) && bounds.names_per_wildcard == 0 => Some((
            "no name below a wildcard may be asked for",
            "the operator can raise `--max-names-per-wildcard`; or name the hosts, each by itself",
        )),
        HostPattern::Subdomains(name) | HostPattern::Name(name)
            if asks_servers(name) && bounds.lookups_per_minute == 0 =>
        {
            Some((
                "no look-up may leave the machine",
                "the operator can raise `--max-lookups-per-minute`; a name in the hosts file needs none",
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use outport_policy::Location;

    use super::*;

    // proves: BUD-1, BUD-2
    #[test]
    fn an_entry_by_name_without_a_budget_is_told() {
        let all = [
            "*://*.w.example:1",
            "https://db.example",
            "*://*.localhost:1",
            "*://10.0.0.5:1",
            "http://*.spin.internal",
            "*://*:1",
        ];
        let entries: Vec<Entry> = all
            .iter()
            .map(|text| Entry::parse(text, Location::Code).unwrap())
            .collect();
        let told = |lookups_per_minute, names_per_wildcard| {
            let bounds = NameBounds {
                lookups_per_minute,
                names_per_wildcard,
            };
            findings(&entries, bounds, &HashSet::from([2])).len()
        };
        assert_eq!((told(1, 1), told(1, 0), told(0, 1), told(0, 0)), (0, 1, 2, 2));
        let bounds = NameBounds {
            lookups_per_minute: 600,
            names_per_wildcard: 0,
        };
        assert!(findings(&entries, bounds, &HashSet::from([0])).is_empty());
        let found = findings(&entries, bounds, &HashSet::new());
        assert_eq!(
            found[0].message,
            "`*://*.w.example:1` permits nothing by name: no name below a wildcard may be asked for"
        );
    }
}
