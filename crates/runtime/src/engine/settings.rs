//! The settings of wasmtime's engine.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::stacks::SPARE_STACKS;
use crate::limits::{MAX_CORE_INSTANCES, MAX_GROWN_TABLE, MAX_MEMORIES, MAX_TABLES};

/// The engine cannot be built on this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the WebAssembly engine on this machine: {reason:#}")]
#[non_exhaustive]
pub struct EngineError {
    reason: wasmtime::Error,
}

/// An engine that compiles and runs nothing. What it compiles runs on every other one.
pub(crate) fn compiling() -> Result<wasmtime::Engine, EngineError> {
    single()
}

pub(super) fn single() -> Result<wasmtime::Engine, EngineError> {
    build(InstanceAllocationStrategy::OnDemand)
}

pub(super) fn pooled(instances: u32) -> Result<wasmtime::Engine, EngineError> {
    build(InstanceAllocationStrategy::Pooling(pool(instances)))
}

fn build(allocation: InstanceAllocationStrategy) -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(
        Config::new()
            .allocation_strategy(allocation)
            .epoch_interruption(true),
    )
    .map_err(|reason| EngineError { reason })
}

/// The settings of the pool: what it reserves. All of it is address space; memory is what instances touch, and what
/// [`KEEP_RESIDENT`] keeps of it for the next one.
///
/// There is as much of everything as all instances could use that have all that one component may have (ISO-1),
/// so nobody finds the pool empty because of what others declare. What one component may have is held when its code is
/// loaded; for stacks, which are taken one by one, see [`stacks`](super::stacks).
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        // One more for what the garbage collector manages.
        .total_memories(instances.saturating_mul(MAX_MEMORIES + 1))
        .total_tables(instances.saturating_mul(MAX_TABLES))
        .total_stacks(instances.saturating_add(SPARE_STACKS))
        .total_gc_heaps(instances)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memories_per_module(MAX_MEMORIES)
        .max_tables_per_module(MAX_TABLES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .async_stack_keep_resident(KEEP_STACK_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// CPython's table has about 8,000 elements; a debug build of a large program can have several times that.
const MAX_TABLE_ELEMENTS: usize = 100_000;

const _: () = assert!(MAX_TABLE_ELEMENTS <= MAX_GROWN_TABLE);

/// Slots that stay prepared for a component that is not running.
const WARM_SLOTS: u32 = 64;

/// Bytes of a slot that stay mapped between two instances and are reset by copying.
const KEEP_RESIDENT: usize = 256 * 1024;

/// Bytes of a stack that stay mapped between two instances. What a deep recursion used beyond is given back.
const KEEP_STACK_RESIDENT: usize = 32 * 1024;
