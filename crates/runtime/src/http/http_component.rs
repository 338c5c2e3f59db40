//! A component that answers HTTP requests: of WASI 0.2, and of Spin's first interface, with a fresh instance for each, of
//! WASI 0.3 with instances that answer several. A command that answers by CGI has a fresh instance for each, too
//! ([`wagi`](super::wagi)).
//!
//! Each instance runs in a task of its own, so that it can go on after the head of a response: to stream the body, and
//! to finish what it began when the client hangs up. The task ends with the instance; its limits see to it that it
//! does. All of them are kept by that task, the time to the head of the response among them, so that they hold
//! whether or not somebody still waits.
//!
//! A request of 0.3 goes to an instance on the [`WarmInstances`], if one takes it, else to a fresh one. An instance may
//! return it untaken; then it goes to a fresh one, which does not return it. Either way it keeps the slot that it has,
//! and its time to the head of the response goes on.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::TryFutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body;
use outport_egress::GateView;
use outport_manifest::{PathRoute, WagiArguments};
use outport_policy::text;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Level;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings as p2;
use wasmtime_wasi_http::p3::bindings as p3;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView};

use super::client_body::log_broken;
use super::concurrency_limit::RequestSlot;
use super::holding_body::{Held, HoldingBody};
use super::inbound_http::{self, FirstTriggerPre, Outcome};
use super::instance_queue::{End, InstanceQueue, QueuedRequest, Reply, Taken, Waiter};
use super::request_trace::{RequestTrace, TraceStay};
use super::response_body::ResponseBody;
use super::route_labels::RouteLabels;
use super::shared_instance::{self, Ended};
use super::tls::tls_facts;
use super::wagi::WagiPre;
use super::wanted_body::{Presence, Wants};
use super::warm_instances::WarmInstances;
use crate::account::Account;
use crate::command::{self, NotACommand};
use crate::component::{Export, INBOUND_HTTP};
use crate::failure_log::FailureLog;
use crate::guest::Guest;
use crate::guest_pre::GuestPre;
use crate::instance_counts::InstanceEnd;
use crate::limits::GuestLimits;
use crate::trap::Trap;

/// A component that is ready to answer requests. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct HttpComponent {
    guest: GuestPre,
    pre: HandlerPre,
    failures: Arc<FailureLog>,
}

#[derive(Clone)]
enum HandlerPre {
    Alone(AlonePre),
    P3(Arc<P3Handler>),
}

/// A handler whose instances answer one request each.
#[derive(Clone)]
enum AlonePre {
    P2(p2::ProxyPre<Guest>),
    InboundHttp(FirstTriggerPre<Guest>),
    Wagi(Arc<WagiPre>),
}

struct P3Handler {
    handler: p3::ServicePre<Guest>,
    warm_instances: WarmInstances,
}

/// The reason why a component cannot answer requests.
#[derive(Debug, thiserror::Error)]
#[error(
    "component `{component}` answers no HTTP requests: it exports neither `wasi:http/incoming-handler` nor \
     `wasi:http/handler` nor `fermyon:spin/inbound-http`, but {}", crate::component::list(.exports)
)]
#[non_exhaustive]
pub struct NotAnHttpComponent {
    /// The component.
    pub component: String,
    /// The exports that it has instead.
    pub exports: Vec<String>,
}

impl NotAnHttpComponent {
    /// Advice on what to do about it in an app, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        let is_command = |export: &String| export.split('@').next() == Some(command::EXPORT);
        self.exports.iter().any(is_command).then_some(
            "it is a command: `executor = { type = \"wagi\" }` in the trigger runs it for each request",
        )
    }
}

/// The reason why there is no response.
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

/// The body of a request, from a client or from another component.
pub(super) trait RequestBody: Body<Data = Bytes, Error: Into<Error>> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes, Error: Into<Error>> + Send + Unpin + 'static> RequestBody for B {}

