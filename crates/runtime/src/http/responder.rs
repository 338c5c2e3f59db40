//! A component that answers HTTP requests: of WASI 0.2 with a fresh instance for each, of WASI 0.3 with instances that
//! answer several.
//!
//! Each instance runs in a task of its own, so that it can go on after the head of a response: to stream the body, and
//! to finish what it began when the visitor hangs up. The task ends with the instance; its limits see to it that it
//! does. All of them are kept by that task, the time to the head of the response among them, so that they hold
//! whether or not somebody still waits.
//!
//! A request of 0.3 goes to an instance on the [`Roster`], if one takes it, else to a fresh one. An instance may return
//! it untaken; then it goes to a fresh one, which does not return it. Either way it keeps the place that it has, and its
//! time to the head of the response goes on.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings as p2;
use wasmtime_wasi_http::p3::bindings as p3;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

use super::holding_body::{Held, HoldingBody};
use super::inbox::{End, Inbox, Job, Reply, Waiter};
use super::places::Place;
use super::roster::Roster;
use super::shared_instance::{self, Ended, Taken};
use super::wanted_body::{Presence, Wants};
use crate::account::Account;
use crate::component::Entrance;
use crate::excerpt::Excerpt;
use crate::guest::Guest;
use crate::limits::GuestLimits;
use crate::mishaps::{Mishaps, Severity};
use crate::prepared::Prepared;
use crate::trap::Trap;

/// A component that is ready to answer requests. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Responder {
    prepared: Prepared,
    track: Track,
    mishaps: Arc<Mishaps>,
}

#[derive(Clone)]
enum Track {
    P2(p2::ProxyPre<Guest>),
    P3(Arc<Shared>),
}

struct Shared {
    handler: p3::ServicePre<Guest>,
    roster: Roster,
}

/// Why a component cannot answer requests.
#[derive(Debug, thiserror::Error)]
#[error(
    "component `{component}` answers no HTTP requests: it exports neither `wasi:http/incoming-handler` nor \
     `wasi:http/handler`, but {}", crate::component::list(.exports)
)]
#[non_exhaustive]
pub struct NotAResponder {
    /// The component.
    pub component: String,
    /// What it exports instead.
    pub exports: Vec<String>,
}

/// Why there is no response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoResponse {
    /// The guest ended without one; why is in the log.
    Ended,
    /// The guest took too long.
    TooSlow,
    /// All guests together have as much memory as they may have.
    NoMemory,
}

type Answer = Response<WasiBody>;

/// The body of a request, from a visitor or from another component.
pub(super) trait RequestBody: Body<Data = Bytes, Error: Into<Error>> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes, Error: Into<Error>> + Send + Unpin + 'static> RequestBody for B {}

impl Responder {
    /// Takes a component that exports a handler of WASI 0.2 or 0.3; of both, the one of 0.3.
    ///
    /// # Errors
    ///
    /// When it exports neither.
    pub fn new(prepared: Prepared) -> Result<Responder, NotAResponder> {
        let not_a_responder = |_| NotAResponder {
            component: prepared.name().to_owned(),
            exports: prepared.exports().collect(),
        };
        let instance = prepared.instance().clone();
        let track = if prepared.has(Entrance::HttpP3) {
            Track::P3(Arc::new(Shared {
                handler: p3::ServicePre::new(instance).map_err(not_a_responder)?,
                roster: Roster::default(),
            }))
        } else {
            Track::P2(p2::ProxyPre::new(instance).map_err(not_a_responder)?)
        };
        let mishaps = Arc::new(Mishaps::of(prepared.name()));
        Ok(Responder {
            prepared,
            track,
            mishaps,
        })
    }

    /// The component.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Answers a request, of a client who is there for as long as the `presence` lasts. Its instance holds `place` until it is
    /// done with it.
    pub(super) async fn respond<B: RequestBody>(
        &self,
        request: Request<B>,
        presence: Option<&Presence>,
        place: Place,
    ) -> Result<Answer, NoResponse> {
        let wants = Wants::of(&request);
        let (answer, account) = match &self.track {
            Track::P2(handler) => {
                let account = self.prepared.admit().ok_or(NoResponse::NoMemory)?;
                let writer = Arc::downgrade(&account);
                let answer = self.respond_alone(handler, request, place, account).await?;
                (answer, writer)
            }
            Track::P3(shared) => {
                let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                self.respond_shared(shared, request, place).await?
            }
        };
        Ok(wants.apply(answer, presence, self.prepared.limits().living, account))
    }

