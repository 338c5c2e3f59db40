//! What an instance that answers several requests shares with them: the requests that it was given and has not taken,
//! those that it is at, and whether it takes further ones.
//!
//! ```text
//!            offer                take                       the body of the answer ends
//! request ──────────▶ waiting ──────────▶ running (`Turn`) ─────────────────────────────▶ done
//!    ▲                   │                   │
//!    └── return_untaken ─┘                   └─ overdue: nobody waits for it any more
//! ```
//!
//! A request is offered to an instance on the same thread, which takes it when its event loop turns. While a guest
//! computes, or waits in a call that holds its whole instance, the loop does not turn: what was given to it meanwhile is
//! returned, for another instance, and none is offered until it turns again.
//!
//! No request is offered to an instance that has been given as many as it may, is at as many as it may, has lived for
//! half of its time, has used half of its memory or processor time, or has let a request become overdue. One whose
//! requests are all overdue is over: it ends at once.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;

use super::last_turn::LastTurn;
use super::places::{IdlePlace, Place};
use crate::limits::GuestLimits;

/// The inbox of one instance.
pub(super) struct Inbox {
    depth: u32,
    requests: u32,
    at_once: usize,
    idle: Duration,
    living: Option<Duration>,
    state: Mutex<State>,
}

/// A request on its way to an instance.
pub(super) struct Job {
    pub(super) request: Request<WasiBody>,
    pub(super) place: Place,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What becomes of a request. That nothing does means that its instance ended.
pub(super) enum Reply {
    /// The guest's answer.
    Answer(Response<LastTurn>),
    /// The instance could not take it.
    Untaken(Request<WasiBody>, Place),
}

/// The turn of one request: from when it was taken to the end of its answer's body.
pub(super) struct Turn {
    inbox: Arc<Inbox>,
    number: u32,
    place: Option<Place>,
}

/// Why an instance ends that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody waits for anything that it is at.
    Overdue,
    /// It lived for as long as it may.
    TooOld,
    /// It had nothing to do for as long as it may.
    Idle,
}

struct State {
    waiting: VecDeque<(u32, Box<Job>)>,
    running: Vec<Running>,
    /// Requests that it was given in its life.
    given: u32,
    last_given: Instant,
    door: Door,
    /// No request is offered from then on.
    closing: Option<Instant>,
    /// The place of the last request, until the instance is idle.
    held: Option<Place>,
    idle: Option<Idle>,
    waker: Option<Waker>,
}

struct Running {
    number: u32,
    overdue: bool,
}

struct Idle {
    since: Instant,
    _place: IdlePlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// Until the event loop turns again.
    Busy,
    /// For good.
    Closed,
}

impl Inbox {
    /// The inbox of a new instance, which answers `first`: it is at it from the beginning.
    pub(super) fn new(limits: &GuestLimits, first: Place) -> (Arc<Inbox>, Turn) {
        let now = Instant::now();
        let requests = limits.reuse.requests.get();
        let state = State {
            waiting: VecDeque::new(),
            running: vec![Running::of(FIRST)],
            given: 1,
            last_given: now,
            door: if requests > 1 { Door::Open } else { Door::Closed },
            closing: limits.living.and_then(|living| now.checked_add(living / 2)),
            held: None,
            idle: None,
            waker: None,
        };
        let inbox = Arc::new(Inbox {
            depth: first.depth(),
            requests,
            at_once: limits.reuse.at_once.get() as usize,
            idle: limits.reuse.idle,
            living: limits.living,
            state: Mutex::new(state),
        });
        let turn = Turn {
            inbox: Arc::clone(&inbox),
            number: FIRST,
            place: Some(first),
        };
        (inbox, turn)
    }

    /// How many calls led to each of its requests. What the instance calls is one deeper, so all have to be the same.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether no request will ever be offered again.
    pub(super) fn is_closed(&self) -> bool {
        self.state().door == Door::Closed
    }

    /// Gives it a request, or the request back. Answers the request's number.
    pub(super) fn offer(&self, job: Box<Job>) -> Result<u32, Box<Job>> {
        let now = Instant::now();
        let mut state = self.state();
        if state.closing.is_some_and(|closing| now >= closing) {
            state.door = Door::Closed;
        }
        if state.door != Door::Open || state.running.len() + state.waiting.len() >= self.at_once {
            return Err(job);
        }
        let number = state.given;
        state.given += 1;
        if state.given >= self.requests {
            state.door = Door::Closed;
        }
        state.last_given = now;
        state.waiting.push_back((number, job));
        // The request has a place, so the instance needs none of its own.
        let (held, idle) = (state.held.take(), state.idle.take());
        let waker = state.waker.clone();
        drop(state);
        drop((held, idle));
        wake(waker);
        Ok(number)
    }

