//! The state that an instance which answers several requests shares with them: the requests that it was given and has
//! not taken, those that it is at, and whether it takes further ones.
//!
//! ```text
//!            offer                take                       the body of the answer ends
//! request ──────────▶ waiting ──────────▶ running (`InFlight`) ─────────────────────────────▶ done
//!    ▲                   │                   │
//!    └── return_untaken ─┘                   └─ overdue: no answer came in time
//! ```
//!
//! A request is offered to an instance on the same thread, which takes it when its event loop turns. While a guest
//! computes, or waits in a call that holds its whole instance, the loop does not turn: what was given to it meanwhile
//! is returned, for another instance, and none is offered until it turns again.
//!
//! A request that is [alone](RequestTrace::is_alone) is offered to an instance that is at no other, and none beside it.
//!
//! No request is offered to an instance that has been given as many as it may, is at as many as it may, has lived for
//! half of its time, has used half of its memory or processor time, or has let a request become overdue. One whose
//! requests are all overdue is over: it ends at once. The time of a request is kept here, not by whoever waits for the
//! answer, who may have left.
//!
//! A body that is under way when the instance ends is [cut off](InFlight::is_cut_off): its writer is gone, which alone
//! would look like its end.

mod state;

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

use self::state::{Accepting, Idle, Running, State};
use super::concurrency_limit::RequestSlot;
use super::request_trace::{RequestTrace, TraceStay};
use super::response_body::ResponseBody;
use crate::account::Account;
use crate::limits::GuestLimits;

/// The queue of one instance.
pub(super) struct InstanceQueue {
    depth: u32,
    requests: u32,
    concurrency: usize,
    idle: Duration,
    max_time: Option<Duration>,
    response_timeout: Option<Duration>,
    account: Weak<Account>,
    state: Mutex<State>,
}

/// A request on its way to an instance.
pub(super) struct QueuedRequest {
    pub(super) request: Request<WasiBody>,
    pub(super) trace: RequestTrace,
    pub(super) slot: RequestSlot,
    pub(super) waiter: Waiter,
}

/// A request that an instance is at.
pub(super) struct Taken {
    pub(super) request: Request<WasiBody>,
    pub(super) trace: RequestTrace,
    pub(super) in_flight: InFlight,
}

/// The request that waits for an answer, and until when.
pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<Reply>,
    pub(super) deadline: Option<Instant>,
}

/// The reply to a request. Where there is none its instance ended.
pub(super) enum Reply {
    /// The guest's answer.
    Answer(Response<ResponseBody>),
    /// The instance could not take it.
    Untaken(Request<WasiBody>, RequestSlot),
    /// No answer came in time.
    TooSlow,
}

/// One request in flight: from when it was taken to the end of its answer's body.
pub(super) struct InFlight {
    queue: Arc<InstanceQueue>,
    number: u32,
    slot: Option<RequestSlot>,
    stay: TraceStay,
}

/// The reason why an instance ends that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing that it is at can be answered in time any more.
    Overdue,
    /// The instance lived for as long as it may.
    TooOld,
    /// The instance had nothing to do for as long as it may.
    Idle,
}

impl InstanceQueue {
    /// The queue of a new instance, which answers `first`: it is at it from the beginning.
    pub(super) fn new(
        limits: &GuestLimits,
        first: QueuedRequest,
        account: Weak<Account>,
    ) -> (Arc<Self>, Taken) {
        let QueuedRequest {
            request,
            trace,
            slot,
            waiter,
        } = first;
        let now = Instant::now();
        let requests = limits.reuse.requests.get();
        let state = State {
            waiting: VecDeque::new(),
            running: vec![Running::of(FIRST, waiter, &trace)],
            given: 1,
            last_given: now,
            accepting: if requests > 1 {
                Accepting::Yes
            } else {
                Accepting::Never
            },
            closing: limits.max_time.and_then(|max_time| now.checked_add(max_time / 2)),
            held: None,
            idle: None,
            at_rest: false,
            gone: false,
            waker: None,
        };
        let queue = Arc::new(Self {
            depth: slot.depth(),
            requests,
            concurrency: limits.reuse.concurrency.get() as usize,
            idle: limits.reuse.idle_timeout,
            max_time: limits.max_time,
            response_timeout: limits.response_timeout,
            account,
            state: Mutex::new(state),
        });
        let in_flight = InFlight::of(&queue, FIRST, slot);
        let taken = Taken {
            request,
            trace,
            in_flight,
        };
        (queue, taken)
    }

