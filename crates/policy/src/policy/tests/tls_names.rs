//! Names held to TLS (TLS-1, TLS-3, TLS-5).

use super::*;

/// A world whose guest looked `shop.example` up, and reaches 203.0.113.7 by that alone.
fn world(mode: TlsNames, allow: &[&str], deny: &[&str]) -> World {
    let mut world = World::with(allow, deny, |operator| operator.tls_names = mode);
    world.grant("shop.example", &[], &["203.0.113.7"]);
    world.usage.tcp_connections_of_instance = 9;
    world
}

fn named(world: &World, server: &str, remote: &str) -> &'static str {
    let host = Host::parse(server).unwrap();
    world.code(&hello(ServerName::Host(&host), remote))
}

const GRANTED: &str = "203.0.113.7:443";

// proves: TLS-1
#[test]
fn each_mode_asks_its_own_layers() {
    use TlsNames::*;
    const ALLOW: &[&str] = &[
        "*://shop.example:443",
        "*://10.0.0.0/8:443",
        "*://*.cdn.example:443",
    ];
    const DENY: &[&str] = &["*://bad.example:443", "https://*.evil.example"];
    for (mode, server, remote, expected) in [
        // The deny list, whichever way the connection was opened.
        (Off, "bad.example", GRANTED, "allow"),
        (Denied, "bad.example", GRANTED, "deny.tls-name"),
        (Allowed, "bad.example", GRANTED, "deny.tls-name"),
        (Required, "bad.example", GRANTED, "deny.tls-name"),
        (Denied, "bad.example", "10.1.2.3:443", "deny.tls-name"),
        (Denied, "a.evil.example", GRANTED, "deny.tls-name"),
        (Denied, "evil.example", GRANTED, "allow"),
        // By the port of the connection.
        (Denied, "bad.example", "203.0.113.7:8443", "allow"),
        (Denied, "a.evil.example", "203.0.113.7:8443", "allow"),
        // Canonical names.
        (Denied, "BAD.example.", GRANTED, "deny.tls-name"),
        // The author's list, where a look-up opened the connection.
        (Denied, "other.example", GRANTED, "allow"),
        (Allowed, "other.example", GRANTED, "allow.tls-name"),
        (Required, "other.example", GRANTED, "allow.tls-name"),
        (Allowed, "shop.example", GRANTED, "allow"),
        (Allowed, "SHOP.example.", GRANTED, "allow"),
        (Allowed, "x.cdn.example", GRANTED, "allow"),
        (Allowed, "cdn.example", GRANTED, "allow.tls-name"),
        (Allowed, "shop.example", "203.0.113.7:444", "allow.tls-name"),
        (Required, "shop.example", GRANTED, "allow"),
        // Not where an entry matches the address.
        (Allowed, "other.example", "10.1.2.3:443", "allow"),
        (Required, "other.example", "10.1.2.3:443", "allow"),
        (Allowed, "other.example", "10.1.2.3:444", "allow.tls-name"),
        // An address in the place of a name is one.
        (Allowed, "10.9.9.9", GRANTED, "allow"),
        (Allowed, "11.9.9.9", GRANTED, "allow.tls-name"),
    ] {
        let world = world(mode, ALLOW, DENY);
        assert_eq!(
            named(&world, server, remote),
            expected,
            "{mode} {server} {remote}"
        );
    }
}

// proves: TLS-1
#[test]
fn an_entry_permits_a_name_as_it_permits_a_socket() {
    for (allow, expected) in [
        ("*://shop.example:443", "allow"),
        ("tcp://shop.example:443", "allow"),
        ("*://*:443", "allow"),
        ("tcp://*.example:443", "allow"),
        ("https://shop.example", "allow.tls-name"),
        ("udp://shop.example:443", "allow.tls-name"),
        ("*://shop.example:8443", "allow.tls-name"),
        ("*://*.shop.example:443", "allow.tls-name"),
    ] {
        let world = world(TlsNames::Allowed, &[allow], &[]);
        assert_eq!(named(&world, "shop.example", GRANTED), expected, "{allow}");
    }
}

