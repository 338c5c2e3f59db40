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

// proves: BUD-1, BUD-2, RSN-2
#[test]
fn a_name_is_resolved_while_the_budgets_last() {
    let quotas = |operator: &mut Operator| {
        operator.quotas.lookups_per_minute = 3;
        operator.quotas.names_per_wildcard = 2;
    };
    let mut world = World::with(&["*://*.w.example:1"], &[], quotas);
    let asked = name("a.w.example");
    let attempt = Attempt::Resolve { name: &asked };
    for (lookups, names, expected) in [
        (None, None, "allow"),
        (Some(2), Some(1), "allow"),
        (Some(3), Some(1), "quota.lookup-rate"),
        (Some(2), Some(2), "quota.names"),
        (None, Some(2), "quota.names"),
        (Some(u32::MAX), None, "quota.lookup-rate"),
        (Some(3), Some(2), "quota.names"),
    ] {
        world.usage.lookups_of_last_minute = lookups;
        world.usage.names_below_wildcard = names;
        assert_eq!(world.code(&attempt), expected, "{lookups:?} {names:?}");
    }
    let Decision::Deny(denial) = world.judge(&attempt) else {
        panic!()
    };
    assert_eq!(
        denial.closest().map(|entry| entry.text()),
        Some("*://*.w.example:1")
    );
    assert_eq!(
        denial.remedy(&attempt),
        Some(Remedy::Lift(Setting::NamesPerWildcard))
    );
}

// proves: BUD-1, BUD-2
#[test]
fn of_what_is_said_of_all_components_and_of_one_the_narrower_holds_for_its_parts_too() {
    let own = NameLimits {
        lookups_per_minute: Some(7),
        names_per_wildcard: Some(5000),
    };
    let world = World::with(&[], &[], |operator| {
        operator.quotas.names_of_components = Arc::new([("web".into(), own)].into());
    });
    let bounds = |policy: &Policy| {
        let NameBounds {
            lookups_per_minute,
            names_per_wildcard,
        } = policy.name_bounds();
        (lookups_per_minute, names_per_wildcard)
    };
    assert_eq!(bounds(&world.policy), (7, 1000));
    assert_eq!(
        bounds(&world.policy.for_part("web/lib", Arc::default())),
        (7, 1000)
    );
    let other = Policy::new("api", Arc::default(), Arc::new(world.policy.operator().clone()));
    assert_eq!(bounds(&other), (600, 1000));
}

// proves: BUD-1, BUD-2, BUD-3
#[test]
fn the_remedy_is_the_setting_that_holds() {
    let attempt = Attempt::Resolve {
        name: &name("db.example"),
    };
    for (all, own, setting) in [
        (5, None, Setting::LookupsPerMinute),
        (5, Some(5), Setting::LookupsPerMinute),
        (5, Some(9), Setting::LookupsPerMinute),
        (5, Some(4), Setting::OwnLookupsPerMinute),
    ] {
        let mut world = World::with(&["*://db.example:1"], &[], |operator| {
            operator.quotas.lookups_per_minute = all;
            let own = NameLimits {
                lookups_per_minute: own,
                names_per_wildcard: None,
            };
            operator.quotas.names_of_components = Arc::new([("web".into(), own)].into());
        });
        world.usage.lookups_of_last_minute = Some(5);
        let Decision::Deny(denial) = world.judge(&attempt) else {
            panic!()
        };
        assert_eq!(denial.remedy(&attempt), Some(Remedy::Lift(setting)));
    }
}

// proves: BUD-2
#[test]
fn a_name_counts_below_the_wildcards_that_cover_it_unless_it_or_every_name_is_listed() {
    let over = |policy: &Policy, text: &str| {
        let name = name(text);
        let lists = policy.wildcards_over(&name);
        let texts = lists
            .iter()
            .map(|list| list.iter().map(|apex| apex.as_str().to_owned()).collect());
        texts.collect::<Vec<Vec<String>>>()
    };
    let none: [[&str; 0]; 0] = [];
    for (allow, asked, expected) in [
        (
            &["https://*.w.example"][..],
            "a.w.example",
            &[&["w.example"][..]][..],
        ),
        (
            &["https://*.w.example", "tcp://*.w.example:1"],
            "a.w.example",
            &[&["w.example"]],
        ),
        (
            &["*://*.w.example:1", "*://*.b.w.example:2"],
            "a.b.w.example",
            &[&["b.w.example", "w.example"]],
        ),
        (
            &["*://*.w.example:1", "*://*.b.w.example:2"],
            "b.w.example",
            &[&["w.example"]],
        ),
        (&["*://*.w.example:1"], "w.example", &[]),
        (&["*://*.w.example:1", "redis://a.w.example"], "a.w.example", &[]),
        (&["*://*.w.example:1", "https://*"], "a.w.example", &[]),
        (&["*://10.0.0.0/8:1"], "a.w.example", &[]),
    ] {
        let world = World::new(allow, &[]);
        assert_eq!(over(&world.policy, asked), expected, "{allow:?} {asked}");
    }
    let whole = World::new(&["*://*.w.example:*"], &[]).policy;
    let part = |allow: &[&str]| whole.for_part("web/lib", Arc::new(AllowList::compile(entries(allow))));
    let both = over(&part(&["*://*.b.w.example:1"]), "a.b.w.example");
    assert_eq!(both, [["w.example"], ["b.w.example"]]);
    assert_eq!(over(&part(&["*://*:1"]), "a.w.example"), [["w.example"]]);
    let operators = AllowList::of_operator(entries(&["*://*.w.example:1"]));
    let operators = Policy::new("store (operator)", Arc::new(operators), Arc::default());
    assert_eq!(over(&operators, "a.w.example"), none);
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
