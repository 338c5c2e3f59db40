//! All that was seen of a run: the uses of each list, and what is not proposed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use outport_policy::Name;

use super::uses::{Target, Times, Use};

/// The uses that are kept, of all lists. Beyond them they are counted.
pub const MOST_USES: usize = 20_000;

/// The refusals that are kept, each with a count; and the names without an answer. Beyond them they are counted.
pub const MOST_REFUSALS: usize = 1_000;

/// What was seen of a run.
#[derive(Debug, Default)]
pub struct Seen {
    /// The uses of each list, which is a component's or a part's own, called `COMPONENT/PART`.
    uses: BTreeMap<Arc<str>, HashMap<Target, Use>>,
    /// Their number.
    number: usize,
    /// What each list was needed for and nothing came of: look-ups without an answer, requests of which no address could be
    /// dialled.
    tried: BTreeMap<Arc<str>, HashMap<Target, Use>>,
    /// Their number.
    number_tried: usize,
    refusals: BTreeMap<RefusalKey, Refusal>,
    unanswered: BTreeMap<(Arc<str>, Name), Unanswered>,
    /// What did not fit.
    left_out: u64,
    lost: u64,
    forgotten: u64,
    has_permits: bool,
}

type RefusalKey = (Arc<str>, String, String, String);

/// Something that was refused, for which nothing is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The component, or part of one, that asked.
    pub component: Arc<str>,
    /// The kind of attempt, as the audit log has it.
    pub attempt: String,
    /// The destination.
    pub destination: String,
    /// The stable code of the reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// What would permit it, if anything would.
    pub remedy: Option<String>,
    /// How often and when.
    pub times: Times,
}

/// A name that was looked up and had no address, for which nothing is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The component, or part of one, that asked.
    pub component: Arc<str>,
    /// The name.
    pub name: Name,
    /// How often and when.
    pub times: Times,
}

impl Seen {
    /// The lists that something was used by: components, and parts with lists of their own.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.uses.keys().map(|list| &**list)
    }

    /// The uses of a list, the earliest first.
    pub fn uses_of(&self, list: &str) -> Vec<&Use> {
        in_order(self.uses.get(list))
    }

    /// What the list was needed for and nothing came of, the earliest first: an entry for it is not one that was never used.
    pub fn tried_of(&self, list: &str) -> Vec<&Use> {
        let own = self.uses.get(list);
        let mut tried = in_order(self.tried.get(list));
        tried.retain(|one| !own.is_some_and(|own| own.contains_key(&one.target)));
        tried
    }

    /// True if anything at all was permitted. A log of denials alone does not say what is used.
    pub fn has_permits(&self) -> bool {
        self.has_permits
    }

    /// What was refused by what no entry lifts.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.values()
    }

    /// The names that never had an address.
    pub fn unanswered(&self) -> impl Iterator<Item = &Unanswered> {
        self.unanswered.values()
    }

    /// How much was seen and is not among the rest, since there was too much: then what is proposed may not suffice.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The lines that the log says it lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The instances whose look-ups were forgotten before they connected to something: that is proposed by address.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// True if nothing was seen that is not in here.
    pub fn is_complete(&self) -> bool {
        self.left_out == 0 && self.lost == 0 && self.forgotten == 0
    }

    pub(super) fn permit(&mut self) {
        self.has_permits = true;
    }

    /// True if it was used.
    pub(super) fn has(&self, list: &Arc<str>, target: &Target) -> bool {
        self.uses.get(list).is_some_and(|uses| uses.contains_key(target))
    }

    /// Notes that the list was needed for it, whatever comes of it.
    pub(super) fn tried(&mut self, list: &Arc<str>, target: Target, at: &str) {
        if self.has(list, &target) {
            return;
        }
        let tried = self.tried.entry(Arc::clone(list)).or_default();
        if let Some(own) = tried.get_mut(&target) {
            own.times.again(at);
        } else if self.number_tried < MOST_USES {
            self.number_tried += 1;
            tried.insert(target.clone(), Use::new(target, at));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    pub(super) fn lose(&mut self, lines: u64) {
        self.lost = self.lost.saturating_add(lines);
    }

    pub(super) fn forget(&mut self, instances: u64) {
        self.forgotten = instances;
    }

    /// Notes a use, and answers it to say more of it.
    pub(super) fn note(&mut self, list: &Arc<str>, target: Target, at: &str) -> Option<&mut Use> {
        let uses = self.uses.entry(Arc::clone(list)).or_default();
        let full = self.number >= MOST_USES;
        match uses.entry(target) {
            std::collections::hash_map::Entry::Occupied(own) => {
                let own = own.into_mut();
                own.times.again(at);
                Some(own)
            }
            std::collections::hash_map::Entry::Vacant(_) if full => {
                self.left_out = self.left_out.saturating_add(1);
                None
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                self.number += 1;
                let new = Use::new(free.key().clone(), at);
                Some(free.insert(new))
            }
        }
    }

    /// Takes back the uses that are not to be proposed after all. They were tried.
    pub(super) fn take_back(&mut self, mut keep: impl FnMut(&Arc<str>, &Target) -> bool) {
        for (list, uses) in &mut self.uses {
            let taken = uses.extract_if(|target, _| !keep(list, target));
            let tried = self.tried.entry(Arc::clone(list)).or_default();
            tried.extend(taken);
        }
        self.uses.retain(|_, uses| !uses.is_empty());
        self.number = self.uses.values().map(HashMap::len).sum();
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let key = (
            Arc::clone(&refusal.component),
            refusal.attempt.clone(),
            refusal.destination.clone(),
            refusal.reason.clone(),
        );
        if let Some(own) = self.refusals.get_mut(&key) {
            own.times.again(&refusal.times.first);
        } else if self.refusals.len() < MOST_REFUSALS {
            self.refusals.insert(key, refusal);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// A look-up begins, which has no answer yet.
    pub(super) fn ask(&mut self, component: &Arc<str>, name: &Name, at: &str) {
        let key = (Arc::clone(component), name.clone());
        let answered = Target::Lookup { name: name.clone() };
        if self
            .uses
            .get(component)
            .is_some_and(|uses| uses.contains_key(&answered))
        {
            return;
        }
        if let Some(own) = self.unanswered.get_mut(&key) {
            own.times.again(at);
        } else if self.unanswered.len() < MOST_REFUSALS {
            let unanswered = Unanswered {
                component: Arc::clone(component),
                name: name.clone(),
                times: Times::once(at),
            };
            self.unanswered.insert(key, unanswered);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// It has one.
    pub(super) fn answer(&mut self, component: &Arc<str>, name: &Name) {
        self.unanswered.remove(&(Arc::clone(component), name.clone()));
    }
}

/// The earliest first.
fn in_order(uses: Option<&HashMap<Target, Use>>) -> Vec<&Use> {
    let mut uses: Vec<&Use> = uses.into_iter().flat_map(HashMap::values).collect();
    uses.sort_by_cached_key(|of| (of.times.first.clone(), format!("{:?}", of.target)));
    uses
}
