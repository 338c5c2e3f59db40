//! A request and its response, from when the headers of one had come to when the other has ended: what is counted, traced
//! and told of it then.
//!
//! ```text
//! request ─ Noted (where somebody is told of requests) ─ route ─ Exchange ─ response ─ its body ─ the end
//!                                                                     └─ dropped before: the client is gone
//! ```
//!
//! It ends when it is dropped, which is with the body of the response or with whoever was about to answer. So there is one
//! end of each, whatever comes in between. Where nobody counts, traces or is told there is no exchange at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Frame;
use outport_egress::trace::SPANS;
use outport_policy::text;
use tracing::Span;
use tracing::field::Empty;
use wasmtime_wasi_http::Error;

use super::chaining::IN_PROCESS;
use super::client_body::RequestBody;
use super::request_counts::known_method;
use super::request_record::{RequestObserver, RequestRecord};
use super::request_trace::RequestTrace;
use super::route_labels::RouteLabels;
use super::tls::scheme;
use super::wanted_body::Wants;

/// A request that is under way.
pub(super) struct Exchange {
    labels: Arc<RouteLabels>,
    noted: Option<Box<Noted>>,
    method: Method,
    began: Instant,
    /// A component of the app asks, which may leave a body where it is.
    is_call: bool,
    span: Span,
    trace_id: Option<u128>,
    is_sampled: bool,
    wants: Wants,
    response: Option<Responding>,
}

/// The response that is under way.
struct Responding {
    status: StatusCode,
    /// Bytes of the body that its client wants, where that is known.
    wanted: Option<u64>,
    sent: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Whole,
    Broken,
}

/// What a client wrote, for those who are told of its request.
pub(super) struct Noted {
    observers: Arc<[Arc<dyn RequestObserver>]>,
    began: SystemTime,
    client: SocketAddr,
    target: Uri,
    version: Version,
    scheme: Scheme,
    headers: HeaderMap,
    received: Arc<AtomicU64>,
}

impl Noted {
    /// Notes a request as its client wrote it, if anybody is told.
    pub(super) fn of(
        request: &mut Request<RequestBody>,
        client: SocketAddr,
        observers: &Arc<[Arc<dyn RequestObserver>]>,
    ) -> Option<Box<Self>> {
        if observers.is_empty() {
            return None;
        }
        let received = Arc::new(AtomicU64::new(0));
        request.body_mut().count_in(Arc::clone(&received));
        Some(Box::new(Self {
            observers: Arc::clone(observers),
            began: SystemTime::now(),
            client,
            target: request.uri().clone(),
            version: request.version(),
            scheme: scheme(request),
            headers: request.headers().clone(),
            received,
        }))
    }
}

impl Exchange {
    /// The exchange that begins with a request to this route, if it matters to anybody, and its place in a trace.
    pub(super) fn begin<B>(
        labels: &Arc<RouteLabels>,
        request: &Request<B>,
        client: SocketAddr,
        noted: Option<Box<Noted>>,
    ) -> (Option<Box<Self>>, RequestTrace) {
        let tracer = labels.tracer.as_ref();
        let trace = RequestTrace::begin(tracer, request.headers(), || server_span(labels, request, client));
        if labels.counts.is_none() && noted.is_none() && trace.span().is_disabled() {
            return (None, trace);
        }
        if let Some(counts) = &labels.counts {
            counts.begin();
        }
        let exchange = Self {
            labels: Arc::clone(labels),
            noted,
            method: request.method().clone(),
            began: Instant::now(),
            is_call: client == IN_PROCESS,
            span: trace.span().clone(),
            trace_id: trace.trace_id(),
            is_sampled: trace.is_sampled(),
            wants: Wants::of(request),
            response: None,
        };
        (Some(Box::new(exchange)), trace)
    }

    /// The exchange of a request that no route gets: those who are told of requests are told of it, and nothing else.
    pub(super) fn untold_by_routes<B>(request: &Request<B>, noted: Box<Noted>) -> Box<Self> {
        Box::new(Self {
            labels: Arc::default(),
            noted: Some(noted),
            method: request.method().clone(),
            began: Instant::now(),
            is_call: false,
            span: Span::none(),
            trace_id: None,
            is_sampled: false,
            wants: Wants::of(request),
            response: None,
        })
    }

