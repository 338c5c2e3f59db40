//! Is the process ready for what it is there for?

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The steps to being ready, and away from it. Cheap to clone: all clones are about the same process.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Steps>);

#[derive(Default)]
struct Steps {
    policy: AtomicBool,
    guests: AtomicBool,
    listening: AtomicBool,
    stopping: AtomicBool,
    /// Says whether the denied names were resolved.
    names: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Readiness {
    /// The operator's policy is in force; `names` says from now on whether every name that it denies was tried once.
    pub fn policy_in_force(&self, names: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.0.names.set(Box::new(names));
        self.0.policy.store(true, Ordering::Relaxed);
    }

    /// The guests are linked and may run.
    pub fn guests_prepared(&self) {
        self.0.guests.store(true, Ordering::Relaxed);
    }

    /// Whoever the guests are there for is listened to, or they run by themselves.
    pub fn listening(&self) {
        self.0.listening.store(true, Ordering::Relaxed);
    }

    /// The process was told to stop.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// What is missing, in words; nothing if the process is ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let steps = &*self.0;
        let policy = steps.policy.load(Ordering::Relaxed);
        let resolved = steps.names.get().is_none_or(|resolved| resolved());
        let missing = [
            (steps.stopping.load(Ordering::Relaxed), "the process is stopping"),
            (!policy, "the operator's policy is not in force yet"),
            (!resolved, "denied names are not resolved yet"),
            (
                !steps.guests.load(Ordering::Relaxed),
                "the components are not prepared yet",
            ),
            (
                !steps.listening.load(Ordering::Relaxed),
                "nobody is listened to yet",
            ),
        ];
        missing
            .into_iter()
            .filter_map(|(is_missing, what)| is_missing.then_some(what))
            .collect()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.missing()).finish()
    }
}
