//! The parts of [asking] that look at the state of an instance.

use std::sync::atomic::Ordering;

use outport_policy::{Attempt, Decision, Location, Situation, Usage, Wanted};

use super::state::State;
use super::{Enforcer, now};
use crate::asking;

impl Enforcer {
    /// What an attempt lacks on a list, where nothing but the lists of authors refuses it.
    pub(crate) fn wanted(&self, attempt: &Attempt<'_>, location: &Location) -> Option<Wanted> {
        let mut state = self.state().ok()?;
        self.follow_operator(&mut state);
        self.follow_pass(&mut state);
        let situation = Situation {
            grants: &state.grants,
            peers: &state.peers,
            usage: Usage {
                lookups_of_instance: self.instance.lookups.load(Ordering::Acquire),
                ..self.usage()
            },
            now: now(),
        };
        let policy = state.in_force();
        match policy.decide(attempt, &situation) {
            Decision::Allow(_) => None,
            Decision::Deny(_) => policy.wanted(attempt, &situation, location).into_iter().next(),
        }
    }

    /// Has what is done right now judged with what somebody permitted for it alone.
    pub(super) fn follow_pass(&self, state: &mut State) {
        if self.process().questioner.is_some() {
            state.once = asking::in_force(&self.component, &state.policy);
        }
    }
}
