//! The sink that learns what guests use, while their lists are open.
//!
//! `outport learn --allow-any-host` runs guests with one entry more on the list of each, [`any_host`]. Nothing else is different:
//! the decider is asked as ever, hard limits, deny list, runtime limits and quotas refuse what they refuse, and the guard
//! against rebinding holds, since the entry means no address (DNS-9). What it decides comes here, as it goes to the audit log.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use outport_check::learn::{Collector, Event, FailedLookup, Refused, Seen};
use outport_egress::{AuditEvent, AuditOutcome, AuditSink, Outcomes, Stage};
use outport_manifest::ResolvedApp;
use outport_policy::{Entry, Location};
use outport_records::why::ends_grants;

/// Takes down what is used.
#[derive(Debug, Default)]
pub(crate) struct Learner(Mutex<Collector>);

impl Learner {
    /// All that was seen since it was made.
    pub(crate) fn finish(&self) -> Seen {
        let mut collector = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *collector).finish()
    }
}

/// The entry by which every host may be reached, by every protocol.
pub(crate) fn any_host() -> Vec<Entry> {
    let option = Location::Option {
        name: "--allow-any-host".into(),
    };
    vec![Entry::parse("*://*:*", option).expect("INVARIANT: an entry")]
}

/// The app as it is in force: while somebody learns, every component may reach any host besides.
pub(crate) fn in_force<'a>(written: &'a ResolvedApp, learner: Option<&Learner>) -> Cow<'a, ResolvedApp> {
    match learner {
        Some(_) => Cow::Owned(written.clone().with_entries_for_all(&any_host())),
        None => Cow::Borrowed(written),
    }
}

impl AuditSink for Learner {
    fn record(&self, event: &AuditEvent) {
        let at = event.ts.to_string();
        let refused = event.reason.map(|reason| Refused {
            reason,
            detail: event.detail.unwrap_or_default(),
            remedy: event.remedy.as_deref(),
            also: event
                .also
                .iter()
                .map(|other| other.reason)
                .find(|reason| is_of_others(reason)),
        });
        let event = Event {
            at: &at,
            process: THIS,
            component: &event.component,
            instance: event.instance,
            attempt: event.attempt,
            destination: &event.destination,
            name: event.name.as_deref(),
            lookup: event.lookup,
            refused,
        };
        let mut collector = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        collector.decision(&event);
    }

    fn outcomes(&self) -> Outcomes {
        // Failures alone do not say which look-up it was.
        Outcomes::All
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        let has_ended = outcome.outcome == Stage::Failed && outcome.error.as_deref().is_some_and(ends_grants);
        if !has_ended || outcome.attempt != "dns.lookup" {
            return;
        }
        let mut collector = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        collector.failed_lookup(&FailedLookup {
            process: THIS,
            component: &outcome.component,
            instance: outcome.instance,
            name: &outcome.destination,
            lookup: outcome.decision,
        });
    }
}

/// True if the reason is not one of an author's list: both lists of a part may refuse.
pub(crate) fn is_of_others(reason: &str) -> bool {
    !reason.starts_with("allow.")
}

/// The process that runs the guests: there is one.
const THIS: u64 = 0;
