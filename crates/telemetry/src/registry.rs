//! The counts of the process: a recorder of the `metrics` crate, of which tools are told by [snapshots](Snapshot).
//!
//! ```text
//! gate, runtime ── handles: atomics ──┐
//! collectors: what is known elsewhere ┴─▶ Registry ── collect ──▶ Snapshot ─┬─▶ text, for Prometheus
//!                                                                           └─▶ OTLP
//! ```
//!
//! A handle is made once for each series and counts without a lock. What is known elsewhere anyway, such as open files, is
//! not counted on the way: a collector sets it when somebody collects, and nothing polls. Of each metric there are
//! [`SERIES_OF_A_METRIC`] series at most. Further ones count nothing, which is counted itself and said once: labels are
//! bounded where they are given, and this holds where one is not.

mod accept;
mod distribution;
mod snapshot;
mod text;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use outport_egress::meter::{Buckets, Meter, MetricDescription, MetricKind};

pub use self::accept::TextForm;
use self::distribution::Distribution;
pub use self::snapshot::{Family, FamilyKind, Series, Snapshot, Value};
use crate::process;

/// The counts of a process.
pub struct Registry {
    since: SystemTime,
    metrics: Mutex<BTreeMap<String, Metric>>,
    collectors: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    /// Series that there was no place for.
    not_kept: Counter,
    told: AtomicBool,
}

struct Metric {
    kind: MetricKind,
    unit: Option<Unit>,
    help: SharedString,
    /// By their labels, which are written in the order of the description.
    series: BTreeMap<Arc<[Label]>, Cell>,
}

/// The number behind a handle.
#[derive(Clone)]
enum Cell {
    Count(Arc<AtomicU64>),
    /// The bits of a floating-point number.
    Amount(Arc<AtomicU64>),
    Distribution(Arc<Distribution>),
}

/// Series of one metric.
pub const SERIES_OF_A_METRIC: usize = 10_000;

