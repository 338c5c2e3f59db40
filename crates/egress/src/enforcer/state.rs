//! What a decision looks at, under the lock of its instance, and what it changes.

use std::time::Instant;

use ::metrics::Gauge;
use outport_policy::{Grants, Peers, Policy};

use crate::process::Component;

/// What the decisions of one instance look at.
pub(super) struct State {
    pub(super) policy: Policy,
    pub(super) grants: Grants,
    pub(super) peers: Peers,
    pub(super) unsolicited_recorded: Option<Instant>,
    pub(super) granted: GrantedNames,
}

/// The names with grants, in the gauge of those of the component.
pub(super) struct GrantedNames {
    gauge: Gauge,
    names: usize,
}

impl GrantedNames {
    pub(super) fn are(&mut self, names: usize) {
        // Exact: there are a few hundred.
        self.gauge.increment(names as f64 - self.names as f64);
        self.names = names;
    }
}

impl Drop for GrantedNames {
    fn drop(&mut self) {
        self.are(0);
    }
}

impl State {
    /// That of an instance that begins. Its tables keep the bounds of now, whatever list is loaded later.
    pub(super) fn of(component: &Component) -> Self {
        let policy = component.policy(component.process().policy.operator());
        let quotas = &policy.operator().quotas;
        Self {
            grants: Grants::new(quotas.granted_names),
            peers: Peers::from(quotas),
            policy,
            unsolicited_recorded: None,
            granted: GrantedNames {
                gauge: component
                    .counts()
                    .map_or(Gauge::noop(), |counts| counts.grants.clone()),
                names: 0,
            },
        }
    }
}