    /// What the event loop takes up next. Whoever asks shows that the loop turns.
    pub(super) fn take(self: &Arc<Inbox>) -> Option<(Request<WasiBody>, oneshot::Sender<Reply>, Turn)> {
        let mut state = self.state();
        if state.door == Door::Busy {
            state.door = Door::Open;
        }
        let (number, job) = state.waiting.pop_front()?;
        state.running.push(Running::of(number));
        let Job {
            request,
            place,
            reply,
        } = *job;
        let turn = Turn {
            inbox: Arc::clone(self),
            number,
            place: Some(place),
        };
        Some((request, reply, turn))
    }

    /// Returns what was not taken when the event loop should have turned.
    pub(super) fn return_untaken(&self) {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return;
        }
        let untaken = mem::take(&mut state.waiting);
        if state.door == Door::Open {
            state.door = Door::Busy;
        }
        drop(state);
        send_back(untaken);
    }

    /// No further requests; those at work go on.
    pub(super) fn close_door(&self) {
        self.state().door = Door::Closed;
    }

    /// The request is of no use to anybody any more. Its guest cannot be stopped alone.
    pub(super) fn overdue(&self, number: u32) {
        let mut state = self.state();
        state.door = Door::Closed;
        if let Some(running) = state.running.iter_mut().find(|running| running.number == number) {
            running.overdue = true;
        }
        let waiting = state.waiting.iter().position(|(waiting, _)| *waiting == number);
        if let Some((_, job)) = waiting.and_then(|at| state.waiting.remove(at)) {
            // It may have been what the instance held a place by.
            state.held = Some(job.place);
        }
        let waker = state.waker.clone();
        drop(state);
        wake(waker);
    }

    /// With nothing left to do: whether the instance stays, for a further request or for the end of an answer's body.
    pub(super) fn stays(&self) -> bool {
        let mut state = self.state();
        if !state.running.is_empty() || !state.waiting.is_empty() || state.idle.is_some() {
            return true;
        }
        if state.door == Door::Closed || self.idle.is_zero() {
            state.door = Door::Closed;
            return false;
        }
        state.idle = state.held.take().and_then(Place::into_idle).map(|place| Idle {
            since: Instant::now(),
            _place: place,
        });
        if state.idle.is_none() {
            state.door = Door::Closed;
        }
        state.idle.is_some()
    }

    /// Whether all that the instance is at is overdue. From then on `waker` is told of whatever may make it end or go
    /// on, but for the time, which is for [`look`](Inbox::look).
    pub(super) fn poll_over(&self, waker: &Waker) -> Poll<End> {
        let mut state = self.state();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        match state.is_overdue() {
            true => Poll::Ready(End::Overdue),
            false => Poll::Pending,
        }
    }

    /// Whether the instance has to end by now, or when to look again.
    pub(super) fn look(&self, now: Instant) -> Result<Option<Instant>, End> {
        let state = self.state();
        let old = self
            .living
            .and_then(|living| state.last_given.checked_add(living));
        if old.is_some_and(|old| now >= old) {
            return Err(End::TooOld);
        }
        let idle = match &state.idle {
            Some(idle) => idle.since.checked_add(self.idle),
            // Idle from now on at the earliest.
            None if state.door == Door::Closed => None,
            None => now.checked_add(self.idle),
        };
        if state.idle.is_some() && idle.is_some_and(|idle| now >= idle) {
            return Err(End::Idle);
        }
        Ok(old.into_iter().chain(idle).min())
    }

    /// The instance has ended. What it has not taken goes elsewhere.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.door = Door::Closed;
        let untaken = mem::take(&mut state.waiting);
        let (held, idle) = (state.held.take(), state.idle.take());
        state.waker = None;
        drop(state);
        drop((held, idle));
        send_back(untaken);
    }

    fn finish(&self, number: u32, place: Option<Place>) {
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
            state.held = place;
        }
        drop(state);
        wake(waker);
    }

    /// What is in here is right between any two steps, whatever panicked elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn is_overdue(&self) -> bool {
        self.waiting.is_empty()
            && !self.running.is_empty()
            && self.running.iter().all(|running| running.overdue)
    }
}

impl Running {
    fn of(number: u32) -> Running {
        Running {
            number,
            overdue: false,
        }
    }
}

impl Turn {
    /// The number of the request.
    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.inbox.finish(self.number, self.place.take());
    }
}

