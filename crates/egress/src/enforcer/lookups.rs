//! The look-ups of an instance: each is counted from when it is judged until it is settled or abandoned.

use std::sync::atomic::Ordering;

use outport_policy::{Attempt, LookupOutcome, Name, Resolution, Ticket, Usage};

use super::recording::Recording;
use super::{DecisionId, Enforcer, now};
use crate::denied::Denied;

impl Enforcer {
    /// Judges a look-up of `name`. When it may start, it has its place in the order of look-ups, and is counted
    /// until it is settled or abandoned.
    pub(crate) fn begin_lookup(&self, name: &Name) -> Result<(Ticket, DecisionId), Denied> {
        let mut state = self.state()?;
        // Counted before it is judged: parts of the instance have locks of their own.
        let usage = Usage {
            lookups_of_instance: self.instance.lookups.fetch_add(1, Ordering::AcqRel),
            ..self.usage()
        };
        let attempt = Attempt::Lookup { name };
        let decided = self.decide(&mut state, &attempt, usage, Recording::Always, now());
        let (_, decision) = decided.inspect_err(|_| self.end_lookup())?;
        Ok((state.grants.begin(name.clone()), decision))
    }

    /// Replaces the grants of the name that `ticket` stands for, and answers the name whose grants made room, if one's did.
    pub(crate) fn settle_lookup(&self, ticket: Ticket, outcome: LookupOutcome) -> Option<Name> {
        // Behind a poisoned lock nothing is permitted any more, so no grant is missed.
        self.end_lookup();
        let mut state = self.state().ok()?;
        let state = &mut *state;
        state.grants.settle(ticket, outcome, now());
        state.granted.are(state.grants.names());
        state.list_grants(&self.state, &self.component, self.number);
        state.grants.evicted().cloned()
    }

    /// Gives a look-up up; it grants nothing.
    pub(crate) fn abandon_lookup(&self, ticket: Ticket) {
        drop(ticket);
        self.end_lookup();
    }

    /// Judges resolving `name` in that way by the budgets of names, for whatever way out was permitted by it, and counts it
    /// (BUD-1, BUD-2). To be asked once for a look-up, and once more only where a server is asked after all.
    pub(crate) fn authorize_resolution(&self, name: &Name, resolution: Resolution) -> Result<(), Denied> {
        // Addresses that the operator configured are no guest's to make up (HI-6).
        if self.component.is_the_operators() {
            return Ok(());
        }
        let mut state = self.state()?;
        self.follow_operator(&mut state);
        self.follow_pass(&mut state);
        let policy = state.in_force();
        let wildcards = policy.wildcards_over(name);
        if resolution == Resolution::Known && wildcards.is_empty() {
            return Ok(());
        }
        let now = now();
        let bounds = policy.name_bounds();
        // Counted before it is judged, by the same bounds: other instances of the component have locks of their own.
        let asked = {
            let mut budgets = self.component.name_budgets();
            budgets.ask(name, &wildcards, resolution, bounds, now)
        };
        let usage = asked.within(Usage::default());
        let attempt = Attempt::Resolve { name };
        self.judge(&state, &attempt, usage, Recording::OfPart, now)
            .map(drop)
    }

    fn end_lookup(&self) {
        self.instance.lookups.fetch_sub(1, Ordering::AcqRel);
    }
}
