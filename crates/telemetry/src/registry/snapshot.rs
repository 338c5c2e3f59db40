//! What was counted until a moment, as plain values.

use std::sync::Arc;
use std::time::SystemTime;

use metrics::{Label, SharedString, Unit};
use outport_egress::meter::MetricKind;

/// All counts at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The time from which on was counted.
    pub since: SystemTime,
    /// The moment.
    pub at: SystemTime,
    /// The metrics that have series, by their names.
    pub families: Vec<Family>,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name, such as `outport_http_requests_total`.
    pub name: String,
    /// A sentence on what is counted; empty where nobody said it.
    pub help: SharedString,
    /// The unit, if it has one.
    pub unit: Option<Unit>,
    /// The kind.
    pub kind: FamilyKind,
    /// The series, by their labels.
    pub series: Vec<Series>,
}

/// The kinds, as tools know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It is as much as there is now.
    Gauge,
    /// How often values were so large.
    Histogram,
}

impl FamilyKind {
    pub(super) fn of(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter | MetricKind::Time => Self::Counter,
            MetricKind::Gauge => Self::Gauge,
            MetricKind::Histogram(_) => Self::Histogram,
        }
    }
}

/// One series of a metric.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels, in the order of the description.
    pub labels: Arc<[Label]>,
    /// The value.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// How many.
    Count(u64),
    /// How much.
    Amount(f64),
    /// How often values were so large.
    Distribution {
        /// The upper bounds, of which each is part of its bucket.
        bounds: &'static [f64],
        /// The numbers of values in each bucket alone: one more than there are bounds, the last for what is beyond.
        buckets: Vec<u64>,
        /// The sum of all values.
        sum: f64,
    },
}
