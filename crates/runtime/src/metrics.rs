//! What this crate counts: requests, instances, events, compiled code and connections of clients.
//!
//! A label is never what a guest or client chose: `component` is an id of the manifest, `route` a route as the manifest
//! writes it, and all others are one of a few words. What counts is made once for each component and route.

use outport_egress::meter::{Buckets, MetricDescription, MetricKind};

use ::metrics::Unit;

/// Everything that this crate counts.
pub const METRICS: &[MetricDescription] = &[
    HTTP_REQUESTS,
    HTTP_REQUEST_DURATION,
    HTTP_REQUESTS_ACTIVE,
    INSTANCES,
    INSTANCES_STARTED,
    INSTANCES_ENDED,
    GUEST_CPU,
    GUEST_MEMORY,
    CODE_CACHE,
    CLIENT_CONNECTIONS,
    CLIENT_CONNECTIONS_TOTAL,
    TLS_HANDSHAKES,
    EVENTS,
];

pub(crate) const HTTP_REQUESTS: MetricDescription = MetricDescription {
    name: "outport_http_requests_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "route", "method", "status_class"],
    help: "Requests that were answered, calls of the app's components to each other among them, but not probes of its \
           health. Without a component: a static response, or none since no route matched. A client who was gone before \
           there was a response counts as `4xx` (status 499)",
};

pub(crate) const HTTP_REQUEST_DURATION: MetricDescription = MetricDescription {
    name: "outport_http_request_duration_seconds",
    kind: MetricKind::Histogram(Buckets::Durations),
    unit: Some(Unit::Seconds),
    labels: &["component", "route"],
    help: "Time from when the headers of a request had come to the end of its response",
};

pub(crate) const HTTP_REQUESTS_ACTIVE: MetricDescription = MetricDescription {
    name: "outport_http_requests_active",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component"],
    help: "Requests whose response has not ended, those that wait for a slot among them",
};

pub(crate) const INSTANCES: MetricDescription = MetricDescription {
    name: "outport_instances",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component"],
    help: "Instances that are alive, those that wait for a further request among them",
};

pub(crate) const INSTANCES_STARTED: MetricDescription = MetricDescription {
    name: "outport_instances_started_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component"],
    help: "Instances that were started",
};

pub(crate) const INSTANCES_ENDED: MetricDescription = MetricDescription {
    name: "outport_instances_ended_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "outcome"],
    help: "Instances that have ended, by outcome: `completed`, `trapped`, the option whose limit ended them \
           (`max-cpu-time`, `max-memory`, `max-time`, `response-timeout`), `stacks` where there were no more for its parts \
           that waited, or `cut-off` when the process stopped or nobody read on",
};

pub(crate) const GUEST_CPU: MetricDescription = MetricDescription {
    name: "outport_guest_cpu_seconds_total",
    kind: MetricKind::Time,
    unit: Some(Unit::Seconds),
    labels: &["component"],
    help: "Processor time of instances, and of what the host did for them, counted as it passes",
};

pub(crate) const GUEST_MEMORY: MetricDescription = MetricDescription {
    name: "outport_guest_memory_bytes",
    kind: MetricKind::Gauge,
    unit: Some(Unit::Bytes),
    labels: &["component"],
    help: "Memory that counts in --max-memory-total: linear memories, tables, stacks, and what the host holds for \
           instances",
};

pub(crate) const CODE_CACHE: MetricDescription = MetricDescription {
    name: "outport_code_cache_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "Components whose machine code was needed, by outcome: `hit` where an earlier start had kept it, `compiled`, or `failed`",
};

pub(crate) const CLIENT_CONNECTIONS: MetricDescription = MetricDescription {
    name: "outport_client_connections_open",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &[],
    help: "Connections of clients that are open, those that wait until others end among them",
};

pub(crate) const CLIENT_CONNECTIONS_TOTAL: MetricDescription = MetricDescription {
    name: "outport_client_connections_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "Connections of clients, by outcome: `accepted`, `turned-away` since the client had as many as one may have, \
           or `failed` where the system gave none",
};

pub(crate) const TLS_HANDSHAKES: MetricDescription = MetricDescription {
    name: "outport_tls_handshakes_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "TLS handshakes with clients, by outcome: `succeeded`, `failed`, `abandoned` by a client who hung up, `timed-out`, \
           or `plain-http` where a client spoke no TLS",
};

pub(crate) const EVENTS: MetricDescription = MetricDescription {
    name: "outport_events_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "trigger", "outcome"],
    help: "Events of triggers, by outcome: `done`, `left` in its queue by the handler, `failed`, or `not-begun` when the \
           process stopped",
};
