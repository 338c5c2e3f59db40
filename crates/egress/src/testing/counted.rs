//! A recorder that remembers what was counted, by name and labels. Nothing else of this crate is in here, so that the
//! tests of guests have it too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// What was counted. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Counted(Arc<Mutex<BTreeMap<String, Arc<Series>>>>);

#[derive(Default)]
struct Series(Mutex<f64>);

impl Counted {
    /// The value of a series, as `name{label,label}`: of a histogram how many there are. None if nobody asked for it.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let all = self.0.lock().unwrap();
        all.get(series).map(|series| *series.0.lock().unwrap())
    }

    /// All series that have been asked for.
    pub(crate) fn series(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn get(&self, key: &Key) -> Arc<Series> {
        let values: Vec<&str> = key.labels().map(|label| label.value()).collect();
        let series = format!("{}{{{}}}", key.name(), values.join(","));
        self.0.lock().unwrap().entry(series).or_default().clone()
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.get(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.get(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.get(key))
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        *self.0.lock().unwrap() += value as f64;
    }

    fn absolute(&self, value: u64) {
        *self.0.lock().unwrap() = value as f64;
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        *self.0.lock().unwrap() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock().unwrap() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        *self.0.lock().unwrap() += 1.0;
    }
}
