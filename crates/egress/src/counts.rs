//! What is counted for each component: attempts, connections, look-ups, and calls of the host's interfaces.
//!
//! ```text
//! Component ── Counts, if there is a recorder
//!               ├─ permits      a counter for each operation, made when it is first permitted
//!               ├─ denials      a counter for each operation and reason, likewise
//!               ├─ connections  the handles of each kind of connection
//!               └─ …
//! ```
//!
//! A handle is made once, and looked at from then on: what is permitted costs an addition, and no lock. Where nothing is
//! counted there is nothing of this. Labels are the ids of components, and codes of closed lists.

pub(crate) mod budgets;
mod operation;
mod quotas;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::metrics::{Counter, Gauge, Histogram, SharedString, Unit};
use outport_policy::Attempt;

use self::operation::{OPERATIONS, place_of};
pub(crate) use self::quotas::QuotaGauges;
use crate::host_calls::HostInterface;
use crate::meter::{Buckets, Meter, MetricDescription, MetricKind};

/// All that this crate counts.
pub const METRICS: &[MetricDescription] = &[
    ATTEMPTS,
    CONNECTIONS,
    CONNECTIONS_MADE,
    SENT_BYTES,
    RECEIVED_BYTES,
    CONNECTION_DURATION,
    DNS_LOOKUPS,
    DNS_LOOKUP_DURATION,
    GRANTS,
    QUOTA_USED,
    QUOTA_LIMIT,
    BUDGET_USED,
    BUDGET_LIMIT,
    AUDIT_LINES,
    HOST_CALLS,
    HOST_CALL_DURATION,
];

/// Attempts.
pub const ATTEMPTS: MetricDescription = MetricDescription {
    name: "outport_attempts_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "kind", "verdict", "reason"],
    help: "Attempts that were judged, each datagram among them, by kind and verdict as in the audit log. The reason is \
           `none` where an attempt was permitted",
};

/// Connections that are open.
pub const CONNECTIONS: MetricDescription = MetricDescription {
    name: "outport_connections_open",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component", "kind"],
    help: "TCP connections that are open: `tcp.connect` are a guest's own, the others were made by the host for it, idle \
           ones among them",
};

/// Connections that came about, or did not.
pub const CONNECTIONS_MADE: MetricDescription = MetricDescription {
    name: "outport_connections_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "kind", "outcome"],
    help: "TCP connections that were permitted, when it was known whether they came about: `succeeded` or `failed`, as do \
           those whose TLS failed",
};

/// Bytes to peers.
pub const SENT_BYTES: MetricDescription = MetricDescription {
    name: "outport_connection_sent_bytes_total",
    kind: MetricKind::Counter,
    unit: Some(Unit::Bytes),
    labels: &["component", "kind"],
    help: "Bytes that were sent on TCP connections, and in datagrams (`udp.send`)",
};

/// Bytes from peers.
pub const RECEIVED_BYTES: MetricDescription = MetricDescription {
    name: "outport_connection_received_bytes_total",
    kind: MetricKind::Counter,
    unit: Some(Unit::Bytes),
    labels: &["component", "kind"],
    help: "Bytes that were received on TCP connections, and in datagrams that a guest got (`udp.receive`)",
};

/// The time from the decision to the end of a connection.
pub const CONNECTION_DURATION: MetricDescription = MetricDescription {
    name: "outport_connection_duration_seconds",
    kind: MetricKind::Histogram(Buckets::Durations),
    unit: Some(Unit::Seconds),
    labels: &["component", "kind"],
    help: "Time from the decision that permitted a TCP connection to its end",
};

/// Look-ups by the resolver.
pub const DNS_LOOKUPS: MetricDescription = MetricDescription {
    name: "outport_dns_lookups_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "outcome"],
    help: "Look-ups that were permitted, of guests and for connections that the host makes for them: `answered`, an \
           error as guests are told it, or `abandoned`",
};

/// The time of a look-up.
pub const DNS_LOOKUP_DURATION: MetricDescription = MetricDescription {
    name: "outport_dns_lookup_duration_seconds",
    kind: MetricKind::Histogram(Buckets::Durations),
    unit: Some(Unit::Seconds),
    labels: &["component"],
    help: "Time that look-ups took",
};

