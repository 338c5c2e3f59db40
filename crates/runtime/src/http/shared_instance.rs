//! The life of an instance of WASI 0.3, which answers several requests, one after the other and at the same time.
//!
//! ```text
//! task of the instance            each time that it is woken
//!   ├─ is all overdue?            ends it, whatever the guest is at
//!   ├─ run                        instantiate, then the event loop:
//!   │    └─ loop                    answer what runs ─ take what waits ─ nothing left: stay idle, or end
//!   ├─ what was not taken         goes back to who brought it
//!   └─ clock                      idle or alive for too long?
//! ```
//!
//! What happens outside of `run` happens even while a guest computes without pause, or waits in a call that holds its
//! whole instance: the event loop does not turn then.
//!
//! A trap ends the instance and all that it was at. Whoever waits for one of its answers gets none, bodies under way
//! break off, and what it had not taken goes elsewhere. The same instance never gets another request.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use outport_egress::GateView;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};
use wasmtime_wasi_http::{WasiHttpView, p3 as host_p3};

use super::instance_queue::{End, InstanceQueue, Reply, Taken};
use super::response_body::ResponseBody;
use super::response_parts::GuestErrorLog;
use crate::guest::Guest;
use crate::guest_pre::GuestPre;

/// The way in which an instance ended.
pub(super) enum Ended {
    /// Its guest had no more to do, or was stopped.
    ByItself(wasmtime::Result<()>),
    /// The instance was ended.
    For(End),
}

/// Makes an instance in `store` for `first`, and answers what comes in at `queue` too until the end.
pub(super) async fn live(
    guest: &GuestPre,
    mut store: Store<Guest>,
    handler: &ServicePre<Guest>,
    guest_errors: &GuestErrorLog,
    queue: &Arc<InstanceQueue>,
    first: Taken,
) -> Ended {
    // After the store is gone, so that its slot may go too, and before anybody reads on in what it answered.
    let _end = Closing(queue);
    let ending = store.data_mut().gate().ctx.ending();
    let account = Arc::clone(store.data().account());
    let run = pin!(run(store, handler, guest_errors, queue, first));
    let mut run = pin!(guest.engine().interrupting(&account, run));
    let mut clock = Clock::new(queue, guest_errors);
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(end) = queue.poll_over(cx.waker()) {
            return Poll::Ready(Ended::For(end));
        }
        if let Poll::Ready(ended) = run.as_mut().poll(cx) {
            return Poll::Ready(Ended::ByItself(ended));
        }
        queue.return_untaken();
        clock.poll(cx).map(Ended::For)
    })
    .await;
    if !matches!(ended, Ended::ByItself(Ok(())) | Ended::For(End::Idle)) {
        ending.stopped();
    }
    ended
}

/// Closes a queue when its instance is gone.
struct Closing<'a>(&'a InstanceQueue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn run(
    mut store: Store<Guest>,
    handler: &ServicePre<Guest>,
    guest_errors: &GuestErrorLog,
    queue: &Arc<InstanceQueue>,
    first: Taken,
) -> wasmtime::Result<()> {
    let service = handler.instantiate_async(&mut store).await?;
    store
        .run_concurrent(async |store| turn_event_loop(store, &service, guest_errors, queue, first).await)
        .await?
}

async fn turn_event_loop(
    store: &Accessor<Guest>,
    service: &Service,
    guest_errors: &GuestErrorLog,
    queue: &Arc<InstanceQueue>,
    first: Taken,
) -> wasmtime::Result<()> {
    let entry = *service.wasi_http_handler().func_handle().func();
    let mut running = FuturesUnordered::new();
    running.push(answer(store, service, guest_errors, queue, first));
    std::future::poll_fn(|cx| {
        loop {
            match running.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(()))) => continue,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            // A guest may refuse calls for a while. What it is given meanwhile goes elsewhere.
            if store.poll_ready_for_concurrent_call(entry, cx).is_ready()
                && let Some(taken) = queue.take()
            {
                running.push(answer(store, service, guest_errors, queue, taken));
                continue;
            }
            // Beside the requests, the guest may be at what it began with earlier ones.
            if !running.is_empty() || store.poll_no_interesting_tasks(cx).is_pending() {
                return Poll::Pending;
            }
            return if queue.stays() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(()))
            };
        }
    })
    .await
}

async fn answer(
    store: &Accessor<Guest>,
    service: &Service,
    guest_errors: &GuestErrorLog,
    queue: &InstanceQueue,
    Taken {
        request,
        trace,
        in_flight,
    }: Taken,
) -> wasmtime::Result<()> {
    let (request, sent) = store.with(|mut store| {
        let guest = store.data_mut();
        trace.enter(guest.gate().ctx, in_flight.stay());
        // The first has what the instance began with, of which its start has taken a part.
        if in_flight.number() > 0 {
            guest.budget().renew();
        }
        let (request, sent) = host_p3::Request::from_http(guest.http().hooks, request);
        (request, Box::pin(sent) as Pin<Box<dyn Future<Output = _> + Send>>)
    });
    match service.handle(store, request).await? {
        Ok(answer) => {
            let (answer, account) = store.with(|mut store| {
                let account = Arc::clone(store.data_mut().account());
                answer.into_http(&mut store, sent).map(|answer| (answer, account))
            })?;
            let half_used = account.is_half_used();
            if half_used {
                queue.stop_accepting();
            }
            // An answer that comes too late is of no use, and that nobody waits for it any more is the client's choice.
            if let Some(reply) = queue.take_waiter(in_flight.number()) {
                drop(reply.send(Reply::Answer(
                    answer.map(|body| ResponseBody::new(body, in_flight)),
                )));
            }
        }
        Err(code) => guest_errors.log(&code),
    }
    Ok(())
}

/// Looks at the time now and then: not for each request, which would cost a timer each.
struct Clock<'a> {
    queue: &'a InstanceQueue,
    guest_errors: &'a GuestErrorLog,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<'a> Clock<'a> {
    fn new(queue: &'a InstanceQueue, guest_errors: &'a GuestErrorLog) -> Self {
        let mut clock = Clock {
            queue,
            guest_errors,
            sleep: None,
        };
        clock.set(queue.look(std::time::Instant::now()).ok().flatten());
        clock
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while let Some(sleep) = &mut self.sleep {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = std::time::Instant::now();
            for _ in 0..self.queue.give_up_overdue(now) {
                self.guest_errors.log_too_slow();
            }
            match self.queue.look(now) {
                Ok(next) => self.set(next),
                Err(end) => return Poll::Ready(end),
            }
        }
        Poll::Pending
    }

    fn set(&mut self, next: Option<std::time::Instant>) {
        self.sleep = next.map(|next| Box::pin(sleep_until(Instant::from_std(next))));
    }
}