    async fn respond_alone<B: RequestBody>(
        &self,
        handler: &p2::ProxyPre<Guest>,
        request: Request<B>,
        place: Place,
        account: Arc<Account>,
    ) -> Result<Answer, NoResponse> {
        let began = Instant::now();
        let (sender, answer) = oneshot::channel();
        let (responder, handler) = (self.clone(), handler.clone());
        tokio::spawn(async move {
            let held = Arc::new(Held { account, place });
            responder.live_alone(&handler, request, held, sender).await;
        });
        // The instance's task ends it when its time is over; then there is no answer either.
        let limit = self.prepared.limits().answering;
        answer.await.map_err(|_| match limit {
            Some(limit) if began.elapsed() >= limit => NoResponse::TooSlow,
            _ => NoResponse::Ended,
        })
    }

    /// The whole life of an instance that answers one request.
    async fn live_alone<B: RequestBody>(
        &self,
        handler: &p2::ProxyPre<Guest>,
        request: Request<B>,
        held: Arc<Held>,
        sender: oneshot::Sender<Answer>,
    ) {
        let answered = Arc::new(AtomicBool::new(false));
        let answering = Answering {
            sender,
            answered: Arc::clone(&answered),
            refused: self.refused(),
            held: Arc::clone(&held),
        };
        let account = &held.account;
        let store = self.prepared.store_at(held.place.depth(), account);
        // What is large stays where it is.
        let run = pin!(run_p2(handler, answering, store, request));
        let run = self.prepared.engine().interrupting(account, run);
        match in_time(self.prepared.limits(), &answered, run).await {
            Ok(ended) => self.tell_trap(ended),
            Err(Late::NoAnswer) => self.refused().tell_too_slow(),
            Err(Late::TooOld) => self.tell_too_old(),
        }
    }

    async fn respond_shared(
        &self,
        shared: &Arc<Shared>,
        mut request: Request<WasiBody>,
        mut place: Place,
    ) -> Result<(Answer, Weak<Account>), NoResponse> {
        let limit = self.prepared.limits().answering;
        let deadline = limit.and_then(|limit| std::time::Instant::now().checked_add(limit));
        let (reply, mut answer) = oneshot::channel();
        let job = Box::new(Job {
            request,
            place,
            waiter: Waiter { reply, deadline },
        });
        match shared.roster.offer(job) {
            Ok(()) => {}
            Err(job) => self.launch(shared, *job)?,
        }
        loop {
            (request, place) = match answer.await {
                Ok(Reply::Answer(answer)) => {
                    let (head, body) = answer.into_parts();
                    let account = body.account();
                    let body = body.gather().await.boxed_unsync();
                    return Ok((Response::from_parts(head, body), account));
                }
                Ok(Reply::Untaken(request, place)) => (request, place),
                Ok(Reply::TooSlow) => return Err(NoResponse::TooSlow),
                Err(_) => return Err(NoResponse::Ended),
            };
            let reply;
            (reply, answer) = oneshot::channel();
            let job = Job {
                request,
                place,
                waiter: Waiter { reply, deadline },
            };
            self.launch(shared, job)?;
        }
    }

    /// Gives a request to a fresh instance, which takes it in any case, if there is memory for one.
    fn launch(&self, shared: &Arc<Shared>, job: Job) -> Result<(), NoResponse> {
        let account = self.prepared.admit().ok_or(NoResponse::NoMemory)?;
        let Job {
            request,
            place,
            waiter,
        } = job;
        let (inbox, turn) = Inbox::new(self.prepared.limits(), place, waiter, Arc::downgrade(&account));
        let first = Taken { request, turn };
        shared.roster.enter(&inbox);
        let (responder, shared) = (self.clone(), Arc::clone(shared));
        tokio::spawn(async move { responder.live_shared(&shared, &inbox, first, &account).await });
        Ok(())
    }

    /// The whole life of an instance that answers several requests.
    async fn live_shared(&self, shared: &Shared, inbox: &Arc<Inbox>, first: Taken, account: &Arc<Account>) {
        let refused = self.refused();
        let store = self.prepared.store_at(inbox.depth(), account);
        let ended =
            shared_instance::live(&self.prepared, store, &shared.handler, &refused, inbox, first).await;
        shared.roster.leave(inbox);
        match ended {
            Ended::ByItself(ended) => self.tell_trap(ended),
            Ended::For(End::TooOld) => self.tell_too_old(),
            // The first was told when the time of each request was over.
            Ended::For(End::Overdue | End::Idle) => {}
        }
    }

