//! What one decision costs, by the number of entries: the policy of `crates/policy/benches`.

#[path = "../../crates/policy/benches/world/mod.rs"]
mod world;

use crate::contestants::Programs;
use crate::samples::Unit;
use crate::table::Table;
use outport_policy::Attempt;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;
use world::{World, connect, name};

const TIMES: u32 = 100_000;

pub(crate) fn decision(_: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("decision", "One decision", "10 entries");
    let below = name("a.b.zone1.example");
    let rows = [
        (
            "connect, allowed by a network",
            connect(Ipv4Addr::new(10, 1, 2, 3), 5432),
        ),
        (
            "connect, allowed by a grant",
            connect(Ipv4Addr::new(192, 0, 2, 1), 5432),
        ),
        ("connect, denied", connect(Ipv4Addr::new(203, 0, 113, 9), 5432)),
        ("look-up under a wildcard", Attempt::LookUp { name: &below }),
    ];
    let worlds = [
        ("10 entries", World::new(10)),
        ("1,000 entries", World::new(1_000)),
        ("100,000 entries", World::new(100_000)),
        ("1,000,000 entries", World::new(1_000_000)),
    ];
    for _ in 0..repetitions {
        for (what, attempt) in &rows {
            for (column, world) in &worlds {
                table.add(what, Unit::Nanoseconds, column, time(world, attempt));
            }
        }
    }
    table
}

/// Nanoseconds.
fn time(world: &World, attempt: &Attempt<'_>) -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        black_box(world.decide(black_box(attempt)));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