fn send_back(untaken: VecDeque<(u32, Box<Job>)>) {
    for (_, job) in untaken {
        // A visitor who has left wants no other instance either.
        let _ = job.reply.send(Reply::Untaken(job.request, job.place));
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
mod tests {
    use std::num::NonZeroU32;

    use futures::task::noop_waker;
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::http::places::Places;
    use crate::limits::Reuse;

    struct Visitors(Places);

    impl Visitors {
        fn new() -> Visitors {
            Visitors(Places::new(100))
        }

        async fn place(&self) -> Place {
            let Ok(place) = self.0.take(0).await else {
                panic!("there are enough places");
            };
            place
        }

        async fn job(&self) -> (Box<Job>, oneshot::Receiver<Reply>) {
            let (reply, receiver) = oneshot::channel();
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let job = Box::new(Job {
                request: Request::new(body),
                place: self.place().await,
                reply,
            });
            (job, receiver)
        }

        async fn inbox(&self, requests: u32, at_once: u32) -> (Arc<Inbox>, Turn) {
            let number = |number| NonZeroU32::new(number).expect("not none");
            let limits = GuestLimits {
                reuse: Reuse {
                    requests: number(requests),
                    at_once: number(at_once),
                    idle: Duration::from_secs(1),
                },
                ..GuestLimits::of_a_request()
            };
            let (inbox, turn) = Inbox::new(&limits, self.place().await);
            assert!(inbox.poll_over(&noop_waker()).is_pending());
            (inbox, turn)
        }
    }

    #[tokio::test]
    async fn an_inbox_takes_as_many_requests_as_it_may() {
        let visitors = Visitors::new();
        // (in all, at once, how many are taken while the first runs)
        for (requests, at_once, taken) in [(1, 16, 0), (2, 16, 1), (16, 1, 0), (16, 2, 1), (3, 5, 2)] {
            let (inbox, first) = visitors.inbox(requests, at_once).await;
            let mut replies = Vec::new();
            loop {
                let (job, reply) = visitors.job().await;
                match inbox.offer(job) {
                    Ok(_) => replies.push(reply),
                    Err(_) => break,
                }
            }
            assert_eq!(replies.len(), taken, "{requests}, {at_once}");
            assert_eq!(inbox.is_closed(), taken + 1 == requests as usize);
            drop(first);
        }
    }

    #[tokio::test]
    async fn what_is_not_taken_comes_back_and_the_door_opens_when_the_loop_turns() {
        let visitors = Visitors::new();
        let (inbox, _first) = visitors.inbox(16, 16).await;
        let (job, mut reply) = visitors.job().await;
        assert!(inbox.offer(job).is_ok());
        inbox.return_untaken();
        assert!(matches!(reply.try_recv(), Ok(Reply::Untaken(..))));
        assert!(inbox.offer(visitors.job().await.0).is_err(), "it is busy");
        assert!(inbox.take().is_none());
        assert!(inbox.offer(visitors.job().await.0).is_ok(), "it turned");
        let turn = inbox.take().expect("it waits").2;
        assert_eq!(turn.number(), 2);
        let (job, mut reply) = visitors.job().await;
        assert!(inbox.offer(job).is_ok());
        inbox.close();
        assert!(matches!(reply.try_recv(), Ok(Reply::Untaken(..))));
        assert!(inbox.offer(visitors.job().await.0).is_err());
    }

    #[tokio::test]
    async fn an_instance_is_over_when_all_that_it_is_at_is_overdue() {
        let visitors = Visitors::new();
        let (inbox, first) = visitors.inbox(16, 16).await;
        assert!(inbox.offer(visitors.job().await.0).is_ok());
        let second = inbox.take().expect("it waits").2;
        inbox.overdue(first.number());
        assert!(inbox.is_closed());
        assert!(inbox.poll_over(&noop_waker()).is_pending(), "one is not");
        drop(second);
        assert_eq!(inbox.poll_over(&noop_waker()), Poll::Ready(End::Overdue));
        drop(first);
        assert!(!inbox.stays());
    }

    #[tokio::test]
    async fn an_idle_instance_holds_no_place_and_ends_in_time() {
        let visitors = Visitors::new();
        let (inbox, first) = visitors.inbox(16, 16).await;
        assert!(inbox.stays(), "the answer is under way");
        drop(first);
        assert!(inbox.stays(), "it is idle");
        visitors.0.quiet().await;
        let now = Instant::now();
        assert!(
            inbox
                .look(now)
                .is_ok_and(|next| next.is_some_and(|next| next > now))
        );
        assert_eq!(inbox.look(now + Duration::from_secs(1)), Err(End::Idle));
        assert!(inbox.offer(visitors.job().await.0).is_ok());
        assert!(inbox.look(now + Duration::from_secs(1)).is_ok(), "it is not idle");
        assert_eq!(inbox.look(now + Duration::from_secs(601)), Err(End::TooOld));
    }
}
