use std::num::NonZeroU32;

use futures::task::noop_waker;
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt, Empty};

use tracing::Span;

use super::*;
use crate::http::concurrency_limit::{Asker, ConcurrencyLimit};
use crate::limits::Reuse;

struct Clients(ConcurrencyLimit);

impl Clients {
    fn new() -> Self {
        Self(ConcurrencyLimit::new(200, 1))
    }

    async fn slot(&self) -> RequestSlot {
        let Ok(slot) = self.0.take(Asker::Call(0)).await else {
            panic!("there are enough places");
        };
        slot
    }

    async fn queued(&self) -> (Box<QueuedRequest>, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let queued = Box::new(QueuedRequest {
            request: Request::new(body),
            trace: traced(None),
            slot: self.slot().await,
            waiter: Waiter {
                reply,
                deadline: None,
            },
        });
        (queued, receiver)
    }

    /// One that has to be answered at a time.
    async fn job_due(&self, deadline: Instant) -> (Box<QueuedRequest>, oneshot::Receiver<Reply>) {
        let (mut queued, receiver) = self.queued().await;
        queued.waiter.deadline = Some(deadline);
        (queued, receiver)
    }

    async fn queue(&self, requests: u32, concurrency: u32) -> (Arc<InstanceQueue>, InFlight) {
        self.queue_with(requests, concurrency, Duration::from_secs(60))
            .await
    }

    async fn queue_with(
        &self,
        requests: u32,
        concurrency: u32,
        idle_timeout: Duration,
    ) -> (Arc<InstanceQueue>, InFlight) {
        let number = |number| NonZeroU32::new(number).expect("not none");
        let limits = GuestLimits {
            reuse: Reuse {
                requests: number(requests),
                concurrency: number(concurrency),
                idle_timeout,
            },
            ..GuestLimits::of_a_request()
        };
        let (first, _) = self.queued().await;
        let (queue, taken) = InstanceQueue::new(&limits, *first, Weak::new());
        assert!(queue.poll_over(&noop_waker()).is_pending());
        (queue, taken.in_flight)
    }
}

/// The place of a request that brought this context.
fn traced(parent: Option<&'static str>) -> RequestTrace {
    let parents = parent.map(|parent| (HeaderName::from_static("traceparent"), parent));
    let headers = parents.map(|(name, parent)| (name, HeaderValue::from_static(parent)));
    RequestTrace::begin(None, &headers.into_iter().collect(), Span::none)
}

const PARENT: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";

#[tokio::test]
async fn a_request_whose_trace_is_known_is_alone_in_its_instance() {
    let clients = Clients::new();
    // (of the one that is there, of the one that comes, whether it is taken)
    for (there, comes, taken) in [
        (None, None, true),
        (None, Some(PARENT), false),
        (Some(PARENT), None, false),
        (Some(PARENT), Some(PARENT), false),
        (Some("00-none"), Some("00-none"), true),
    ] {
        let offer = async |queue: &InstanceQueue, parent| {
            let (mut queued, _) = clients.queued().await;
            queued.trace = traced(parent);
            queue.offer(queued).is_ok()
        };
        // Whether the one that is there waits or runs, and whether it was the first.
        let (queue, first) = clients.queue(16, 16).await;
        drop(first);
        assert!(offer(&queue, there).await, "{there:?}");
        assert_eq!(offer(&queue, comes).await, taken, "{there:?} waits, {comes:?}");

        let (queue, first) = clients.queue(16, 16).await;
        drop(first);
        assert!(offer(&queue, there).await, "{there:?}");
        let running = queue.take().expect("it waits").in_flight;
        assert_eq!(offer(&queue, comes).await, taken, "{there:?} runs, {comes:?}");
        drop(running);
        let further = queue.take();
        assert_eq!(further.is_some(), taken);
        drop(further);
        assert!(offer(&queue, comes).await, "{there:?} has ended, {comes:?}");
    }
}

#[tokio::test]
async fn a_queue_takes_as_many_requests_as_it_may() {
    let clients = Clients::new();
    // (in all, at once, how many are taken while the first runs)
    for (requests, concurrency, taken) in [(1, 16, 0), (2, 16, 1), (16, 1, 0), (16, 2, 1), (3, 5, 2)] {
        let (queue, first) = clients.queue(requests, concurrency).await;
        let mut replies = Vec::new();
        loop {
            let (queued, reply) = clients.queued().await;
            match queue.offer(queued) {
                Ok(_) => replies.push(reply),
                Err(_) => break,
            }
        }
        assert_eq!(replies.len(), taken, "{requests}, {concurrency}");
        assert_eq!(queue.is_closed(), taken + 1 == requests as usize);
        drop(first);
    }
}

