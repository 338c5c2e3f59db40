//! What was refused lately, each refusal once, with the remedy and how often it was.
//!
//! A refusal is of a component, a way of talking, a destination and a reason. There are [`REFUSALS`] at most; the one that
//! was longest ago makes place. The page keeps as many by the same rule, so that it need not be told which one went.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use outport_egress::AuditEvent;
use serde::Serialize;

use super::text::Text;

/// Refusals that are kept.
pub(super) const REFUSALS: usize = 300;

/// A refusal, as the page gets it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) id: u64,
    pub(super) component: Text,
    /// `tcp.connect`, `dns.lookup`, …
    pub(super) attempt: &'static str,
    pub(super) to: Text,
    pub(super) name: Option<Text>,
    pub(super) count: u64,
    /// Milliseconds since 1970.
    pub(super) first: u64,
    pub(super) last: u64,
    /// The layer that refused, and those that do so too.
    pub(super) reasons: Vec<Why>,
    /// The entry that came closest to permitting it.
    pub(super) closest: Option<Text>,
    /// The number of its last change.
    #[serde(skip)]
    pub(super) changed: u64,
}

/// Why a layer refuses, and what would permit it there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Why {
    pub(super) reason: &'static str,
    pub(super) detail: &'static str,
    pub(super) rule: Option<Text>,
    /// Whole, since it is copied: the event has 1,000 characters of it at most.
    pub(super) remedy: Option<Text>,
}

type Key = (Text, &'static str, Text, Option<&'static str>);

/// All that are kept.
#[derive(Default)]
pub(super) struct Refusals {
    next: u64,
    kept: HashMap<Key, Refusal>,
    /// By their last changes, which are no two's.
    by_change: BTreeMap<u64, Key>,
}

impl Refusals {
    /// Notes a refusal that is the change with this number.
    pub(super) fn note(&mut self, event: &AuditEvent, at: u64, change: u64) {
        let key = (
            Text::from(&event.component),
            event.attempt,
            Text::bounded(&event.destination),
            event.reason,
        );
        match self.kept.get_mut(&key) {
            Some(known) => {
                self.by_change.remove(&known.changed);
                known.count += 1;
                known.last = at;
                known.changed = change;
            }
            None => {
                if self.kept.len() >= REFUSALS
                    && let Some((_, oldest)) = self.by_change.pop_first()
                {
                    self.kept.remove(&oldest);
                }
                self.next += 1;
                let refusal = Refusal::new(event, self.next, (at, change));
                self.kept.insert(key.clone(), refusal);
            }
        }
        self.by_change.insert(change, key);
    }

    /// Those that have changed since, the one that changed first in front, `most` at most.
    pub(super) fn changed_since(&self, change: u64, most: usize) -> Vec<Refusal> {
        let later = self
            .by_change
            .range((Bound::Excluded(change), Bound::Unbounded))
            .take(most);
        later.filter_map(|(_, key)| self.kept.get(key).cloned()).collect()
    }
}

impl Refusal {
    fn new(event: &AuditEvent, id: u64, (at, changed): (u64, u64)) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(Text::bounded);
        let first = event.reason.map(|reason| Why {
            reason,
            detail: event.detail.unwrap_or_default(),
            rule: text(&event.rule),
            remedy: event.remedy.as_deref().map(Text::whole),
        });
        let also = event.also.iter().map(|also| Why {
            reason: also.reason,
            detail: also.detail,
            rule: text(&also.rule),
            remedy: also.remedy.as_deref().map(Text::whole),
        });
        Self {
            id,
            component: Text::from(&event.component),
            attempt: event.attempt,
            to: Text::bounded(&event.destination),
            name: text(&event.name),
            count: 1,
            first: at,
            last: at,
            reasons: first.into_iter().chain(also).collect(),
            closest: text(&event.closest),
            changed,
        }
    }
}
