//! The deny list of the operator (DL), layer 2.

use super::*;

// proves: DL-1
#[test]
fn the_deny_list_beats_every_allow() {
    let world = World::new(
        &["*://10.0.0.5:5432", "*://*:*"],
        &["*://10.0.0.5:5432", "*://*.evil.example:*"],
    );
    assert_eq!(world.tcp("10.0.0.5:5432"), "deny.host");
    assert_eq!(world.tcp("10.0.0.5:5433"), "allow");
    assert_eq!(world.lookup("a.b.evil.example"), "deny.host");
    assert_eq!(world.lookup("evil.example"), "allow");
    assert_eq!(world.request(&Scheme::HTTP, "a.evil.example", 80), "deny.host");
}

// proves: DL-2
#[test]
fn a_scheme_on_the_deny_list_denies_what_could_be_it() {
    for (deny, tcp, udp, http, https) in [
        (
            "*://10.0.0.5:443",
            "deny.host",
            "deny.host",
            "deny.host",
            "deny.host",
        ),
        ("https://10.0.0.5:443", "deny.host", "allow", "allow", "deny.host"),
        ("http://10.0.0.5:443", "deny.host", "allow", "deny.host", "allow"),
        ("redis://10.0.0.5:443", "deny.host", "allow", "allow", "allow"),
        (
            "tcp://10.0.0.5:443",
            "deny.host",
            "allow",
            "deny.host",
            "deny.host",
        ),
        ("udp://10.0.0.5:443", "allow", "deny.host", "allow", "allow"),
    ] {
        let world = World::with(&["*://*:*"], &[deny], udp_lifted);
        assert_eq!(world.tcp("10.0.0.5:443"), tcp, "{deny}");
        assert_eq!(world.udp("10.0.0.5:443"), udp, "{deny}");
        assert_eq!(world.request(&Scheme::HTTP, "10.0.0.5", 443), http, "{deny}");
        assert_eq!(world.request(&Scheme::HTTPS, "10.0.0.5", 443), https, "{deny}");
        assert_eq!(world.tcp("10.0.0.5:444"), "allow", "{deny}");
    }
}

