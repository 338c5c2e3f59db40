//! The names that instances have looked up, and the addresses that answered: what the gate knows as grants, read out of
//! what it told.
//!
//! The newest look-up of a name counts, whichever of two answers first (DNS-4): an answer says which look-up it belongs to. In
//! older logs it does not, and there the first answer after a look-up began is taken for that one's.
//!
//! Bounds: those of the gate for an instance (256 names of 64 addresses), and so many names in all, since the end of an instance
//! is told to nobody: the instance that looked something up the longest ago is forgotten. Most of those are over. One that
//! is heard of again, by a connection to an address that it has no name for, is counted, since there may have been one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use outport_policy::{Address, Name};

/// Who asked: a component or a part of one, in an instance, in a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) process: u64,
    pub(super) component: Arc<str>,
    pub(super) instance: u64,
}

/// What an address is that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The first of its look-up.
    First,
    /// One more.
    Again,
    /// One of a look-up that a later one has overtaken: it changes nothing.
    Overtaken,
}

#[derive(Debug, Default)]
pub(super) struct Lookups {
    askers: HashMap<Asker, Names>,
    /// The askers by the time of their last look-up. INVARIANT: one for each of `askers`.
    by_age: BTreeMap<u64, Asker>,
    /// Names of all of them together.
    names: usize,
    clock: u64,
    /// Those that were forgotten for others, and not heard of since.
    gone: HashSet<Asker>,
    /// More are gone than are kept: any that is not known may be one of them.
    more_are_gone: bool,
    /// Those that were heard of again.
    missed: u64,
}

#[derive(Debug, Default)]
struct Names {
    last: u64,
    names: HashMap<Name, Answer>,
}

#[derive(Debug)]
struct Answer {
    looked_up: u64,
    /// The number of the look-up, where answers say it.
    number: Option<u64>,
    /// A look-up is under way, whose first address replaces those of the one before, where answers do not say it.
    pending: bool,
    addresses: BTreeSet<Address>,
}

impl Lookups {
    /// A look-up begins.
    pub(super) fn begin(&mut self, asker: &Asker, name: &Name) {
        let Some(names) = self.askers.get_mut(asker) else {
            return;
        };
        self.clock += 1;
        self.by_age.remove(&names.last);
        names.last = self.clock;
        self.by_age.insert(self.clock, asker.clone());
        if let Some(answer) = names.names.get_mut(name) {
            answer.pending = true;
        }
    }

    /// An address answered, to the look-up of this number.
    pub(super) fn answered(
        &mut self,
        asker: &Asker,
        name: &Name,
        number: Option<u64>,
        address: Address,
    ) -> Answered {
        let answer = self.answer(asker, name);
        let is_first = match (number, answer.number) {
            (Some(number), Some(newest)) if number < newest => return Answered::Overtaken,
            (Some(number), Some(newest)) => number > newest,
            (Some(_), None) => true,
            (None, _) => answer.pending,
        };
        if is_first {
            answer.addresses.clear();
            answer.number = number;
        }
        answer.pending = false;
        if answer.addresses.len() < MOST_ADDRESSES {
            answer.addresses.insert(address);
        }
        if !is_first {
            return Answered::Again;
        }
        self.looked_up(asker, name);
        Answered::First
    }

    /// The name has no address any more, or none that may be granted (DNS-5), as the look-up of this number found out.
    pub(super) fn has_none(&mut self, asker: &Asker, name: &Name, number: Option<u64>) {
        let answer = self.answer(asker, name);
        if let (Some(number), Some(newest)) = (number, answer.number)
            && number < newest
        {
            return;
        }
        answer.addresses.clear();
        answer.number = number.or(answer.number);
        self.looked_up(asker, name);
    }

    /// The asker reached an address that it has no name for. It may have had one before it was forgotten.
    pub(super) fn has_no_name(&mut self, asker: &Asker) {
        let was_forgotten = self.gone.remove(asker);
        let may_be = self.more_are_gone && self.missed == 0 && !self.askers.contains_key(asker);
        if was_forgotten || may_be {
            self.missed += 1;
        }
    }

    /// What is known of the name, in the place that it takes among those of the asker.
    fn answer(&mut self, asker: &Asker, name: &Name) -> &mut Answer {
        let is_known = |lookups: &Self| {
            let names = lookups.askers.get(asker);
            names.is_some_and(|names| names.names.contains_key(name))
        };
        if !is_known(self) {
            self.clock += 1;
            let now = self.clock;
            let names = self.askers.entry(asker.clone()).or_default();
            self.by_age.remove(&names.last);
            names.last = now;
            self.by_age.insert(now, asker.clone());
            if names.names.len() >= MOST_NAMES_OF_INSTANCE {
                names.forget_oldest();
                self.names -= 1;
            }
            self.names += 1;
            // The newest is not the oldest, so it stays.
            names.names.insert(name.clone(), Answer::new(now));
            self.make_room();
        }
        let names = self.askers.entry(asker.clone()).or_default();
        let now = self.clock;
        names
            .names
            .entry(name.clone())
            .or_insert_with(|| Answer::new(now))
    }