impl HttpComponent {
    /// Takes a component that exports a handler of WASI 0.3 or 0.2, or Spin's first; of several, the one that is named
    /// first here.
    ///
    /// # Errors
    ///
    /// When it exports none.
    pub fn new(guest: GuestPre) -> Result<Self, NotAnHttpComponent> {
        let not_an_http_component = |_| NotAnHttpComponent {
            component: guest.name().to_owned(),
            exports: guest.exports().collect(),
        };
        let instance = guest.instance().clone();
        let pre = if guest.has(Export::HttpP3) {
            HandlerPre::P3(Arc::new(P3Handler {
                handler: p3::ServicePre::new(instance).map_err(not_an_http_component)?,
                warm_instances: WarmInstances::default(),
            }))
        } else if guest.has(Export::InboundHttp) && !guest.has(Export::HttpP2) {
            let handler = FirstTriggerPre::new(instance).map_err(not_an_http_component)?;
            HandlerPre::Alone(AlonePre::InboundHttp(handler))
        } else {
            let handler = p2::ProxyPre::new(instance).map_err(not_an_http_component)?;
            HandlerPre::Alone(AlonePre::P2(handler))
        };
        Ok(Self::with(guest, pre))
    }

    /// Takes a command of WASI 0.2 or 0.3, to run it for each request with these `arguments` (`executor = { type =
    /// "wagi" }`).
    ///
    /// # Errors
    ///
    /// When it exports no `wasi:cli/run`.
    pub fn wagi(guest: GuestPre, arguments: WagiArguments) -> Result<Self, NotACommand> {
        let wagi = WagiPre::new(&guest, arguments)?;
        Ok(Self::with(
            guest,
            HandlerPre::Alone(AlonePre::Wagi(Arc::new(wagi))),
        ))
    }

    fn with(guest: GuestPre, pre: HandlerPre) -> Self {
        let failures = Arc::new(FailureLog::of(guest.name()));
        Self { guest, pre, failures }
    }

    /// The names of requests to it on this route, or by its own name.
    pub(super) fn labels(&self, route: Option<&PathRoute>) -> Arc<RouteLabels> {
        let route = route.map(PathRoute::as_str);
        RouteLabels::of(self.guest.egress(), Some(self.guest.id()), route)
    }

    /// The component.
    pub fn guest(&self) -> &GuestPre {
        &self.guest
    }

    /// Answers a request, of a client who is there for as long as the `presence` lasts. Its instance holds `slot` until
    /// it is done with it.
    pub(super) async fn respond<B: RequestBody>(
        &self,
        request: Request<B>,
        trace: RequestTrace,
        presence: Option<&Presence>,
        slot: RequestSlot,
    ) -> Result<Answer, NoResponse> {
        let wants = Wants::of(&request);
        let (answer, account) = match &self.pre {
            HandlerPre::Alone(handler) => {
                let account = self.guest.admit().ok_or(NoResponse::NoMemory)?;
                let writer = Arc::downgrade(&account);
                let answer = self.respond_alone(handler, request, trace, slot, account).await?;
                (answer, writer)
            }
            HandlerPre::P3(shared) => {
                let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                self.respond_shared(shared, request, trace, slot, wants).await?
            }
        };
        if let Some(error) = wants.failed_at_once(&answer) {
            log_broken(&self.failures, &error);
            return Err(NoResponse::Ended);
        }
        Ok(wants.apply(answer, presence, self.guest.limits().max_time, account))
    }

    async fn respond_alone<B: RequestBody>(
        &self,
        handler: &AlonePre,
        request: Request<B>,
        trace: RequestTrace,
        slot: RequestSlot,
        account: Arc<Account>,
    ) -> Result<Answer, NoResponse> {
        let began = Instant::now();
        let (sender, answer) = oneshot::channel();
        let (component, handler) = (self.clone(), handler.clone());
        tokio::spawn(async move {
            let stay = TraceStay::default();
            let held = Arc::new(Held { account, slot, stay });
            component.live_alone(&handler, request, trace, held, sender).await;
        });
        // The instance's task ends it when its time is over; then there is no answer either.
        let limit = self.guest.limits().response_timeout;
        answer.await.map_err(|_| match limit {
            Some(limit) if began.elapsed() >= limit => NoResponse::TooSlow,
            _ => NoResponse::Ended,
        })
    }

