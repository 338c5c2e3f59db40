//! All components of an app that answer HTTP, behind their routes: from a request to a response. A route may also have a
//! response of its own, for which nothing runs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use outport_egress::Egress;
use outport_egress::meter::Meter;
use outport_manifest::{PathRoute, StaticResponse};
use wasmtime_wasi_http::WasiBody;

use super::authority::authority;
use super::client_body::{self, OutgoingBody};
use super::clients::{Client, Clients};
use super::concurrency_limit::{Asker, ConcurrencyLimit, DEEPEST_CALL, NoSlot, OwnPool};
use super::exchange::{Exchange, Noted};
use super::headers::{Described, RouteHeaders};
use super::health;
use super::http_component::{HttpComponent, NoResponse, RequestBody};
use super::request_record::RequestObserver;
use super::request_trace::RequestTrace;
use super::route_labels::RouteLabels;
use super::routes::RouteTable;
use super::tls::tls_facts;
use super::wanted_body::{Presence, has_no_body};
use crate::failure_log::FailureLog;
use crate::triggers::EventComponent;

/// The components that a server serves, by their routes.
pub struct Router {
    routes: RouteTable<RouteEnd>,
    /// The targets for other components of the app, by name in lower case, with or without a route.
    pub(super) callees: HashMap<String, RouteTarget>,
    /// One for each instance that may live at a time.
    pub(super) concurrency: ConcurrencyLimit,
    /// The number of slots.
    pub(super) instances: u32,
    /// The numbers of the pools of components, by name.
    pub(super) pools: HashMap<String, usize>,
    /// The components that are handed events.
    pub(super) event_components: Vec<EventComponent>,
    /// Those who are told of each request of a client.
    observers: Arc<[Arc<dyn RequestObserver>]>,
    /// The names of requests that no route leads anywhere.
    unrouted: Arc<RouteLabels>,
    meter: Meter,
    told_of_depth: Once,
}

/// A route and who answers it.
pub struct RouteEntry {
    /// The paths that it answers.
    pub route: PathRoute,
    /// The one who answers.
    pub answer: RouteAnswer,
}

/// The one who answers at a route.
pub enum RouteAnswer {
    /// A component.
    Component(HttpComponent),
    /// Nobody: the response is always the same.
    Static(StaticResponse),
}

/// Where a route leads to.
enum RouteEnd {
    Component(RouteTarget),
    Static(StaticTarget),
}

/// A response, as a request reaches it.
pub(super) struct StaticTarget {
    response: StaticResponse,
    labels: Arc<RouteLabels>,
}

/// A component, as a request reaches it.
pub(super) struct RouteTarget {
    pub(super) headers: RouteHeaders,
    pub(super) component: HttpComponent,
    pub(super) labels: Arc<RouteLabels>,
    /// Of a component with a route.
    pub(super) pool: Option<OwnPool>,
}

impl Router {
    /// A router of these entries, in which at most `instances` run at a time, half of them for calls of components, and
    /// a part of them for each component alone.
    pub fn new(entries: impl IntoIterator<Item = RouteEntry>, instances: u32) -> Self {
        let mut components = HashMap::new();
        let targets: Vec<_> = entries
            .into_iter()
            .map(|RouteEntry { route, answer }| match answer {
                RouteAnswer::Component(component) => {
                    let next = components.len();
                    let name = component.guest().name().to_owned();
                    let number = *components.entry(name).or_insert(next);
                    let target = RouteTarget {
                        headers: RouteHeaders::of(&route),
                        labels: component.labels(Some(&route)),
                        component,
                        pool: Some(OwnPool::of(number)),
                    };
                    (route, RouteEnd::Component(target))
                }
                RouteAnswer::Static(response) => {
                    let labels = RouteLabels::of_route(&route);
                    (route, RouteEnd::Static(StaticTarget { response, labels }))
                }
            })
            .collect();
        Self {
            routes: RouteTable::new(targets),
            callees: HashMap::new(),
            concurrency: ConcurrencyLimit::new(instances, components.len()),
            instances,
            pools: components,
            event_components: Vec::new(),
            observers: Arc::default(),
            unrouted: Arc::default(),
            meter: Meter::default(),
            told_of_depth: Once::new(),
        }
    }

