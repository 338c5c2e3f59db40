//! The record of what was permitted, followed from its decision to its end (RSN-6).
//!
//! ```text
//! decision ── begin ── Waiting ─┬─ succeeded ── Open ── dropped, or the process stops ─▶ `ended`
//!                               ├─ failed ─────────────────────────────────────────────▶ `failed`
//!                               └─ dropped ────────────────────────────────────────────▶ `failed`, abandoned
//! ```
//!
//! Whoever holds a connection or an exchange holds its [`Followed`], counts in it what is carried, and notes why it
//! ends as soon as that is known: the first cause counts. Dropping it tells the end: the sinks, the counts of connections,
//! and the span of a connection or an exchange. Nothing is followed where nobody wants to know; then only failures are told,
//! to whom wants these.
//!
//! What is followed is known to the [egress](crate::egress), so that a process that stops can tell of what is still
//! open. There is as much of it as there are sockets, look-ups and exchanges, which have their quotas.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use outport_policy::{Attempt, Name};

use crate::audit::{ABANDONED, AuditOutcome, EndedBy, Stage, code_of, destination, escape, escaped, is_dial};
use crate::counts::ConnectionCounts;
use crate::enforcer::{ConnectPermit, DecisionId, Enforcer};
use crate::process::{Carried, UntilStopped};
use crate::proxy::ProxyServer;
use crate::spans;
use crate::trace::Trace;

/// One permitted attempt and what comes of it.
pub(crate) struct Followed {
    enforcer: Arc<Enforcer>,
    number: u64,
    decision: DecisionId,
    attempt: &'static str,
    /// As it is told; none where the sinks are told of failures at most.
    destination: Option<String>,
    /// The counts of its kind, if it is a connection and counted.
    counts: Option<Arc<ConnectionCounts>>,
    trace: Trace,
    since: Instant,
    state: AtomicU8,
    cause: OnceLock<(EndedBy, Option<String>)>,
    /// The peer said that it will end it.
    peer_ends: AtomicBool,
    /// The proxy that the connection goes through.
    proxy: OnceLock<Arc<ProxyServer>>,
    /// The name whose grants made room for those of this look-up.
    evicted: OnceLock<Name>,
    sent: AtomicU64,
    received: AtomicU64,
}

/// Before it is known whether it comes about.
const WAITING: u8 = 0;
/// The state of what came about.
const OPEN: u8 = 1;
/// All is recorded.
const RECORDED: u8 = 2;

impl Followed {
    /// Follows what `enforcer` has permitted by `decision`, if anybody wants to know.
    pub(crate) fn begin(
        enforcer: &Arc<Enforcer>,
        decision: DecisionId,
        attempt: &Attempt<'_>,
    ) -> Option<Arc<Self>> {
        Self::of(enforcer, decision, attempt, None, Trace::none())
    }

    /// Follows a connection, which is counted, and whose span is below `point`.
    pub(crate) fn begin_connection(
        enforcer: &Arc<Enforcer>,
        decision: DecisionId,
        attempt: &Attempt<'_>,
        point: &Trace,
    ) -> Option<Arc<Self>> {
        let counts = enforcer.component().counts();
        let counts = counts.map(|counts| enforcer.aside(|| Arc::clone(counts.connections(attempt))));
        let trace = if point.is_recorded() {
            let (name, rule) = (enforcer.name_of(attempt), enforcer.rule_of(attempt));
            let component = enforcer.component().name();
            let span = |parent: &_| spans::connection(parent, component, attempt, name, rule.as_deref());
            enforcer.aside(|| point.child(span))
        } else {
            Trace::none()
        };
        Self::of(enforcer, decision, attempt, counts, trace)
    }

    /// Follows what `trace` has a span for.
    pub(crate) fn begin_traced(
        enforcer: &Arc<Enforcer>,
        decision: DecisionId,
        attempt: &Attempt<'_>,
        trace: Trace,
    ) -> Option<Arc<Self>> {
        Self::of(enforcer, decision, attempt, None, trace)
    }