    fn tell_too_old(&self) {
        let (component, limit) = (self.prepared.name(), self.prepared.limits().living);
        let limit = limit.unwrap_or_default().as_secs_f32();
        let what = format!("component `{component}` was ended after {limit} s");
        self.mishaps.add(Severity::Warning, what);
    }

    fn tell_trap(&self, ended: wasmtime::Result<()>) {
        if let Err(error) = ended {
            let trap = Trap::of(&error, self.prepared.name(), self.export());
            let told = match tracing::enabled!(tracing::Level::DEBUG) {
                true => format!("{trap:#}"),
                false => trap.to_string(),
            };
            self.mishaps.add(Severity::Error, told);
        }
    }

    /// A guest may answer with an error instead of a response, and with any text in it. This tells which.
    fn refused(&self) -> Refused {
        Refused {
            component: self.prepared.clone(),
            mishaps: Arc::clone(&self.mishaps),
        }
    }

    /// What goes wrong with its instances.
    pub(super) fn mishaps(&self) -> &Arc<Mishaps> {
        &self.mishaps
    }

    /// Tells what went wrong so often that it was only counted so far.
    pub(super) fn sum_up(&self) {
        self.mishaps.sum_up();
    }

    fn export(&self) -> &'static str {
        match self.track {
            Track::P2(_) => "wasi:http/incoming-handler",
            Track::P3(_) => "wasi:http/handler",
        }
    }
}

/// Where it goes that a guest answered with an error, or not in time.
pub(super) struct Refused {
    component: Prepared,
    mishaps: Arc<Mishaps>,
}

impl Refused {
    pub(super) fn tell(&self, code: &dyn std::fmt::Debug) {
        let component = self.component.name();
        let code = Excerpt::of(format_args!("{code:?}"));
        let what = format!("component `{component}` answered with the error {code}");
        self.mishaps.add(Severity::Warning, what);
    }

    pub(super) fn tell_too_slow(&self) {
        let (component, limit) = (self.component.name(), self.component.limits().answering);
        let limit = limit.unwrap_or_default().as_secs_f32();
        let what = format!("component `{component}` gave no response within {limit} s");
        self.mishaps.add(Severity::Warning, what);
    }
}

/// What a guest of WASI 0.2 answers by.
struct Answering {
    sender: oneshot::Sender<Answer>,
    answered: Arc<AtomicBool>,
    refused: Refused,
    held: Arc<Held>,
}

/// Why an instance of WASI 0.2 was ended.
enum Late {
    NoAnswer,
    TooOld,
}

/// Runs an instance for as long as it may. What is dropped here takes the instance with it.
async fn in_time<T>(
    limits: &GuestLimits,
    answered: &AtomicBool,
    run: impl Future<Output = T>,
) -> Result<T, Late> {
    let mut run = pin!(run);
    let began = Instant::now();
    let answering = limits.answering;
    if let Some(limit) = answering.filter(|limit| limits.living.is_none_or(|living| *limit < living)) {
        match timeout(limit, &mut run).await {
            Ok(ended) => return Ok(ended),
            Err(_) if !answered.load(Ordering::Relaxed) => return Err(Late::NoAnswer),
            Err(_) => {}
        }
    }
    match limits.living.and_then(|living| began.checked_add(living)) {
        None => Ok(run.await),
        Some(end) => timeout_at(end, run).await.map_err(|_| Late::TooOld),
    }
}

async fn run_p2<B: RequestBody>(
    handler: &p2::ProxyPre<Guest>,
    answering: Answering,
    mut store: Store<Guest>,
    request: Request<B>,
) -> wasmtime::Result<()> {
    let handler = handler.instantiate_async(&mut store).await?;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(p2::http::types::Scheme::Http, request)?;
    let out = http.new_response_outparam_from_callback(move |answer| {
        answering.answered.store(true, Ordering::Relaxed);
        match answer {
            Ok(answer) => {
                let answer = answer.map(|body| HoldingBody::new(body, answering.held).boxed_unsync());
                // That nobody waits for it any more is the client's choice.
                drop(answering.sender.send(answer));
            }
            Err(code) => answering.refused.tell(&code),
        }
    })?;
    handler
        .wasi_http_incoming_handler()
        .call_handle(&mut store, request, out)
        .await
}
