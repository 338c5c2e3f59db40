//! How many names one component asks for, since names are a way to carry data out (BUD-1, BUD-2).
//!
//! ```text
//! look-up ── a server has to be asked? ──▶ RecentLookups  the times of those of the last minute
//!         └─ below wildcards of its list ─▶ RecentNames   for each wildcard: the names of the last hour, and when
//! ```
//!
//! Both windows slide: at no moment were there more in the minute, or in the hour, before it than the bound says. A name
//! that is asked for again is no further name, and is one of the hour from then on. What is refused is not counted.
//!
//! A name is a 64-bit hash here, under a key of each process, so that what is kept is bounded by the number of names and
//! nobody can choose two that count as one. A name below several wildcards counts below each that has room, so what passes
//! in an hour is at most the bound for each wildcard that is written.
//!
//! Nothing here decides: [`Policy::decide`](crate::Policy::decide) does, by what [`NameBudgets::ask`] answers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::{Name, NameBounds, Usage};

/// What one component, all its instances and parts together, asked for of late.
#[derive(Debug, Default)]
pub struct NameBudgets {
    lookups: RecentLookups,
    /// By the name that the wildcard stands before.
    wildcards: HashMap<Name, RecentNames>,
    key: RandomState,
}

/// The way in which a name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Without asking anybody: the cache or the hosts file knows it.
    Known,
    /// DNS servers are asked.
    Servers,
}

/// What was used before a name was asked for, as [`Usage`] has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what is over the budget is refused by whoever judges it"]
pub struct Asked {
    /// See [`Usage::lookups_of_last_minute`].
    pub lookups_of_last_minute: Option<u32>,
    /// See [`Usage::names_below_wildcard`].
    pub names_below_wildcard: Option<u32>,
}

impl NameBudgets {
    /// Asks for `name`, and counts it unless one of the budgets is spent by `bounds`. `lists` are the
    /// [wildcards](crate::Policy::wildcards_over) over it.
    pub fn ask(
        &mut self,
        name: &Name,
        lists: &[Vec<&Name>],
        resolution: Resolution,
        bounds: NameBounds,
        now: Instant,
    ) -> Asked {
        let hash = self.key.hash_one(name);
        let most = bounds.names_per_wildcard;
        let asked = Asked {
            lookups_of_last_minute: (resolution == Resolution::Servers).then(|| self.lookups.number(now)),
            names_below_wildcard: self.others(hash, lists, now),
        };
        if asked.is_over(bounds) {
            return asked;
        }
        for apex in lists.iter().flatten() {
            let names = self.wildcards.entry((*apex).clone()).or_default();
            if names.others(hash) < most {
                names.note(hash, now);
            }
        }
        if asked.lookups_of_last_minute.is_some() {
            self.lookups.note(now);
        }
        asked
    }

    /// The look-ups of the last minute for which DNS servers were asked.
    pub fn lookups(&mut self, now: Instant) -> u32 {
        self.lookups.number(now)
    }

    /// The names of the last hour below the wildcard that has most of them.
    pub fn names(&mut self, now: Instant) -> u32 {
        self.forget(now);
        self.wildcards
            .values()
            .map(RecentNames::number)
            .max()
            .unwrap_or(0)
    }

    /// True if nothing is counted any more.
    pub fn is_empty(&mut self, now: Instant) -> bool {
        self.lookups(now) == 0 && self.names(now) == 0
    }

    /// The other names of the last hour: of each list those below its wildcard with most room, and of these lists the most,
    /// since each of them has to permit the name.
    fn others(&mut self, hash: u64, lists: &[Vec<&Name>], now: Instant) -> Option<u32> {
        // A wildcard that is new to the table is of a list that was replaced, or is the first: seldom.
        if lists
            .iter()
            .flatten()
            .any(|apex| !self.wildcards.contains_key(*apex))
        {
            self.forget(now);
        }
        let mut below = |apex: &Name| {
            self.wildcards.get_mut(apex).map_or(0, |names| {
                names.forget(now);
                names.others(hash)
            })
        };
        let mut most_room = |list: &Vec<&Name>| list.iter().map(|apex| below(apex)).min();
        lists.iter().filter_map(&mut most_room).max()
    }

    /// Forgets names that are older than an hour, and wildcards without any.
    fn forget(&mut self, now: Instant) {
        self.wildcards.retain(|_, names| {
            names.forget(now);
            names.number() > 0
        });
    }
}

impl Asked {
    /// The same usage with this.
    #[must_use]
    pub fn within(self, usage: Usage) -> Usage {
        Usage {
            lookups_of_last_minute: self.lookups_of_last_minute,
            names_below_wildcard: self.names_below_wildcard,
            ..usage
        }
    }

    fn is_over(self, bounds: NameBounds) -> bool {
        let spent = |used: Option<u32>, most: u32| used.is_some_and(|used| used >= most);
        spent(self.lookups_of_last_minute, bounds.lookups_per_minute)
            || spent(self.names_below_wildcard, bounds.names_per_wildcard)
    }
}

/// The times of the look-ups of the last minute, the oldest first: as many as there may be.
#[derive(Debug, Default)]
struct RecentLookups {
    times: VecDeque<Instant>,
}

impl RecentLookups {
    fn number(&mut self, now: Instant) -> u32 {
        while self.times.front().is_some_and(|time| is_past(*time, MINUTE, now)) {
            self.times.pop_front();
        }
        if self.times.is_empty() {
            // What a busy minute took is given back.
            self.times.shrink_to(FEW);
        }
        number(self.times.len())
    }

    fn note(&mut self, now: Instant) {
        // Threads take the time before they wait for each other, so one may come a moment late.
        let newest = self.times.back().map_or(now, |newest| now.max(*newest));
        self.times.push_back(newest);
    }
}

/// The names of the last hour below one wildcard, and when each was asked for last.
#[derive(Debug, Default)]
struct RecentNames {
    asked: HashMap<u64, Instant>,
    by_age: BTreeSet<(Instant, u64)>,
}

impl RecentNames {
    fn forget(&mut self, now: Instant) {
        while let Some((time, hash)) = self.by_age.first().copied()
            && is_past(time, HOUR, now)
        {
            self.by_age.pop_first();
            self.asked.remove(&hash);
        }
        if self.asked.is_empty() {
            self.asked.shrink_to(FEW);
        }
    }

    fn number(&self) -> u32 {
        number(self.asked.len())
    }

    /// The names but this one.
    fn others(&self, hash: u64) -> u32 {
        self.number() - u32::from(self.asked.contains_key(&hash))
    }

    fn note(&mut self, hash: u64, now: Instant) {
        let before = self.asked.get(&hash).copied();
        let last = before.map_or(now, |before| now.max(before));
        if let Some(before) = before {
            self.by_age.remove(&(before, hash));
        }
        self.by_age.insert((last, hash));
        self.asked.insert(hash, last);
    }
}

fn is_past(time: Instant, window: Duration, now: Instant) -> bool {
    now.saturating_duration_since(time) >= window
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Places that are kept where nothing is.
const FEW: usize = 16;

#[cfg(test)]
mod tests;
