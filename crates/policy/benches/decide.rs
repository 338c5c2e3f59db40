//! What one decision costs, and that it does not grow with the number of entries.
//!
//! The list is a third names, a third wildcards and a third networks, each with its own port, which is the worst
//! mix for the index: every structure is populated. Three destinations are asked: one that a network near the
//! end of the list covers, one that a look-up granted, and one that nothing covers.

use divan::{Bencher, black_box};
use outport_policy::*;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [1, 10, 1_000, 100_000];

fn entry(n: usize) -> Entry {
    let port = 1024 + n % 50_000;
    let text = match n % 3 {
        0 => format!("*://host{n}.example:{port}"),
        1 => format!("*://*.zone{n}.example:{port}"),
        _ => format!("*://{}/24:{port}", network(n)),
    };
    Entry::parse(&text, Place::Code).expect("the entry is well formed")
}

fn network(n: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0B00_0000 + ((n as u32) << 8))
}

struct World {
    policy: Policy,
    grants: Grants,
    peers: Peers,
}

fn world(entries: usize) -> World {
    let granted = Entry::parse("*://db.example:5432", Place::Code).expect("the entry is well formed");
    let last = Entry::parse("*://10.0.0.0/8:5432", Place::Code).expect("the entry is well formed");
    let entries = (0..entries).map(entry).chain([granted, last]).collect();
    let mut grants = Grants::new(256);
    let name = Name::parse("db.example").expect("the name is well formed");
    let ticket = grants.begin(name);
    let addresses = vec![Ipv4Addr::new(192, 0, 2, 1).into()];
    grants.settle(
        ticket,
        Outcome::Answered {
            chain: Vec::new(),
            addresses,
        },
        Instant::now(),
    );
    World {
        policy: Policy::new(
            "bench",
            Arc::new(AllowList::compile(entries)),
            Arc::new(Operator::default()),
        ),
        grants,
        peers: Peers::from(&Quotas::default()),
    }
}

fn decide(bencher: Bencher<'_, '_>, entries: usize, ip: Ipv4Addr) {
    let world = world(entries);
    let now = Instant::now();
    let attempt = Attempt::Reach {
        transport: Transport::Tcp,
        remote: Endpoint::new(ip, 5432),
    };
    bencher.bench_local(|| {
        let situation = Situation {
            grants: &world.grants,
            peers: &world.peers,
            usage: Usage::default(),
            now,
        };
        black_box(world.policy.decide(black_box(&attempt), &situation).reason())
    });
}

#[divan::bench(args = SIZES)]
fn allowed_by_a_network(bencher: Bencher<'_, '_>, entries: usize) {
    decide(bencher, entries, Ipv4Addr::new(10, 1, 2, 3));
}

#[divan::bench(args = SIZES)]
fn allowed_by_a_grant(bencher: Bencher<'_, '_>, entries: usize) {
    decide(bencher, entries, Ipv4Addr::new(192, 0, 2, 1));
}

#[divan::bench(args = SIZES)]
fn denied(bencher: Bencher<'_, '_>, entries: usize) {
    decide(bencher, entries, Ipv4Addr::new(203, 0, 113, 9));
}
