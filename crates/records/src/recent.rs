//! A map that forgets what is old, so that it does not grow with what a guest does.
//!
//! What is new goes into one map. Once that is full it becomes the old one, and what was in the old one is forgotten: at
//! least so many of the newest keys are there, at most twice as many. Nothing is moved, and no order is kept.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A map of the newest keys.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    /// As many as the young one holds.
    room: usize,
    has_forgotten: bool,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// A map that keeps the `room` newest keys, and up to twice as many.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            room,
            has_forgotten: false,
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.room {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.has_forgotten |= !old.is_empty();
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.young.get_mut(key) {
            Some(value) => Some(value),
            None => self.old.get_mut(key),
        }
    }

    /// The value of a key, which is one of the newest from now on.
    pub(crate) fn renewed(&mut self, key: &K) -> Option<&mut V>
    where
        K: Clone,
    {
        if let Some(value) = self.old.remove(key) {
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    /// All that are there, in no order.
    pub(crate) fn into_all(self) -> impl Iterator<Item = (K, V)> {
        self.young.into_iter().chain(self.old)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// True if something was forgotten that was not removed.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_there_and_never_more_than_twice_as_many() {
        let mut recent = Recent::new(10);
        for number in 0..1000 {
            recent.insert(number, number * 2);
            assert!(recent.young.len() + recent.old.len() <= 20);
            for newest in number.max(9) - 9..=number {
                assert_eq!(recent.get(&newest), Some(&(newest * 2)), "{number}");
            }
        }
        assert!(recent.has_forgotten());
        assert_eq!(recent.get(&3), None);
        assert_eq!(recent.remove(&999), Some(1998));
        assert_eq!(recent.get(&999), None);
    }

    #[test]
    fn what_is_renewed_stays() {
        let mut recent = Recent::new(10);
        recent.insert(1000, 7);
        for number in 0..100 {
            recent.insert(number, 0);
            assert_eq!(recent.renewed(&1000), Some(&mut 7), "{number}");
        }
        assert_eq!(recent.renewed(&5), None);
        assert!(recent.into_all().count() <= 20);
    }

    #[test]
    fn what_is_removed_in_time_is_not_forgotten() {
        let mut recent = Recent::new(2);
        for number in 0..100 {
            recent.insert(number, ());
            recent.remove(&number);
        }
        assert!(!recent.has_forgotten());
    }
}
