//! A list of entries as rules: does the rest of the list cover one of them?

use super::left::{Filter, Search};
use super::live::meet;
use super::rules::{Readings, Rule, Rules};
use crate::{Entry, Hosts, Region};

/// The entries of an allow list as rules.
#[derive(Debug)]
pub(crate) struct ListOfRules(Rules);

impl ListOfRules {
    pub(crate) fn permitted_by(entries: &[Entry]) -> Self {
        Self(Rules::new(rules_of(entries).collect()))
    }

    /// True if the rules that count cover all of the entry.
    pub(crate) fn cover(&self, entry: &Entry, filter: &Filter<'_>) -> bool {
        let regions = Region::permitted_by(entry);
        regions
            .iter()
            .all(|region| self.0.left(region, filter) == Search::Nothing)
    }

    /// The owner of rules that cover all of the entry alone, if there is one.
    pub(crate) fn one_that_covers(&self, entry: &Entry, filter: &Filter<'_>) -> Option<usize> {
        let regions = Region::permitted_by(entry);
        let covers = |owner: &usize| {
            let this = |other: usize| other == *owner;
            let filter = Filter {
                owners: Some(&this),
                ..*filter
            };
            self.cover(entry, &filter)
        };
        // Whoever covers all of it covers the first region.
        let mut owners = regions
            .iter()
            .take(1)
            .flat_map(|region| self.near(region, filter));
        owners.find(covers)
    }

    /// The owners of the rules that have to do with the entry.
    pub(crate) fn owners_near(&self, entry: &Entry, filter: &Filter<'_>) -> Vec<usize> {
        let regions = Region::permitted_by(entry);
        let mut owners: Vec<usize> = regions
            .iter()
            .flat_map(|region| self.near(region, filter))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    fn near<'a>(&'a self, region: &'a Region, filter: &'a Filter<'_>) -> impl Iterator<Item = usize> + 'a {
        let pattern = match &region.hosts {
            Hosts::Pattern(pattern) => Some(pattern),
            Hosts::Embedding { .. } => None,
        };
        let near = pattern.into_iter().flat_map(|pattern| {
            self.0
                .above(pattern, &region.ports)
                .chain(self.0.inside(pattern, &region.ports))
        });
        near.filter(|rule| {
            filter.passes(rule)
                && meet(&rule.ports, &region.ports)
                && !rule.protocols.intersection(&region.protocols).is_empty()
        })
        .map(|rule| rule.owner)
    }
}

/// The permissions of the entries, as rules; the owner is the number of the entry.
pub(super) fn rules_of(entries: &[Entry]) -> impl Iterator<Item = Rule> + '_ {
    entries.iter().enumerate().flat_map(|(owner, entry)| {
        let regions = Region::permitted_by(entry).into_iter();
        regions.filter_map(move |region| match region.hosts {
            Hosts::Pattern(host) => Some(Rule {
                protocols: region.protocols,
                host,
                ports: region.ports,
                readings: Readings::Itself,
                owner,
            }),
            Hosts::Embedding { .. } => None,
        })
    })
}