    fn looked_up(&mut self, asker: &Asker, name: &Name) {
        self.clock += 1;
        let names = self.askers.get_mut(asker);
        if let Some(answer) = names.and_then(|names| names.names.get_mut(name)) {
            answer.looked_up = self.clock;
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

    /// The number of instances that were forgotten for others and heard of again.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    fn make_room(&mut self) {
        while self.names > MOST_NAMES || self.askers.len() > MOST_ASKERS {
            let Some((_, asker)) = self.by_age.pop_first() else {
                return;
            };
            let names = self.askers.remove(&asker);
            self.names -= names.map_or(0, |names| names.names.len());
            if self.gone.len() < MOST_GONE {
                self.gone.insert(asker);
            } else {
                self.more_are_gone = true;
            }
        }
    }
}

impl Answer {
    fn new(now: u64) -> Self {
        Self {
            looked_up: now,
            number: None,
            pending: true,
            addresses: BTreeSet::new(),
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

/// Instances that are known to have been forgotten: some ten megabytes.
const MOST_GONE: usize = 1 << 17;

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
        Asker {
            process: 1,
            component: "web".into(),
            instance,
        }
    }

    #[test]
    fn the_newest_answer_replaces_and_the_newest_name_comes_first() {
        // As a log has it whose answers say which look-up they belong to, and as an older one does.
        for numbered in [true, false] {
            let number = |number: u64| numbered.then_some(number);
            let mut lookups = Lookups::default();
            let (a, b) = (name("a.test"), name("b.test"));
            let first = lookups.answered(&asker(1), &a, number(1), address(1));
            assert_eq!(first, Answered::First);
            let again = lookups.answered(&asker(1), &a, number(1), address(2));
            assert_eq!(again, Answered::Again);
            lookups.begin(&asker(1), &b);
            lookups.answered(&asker(1), &b, number(2), address(2));
            assert_eq!(lookups.names_of(&asker(1), address(2)), [b.clone(), a.clone()]);
            // Not before it has answered.
            lookups.begin(&asker(1), &a);
            assert_eq!(lookups.names_of(&asker(1), address(1)), std::slice::from_ref(&a));
            lookups.answered(&asker(1), &a, number(3), address(3));
            assert_eq!(lookups.names_of(&asker(1), address(1)), []);
            lookups.has_none(&asker(1), &b, number(4));
            assert_eq!(lookups.names_of(&asker(1), address(2)), []);
            assert_eq!(lookups.names_of(&asker(2), address(3)), []);
        }
    }

    #[test]
    fn of_two_look_ups_in_flight_the_later_one_counts() {
        let mut lookups = Lookups::default();
        let a = name("a.test");
        lookups.begin(&asker(1), &a);
        lookups.begin(&asker(1), &a);
        lookups.answered(&asker(1), &a, Some(2), address(2));
        let late = lookups.answered(&asker(1), &a, Some(1), address(1));
        assert_eq!(late, Answered::Overtaken);
        assert_eq!(lookups.names_of(&asker(1), address(1)), []);
        lookups.has_none(&asker(1), &a, Some(1));
        assert_eq!(lookups.names_of(&asker(1), address(2)), std::slice::from_ref(&a));
        // Nor does an older one bring back what a later one has found to be nowhere.
        lookups.has_none(&asker(1), &a, Some(4));
        lookups.answered(&asker(1), &a, Some(3), address(3));
        assert_eq!(lookups.names_of(&asker(1), address(3)), []);
    }

    #[test]
    fn an_instance_of_another_process_is_another() {
        let mut lookups = Lookups::default();
        lookups.answered(&asker(1), &name("a.test"), Some(1), address(1));
        let other = Asker {
            process: 2,
            ..asker(1)
        };
        assert_eq!(lookups.names_of(&other, address(1)), []);
    }

    #[test]
    fn who_looks_up_for_ever_takes_a_bounded_place() {
        let mut lookups = Lookups::default();
        for number in 0..3 * MOST_NAMES {
            let name = name(&format!("n{number}.test"));
            let asker = asker((number / 1000) as u64);
            lookups.begin(&asker, &name);
            lookups.answered(&asker, &name, Some(number as u64), address(1));
        }
        let held: usize = lookups.askers.values().map(|names| names.names.len()).sum();
        assert_eq!(lookups.names, held);
        assert!(held <= MOST_NAMES);
        assert_eq!(lookups.by_age.len(), lookups.askers.len());
        for instance in 0..2 * MOST_ASKERS as u64 {
            lookups.answered(&asker(1_000_000 + instance), &name("a.test"), None, address(1));
        }
        assert!(lookups.askers.len() <= MOST_ASKERS);
        assert_eq!(lookups.by_age.len(), lookups.askers.len());
    }

    #[test]
    fn an_instance_is_missed_only_if_it_is_heard_of_again() {
        let mut lookups = Lookups::default();
        for instance in 0..2 * MOST_ASKERS as u64 {
            lookups.answered(&asker(instance), &name("a.test"), Some(instance), address(1));
        }
        assert_eq!(lookups.missed(), 0);
        // It never looked anything up, and this one is remembered.
        lookups.has_no_name(&asker(1_000_000));
        lookups.has_no_name(&asker(2 * MOST_ASKERS as u64 - 1));
        assert_eq!(lookups.missed(), 0);
        lookups.has_no_name(&asker(0));
        lookups.has_no_name(&asker(0));
        assert_eq!(lookups.missed(), 1);
    }
}