    /// The whole life of an instance that answers one request.
    async fn live_alone<B: RequestBody>(
        &self,
        handler: &AlonePre,
        request: Request<B>,
        trace: RequestTrace,
        held: Arc<Held>,
        sender: oneshot::Sender<Answer>,
    ) {
        let answered = Arc::new(AtomicBool::new(false));
        let parts = ResponseParts {
            sender,
            answered: Arc::clone(&answered),
            guest_errors: self.guest_errors(),
            held: Arc::clone(&held),
        };
        let account = &held.account;
        let live = self.guest.count_instance();
        let ended = match handler {
            AlonePre::P2(handler) => {
                let mut store = self.guest.store_at(held.slot.depth(), account);
                trace.enter(store.data_mut().gate().ctx, &held.stay);
                // What is large stays where it is.
                let run = run_p2(handler, parts, store, request);
                let run = pin!(run.map_ok(|()| InstanceEnd::Completed));
                let run = self.guest.engine().interrupting(account, run);
                in_time(self.guest.limits(), &answered, run).await
            }
            AlonePre::InboundHttp(handler) => {
                let mut store = self.guest.store_at(held.slot.depth(), account);
                trace.enter(store.data_mut().gate().ctx, &held.stay);
                let memory = self.guest.limits().memory;
                let run = pin!(async {
                    let outcome = inbound_http::answer(handler, store, request, memory).await;
                    outcome.map(|outcome| parts.take(outcome))?;
                    Ok(InstanceEnd::Completed)
                });
                let run = self.guest.engine().interrupting(account, run);
                in_time(self.guest.limits(), &answered, run).await
            }
            AlonePre::Wagi(wagi) => {
                let run = pin!(wagi.live(&self.guest, &self.failures, parts, request, trace, &held));
                in_time(self.guest.limits(), &answered, run).await
            }
        };
        live.ended(match &ended {
            Ok(Ok(end)) => *end,
            Ok(Err(error)) => InstanceEnd::by(error),
            Err(Late::NoAnswer) => InstanceEnd::ResponseTimeout,
            Err(Late::TooOld) => InstanceEnd::MaxTime,
        });
        match ended {
            Ok(ended) => self.log_trap(ended.map(drop)),
            Err(Late::NoAnswer) => self.guest_errors().log_too_slow(),
            Err(Late::TooOld) => self.log_too_old(),
        }
    }

    async fn respond_shared(
        &self,
        shared: &Arc<P3Handler>,
        mut request: Request<WasiBody>,
        trace: RequestTrace,
        mut slot: RequestSlot,
        wants: Wants,
    ) -> Result<(Answer, Weak<Account>), NoResponse> {
        let limit = self.guest.limits().response_timeout;
        // Once for all tries: going to another instance gives no more time.
        let deadline = limit.and_then(|limit| std::time::Instant::now().checked_add(limit));
        let (reply, mut answer) = oneshot::channel();
        let queued = Box::new(QueuedRequest {
            request,
            trace: trace.clone(),
            slot,
            waiter: Waiter { reply, deadline },
        });
        match shared.warm_instances.offer(queued) {
            Ok(()) => {}
            Err(queued) => self.launch(shared, *queued)?,
        }
        loop {
            (request, slot) = match answer.await {
                Ok(Reply::Answer(answer)) => {
                    let (head, body) = answer.into_parts();
                    let account = body.account();
                    let answer = Response::from_parts(head, body.gather().await);
                    // Its head has not left yet.
                    if wants.wanted(&answer) != Some(0)
                        && let Some(error) = answer.body().failed_at_once()
                    {
                        log_broken(&self.failures, error);
                        return Err(NoResponse::Ended);
                    }
                    return Ok((answer.map(ResponseBody::boxed_unsync), account));
                }
                Ok(Reply::Untaken(request, slot)) => (request, slot),
                Ok(Reply::TooSlow) => return Err(NoResponse::TooSlow),
                Err(_) => return Err(NoResponse::Ended),
            };
            let reply;
            (reply, answer) = oneshot::channel();
            let queued = QueuedRequest {
                request,
                trace: trace.clone(),
                slot,
                waiter: Waiter { reply, deadline },
            };
            self.launch(shared, queued)?;
        }
    }