    fn of(
        enforcer: &Arc<Enforcer>,
        decision: DecisionId,
        attempt: &Attempt<'_>,
        counts: Option<Arc<ConnectionCounts>>,
        trace: Trace,
    ) -> Option<Arc<Self>> {
        let recorder = &enforcer.process().recorder;
        let told = recorder.follows_all();
        if !told && counts.is_none() && !trace.is_recorded() {
            return None;
        }
        let number = if told { recorder.unfinished.next() } else { 0 };
        let one = Arc::new(Self {
            enforcer: enforcer.clone(),
            number,
            decision,
            attempt: attempt.operation(),
            destination: told.then(|| escaped(destination(attempt))),
            counts,
            trace,
            since: Instant::now(),
            state: AtomicU8::new(WAITING),
            cause: OnceLock::new(),
            peer_ends: AtomicBool::new(false),
            proxy: OnceLock::new(),
            evicted: OnceLock::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        if told {
            // Weak in the list: what is in it ends when its holder lets go.
            let unfinished: Arc<dyn UntilStopped> = one.clone();
            recorder.unfinished.insert(number, Arc::downgrade(&unfinished));
        }
        Some(one)
    }

    /// Records success, and the status of an answer.
    pub(crate) fn succeeded(&self, status: Option<u16>) {
        if !self.step(WAITING, OPEN) {
            return;
        }
        if let Some(counts) = &self.counts {
            counts.succeeded.increment(1);
            counts.open.increment(1);
        }
        if let Some(status) = status
            && self.trace.is_recorded()
        {
            self.enforcer.aside(|| self.note_status(status));
        }
        self.record(Stage::Succeeded, |outcome| outcome.status = status);
    }

    /// Notes the status of an answer on the span, as one that a client takes for an error.
    fn note_status(&self, status: u16) {
        let span = self.trace.span();
        span.record("http.response.status_code", i64::from(status));
        if status >= 400 {
            spans::fail(span, &status.to_string());
        }
    }

    /// Notes that it is there, which needs no line of its own.
    pub(crate) fn exists(&self) {
        self.step(WAITING, OPEN);
    }

    /// Records success, and that there is nothing that could end.
    pub(crate) fn done(&self) {
        if self.step(WAITING, RECORDED) {
            self.record(Stage::Succeeded, |_| {});
        }
    }

    /// So much went to the peer.
    pub(crate) fn count_sent(&self, amount: usize) {
        self.sent.fetch_add(amount as u64, Ordering::Relaxed);
        if let Some(counts) = &self.counts {
            counts.sent.increment(amount as u64);
        }
    }

    /// So much came from the peer.
    pub(crate) fn count_received(&self, amount: usize) {
        self.received.fetch_add(amount as u64, Ordering::Relaxed);
        if let Some(counts) = &self.counts {
            counts.received.increment(amount as u64);
        }
    }

    /// Notes the name whose grants made room for those of this look-up.
    pub(crate) fn note_evicted(&self, name: Name) {
        let _ = self.evicted.set(name);
    }

    /// Notes why it ends. The first cause counts.
    pub(crate) fn note_end(&self, cause: EndedBy) {
        let _ = self.cause.set((cause, None));
    }

    /// Notes that the peer will end it as soon as it has answered, unless something else does before. Whether its end
    /// is read before nobody needs the connection any more is chance.
    pub(crate) fn expect_end_by_peer(&self) {
        self.peer_ends.store(true, Ordering::Relaxed);
    }

    /// Notes that the guest's side ends it: the guest, or the end of its instance.
    pub(crate) fn note_end_by_guest(&self) {
        self.note_end(if self.enforcer.is_ending() {
            EndedBy::Instance
        } else {
            EndedBy::Guest
        });
    }

    /// Notes the error that ends it.
    pub(crate) fn note_error(&self, error: &impl std::fmt::Debug) {
        let code = code_of(error);
        let cause = match code.as_str() {
            "connection-reset"
            | "connection-broken"
            | "connection-aborted"
            | "connection-terminated"
            | "broken-pipe" => EndedBy::Reset,
            "timeout" | "timed-out" | "connection-timeout" | "connection-read-timeout" => EndedBy::Timeout,
            _ => EndedBy::Error,
        };
        let _ = self.cause.set((cause, Some(code)));
    }

    /// Tells the end now, of what came about and is not over; or that it was given up.
    fn end(&self, otherwise: EndedBy) {
        // One swap decides who tells the end: the holder that drops it, or the process that stops.
        match self.state.swap(RECORDED, Ordering::AcqRel) {
            WAITING => {
                let (cause, error) = self.cause(otherwise);
                self.note_failure(error.as_deref().unwrap_or(ABANDONED));
                if self.destination.is_none() {
                    return;
                }
                self.record(Stage::Failed, |outcome| {
                    outcome.error = error.clone().or_else(|| Some(ABANDONED.to_owned()));
                    outcome.ended_by = Some(cause);
                });
            }
            OPEN => {
                let (cause, error) = self.cause(otherwise);
                self.note_end_of_open(cause, error.as_deref());
                self.record(Stage::Ended, |outcome| {
                    outcome.error = error.clone();
                    outcome.sent = Some(self.sent.load(Ordering::Relaxed));
                    outcome.received = Some(self.received.load(Ordering::Relaxed));
                    outcome.ended_by = Some(cause);
                });
            }
            _ => {}
        }
    }

    /// Counts that it did not come about, and notes it on the span.
    fn note_failure(&self, error: &str) {
        if let Some(counts) = &self.counts {
            counts.failed.increment(1);
        }
        if self.trace.is_recorded() {
            self.enforcer.aside(|| spans::fail(self.trace.span(), error));
        }
    }

    /// Counts the end of what had come about, and notes it on the span.
    fn note_end_of_open(&self, cause: EndedBy, error: Option<&str>) {
        if let Some(counts) = &self.counts {
            counts.open.decrement(1);
            counts.duration.record(self.since.elapsed().as_secs_f64());
        }
        if self.trace.is_recorded() {
            self.enforcer.aside(|| {
                let span = self.trace.span();
                span.record(
                    "outport.sent_bytes",
                    spans::number(self.sent.load(Ordering::Relaxed)),
                );
                span.record(
                    "outport.received_bytes",
                    spans::number(self.received.load(Ordering::Relaxed)),
                );
                span.record("outport.ended_by", code_of(&cause));
                if let Some(error) = error {
                    spans::fail(span, error);
                }
            });
        }
    }

    fn cause(&self, otherwise: EndedBy) -> (EndedBy, Option<String>) {
        let otherwise = if self.peer_ends.load(Ordering::Relaxed) {
            EndedBy::Peer
        } else {
            otherwise
        };
        self.cause.get().cloned().unwrap_or((otherwise, None))
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn record(&self, stage: Stage, complete: impl Fn(&mut AuditOutcome)) {
        self.enforcer.record_outcome(stage, || {
            let destination = self.destination.as_deref().unwrap_or_default();
            let mut outcome = self
                .enforcer
                .outcome(self.decision, self.attempt, destination, stage);
            let elapsed = self.since.elapsed().as_millis();
            outcome.duration_ms = Some(u64::try_from(elapsed).unwrap_or(u64::MAX));
            outcome.via = self.proxy.get().map(ToString::to_string);
            outcome.evicted = self.evicted.get().map(|name| escaped(name.to_string()));
            complete(&mut outcome);
            outcome
        });
    }
}

impl UntilStopped for Followed {
    fn stopped(&self) {
        self.end(EndedBy::Host);
    }

    fn carried(&self) -> Option<Carried> {
        Some(Carried {
            decision: self.decision.recorded()?,
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.destination.is_some() {
            self.enforcer.process().recorder.unfinished.remove(self.number);
        }
        // A connection that the host has made is the host's; all else is the guest's to end.
        let otherwise = if is_dial(self.attempt) {
            EndedBy::Host
        } else if self.enforcer.is_ending() {
            EndedBy::Instance
        } else {
            EndedBy::Guest
        };
        self.end(otherwise);
        if self.trace.is_recorded() {
            // Closed here, where what its subscriber does is not charged to the guest.
            let trace = std::mem::replace(&mut self.trace, Trace::none());
            self.enforcer.aside(|| drop(trace));
        }
    }
}

/// Notes the proxy that a connection goes through by its permit, if it goes through one.
pub(crate) fn note_proxy(followed: Option<&Arc<Followed>>, permit: &ConnectPermit) {
    if let (Some(followed), Some(proxy)) = (followed, permit.proxy()) {
        let _ = followed.proxy.set(proxy.clone());
    }
}

/// Tells that what `enforcer` permitted has failed with the error `code`: `followed` if it is, or else whoever wants
/// only failures.
pub(crate) fn failed(
    enforcer: &Enforcer,
    followed: Option<&Arc<Followed>>,
    attempt: &Attempt<'_>,
    code: &str,
) {
    failed_saying(enforcer, followed, attempt, (code, None));
}

/// The same, with the words for it where there are better ones than what the code says to everybody.
pub(crate) fn failed_saying(
    enforcer: &Enforcer,
    followed: Option<&Arc<Followed>>,
    attempt: &Attempt<'_>,
    (code, said): (&str, Option<String>),
) {
    let name = || enforcer.name_of(attempt);
    if let Some(followed) = followed {
        if !followed.step(WAITING, RECORDED) {
            return;
        }
        followed.note_failure(code);
        if followed.destination.is_some() {
            return followed.record(Stage::Failed, |outcome| {
                outcome.error = Some(code.to_owned());
                outcome.said = said.clone();
                outcome.name = name();
            });
        }
    }
    enforcer.record_outcome(Stage::Failed, || {
        let destination = destination(attempt);
        let (unknown, what) = (DecisionId::default(), attempt.operation());
        let mut outcome = enforcer.outcome(unknown, what, &escape(&destination), Stage::Failed);
        outcome.error = Some(code.to_owned());
        outcome.said = said.clone();
        outcome.name = name();
        outcome
    });
}
