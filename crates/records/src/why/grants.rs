//! What an instance was granted of the host that is asked about, and what it attempted there.

use std::sync::Arc;

use super::answer::{Attempted, End, Grant, Lookup};
use super::owned;
use crate::{Decision, Timestamp};

/// The names by which an instance may reach the host, and its attempts.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) current: Vec<Grant>,
    /// Grants that ended and did not come again, oldest first.
    pub(super) ended: Vec<(Grant, End)>,
    /// The attempts in the moment.
    pub(super) attempts: Vec<Attempted>,
    /// Attempts in the moment beyond those that are kept.
    pub(super) more_attempts: u64,
    /// The last attempt before the moment.
    pub(super) before: Option<Attempted>,
    /// The time of the last line of the instance.
    pub(super) last: Timestamp,
}

/// The way in which a grant ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The name was looked up again.
    Replaced(Arc<Lookup>),
    /// Another name took its place.
    Evicted { by: String },
}

impl Names {
    pub(super) fn new(ts: Timestamp) -> Self {
        Self {
            current: Vec::new(),
            ended: Vec::new(),
            attempts: Vec::new(),
            more_attempts: 0,
            before: None,
            last: ts,
        }
    }

    /// A look-up grants the host.
    pub(super) fn grant(&mut self, lookup: Lookup) {
        self.ended.retain(|(grant, _)| grant.lookup.name != lookup.name);
        let lookup = Arc::new(lookup);
        let is_same = |grant: &&mut Grant| grant.lookup.name == lookup.name;
        if let Some(grant) = self.current.iter_mut().find(is_same) {
            grant.lookup = lookup;
        } else if self.current.len() < NAMES {
            let since = lookup.answered;
            self.current.push(Grant { lookup, since });
        }
    }

    /// What a name granted has ended.
    pub(super) fn end(&mut self, name: &str, how: &Ended, at: Timestamp) {
        let Some(index) = self.current.iter().position(|grant| grant.lookup.name == name) else {
            return;
        };
        let grant = self.current.remove(index);
        if self.ended.len() >= ENDED {
            self.ended.remove(0);
        }
        let end = match how {
            Ended::Replaced(lookup) => End::Replaced(lookup.clone()),
            Ended::Evicted { by } => End::Evicted { at, by: by.clone() },
        };
        self.ended.push((grant, end));
    }

    /// The instance attempted to reach the host.
    pub(super) fn attempted(&mut self, decision: &Decision<'_>, (from, _): (Timestamp, Timestamp)) {
        let is_in_moment = decision.ts >= from;
        if is_in_moment && self.attempts.len() >= ATTEMPTS {
            self.more_attempts += 1;
            return;
        }
        let attempted = Attempted {
            ts: decision.ts,
            id: decision.id,
            attempt: decision.attempt.to_string(),
            destination: decision.destination.to_string(),
            name: owned(&decision.name),
            verdict: decision.verdict,
            reason: owned(&decision.reason),
            detail: owned(&decision.detail),
            rule: owned(&decision.rule),
            closest: owned(&decision.closest),
            remedy: owned(&decision.remedy),
            also: decision
                .also
                .iter()
                .map(|also| (also.reason.to_string(), owned(&also.remedy)))
                .collect(),
            granted_by: self.current.clone(),
            ended: self.ended.last().cloned(),
        };
        if is_in_moment {
            self.attempts.push(attempted);
        } else {
            self.before = Some(attempted);
        }
    }
}

/// Names that grant one address to one instance; there are seldom two, and 256 in all (DNS-12).
const NAMES: usize = 8;

/// Grants that ended, of an instance.
const ENDED: usize = 4;

/// Attempts in the moment, of an instance.
const ATTEMPTS: usize = 8;
