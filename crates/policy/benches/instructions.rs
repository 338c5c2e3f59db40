//! Work to count instructions of: one scenario, named on the command line, so many times.
//!
//! `scripts/bench --check-instructions` runs this under callgrind, which counts what [`measured`] executes and
//! nothing else, and compares the counts with those in `benches/instructions.toml`.

#![allow(clippy::print_stdout, reason = "a script reads the list of scenarios")]

mod world;

use std::hint::black_box;
use std::net::Ipv4Addr;

use outport_policy::*;
use world::{World, connect, name};

/// How often a scenario is repeated.
const TIMES: u64 = 1000;

/// What can be asked for. The number is that of the entries; `denying` adds as many for the operator.
const SCENARIOS: [&str; 10] = [
    "network-10",
    "network-100k",
    "grant-10",
    "grant-100k",
    "grant-100k-denying-100k",
    "denied-10",
    "denied-100k",
    "request-100k",
    "look-up-100k",
    "parse-entry",
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--list") => println!("{}", SCENARIOS.join("\n")),
        // `cargo test` and `cargo bench` start every benchmark, with options of their own.
        None => {}
        Some(option) if option.starts_with('-') => {}
        Some(scenario) => perform(scenario),
    }
}

fn perform(scenario: &str) {
    let by_name = Host::Name(name("db.example"));
    let below = name("a.b.zone1.example");
    let grant = connect(Ipv4Addr::new(192, 0, 2, 1), 5432);
    let network = connect(Ipv4Addr::new(10, 1, 2, 3), 5432);
    let nothing = connect(Ipv4Addr::new(203, 0, 113, 9), 5432);
    let request = Attempt::Request {
        scheme: &Scheme::HTTP,
        host: &by_name,
        port: 5432,
        method: RequestMethod::Other,
    };
    let lookup = Attempt::Lookup { name: &below };
    match scenario {
        "network-10" => repeat(&World::new(10), &network),
        "network-100k" => repeat(&World::new(100_000), &network),
        "grant-10" => repeat(&World::new(10), &grant),
        "grant-100k" => repeat(&World::new(100_000), &grant),
        "grant-100k-denying-100k" => repeat(&World::denied_as_many(100_000), &grant),
        "denied-10" => repeat(&World::new(10), &nothing),
        "denied-100k" => repeat(&World::new(100_000), &nothing),
        "request-100k" => repeat(&World::new(100_000), &request),
        "look-up-100k" => repeat(&World::new(100_000), &lookup),
        "parse-entry" => parse(),
        unknown => panic!("there is no scenario `{unknown}`"),
    }
}

fn repeat(world: &World, attempt: &Attempt<'_>) {
    for _ in 0..TIMES {
        measured(|| world.decide(black_box(attempt)));
    }
}

fn parse() {
    for _ in 0..TIMES {
        measured(|| {
            Entry::parse(
                black_box("*://{db,cache}.example.com:{5432,6000-6100}"),
                Location::Code,
            )
        });
    }
}

/// What callgrind looks for.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) {
    let _ = black_box(work());
}
