//! Requests of an app's components to each other, answered without a network (AL-7).
//!
//! | URL | answered by |
//! | --- | --- |
//! | `http://NAME.spin.internal/…` | the component `NAME`, also where it has no route but `private` |
//! | `http://self/…` | the component whose route matches, as for a client |
//!
//! The gate of the caller has judged the request when it comes here. A call is a request like a client's: it gets
//! an instance of its own, with its own gate and limits, and takes one of the router's slots, of which half are never
//! for calls. Components that call each other without end run into the limit of
//! [`concurrency_limit`](super::concurrency_limit) for nested calls. The callee learns of the call by the same headers;
//! its client address is [`IN_PROCESS`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use outport_egress::{Gate, Internal, InternalDestination};
use outport_manifest::PathRoute;
use wasmtime_wasi_http::{Error, WasiBody};

use super::client_body::OutgoingBody;
use super::concurrency_limit::Asker;
use super::exchange::Exchange;
use super::headers::{Described, RouteHeaders};
use super::http_component::HttpComponent;
use super::request_trace::RequestTrace;
use super::router::{LocalReply, RouteTarget, Router};

/// The address that a callee is told for its client.
pub const IN_PROCESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The router as its own components reach it. It does not keep the router alive, whose components have the gates that
/// hold this.
struct InProcess(Weak<Router>);

/// The result of a call.
type Answer = Result<Response<WasiBody>, Error>;

impl Router {
    /// Lets other components call these by name.
    pub fn with_callees(mut self, callees: impl IntoIterator<Item = (String, HttpComponent)>) -> Self {
        let everything = PathRoute::parse("/...").expect("this is a route");
        let named = callees.into_iter().map(|(name, component)| {
            let headers = RouteHeaders::of(&everything);
            let target = RouteTarget {
                headers,
                labels: component.labels(None),
                component,
                pool: None,
            };
            // Names of hosts have no case, and the gate gives them in lower case.
            (name.to_ascii_lowercase(), target)
        });
        self.callees.extend(named);
        self
    }

    /// Answers the requests that components behind `gates` send each other.
    pub fn answer_calls_from<'a>(self: &Arc<Self>, gates: impl IntoIterator<Item = &'a Gate>) {
        for gate in gates {
            gate.set_internal(Arc::new(InProcess(Arc::downgrade(self))));
        }
    }

    async fn answer_call(
        &self,
        callee: InternalDestination,
        depth: u32,
        request: Request<WasiBody>,
    ) -> Answer {
        match callee {
            InternalDestination::App => Ok(self.answer_routed(request, depth).await),
            InternalDestination::Component(name) => self.answer_named(&name, depth, request).await,
        }
    }

    async fn answer_routed(&self, mut request: Request<WasiBody>, depth: u32) -> Response<WasiBody> {
        let method = request.method().clone();
        let target = self.describe(&mut request, IN_PROCESS);
        let (exchange, trace) = Exchange::begin(self.labels_of(&target), &request, IN_PROCESS, None);
        let response = match target {
            Ok(target) => self.call(target, request, trace, depth).await,
            Err(reply) => reply.into_response(&method),
        };
        within(exchange, response)
    }

    async fn answer_named(&self, name: &str, depth: u32, mut request: Request<WasiBody>) -> Answer {
        let target = self.callees.get(name).ok_or(Error::DestinationNotFound)?;
        let uri = request.uri().clone();
        let described = Described {
            authority: uri.authority().map_or(name, |authority| authority.as_str()),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
            rest: uri.path(),
            named: &[],
            client: IN_PROCESS,
            tls: None,
        };
        target.headers.put_into(request.headers_mut(), &described);
        let (exchange, trace) = Exchange::begin(&target.labels, &request, IN_PROCESS, None);
        let response = self.call(target, request, trace, depth).await;
        Ok(within(exchange, response))
    }

    async fn call(
        &self,
        target: &RouteTarget,
        request: Request<WasiBody>,
        trace: RequestTrace,
        depth: u32,
    ) -> Response<WasiBody> {
        self.respond(target, request, trace, Asker::Call(depth), None)
            .await
            .unwrap_or_else(LocalReply::into_response)
    }
}

/// The response with whose body the exchange ends.
fn within(exchange: Option<Box<Exchange>>, response: Response<WasiBody>) -> Response<WasiBody> {
    let Some(mut exchange) = exchange else {
        return response;
    };
    exchange.respond(&response);
    response.map(|body| OutgoingBody::new(body, None, Some(exchange)).boxed_unsync())
}

impl Internal for InProcess {
    fn call(
        &self,
        callee: InternalDestination,
        depth: u32,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Answer> {
        let router = self.0.clone();
        Box::pin(async move {
            match router.upgrade() {
                // The depth is the caller's own, never one that the request says: a guest could write that.
                Some(router) => router.answer_call(callee, depth.saturating_add(1), request).await,
                None => Err(Error::DestinationUnavailable),
            }
        })
    }
}
