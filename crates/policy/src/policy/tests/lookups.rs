//! Look-ups and their answers (DNS): who may ask, what an answer opens, and what none may say.

use super::*;

// proves: DNS-1
#[test]
fn a_name_is_looked_up_only_for_a_socket() {
    for (allow, text, expected) in [
        (&["*://db.example:5432"][..], "db.example", "allow"),
        (&["tcp://db.example:5432"], "db.example", "allow"),
        (&["udp://db.example:5432"], "db.example", "allow"),
        (&["*://*.example:5432"], "a.db.example", "allow"),
        (&["*://*:5432"], "db.example", "allow"),
        (&["http://db.example"], "db.example", "allow.scheme"),
        (&["redis://db.example"], "db.example", "allow.scheme"),
        (&["*://10.0.0.0/8:*"], "db.example", "dns.name-not-allowed"),
        (&["*://other.example:*"], "db.example", "dns.name-not-allowed"),
        (&[], "db.example", "allow.none"),
    ] {
        assert_eq!(World::new(allow, &[]).lookup(text), expected, "{allow:?} {text}");
    }
}

// proves: DNS-3, DNS-4
#[test]
fn an_answer_opens_the_ports_and_protocols_of_the_entries_for_its_name() {
    let allow = [
        "*://db.example:5432",
        "tcp://*.example:6379",
        "udp://db.example:53",
        "https://db.example",
    ];
    let mut world = World::with(&allow, &[], udp_lifted);
    assert_eq!(world.tcp("192.0.2.1:5432"), "allow.name-not-looked-up");
    world.grant("db.example", &[], &["192.0.2.1"]);
    for (remote, tcp, udp) in [
        ("192.0.2.1:5432", "allow", "allow"),
        ("192.0.2.1:6379", "allow", "allow.scheme"),
        ("192.0.2.1:53", "allow.scheme", "allow"),
        ("192.0.2.1:443", "allow.scheme", "allow.scheme"),
        ("192.0.2.1:80", "allow.port", "allow.port"),
        (
            "192.0.2.2:5432",
            "allow.name-not-looked-up",
            "allow.name-not-looked-up",
        ),
    ] {
        assert_eq!(world.tcp(remote), tcp, "{remote}");
        assert_eq!(world.udp(remote), udp, "{remote}");
    }
    world.grant("db.example", &[], &["192.0.2.2"]);
    assert_eq!(world.tcp("192.0.2.1:5432"), "grant.replaced");
    assert_eq!(world.tcp("192.0.2.2:5432"), "allow");
}

// proves: DNS-9
#[test]
fn a_server_cannot_turn_a_name_into_this_machine() {
    let guarded = [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "::",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    let plain = World::with(&["*://*:*"], &[], |operator| {
        operator.limits.link_local = Limit::Lifted
    });
    for given in guarded {
        assert_eq!(
            plain.answer("a.example", &[], given, SERVER),
            "dns.rebinding",
            "{given}"
        );
        assert_eq!(
            plain.answer("a.example", &[], given, AnswerSource::HostsFile),
            "allow",
            "{given}"
        );
        assert_eq!(
            plain.answer("localhost", &[], given, AnswerSource::Localhost),
            "allow",
            "{given}"
        );
        let remote = format!("[{given}]:8080");
        let remote = if given.contains(':') {
            remote
        } else {
            format!("{given}:8080")
        };
        if !address(given).is_unspecified() {
            assert_eq!(
                plain.dial(&Scheme::HTTP, "a.example", &[], &remote),
                "dns.rebinding",
                "{given}"
            );
        }
    }
    assert_eq!(
        plain.answer("a.example", &[], "224.0.0.1", SERVER),
        "hard.multicast"
    );
    assert_eq!(
        plain.answer("a.example", &[], "10.0.0.5", SERVER),
        "allow",
        "a private address is no rebinding"
    );
    for (allow, given, expected) in [
        ("*://127.0.0.1:8080", "127.0.0.1", "allow"),
        ("tcp://127.0.0.0/8:8080", "127.8.8.8", "allow"),
        ("http://127.0.0.1:8080", "127.0.0.1", "dns.rebinding"),
        ("*://127.0.0.1:8080", "::1", "dns.rebinding"),
        ("*://127.0.0.1:8080", "64:ff9b::7f00:1", "dns.rebinding"),
        ("*://[64:ff9b::]/96:8080", "64:ff9b::7f00:1", "allow"),
    ] {
        let world = World::new(&["*://a.example:*", allow], &[]);
        assert_eq!(
            world.answer("a.example", &[], given, SERVER),
            expected,
            "{allow} {given}"
        );
    }
    let lifted = World::with(&["*://a.example:*"], &[], |operator| {
        operator.limits.loopback_answers = Limit::Lifted;
    });
    assert_eq!(lifted.answer("a.example", &[], "127.0.0.1", SERVER), "allow");
    assert_eq!(
        lifted.answer("a.example", &[], "fe80::1", SERVER),
        "runtime.link-local"
    );
}

// proves: DNS-9
#[test]
fn an_address_that_is_refused_on_all_ports_is_no_answer_and_on_some_ports_it_is() {
    for (deny, given, expected) in [
        (&["*://192.0.2.1:*"][..], "192.0.2.1", "deny.host"),
        (&["*://192.0.2.0/24:*"], "192.0.2.1", "deny.network"),
        (
            &["*://192.0.2.0/24:1-1000", "*://192.0.2.1:1001-65535"],
            "192.0.2.1",
            "deny.network",
        ),
        (&["*://192.0.2.0/24:1-1000"], "192.0.2.1", "allow"),
        (&["*://192.0.2.1:*"], "64:ff9b::192.0.2.1", "deny.host"),
        (&[], "169.254.169.254", "runtime.link-local"),
    ] {
        let world = World::new(&["*://a.example:*"], deny);
        assert_eq!(
            world.answer("a.example", &[], given, SERVER),
            expected,
            "{deny:?} {given}"
        );
    }
}

// proves: DNS-13
#[test]
fn every_address_of_a_request_is_judged_by_the_first_three_layers() {
    let world = World::new(
        &["https://api.example"],
        &["*://192.0.2.66:*", "https://denied.example"],
    );
    for (remote, expected) in [
        ("192.0.2.1:443", "allow"),
        ("192.0.2.66:443", "deny.host"),
        ("169.254.169.254:443", "runtime.link-local"),
        ("127.0.0.1:443", "runtime.loopback-port"),
        ("[::1]:443", "runtime.loopback-port"),
        ("224.0.0.1:443", "hard.multicast"),
    ] {
        assert_eq!(
            world.dial(&Scheme::HTTPS, "api.example", &[], remote),
            expected,
            "{remote}"
        );
    }
    let mut world = world;
    world.grant("api.example", &[], &["192.0.2.1"]);
    assert_eq!(
        world.tcp("192.0.2.1:443"),
        "allow.scheme",
        "a request grants nothing to sockets"
    );
}