/// Names with grants.
pub const GRANTS: MetricDescription = MetricDescription {
    name: "outport_grants",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component"],
    help: "Names that instances have looked up, by which they may connect to addresses",
};

/// What is used of a quota of the process.
pub const QUOTA_USED: MetricDescription = MetricDescription {
    name: "outport_quota_used",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["quota"],
    help: "What is used of a quota of the process, whether or not it has a bound: `sockets_per_process` and \
           `total_connections` are the same sockets and connections, by two bounds; `http_connections` are those of \
           outgoing HTTP, and there only if they have a bound",
};

/// A quota of the process.
pub const QUOTA_LIMIT: MetricDescription = MetricDescription {
    name: "outport_quota_limit",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["quota"],
    help: "The bound of that quota: of the sockets of the process, of all connections, and of those of outgoing HTTP. It is \
           infinite (`+Inf`) where there is none; where it is 0, nothing is permitted",
};

/// What a component has used of a budget.
pub const BUDGET_USED: MetricDescription = MetricDescription {
    name: "outport_budget_used",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component", "budget"],
    help: "What a component has used of a budget: `lookups_per_minute` are its look-ups of the last minute that DNS \
           servers were asked for, `names_per_wildcard` its names of the last hour below the wildcard that has most of \
           them",
};

/// A budget of a component.
pub const BUDGET_LIMIT: MetricDescription = MetricDescription {
    name: "outport_budget_limit",
    kind: MetricKind::Gauge,
    unit: None,
    labels: &["component", "budget"],
    help: "What the component may use of that budget; where it is 0, nothing is permitted",
};

/// Lines of audit logs.
pub const AUDIT_LINES: MetricDescription = MetricDescription {
    name: "outport_audit_lines_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["outcome"],
    help: "Lines of the audit log: `written`, or `lost` since they came faster than they could be written",
};

/// Calls of the host's interfaces.
pub const HOST_CALLS: MetricDescription = MetricDescription {
    name: "outport_host_calls_total",
    kind: MetricKind::Counter,
    unit: None,
    labels: &["component", "interface", "outcome"],
    help: "Calls of key-value stores, databases, brokers and models: `succeeded`, `failed` or `abandoned`",
};

/// The time of a call of the host's interfaces.
pub const HOST_CALL_DURATION: MetricDescription = MetricDescription {
    name: "outport_host_call_duration_seconds",
    kind: MetricKind::Histogram(Buckets::Durations),
    unit: Some(Unit::Seconds),
    labels: &["component", "interface"],
    help: "Time that calls of key-value stores, databases, brokers and models took until their answer, or its first part",
};

/// The handles of one component.
pub(crate) struct Counts {
    meter: Meter,
    component: SharedString,
    permits: [OnceLock<Counter>; OPERATIONS],
    denials: Mutex<HashMap<(&'static str, &'static str), Counter>>,
    connections: [OnceLock<Arc<ConnectionCounts>>; OPERATIONS],
    datagrams: OnceLock<DatagramCounts>,
    lookups: Outcomes,
    lookup_duration: OnceLock<Histogram>,
    pub(crate) grants: Gauge,
    calls: [Outcomes; HostInterface::ALL.len()],
    call_durations: [OnceLock<Histogram>; HostInterface::ALL.len()],
}