    /// The number of calls that led to each of its requests. What the instance calls is one deeper, so all have to be
    /// the same.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// True if no request will ever be offered again.
    pub(super) fn is_closed(&self) -> bool {
        self.state().accepting == Accepting::Never
    }

    /// Gives it a request, or the request back.
    pub(super) fn offer(&self, queued: Box<QueuedRequest>) -> Result<(), Box<QueuedRequest>> {
        let now = Instant::now();
        let mut state = self.state();
        // Its clock may not have looked yet.
        let overslept = state
            .idle
            .as_ref()
            .is_some_and(|idle| now.saturating_duration_since(idle.since) >= self.idle);
        if overslept || state.closing.is_some_and(|closing| now >= closing) {
            state.accepting = Accepting::Never;
        }
        if state.accepting != Accepting::Yes
            || state.running.len() + state.waiting.len() >= self.concurrency
            || !state.shares_with(&queued.trace)
        {
            return Err(queued);
        }
        let number = state.given;
        state.given += 1;
        if state.given >= self.requests {
            state.accepting = Accepting::Never;
        }
        state.last_given = now;
        state.at_rest = false;
        state.waiting.push_back((number, queued));
        // The request has a slot, so the instance needs none of its own.
        let (held, idle) = (state.held.take(), state.idle.take());
        let waker = state.waker.clone();
        drop(state);
        // Out of the lock: whoever waits for a slot is woken by this.
        drop((held, idle));
        wake(waker);
        Ok(())
    }

    /// The request that the event loop takes up next. Whoever asks shows that the loop turns.
    pub(super) fn take(self: &Arc<Self>) -> Option<Taken> {
        let mut state = self.state();
        if state.accepting == Accepting::No {
            state.accepting = Accepting::Yes;
        }
        state.at_rest = false;
        let (number, queued) = state.waiting.pop_front()?;
        let QueuedRequest {
            request,
            trace,
            slot,
            waiter,
        } = *queued;
        state.running.push(Running::of(number, waiter, &trace));
        let in_flight = InFlight::of(self, number, slot);
        Some(Taken {
            request,
            trace,
            in_flight,
        })
    }

    /// The one that waits for the answer to a request, if it comes in time.
    pub(super) fn take_waiter(&self, number: u32) -> Option<oneshot::Sender<Reply>> {
        let mut state = self.state();
        let running = state
            .running
            .iter_mut()
            .find(|running| running.number == number)?;
        running.waiter.take().map(|waiter| waiter.reply)
    }

