//! The spans of what goes through the gate. All have the target [`SPANS`], and attributes by the semantic conventions of
//! OpenTelemetry where there are such. What a guest or a peer chose is cut to [`LONGEST`].
//!
//! The URL of a request is not among them: its path and query may have what is nobody else's business.

use http::Method;
use outport_policy::{Attempt, Endpoint, Reason};
use tracing::{Span, field, info_span};

use crate::dial::Destination;
use crate::trace::SPANS;

/// An outgoing request, to the end of its answer.
pub(crate) fn request(
    parent: &Span,
    component: &str,
    method: &Method,
    destination: &Destination,
    rule: Option<&str>,
) -> Span {
    let method = known_method(method);
    let host = destination.host().to_string();
    info_span!(
        target: SPANS,
        parent: parent,
        "http.request",
        otel.name = if method == "_OTHER" { "HTTP" } else { method },
        otel.kind = "client",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.response.status_code = field::Empty,
        url.scheme = destination.scheme().as_str(),
        server.address = short(&host),
        server.port = i64::from(destination.port()),
        error.type = field::Empty,
        outport.component = component,
        outport.rule = rule.map(short),
        outport.sent_bytes = field::Empty,
        outport.received_bytes = field::Empty,
        outport.ended_by = field::Empty,
    )
}

/// A TCP connection, from its beginning to its end; `name` is what its address was looked up by.
pub(crate) fn connection(
    parent: &Span,
    component: &str,
    attempt: &Attempt<'_>,
    name: Option<String>,
    rule: Option<&str>,
) -> Span {
    let (host, remote) = match attempt {
        Attempt::Connect { remote, .. } => (name, Some(*remote)),
        Attempt::Dial { host, remote, .. } => (Some(host.to_string()), Some(*remote)),
        _ => (None, None),
    };
    info_span!(
        target: SPANS,
        parent: parent,
        "connection",
        otel.name = attempt.operation(),
        otel.status_code = field::Empty,
        network.transport = "tcp",
        network.peer.address = remote.map(address),
        network.peer.port = remote.map(|remote| i64::from(remote.port)),
        server.address = host.as_deref().map(short),
        error.type = field::Empty,
        outport.component = component,
        outport.rule = rule.map(short),
        outport.sent_bytes = field::Empty,
        outport.received_bytes = field::Empty,
        outport.ended_by = field::Empty,
    )
}

/// The first datagram to a peer, which is as long as sending it takes.
pub(crate) fn datagram(parent: &Span, component: &str, peer: Endpoint, rule: &str) -> Span {
    info_span!(
        target: SPANS,
        parent: parent,
        "datagram",
        otel.name = "udp.send",
        network.transport = "udp",
        network.peer.address = address(peer),
        network.peer.port = i64::from(peer.port),
        outport.component = component,
        outport.rule = short(rule),
    )
}

/// A look-up.
pub(crate) fn lookup(parent: &Span, component: &str, name: &str, rule: Option<&str>) -> Span {
    info_span!(
        target: SPANS,
        parent: parent,
        "dns.lookup",
        otel.name = "dns.lookup",
        otel.status_code = field::Empty,
        dns.question.name = short(name),
        error.type = field::Empty,
        outport.component = component,
        outport.rule = rule.map(short),
        outport.addresses = field::Empty,
    )
}

/// What was refused, which takes no time.
pub(crate) fn denied(
    parent: &Span,
    component: &str,
    operation: &'static str,
    destination: &str,
    reason: Reason,
    rule: Option<&str>,
) -> Span {
    info_span!(
        target: SPANS,
        parent: parent,
        "denied",
        otel.name = operation,
        otel.status_code = "ERROR",
        error.type = "denied",
        outport.component = component,
        outport.destination = short(destination),
        outport.reason = reason.code(),
        outport.rule = rule.map(short),
    )
}

/// A number as an attribute, which is signed in OpenTelemetry: any other is text there.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Notes on a span what it failed with.
pub(crate) fn fail(span: &Span, error: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error);
}

/// The beginning of a text that somebody chose.
pub(crate) fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// A method, if it is one that everybody knows.
fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => {
            known
        }
        _ => "_OTHER",
    }
}

fn address(endpoint: Endpoint) -> String {
    std::net::SocketAddr::from(endpoint).ip().to_string()
}

/// Bytes of a text that a guest or a peer chose: as long as a name of DNS may be.
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_chose_is_cut_between_characters() {
        assert_eq!(short("abc"), "abc");
        let long = "ü".repeat(200);
        assert_eq!(short(&long).len(), LONGEST - 1);
        assert_eq!(known_method(&Method::PATCH), "PATCH");
        assert_eq!(known_method(&Method::from_bytes(b"get").unwrap()), "_OTHER");
    }
}
