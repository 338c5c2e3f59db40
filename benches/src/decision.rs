//! What one decision costs, by the number of entries: the policy of `crates/policy/benches`.

#[path = "../../crates/policy/benches/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use outport_policy::Attempt;
use world::{World, connect, listed_address, listed_name, name};

use crate::contestants::Programs;
use crate::samples::Unit;
use crate::table::Table;

const TIMES: u32 = 100_000;

/// What is asked of a list of so many entries, a third of them names, a third wildcards, a third networks.
type Question = fn(&World, usize) -> f64;

/// A row for each kind of entry that may decide; the entry is one of the list's own where there is such.
const ROWS: [(&str, Question); 6] = [
    ("look-up, by a name", |world, entries| {
        let name = listed_name(entries / 2);
        time(world, &Attempt::Lookup { name: &name })
    }),
    ("look-up, by a wildcard", |world, _| {
        let name = name("a.b.zone1.example");
        time(world, &Attempt::Lookup { name: &name })
    }),
    ("connect, by a network", |world, _| {
        time(world, &connect(Ipv4Addr::new(10, 1, 2, 3), 5432))
    }),
    ("connect, by a network of the list", |world, entries| {
        let (address, port) = listed_address(entries / 2);
        time(world, &connect(address, port))
    }),
    ("connect, by a grant", |world, _| {
        time(world, &connect(Ipv4Addr::new(192, 0, 2, 1), 5432))
    }),
    ("connect, denied", |world, _| {
        time(world, &connect(Ipv4Addr::new(203, 0, 113, 9), 5432))
    }),
];

pub(crate) fn decision(_: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("decision", "One decision", "10 entries");
    let worlds = [
        ("10 entries", 10),
        ("1,000 entries", 1_000),
        ("100,000 entries", 100_000),
        ("1,000,000 entries", 1_000_000),
    ];
    let worlds = worlds.map(|(column, entries)| (column, entries, World::new(entries)));
    for _ in 0..repetitions {
        for (what, question) in ROWS {
            for (column, entries, world) in &worlds {
                table.add(what, Unit::Nanoseconds, column, question(world, *entries));
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
