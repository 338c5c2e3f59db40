//! The place where counts go: a recorder of the [`metrics`] crate, which an embedder has for one system of
//! metrics or another. No global one is asked or installed.
//!
//! What is counted is declared once, as a [`MetricDescription`]; its labels have to be given in that order, and each has a
//! bounded number of values: nothing that a guest, a client or a peer chooses is one.

use std::fmt;
use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString, Unit};

/// What a metric is, and what it is called: the page that documents it and the code that counts say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDescription {
    /// The name, by the conventions of Prometheus: a base unit at its end, and `_total` for what only grows.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The unit, if it has one.
    pub unit: Option<Unit>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// A sentence on what is counted.
    pub help: &'static str,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// A time that only grows: what counts it adds whole nanoseconds, and tools are told seconds.
    Time,
    /// It is as much as there is now.
    Gauge,
    /// How often values were so large, or less.
    Histogram(Buckets),
}

/// The bounds of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// Of times: 14 bounds between half a millisecond and a minute, in seconds.
    Durations,
}

impl Buckets {
    /// The upper bounds, of which each is part of its bucket.
    pub fn bounds(self) -> &'static [f64] {
        match self {
            Self::Durations => &[
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
            ],
        }
    }
}

/// A recorder and how to get at its metrics. Cheap to clone. Without a recorder nothing is counted, which costs a branch.
#[derive(Clone, Default)]
pub struct Meter(Option<Arc<dyn Recorder + Send + Sync>>);

impl Meter {
    /// A meter that counts by this recorder.
    pub fn new(recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        Self(Some(recorder))
    }

    /// True if there is a recorder, so that what is only counted is worth finding out.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the recorder what there is.
    pub fn describe(&self, metrics: &[MetricDescription]) {
        let Some(recorder) = &self.0 else { return };
        for metric in metrics {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                MetricKind::Counter | MetricKind::Time => recorder.describe_counter(name, metric.unit, help),
                MetricKind::Gauge => recorder.describe_gauge(name, metric.unit, help),
                MetricKind::Histogram(_) => recorder.describe_histogram(name, metric.unit, help),
            }
        }
    }

    /// The counter with these values of its labels, in the order of the description.
    pub fn counter<const N: usize>(&self, metric: &MetricDescription, values: [SharedString; N]) -> Counter {
        debug_assert!(matches!(metric.kind, MetricKind::Counter | MetricKind::Time));
        match &self.0 {
            Some(recorder) => recorder.register_counter(&key(metric, values), &METADATA),
            None => Counter::noop(),
        }
    }

    /// The gauge with these values of its labels.
    pub fn gauge<const N: usize>(&self, metric: &MetricDescription, values: [SharedString; N]) -> Gauge {
        debug_assert_eq!(metric.kind, MetricKind::Gauge);
        match &self.0 {
            Some(recorder) => recorder.register_gauge(&key(metric, values), &METADATA),
            None => Gauge::noop(),
        }
    }

    /// The histogram with these values of its labels.
    pub fn histogram<const N: usize>(
        &self,
        metric: &MetricDescription,
        values: [SharedString; N],
    ) -> Histogram {
        debug_assert!(matches!(metric.kind, MetricKind::Histogram(_)));
        match &self.0 {
            Some(recorder) => recorder.register_histogram(&key(metric, values), &METADATA),
            None => Histogram::noop(),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

fn key<const N: usize>(metric: &MetricDescription, values: [SharedString; N]) -> Key {
    debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
    let names = metric.labels.iter();
    let labels: Vec<Label> = names
        .zip(values)
        .map(|(name, value)| Label::new(*name, value))
        .collect();
    Key::from_parts(metric.name, labels)
}

static METADATA: Metadata<'static> = Metadata::new("outport", Level::INFO, None);
