//! What is wrong with a store or a server of the operator's, told to him once and then counted: guests choose how often
//! they try.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outport_egress::dedup::{Budget, Counted, Dedup, Grouped, Occurrence, times};

/// The troubles of one of them.
pub(crate) struct Trouble(Mutex<Dedup<What>>);

#[derive(PartialEq, Eq, Hash)]
struct What(String);

impl Grouped for What {
    type Group = ();

    fn group(&self) {}
}

impl Default for Trouble {
    fn default() -> Self {
        Self(Mutex::new(Dedup::new(BUDGET, Instant::now())))
    }
}

impl Trouble {
    /// Warns of it, or counts it. `what` names it and has been made fit for a message.
    pub(crate) fn warn(&self, what: String) {
        // What is counted wrong after a panic is better than a second one.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = what.clone();
        if seen.record(What(what), Instant::now(), count) == Occurrence::First {
            tracing::warn!("{line}");
        }
    }
}

fn count(counted: Counted<'_, What>) {
    match counted {
        Counted::Again(What(what), again) => tracing::warn!("{what} ({})", times(again)),
        Counted::Beyond((), beyond) => {
            tracing::warn!("a store or server failed {beyond} more times, not told one by one")
        }
    }
}

/// What is told at most of one of them.
const BUDGET: Budget = Budget {
    interval: Duration::from_secs(10),
    lines: 5,
    remembered: 64,
};