    /// The same with somebody who is told of each request of a client when it is over.
    pub fn with_observer(mut self, observer: Arc<dyn RequestObserver>) -> Self {
        let others = self.observers.iter().cloned();
        self.observers = others.chain([observer]).collect();
        self
    }

    /// The same, whose connections, and requests that no component answers, are counted and traced as `egress` says.
    /// Those that a component answers are as its own gate says. Default: they are not.
    pub fn with_egress(mut self, egress: &Egress) -> Self {
        for (route, end) in self.routes.iter_mut() {
            if let RouteEnd::Static(target) = end {
                target.labels = RouteLabels::of(egress, None, Some(route.as_str()));
            }
        }
        self.unrouted = RouteLabels::of(egress, None, None);
        self.meter = egress.meter().clone();
        self
    }

    /// The meter by which connections are counted.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The clients that are connected, or have requests running.
    pub(super) fn clients(&self) -> &Arc<Clients> {
        self.concurrency.clients()
    }

    /// The components with routes, one of several routes as often.
    fn routed(&self) -> impl Iterator<Item = &RouteTarget> {
        self.routes.iter().filter_map(|(_, end)| match end {
            RouteEnd::Component(target) => Some(target),
            RouteEnd::Static(_) => None,
        })
    }

    /// The longest time that any of its components may take for a response. None is no limit.
    pub(super) fn longest_response(&self) -> Option<Duration> {
        let mut times = self
            .routed()
            .map(|target| target.component.guest().limits().max_time);
        times.try_fold(Duration::ZERO, |longest, time| Some(longest.max(time?)))
    }

    /// Waits until no instance runs any more.
    pub(super) async fn quiet(&self) {
        self.concurrency.quiet().await;
    }

    /// Warns of components that others could keep from starting.
    pub(super) fn check_own_memory(&self) {
        for target in self.routed().chain(self.callees.values()) {
            target.component.guest().check_own_memory();
        }
        for component in &self.event_components {
            component.guest().check_own_memory();
        }
    }

    /// Tells what went wrong so often that it was only counted so far.
    pub(super) fn sum_up(&self) {
        for target in self.routed().chain(self.callees.values()) {
            target.component.sum_up();
        }
        for component in &self.event_components {
            component.sum_up();
        }
    }

    /// Answers the request of a client, who is at `address` and there while the `presence` lasts.
    pub(super) async fn answer(
        &self,
        mut request: Request<client_body::RequestBody>,
        client: &Arc<Client>,
        address: SocketAddr,
        presence: &Presence,
    ) -> Response<OutgoingBody> {
        let noted = Noted::of(&mut request, address, &self.observers);
        if let Some(response) = health::answer(&request) {
            let exchange = noted.map(|noted| Exchange::untold_by_routes(&request, noted));
            let response = without_a_guest(response, request.method());
            return outgoing(response, None, exchange);
        }
        let method = request.method().clone();
        let target = self.describe(&mut request, address);
        let (exchange, trace) = Exchange::begin(self.labels_of(&target), &request, address, noted);
        let (answer, failures) = match target {
            Ok(target) => {
                let pool = target.pool.expect("whatever has a route has a pool");
                let asker = Asker::Client(client, pool);
                let answer = self.respond(target, request, trace, asker, Some(presence)).await;
                (
                    answer.map_err(HostReply::Local),
                    Some(target.component.failures()),
                )
            }
            Err(reply) => (Err(reply), None),
        };
        match answer {
            Ok(response) => outgoing(response, failures.cloned(), exchange),
            Err(reply) => outgoing(reply.into_response(&method), None, exchange),
        }
    }

