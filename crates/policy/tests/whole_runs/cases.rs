//! Random cases: what two instances may do, and in which world.
//!
//! The seed of the cases is printed, and shown when a test fails; `OUTPORT_CASES_SEED` runs them again.

use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use super::model::{MOST_IN_FLIGHT, MOST_NAMES, MOperator, PEER_IDLE};
use super::step::{Said, Step};
use super::written::{HOSTS, LEARNERS, MHost, NAMES, PORTS, RANGES, SCHEMES, TARGETS, Target, Written};

/// The author's list, the operator, and the steps, each of the first or of the second instance.
pub(crate) type Case = (Vec<Written>, MOperator, Vec<(bool, Step)>);

/// Runs `number` random cases, and panics with the shortest one that is found to fail.
pub(crate) fn run_all(number: u32, test: impl Fn(Case) -> Result<(), String>) {
    let written = std::env::var("OUTPORT_CASES_SEED").ok();
    let seed = written.map_or_else(|| RandomState::new().hash_one(()), |seed| seed.parse().unwrap());
    eprintln!("the seed of these cases: OUTPORT_CASES_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        failure_persistence: None,
        cases: number,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let test = |case| test(case).map_err(TestCaseError::fail);
    match TestRunner::new_with_rng(config, rng).run(&case(), test) {
        Err(TestError::Fail(how, case)) => panic!("{how}\nin the case {case:#?}"),
        other => other.unwrap(),
    }
}

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
    targets: Vec<Target>,
    ports: Vec<u16>,
}

fn scene() -> impl Strategy<Value = Scene> {
    let names = prop_oneof![
        subsequence(NAMES.to_vec(), 1..=4),
        Just(NAMES[..MOST_NAMES + 1].to_vec()),
    ];
    (
        names,
        subsequence(TARGETS.to_vec(), 1..=4),
        subsequence(PORTS.to_vec(), 1..=3),
    )
        .prop_map(|(names, targets, ports)| Scene {
            names,
            targets,
            ports,
        })
}

impl Scene {
    fn name(&self) -> impl Strategy<Value = &'static str> + use<> {
        select(self.names.clone())
    }

    fn target(&self) -> impl Strategy<Value = Target> + use<> {
        select(self.targets.clone())
    }

    fn port(&self) -> impl Strategy<Value = u16> + use<> {
        select(self.ports.clone())
    }

    fn said(&self) -> impl Strategy<Value = Said> + use<> {
        let chain = proptest::collection::vec(self.name(), 0..2);
        let targets = proptest::collection::vec(self.target(), 1..4);
        prop_oneof![
            6 => (chain, targets).prop_map(|(chain, targets)| Said::Addresses(chain, targets)),
            1 => Just(Said::NoSuchName),
            1 => Just(Said::Failed),
            1 => Just(Said::Abandoned),
        ]
    }

    /// Mostly look-ups, so that they overtake each other and make room for each other.
    fn lookup_step(&self) -> impl Strategy<Value = Step> + use<> {
        prop_oneof![
            8 => self.name().prop_map(Step::Lookup),
            8 => (0..MOST_IN_FLIGHT, self.said()).prop_map(|(which, said)| Step::Answer(which, said)),
            1 => self.step(),
        ]
    }

    fn step(&self) -> impl Strategy<Value = Step> + use<> {
        let scheme = || select(vec!["http", "redis"]);
        let chain = proptest::collection::vec(self.name(), 0..2);
        prop_oneof![
            6 => self.name().prop_map(Step::Lookup),
            6 => (0..MOST_IN_FLIGHT, self.said()).prop_map(|(which, said)| Step::Answer(which, said)),
            6 => (self.target(), self.port()).prop_map(|(target, port)| Step::Connect(target, port)),
            5 => (self.target(), self.port()).prop_map(|(target, port)| Step::Send(target, port)),
            5 => (self.target(), self.port()).prop_map(|(target, port)| Step::Receive(target, port)),
            1 => (self.name(), scheme(), self.port())
                .prop_map(|(name, scheme, port)| Step::Request(name, scheme, port)),
            1 => (self.target(), scheme(), self.port())
                .prop_map(|(target, scheme, port)| Step::RequestTo(target, scheme, port)),
            1 => (self.name(), chain, self.target(), scheme(), self.port())
                .prop_map(|(name, chain, target, scheme, port)| Step::Dial(name, chain, target, scheme, port)),
            3 => select(vec![1, PEER_IDLE / 2, PEER_IDLE - 2, PEER_IDLE - 1]).prop_map(Step::Wait),
            1 => operator().prop_map(Step::Reload),
        ]
    }
}

/// The author's entries. In two of three runs there is one more that permits almost everything, by address or by name,
/// so that what comes behind it counts.
fn allow() -> impl Strategy<Value = Vec<Written>> {
    let wide = |host| Written {
        schemes: vec!["*"],
        host,
        ranges: vec![RANGES[0]],
    };
    let entries = || proptest::collection::vec(written(), 0..5);
    let with = move |host| {
        entries().prop_map(move |mut entries| {
            entries.push(wide(host));
            entries
        })
    };
    prop_oneof![entries(), with(MHost::Any), with(MHost::Below("test"))]
}

fn operator() -> impl Strategy<Value = MOperator> {
    let learned = |target| proptest::collection::vec((select(LEARNERS.to_vec()), target), 0..3);
    let strict = (
        proptest::collection::vec(written(), 0..4),
        proptest::array::uniform4(any::<bool>()),
        learned(select(TARGETS.to_vec())),
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

fn case() -> impl Strategy<Value = Case> {
    scene().prop_flat_map(|scene| {
        let steps = |step| proptest::collection::vec((proptest::bool::weighted(0.2), step), 1..80);
        let steps = prop_oneof![
            2 => steps(scene.step().boxed()),
            1 => steps(scene.lookup_step().boxed()),
        ];
        (allow(), operator(), steps)
    })
}
