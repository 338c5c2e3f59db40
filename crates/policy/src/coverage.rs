//! Entries that add nothing to the others on their list (VAL-4).
//!
//! An entry is redundant if every destination that it permits is permitted by the rest of the list. All that are
//! reported can be taken away together: they are found from the last to the first, and one that is found counts
//! no more for the others. Of two equal entries that is the later one.
//!
//! One entry does more than permit: an address or network that holds loopback or link-local addresses says that
//! answers with these are meant (DNS-9), which `*` does not say. Such an entry is redundant only if entries
//! for addresses cover it.

use std::net::Ipv4Addr;

use ipnet::IpNet;

use crate::overlap::{Filter, ListOfRules, Wildcards};
use crate::{Address, Entry, HostPattern};

/// An entry that adds nothing, and what makes it so.
#[derive(Clone, Debug)]
pub struct Redundant<'e> {
    /// The entry.
    pub entry: &'e Entry,
    /// Its number in the list, from 0.
    pub number: usize,
    /// The entries that permit all of it: one where one does, else all that have to do with it.
    pub covered_by: Vec<&'e Entry>,
}

/// The redundant entries of an allow list, in its order. Without them it permits what it permits with them.
pub fn redundant(entries: &[Entry]) -> Vec<Redundant<'_>> {
    let rules = ListOfRules::permitted_by(entries);
    let mut remains = vec![true; entries.len()];
    let mut found = Vec::new();
    // One entry that covers another is the better reason, so those go first. What the rest of the list does not cover
    // now it will not cover with fewer entries.
    let mut needs_several = Vec::new();
    // From the end, so that of two that cover each other the first one stays.
    for (number, entry) in entries.iter().enumerate().rev() {
        let others = |owner: usize| owner != number && remains[owner];
        let filter = filter(entry, &others);
        if !rules.cover(entry, &filter) {
            continue;
        }
        match rules.one_that_covers(entry, &filter) {
            None => needs_several.push(number),
            Some(owner) => {
                found.push(Redundant::new(entries, number, &[owner]));
                remains[number] = false;
            }
        }
    }
    for number in needs_several {
        let entry = &entries[number];
        let others = |owner: usize| owner != number && remains[owner];
        let filter = filter(entry, &others);
        if rules.cover(entry, &filter) {
            let owners = rules.owners_near(entry, &filter);
            found.push(Redundant::new(entries, number, &owners));
            remains[number] = false;
        }
    }
    found.sort_by_key(|one| one.number);
    found
}

/// The share of what an entry permits that a list permits too.
#[derive(Clone, Debug)]
pub enum Share<'e> {
    /// All of it.
    Whole,
    /// What these entries of the list have of it.
    Of(Vec<&'e Entry>),
    /// None of it.
    Nothing,
}

/// What is left of `entry` where `list` has to permit it as well.
pub fn share<'e>(entry: &Entry, list: &'e [Entry]) -> Share<'e> {
    let rules = ListOfRules::permitted_by(list);
    let filter = Filter::default();
    if rules.cover(entry, &filter) {
        return Share::Whole;
    }
    match rules.owners_near(entry, &filter).as_slice() {
        [] => Share::Nothing,
        owners => Share::Of(owners.iter().map(|owner| &list[*owner]).collect()),
    }
}

/// True if no entry of `list` has to do with anything that `entry` permits: as a part of the list it permits nothing.
pub fn is_apart(entry: &Entry, list: &[Entry]) -> bool {
    let rules = ListOfRules::permitted_by(list);
    rules.owners_near(entry, &Filter::default()).is_empty()
}

impl<'e> Redundant<'e> {
    fn new(entries: &'e [Entry], number: usize, owners: &[usize]) -> Self {
        Self {
            entry: &entries[number],
            number,
            covered_by: owners.iter().map(|owner| &entries[*owner]).collect(),
        }
    }
}

/// The rules that count for an entry.
fn filter<'f>(entry: &Entry, owners: &'f dyn Fn(usize) -> bool) -> Filter<'f> {
    Filter {
        owners: Some(owners),
        wildcards: wildcards_count_for(entry),
    }
}

fn wildcards_count_for(entry: &Entry) -> Wildcards {
    if says_that_answers_are_meant(entry) {
        Wildcards::Ignored
    } else {
        Wildcards::Count
    }
}

