//! What is told of decisions: counters, events for sinks, spans. What these keep is not charged to the instance.

use outport_policy::{Attempt, Decision, Name, Reason, Rule, Situation, Usage, text};

use super::{DecisionId, Enforcer, now};
use crate::audit::{AuditEvent, AuditOutcome, Stage, Verdict, escape, escaped};
use crate::spans;

/// The treatment of a decision by counters and sinks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// The decision is counted and becomes an event.
    Always,
    /// The same of an answer to the look-up that this decision permitted, which the event names.
    AnswerTo(DecisionId),
    /// The decision is counted, and becomes an event if it is a denial.
    OnDenial,
    /// A denial is counted and becomes an event. A permit is a part of another one, which is recorded.
    OfPart,
    /// The decision is counted.
    Never,
    /// Nothing: it belongs to another one, which is recorded.
    Aside,
}

impl Recording {
    /// True if the decision becomes an event whatever it is.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Self::Always | Self::AnswerTo(_))
    }

    /// True if a permit is counted.
    pub(super) fn counts_permits(self) -> bool {
        !matches!(self, Self::OfPart | Self::Aside)
    }

    /// True if a denial becomes an event.
    pub(super) fn tells_denials(self) -> bool {
        self.is_complete() || matches!(self, Self::OnDenial | Self::OfPart)
    }

    /// The number of the decision about the look-up that is answered.
    pub(super) fn lookup(self) -> Option<u64> {
        match self {
            Self::AnswerTo(lookup) => lookup.recorded(),
            _ => None,
        }
    }
}

impl Enforcer {
    /// Counts an answer that was cut to the bound of DNS-12.
    pub(crate) fn note_cut_answer(&self, name: &Name, addresses: usize) {
        let cut = self.process().recorder.counters.cut_answer();
        // A guest can have this as often as it likes, so it is told whenever there are twice as many.
        if cut.is_power_of_two() {
            let name = escape(name.as_str());
            let component = text::message(self.component.name());
            tracing::warn!(%component, %name, addresses, in_all = cut, "an answer was cut");
        }
    }

    /// Notes a refusal of what never became an attempt, since `destination` is no place to go to.
    pub(crate) fn refuse(&self, what: &'static str, destination: &str, reason: Reason) {
        let recorder = &self.process().recorder;
        self.count_denial(what, reason);
        self.trace_denial(what, || escape(destination).into_owned(), reason, None);
        let id = recorder.next_decision();
        let whose = (self.component.name(), self.number);
        let event = || AuditEvent::refused(id.get(), whose, what, destination, reason);
        self.record(Verdict::Deny, event);
    }

    /// Tells the sinks that want it of an outcome.
    pub(crate) fn record_outcome(&self, stage: Stage, outcome: impl Fn() -> AuditOutcome) {
        let recorder = &self.process().recorder;
        let outcome = || AuditOutcome {
            trace: self.trace().context(),
            ..outcome()
        };
        match self.instance.account.get() {
            _ if !recorder.wants_outcome(stage) => {}
            None => recorder.record_outcome(&outcome()),
            Some(account) => account.aside(&mut || recorder.record_outcome(&outcome())),
        }
    }

    /// That something of this instance came so far.
    pub(crate) fn outcome(
        &self,
        decision: DecisionId,
        what: &'static str,
        destination: &str,
        stage: Stage,
    ) -> AuditOutcome {
        let whose = (self.component.name(), self.number);
        AuditOutcome::new(whose, decision.recorded(), what, destination, stage)
    }

    /// The name by whose look-up an attempt is permitted.
    pub(crate) fn name_of(&self, attempt: &Attempt<'_>) -> Option<String> {
        self.permitted_by(attempt, self.usage(), |rule| match rule {
            Rule::Grant { name, .. } => Some(name.to_string()),
            _ => None,
        })
    }

    /// The rule by which an attempt is permitted, as the audit log has it.
    pub(crate) fn rule_of(&self, attempt: &Attempt<'_>) -> Option<String> {
        // Whether there is room was said when it was judged, and what it takes is counted by now.
        self.permitted_by(attempt, Usage::default(), |rule| Some(shown(rule)))
    }

    /// Decides once more: the permit that the guest had says where to, not why. Nobody is told or counted.
    fn permitted_by<R>(
        &self,
        attempt: &Attempt<'_>,
        usage: Usage,
        read: impl FnOnce(&Rule<'_>) -> Option<R>,
    ) -> Option<R> {
        let mut state = self.state().ok()?;
        self.follow_pass(&mut state);
        let situation = Situation {
            grants: &state.grants,
            peers: &state.peers,
            usage,
            now: now(),
        };
        match state.in_force().decide(attempt, &situation) {
            Decision::Allow(permit) => read(permit.rule()),
            Decision::Deny(_) => None,
        }
    }

    /// Does something whose results are not the instance's.
    pub(crate) fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(account) = self.instance.account.get() else {
            return work();
        };
        let (mut work, mut done) = (Some(work), None);
        account.aside(&mut || done = work.take().map(|work| work()));
        done.or_else(|| work.take().map(|work| work()))
            .expect("INVARIANT: it was done there or is done here")
    }

    pub(super) fn count_permit(&self, attempt: &Attempt<'_>) {
        self.process().recorder.counters.allow();
        if let Some(counts) = self.component.counts() {
            match counts.known_permit(attempt) {
                Some(counter) => counter.increment(1),
                None => self.aside(|| counts.permit(attempt)),
            }
        }
    }

    pub(super) fn count_denial(&self, operation: &'static str, reason: Reason) {
        self.process().recorder.counters.deny(reason.code());
        if let Some(counts) = self.component.counts() {
            self.aside(|| counts.deny(operation, reason.code()));
        }
    }

    /// Makes a span of a refusal, where what the instance does has spans.
    pub(super) fn trace_denial(
        &self,
        operation: &'static str,
        destination: impl FnOnce() -> String,
        reason: Reason,
        rule: Option<String>,
    ) {
        if let Some(point) = self.trace().recorded() {
            let component = self.component.name();
            self.aside(|| {
                let destination = destination();
                let span = |parent: &_| {
                    spans::denied(
                        parent,
                        component,
                        operation,
                        &destination,
                        reason,
                        rule.as_deref(),
                    )
                };
                drop(point.child(span));
            });
        }
    }

    /// Tells the sinks of an event. What they keep of it is not the instance's.
    pub(super) fn record(&self, verdict: Verdict, event: impl Fn() -> AuditEvent) {
        let recorder = &self.process().recorder;
        let event = || AuditEvent {
            trace: self.trace().context(),
            ..event()
        };
        match self.instance.account.get() {
            None => recorder.record(verdict, event),
            Some(account) => account.aside(&mut || recorder.record(verdict, event)),
        }
    }
}

/// A rule, as the audit log has it.
pub(super) fn shown(rule: &Rule<'_>) -> String {
    escaped(rule.to_string())
}