// proves: HI-3, DL-2, DL-4
#[test]
fn an_entry_of_an_interface_on_the_deny_list_denies_it_and_raw_tcp() {
    for (text, port) in INTERFACES {
        let scheme = Scheme::parse(text).unwrap();
        let rows = [
            (
                format!("{text}://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("{text}://{{10.0.0.5,db.example}}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("*://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (
                format!("tcp://{{10.0.0.5,db.example}}:{port}"),
                "deny.host",
                "deny.host",
            ),
            (format!("udp://{{10.0.0.5,db.example}}:{port}"), "allow", "allow"),
            (
                format!("amqp://{{10.0.0.5,db.example}}:{port}"),
                "allow",
                "deny.host",
            ),
            (format!("{text}://{{10.0.0.5,db.example}}:1"), "allow", "allow"),
        ];
        for (entry, interface, socket) in rows {
            let world = World::new(&["*://*:*"], &[&entry]);
            let remote = format!("10.0.0.5:{port}");
            let alias = if interface == "allow" {
                "allow"
            } else {
                "deny.cname"
            };
            assert_eq!(
                world.request(&scheme, "10.0.0.5", port),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(
                world.request(&scheme, "db.example", port),
                interface,
                "{text}: {entry}"
            );
            assert_eq!(
                world.dial(&scheme, "other.example", &[], &remote),
                interface,
                "{text}: {entry}"
            );
            let elsewhere = format!("10.0.0.6:{port}");
            let by_alias = world.dial(&scheme, "other.example", &["db.example"], &elsewhere);
            assert_eq!(by_alias, alias, "{text}: {entry}");
            assert_eq!(world.tcp(&remote), socket, "{text}: {entry}");
        }
    }
}

// proves: DL-3
#[test]
fn a_name_denied_on_all_ports_cannot_be_looked_up_and_on_some_ports_only_there() {
    for (deny, lookup, with_udp) in [
        (&["*://db.example:*"][..], "deny.host", "deny.host"),
        (
            &["*://db.example:1-1000", "*://*.example:1001-65535"],
            "deny.host",
            "deny.host",
        ),
        (&["*://db.example:1-65534"], "allow", "allow"),
        (&["tcp://db.example:*"], "deny.host", "allow"),
        (&["https://db.example:*"], "deny.host", "allow"),
        (&["udp://db.example:*"], "allow", "allow"),
        (&["*://*.db.example:*"], "allow", "allow"),
    ] {
        assert_eq!(
            World::new(&["*://*:*"], deny).lookup("db.example"),
            lookup,
            "{deny:?}"
        );
        assert_eq!(
            World::with(&["*://*:*"], deny, udp_lifted).lookup("DB.example."),
            with_udp,
            "{deny:?}"
        );
    }
    let mut world = World::new(&["*://db.example:*"], &["*://db.example:6379"]);
    world.grant("db.example", &[], &["192.0.2.1"]);
    assert_eq!(world.tcp("192.0.2.1:5432"), "allow");
    assert_eq!(
        world.tcp("192.0.2.1:6379"),
        "deny.host",
        "the grant leaves the denied port out"
    );
}

// proves: DL-4
#[test]
fn an_alias_of_a_denied_name_is_denied_on_the_same_ports() {
    let world = World::new(&["*://*.example:*"], &["*://*.evil.test:*", "*://half.test:80"]);
    assert_eq!(
        world.answer("a.example", &["x.evil.test"], "192.0.2.1", SERVER),
        "deny.cname"
    );
    assert_eq!(
        world.answer("a.example", &["b.test", "x.evil.test"], "192.0.2.1", SERVER),
        "deny.cname"
    );
    assert_eq!(
        world.answer("a.example", &["half.test"], "192.0.2.1", SERVER),
        "allow"
    );
    let mut world = world;
    world.grant("a.example", &["half.test"], &["192.0.2.1"]);
    assert_eq!(world.tcp("192.0.2.1:80"), "deny.cname");
    assert_eq!(world.tcp("192.0.2.1:81"), "allow");
    let web = World::new(&["http://*.example"], &["http://half.test"]);
    assert_eq!(
        web.dial(&Scheme::HTTP, "a.example", &["half.test"], "192.0.2.1:80"),
        "deny.cname"
    );
    assert_eq!(web.dial(&Scheme::HTTP, "a.example", &[], "192.0.2.1:80"), "allow");
}

// proves: DL-5
#[test]
fn the_addresses_of_denied_names_are_denied_by_literal_address_on_the_same_ports() {
    let world = World::with(
        &["*://*:*"],
        &["*://db.example:5432", "*://*.evil.example:*", "*://localhost:9"],
        |operator| {
            assert_eq!(operator.deny.exact_names(), [name("db.example")]);
            let mut learned = LearnedAddresses::default();
            learned.insert(&name("db.example"), [address("192.0.2.9")]);
            learned.insert(
                &name("db.example"),
                [address("192.0.2.1"), address("2001:db8::1")],
            );
            operator.deny = operator.deny.with_learned(learned);
        },
    );
    let attempt = reach(Transport::Tcp, "192.0.2.1:5432");
    let Decision::Deny(denial) = world.judge(&attempt) else {
        panic!("allowed")
    };
    assert_eq!(denial.reason(), Reason::DenyNameAddress);
    assert_eq!(
        denial.name(),
        Some(&name("db.example")),
        "the log says for which name"
    );
    assert_eq!(world.tcp("[2001:db8::1]:5432"), "deny.name-address");
    assert_eq!(world.tcp("[64:ff9b::192.0.2.1]:5432"), "deny.name-address");
    assert_eq!(world.tcp("192.0.2.1:5433"), "allow");
    assert_eq!(
        world.tcp("192.0.2.9:5432"),
        "allow",
        "a newer answer took its place"
    );
    assert_eq!(
        world.dial(&Scheme::HTTP, "web.example", &[], "192.0.2.1:5432"),
        "deny.name-address"
    );
}

// proves: DL-7
#[test]
fn blocked_networks_hold_for_all_ports_and_schemes() {
    for (blocked, remote, expected) in [
        ("10.0.0.0/8", "10.1.2.3:9999", "deny.network"),
        ("10.0.0.0/8", "11.0.0.0:9999", "allow"),
        ("private", "192.168.0.1:1", "deny.network"),
        ("private", "127.0.0.1:8080", "deny.network"),
        ("private", "93.184.216.34:80", "allow"),
        ("private", "[fd00::1]:80", "deny.network"),
        ("private", "[64:ff9b::a00:5]:80", "deny.network"),
    ] {
        let world = World::with(&["*://*:*"], &[], |operator| {
            udp_lifted(operator);
            operator.deny = DenyList::compile(
                Vec::new(),
                vec![BlockedNetwork::parse(blocked, Location::Code).unwrap()],
            );
        });
        assert_eq!(world.tcp(remote), expected, "{blocked} {remote}");
        assert_eq!(world.udp(remote), expected, "{blocked} {remote}");
        assert_eq!(
            world.dial(&Scheme::HTTPS, "a.example", &[], remote),
            expected,
            "{blocked} {remote}"
        );
        assert_eq!(
            world.answer(
                "a.example",
                &[],
                &endpoint(remote).address.to_string(),
                AnswerSource::HostsFile
            ),
            expected
        );
    }
}

// proves: DL-7, RSN-2
#[test]
fn a_refusal_cites_what_the_operator_wrote() {
    let world = World::with(&["*://*:*"], &[], |operator| {
        operator.deny = DenyList::compile(
            entries(&["*://172.16.0.0/12:*"]),
            vec![BlockedNetwork::parse("10.0.0.0/9", Location::Code).unwrap()],
        );
    });
    let undeny = |text: &str| {
        Some(Remedy::Undeny {
            text: text.into(),
            location: Location::Code,
        })
    };
    for (remote, entry, network, cited, remedy) in [
        ("10.200.0.1:80", None, None, None, None),
        ("224.0.0.1:80", None, None, None, None),
        (
            "172.16.0.1:80",
            Some("*://172.16.0.0/12:*"),
            None,
            Some("*://172.16.0.0/12:* (the embedder)"),
            undeny("*://172.16.0.0/12:*"),
        ),
        (
            "10.1.0.1:80",
            None,
            Some("10.0.0.0/9"),
            Some("10.0.0.0/9 (the embedder)"),
            undeny("10.0.0.0/9"),
        ),
    ] {
        let attempt = reach(Transport::Tcp, remote);
        let denial = match world.judge(&attempt) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial),
        };
        let denial = denial.as_ref();
        assert_eq!(
            denial.and_then(Denial::denied_by).map(Entry::text),
            entry,
            "{remote}"
        );
        let by = denial.and_then(Denial::blocked_by).map(BlockedNetwork::to_string);
        assert_eq!(by.as_deref(), network, "{remote}");
        assert_eq!(denial.and_then(Denial::cited).as_deref(), cited, "{remote}");
        assert_eq!(world.remedy(&attempt), remedy, "{remote}");
    }
}

