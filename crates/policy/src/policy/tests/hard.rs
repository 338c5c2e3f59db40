//! The hard limits (HL), layer 1.

use super::*;

// proves: HL-1, HL-2
#[test]
fn nobody_can_make_a_guest_listen() {
    let world = World::with(&["*://*:*"], &[], |operator| {
        operator.limits = lifted();
    });
    for local in ["0.0.0.0:0", "127.0.0.1:8080", "[::]:0", "[::1]:80"] {
        let local = local.parse().unwrap();
        assert_eq!(world.code(&Attempt::Listen { local }), "hard.listen");
        assert_eq!(world.code(&Attempt::Accept { peer: local }), "hard.accept");
    }
}

// proves: HL-3
#[test]
fn a_guest_binds_only_to_what_the_system_would_choose() {
    let world = World::with(&["*://*:*"], &[], |operator| operator.limits = lifted());
    for (local, expected) in [
        ("0.0.0.0:0", "allow"),
        ("[::]:0", "allow"),
        ("0.0.0.0:1", "hard.bind"),
        ("0.0.0.0:8080", "hard.bind"),
        ("[::]:8080", "hard.bind"),
        ("127.0.0.1:0", "hard.bind"),
        ("[::1]:0", "hard.bind"),
        ("224.0.0.1:0", "hard.bind"),
        ("255.255.255.255:0", "hard.bind"),
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!(
                world.code(&bind(transport, local)),
                expected,
                "{transport} {local}"
            );
        }
    }
}

// proves: HL-4
#[test]
fn a_permit_to_receive_is_no_permit_to_send() {
    let mut world = World::with(&["udp://10.0.0.5:53"], &[], udp_lifted);
    let peer = endpoint("10.0.0.5:53");
    world.peers.sent(peer, world.now);
    let leads_to = |attempt: &Attempt<'_>| match world.judge(attempt) {
        Decision::Allow(permit) => permit.into_remote(),
        Decision::Deny(denial) => panic!("{attempt}: {}", denial.reason().code()),
    };
    assert_eq!(leads_to(&send("10.0.0.5:53")), Some(peer));
    assert_eq!(leads_to(&reach(Transport::Udp, "10.0.0.5:53")), Some(peer));
    assert_eq!(leads_to(&Attempt::Receive { peer }), None);
}

// proves: HL-4
#[test]
fn a_datagram_comes_in_only_from_whom_one_was_sent_to() {
    let mut world = World::with(&["*://10.0.0.5:*", "tcp://10.0.0.6:*"], &[], udp_lifted);
    let receive = |world: &World, peer| world.code(&Attempt::Receive { peer: endpoint(peer) });
    assert_eq!(receive(&world, "10.0.0.5:53"), "hard.unsolicited");
    world.peers.sent(endpoint("10.0.0.5:53"), world.now);
    assert_eq!(receive(&world, "10.0.0.5:53"), "allow");
    assert_eq!(receive(&world, "10.0.0.5:54"), "hard.unsolicited", "another port");
    assert_eq!(
        receive(&world, "10.0.0.6:53"),
        "hard.unsolicited",
        "another address"
    );
    world.peers.sent(endpoint("10.0.0.6:53"), world.now);
    assert_eq!(
        receive(&world, "10.0.0.6:53"),
        "allow.scheme",
        "no longer permitted at the moment of arrival"
    );
    world.now += Duration::from_secs(121);
    assert_eq!(
        receive(&world, "10.0.0.5:53"),
        "hard.unsolicited",
        "idle too long"
    );
}

// proves: HL-5, HL-6
#[test]
fn multicast_port_zero_and_the_unspecified_address_are_no_destinations() {
    let world = World::with(&["*://*:*"], &[], |operator| operator.limits = lifted());
    for (remote, expected) in [
        ("223.255.255.255:9", "allow"),
        ("224.0.0.0:9", "hard.multicast"),
        ("239.255.255.255:9", "hard.multicast"),
        ("255.255.255.255:9", "hard.multicast"),
        ("[ff02::1]:9", "hard.multicast"),
        ("[64:ff9b::e000:1]:9", "hard.multicast"),
        ("10.0.0.5:0", "hard.port-zero"),
        ("0.0.0.0:80", "hard.unspecified"),
        ("[::]:80", "hard.unspecified"),
        ("0.0.0.1:80", "allow"),
    ] {
        assert_eq!(world.tcp(remote), expected, "{remote}");
        assert_eq!(world.udp(remote), expected, "{remote}");
        assert_eq!(
            world.dial(&Scheme::HTTP, "example.com", &[], remote),
            expected,
            "{remote}"
        );
    }
    let shut = World::new(&["*://*:*"], &[]);
    assert_eq!(
        shut.tcp("0.0.0.1:80"),
        "runtime.loopback-port",
        "0.0.0.0/8 counts as loopback for judging"
    );
}

// proves: HL-7, DL-6
#[test]
fn an_embedded_address_is_refused_with_the_one_it_embeds_and_never_permitted_by_it() {
    let forms = [
        "64:ff9b::a00:5",
        "64:ff9b:1::a00:5",
        "2002:a00:5::1",
        "2001:0:a00:5::1",
        "2001:db8::5efe:10.0.0.5",
        "::10.0.0.5",
    ];
    let denied = World::new(&["*://*:*"], &["*://10.0.0.0/8:*"]);
    let listed = World::new(&["*://10.0.0.0/8:*"], &[]);
    let itself = World::new(&["*://[::]/0:*"], &[]);
    for form in forms {
        let remote = format!("[{form}]:5432");
        assert_eq!(denied.tcp(&remote), "deny.network", "{form}");
        assert_eq!(listed.tcp(&remote), "allow.no-match", "{form}");
        assert_eq!(itself.tcp(&remote), "allow", "{form}");
    }
    assert_eq!(
        denied.tcp("[::ffff:10.0.0.5]:5432"),
        "deny.network",
        "a mapped address is the IPv4 address"
    );
    assert_eq!(listed.tcp("[::ffff:10.0.0.5]:5432"), "allow");
    let everything = World::new(&["*://*:*"], &[]);
    for form in [
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
    ] {
        assert_eq!(
            everything.tcp(&format!("[{form}]:22")),
            "runtime.loopback-port",
            "{form}"
        );
    }
    assert_eq!(everything.tcp("[64:ff9b::a9fe:a9fe]:8080"), "runtime.link-local");
}
