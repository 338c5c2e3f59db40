//! What a decision looks at, under the lock of its instance, and what it changes.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use ::metrics::Gauge;
use outport_policy::{Grants, Peers, Policy, Reason};

use super::Shared;
use crate::denied::Denied;
use crate::process::{Component, DecisionScope, HoldsGrants, Listed, LivingGrant};

/// What the decisions of one instance look at.
pub(super) struct State {
    pub(super) policy: Policy,
    /// That for what is done right now, where it was permitted once.
    pub(super) once: Option<Policy>,
    pub(super) grants: Grants,
    pub(super) peers: Peers,
    pub(super) unsolicited_recorded: Option<Instant>,
    pub(super) granted: GrantedNames,
    /// Its place on the list of those who have grants.
    pub(super) listed: Option<Listed>,
}

/// The state behind its lock.
pub(super) struct StateCell {
    state: Mutex<State>,
    instance: Arc<Shared>,
}

impl StateCell {
    /// That of an instance, or of a part of it.
    pub(super) fn new(state: State, instance: &Arc<Shared>) -> Self {
        Self {
            state: Mutex::new(state),
            instance: instance.clone(),
        }
    }

    /// The lock under which decisions are taken.
    pub(super) fn lock_of_decisions(&self) -> &Mutex<State> {
        &self.state
    }
}

impl HoldsGrants for StateCell {
    fn grants(&self, component: &Arc<str>, instance: u64) -> Vec<LivingGrant> {
        // Whoever holds a connection of an instance that has ended keeps its state, which grants nothing any more.
        if self.instance.ending.load(Ordering::Relaxed) {
            return Vec::new();
        }
        // Behind a poisoned lock nothing is permitted any more.
        let Ok(state) = self.state.lock() else {
            return Vec::new();
        };
        let now = super::now();
        let all = state.grants.all();
        all.map(|(grant, addresses)| LivingGrant {
            component: component.clone(),
            instance,
            name: grant.name.to_string(),
            chain: grant.chain.iter().map(ToString::to_string).collect(),
            addresses: addresses.iter().map(|address| address.ip()).collect(),
            age: now.saturating_duration_since(grant.looked_up),
        })
        .collect()
    }
}

/// The state, locked for one decision.
pub(super) struct StateGuard<'e> {
    // In this order: the lock is given back, and then what was put off until then is done.
    state: MutexGuard<'e, State>,
    _scope: DecisionScope,
}

impl<'e> StateGuard<'e> {
    /// Locks the state.
    ///
    /// # Errors
    ///
    /// A panic has poisoned the lock, which refuses everything from then on (ORD-4); or the thread is in the midst of a
    /// decision already, which called what asks here.
    pub(super) fn lock(state: &'e Mutex<State>) -> Result<Self, Denied> {
        let internal = || Denied::new(Reason::ErrorInternal);
        let scope = DecisionScope::begin().ok_or_else(internal)?;
        Ok(Self {
            state: state.lock().map_err(|_| internal())?,
            _scope: scope,
        })
    }
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
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
    /// The policy by which is decided right now.
    pub(super) fn in_force(&self) -> &Policy {
        self.once.as_ref().unwrap_or(&self.policy)
    }

    /// Puts what `cell` has on the list of those who have grants, if there is one and it is not on it yet.
    pub(super) fn list_grants(&mut self, cell: &Arc<StateCell>, component: &Component, instance: u64) {
        if let Some(holders) = &component.process().grants
            && self.listed.is_none()
        {
            // The concrete one first: it is told to the list as one of many kinds.
            let cell: Weak<StateCell> = Arc::downgrade(cell);
            self.listed = Some(holders.list(component.name().clone(), instance, cell));
        }
    }

    /// That of an instance that begins. Its tables keep the bounds of now, whatever list is loaded later.
    pub(super) fn of(component: &Component) -> Self {
        let policy = component.policy(component.process().policy.operator());
        let quotas = &policy.operator().quotas;
        Self {
            grants: Grants::new(quotas.granted_names),
            peers: Peers::from(quotas),
            policy,
            once: None,
            unsolicited_recorded: None,
            granted: GrantedNames {
                gauge: component
                    .counts()
                    .map_or(Gauge::noop(), |counts| counts.grants.clone()),
                names: 0,
            },
            listed: None,
        }
    }
}