// proves: TLS-1, TLS-2, TLS-3
#[test]
fn what_has_no_name_is_refused_where_one_is_required() {
    use ServerName::{Missing, TooLong};
    use TlsNames::*;
    const ALLOW: &[&str] = &["*://shop.example:443", "*://10.0.0.0/8:443"];
    const MALFORMED: ServerName<'static> = ServerName::Malformed(b"");
    const UNREAD: ServerName<'static> = ServerName::Unread(b"a.example:443");
    const NAMES: &[&str] = &["*://bad.example:443"];
    const OTHERS: &[&str] = &["*://bad.example:8443", "*://192.0.2.0/24:*"];
    let there = "10.1.2.3:443";
    for (mode, server, remote, deny, expected) in [
        (Denied, Missing, GRANTED, NAMES, "allow"),
        (Allowed, Missing, GRANTED, NAMES, "allow"),
        (Required, Missing, GRANTED, NAMES, "allow.tls-name"),
        (Required, Missing, there, NAMES, "allow"),
        (Off, MALFORMED, GRANTED, NAMES, "allow"),
        (Denied, MALFORMED, GRANTED, NAMES, "allow"),
        (Allowed, MALFORMED, GRANTED, NAMES, "allow.tls-name"),
        (Allowed, MALFORMED, there, NAMES, "allow.tls-name"),
        (Required, MALFORMED, GRANTED, NAMES, "allow.tls-name"),
        // A name that nobody has read could be a denied one.
        (Off, UNREAD, GRANTED, NAMES, "allow"),
        (Denied, UNREAD, GRANTED, NAMES, "deny.tls-name"),
        (Denied, UNREAD, there, NAMES, "deny.tls-name"),
        (Denied, UNREAD, GRANTED, OTHERS, "allow"),
        (Allowed, UNREAD, GRANTED, OTHERS, "allow.tls-name"),
        (Required, UNREAD, there, OTHERS, "allow.tls-name"),
        // A name behind what is looked at could be a denied one.
        (Off, TooLong, GRANTED, NAMES, "allow"),
        (Denied, TooLong, GRANTED, NAMES, "deny.tls-name"),
        (Denied, TooLong, GRANTED, OTHERS, "allow"),
        (Allowed, TooLong, GRANTED, OTHERS, "allow.tls-name"),
        (Required, TooLong, there, OTHERS, "allow.tls-name"),
    ] {
        let world = world(mode, ALLOW, deny);
        let attempt = hello(server, remote);
        assert_eq!(world.code(&attempt), expected, "{mode} {attempt} {deny:?}");
    }
}

// proves: TLS-3, RSN-2, RSN-5
#[test]
fn a_refusal_says_what_would_permit_it() {
    use TlsNames::*;
    let shop = Host::parse("other.example").unwrap();
    let bad = Host::parse("bad.example").unwrap();
    let address = Host::parse("::1").unwrap();
    for (mode, server, expected) in [
        (
            Allowed,
            ServerName::Host(&shop),
            "add \"tcp://other.example:443\" to the allow list",
        ),
        (
            Allowed,
            ServerName::Host(&address),
            "the operator can lift this with `Operator::tls_names`, denied",
        ),
        (
            Allowed,
            ServerName::Malformed(b""),
            "the operator can lift this with `Operator::tls_names`, denied",
        ),
        (
            Required,
            ServerName::Missing,
            "the operator can lift this with `Operator::tls_names`, allowed",
        ),
        (
            Denied,
            ServerName::Host(&bad),
            "the operator denies `*://bad.example:443` (test:1)",
        ),
        (
            Denied,
            ServerName::TooLong,
            "the operator denies `*://bad.example:443` (test:1)",
        ),
    ] {
        let world = world(mode, &["*://shop.example:443"], &["*://bad.example:443"]);
        let attempt = hello(server, GRANTED);
        let Decision::Deny(denial) = world.judge(&attempt) else {
            panic!("{attempt}");
        };
        let remedy = denial.remedy(&attempt).unwrap().to_string();
        if matches!(server, ServerName::Host(Host::Name(_))) {
            assert!(denial.name().is_some(), "{attempt}");
        }
        assert_eq!(
            remedy.split(" (").next(),
            expected.split(" (").next(),
            "{attempt}"
        );
    }
}

// proves: TLS-3, RSN-2
#[test]
fn each_refusal_has_words_of_its_own() {
    let (bad, other) = (
        Host::parse("bad.example").unwrap(),
        Host::parse("other.example").unwrap(),
    );
    let world = world(
        TlsNames::Required,
        &["*://shop.example:443"],
        &["*://bad.example:443"],
    );
    let refusals = [
        ServerName::Host(&bad),
        ServerName::Host(&other),
        ServerName::Missing,
        ServerName::Malformed(b"a"),
        ServerName::Unread(b"a"),
        ServerName::TooLong,
    ];
    let words: std::collections::BTreeSet<&str> = refusals
        .iter()
        .map(|server| {
            let attempt = hello(*server, GRANTED);
            let Decision::Deny(denial) = world.judge(&attempt) else {
                panic!("{attempt}");
            };
            denial.sentence(&attempt)
        })
        .collect();
    assert_eq!(words.len(), refusals.len(), "{words:?}");
    // What could be read in a name that is none is for the deny list alone.
    let code = |server| world.code(&hello(server, GRANTED));
    assert_eq!(code(ServerName::Piece(&bad)), "deny.tls-name");
    assert_eq!(code(ServerName::Piece(&other)), "allow");
}