    pub(super) async fn respond<B: RequestBody>(
        &self,
        target: &RouteTarget,
        mut request: Request<B>,
        trace: RequestTrace,
        asker: Asker<'_>,
        presence: Option<&Presence>,
    ) -> Result<Response<WasiBody>, LocalReply> {
        trace.put_into(request.headers_mut());
        let slot = self.concurrency.take(asker).await.map_err(|none| match none {
            NoSlot::Full => LocalReply::NoSlot,
            NoSlot::TooDeep => self.too_deep(target),
        })?;
        let answer = target.component.respond(request, trace, presence, slot).await;
        answer.map(without_false_length).map_err(|none| match none {
            NoResponse::Ended => LocalReply::GuestFailed,
            NoResponse::TooSlow => LocalReply::GuestTooSlow,
            NoResponse::NoMemory => LocalReply::NoMemory,
        })
    }

    /// Finds the target of a request, and puts into its headers what the guest learns of the way.
    pub(super) fn describe<B>(
        &self,
        request: &mut Request<B>,
        client: SocketAddr,
    ) -> Result<&RouteTarget, HostReply<'_>> {
        let authority = authority(request)?;
        if tls_facts(request).is_some() {
            *request.uri_mut() = over_tls(request.uri(), &authority);
        }
        let uri = request.uri().clone();
        let tls = tls_facts(request).cloned();
        let routed = self.routes.route(uri.path()).ok_or(LocalReply::NoRoute)?;
        let described = Described {
            authority: authority.as_str(),
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()),
            rest: routed.rest,
            named: &routed.named,
            client,
            tls: tls.as_ref(),
        };
        match routed.target {
            RouteEnd::Component(target) => {
                target.headers.put_into(request.headers_mut(), &described);
                Ok(target)
            }
            RouteEnd::Static(target) => Err(HostReply::Static(target)),
        }
    }

    /// The names of a request that leads there.
    pub(super) fn labels_of<'r>(
        &'r self,
        target: &Result<&'r RouteTarget, HostReply<'r>>,
    ) -> &'r Arc<RouteLabels> {
        match target {
            Ok(target) => &target.labels,
            Err(HostReply::Static(target)) => &target.labels,
            Err(HostReply::Local(_)) => &self.unrouted,
        }
    }

    fn too_deep(&self, target: &RouteTarget) -> LocalReply {
        let component = target.component.guest().name();
        self.told_of_depth.call_once(|| {
            tracing::warn!(
                "component `{component}` was not called: calls are nested {DEEPEST_CALL} deep at most; look for \
                 components that call each other in a circle (this is said once)"
            );
        });
        LocalReply::TooDeep
    }
}

/// The URL of a request that came over TLS, by which guests of WASI 0.3 learn the scheme: it is the connection's, whatever
/// its client wrote. One without a path (CONNECT) stays as it is.
fn over_tls(uri: &Uri, authority: &Authority) -> Uri {
    let mut parts = uri.clone().into_parts();
    if parts.path_and_query.is_some() {
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(authority.clone());
    }
    // A URL with all three parts is one.
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// A response on its way to a client.
fn outgoing(
    response: Response<WasiBody>,
    failures: Option<Arc<FailureLog>>,
    mut exchange: Option<Box<Exchange>>,
) -> Response<OutgoingBody> {
    if let Some(exchange) = &mut exchange {
        exchange.respond(&response);
    }
    response.map(|body| OutgoingBody::new(body, failures, exchange))
}

/// Takes back the length of a body that no response of that status has (RFC 9110, section 8.6). A proxy in front that
/// believed it would take the next client's response for that body.
fn without_false_length(mut answer: Response<WasiBody>) -> Response<WasiBody> {
    if answer.status() == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

/// A response without a guest.
pub(super) enum HostReply<'r> {
    /// The route has one of its own.
    Static(&'r StaticTarget),
    /// There is none of a guest.
    Local(LocalReply),
}

impl From<LocalReply> for HostReply<'_> {
    fn from(reply: LocalReply) -> Self {
        Self::Local(reply)
    }
}

impl HostReply<'_> {
    /// The response to a request of that method.
    pub(super) fn into_response(self, method: &Method) -> Response<WasiBody> {
        match self {
            Self::Static(target) => without_a_guest(target.response.response(), method),
            Self::Local(reply) => reply.into_response(),
        }
    }
}

