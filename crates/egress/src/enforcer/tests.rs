use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use futures::FutureExt;
use outport_policy::{Limit, LookupOutcome};

use super::*;
use crate::audit::{AuditOutcome, AuditSink, Outcomes, Stage};
use crate::denied::DeniedKind;
use crate::egress::Egress;
use crate::sockets::SocketSlot;
use crate::testing::{Script, World, addresses, allow, instance, name};

fn connect(enforcer: &Enforcer, remote: &str) -> Result<ConnectPermit, Denied> {
    enforcer.authorize_connect(Transport::Tcp, remote.parse().unwrap())
}

/// Sends nothing, but says so.
fn send(enforcer: &Enforcer, remote: &str) -> Result<(), Denied> {
    enforcer
        .send(remote.parse().unwrap(), 1, |_| Ok::<_, Infallible>(()))
        .map(|sent| sent.unwrap())
}

fn receive(enforcer: &Enforcer, peer: &str) -> Result<(), Denied> {
    enforcer.authorize_receive(peer.parse().unwrap())
}

const EXEMPT: &[Layer] = &[Layer::AllowList];

// proves: AL-11, DNS-7, Q-1
#[test]
fn a_part_has_grants_and_peers_of_its_own_and_shares_what_is_counted() {
    let mut world = World::new(Script::new());
    world.operator.limits.udp = Limit::Lifted;
    world.operator.quotas.sockets_per_instance = 2;
    world.operator.quotas.lookups_in_flight = 1;
    let gate = world
        .egress()
        .gate("web", allow(&["*://db.example:*", "udp://10.0.0.1:53"]));
    let whole = gate.open();
    let part = gate.part("a:b/c", allow(&["*://*:*"])).open(&whole);
    let other = gate.part("d:e/f", allow(&["*://*:*"])).open(&whole);
    let (ticket, _) = part.enforcer.begin_lookup(&name("db.example")).unwrap();
    assert!(
        whole.enforcer.begin_lookup(&name("db.example")).is_err(),
        "one at a time"
    );
    let answer = LookupOutcome::Answered {
        chain: Vec::new(),
        addresses: addresses(&["192.0.2.1"]),
    };
    part.enforcer.settle_lookup(ticket, answer);
    assert!(connect(&part.enforcer, "192.0.2.1:5432").is_ok());
    for without in [&whole, &other] {
        assert!(connect(&without.enforcer, "192.0.2.1:5432").is_err());
    }
    assert!(send(&part.enforcer, "10.0.0.1:53").is_ok());
    assert!(receive(&part.enforcer, "10.0.0.1:53").is_ok());
    assert!(receive(&other.enforcer, "10.0.0.1:53").is_err());
    assert!(
        connect(&part.enforcer, "192.0.2.9:80").is_err(),
        "the component may not"
    );
    let slots = [&whole, &part].map(|ctx| SocketSlot::take(&ctx.enforcer, Transport::Tcp).unwrap());
    assert!(
        SocketSlot::take(&other.enforcer, Transport::Tcp).is_err(),
        "two of the instance"
    );
    drop(slots);
    assert!(SocketSlot::take(&other.enforcer, Transport::Tcp).is_ok());
    assert_eq!(part.instance(), whole.instance());
}

// proves: HL-4
#[test]
fn a_datagram_comes_in_only_from_where_one_went() {
    let enforcer = World::new(Script::new()).instance(&["udp://10.0.0.0/8:53"]);
    assert!(receive(&enforcer, "10.0.0.1:53").is_err());
    assert!(send(&enforcer, "10.0.0.1:53").is_ok());
    assert!(receive(&enforcer, "10.0.0.1:53").is_ok());
    assert!(receive(&enforcer, "10.0.0.1:54").is_err(), "another port");
    assert!(receive(&enforcer, "10.0.0.2:53").is_err(), "another address");
    assert!(send(&enforcer, "192.0.2.1:53").is_err());
    assert!(
        receive(&enforcer, "192.0.2.1:53").is_err(),
        "a refused datagram makes no peer"
    );
}

// proves: HL-4
#[test]
fn an_answer_is_dropped_once_its_peer_is_denied() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://10.0.0.0/8:53"]);
    assert!(send(&enforcer, "10.0.0.1:53").is_ok());
    egress.replace_operator(World::new(Script::new()).deny(&["*://10.0.0.1:*"]).operator);
    assert!(receive(&enforcer, "10.0.0.1:53").is_err());
}