    /// Gives a request to a fresh instance, which takes it in any case, if there is memory for one.
    fn launch(&self, shared: &Arc<P3Handler>, queued: QueuedRequest) -> Result<(), NoResponse> {
        let account = self.guest.admit().ok_or(NoResponse::NoMemory)?;
        let account_of_it = Arc::downgrade(&account);
        let (queue, first) = InstanceQueue::new(self.guest.limits(), queued, account_of_it);
        // Listed before it runs, so that requests that come in the meantime find it.
        shared.warm_instances.enter(&queue);
        let (component, shared) = (self.clone(), Arc::clone(shared));
        tokio::spawn(async move { component.live_shared(&shared, &queue, first, &account).await });
        Ok(())
    }

    /// The whole life of an instance that answers several requests.
    async fn live_shared(
        &self,
        shared: &P3Handler,
        queue: &Arc<InstanceQueue>,
        first: Taken,
        account: &Arc<Account>,
    ) {
        let guest_errors = self.guest_errors();
        let live = self.guest.count_instance();
        let store = self.guest.store_at(queue.depth(), account);
        let ended =
            shared_instance::live(&self.guest, store, &shared.handler, &guest_errors, queue, first).await;
        // Its queue is closed by now, so that nothing was given to it that is lost.
        shared.warm_instances.leave(queue);
        live.ended(match &ended {
            Ended::ByItself(ended) => InstanceEnd::of(ended),
            Ended::For(End::TooOld) => InstanceEnd::MaxTime,
            Ended::For(End::Overdue) => InstanceEnd::ResponseTimeout,
            Ended::For(End::Idle) => InstanceEnd::Completed,
        });
        match ended {
            Ended::ByItself(ended) => self.log_trap(ended),
            Ended::For(End::TooOld) => self.log_too_old(),
            // The first was told when the time of each request was over.
            Ended::For(End::Overdue | End::Idle) => {}
        }
    }

    fn log_too_old(&self) {
        let (component, limit) = (self.guest.name(), self.guest.limits().max_time);
        let limit = limit.unwrap_or_default().as_secs_f32();
        let what = format!("component `{component}` was ended after {limit} s");
        self.failures.add(Level::WARN, what);
    }

    fn log_trap(&self, ended: wasmtime::Result<()>) {
        if let Err(error) = ended {
            let trap = Trap::of(&error, self.guest.name(), self.export());
            let told = if tracing::enabled!(tracing::Level::DEBUG) {
                format!("{trap:#}")
            } else {
                trap.to_string()
            };
            self.failures.add(Level::ERROR, told);
        }
    }

    /// A guest may answer with an error instead of a response, and with any text in it. This tells which.
    fn guest_errors(&self) -> GuestErrorLog {
        GuestErrorLog {
            component: self.guest.clone(),
            failures: Arc::clone(&self.failures),
        }
    }

    /// The log of what goes wrong with its instances.
    pub(super) fn failures(&self) -> &Arc<FailureLog> {
        &self.failures
    }

    /// Tells what went wrong so often that it was only counted so far.
    pub(super) fn sum_up(&self) {
        self.failures.sum_up();
    }