// proves: DL-8
#[test]
fn localhost_on_the_deny_list_covers_the_loopback_addresses() {
    for deny in ["*://localhost:*", "*://*.localhost:*", "http://localhost:8080"] {
        let world = World::new(&["*://*:*"], &[deny]);
        for remote in [
            "127.0.0.1:8080",
            "127.9.9.9:8080",
            "[::1]:8080",
            "0.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
        ] {
            assert_eq!(world.tcp(remote), "deny.host", "{deny} {remote}");
        }
        assert_eq!(world.tcp("128.0.0.1:8080"), "allow", "{deny}");
    }
    let ports = World::new(&["*://*:*"], &["*://localhost:8080"]);
    assert_eq!(ports.tcp("127.0.0.1:8081"), "allow");
    assert_eq!(ports.lookup("localhost"), "allow");
    assert_eq!(
        World::new(&["*://*:*"], &["*://localhost:*"]).lookup("localhost"),
        "deny.host"
    );
}

// proves: TLS-5, AL-1
#[test]
fn a_server_of_tls_is_judged_by_the_deny_list_on_every_port_that_there_is_a_connection_to() {
    for (deny, server, ports, expected) in [
        ("*://a.example:443", "a.example", &[443][..], "deny.tls-name"),
        ("*://a.example:443", "A.Example.", &[443], "deny.tls-name"),
        ("*://a.example:443", "a.example", &[442, 444], "allow"),
        ("*://a.example:443", "a.example", &[22, 443], "deny.tls-name"),
        ("*://a.example:440-450", "a.example", &[439, 450], "deny.tls-name"),
        ("*://a.example:440-450", "a.example", &[439, 451], "allow"),
        ("*://a.example:443", "www.a.example", &[443], "allow"),
        ("*://*.a.example:443", "www.a.example", &[443], "deny.tls-name"),
        ("*://*.a.example:443", "a.example", &[443], "allow"),
        ("https://a.example", "a.example", &[443], "deny.tls-name"),
        ("https://a.example", "a.example", &[8443], "allow"),
        ("udp://a.example:443", "a.example", &[443], "allow"),
        ("*://*:443", "a.example", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "10.9.8.7", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "0xa.1", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "::ffff:10.9.8.7", &[443], "deny.tls-name"),
        ("*://10.0.0.0/8:443", "11.9.8.7", &[443], "allow"),
        ("*://localhost:443", "127.0.0.1", &[443], "deny.tls-name"),
        ("*://a.example:443", "224.0.0.1", &[443], "hard.multicast"),
        ("*://a.example:443", "::", &[443], "hard.unspecified"),
        // Limits on what may be connected to were asked about when it was.
        ("*://a.example:443", "127.0.0.1", &[443], "allow"),
        ("*://a.example:443", "169.254.169.254", &[443], "allow"),
    ] {
        let mut world = World::new(&[], &[deny]);
        world.usage.tcp_connections_of_instance = 1;
        assert_eq!(tls(&world, server, ports), expected, "{deny} {server} {ports:?}");
    }
}

// proves: TLS-5, RSN-2
#[test]
fn a_denied_server_of_tls_is_told_with_the_entry() {
    let mut world = World::new(&[], &["*://*.example:1-65535"]);
    world.usage.tcp_connections_of_instance = 1;
    let server = &Host::parse("A.example").unwrap();
    let attempt = Attempt::Tls {
        server,
        remotes: &[endpoint("203.0.113.1:443")],
    };
    let Decision::Deny(denial) = world.judge(&attempt) else {
        panic!("not denied");
    };
    assert_eq!(attempt.operation(), "tls.connect");
    assert_eq!(attempt.to_string(), "TLS with a.example");
    assert_eq!(denial.denied_by().unwrap().text(), "*://*.example:1-65535");
    assert!(matches!(denial.remedy(&attempt), Some(Remedy::Undeny { .. })));
}
