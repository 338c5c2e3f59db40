//! The least list held against the entries that are there.
//!
//! | an entry that is there | |
//! | --- | --- |
//! | permits a use, and nothing that the least list does not | stays, as it is written |
//! | permits a use, and more | is *wider* than this run needs: it stays, unless the list is pruned |
//! | permits no use but a look-up or what nothing came of | was *asked for*: it stays, as it is written |
//! | permits none of this | was *never used*: it stays, unless the list is pruned |
//!
//! Nothing comes of what another server or a quota stands in the way of: a name without an answer, a request to addresses that
//! are all refused. On a better day the program goes on from there, to a port that this run did not see but the author did. So
//! nothing is taken out that such an attempt needs, not even what is wider, and nothing is proposed for a look-up that an
//! entry permits.
//!
//! An entry with variables in it is its author's word for a place that this run cannot know: it is needed where it is used,
//! however wide, and pruning never takes it out.
//!
//! What is missing is the least list for the uses that entries of the first kind do not permit. An entry of it that the whole
//! list permits already, since one is wider, is only needed once the list is pruned. A pruned list is the entries of the first
//! kind and all that is missing: it permits every use and is least, but for entries that its author wrote twice.

use std::sync::Arc;

use outport_policy::{AllowList, Entry, Share, share};

use super::fold::Fold;
use super::least::{LeastEntry, least};
use super::permitted::ByList;
use super::uses::{Target, Use};

/// The entries of one list, and what a run needs of them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Comparison<'a> {
    /// The list: a component, or a part of one with a list of its own.
    pub list: Arc<str>,
    /// The entries that are there, in their order.
    pub present: Vec<Present<'a>>,
    /// The entries that the least list has besides.
    pub missing: Vec<Missing<'a>>,
}

/// An entry that is there.
#[derive(Debug)]
#[non_exhaustive]
pub enum Present<'a> {
    /// It is needed, and no wider than needed.
    Needed {
        /// The entry.
        entry: &'a Entry,
        /// The uses that it permits.
        uses: Vec<&'a Use>,
    },
    /// It is needed for a look-up, or for an attempt that nothing came of, and for nothing else.
    AskedFor {
        /// The entry.
        entry: &'a Entry,
        /// The look-ups and attempts.
        uses: Vec<&'a Use>,
    },
    /// It is used, and permits more than was used.
    Wider {
        /// The entry.
        entry: &'a Entry,
        /// The uses that it permits.
        uses: Vec<&'a Use>,
        /// An attempt that nothing came of, and that nothing else would permit: then it stays.
        tried: Option<&'a Use>,
    },
    /// Nothing used it.
    NeverUsed(&'a Entry),
}

/// An entry that the least list has and the author's has not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Missing<'a> {
    /// The entry, with its uses.
    pub least: LeastEntry<'a>,
    /// True if the list permits its uses as it is, by something wider.
    pub covered: bool,
    /// The entries that do.
    pub covered_by: Vec<&'a Entry>,
}

impl<'a> Comparison<'a> {
    /// Holds the uses of a list, and what was tried in vain, against its entries.
    pub fn of(list: &str, present: &'a [Entry], (uses, tried): (&[&'a Use], &[&'a Use]), fold: Fold) -> Self {
        let all_least: Vec<Entry> = least(uses, fold).into_iter().map(|one| one.entry).collect();
        let whole = ByList::new(AllowList::compile(present.to_vec()));
        let mut present: Vec<Present<'a>> = (0..present.len())
            .map(|number| stand(number, present, (uses, tried), (&whole, &all_least)))
            .collect();
        let needed: Vec<Entry> = present.iter().filter_map(Present::needed).cloned().collect();
        let asked_for = present.iter().filter_map(Present::asked_for).cloned();
        let stays: Vec<Entry> = needed.iter().cloned().chain(asked_for).collect();
        let (needed, for_lookups) = (by_list(needed), by_list(stays.clone()));
        let is_permitted = |used: &Use| {
            let is_lookup = matches!(used.target, Target::Lookup { .. });
            needed.permits(used) || (is_lookup && for_lookups.permits(used))
        };
        let rest: Vec<&'a Use> = uses.iter().copied().filter(|used| !is_permitted(used)).collect();
        let missing = least(&rest, fold);
        let added = missing.iter().map(|one| one.entry.clone());
        let pruned = by_list(stays.into_iter().chain(added).collect());
        for one in &mut present {
            one.hold(tried, &pruned);
        }
        let missing = missing
            .into_iter()
            .map(|least| {
                let covered = least.uses.iter().all(|used| whole.permits(used));
                let covered_by = if covered {
                    covering(&least, &present)
                } else {
                    Vec::new()
                };
                Missing {
                    least,
                    covered,
                    covered_by,
                }
            })
            .collect();
        Self {
            list: list.into(),
            present,
            missing,
        }
    }

