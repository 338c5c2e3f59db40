//! A list of entries as rules: does the rest of the list cover one of them?

use super::Filter;
use super::left::Search;
use super::live::meet;
use super::rules::{Readings, Rule, Rules};
use crate::{Entry, Hosts, Region};

/// The entries of an allow list as rules.
#[derive(Debug)]
pub(crate) struct ListOfRules(Rules);

/// How many entries may be needed to cover one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Together {
    One,
    Many,
}

impl ListOfRules {
    pub(crate) fn permitted_by(entries: &[Entry]) -> Self {
        Self(Rules::new(rules_of(entries).collect()))
    }

    /// The owners of rules that cover the entry; `None` if they do not.
    pub(crate) fn cover(&self, entry: &Entry, filter: &Filter<'_>, together: Together) -> Option<Vec<usize>> {
        let regions = Region::permitted_by(entry);
        if !regions
            .iter()
            .all(|region| self.0.left(region, filter) == Search::Nothing)
        {
            return None;
        }
        let mut touching = self.touching(&regions, filter);
        touching.sort_unstable();
        touching.dedup();
        let covers = |owner: &usize| {
            let this = |other: usize| other == *owner;
            let filter = Filter {
                owners: Some(&this),
                ..*filter
            };
            regions
                .iter()
                .all(|region| self.0.left(region, &filter) == Search::Nothing)
        };
        match together {
            Together::One => touching.into_iter().find(covers).map(|owner| vec![owner]),
            Together::Many => Some(touching),
        }
    }

    fn touching(&self, regions: &[Region], filter: &Filter<'_>) -> Vec<usize> {
        let mut owners = Vec::new();
        for region in regions {
            let Hosts::Pattern(pattern) = &region.hosts else {
                continue;
            };
            let near = self.0.above(pattern).chain(self.0.inside(pattern));
            let touching = near.filter(|rule| {
                filter.passes(rule)
                    && meet(&rule.ports, &region.ports)
                    && !rule.protocols.intersection(&region.protocols).is_empty()
            });
            owners.extend(touching.map(|rule| rule.owner));
        }
        owners
    }
}

/// What the entries permit, as rules; the owner is the number of the entry.
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
