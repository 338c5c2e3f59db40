//! The quotas (Q), layer 5.

use super::*;
use crate::{ByteBudget, ByteBudgets, SentBound};

// proves, DNS-12
#[test]
fn quotas_come_last_and_count_from_creation() {
    let quotas = |operator: &mut Operator| {
        operator.quotas = Quotas {
            sockets_per_instance: 2,
            sockets_per_process: 10,
            sockets_per_component: Some(5),
            total_connections: Some(8),
            lookups_in_flight: 1,
            ..Quotas::default()
        };
    };
    let create = Attempt::CreateSocket {
        transport: Transport::Tcp,
    };
    for (instance, component, process, connections, expected) in [
        (1, 4, 9, 7, "allow"),
        (2, 4, 9, 7, "quota.sockets"),
        (1, 5, 9, 7, "quota.connections"),
        (1, 4, 10, 7, "quota.sockets"),
        (1, 4, 9, 8, "quota.connections"),
    ] {
        let mut world = World::with(&["*://*:*"], &[], quotas);
        world.usage = Usage {
            sockets_of_instance: instance,
            sockets_of_component: component,
            sockets_of_process: process,
            kept_for_others: 0,
            connections_of_process: connections,
            ..Usage::default()
        };
        assert_eq!(world.code(&create), expected, "{:?}", world.usage);
        // A connection of HTTP is none of a component's sockets, and is called a connection.
        let of_http = if (instance, process, connections) == (1, 9, 7) {
            "allow"
        } else {
            "quota.connections"
        };
        assert_eq!(
            world.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"),
            of_http,
            "{:?}",
            world.usage
        );
    }
    let mut world = World::with(&["*://*:*"], &[], quotas);
    assert_eq!(world.lookup("a.example"), "allow");
    world.usage.lookups_of_instance = 1;
    assert_eq!(world.lookup("a.example"), "quota.lookups");
}

// proves: ISO-3
#[test]
fn there_may_be_two_tls_connections_for_each_tcp_connection() {
    for (connections, secured, expected) in [
        (0, 0, "quota.connections"),
        (1, 0, "allow"),
        (1, 1, "allow"),
        (1, 2, "quota.connections"),
        (3, 5, "allow"),
        (3, 6, "quota.connections"),
        (u32::MAX, 6, "allow"),
    ] {
        let mut world = World::new(&[], &[]);
        world.usage.tcp_connections_of_instance = connections;
        world.usage.tls_of_instance = secured;
        assert_eq!(
            tls(&world, "a.example", &[443]),
            expected,
            "{connections} {secured}"
        );
    }
}

// proves: BUD-3
#[test]
fn what_would_send_is_refused_when_the_bytes_of_the_component_are_used_up() {
    let bound = SentBound {
        bytes: 100.try_into().unwrap(),
        time: Duration::from_secs(60),
    };
    let budgets = |operator: &mut Operator| {
        let budget = ByteBudget {
            sent: Some(bound),
            ..ByteBudget::default()
        };
        operator.quotas.bytes = ByteBudgets::new(budget, []);
        operator.limits.udp = Limit::Lifted;
    };
    let mut world = World::with(&["*://*:*"], &[], budgets);
    let remote: Endpoint = Endpoint::from("192.0.2.1:80".parse::<std::net::SocketAddr>().unwrap());
    let [tcp, udp] = [Transport::Tcp, Transport::Udp];
    let sending = [
        Attempt::CreateSocket { transport: tcp },
        Attempt::CreateSocket { transport: udp },
        Attempt::Connect {
            transport: tcp,
            remote,
        },
        Attempt::Connect {
            transport: udp,
            remote,
        },
        Attempt::Send { remote },
    ];
    for (sent, about_to_send, expected) in [
        (99, 0, "allow"),
        (100, 0, "quota.bytes"),
        (60, 40, "allow"),
        (60, 41, "quota.bytes"),
    ] {
        world.usage.sent_of_component = [sent, 0];
        world.usage.about_to_send = about_to_send;
        for attempt in &sending {
            assert_eq!(world.code(attempt), expected, "{attempt} with {:?}", world.usage);
        }
        assert_eq!(
            world.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"),
            expected
        );
    }
    // What sends nothing, and what goes to another component.
    assert_eq!(world.lookup("a.example"), "allow");
    let unset = World::with(&["*://*:*"], &[], |_| {});
    let usage = world.usage;
    assert_eq!(
        World { usage, ..unset }.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"),
        "allow"
    );
}
