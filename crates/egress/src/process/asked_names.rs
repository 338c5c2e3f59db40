//! How many names each component of a process asked for of late (BUD-1, BUD-2), by the component's id.
//!
//! Whoever makes a gate for a component anew, and drops the old one, gives it no fresh budget: what was counted stays until
//! nobody has it and it is over. So there is an entry for each component that there is, and for each that asked for names
//! within the last hour.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use outport_policy::NameBudgets;

/// The budgets of names of all components.
#[derive(Default)]
pub(crate) struct AskedNames {
    components: Mutex<Components>,
}

#[derive(Default)]
struct Components {
    by_id: HashMap<Arc<str>, Arc<Mutex<NameBudgets>>>,
    /// The number at which those are looked for that are over.
    sweep_at: usize,
}

/// What a component has used.
pub(crate) struct NamesUsed {
    pub(crate) component: Arc<str>,
    /// Look-ups of the last minute for which servers were asked.
    pub(crate) lookups: u32,
    /// Names of the last hour below the wildcard that has most of them.
    pub(crate) names: u32,
}

impl AskedNames {
    /// Those of the component with this id.
    pub(super) fn of(&self, component: &Arc<str>) -> Arc<Mutex<NameBudgets>> {
        let mut components = self.lock();
        if let Some(known) = components.by_id.get(component) {
            return Arc::clone(known);
        }
        components.sweep(crate::enforcer::now());
        let budgets = Arc::default();
        components
            .by_id
            .insert(Arc::clone(component), Arc::clone(&budgets));
        budgets
    }

    /// What each component has used.
    pub(crate) fn used(&self, now: Instant) -> Vec<NamesUsed> {
        let all = self.lock().by_id.clone();
        let used = all.into_iter().map(|(component, budgets)| {
            let mut budgets = locked(&budgets);
            NamesUsed {
                component,
                lookups: budgets.lookups(now),
                names: budgets.names(now),
            }
        });
        used.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Components> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Components {
    fn sweep(&mut self, now: Instant) {
        if self.by_id.len() < self.sweep_at {
            return;
        }
        let is_kept = |budgets: &Arc<Mutex<NameBudgets>>| {
            Arc::strong_count(budgets) > 1 || !locked(budgets).is_empty(now)
        };
        self.by_id.retain(|_, budgets| is_kept(budgets));
        // Whenever there are twice as many, so that a component costs no walk.
        self.sweep_at = 2 * self.by_id.len().max(FEW);
    }
}

fn locked(budgets: &Mutex<NameBudgets>) -> MutexGuard<'_, NameBudgets> {
    budgets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Components for which nothing is looked for.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outport_policy::{Name, Quotas, Resolution};

    use super::*;

    // proves: BUD-1
    #[test]
    fn a_component_that_is_made_anew_goes_on_counting_and_one_that_is_over_is_forgotten() {
        let names = AskedNames::default();
        let (web, now) = (Arc::from("web"), crate::enforcer::now());
        let ask = |budgets: &Mutex<NameBudgets>| {
            let name = Name::parse("a.example").unwrap();
            let asked = locked(budgets).ask(
                &name,
                &[],
                Resolution::Servers,
                Quotas::default().names_of("web"),
                now,
            );
            asked.lookups_of_last_minute
        };
        assert_eq!(ask(&names.of(&web)), Some(0));
        assert_eq!(
            ask(&names.of(&web)),
            Some(1),
            "the first one is dropped, and counts"
        );
        for number in 0..100 {
            names.of(&format!("component-{number}").into());
        }
        assert!(
            names.lock().by_id.len() <= 3 * FEW,
            "who asked for nothing is forgotten"
        );
        assert_eq!(ask(&names.of(&web)), Some(2));
        let used = names.used(now);
        let used = used.iter().find(|used| used.component == web).unwrap();
        assert_eq!((used.lookups, used.names), (3, 0));
        let mut components = names.lock();
        components.sweep_at = 0;
        components.sweep(now + Duration::from_secs(60));
        assert!(!components.by_id.contains_key(&web));
    }
}
