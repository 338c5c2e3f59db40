//! What one decision costs, how little that depends on the number of entries, and that nothing is allocated.
//!
//! The first group asks the same question again and again. The groups that end in `anywhere` ask for a thousand
//! destinations in turn, spread over the list: what a decision costs whose data has not been used just before.

mod world;

use std::net::Ipv4Addr;

use divan::{AllocProfiler, Bencher, black_box};
use outport_policy::*;
use world::{World, connect, listed_address, listed_name, listed_port, name};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SIZES: [usize; 5] = [1, 10, 1_000, 100_000, 1_000_000];

fn decide(bencher: Bencher<'_, '_>, world: &World, attempt: Attempt<'_>) {
    bencher.bench_local(|| black_box(world.decide(black_box(&attempt))));
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn allowed_by_a_network(bencher: Bencher<'_, '_>, entries: usize) {
    let attempt = connect(Ipv4Addr::new(10, 1, 2, 3), 5432);
    decide(bencher, &World::new(entries), attempt);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn allowed_by_a_grant(bencher: Bencher<'_, '_>, entries: usize) {
    let attempt = connect(Ipv4Addr::new(192, 0, 2, 1), 5432);
    decide(bencher, &World::new(entries), attempt);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn allowed_by_a_grant_under_a_deny_list(bencher: Bencher<'_, '_>, entries: usize) {
    let attempt = connect(Ipv4Addr::new(192, 0, 2, 1), 5432);
    decide(bencher, &World::denied_as_many(entries), attempt);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn denied(bencher: Bencher<'_, '_>, entries: usize) {
    let attempt = connect(Ipv4Addr::new(203, 0, 113, 9), 5432);
    decide(bencher, &World::new(entries), attempt);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn request_by_name(bencher: Bencher<'_, '_>, entries: usize) {
    let host = Host::Name(name("db.example"));
    let attempt = Attempt::Request {
        scheme: &Scheme::HTTP,
        host: &host,
        port: 5432,
        method: RequestMethod::Other,
    };
    decide(bencher, &World::new(entries), attempt);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn lookup_under_a_wildcard(bencher: Bencher<'_, '_>, entries: usize) {
    let name = name("a.b.zone1.example");
    decide(bencher, &World::new(entries), Attempt::Lookup { name: &name });
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn addresses_anywhere(bencher: Bencher<'_, '_>, entries: usize) {
    let world = World::new(entries);
    let attempts: Vec<Attempt<'_>> = spread(entries)
        .map(|n| {
            let (ip, port) = listed_address(n);
            connect(ip, port)
        })
        .collect();
    decide_each(bencher, &world, &attempts);
}

#[divan::bench(args = SIZES, sample_size = 1000)]
fn names_anywhere(bencher: Bencher<'_, '_>, entries: usize) {
    let world = World::new(entries);
    let hosts: Vec<(Host, u16)> = spread(entries)
        .map(|n| (Host::Name(listed_name(n)), listed_port(n)))
        .collect();
    let attempts: Vec<Attempt<'_>> = hosts
        .iter()
        .map(|(host, port)| Attempt::Request {
            scheme: &Scheme::HTTP,
            host,
            port: *port,
            method: RequestMethod::Other,
        })
        .collect();
    decide_each(bencher, &world, &attempts);
}

fn decide_each(bencher: Bencher<'_, '_>, world: &World, attempts: &[Attempt<'_>]) {
    let mut next = attempts.iter().cycle();
    bencher.bench_local(|| {
        let attempt = next.next().expect("there are attempts");
        black_box(world.decide(black_box(attempt)))
    });
}

/// A thousand positions in the list, in no order.
fn spread(entries: usize) -> impl Iterator<Item = usize> {
    (0..1024usize).map(move |n| n.wrapping_mul(2_654_435_761) % entries)
}