// proves: HL-4
#[test]
fn peers_belong_to_one_instance() {
    let egress = World::new(Script::new()).egress();
    let (mine, other) = (
        instance(&egress, &["udp://10.0.0.1:53"]),
        instance(&egress, &["udp://10.0.0.1:53"]),
    );
    assert!(send(&mine, "10.0.0.1:53").is_ok());
    assert!(receive(&other, "10.0.0.1:53").is_err());
}

#[test]
fn the_first_datagram_to_a_peer_is_told_and_the_others_are_counted() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://10.0.0.1:53"]);
    for _ in 0..3 {
        assert!(send(&enforcer, "10.0.0.1:53").is_ok());
        assert!(receive(&enforcer, "10.0.0.1:53").is_ok());
        assert!(receive(&enforcer, "10.0.0.2:53").is_err());
    }
    assert_eq!(
        world.events.take(),
        [
            "udp.send 10.0.0.1:53",
            "udp.receive 10.0.0.2:53 [hard.unsolicited]"
        ]
    );
    assert_eq!(egress.metrics().allowed, 6);
    assert_eq!(egress.metrics().denied.get("hard.unsolicited"), Some(&3));
}

// proves: Q-1
#[test]
fn sockets_are_counted_from_creation_until_they_are_gone() {
    let mut world = World::new(Script::new());
    world.operator.quotas.sockets_per_instance = 2;
    world.operator.quotas.sockets_per_process = 3;
    let egress = world.egress();
    let (mine, other) = (instance(&egress, &["*://*:*"]), instance(&egress, &["*://*:*"]));
    let first = SocketSlot::take(&mine, Transport::Tcp).ok().unwrap();
    let second = SocketSlot::take(&mine, Transport::Udp).ok().unwrap();
    let quota = |enforcer: &Arc<Enforcer>| {
        SocketSlot::take(enforcer, Transport::Tcp)
            .err()
            .map(|denied| denied.reason())
    };
    assert_eq!(quota(&mine), Some(Reason::QuotaSockets), "the instance has two");
    let third = SocketSlot::take(&other, Transport::Tcp).ok().unwrap();
    assert_eq!(quota(&other), Some(Reason::QuotaSockets), "the process has three");
    assert_eq!(egress.metrics().sockets, 3);

    drop(first);
    assert_eq!(quota(&other), None);
    drop((second, third));
    assert_eq!(egress.metrics().sockets, 0, "a refused socket was not counted");
}

// proves: Q-2
#[test]
fn the_connections_of_a_component_and_of_all_have_their_own_limits() {
    let mut world = World::new(Script::new());
    world.operator.quotas.sockets_per_component = Some(1);
    world.operator.quotas.total_connections = Some(2);
    let egress = world.egress();
    let gates: Vec<_> = ["a", "b", "c"]
        .map(|id| egress.gate(id, crate::testing::allow(&["*://*:*"])))
        .into();
    let quota = |index: usize| {
        SocketSlot::take(&gates[index].open().enforcer, Transport::Tcp).map_err(|denied| denied.reason())
    };
    let first = quota(0).ok();
    assert_eq!(
        quota(0).err(),
        Some(Reason::QuotaConnections),
        "another instance of the same component"
    );
    let second = quota(1).ok();
    assert_eq!(
        quota(2).err(),
        Some(Reason::QuotaConnections),
        "two of all components"
    );
    drop((first, second));
    assert!(quota(2).is_ok());
}

// proves: RL-2
#[test]
fn a_udp_socket_is_refused_before_it_exists() {
    let mut world = World::new(Script::new());
    world.operator.limits.udp = Limit::Holds;
    let egress = world.egress();
    let enforcer = instance(&egress, &["udp://*:*"]);
    let denied = SocketSlot::take(&enforcer, Transport::Udp).err().unwrap();
    assert_eq!(
        (denied.reason(), denied.kind()),
        (Reason::RuntimeUdp, DeniedKind::Policy)
    );
    assert_eq!(egress.metrics().sockets, 0);
}

// proves: RSN-2
#[test]
fn a_denial_names_all_that_a_person_needs_to_change_it() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["*://10.0.0.5:5431"]);
    assert!(connect(&enforcer, "10.0.0.5:5432").is_err());
    let events = world.events.events();
    assert_eq!(
        events[0].to_string(),
        "denied: component `web` tcp 10.0.0.5:5432 [allow.port] an entry names this host, but not this port; add \
         \"*://10.0.0.5:5432\" to the allow list",
    );
    assert_eq!(
        events[0].closest.as_deref(),
        Some("*://10.0.0.5:5431 (the embedder)")
    );
}

