//! Answers that are still good.
//!
//! One map for the whole process, so that every instance of every component sees the same answer and a server is
//! asked once per TTL. An answer with a TTL of zero is never kept, none is kept for more than a day, one that lacks a
//! family of addresses since the servers failed for it not for longer than [`LONGEST_IN_PART`], and failures are not
//! kept at all. The map is bounded; when it is full the expired entries go first, then the one that would expire
//! soonest.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use outport_policy::Name;

use super::answer::{Answer, Extent};

/// Answers by name, bounded by `CAPACITY`.
#[derive(Default)]
pub(super) struct Cache {
    entries: Mutex<HashMap<Name, Entry>>,
}

struct Entry {
    answer: Answer,
    until: Instant,
}

impl Cache {
    /// The answer for `name` with what is left of its TTL, unless it has expired.
    pub(super) fn get(&self, name: &Name, now: Instant) -> Option<Answer> {
        let entries = self
            .entries
            .lock()
            .expect("nothing panics while the cache is locked");
        let entry = entries.get(name)?;
        let ttl = entry
            .until
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())?;
        Some(Answer {
            ttl,
            ..entry.answer.clone()
        })
    }

    /// Keeps `answer` for its TTL, within the bounds.
    pub(super) fn insert(&self, name: &Name, answer: &Answer, now: Instant) {
        if answer.ttl.is_zero() {
            return;
        }
        let longest = match answer.extent {
            Extent::Whole => LONGEST,
            Extent::OneFamily => LONGEST_IN_PART,
        };
        let mut entries = self
            .entries
            .lock()
            .expect("nothing panics while the cache is locked");
        // Bounded by number: a guest with a wildcard chooses how many names there are.
        if entries.len() >= CAPACITY && !entries.contains_key(name) {
            make_room(&mut entries, now);
        }
        entries.insert(
            name.clone(),
            Entry {
                answer: answer.clone(),
                until: now + answer.ttl.min(longest),
            },
        );
    }
}

fn make_room(entries: &mut HashMap<Name, Entry>, now: Instant) {
    entries.retain(|_, entry| entry.until > now);
    if entries.len() < CAPACITY {
        return;
    }
    let soonest = entries
        .iter()
        .min_by_key(|(_, entry)| entry.until)
        .map(|(name, _)| name.clone());
    if let Some(name) = soonest {
        entries.remove(&name);
    }
}

const CAPACITY: usize = 4096;

/// No answer is kept for longer, whatever the server says (RFC 8767, section 4, suggests days).
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure is over soon, as a rule, and a server that is silent for one family is not waited for in every look-up.
const LONGEST_IN_PART: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use outport_policy::{Address, AnswerSource};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn answer(ttl: u64) -> Answer {
        Answer {
            chain: Vec::new(),
            addresses: vec![Address::new(Ipv4Addr::new(10, 0, 0, 1).into())],
            source: AnswerSource::Server,
            ttl: Duration::from_secs(ttl),
            extent: Extent::Whole,
        }
    }

    #[test]
    fn an_answer_is_kept_for_its_ttl_and_not_a_moment_longer() {
        let (cache, start) = (Cache::default(), Instant::now());
        cache.insert(&name("a.example"), &answer(10), start);

        let rows = [(0, Some(10)), (9, Some(1)), (10, None), (11, None)];
        for (elapsed, left) in rows {
            let found = cache.get(&name("a.example"), start + Duration::from_secs(elapsed));
            assert_eq!(
                found.map(|answer| answer.ttl.as_secs()),
                left,
                "after {elapsed} s"
            );
        }
        assert_eq!(cache.get(&name("b.example"), start), None);
    }

    #[test]
    fn an_answer_is_kept_for_a_day_at_most() {
        let (cache, start) = (Cache::default(), Instant::now());
        cache.insert(&name("a.example"), &answer(0x7fff_ffff), start);
        let left = cache.get(&name("a.example"), start).unwrap().ttl;
        assert_eq!(left, LONGEST);
        assert_eq!(cache.get(&name("a.example"), start + LONGEST), None);
    }

    #[test]
    fn an_answer_that_lacks_a_family_is_kept_for_half_a_minute_at_most() {
        for (ttl, kept) in [(10, 10), (3600, 30)] {
            let (cache, start) = (Cache::default(), Instant::now());
            let part = Answer {
                extent: Extent::OneFamily,
                ..answer(ttl)
            };
            cache.insert(&name("a.example"), &part, start);
            let left = cache
                .get(&name("a.example"), start)
                .map(|answer| answer.ttl.as_secs());
            assert_eq!(left, Some(kept));
            let end = start + Duration::from_secs(kept);
            assert_eq!(cache.get(&name("a.example"), end), None);
        }
    }

    #[test]
    fn an_answer_with_a_ttl_of_zero_is_not_kept() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.insert(&name("a.example"), &answer(0), now);
        assert_eq!(cache.get(&name("a.example"), now), None);
    }

    #[test]
    fn a_full_cache_gives_up_what_would_expire_soonest() {
        let (cache, now) = (Cache::default(), Instant::now());
        for index in 0..CAPACITY as u64 {
            cache.insert(&name(&format!("n{index}.example")), &answer(100 + index), now);
        }
        cache.insert(&name("late.example"), &answer(100), now);

        assert_eq!(cache.get(&name("n0.example"), now), None);
        assert!(cache.get(&name("n1.example"), now).is_some());
        assert!(cache.get(&name("late.example"), now).is_some());
    }
}