#[tokio::test]
async fn what_is_not_taken_comes_back_and_it_accepts_again_when_the_loop_turns() {
    let clients = Clients::new();
    let (queue, _first) = clients.queue(16, 16).await;
    let (queued, mut reply) = clients.queued().await;
    assert!(queue.offer(queued).is_ok());
    queue.return_untaken();
    assert!(matches!(reply.try_recv(), Ok(Reply::Untaken(..))));
    assert!(queue.offer(clients.queued().await.0).is_err(), "it is busy");
    assert!(queue.take().is_none());
    assert!(queue.offer(clients.queued().await.0).is_ok(), "it turned");
    let in_flight = queue.take().expect("it waits").in_flight;
    assert_eq!(in_flight.number(), 2);
    let (queued, mut reply) = clients.queued().await;
    assert!(queue.offer(queued).is_ok());
    queue.close();
    assert!(matches!(reply.try_recv(), Ok(Reply::Untaken(..))));
    assert!(queue.offer(clients.queued().await.0).is_err());
}

#[tokio::test]
async fn an_instance_is_over_when_all_that_it_is_at_is_overdue() {
    let clients = Clients::new();
    let (queue, first) = clients.queue(16, 16).await;
    drop(queue.take_waiter(first.number()));
    let due = Instant::now() + Duration::from_secs(60);
    let (queued, mut reply) = clients.job_due(due).await;
    assert!(queue.offer(queued).is_ok());
    let second = queue.take().expect("it waits").in_flight;
    assert_eq!(queue.give_up_overdue(due - Duration::from_millis(1)), 0);
    assert_eq!(queue.give_up_overdue(due), 1);
    assert!(matches!(reply.try_recv(), Ok(Reply::TooSlow)));
    assert!(queue.take_waiter(second.number()).is_none(), "nobody waits");
    assert!(queue.is_closed());
    assert!(queue.poll_over(&noop_waker()).is_pending(), "one was answered");
    drop(first);
    assert_eq!(queue.poll_over(&noop_waker()), Poll::Ready(End::Overdue));
    drop(second);
    assert!(!queue.stays());
}

// proves: ISO-5
#[tokio::test]
async fn the_time_for_an_answer_is_over_whoever_still_waits() {
    let clients = Clients::new();
    // (whether it is taken, whether its client stays)
    for (taken, stays) in [(true, true), (true, false), (false, true), (false, false)] {
        let (queue, first) = clients.queue(16, 16).await;
        let now = Instant::now();
        let next = queue.look(now).expect("it is new").expect("it has limits");
        assert!(next <= now + Duration::from_secs(60), "it looks again in time");
        let due = now + Duration::from_secs(30);
        let (queued, reply) = clients.job_due(due).await;
        let mut reply = Some(reply).filter(|_| stays);
        assert!(queue.offer(queued).is_ok());
        let in_flight = taken.then(|| queue.take().expect("it waits").in_flight);
        assert!(
            queue.look(now).is_ok_and(|next| next <= Some(due)),
            "{taken}, {stays}"
        );
        assert_eq!(queue.give_up_overdue(due), 1, "{taken}, {stays}");
        if let Some(reply) = &mut reply {
            assert!(matches!(reply.try_recv(), Ok(Reply::TooSlow)), "{taken}");
        }
        assert!(queue.offer(clients.queued().await.0).is_err());
        drop((in_flight, first));
    }
}

// proves: ISO-8
#[tokio::test]
async fn a_turn_that_outlives_its_instance_is_cut_off() {
    let clients = Clients::new();
    let (queue, first) = clients.queue(16, 16).await;
    assert!(!first.is_cut_off());
    queue.close();
    assert!(first.is_cut_off());
}

#[tokio::test]
async fn an_idle_instance_holds_no_place_and_ends_in_time() {
    let clients = Clients::new();
    let (queue, first) = clients.queue(16, 16).await;
    assert!(queue.stays(), "the answer is under way");
    drop(first);
    assert!(queue.stays(), "it is idle");
    clients.0.quiet().await;
    let now = Instant::now();
    assert!(
        queue
            .look(now)
            .is_ok_and(|next| next.is_some_and(|next| next > now))
    );
    assert_eq!(queue.look(now + Duration::from_secs(60)), Err(End::Idle));
    assert!(queue.offer(clients.queued().await.0).is_ok());
    assert!(
        queue.look(now + Duration::from_secs(60)).is_ok(),
        "it is not idle"
    );
    assert_eq!(queue.look(now + Duration::from_secs(1201)), Err(End::TooOld));
}

#[tokio::test]
async fn an_instance_that_was_idle_for_its_time_takes_no_more_even_before_its_clock_looks() {
    let clients = Clients::new();
    let (queue, first) = clients.queue_with(16, 16, Duration::from_millis(20)).await;
    drop(first);
    assert!(queue.stays(), "it is idle");
    std::thread::sleep(Duration::from_millis(20));
    assert!(queue.offer(clients.queued().await.0).is_err());
    assert!(queue.is_closed());
    assert_eq!(queue.look(Instant::now()), Err(End::Idle));
}
