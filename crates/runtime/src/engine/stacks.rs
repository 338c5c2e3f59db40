//! The stacks of the pool (ISO-1).
//!
//! An instance has one stack at a time, as long as it is not composed of parts that wait side by side in calls of the
//! host, each on a stack of its own. Wasmtime has a bound for all stacks and none for those of one instance; and it
//! does not say whose a stack is. It says how many are in use, so whoever turns to an instance looks at the number
//! before and after. Other threads take and give back stacks meanwhile, so what an instance seems to have is an
//! estimate. It is held against an instance only while more stacks are in use than all instances have in the ordinary,
//! which needs an instance that has very many.

use std::sync::atomic::{AtomicIsize, Ordering};

use wasmtime::PoolingAllocatorMetrics;

use crate::limits::TooManyStacks;

/// The stacks of an engine.
#[derive(Clone)]
pub(super) struct Stacks {
    metrics: Option<PoolingAllocatorMetrics>,
    /// The number that are in use before anybody is asked.
    ordinary: usize,
}

/// The stacks that one instance seems to have.
#[derive(Debug, Default)]
pub(crate) struct StackEstimate(AtomicIsize);

impl Stacks {
    /// Those of `engine`, whose instances are `instances` at most.
    pub(super) fn of(engine: &wasmtime::Engine, instances: u32) -> Self {
        Self {
            metrics: engine.pooling_allocator_metrics(),
            ordinary: (instances + SPARE_STACKS / 2) as usize,
        }
    }

    /// The number in use; 0 where the engine has no pool, and memory alone bounds them.
    pub(super) fn in_use(&self) -> usize {
        self.metrics.as_ref().map_or(0, PoolingAllocatorMetrics::stacks)
    }

    /// Notes what an instance took or gave back since `before` were in use.
    pub(super) fn settle(&self, before: usize, estimate: &StackEstimate) -> Result<(), TooManyStacks> {
        let now = self.in_use();
        let change = now as isize - before as isize;
        if change != 0 && estimate.0.fetch_add(change, Ordering::Relaxed) + change < 0 {
            estimate.0.store(0, Ordering::Relaxed);
        }
        if now > self.ordinary && estimate.0.load(Ordering::Relaxed) > MANY {
            Err(TooManyStacks)
        } else {
            Ok(())
        }
    }
}

/// Stacks of the pool beyond one for each instance that may live at a time.
pub(super) const SPARE_STACKS: u32 = 1024;

/// Stacks that an instance may seem to have, whatever others have.
const MANY: isize = 16;