/// Counters by outcomes, of which there are a few.
type Outcomes = Mutex<Vec<(&'static str, Counter)>>;

/// The handles of one kind of connection.
pub(crate) struct ConnectionCounts {
    pub(crate) open: Gauge,
    pub(crate) succeeded: Counter,
    pub(crate) failed: Counter,
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
    pub(crate) duration: Histogram,
}

/// The handles of what datagrams carry.
pub(crate) struct DatagramCounts {
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

impl Counts {
    /// Those of the component `name`; none where nothing is counted.
    pub(crate) fn new(meter: &Meter, name: &Arc<str>) -> Option<Box<Self>> {
        if !meter.is_on() {
            return None;
        }
        let component = SharedString::from(name.clone());
        Some(Box::new(Self {
            grants: meter.gauge(&GRANTS, [component.clone()]),
            meter: meter.clone(),
            component,
            permits: Default::default(),
            denials: Mutex::default(),
            connections: Default::default(),
            datagrams: OnceLock::new(),
            lookups: Mutex::default(),
            lookup_duration: OnceLock::new(),
            calls: Default::default(),
            call_durations: Default::default(),
        }))
    }

    /// The counter of what was permitted, where something like it was before.
    pub(crate) fn known_permit(&self, attempt: &Attempt<'_>) -> Option<&Counter> {
        self.permits[place_of(attempt)].get()
    }

    /// Counts what was permitted.
    pub(crate) fn permit(&self, attempt: &Attempt<'_>) {
        let permit = || {
            let kind = attempt.operation().into();
            let values = [self.component.clone(), kind, "allow".into(), "none".into()];
            self.meter.counter(&ATTEMPTS, values)
        };
        self.permits[place_of(attempt)].get_or_init(permit).increment(1);
    }

    /// Counts what was refused for the reason with this code.
    pub(crate) fn deny(&self, operation: &'static str, reason: &'static str) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let denied = || {
            let values = [
                self.component.clone(),
                operation.into(),
                "deny".into(),
                reason.into(),
            ];
            self.meter.counter(&ATTEMPTS, values)
        };
        denials
            .entry((operation, reason))
            .or_insert_with(denied)
            .increment(1);
    }

    /// The handles for connections that come about by this attempt.
    pub(crate) fn connections(&self, attempt: &Attempt<'_>) -> &Arc<ConnectionCounts> {
        let kind = || SharedString::from(attempt.operation());
        let labels = || [self.component.clone(), kind()];
        let outcome = |outcome: &'static str| [self.component.clone(), kind(), outcome.into()];
        self.connections[place_of(attempt)].get_or_init(|| {
            Arc::new(ConnectionCounts {
                open: self.meter.gauge(&CONNECTIONS, labels()),
                succeeded: self.meter.counter(&CONNECTIONS_MADE, outcome("succeeded")),
                failed: self.meter.counter(&CONNECTIONS_MADE, outcome("failed")),
                sent: self.meter.counter(&SENT_BYTES, labels()),
                received: self.meter.counter(&RECEIVED_BYTES, labels()),
                duration: self.meter.histogram(&CONNECTION_DURATION, labels()),
            })
        })
    }

    /// The handles for datagrams.
    pub(crate) fn datagrams(&self) -> &DatagramCounts {
        let labels = |kind: &'static str| [self.component.clone(), kind.into()];
        self.datagrams.get_or_init(|| DatagramCounts {
            sent: self.meter.counter(&SENT_BYTES, labels("udp.send")),
            received: self.meter.counter(&RECEIVED_BYTES, labels("udp.receive")),
        })
    }

    /// Counts a look-up that took so many seconds.
    pub(crate) fn lookup(&self, outcome: &'static str, seconds: f64) {
        count(&self.lookups, outcome, || {
            self.meter
                .counter(&DNS_LOOKUPS, [self.component.clone(), outcome.into()])
        });
        let duration = || {
            let labels = [self.component.clone()];
            self.meter.histogram(&DNS_LOOKUP_DURATION, labels)
        };
        self.lookup_duration.get_or_init(duration).record(seconds);
    }

    /// Counts a call of an interface of the host that took so many seconds.
    pub(crate) fn call(&self, interface: HostInterface, outcome: &'static str, seconds: f64) {
        let named = || [self.component.clone(), interface.name().into()];
        count(&self.calls[interface as usize], outcome, || {
            let [component, interface] = named();
            self.meter
                .counter(&HOST_CALLS, [component, interface, outcome.into()])
        });
        let duration = || self.meter.histogram(&HOST_CALL_DURATION, named());
        self.call_durations[interface as usize]
            .get_or_init(duration)
            .record(seconds);
    }
}

fn count(outcomes: &Outcomes, outcome: &'static str, counter: impl FnOnce() -> Counter) {
    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, counted)) = outcomes.iter().find(|(own, _)| *own == outcome) {
        return counted.increment(1);
    }
    let counter = counter();
    counter.increment(1);
    outcomes.push((outcome, counter));
}
