//! A component that answers HTTP requests: a fresh instance for each.
//!
//! The instance runs in a task of its own, so that it can go on after the head of the response: to stream the
//! body, and to finish what it began when the visitor hangs up. The task ends with the instance; its limits see to
//! it that it does.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings as p2;
use wasmtime_wasi_http::p3::bindings as p3;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView, p3 as host_p3};

use super::places::Place;
use crate::component::Entrance;
use crate::excerpt::Excerpt;
use crate::guest::Guest;
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
    P3(p3::ServicePre<Guest>),
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
}

type Answer = Response<WasiBody>;

/// The body of a request, from a visitor or from another component.
pub(super) trait RequestBody: Body<Data = Bytes, Error: Into<Error>> + Send + 'static {}

impl<B: Body<Data = Bytes, Error: Into<Error>> + Send + 'static> RequestBody for B {}

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
            Track::P3(p3::ServicePre::new(instance).map_err(not_a_responder)?)
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

    /// Answers a request with a new instance, which holds `place` until it ends.
    pub(super) async fn respond<B: RequestBody>(
        &self,
        request: Request<B>,
        place: Place,
    ) -> Result<Answer, NoResponse> {
        let (sender, receiver) = oneshot::channel();
        let responder = self.clone();
        let instance = tokio::spawn(async move {
            responder.live(request, place.depth(), sender).await;
            drop(place);
        });
        self.await_answer(receiver, &instance.abort_handle()).await
    }

    async fn await_answer(
        &self,
        answer: oneshot::Receiver<Answer>,
        instance: &AbortHandle,
    ) -> Result<Answer, NoResponse> {
        let Some(limit) = self.prepared.limits().answering else {
            return answer.await.map_err(|_| NoResponse::Ended);
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|_| NoResponse::Ended),
            Err(_) => {
                instance.abort();
                let component = self.prepared.name();
                let limit = limit.as_secs_f32();
                let what = format!("component `{component}` gave no response within {limit} s");
                self.mishaps.add(Severity::Warning, what);
                Err(NoResponse::TooSlow)
            }
        }
    }

    /// The whole life of an instance.
    async fn live<B: RequestBody>(&self, request: Request<B>, depth: u32, sender: oneshot::Sender<Answer>) {
        let ended = match self.prepared.limits().living {
            None => self.run(request, depth, sender).await,
            Some(limit) => match tokio::time::timeout(limit, self.run(request, depth, sender)).await {
                Ok(ended) => ended,
                Err(_) => {
                    let component = self.prepared.name();
                    let limit = limit.as_secs_f32();
                    let what = format!("component `{component}` was ended after {limit} s");
                    self.mishaps.add(Severity::Warning, what);
                    return;
                }
            },
        };
        if let Err(error) = ended {
            let trap = Trap::of(&error, self.prepared.name(), self.export());
            self.mishaps.add(Severity::Error, trap.to_string());
        }
    }

    async fn run<B: RequestBody>(
        &self,
        request: Request<B>,
        depth: u32,
        sender: oneshot::Sender<Answer>,
    ) -> wasmtime::Result<()> {
        let store = self.prepared.store_at(depth)?;
        let refused = self.refused();
        let run = async {
            match &self.track {
                Track::P2(handler) => run_p2(handler, refused, store, request, sender).await,
                Track::P3(handler) => run_p3(handler, refused, store, request, sender).await,
            }
        };
        self.prepared.engine().interrupting(run).await
    }

    /// A guest may answer with an error instead of a response, and with any text in it. This tells which.
    fn refused(&self) -> Refused {
        Refused {
            component: self.prepared.clone(),
            mishaps: Arc::clone(&self.mishaps),
        }
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

/// Where an error goes that a guest answered with.
struct Refused {
    component: Prepared,
    mishaps: Arc<Mishaps>,
}

impl Refused {
    fn tell(&self, code: &dyn std::fmt::Debug) {
        let component = self.component.name();
        let code = Excerpt::of(format_args!("{code:?}"));
        let what = format!("component `{component}` answered with the error {code}");
        self.mishaps.add(Severity::Warning, what);
    }
}

async fn run_p2<B: RequestBody>(
    handler: &p2::ProxyPre<Guest>,
    refused: Refused,
    mut store: Store<Guest>,
    request: Request<B>,
    sender: oneshot::Sender<Answer>,
) -> wasmtime::Result<()> {
    let handler = handler.instantiate_async(&mut store).await?;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(p2::http::types::Scheme::Http, request)?;
    let out = http.new_response_outparam_from_callback(move |answer| match answer {
        // That nobody waits for it any more is the visitor's choice.
        Ok(answer) => drop(sender.send(answer)),
        Err(code) => refused.tell(&code),
    })?;
    handler
        .wasi_http_incoming_handler()
        .call_handle(&mut store, request, out)
        .await
}

async fn run_p3<B: RequestBody>(
    handler: &p3::ServicePre<Guest>,
    refused: Refused,
    mut store: Store<Guest>,
    request: Request<B>,
    sender: oneshot::Sender<Answer>,
) -> wasmtime::Result<()> {
    let handler = handler.instantiate_async(&mut store).await?;
    store
        .run_concurrent(async |store| {
            let (request, sent) = store.with(|mut store| {
                let (request, sent) = host_p3::Request::from_http(store.data_mut().http().hooks, request);
                (request, Box::pin(sent) as Pin<Box<dyn Future<Output = _> + Send>>)
            });
            match handler.handle(store, request).await? {
                Ok(answer) => {
                    let answer = store.with(|mut store| answer.into_http(&mut store, sent))?;
                    drop(sender.send(answer));
                }
                Err(code) => refused.tell(&code),
            }
            // The guest may still be writing the body.
            std::future::poll_fn(|cx| store.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await?
}