    fn export(&self) -> &'static str {
        match self.pre {
            HandlerPre::Alone(AlonePre::P2(_)) => "wasi:http/incoming-handler",
            HandlerPre::Alone(AlonePre::InboundHttp(_)) => INBOUND_HTTP,
            HandlerPre::Alone(AlonePre::Wagi(_)) => command::EXPORT,
            HandlerPre::P3(_) => "wasi:http/handler",
        }
    }
}

/// The log of guests that answered with an error, or not in time.
pub(super) struct GuestErrorLog {
    component: GuestPre,
    failures: Arc<FailureLog>,
}

impl GuestErrorLog {
    pub(super) fn log(&self, code: &dyn std::fmt::Debug) {
        let component = self.component.name();
        let code = text::begin(format_args!("{code:?}"));
        let what = format!("component `{component}` answered with the error {code}");
        self.failures.add(Level::WARN, what);
    }

    fn log_no_response(&self, none: &inbound_http::NotAResponse) {
        let component = self.component.name();
        let what = format!("component `{component}` answered with {none}");
        self.failures.add(Level::WARN, what);
    }

    pub(super) fn log_too_slow(&self) {
        let (component, limit) = (self.component.name(), self.component.limits().response_timeout);
        let limit = limit.unwrap_or_default().as_secs_f32();
        let what = format!("component `{component}` gave no response within {limit} s");
        self.failures.add(Level::WARN, what);
    }
}

/// The parts that a guest answers by whose instance answers one request.
pub(super) struct ResponseParts {
    sender: oneshot::Sender<Answer>,
    answered: Arc<AtomicBool>,
    guest_errors: GuestErrorLog,
    held: Arc<Held>,
}

impl ResponseParts {
    /// Passes on what a guest answered that is given requests whole.
    fn take(self, outcome: Outcome) {
        match outcome {
            Outcome::Answer(answer) | Outcome::Refused(answer) => self.answer(answer),
            Outcome::NoAnswer(none) => self.guest_errors.log_no_response(&none),
        }
    }

    /// Answers, with a body that holds what the instance holds.
    pub(super) fn answer(self, answer: Answer) {
        self.answered.store(true, Ordering::Relaxed);
        let answer = answer.map(|body| HoldingBody::new(body, self.held).boxed_unsync());
        // That nobody waits for it any more is the client's choice.
        drop(self.sender.send(answer));
    }

    fn fail(self, code: &dyn std::fmt::Debug) {
        self.answered.store(true, Ordering::Relaxed);
        self.guest_errors.log(code);
    }
}

/// The reason why an instance that answers one request was ended.
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
    if let Some(limit) = limits
        .response_timeout
        // Where the instance ends sooner anyway there is one timer less.
        .filter(|limit| limits.max_time.is_none_or(|max_time| *limit < max_time))
    {
        match timeout(limit, &mut run).await {
            Ok(ended) => return Ok(ended),
            Err(_) if !answered.load(Ordering::Relaxed) => return Err(Late::NoAnswer),
            Err(_) => {}
        }
    }
    match limits.max_time.and_then(|max_time| began.checked_add(max_time)) {
        None => Ok(run.await),
        Some(end) => timeout_at(end, run).await.map_err(|_| Late::TooOld),
    }
}

async fn run_p2<B: RequestBody>(
    handler: &p2::ProxyPre<Guest>,
    parts: ResponseParts,
    mut store: Store<Guest>,
    request: Request<B>,
) -> wasmtime::Result<()> {
    let handler = handler.instantiate_async(&mut store).await?;
    let mut http = store.data_mut().http();
    let scheme = match tls_facts(&request) {
        Some(_) => p2::http::types::Scheme::Https,
        None => p2::http::types::Scheme::Http,
    };
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam_from_callback(move |answer| match answer {
        Ok(answer) => parts.answer(answer),
        Err(code) => parts.fail(&code),
    })?;
    handler
        .wasi_http_incoming_handler()
        .call_handle(&mut store, request, out)
        .await
}