fn says_that_answers_are_meant(entry: &Entry) -> bool {
    let guarded = [
        IpNet::new_assert(Ipv4Addr::LOCALHOST.into(), 8),
        IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 8),
        IpNet::new_assert(Ipv4Addr::new(169, 254, 0, 0).into(), 16),
    ];
    entry.hosts().iter().any(|host| match host {
        HostPattern::Address(address) => is_guarded(*address),
        // Networks of IPv6 can hold what embeds such an address.
        HostPattern::Network(IpNet::V6(_)) => true,
        HostPattern::Network(net) => guarded
            .iter()
            .any(|guarded| guarded.contains(net) || net.contains(guarded)),
        HostPattern::Any | HostPattern::Name(_) | HostPattern::Subdomains(_) | HostPattern::ToSelf => false,
    })
}

fn is_guarded(address: Address) -> bool {
    address.reads_as_loopback() || address.reads_as_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    fn entries(texts: &[&str]) -> Vec<Entry> {
        let parse = |text: &&str| Entry::parse(text, Location::Code).unwrap();
        texts.iter().map(parse).collect()
    }

    // proves: VAL-4
    #[test]
    fn an_entry_is_redundant_if_the_others_permit_all_of_it() {
        for (list, expected) in [
            (
                &["*://a.example:80", "*://a.example:80"][..],
                &[(1, &["*://a.example:80"][..])][..],
            ),
            (
                &["https://a.example", "https://A.example.:443/"],
                &[(1, &["https://a.example"])],
            ),
            (
                &["https://a.example", "*://a.example:*"],
                &[(0, &["*://a.example:*"])],
            ),
            (&["tcp://a.example:443", "https://a.example"], &[]),
            (
                &["*://b.a.example:1", "*://*.a.example:*"],
                &[(0, &["*://*.a.example:*"])],
            ),
            (&["*://a.example:1", "*://*.a.example:*"], &[]),
            (
                &["*://10.0.0.5:1", "*://10.0.0.0/8:*"],
                &[(0, &["*://10.0.0.0/8:*"])],
            ),
            (
                &["*://10.0.0.0/8:1", "*://10.0.0.0/9:1", "*://10.128.0.0/9:1"],
                &[(1, &["*://10.0.0.0/8:1"]), (2, &["*://10.0.0.0/8:1"])],
            ),
            (
                &["*://10.0.0.0/9:1", "*://10.128.0.0/9:1", "tcp://10.0.0.0/8:1"],
                &[(2, &["*://10.0.0.0/9:1", "*://10.128.0.0/9:1"])],
            ),
            (
                &[
                    "*://[2001:db8::]/33:1",
                    "*://[2001:db8:8000::]/33:1",
                    "*://[2001:db8::]/32:1",
                ],
                &[(0, &["*://[2001:db8::]/32:1"]), (1, &["*://[2001:db8::]/32:1"])],
            ),
            (
                &["*://a.example:1-9", "*://a.example:10-20", "*://a.example:5-15"],
                &[(2, &["*://a.example:1-9", "*://a.example:10-20"])],
            ),
            (
                &["{http,https}://a.example", "http://a.example"],
                &[(1, &["{http,https}://a.example"])],
            ),
            (
                &[
                    "http://a.example",
                    "https://a.example",
                    "{http,https}://a.example",
                ],
                &[
                    (0, &["{http,https}://a.example"]),
                    (1, &["{http,https}://a.example"]),
                ],
            ),
            (
                &["*://*:*", "*://a.example:1", "*://192.0.2.1:1"],
                &[(1, &["*://*:*"]), (2, &["*://*:*"])],
            ),
            (&["*://*:*", "*://127.0.0.1:8080"], &[]),
            (&["*://*:*", "*://127.1.0.0/16:8080"], &[]),
            (&["*://*:*", "*://126.0.0.0/7:8080"], &[]),
            (&["*://*:*", "*://128.0.0.0/8:8080"], &[(1, &["*://*:*"])]),
            (
                &["*://127.0.0.0/8:*", "*://127.0.0.1:8080"],
                &[(1, &["*://127.0.0.0/8:*"])],
            ),
            (&["http://self", "https://self"], &[(1, &["http://self"])]),
            (&["http://self", "http://self.alt"], &[(1, &["http://self"])]),
            (&["http://self", "http://self:80"], &[(1, &["http://self"])]),
        ] {
            let list = entries(list);
            let found: Vec<(usize, Vec<&str>)> = redundant(&list)
                .iter()
                .map(|one| {
                    (
                        one.number,
                        one.covered_by.iter().map(|entry| entry.text()).collect(),
                    )
                })
                .collect();
            let expected: Vec<(usize, Vec<&str>)> =
                expected.iter().map(|(n, by)| (*n, by.to_vec())).collect();
            assert_eq!(found, expected, "{list:?}");
        }
    }
}
