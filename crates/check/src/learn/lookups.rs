//! The names that instances have looked up, and the addresses that answered: what the gate knows as grants, read out of
//! what it told.
//!
//! The newest answer to a name replaces the one before (DNS-4). Bounds: those of the gate for an instance (256 names of 64
//! addresses), and so many names in all, since the end of an instance is told to nobody: the instance that looked something up
//! the longest ago is forgotten, and that is counted, since what it connects to afterwards has no name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use outport_policy::{Address, Name};

/// Who asked: a component or a part of one, in an instance.
pub(super) type Asker = (Arc<str>, u64);

#[derive(Debug, Default)]
pub(super) struct Lookups {
    askers: HashMap<Asker, Names>,
    /// The askers by the time of their last look-up. INVARIANT: one for each of `askers`.
    by_age: BTreeMap<u64, Asker>,
    /// Names of all of them together.
    names: usize,
    clock: u64,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Names {
    last: u64,
    names: HashMap<Name, Answer>,
}

#[derive(Debug)]
struct Answer {
    looked_up: u64,
    /// A look-up is under way, whose first address replaces those of the one before.
    pending: bool,
    addresses: BTreeSet<Address>,
}

impl Lookups {
    /// A look-up begins.
    pub(super) fn begin(&mut self, asker: &Asker, name: &Name) {
        self.clock += 1;
        let now = self.clock;
        let names = self.askers.entry(asker.clone()).or_default();
        self.by_age.remove(&names.last);
        names.last = now;
        self.by_age.insert(now, asker.clone());
        if let Some(answer) = names.names.get_mut(name) {
            (answer.looked_up, answer.pending) = (now, true);
            return;
        }
        if names.names.len() >= MOST_NAMES_OF_INSTANCE {
            names.forget_oldest();
            self.names -= 1;
        }
        let answer = Answer {
            looked_up: now,
            pending: true,
            addresses: BTreeSet::new(),
        };
        names.names.insert(name.clone(), answer);
        self.names += 1;
        self.make_room();
    }

    /// An address answered. True if it is the first of this look-up.
    pub(super) fn answered(&mut self, asker: &Asker, name: &Name, address: Address) -> bool {
        let known = |lookups: &Self| {
            let names = lookups.askers.get(asker);
            names.is_some_and(|names| names.names.contains_key(name))
        };
        if !known(self) {
            // A log may begin in the middle.
            self.begin(asker, name);
        }
        let names = self.askers.get_mut(asker);
        let Some(answer) = names.and_then(|names| names.names.get_mut(name)) else {
            return false;
        };
        let first = std::mem::take(&mut answer.pending);
        if first {
            answer.addresses.clear();
        }
        if answer.addresses.len() < MOST_ADDRESSES {
            answer.addresses.insert(address);
        }
        first
    }

    /// The name has no address any more (DNS-5).
    pub(super) fn has_none(&mut self, asker: &Asker, name: &Name) {
        let names = self.askers.get_mut(asker);
        if let Some(answer) = names.and_then(|names| names.names.get_mut(name)) {
            answer.addresses.clear();
        }
    }

    /// The names by which the asker has the address, the one that was looked up last first.
    pub(super) fn names_of(&self, asker: &Asker, address: Address) -> Vec<Name> {
        let Some(names) = self.askers.get(asker) else {
            return Vec::new();
        };
        let answers = names.names.iter();
        let mut found: Vec<_> = answers
            .filter(|(_, answer)| answer.addresses.contains(&address))
            .collect();
        found.sort_by_key(|(_, answer)| std::cmp::Reverse(answer.looked_up));
        found.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Another process writes from here on, whose instances are numbered anew.
    pub(super) fn start_anew(&mut self) {
        let (clock, forgotten) = (self.clock, self.forgotten);
        *self = Self {
            clock,
            forgotten,
            ..Self::default()
        };
    }

    /// The number of instances that were forgotten for others.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn make_room(&mut self) {
        while self.names > MOST_NAMES || self.askers.len() > MOST_ASKERS {
            let Some((_, asker)) = self.by_age.pop_first() else {
                return;
            };
            let names = self.askers.remove(&asker);
            self.names -= names.map_or(0, |names| names.names.len());
            self.forgotten += 1;
        }
    }
}

impl Names {
    fn forget_oldest(&mut self) {
        let oldest = self.names.iter().min_by_key(|(_, answer)| answer.looked_up);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.names.remove(&name);
        }
    }
}

/// Names with grants of one instance (DNS-12).
const MOST_NAMES_OF_INSTANCE: usize = 256;

/// Addresses of one answer (DNS-12).
const MOST_ADDRESSES: usize = 64;

/// Names of all instances: some ten megabytes, with an address each.
const MOST_NAMES: usize = 32_768;

/// Instances of which names are known.
const MOST_ASKERS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn address(last: u8) -> Address {
        std::net::Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn asker(instance: u64) -> Asker {
        ("web".into(), instance)
    }

    #[test]
    fn the_newest_answer_replaces_and_the_newest_name_comes_first() {
        let mut lookups = Lookups::default();
        let (a, b) = (name("a.test"), name("b.test"));
        lookups.begin(&asker(1), &a);
        assert!(lookups.answered(&asker(1), &a, address(1)));
        assert!(!lookups.answered(&asker(1), &a, address(2)));
        lookups.begin(&asker(1), &b);
        lookups.answered(&asker(1), &b, address(2));
        assert_eq!(lookups.names_of(&asker(1), address(2)), [b.clone(), a.clone()]);
        // Not before it has answered.
        lookups.begin(&asker(1), &a);
        assert_eq!(lookups.names_of(&asker(1), address(1)), std::slice::from_ref(&a));
        lookups.answered(&asker(1), &a, address(3));
        assert_eq!(lookups.names_of(&asker(1), address(1)), []);
        lookups.has_none(&asker(1), &b);
        assert_eq!(lookups.names_of(&asker(1), address(2)), []);
        assert_eq!(lookups.names_of(&asker(2), address(3)), []);
    }

    #[test]
    fn who_looks_up_for_ever_takes_a_bounded_place() {
        let mut lookups = Lookups::default();
        for number in 0..3 * MOST_NAMES {
            let name = name(&format!("n{number}.test"));
            lookups.begin(&asker((number / 1000) as u64), &name);
            lookups.answered(&asker((number / 1000) as u64), &name, address(1));
        }
        let held: usize = lookups.askers.values().map(|names| names.names.len()).sum();
        assert_eq!(lookups.names, held);
        assert!(held <= MOST_NAMES);
        assert_eq!(lookups.by_age.len(), lookups.askers.len());
        for instance in 0..2 * MOST_ASKERS as u64 {
            lookups.begin(&asker(1_000_000 + instance), &name("a.test"));
        }
        assert!(lookups.askers.len() <= MOST_ASKERS);
        assert_eq!(lookups.by_age.len(), lookups.askers.len());
        assert!(lookups.forgotten() > 0);
    }
}
