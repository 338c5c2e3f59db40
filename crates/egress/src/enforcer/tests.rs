use std::net::SocketAddr;

use outport_policy::Limit;

use super::*;
use crate::denied::DeniedKind;
use crate::sockets::SocketSlot;
use crate::testing::{Script, World, instance};

fn connect(gate: &Enforcer, remote: &str) -> Result<ConnectPermit, Denied> {
    gate.authorize_connect(Transport::Tcp, remote.parse().unwrap())
}

fn send(gate: &Enforcer, remote: &str) -> Result<ConnectPermit, Denied> {
    gate.authorize_send(remote.parse().unwrap())
}

fn receive(gate: &Enforcer, peer: &str) -> Result<(), Denied> {
    gate.authorize_receive(peer.parse().unwrap())
}

const EXEMPT: &[Layer] = &[Layer::AllowList];

// proves: HL-4
#[test]
fn a_datagram_comes_in_only_from_where_one_went() {
    let gate = World::new(Script::new()).instance(&["udp://10.0.0.0/8:53"]);
    assert!(receive(&gate, "10.0.0.1:53").is_err());
    assert!(send(&gate, "10.0.0.1:53").is_ok());
    assert!(receive(&gate, "10.0.0.1:53").is_ok());
    assert!(receive(&gate, "10.0.0.1:54").is_err(), "another port");
    assert!(receive(&gate, "10.0.0.2:53").is_err(), "another address");
    assert!(send(&gate, "192.0.2.1:53").is_err());
    assert!(
        receive(&gate, "192.0.2.1:53").is_err(),
        "a refused datagram makes no peer"
    );
}

// proves: HL-4
#[test]
fn an_answer_is_dropped_once_its_peer_is_denied() {
    let world = World::new(Script::new());
    let egress = world.egress();
    let gate = instance(&egress, &["udp://10.0.0.0/8:53"]);
    assert!(send(&gate, "10.0.0.1:53").is_ok());
    egress.replace_operator(World::new(Script::new()).deny(&["*://10.0.0.1:*"]).operator);
    assert!(receive(&gate, "10.0.0.1:53").is_err());
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
    let gate = instance(&egress, &["udp://10.0.0.1:53"]);
    for _ in 0..3 {
        assert!(send(&gate, "10.0.0.1:53").is_ok());
        assert!(receive(&gate, "10.0.0.1:53").is_ok());
        assert!(receive(&gate, "10.0.0.2:53").is_err());
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
    let quota = |gate: &Arc<Enforcer>| {
        SocketSlot::take(gate, Transport::Tcp)
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
    let gate = instance(&egress, &["udp://*:*"]);
    let denied = SocketSlot::take(&gate, Transport::Udp).err().unwrap();
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
    let gate = world.instance(&["*://10.0.0.5:5431"]);
    assert!(connect(&gate, "10.0.0.5:5432").is_err());
    let events = world.events.events();
    assert_eq!(
        events[0].to_string(),
        "denied: component `web` tcp 10.0.0.5:5432 [allow.port] an entry names this host, but not this port; add \
         \"*://10.0.0.5:5432\" to allowed_outbound_hosts",
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
    let gate = world.instance(&["*://10.0.0.0/8:5432"]);
    assert!(connect(&gate, "10.0.0.5:5432").is_ok());
    assert_eq!(
        world.events.events()[0].rule.as_deref(),
        Some("*://10.0.0.0/8:5432 (the embedder)")
    );
}

// proves: ORD-4
#[test]
fn a_permit_is_for_the_address_that_was_judged_and_for_no_other() {
    let world = World::new(Script::new());
    let gate = world.instance(&["*://10.0.0.5:5432", "*://[fe80::1]:5432"]);
    let remote = Endpoint::from("10.0.0.5:5432".parse::<SocketAddr>().unwrap());
    let attempt = Attempt::Connect {
        transport: Transport::Tcp,
        remote,
    };
    for other in ["10.0.0.5:5433", "10.0.0.6:5432", "[::1]:5432"] {
        let permit = gate.authorize_dial(&attempt, other.parse().unwrap(), gate.usage());
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
        let permit = gate.authorize_dial(&attempt, same.parse().unwrap(), gate.usage());
        assert_eq!(
            permit.unwrap().remote(),
            same.parse().unwrap(),
            "as it was written"
        );
    }
    let nobody = Attempt::CreateSocket {
        transport: Transport::Tcp,
    };
    assert!(
        gate.authorize_dial(&nobody, remote.into(), gate.usage()).is_err(),
        "an attempt that leads nowhere"
    );
}

// proves: ORD-4
#[test]
fn a_lock_that_a_panic_poisoned_refuses() {
    let gate = World::new(Script::new()).instance(&["*://10.0.0.5:5432"]);
    let poisoner = gate.clone();
    let panicked = std::thread::spawn(move || {
        let _state = poisoner.state.lock().unwrap();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(
        connect(&gate, "10.0.0.5:5432").unwrap_err().reason(),
        Reason::ErrorInternal
    );
}

#[test]
fn what_is_implied_is_refused_by_hard_limits_only() {
    let gate = World::new(Script::new()).instance(&[]);
    let bind = |text: &str| Attempt::Bind {
        transport: Transport::Tcp,
        local: text.parse().unwrap(),
    };
    assert!(
        gate.authorize_implied(&bind("0.0.0.0:0"), EXEMPT).is_ok(),
        "the connect is judged next"
    );
    assert!(
        gate.authorize(&bind("0.0.0.0:0"), gate.usage()).is_err(),
        "nothing is allowed"
    );
    assert!(gate.authorize_implied(&bind("0.0.0.0:1"), EXEMPT).is_err());
}