/// A response whose body is known. One to HEAD tells how long it is and has none, which HTTP/2 does not see to itself.
fn without_a_guest(mut response: Response<String>, method: &Method) -> Response<WasiBody> {
    let length = HeaderValue::from(response.body().len());
    if !has_no_body(response.status()) {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response.map(|body| {
        let body = if method == Method::HEAD {
            String::new()
        } else {
            body
        };
        Full::new(Bytes::from(body))
            .map_err(|never| match never {})
            .boxed_unsync()
    })
}

/// A response that is not the guest's, since there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocalReply {
    NoHost,
    ManyHosts,
    BadHost,
    BadHeader,
    BrokenBody,
    NoSuchMethod,
    TooLarge,
    NoRoute,
    NoSlot,
    NoMemory,
    TooDeep,
    GuestFailed,
    GuestTooSlow,
}

impl LocalReply {
    pub(super) fn into_response(self) -> Response<WasiBody> {
        let (status, text) = match self {
            Self::NoHost => (StatusCode::BAD_REQUEST, "the request names no host\n"),
            Self::ManyHosts => (StatusCode::BAD_REQUEST, "the request names several hosts\n"),
            Self::BadHost => (
                StatusCode::BAD_REQUEST,
                "the request names a host that is not valid\n",
            ),
            Self::BadHeader => (
                StatusCode::BAD_REQUEST,
                "the request has a header that is not UTF-8\n",
            ),
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "the request broke off\n"),
            Self::NoSuchMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "the component knows no such method\n",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request is larger than the component takes\n",
            ),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no component answers this path\n"),
            Self::NoSlot => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are running\n"),
            Self::NoMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "there is no memory for another request\n",
            ),
            Self::TooDeep => (
                StatusCode::LOOP_DETECTED,
                "calls inside the app are nested too deep\n",
            ),
            Self::GuestFailed => (StatusCode::INTERNAL_SERVER_ERROR, "the component failed\n"),
            Self::GuestTooSlow => (
                StatusCode::GATEWAY_TIMEOUT,
                "the component gave no response in time\n",
            ),
        };
        let body = Full::new(Bytes::from_static(text.as_bytes()));
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_has_no_body_has_no_length_of_one() {
        for (status, kept) in [(200, true), (204, false), (304, true), (404, true)] {
            let mut answer = LocalReply::NoRoute.into_response();
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
            let answer = without_false_length(answer);
            assert_eq!(answer.headers().contains_key(CONTENT_LENGTH), kept, "{status}");
        }
    }

    #[tokio::test]
    async fn a_response_without_a_guest_tells_its_length_and_has_no_body_for_head() {
        for (method, status, length, body) in [
            (Method::GET, 200, Some("4"), "text"),
            (Method::HEAD, 200, Some("4"), ""),
            (Method::POST, 404, Some("4"), "text"),
            (Method::HEAD, 204, None, ""),
        ] {
            let response = Response::builder()
                .status(status)
                .body("text".to_owned())
                .unwrap();
            let response = without_a_guest(response, &method);
            let told = response.headers().get(CONTENT_LENGTH).cloned();
            assert_eq!(
                told.as_ref().map(|length| length.to_str().unwrap()),
                length,
                "{method}"
            );
            let written = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(written, body, "{method}");
        }
    }
}
