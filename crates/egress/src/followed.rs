//! The record of what was permitted, followed from its decision to its end (RSN-6).
//!
//! ```text
//! decision ── begin ── Waiting ─┬─ succeeded ── Open ── dropped, or the process stops ─▶ `ended`
//!                               ├─ failed ─────────────────────────────────────────────▶ `failed`
//!                               └─ dropped ────────────────────────────────────────────▶ `failed`, abandoned
//! ```
//!
//! Whoever holds a connection or an exchange holds its [`Followed`], counts in it what is carried, and notes why it
//! ends as soon as that is known: the first cause counts. Dropping it tells the end. Nothing is followed where no sink
//! wants outcomes; then only failures are told, to whom wants these.
//!
//! What is followed is known to the [egress](crate::egress), so that a process that stops can tell of what is still
//! open. There is as much of it as there are sockets, look-ups and exchanges, which have their quotas.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use outport_policy::Attempt;

use crate::audit::{ABANDONED, AuditOutcome, EndedBy, Stage, code_of, destination, escape, escaped, is_dial};
use crate::enforcer::{DecisionId, Enforcer};
use crate::process::UntilStopped;

/// One permitted attempt and what comes of it.
pub(crate) struct Followed {
    enforcer: Arc<Enforcer>,
    number: u64,
    decision: DecisionId,
    attempt: &'static str,
    destination: String,
    since: Instant,
    state: AtomicU8,
    cause: OnceLock<(EndedBy, Option<String>)>,
    /// The peer said that it will end it.
    peer_ends: AtomicBool,
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
        let recorder = &enforcer.process().recorder;
        if !recorder.follows_all() {
            return None;
        }
        let number = recorder.unfinished.next();
        let one = Arc::new(Self {
            enforcer: enforcer.clone(),
            number,
            decision,
            attempt: attempt.operation(),
            destination: escaped(destination(attempt)),
            since: Instant::now(),
            state: AtomicU8::new(WAITING),
            cause: OnceLock::new(),
            peer_ends: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        // Weak in the list: what is in it ends when its holder lets go.
        let unfinished: Arc<dyn UntilStopped> = one.clone();
        recorder.unfinished.insert(number, Arc::downgrade(&unfinished));
        Some(one)
    }

    /// Records success, and the status of an answer.
    pub(crate) fn succeeded(&self, status: Option<u16>) {
        if self.step(WAITING, OPEN) {
            self.record(Stage::Succeeded, |outcome| outcome.status = status);
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
    }

    /// So much came from the peer.
    pub(crate) fn count_received(&self, amount: usize) {
        self.received.fetch_add(amount as u64, Ordering::Relaxed);
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
                self.record(Stage::Failed, |outcome| {
                    outcome.error = error.clone().or_else(|| Some(ABANDONED.to_owned()));
                    outcome.ended_by = Some(cause);
                });
            }
            OPEN => {
                let (cause, error) = self.cause(otherwise);
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
            let mut outcome = self
                .enforcer
                .outcome(self.decision, self.attempt, &self.destination, stage);
            let elapsed = self.since.elapsed().as_millis();
            outcome.duration_ms = Some(u64::try_from(elapsed).unwrap_or(u64::MAX));
            complete(&mut outcome);
            outcome
        });
    }
}

impl UntilStopped for Followed {
    fn stopped(&self) {
        self.end(EndedBy::Host);
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.enforcer.process().recorder.unfinished.remove(self.number);
        // A connection that the host has made is the host's; all else is the guest's to end.
        let otherwise = if is_dial(self.attempt) {
            EndedBy::Host
        } else if self.enforcer.is_ending() {
            EndedBy::Instance
        } else {
            EndedBy::Guest
        };
        self.end(otherwise);
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
    let Some(followed) = followed else {
        return enforcer.record_outcome(Stage::Failed, || {
            let destination = destination(attempt);
            let (unknown, what) = (DecisionId::default(), attempt.operation());
            let mut outcome = enforcer.outcome(unknown, what, &escape(&destination), Stage::Failed);
            outcome.error = Some(code.to_owned());
            outcome.said = said.clone();
            outcome.name = name();
            outcome
        });
    };
    if followed.step(WAITING, RECORDED) {
        followed.record(Stage::Failed, |outcome| {
            outcome.error = Some(code.to_owned());
            outcome.said = said.clone();
            outcome.name = name();
        });
    }
}
