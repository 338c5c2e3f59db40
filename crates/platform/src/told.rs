//! What an operator is told of the connections of guests, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use outport_egress::{AuditEvent, AuditOutcome, AuditSink, Egress, Gate, Outcomes, Stage};
use outport_policy::{AllowList, Entry, Location};

/// The lines of what was denied, or allowed and failed.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    /// A gate that lets through what `allowed` says, and what is told of it.
    pub(crate) fn gate(allowed: &str) -> (Gate, Arc<Self>) {
        let told = Arc::new(Self::default());
        let egress = Egress::builder()
            .sink(told.clone())
            .build()
            .expect("a gate of nothing but a sink");
        let entry = Entry::parse(allowed, Location::Code).expect("an entry of the test");
        let allow = Arc::new(AllowList::compile(vec![entry]));
        (egress.gate("web", allow), told)
    }

    /// The lines since this was asked last, without the component and where to.
    pub(crate) fn take(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lines
            .iter()
            .map(|line| match line.split_once(" [") {
                Some((before, what)) => {
                    format!("{} [{what}", before.split(':').next().unwrap_or_default())
                }
                None => line.clone(),
            })
            .collect()
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl AuditSink for Told {
    fn record(&self, event: &AuditEvent) {
        if event.reason.is_some() {
            self.add(event.to_string());
        }
    }

    fn outcomes(&self) -> Outcomes {
        Outcomes::All
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        if outcome.attempt.ends_with(".connect") && outcome.outcome == Stage::Failed {
            self.add(outcome.to_string());
        }
    }
}