    /// There is a response, whose body follows.
    pub(super) fn respond<B>(&mut self, response: &Response<B>) {
        self.response = Some(Responding {
            status: response.status(),
            wanted: self.wants.wanted(response),
            sent: 0,
            end: End::NotYet,
        });
    }

    /// A part of the body is handed over, of which nothing is left if `is_last`.
    pub(super) fn pass(&mut self, part: &Poll<Option<Result<Frame<Bytes>, Error>>>, is_last: bool) {
        let Some(response) = &mut self.response else {
            return;
        };
        match part {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                response.sent = response.sent.saturating_add(bytes as u64);
                if is_last {
                    response.end = End::Whole;
                }
            }
            Poll::Ready(None) => response.end = End::Whole,
            Poll::Ready(Some(Err(_))) => response.end = End::Broken,
        }
    }

    /// The body is given up, of which nothing was left if `is_empty`.
    pub(super) fn finish(&mut self, is_empty: bool) {
        if let Some(response) = &mut self.response
            && response.end == End::NotYet
            && (is_empty || response.wanted.is_some_and(|wanted| response.sent >= wanted))
        {
            response.end = End::Whole;
        }
    }

    fn tell(&self, status: StatusCode) {
        let Some(noted) = &self.noted else {
            return;
        };
        let response = self.response.as_ref();
        let record = RequestRecord {
            began: noted.began,
            duration: self.began.elapsed(),
            client: noted.client,
            method: &self.method,
            target: &noted.target,
            version: noted.version,
            scheme: &noted.scheme,
            headers: &noted.headers,
            component: self.labels.component.as_deref(),
            route: self.labels.route.as_deref(),
            status,
            sent: response.map_or(0, |response| response.sent),
            received: noted.received.load(Ordering::Relaxed),
            is_whole: response.is_some_and(|response| response.end == End::Whole),
            trace_id: self.trace_id,
            is_sampled: self.is_sampled,
        };
        for observer in &*noted.observers {
            observer.ended(&record);
        }
    }

    fn end_span(&self) {
        if self.span.is_disabled() {
            return;
        }
        if let Some(response) = &self.response {
            let status = i64::from(response.status.as_u16());
            self.span.record("http.response.status_code", status);
        }
        if let Some(error) = self.error() {
            self.span.record("error.type", error);
            self.span.record("otel.status_code", "ERROR");
        }
    }

    /// What went wrong, as the conventions of spans say it.
    fn error(&self) -> Option<&str> {
        let Some(response) = &self.response else {
            return Some("cancelled");
        };
        match response.end {
            _ if response.status.is_server_error() => Some(response.status.as_str()),
            End::Broken => Some("incomplete"),
            // Whoever asked is gone.
            End::NotYet if !self.is_call => Some("cancelled"),
            End::NotYet | End::Whole => None,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let status = self.response.as_ref().map(|response| response.status);
        let status = status.unwrap_or_else(client_gone);
        if let Some(counts) = &self.labels.counts {
            counts.end(&self.method, status, self.began.elapsed());
        }
        self.end_span();
        self.tell(status);
    }
}

/// The status that is noted where the client was gone before there was a response, as servers do.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

fn server_span<B>(labels: &RouteLabels, request: &Request<B>, client: SocketAddr) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        outport.component = labels.component.as_deref(),
        http.request.method = Empty,
        http.route = labels.route.as_deref(),
        http.response.status_code = Empty,
        url.scheme = Empty,
        url.path = Empty,
        client.address = Empty,
        client.port = Empty,
        "error.type" = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    let method = known_method(request.method());
    // The conventions call a method that is not known so in the name of a span.
    let word = if method == "_OTHER" { "HTTP" } else { method };
    match &labels.route {
        Some(route) => span.record("otel.name", format!("{word} {route}")),
        None => span.record("otel.name", word),
    };
    span.record("http.request.method", method);
    span.record("url.scheme", scheme(request).as_str());
    span.record("url.path", text::begin(format_args!("{}", request.uri().path())));
    if client != IN_PROCESS {
        span.record("client.address", client.ip().to_canonical().to_string());
        span.record("client.port", i64::from(client.port()));
    }
    span
}

#[cfg(test)]
mod tests;
