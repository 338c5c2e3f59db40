//! The counts of a component's instances: how many are alive, were started, and ended in which way.
//!
//! An instance is alive from when its store is made until that is gone. Whoever runs it says how it ended; where that is
//! dropped before, it was cut off.

use std::sync::{Arc, OnceLock};

use ::metrics::{Counter, Gauge};
use outport_egress::meter::Meter;

use crate::limits::{ComputedTooLong, HoldsTooMuch, TooManyStacks};
use crate::metrics::{GUEST_CPU, GUEST_MEMORY, INSTANCES, INSTANCES_ENDED, INSTANCES_STARTED};

/// The counts of one component. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct InstanceCounts(Option<Arc<Handles>>);

struct Handles {
    meter: Meter,
    component: String,
    alive: Gauge,
    started: Counter,
    /// In the order of [`InstanceEnd`]; each is made when it is first needed.
    ended: [OnceLock<Counter>; InstanceEnd::ALL.len()],
    cpu: Counter,
    memory: Gauge,
}

/// An instance that is counted among those that are alive until this is dropped.
pub(crate) struct LiveInstance {
    counts: InstanceCounts,
    end: InstanceEnd,
}

/// The way in which an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceEnd {
    Completed,
    Trapped,
    MaxCpuTime,
    MaxMemory,
    MaxTime,
    ResponseTimeout,
    Stacks,
    CutOff,
}

impl InstanceCounts {
    /// The counts of this component; none if the meter does not record.
    pub(crate) fn of(meter: &Meter, component: &str) -> Self {
        let label = || component.to_owned().into();
        Self(meter.is_on().then(|| {
            Arc::new(Handles {
                alive: meter.gauge(&INSTANCES, [label()]),
                started: meter.counter(&INSTANCES_STARTED, [label()]),
                ended: Default::default(),
                cpu: meter.counter(&GUEST_CPU, [label()]),
                memory: meter.gauge(&GUEST_MEMORY, [label()]),
                component: component.to_owned(),
                meter: meter.clone(),
            })
        }))
    }

    /// Counts an instance.
    pub(crate) fn start(&self) -> LiveInstance {
        if let Some(handles) = &self.0 {
            handles.started.increment(1);
            handles.alive.increment(1.0);
        }
        LiveInstance {
            counts: self.clone(),
            end: InstanceEnd::CutOff,
        }
    }

    /// The count of the processor time, in nanoseconds.
    pub(crate) fn cpu(&self) -> Counter {
        self.0
            .as_ref()
            .map_or_else(Counter::noop, |handles| handles.cpu.clone())
    }

    /// The measure of the memory, in bytes.
    pub(crate) fn memory(&self) -> Gauge {
        self.0
            .as_ref()
            .map_or_else(Gauge::noop, |handles| handles.memory.clone())
    }
}

impl Handles {
    fn end(&self, end: InstanceEnd) {
        self.alive.decrement(1.0);
        let counter = self.ended[end as usize].get_or_init(|| {
            let values = [self.component.clone().into(), end.outcome().into()];
            self.meter.counter(&INSTANCES_ENDED, values)
        });
        counter.increment(1);
    }
}

impl LiveInstance {
    /// The instance has ended so.
    pub(crate) fn ended(mut self, end: InstanceEnd) {
        self.end = end;
    }
}

impl Drop for LiveInstance {
    fn drop(&mut self) {
        if let Some(handles) = &self.counts.0 {
            handles.end(self.end);
        }
    }
}

impl InstanceEnd {
    const ALL: [Self; 8] = [
        Self::Completed,
        Self::Trapped,
        Self::MaxCpuTime,
        Self::MaxMemory,
        Self::MaxTime,
        Self::ResponseTimeout,
        Self::Stacks,
        Self::CutOff,
    ];

    /// The end of an instance that ran to it.
    pub(crate) fn of<T>(ended: &wasmtime::Result<T>) -> Self {
        ended.as_ref().map_or_else(Self::by, |_| Self::Completed)
    }

    /// The end of an instance by an error.
    pub(crate) fn by(error: &wasmtime::Error) -> Self {
        if error.is::<ComputedTooLong>() {
            Self::MaxCpuTime
        } else if error.is::<HoldsTooMuch>() {
            Self::MaxMemory
        } else if error.is::<TooManyStacks>() {
            Self::Stacks
        } else {
            Self::Trapped
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Trapped => "trapped",
            Self::MaxCpuTime => "max-cpu-time",
            Self::MaxMemory => "max-memory",
            Self::MaxTime => "max-time",
            Self::ResponseTimeout => "response-timeout",
            Self::Stacks => "stacks",
            Self::CutOff => "cut-off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_end_is_named_by_its_limit() {
        let limit = Duration::ZERO;
        // (error, outcome)
        for (error, outcome) in [
            (wasmtime::Error::new(ComputedTooLong { limit }), "max-cpu-time"),
            (wasmtime::Error::new(HoldsTooMuch { held: 1 }), "max-memory"),
            (
                wasmtime::Error::new(TooManyStacks).context("in a function"),
                "stacks",
            ),
            (
                wasmtime::Error::new(wasmtime::Trap::UnreachableCodeReached),
                "trapped",
            ),
        ] {
            let told = format!("{error:#}");
            assert_eq!(InstanceEnd::of(&Err::<(), _>(error)).outcome(), outcome, "{told}");
        }
        assert_eq!(InstanceEnd::of(&Ok(())).outcome(), "completed");
        for (number, end) in InstanceEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, number, "{end:?}");
        }
    }
}