impl Registry {
    /// A registry of what is described. What nobody described is kept all the same, without a word on what it is.
    pub fn new<'d>(described: impl IntoIterator<Item = &'d MetricDescription>) -> Arc<Self> {
        let mut metrics: BTreeMap<_, _> = described
            .into_iter()
            .map(|metric| (metric.name.to_owned(), Metric::new(metric)))
            .collect();
        let dropped = metrics
            .entry(process::DROPPED.name.to_owned())
            .or_insert_with(|| Metric::new(&process::DROPPED));
        let not_kept = Arc::new(AtomicU64::new(0));
        let labels = [Label::new("signal", "series")].into();
        dropped.series.insert(labels, Cell::Count(not_kept.clone()));
        Arc::new(Self {
            since: SystemTime::now(),
            metrics: Mutex::new(metrics),
            collectors: Mutex::default(),
            not_kept: Counter::from_arc(not_kept),
            told: AtomicBool::new(false),
        })
    }

    /// The meter that counts here.
    pub fn meter(self: &Arc<Self>) -> Meter {
        Meter::new(self.clone())
    }

    /// Has `collector` called before each collection, on the thread that collects, to set what is known elsewhere.
    pub fn on_collect(&self, collector: impl Fn() + Send + Sync + 'static) {
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        collectors.push(Arc::new(collector));
    }

    /// The counts now. Those who count do not wait for it.
    pub fn collect(&self) -> Snapshot {
        let collectors = self
            .collectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        collectors.iter().for_each(|collector| collector());
        // Copied before it is read: whoever makes a handle meanwhile waits for that alone.
        let metrics: Vec<_> = {
            let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
            let with_series = metrics.iter().filter(|(_, metric)| !metric.series.is_empty());
            with_series
                .map(|(name, metric)| {
                    let series = metric.series.iter();
                    let series: Vec<_> = series
                        .map(|(labels, cell)| (labels.clone(), cell.clone()))
                        .collect();
                    (
                        name.clone(),
                        metric.kind,
                        metric.unit,
                        metric.help.clone(),
                        series,
                    )
                })
                .collect()
        };
        let families = metrics
            .into_iter()
            .map(|(name, kind, unit, help, series)| Family {
                name,
                help,
                unit,
                kind: FamilyKind::of(kind),
                series: series
                    .into_iter()
                    .map(|(labels, cell)| Series {
                        labels,
                        value: cell.value(kind),
                    })
                    .collect(),
            });
        Snapshot {
            since: self.since,
            at: SystemTime::now(),
            families: families.collect(),
        }
    }

    /// The cell of a series, which is made if there is a place for it.
    fn cell(&self, key: &Key, kind: MetricKind) -> Option<Cell> {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = match metrics.get_mut(key.name()) {
            Some(metric) => metric,
            None => metrics
                .entry(key.name().to_owned())
                .or_insert_with(|| Metric::unknown(kind)),
        };
        if std::mem::discriminant(&FamilyKind::of(metric.kind))
            != std::mem::discriminant(&FamilyKind::of(kind))
        {
            return None;
        }
        let places = SERIES_OF_A_METRIC.saturating_sub(metric.series.len());
        let kind = metric.kind;
        match metric.series.entry(key.labels().cloned().collect()) {
            Entry::Occupied(series) => Some(series.get().clone()),
            Entry::Vacant(place) if places > 0 => Some(place.insert(Cell::new(kind)).clone()),
            Entry::Vacant(_) => {
                drop(metrics);
                self.tell_of_no_place(key.name());
                None
            }
        }
    }

    fn tell_of_no_place(&self, name: &str) {
        self.not_kept.increment(1);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the metric `{name}` has {SERIES_OF_A_METRIC} series, and gets no more (of others this is not said again)"
            );
        }
    }

    fn describe(&self, name: &KeyName, kind: MetricKind, unit: Option<Unit>, help: SharedString) {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = metrics
            .entry(name.as_str().to_owned())
            .or_insert_with(|| Metric::unknown(kind));
        metric.unit = unit;
        metric.help = help;
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, MetricKind::Counter, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, MetricKind::Gauge, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, UNKNOWN_HISTOGRAM, unit, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.cell(key, MetricKind::Counter) {
            Some(Cell::Count(count)) => Counter::from_arc(count),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.cell(key, MetricKind::Gauge) {
            Some(Cell::Amount(amount)) => Gauge::from_arc(amount),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.cell(key, UNKNOWN_HISTOGRAM) {
            Some(Cell::Distribution(distribution)) => Histogram::from_arc(distribution),
            _ => Histogram::noop(),
        }
    }
}

impl Metric {
    fn new(metric: &MetricDescription) -> Self {
        Self {
            kind: metric.kind,
            unit: metric.unit,
            help: metric.help.into(),
            series: BTreeMap::new(),
        }
    }

    fn unknown(kind: MetricKind) -> Self {
        Self {
            kind,
            unit: None,
            help: SharedString::const_str(""),
            series: BTreeMap::new(),
        }
    }
}

impl Cell {
    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter | MetricKind::Time => Self::Count(Arc::default()),
            MetricKind::Gauge => Self::Amount(Arc::default()),
            MetricKind::Histogram(buckets) => {
                Self::Distribution(Arc::new(Distribution::new(buckets.bounds())))
            }
        }
    }

    fn value(&self, kind: MetricKind) -> Value {
        match self {
            Self::Count(count) => {
                let count = count.load(Ordering::Relaxed);
                match kind {
                    MetricKind::Time => Value::Amount(count as f64 / 1e9),
                    _ => Value::Count(count),
                }
            }
            Self::Amount(amount) => Value::Amount(f64::from_bits(amount.load(Ordering::Relaxed))),
            Self::Distribution(distribution) => distribution.value(),
        }
    }
}

const UNKNOWN_HISTOGRAM: MetricKind = MetricKind::Histogram(Buckets::Durations);

#[cfg(test)]
mod tests;
