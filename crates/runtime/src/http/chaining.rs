//! Requests of an app's components to each other, answered without a network (policy clause AL-7).
//!
//! | URL | answered by |
//! | --- | --- |
//! | `http://NAME.spin.internal/…` | the component `NAME`, also where it has no route but `private` |
//! | `http://self/…` | the component whose route matches, as for a visitor |
//!
//! The gate of the caller has judged the request when it comes here. A call is a request like a visitor's: it gets
//! an instance of its own, with its own gate and limits, and takes one of the site's places, of which half are never
//! for calls. Components that call each other without end run into the limit of [`places`](super::places) for nested
//! calls. The callee learns of the call by the same headers; its client address is [`IN_PROCESS`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use http::{Request, Response};
use outport_egress::{Gate, Internal, InternalDestination};
use outport_manifest::PathRoute;
use wasmtime_wasi_http::{Error, WasiBody};

use super::headers::{Described, RouteHeaders};
use super::places::Asker;
use super::responder::Responder;
use super::site::{Page, Refusal, Site};

/// What a callee is told as the address of its client.
pub const IN_PROCESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The site as its own components reach it. It does not keep the site alive, whose components have the gates that
/// hold this.
struct InProcess(Weak<Site>);

/// What comes of a call.
type Answer = Result<Response<WasiBody>, Error>;

impl Site {
    /// Lets other components call these by name.
    pub fn with_callees(mut self, callees: impl IntoIterator<Item = (String, Responder)>) -> Site {
        let everything = PathRoute::parse("/...").expect("this is a route");
        let named = callees.into_iter().map(|(name, responder)| {
            let headers = RouteHeaders::of(&everything);
            let page = Page {
                headers,
                responder,
                pool: None,
            };
            (name.to_ascii_lowercase(), page)
        });
        self.callees.extend(named);
        self
    }

    /// Answers the requests that components behind `gates` send each other.
    pub fn answer_calls_from<'a>(self: &Arc<Site>, gates: impl IntoIterator<Item = &'a Gate>) {
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
        let answer = match self.describe(&mut request, IN_PROCESS) {
            Ok(page) => self.respond(page, request, Asker::Call(depth), None).await,
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(Refusal::into_response)
    }

    async fn answer_named(&self, name: &str, depth: u32, mut request: Request<WasiBody>) -> Answer {
        let page = self.callees.get(name).ok_or(Error::DestinationNotFound)?;
        let uri = request.uri().clone();
        let described = Described {
            authority: uri.authority().map_or(name, |authority| authority.as_str()),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
            rest: uri.path(),
            named: &[],
            client: IN_PROCESS,
        };
        page.headers.put_into(request.headers_mut(), &described);
        Ok(self
            .respond(page, request, Asker::Call(depth), None)
            .await
            .unwrap_or_else(Refusal::into_response))
    }
}

impl Internal for InProcess {
    fn call(
        &self,
        callee: InternalDestination,
        depth: u32,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Answer> {
        let site = self.0.clone();
        Box::pin(async move {
            match site.upgrade() {
                Some(site) => site.answer_call(callee, depth.saturating_add(1), request).await,
                None => Err(Error::DestinationUnavailable),
            }
        })
    }
}
