//! The destinations that a new policy of a component can reach and an old one could not.
//!
//! An entry of the new policy gains something in two ways: a destination that no old entry had, or one that the
//! old operator kept out and the new one does not. Of addresses that embed others only examples are compared.

use super::draft::Draft;
use super::kept_out::KeptOut;
use super::left::{Filter, Search};
use super::list_of_rules::rules_of;
use super::rules::Rules;
use crate::{Destination, Entry, HostPattern, Hosts, Policy, Region};

/// An entry that reaches more than before.
#[derive(Clone, Debug)]
pub struct Gain<'p> {
    /// The entry of the new policy.
    pub entry: &'p Entry,
    /// A destination that the new policy permits and the old one did not.
    pub example: Destination,
}

/// The entries of `new` by which it reaches what `old` did not, in the order of the list.
pub fn gained<'p>(old: &Policy, new: &'p Policy) -> Vec<Gain<'p>> {
    let kept_out_before = KeptOut::of(old.operator());
    let mut draft = Draft::of(new.operator());
    let kept_out = Rules::new(draft.rules.clone());
    draft.rules.extend(rules_of(old.allow().entries()));
    let reached_or_kept_out = Rules::new(draft.rules);
    let all = Filter::default();
    let gains = new.allow().entries().iter().filter_map(|entry| {
        let regions = Region::permitted_by(entry);
        let new_ground = regions
            .iter()
            .find_map(|region| found(reached_or_kept_out.left(region, &all)));
        let example = new_ground.or_else(|| {
            let mut cuts = kept_out_before.cuts(entry).map(|cut| pattern_region(cut.region));
            cuts.find_map(|region| found(kept_out.left(&region?, &all)))
        })?;
        Some(Gain { entry, example })
    });
    gains.collect()
}

fn found(search: Search) -> Option<Destination> {
    match search {
        Search::Found(destination) => Some(destination),
        Search::Nothing | Search::GaveUp => None,
    }
}

/// The region, or of embedding addresses one that stands for them.
fn pattern_region(region: Region) -> Option<Region> {
    let hosts = match region.hosts {
        Hosts::Embedding { within, network } => {
            let address = super::cut::embedding(within, network)?;
            Hosts::Pattern(HostPattern::Address(address))
        }
        pattern => pattern,
    };
    Some(Region { hosts, ..region })
}