// proves: ORD-3
#[test]
fn an_event_says_which_rule_allowed() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["*://10.0.0.0/8:5432"]);
    assert!(connect(&enforcer, "10.0.0.5:5432").is_ok());
    assert_eq!(
        world.events.events()[0].rule.as_deref(),
        Some("*://10.0.0.0/8:5432 (the embedder)")
    );
}

// proves: ORD-4
#[test]
fn a_permit_is_for_the_address_that_was_judged_and_for_no_other() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["*://10.0.0.5:5432", "*://[fe80::1]:5432"]);
    let remote = Endpoint::from("10.0.0.5:5432".parse::<SocketAddr>().unwrap());
    let attempt = Attempt::Connect {
        transport: Transport::Tcp,
        remote,
    };
    for other in ["10.0.0.5:5433", "10.0.0.6:5432", "[::1]:5432"] {
        let permit = enforcer.authorize_dial(&attempt, other.parse().unwrap(), enforcer.usage());
        assert_eq!(
            permit.map(drop).unwrap_err().reason(),
            Reason::ErrorInternal,
            "{other}"
        );
        let told = [
            "tcp.connect 10.0.0.5:5432".to_owned(),
            format!("tcp.connect {other} [error.internal]"),
        ];
        assert_eq!(world.events.take(), told);
    }
    for same in ["10.0.0.5:5432", "[::ffff:10.0.0.5]:5432"] {
        let permit = enforcer.authorize_dial(&attempt, same.parse().unwrap(), enforcer.usage());
        assert_eq!(
            permit.unwrap().spend(Step::ConnectStream).unwrap(),
            same.parse().unwrap(),
            "as it was written"
        );
    }
    let steps = [Step::ConnectStream, Step::ConnectDatagrams, Step::SendDatagram];
    for step in steps {
        let spent = |permit: ConnectPermit| permit.spend(step).is_ok();
        let address = SocketAddr::from(remote);
        let connects = [Transport::Tcp, Transport::Udp]
            .map(|transport| spent(enforcer.authorize_connect(transport, address).unwrap()));
        let sends = enforcer
            .send(address, 1, |permit| permit.spend(step).map(drop))
            .unwrap();
        assert_eq!(
            [connects[0], connects[1], sends.is_ok()],
            steps.map(|own| own == step),
            "{step:?}"
        );
    }
    let nobody = Attempt::CreateSocket {
        transport: Transport::Tcp,
    };
    assert!(
        enforcer
            .authorize_dial(&nobody, remote.into(), enforcer.usage())
            .is_err(),
        "an attempt that leads nowhere"
    );
}

