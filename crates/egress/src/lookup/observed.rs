//! A question to the resolver, as it is counted and traced.

use std::sync::Arc;
use std::time::Instant;

use outport_policy::{Attempt, Name};

use super::LookupError;
use crate::dns::Answer;
use crate::enforcer::Enforcer;
use crate::spans;
use crate::trace::Trace;

/// A look-up under way, of a guest or for a connection that is made for it. Dropping it tells what became of it.
pub(crate) struct ObservedLookup {
    enforcer: Arc<Enforcer>,
    since: Option<Instant>,
    trace: Trace,
    outcome: &'static str,
}

impl ObservedLookup {
    pub(crate) fn begin(enforcer: &Arc<Enforcer>, name: &Name, point: &Trace) -> Self {
        let trace = if point.is_recorded() {
            let component = enforcer.component().name();
            let rule = enforcer.rule_of(&Attempt::Lookup { name });
            let span = |parent: &_| spans::lookup(parent, component, name.as_str(), rule.as_deref());
            enforcer.aside(|| point.child(span))
        } else {
            Trace::none()
        };
        Self {
            enforcer: Arc::clone(enforcer),
            since: enforcer.component().counts().is_some().then(Instant::now),
            trace,
            outcome: ABANDONED,
        }
    }

    pub(super) fn ended(mut self, answer: &Result<Answer, LookupError>) {
        self.outcome = match answer {
            Ok(answer) => {
                let addresses = answer.addresses.len();
                self.trace
                    .span()
                    .record("outport.addresses", spans::number(addresses as u64));
                ANSWERED
            }
            Err(error) => error.code(),
        };
    }
}

impl Drop for ObservedLookup {
    fn drop(&mut self) {
        if self.trace.is_recorded() {
            let trace = std::mem::replace(&mut self.trace, Trace::none());
            self.enforcer.aside(|| {
                if self.outcome != ANSWERED {
                    spans::fail(trace.span(), self.outcome);
                }
                drop(trace);
            });
        }
        if let (Some(counts), Some(since)) = (self.enforcer.component().counts(), self.since) {
            let seconds = since.elapsed().as_secs_f64();
            self.enforcer.aside(|| counts.lookup(self.outcome, seconds));
        }
    }
}

const ANSWERED: &str = "answered";

/// What became of a look-up that nobody waited for to the end.
const ABANDONED: &str = "abandoned";
