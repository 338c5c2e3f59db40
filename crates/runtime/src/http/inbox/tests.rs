use std::num::NonZeroU32;

use futures::task::noop_waker;
use http_body_util::{BodyExt, Empty};

use super::*;
use crate::http::places::{Asker, Places};
use crate::limits::Reuse;

struct Visitors(Places);

impl Visitors {
    fn new() -> Visitors {
        Visitors(Places::new(200, 1))
    }

    async fn place(&self) -> Place {
        let Ok(place) = self.0.take(Asker::Call(0)).await else {
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
            waiter: Waiter {
                reply,
                deadline: None,
            },
        });
        (job, receiver)
    }

    /// One that has to be answered at a time.
    async fn job_due(&self, deadline: Instant) -> (Box<Job>, oneshot::Receiver<Reply>) {
        let (mut job, receiver) = self.job().await;
        job.waiter.deadline = Some(deadline);
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
        let (first, _) = self.job().await;
        let (inbox, turn) = Inbox::new(&limits, first.place, first.waiter, Weak::new());
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
    let turn = inbox.take().expect("it waits").1;
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
    drop(inbox.take_waiter(first.number()));
    let due = Instant::now() + Duration::from_secs(60);
    let (job, mut reply) = visitors.job_due(due).await;
    assert!(inbox.offer(job).is_ok());
    let second = inbox.take().expect("it waits").1;
    assert_eq!(inbox.give_up_overdue(due - Duration::from_millis(1)), 0);
    assert_eq!(inbox.give_up_overdue(due), 1);
    assert!(matches!(reply.try_recv(), Ok(Reply::TooSlow)));
    assert!(inbox.take_waiter(second.number()).is_none(), "nobody waits");
    assert!(inbox.is_closed());
    assert!(inbox.poll_over(&noop_waker()).is_pending(), "one was answered");
    drop(first);
    assert_eq!(inbox.poll_over(&noop_waker()), Poll::Ready(End::Overdue));
    drop(second);
    assert!(!inbox.stays());
}

// proves: ISO-5
#[tokio::test]
async fn the_time_for_an_answer_is_over_whoever_still_waits() {
    let visitors = Visitors::new();
    // (whether it is taken, whether its visitor stays)
    for (taken, stays) in [(true, true), (true, false), (false, true), (false, false)] {
        let (inbox, first) = visitors.inbox(16, 16).await;
        let now = Instant::now();
        let next = inbox.look(now).expect("it is new").expect("it has limits");
        assert!(next <= now + Duration::from_secs(60), "it looks again in time");
        let due = now + Duration::from_secs(30);
        let (job, reply) = visitors.job_due(due).await;
        let mut reply = Some(reply).filter(|_| stays);
        assert!(inbox.offer(job).is_ok());
        let turn = taken.then(|| inbox.take().expect("it waits").1);
        assert!(
            inbox.look(now).is_ok_and(|next| next <= Some(due)),
            "{taken}, {stays}"
        );
        assert_eq!(inbox.give_up_overdue(due), 1, "{taken}, {stays}");
        if let Some(reply) = &mut reply {
            assert!(matches!(reply.try_recv(), Ok(Reply::TooSlow)), "{taken}");
        }
        assert!(inbox.offer(visitors.job().await.0).is_err());
        drop((turn, first));
    }
}

// proves: ISO-8
#[tokio::test]
async fn a_turn_that_outlives_its_instance_is_cut_off() {
    let visitors = Visitors::new();
    let (inbox, first) = visitors.inbox(16, 16).await;
    assert!(!first.is_cut_off());
    inbox.close();
    assert!(first.is_cut_off());
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
