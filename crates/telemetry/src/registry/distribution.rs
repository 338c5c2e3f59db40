//! How often values were so large: the cell of a histogram.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{GaugeFn, HistogramFn};

use super::snapshot::Value;

/// The counts of a histogram, which many threads add to.
pub(super) struct Distribution {
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond. Each value is in one of them.
    buckets: Box<[AtomicU64]>,
    /// The bits of a floating-point number.
    sum: AtomicU64,
}

impl Distribution {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// The counts now. A value that is added meanwhile may be in the sum and not in a bucket, or the other way round.
    pub(super) fn value(&self) -> Value {
        let buckets = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        Value::Distribution {
            bounds: self.bounds,
            buckets: buckets.collect(),
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
    }
}

impl HistogramFn for Distribution {
    fn record(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        GaugeFn::increment(&self.sum, value);
    }
}
