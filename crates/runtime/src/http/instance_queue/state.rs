//! What an instance was given, what it is at, and whether it takes more.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use super::{QueuedRequest, Waiter};
use crate::http::concurrency_limit::{IdleSlot, RequestSlot};
use crate::http::request_trace::RequestTrace;

pub(super) struct State {
    pub(super) waiting: VecDeque<(u32, Box<QueuedRequest>)>,
    pub(super) running: Vec<Running>,
    /// Requests that it was given in its life.
    pub(super) given: u32,
    pub(super) last_given: Instant,
    pub(super) accepting: Accepting,
    /// No request is offered from then on.
    pub(super) closing: Option<Instant>,
    /// The place of the last request, until the instance is idle.
    pub(super) held: Option<RequestSlot>,
    pub(super) idle: Option<Idle>,
    /// True if the guest has nothing left to do but for the answers that are under way.
    pub(super) at_rest: bool,
    /// The instance has ended.
    pub(super) gone: bool,
    pub(super) waker: Option<Waker>,
}

pub(super) struct Running {
    pub(super) number: u32,
    /// None once the answer was given, or its time is over.
    pub(super) waiter: Option<Waiter>,
    pub(super) overdue: bool,
    /// True if no other request may be under way beside it.
    pub(super) is_alone: bool,
}

pub(super) struct Idle {
    pub(super) since: Instant,
    pub(super) _place: IdleSlot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepting {
    Yes,
    /// Not until the event loop turns again.
    No,
    Never,
}

impl State {
    /// The times when requests have to be answered that are not yet.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let running = self.running.iter().filter_map(|running| running.waiter.as_ref());
        let waiting = self.waiting.iter().map(|(_, queued)| &queued.waiter);
        running.chain(waiting).filter_map(|waiter| waiter.deadline)
    }

    /// True if a request may be under way beside those that are.
    pub(super) fn shares_with(&self, trace: &RequestTrace) -> bool {
        // One that is alone is the only one.
        let first = self.running.first().map(|running| running.is_alone);
        let first = first.or_else(|| self.waiting.front().map(|(_, queued)| queued.trace.is_alone()));
        first.is_none_or(|is_alone| !is_alone && !trace.is_alone())
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.waiting.is_empty()
            && !self.running.is_empty()
            && self.running.iter().all(|running| running.overdue)
    }
}

impl Running {
    pub(super) fn of(number: u32, waiter: Waiter, trace: &RequestTrace) -> Self {
        Self {
            number,
            waiter: Some(waiter),
            overdue: false,
            is_alone: trace.is_alone(),
        }
    }
}