    /// Returns what was not taken when the event loop should have turned.
    pub(super) fn return_untaken(&self) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return;
        }
        let untaken = mem::take(&mut state.waiting);
        if state.accepting == Accepting::Yes {
            state.accepting = Accepting::No;
        }
        drop(state);
        send_back(untaken);
    }

    /// No further requests; those at work go on.
    pub(super) fn stop_accepting(&self) {
        self.state().accepting = Accepting::Never;
    }

    /// Gives up the requests whose time for an answer is over, and says how many they are. Their guest cannot be
    /// stopped for one of them alone.
    pub(super) fn give_up_overdue(&self, now: Instant) -> usize {
        let mut state = self.state();
        let mut late: Vec<_> = state
            .running
            .iter_mut()
            .filter_map(|running| {
                let waiter = running.waiter.take_if(|waiter| waiter.is_over(now))?;
                running.overdue = true;
                Some(waiter)
            })
            .collect();
        let untaken: VecDeque<_>;
        (untaken, state.waiting) = mem::take(&mut state.waiting)
            .into_iter()
            .partition(|(_, queued)| queued.waiter.is_over(now));
        let mut slots = Vec::new();
        for (_, queued) in untaken {
            late.push(queued.waiter);
            slots.push(queued.slot);
        }
        if late.is_empty() {
            return 0;
        }
        // A guest that is too slow for one request may be so for all.
        state.accepting = Accepting::Never;
        if let Some(slot) = slots.pop() {
            // It may have been what the instance held a slot by.
            state.held = Some(slot);
        }
        let waker = state.waker.clone();
        drop(state);
        drop(slots);
        wake(waker);
        let number = late.len();
        for waiter in late {
            // A client who has left is not waiting.
            let _ = waiter.reply.send(Reply::TooSlow);
        }
        number
    }

    /// With nothing left to do: whether the instance stays, for a further request or for the end of an answer's body.
    pub(super) fn stays(&self) -> bool {
        let mut state = self.state();
        if !state.running.is_empty() || !state.waiting.is_empty() || state.idle.is_some() {
            state.at_rest = state.waiting.is_empty();
            return true;
        }
        let slot = state.held.take();
        self.become_idle(&mut state, slot);
        state.idle.is_some()
    }

    /// Exchanges the place of the last request. Without another one it accepts no more, and the slot is kept to the
    /// end.
    fn become_idle(&self, state: &mut State, slot: Option<RequestSlot>) {
        if state.accepting == Accepting::Never || self.idle.is_zero() {
            state.accepting = Accepting::Never;
            state.held = slot;
            return;
        }
        match slot.map(RequestSlot::into_idle) {
            Some(Ok(slot)) => {
                state.idle = Some(Idle {
                    since: Instant::now(),
                    _place: slot,
                });
            }
            Some(Err(slot)) => {
                state.held = Some(slot);
                state.accepting = Accepting::Never;
            }
            None => state.accepting = Accepting::Never,
        }
    }

    /// The end of the instance, once all that it is at is overdue. From then on `waker` is told of whatever may make it
    /// end or go on, but for the time, which is for [`look`](InstanceQueue::look).
    pub(super) fn poll_over(&self, waker: &Waker) -> Poll<End> {
        let mut state = self.state();
        match &mut state.waker {
            // Nearly always the same one, which this keeps as it is.
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        if state.is_overdue() {
            Poll::Ready(End::Overdue)
        } else {
            Poll::Pending
        }
    }

    /// The end of the instance if it has to end by now, or the time to look again.
    pub(super) fn look(&self, now: Instant) -> Result<Option<Instant>, End> {
        let state = self.state();
        // Not from its birth: each request has all of the time.
        let old = self
            .max_time
            .and_then(|max_time| state.last_given.checked_add(max_time));
        if old.is_some_and(|old| now >= old) {
            return Err(End::TooOld);
        }
        let idle = match &state.idle {
            Some(idle) => idle.since.checked_add(self.idle),
            // Idle from now on at the earliest.
            None if state.accepting == Accepting::Never => None,
            None => now.checked_add(self.idle),
        };
        if state.idle.is_some() && idle.is_some_and(|idle| now >= idle) {
            return Err(End::Idle);
        }
        // A request that comes in after this look is looked at in time, too.
        let latest = self.response_timeout.and_then(|timeout| now.checked_add(timeout));
        let due = state.deadlines().chain(latest).min();
        Ok(old.into_iter().chain(idle).chain(due).min())
    }

    /// The instance has ended. What it has not taken goes elsewhere.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.accepting = Accepting::Never;
        state.gone = true;
        let untaken = mem::take(&mut state.waiting);
        let (held, idle) = (state.held.take(), state.idle.take());
        state.waker = None;
        drop(state);
        drop((held, idle));
        send_back(untaken);
    }

    fn finish(&self, number: u32, slot: Option<RequestSlot>) {
        let mut state = self.state();
        state.running.retain(|running| running.number != number);
        if !state.running.is_empty() {
            let waker = state.waker.clone().filter(|_| state.is_overdue());
            drop(state);
            wake(waker);
            return;
        }
        // The waker is gone once the instance is.
        let waker = state.waker.clone();
        if waker.is_some() && state.waiting.is_empty() {
            if state.at_rest {
                // The clock looks in time, so there is nothing to wake it for.
                self.become_idle(&mut state, slot)
            } else {
                state.held = slot
            }
        }
        let waker = waker.filter(|_| state.idle.is_none());
        drop(state);
        wake(waker);
    }

    /// The state, which is right between any two steps, whatever panicked elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Waiter {
    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }
}

impl InFlight {
    fn of(queue: &Arc<InstanceQueue>, number: u32, slot: RequestSlot) -> Self {
        Self {
            queue: Arc::clone(queue),
            number,
            slot: Some(slot),
            stay: TraceStay::default(),
        }
    }

    /// The time for which its instance is at its place in a trace.
    pub(super) fn stay(&self) -> &TraceStay {
        &self.stay
    }

    /// The number of the request.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The account of its instance, which is charged.
    pub(super) fn account(&self) -> &Weak<Account> {
        &self.queue.account
    }

    /// True if the instance ended before the turn did. A body that ends from then on is not whole.
    pub(super) fn is_cut_off(&self) -> bool {
        self.queue.state().gone
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Before another request may be given to the instance.
        self.stay.end();
        self.queue.finish(self.number, self.slot.take());
    }
}

fn send_back(untaken: VecDeque<(u32, Box<QueuedRequest>)>) {
    for (_, queued) in untaken {
        // A client who has left wants no other instance either.
        let _ = queued
            .waiter
            .reply
            .send(Reply::Untaken(queued.request, queued.slot));
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The number of an instance's first request.
const FIRST: u32 = 0;

#[cfg(test)]
mod tests;
