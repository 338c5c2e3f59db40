//! The sinks that are told of decisions and outcomes, and the counters that run whether or not anybody is.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::unfinished::Unfinished;
use crate::audit::{AuditEvent, AuditOutcome, AuditSink, Outcomes, Stage, Verdict};
use crate::metrics::Counters;

/// The sinks of a process, and its counters.
pub(crate) struct Recorder {
    sinks: Vec<Arc<dyn AuditSink>>,
    /// Those without which nothing is permitted; they are among the sinks.
    required: Vec<Arc<dyn AuditSink>>,
    /// The outcomes that the sinks together want.
    outcomes: Outcomes,
    decisions: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) unfinished: Unfinished,
}

impl Recorder {
    pub(crate) fn new(sinks: Vec<Arc<dyn AuditSink>>, required: Vec<Arc<dyn AuditSink>>) -> Self {
        let wanted = sinks.iter().map(|sink| sink.outcomes());
        Self {
            // Asked once, since each exchange would have to ask all of them.
            outcomes: wanted.max().unwrap_or(Outcomes::None),
            sinks,
            required,
            decisions: AtomicU64::new(0),
            counters: Counters::default(),
            unfinished: Unfinished::default(),
        }
    }

    /// Makes every sink write out what it holds.
    pub(crate) fn flush(&self) {
        self.sinks.iter().for_each(|sink| sink.flush());
    }

    /// Makes every sink open again what it writes to, where that is a file.
    pub(crate) fn reopen(&self) {
        self.sinks.iter().for_each(|sink| sink.reopen());
    }

    /// True if any sink wants events with this verdict.
    pub(crate) fn wants(&self, verdict: Verdict) -> bool {
        self.sinks.iter().any(|sink| sink.wants(verdict))
    }

    /// The number of the next decision that is told.
    pub(crate) fn next_decision(&self) -> NonZeroU64 {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed) + 1;
        NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
    }

    /// True if all that must be recorded can be.
    pub(crate) fn can_record(&self) -> bool {
        self.required.iter().all(|sink| sink.is_available())
    }

    /// True if what is permitted is followed to its end.
    pub(crate) fn follows_all(&self) -> bool {
        self.outcomes == Outcomes::All
    }

    /// True if any sink wants outcomes of this stage.
    pub(crate) fn wants_outcome(&self, stage: Stage) -> bool {
        self.outcomes >= needed(stage)
    }

    /// Tells the sinks that want it of an outcome.
    pub(crate) fn record_outcome(&self, outcome: &AuditOutcome) {
        let needed = needed(outcome.outcome);
        let sinks = self.sinks.iter();
        sinks
            .filter(|sink| sink.outcomes() >= needed)
            .for_each(|sink| sink.record_outcome(outcome));
    }

    /// Tells the sinks that want it of an event, which is made only then.
    pub(crate) fn record(&self, verdict: Verdict, event: impl FnOnce() -> AuditEvent) {
        let mut listeners = self.sinks.iter().filter(|sink| sink.wants(verdict)).peekable();
        // An event owns its texts, which is not worth while where nobody listens.
        if listeners.peek().is_some() {
            let event = event();
            listeners.for_each(|sink| sink.record(&event));
        }
    }
}

/// The outcomes that a sink must want to be told of this stage.
fn needed(stage: Stage) -> Outcomes {
    match stage {
        Stage::Failed => Outcomes::Failures,
        Stage::Succeeded | Stage::Ended => Outcomes::All,
    }
}