// proves: TLS-1
#[test]
fn the_line_that_would_permit_it_does() {
    let other = Host::parse("other.example").unwrap();
    let attempt = hello(ServerName::Host(&other), GRANTED);
    let before = world(TlsNames::Required, &["*://shop.example:443"], &[]);
    let Decision::Deny(denial) = before.judge(&attempt) else {
        panic!("permitted");
    };
    let Some(Remedy::AddEntry(line)) = denial.remedy(&attempt) else {
        panic!("no line");
    };
    let after = world(TlsNames::Required, &["*://shop.example:443", &line], &[]);
    assert_eq!(after.code(&attempt), "allow");
}

// proves: TLS-1
#[test]
fn a_part_needs_the_name_on_both_lists() {
    let list = |texts: &[&str]| Arc::new(AllowList::compile(entries(texts)));
    let operator = Operator {
        tls_names: TlsNames::Allowed,
        ..Operator::default()
    };
    let whole = Policy::new(
        "web",
        list(&["*://a.example:443", "*://b.example:443"]),
        Arc::new(operator),
    );
    let part = whole.for_part("web/part", list(&["*://b.example:443", "*://c.example:443"]));
    let (grants, peers) = (Grants::new(4), Peers::from(&Quotas::default()));
    let situation = Situation {
        grants: &grants,
        peers: &peers,
        usage: Usage::default(),
        now: Instant::now(),
    };
    for (server, expected) in [
        (
            "a.example",
            Some("add \"tcp://a.example:443\" to the allow list, of the part itself"),
        ),
        ("b.example", None),
        (
            "c.example",
            Some("add \"tcp://c.example:443\" to the allow list, of the component itself"),
        ),
    ] {
        let host = Host::parse(server).unwrap();
        let attempt = hello(ServerName::Host(&host), GRANTED);
        let remedy = match part.decide(&attempt, &situation) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => {
                assert_eq!(denial.reason(), Reason::AllowTlsName);
                Some(denial.remedy(&attempt).unwrap().to_string())
            }
        };
        assert_eq!(remedy.as_deref(), expected, "{server}");
    }
}

// proves: TLS-5
#[test]
fn a_server_that_the_host_speaks_tls_with_is_judged_like_that_of_a_hello() {
    use TlsNames::*;
    const ALLOW: &[&str] = &["*://shop.example:443", "*://10.0.0.0/8:443"];
    const DENY: &[&str] = &["*://bad.example:443"];
    let (granted, there) = (endpoint(GRANTED), endpoint("10.1.2.3:443"));
    for (mode, server, remotes, expected) in [
        (Off, "bad.example", &[granted][..], "allow"),
        (Denied, "bad.example", &[granted], "deny.tls-name"),
        (Denied, "other.example", &[granted], "allow"),
        (Allowed, "other.example", &[granted], "allow.tls-name"),
        (Required, "other.example", &[granted], "allow.tls-name"),
        (Allowed, "shop.example", &[granted], "allow"),
        (Allowed, "other.example", &[there], "allow"),
        // Which one it is the ClientHello says.
        (Allowed, "other.example", &[granted, there], "allow"),
        (Allowed, "other.example", &[], "allow"),
    ] {
        let world = world(mode, ALLOW, DENY);
        assert_eq!(
            tls_on(&world, server, remotes),
            expected,
            "{mode} {server} {remotes:?}"
        );
    }
}

// proves: HI-6
#[test]
fn what_the_operator_configured_is_not_asked_about() {
    let operator = Operator {
        tls_names: TlsNames::Required,
        ..Operator::default()
    };
    let allow = Arc::new(AllowList::of_operator(entries(&["*://shop.example:443"])));
    let mut own = World::new(&[], &[]);
    own.policy = Policy::new("store (operator)", allow, Arc::new(operator));
    assert_eq!(named(&own, "other.example", GRANTED), "allow");
}