    /// The entries that have to be added, so that every use is permitted; with `pruned` those that have to be when what is
    /// wider and what was never used is taken out.
    pub fn additions(&self, pruned: bool) -> Vec<String> {
        let missing = self.missing.iter();
        missing
            .filter(|one| pruned || !one.covered)
            .map(|one| one.least.entry.to_string())
            .collect()
    }

    /// The entries that a pruned list does not have.
    pub fn needless(&self) -> impl Iterator<Item = &'a Entry> {
        let all = self.present.iter().filter_map(|one| match one {
            Present::Wider {
                entry, tried: None, ..
            }
            | Present::NeverUsed(entry) => Some(*entry),
            _ => None,
        });
        all.filter(|entry| !entry.is_filled_in())
    }
}

impl<'a> Present<'a> {
    fn needed(&self) -> Option<&'a Entry> {
        match self {
            Self::Needed { entry, .. } => Some(*entry),
            _ => None,
        }
    }

    fn asked_for(&self) -> Option<&'a Entry> {
        match self {
            Self::AskedFor { entry, .. } => Some(*entry),
            _ => None,
        }
    }

    /// Keeps what is wider where something was tried that only it permits: the pruned list would not.
    fn hold(&mut self, all: &[&'a Use], pruned: &ByList) {
        if let Self::Wider { entry, tried, .. } = self {
            let alone = by_list(vec![entry.clone()]);
            let mut all = all.iter().copied();
            *tried = all.find(|one| alone.permits(one) && !pruned.permits(one));
        }
    }
}

fn by_list(entries: Vec<Entry>) -> ByList {
    ByList::new(AllowList::compile(entries))
}

fn stand<'a>(
    number: usize,
    present: &'a [Entry],
    (uses, tried): (&[&'a Use], &[&'a Use]),
    (whole, all_least): (&ByList, &[Entry]),
) -> Present<'a> {
    let entry = &present[number];
    let alone = by_list(vec![entry.clone()]);
    let mut others = present.to_vec();
    others.remove(number);
    let others = by_list(others);
    // Together with others it may permit what it does not alone: a look-up by one entry, the address by another.
    let needs_it = |used: &Use| alone.permits(used) || (whole.permits(used) && !others.permits(used));
    let own: Vec<&'a Use> = uses
        .iter()
        .copied()
        .filter(|used| counts(used, uses) && needs_it(used))
        .collect();
    let is_for_lookups = own
        .iter()
        .all(|used| matches!(used.target, Target::Lookup { .. }));
    if own.is_empty() || (is_for_lookups && !matches!(share(entry, all_least), Share::Whole)) {
        let tried = tried.iter().copied().filter(|one| alone.permits(one));
        let uses: Vec<&'a Use> = own.into_iter().chain(tried).collect();
        return if uses.is_empty() {
            Present::NeverUsed(entry)
        } else {
            Present::AskedFor { entry, uses }
        };
    }
    match share(entry, all_least) {
        _ if entry.is_filled_in() => Present::Needed { entry, uses: own },
        Share::Whole => Present::Needed { entry, uses: own },
        _ => Present::Wider {
            entry,
            uses: own,
            tried: None,
        },
    }
}

/// A look-up is no use of an entry where something was connected to by it: that is.
fn counts(used: &Use, uses: &[&Use]) -> bool {
    let Target::Lookup { name } = &used.target else {
        return true;
    };
    !uses.iter().any(|other| {
        matches!(&other.target, Target::Socket { host, .. } if *host == outport_policy::Host::Name(name.clone()))
    })
}

/// The wider entries that permit all uses of this one.
fn covering<'a>(least: &LeastEntry<'a>, present: &[Present<'a>]) -> Vec<&'a Entry> {
    let covers = |one: &Present<'a>| match one {
        Present::Wider { entry, uses, .. }
        | Present::Needed { entry, uses }
        | Present::AskedFor { entry, uses } => {
            let own = uses
                .iter()
                .any(|used| least.uses.iter().any(|own| own.target == used.target));
            own.then_some(*entry)
        }
        Present::NeverUsed(_) => None,
    };
    present.iter().filter_map(covers).collect()
}
