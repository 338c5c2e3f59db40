//! Whole runs of two instances against a model that is obviously right: random policies, look-ups whose answers
//! change and overtake each other, connections, datagrams both ways, requests, time, and operators who change
//! their minds. After every step the verdict and its reason are compared.
//!
//! ```text
//! random run ──step──► Policy, Grants, Peers ──► verdict, reason ─┐
//!                └───► lists walked from the front ──────────────┴─► must agree
//! ```
//!
//! [`model`] is the model, [`written`] the tables that runs are made of, [`run`] makes the steps. The fuzz target
//! `runs` makes the same steps of bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod model;
mod run;
mod written;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use model::{MOST_IN_FLIGHT, MOperator, PEER_IDLE};
use run::{Instance, Run, Said, Step};
use written::{HOSTS, LEARNERS, NAMES, PLACES, PORTS, Place, RANGES, SCHEMES, Written};

fn written() -> impl Strategy<Value = Written> {
    (
        subsequence(SCHEMES.to_vec(), 1..=2),
        select(HOSTS.to_vec()),
        subsequence(RANGES.to_vec(), 1..=2),
    )
        .prop_map(|(schemes, host, ranges)| Written {
            schemes,
            host,
            ranges,
        })
}

/// What one run is about: a few of everything, so that its steps meet each other.
#[derive(Clone, Debug)]
struct Scene {
    names: Vec<&'static str>,
    places: Vec<Place>,
    ports: Vec<u16>,
}

fn scene() -> impl Strategy<Value = Scene> {
    (
        subsequence(NAMES.to_vec(), 1..=4),
        subsequence(PLACES.to_vec(), 1..=4),
        subsequence(PORTS.to_vec(), 1..=3),
    )
        .prop_map(|(names, places, ports)| Scene { names, places, ports })
}

impl Scene {
    fn name(&self) -> impl Strategy<Value = &'static str> + use<> {
        select(self.names.clone())
    }

    fn place(&self) -> impl Strategy<Value = Place> + use<> {
        select(self.places.clone())
    }

    fn port(&self) -> impl Strategy<Value = u16> + use<> {
        select(self.ports.clone())
    }

    fn said(&self) -> impl Strategy<Value = Said> + use<> {
        let chain = proptest::collection::vec(self.name(), 0..2);
        let places = proptest::collection::vec(self.place(), 1..4);
        prop_oneof![
            6 => (chain, places).prop_map(|(chain, places)| Said::Addresses(chain, places)),
            1 => Just(Said::NoSuchName),
            1 => Just(Said::Failed),
            1 => Just(Said::Abandoned),
        ]
    }

    fn step(&self) -> impl Strategy<Value = Step> + use<> {
        let scheme = || select(vec!["http", "redis"]);
        let chain = proptest::collection::vec(self.name(), 0..2);
        prop_oneof![
            6 => self.name().prop_map(Step::LookUp),
            6 => (0..MOST_IN_FLIGHT, self.said()).prop_map(|(which, said)| Step::Answer(which, said)),
            6 => (self.place(), self.port()).prop_map(|(place, port)| Step::Connect(place, port)),
            5 => (self.place(), self.port()).prop_map(|(place, port)| Step::Send(place, port)),
            5 => (self.place(), self.port()).prop_map(|(place, port)| Step::Receive(place, port)),
            1 => (self.name(), scheme(), self.port())
                .prop_map(|(name, scheme, port)| Step::Request(name, scheme, port)),
            1 => (self.place(), scheme(), self.port())
                .prop_map(|(place, scheme, port)| Step::RequestTo(place, scheme, port)),
            1 => (self.name(), chain, self.place(), scheme(), self.port())
                .prop_map(|(name, chain, place, scheme, port)| Step::Dial(name, chain, place, scheme, port)),
            3 => select(vec![1, PEER_IDLE / 2, PEER_IDLE - 2, PEER_IDLE - 1]).prop_map(Step::Wait),
            1 => operator().prop_map(Step::Reload),
        ]
    }
}

/// The author's entries; in every second run one permits almost everything, so that what comes behind it counts.
fn allow() -> impl Strategy<Value = Vec<Written>> {
    let wide = Written {
        schemes: vec!["*"],
        host: HOSTS[0],
        ranges: vec![RANGES[0]],
    };
    let entries = || proptest::collection::vec(written(), 0..5);
    prop_oneof![
        entries(),
        entries().prop_map(move |mut entries| {
            entries.push(wide.clone());
            entries
        }),
    ]
}

fn operator() -> impl Strategy<Value = MOperator> {
    let learned = |place| proptest::collection::vec((select(LEARNERS.to_vec()), place), 0..3);
    let strict = (
        proptest::collection::vec(written(), 0..4),
        proptest::array::uniform4(any::<bool>()),
        learned(select(PLACES.to_vec())),
    );
    let strict = strict.prop_map(
        |(deny, [udp, low_ports, link, loopback_answers], learned)| MOperator {
            deny,
            udp,
            low_ports,
            link,
            loopback_answers,
            learned,
        },
    );
    let lax = MOperator {
        udp: true,
        low_ports: true,
        link: true,
        loopback_answers: true,
        ..MOperator::default()
    };
    prop_oneof![2 => strict, 1 => Just(lax)]
}

fn play() -> impl Strategy<Value = (Vec<Written>, MOperator, Vec<(bool, Step)>)> {
    scene().prop_flat_map(|scene| {
        let steps = (proptest::bool::weighted(0.2), scene.step());
        (allow(), operator(), proptest::collection::vec(steps, 1..80))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 6144, ..ProptestConfig::default() })]

    // proves: ORD-1, ORD-3, HL-4, HL-5, HL-6, HL-7, RL-1, RL-2, RL-3, RL-4, RL-5, DL-1, DL-2, DL-3, DL-4, DL-5, DL-9
    // proves: AL-3, AL-4, AL-5, AL-6, DNS-1, DNS-3, DNS-4, DNS-5, DNS-7, DNS-9, DNS-12
    #[test]
    fn a_whole_run_ends_every_step_as_the_naive_model_says(
        (allow, operator, steps) in play(),
    ) {
        let mut run = Run::new(allow, operator);
        let mut instances = [Instance::new(), Instance::new()];
        for (which, step) in steps {
            let agreed = run.step(&mut instances[usize::from(which)], step);
            prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
        }
    }
}
