//! The counts of where compiled code came from.

use ::metrics::Counter;
use outport_egress::meter::Meter;

use crate::metrics::CODE_CACHE;

pub(super) struct CodeCounts {
    pub(super) hit: Counter,
    compiled: Counter,
    failed: Counter,
}

impl CodeCounts {
    pub(super) fn of(meter: &Meter) -> Self {
        let counter = |outcome: &'static str| meter.counter(&CODE_CACHE, [outcome.into()]);
        Self {
            hit: counter("hit"),
            compiled: counter("compiled"),
            failed: counter("failed"),
        }
    }

    /// Counts what compiling came to.
    pub(super) fn count<T, E>(&self, compiled: &Result<T, E>) {
        let counter = match compiled {
            Ok(_) => &self.compiled,
            Err(_) => &self.failed,
        };
        counter.increment(1);
    }
}

impl Default for CodeCounts {
    fn default() -> Self {
        Self::of(&Meter::default())
    }
}

impl std::fmt::Debug for CodeCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeCounts")
    }
}