// proves: ORD-4
#[test]
fn a_lock_that_a_panic_poisoned_refuses() {
    let enforcer = World::new(Script::new()).instance(&["*://10.0.0.5:5432"]);
    let poisoner = enforcer.clone();
    let panicked = std::thread::spawn(move || {
        let _state = poisoner.state.lock_of_decisions().lock().unwrap();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(
        connect(&enforcer, "10.0.0.5:5432").unwrap_err().reason(),
        Reason::ErrorInternal
    );
}

#[test]
fn what_is_implied_is_refused_by_hard_limits_only() {
    let enforcer = World::new(Script::new()).instance(&[]);
    let bind = |text: &str| Attempt::Bind {
        transport: Transport::Tcp,
        local: text.parse().unwrap(),
    };
    assert!(
        enforcer.authorize_implied(&bind("0.0.0.0:0"), EXEMPT).is_ok(),
        "the connect is judged next"
    );
    assert!(
        enforcer.authorize(&bind("0.0.0.0:0"), enforcer.usage()).is_err(),
        "nothing is allowed"
    );
    assert!(enforcer.authorize_implied(&bind("0.0.0.0:1"), EXEMPT).is_err());
}

// proves: HL-4
#[tokio::test(start_paused = true)]
async fn a_refused_datagram_is_told_of_once_a_second() {
    let world = World::new(Script::new());
    let enforcer = world.instance(&["udp://10.0.0.1:53"]);
    for (millis, told) in [(0, 1), (999, 0), (1, 1), (1, 0), (998, 0), (2000, 1)] {
        tokio::time::advance(Duration::from_millis(millis)).await;
        assert!(receive(&enforcer, "10.0.0.2:53").is_err());
        assert_eq!(world.events.take().len(), told, "{millis} ms later");
    }
}

/// A sink that wants outcomes and may be unable to record.
struct Told {
    outcomes: Outcomes,
    stages: Mutex<Vec<AuditOutcome>>,
    unavailable: AtomicBool,
}

impl Told {
    fn new(outcomes: Outcomes) -> Arc<Self> {
        Arc::new(Self {
            outcomes,
            stages: Mutex::default(),
            unavailable: AtomicBool::new(false),
        })
    }

    fn take(&self) -> Vec<AuditOutcome> {
        std::mem::take(&mut *self.stages.lock().unwrap())
    }
}

impl AuditSink for Told {
    fn record(&self, _: &AuditEvent) {}

    fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    fn record_outcome(&self, outcome: &AuditOutcome) {
        self.stages.lock().unwrap().push(outcome.clone());
    }

    fn is_available(&self) -> bool {
        !self.unavailable.load(Ordering::Relaxed)
    }
}

fn egress_with(world: &World, sink: &Arc<Told>) -> Egress {
    let egress = Egress::builder()
        .operator(world.operator.clone())
        .resolver(world.script.clone());
    let egress = egress.sink(world.events.clone()).required_sink(sink.clone());
    egress.build().unwrap()
}

// proves: RSN-6
#[test]
fn what_cannot_be_recorded_is_not_done_and_what_need_not_be_is() {
    let world = World::new(Script::new());
    let sink = Told::new(Outcomes::None);
    let enforcer = instance(&egress_with(&world, &sink), &["*://10.0.0.5:*"]);
    assert!(connect(&enforcer, "10.0.0.5:1").is_ok() && send(&enforcer, "10.0.0.5:53").is_ok());
    sink.unavailable.store(true, Ordering::Relaxed);
    world.events.take();
    for denied in [
        connect(&enforcer, "10.0.0.5:1").map(drop),
        send(&enforcer, "10.0.0.5:54"),
    ] {
        assert_eq!(denied.unwrap_err().reason(), Reason::AuditUnavailable);
    }
    assert_eq!(
        world.events.take(),
        [
            "tcp.connect 10.0.0.5:1 [audit.unavailable]",
            "udp.send 10.0.0.5:54 [audit.unavailable]"
        ]
    );
    // Neither a further datagram to a peer nor its answer is told, nor what is asked beside.
    let attempt = Attempt::Connect {
        transport: Transport::Tcp,
        remote: Endpoint::from("10.0.0.5:1".parse::<SocketAddr>().unwrap()),
    };
    assert!(send(&enforcer, "10.0.0.5:53").is_ok() && receive(&enforcer, "10.0.0.5:53").is_ok());
    assert!(enforcer.recheck(&attempt, enforcer.usage()).is_ok());
}

// proves: RSN-6
#[test]
fn an_outcome_goes_to_whom_wants_it_and_names_its_decision() {
    for (wanted, failed, succeeded) in [
        (Outcomes::None, 0, 0),
        (Outcomes::Failures, 1, 0),
        (Outcomes::All, 1, 1),
    ] {
        let world = World::new(Script::new());
        let sink = Told::new(wanted);
        let egress = egress_with(&world, &sink);
        let (_, enforcer) = (
            instance(&egress, &["*://10.0.0.5:*"]),
            instance(&egress, &["*://10.0.0.5:*"]),
        );
        assert!(connect(&enforcer, "10.0.0.5:1").is_ok());
        let decision = connect(&enforcer, "10.0.0.5:1").unwrap().decision();
        let events = world.events.events();
        assert_eq!((events[0].id, events[1].id), (1, 2));
        assert_eq!(decision.recorded(), Some(2));
        assert_eq!(events[1].instance, enforcer.number());
        for (stage, count) in [(Stage::Failed, failed), (Stage::Succeeded, succeeded)] {
            let made = AtomicU32::new(0);
            enforcer.record_outcome(stage, || {
                made.fetch_add(1, Ordering::Relaxed);
                enforcer.outcome(decision, "tcp.connect", "10.0.0.5:1", stage)
            });
            let told = sink.take();
            assert_eq!(told.len(), count, "{wanted:?} {stage:?}");
            assert_eq!(
                made.into_inner() as usize,
                count,
                "none is made that nobody wants"
            );
            for outcome in told {
                assert_eq!(
                    (outcome.decision, outcome.instance, outcome.outcome),
                    (Some(2), enforcer.number(), stage)
                );
            }
        }
    }
}

/// Counts what is done aside.
#[derive(Default)]
struct Aside(AtomicU32);

impl HostAccount for Aside {
    fn charge(&self, work: &mut dyn FnMut()) {
        work();
    }

    fn aside(&self, work: &mut dyn FnMut()) {
        self.0.fetch_add(1, Ordering::Relaxed);
        work();
    }
}

#[test]
fn what_sinks_keep_is_not_charged_to_the_instance() {
    let world = World::new(Script::new());
    let sink = Told::new(Outcomes::All);
    let enforcer = instance(&egress_with(&world, &sink), &["*://10.0.0.5:*"]);
    assert!(enforcer.account().is_none());
    let account = Arc::new(Aside::default());
    enforcer.charge_to(account.clone());
    assert!(enforcer.account().is_some());
    assert!(connect(&enforcer, "10.0.0.5:1").is_ok());
    assert_eq!(
        (account.0.load(Ordering::Relaxed), world.events.take().len()),
        (1, 1)
    );
    let stage = Stage::Ended;
    enforcer.record_outcome(stage, || {
        enforcer.outcome(DecisionId::default(), "tcp.connect", "", stage)
    });
    assert_eq!((account.0.load(Ordering::Relaxed), sink.take().len()), (2, 1));
}

// proves: RSN-6
#[test]
fn what_a_grant_permits_is_told_with_its_name() {
    let enforcer = World::new(Script::new()).instance(&["*://db.example:5432", "*://10.0.0.9:5432"]);
    let (ticket, _) = enforcer.begin_lookup(&name("db.example")).unwrap();
    let outcome = LookupOutcome::Answered {
        chain: Vec::new(),
        addresses: addresses(&["10.0.0.1"]),
    };
    enforcer.settle_lookup(ticket, outcome);
    for (remote, expected) in [
        ("10.0.0.1:5432", Some("db.example")),
        ("10.0.0.1:5433", None),
        ("10.0.0.9:5432", None),
    ] {
        let attempt = Attempt::Connect {
            transport: Transport::Tcp,
            remote: Endpoint::from(remote.parse::<SocketAddr>().unwrap()),
        };
        assert_eq!(enforcer.name_of(&attempt).as_deref(), expected, "{remote}");
    }
}

#[test]
fn an_instance_knows_its_number_how_it_was_called_what_it_holds_and_that_it_ends() {
    let egress = World::new(Script::new()).egress();
    let gate = egress.gate("web", allow(&["*://*:*"]));
    let (one, other) = (gate.open_at(0), gate.open_at(7));
    let (first, second) = (&one.enforcer, &other.enforcer);
    assert_ne!(first.number(), second.number());
    assert_eq!((first.depth(), second.depth()), (0, 7));
    let _socket = SocketSlot::take(first, Transport::Tcp).ok().unwrap();
    let held = |enforcer: &Enforcer| {
        (
            enforcer.usage().sockets_of_instance,
            enforcer.usage().sockets_of_process,
        )
    };
    assert_eq!((held(first), held(second)), ((1, 1), (0, 1)));
    assert!(!first.is_ending());
    first.end();
    assert!(first.is_ending() && !second.is_ending());
}

// proves: DNS-12
#[test]
fn as_many_hosts_are_resolved_at_a_time_as_lookups_may_be_in_flight() {
    let mut world = World::new(Script::new());
    world.operator.quotas.lookups_in_flight = 2;
    let egress = world.egress();
    let enforcer = instance(&egress, &["*://*:*"]);
    let turn = || enforcer.turn_to_resolve().now_or_never();
    let (first, second) = (turn(), turn());
    assert!(matches!((&first, &second), (Some(Some(_)), Some(Some(_)))));
    assert!(turn().is_none());
    drop(first);
    assert!(matches!(turn(), Some(Some(_))));
    assert_eq!(enforcer.quotas().lookups_in_flight, 2);
    world.operator.quotas.lookups_in_flight = 3;
    egress.replace_operator(world.operator.clone());
    assert_eq!(
        enforcer.quotas().lookups_in_flight,
        3,
        "as the operator has it now"
    );
}
