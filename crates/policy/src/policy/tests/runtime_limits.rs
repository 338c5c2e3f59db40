//! The runtime limits (RL), layer 3.

use super::*;

// proves: RL-1, RL-5
#[test]
fn privileged_loopback_ports_stay_shut_until_lifted() {
    let shut = World::new(&["*://*:*"], &[]);
    let open = World::with(&["*://127.0.0.1:*"], &[], |operator| {
        operator.limits.loopback_ports = PortSet::parse("53,80-90").unwrap();
    });
    for (remote, by_default, lifted) in [
        ("127.0.0.1:1", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:52", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:53", "runtime.loopback-port", "allow"),
        ("127.0.0.1:80", "runtime.loopback-port", "allow"),
        ("127.0.0.1:90", "runtime.loopback-port", "allow"),
        ("127.0.0.1:91", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:1023", "runtime.loopback-port", "runtime.loopback-port"),
        ("127.0.0.1:1024", "allow", "allow"),
        (
            "127.255.255.254:22",
            "runtime.loopback-port",
            "runtime.loopback-port",
        ),
        ("[::1]:22", "runtime.loopback-port", "runtime.loopback-port"),
        ("[::1]:80", "runtime.loopback-port", "allow.no-match"),
        ("128.0.0.1:22", "allow", "allow.no-match"),
    ] {
        assert_eq!(shut.tcp(remote), by_default, "{remote}");
        assert_eq!(open.tcp(remote), lifted, "{remote}");
    }
}

// proves: RL-2, RL-5, AL-4
#[test]
fn udp_stays_shut_until_lifted_and_still_needs_an_entry() {
    let allow = ["udp://10.0.0.5:53", "tcp://10.0.0.6:53", "*://10.0.0.7:53"];
    let create = Attempt::CreateSocket {
        transport: Transport::Udp,
    };
    let shut = World::new(&allow, &[]);
    assert_eq!(shut.code(&create), "runtime.udp");
    assert_eq!(shut.code(&bind(Transport::Udp, "0.0.0.0:0")), "runtime.udp");
    assert_eq!(shut.udp("10.0.0.5:53"), "runtime.udp");
    let open = World::with(&allow, &[], udp_lifted);
    assert_eq!(open.code(&create), "allow");
    for (remote, tcp, udp) in [
        ("10.0.0.5:53", "allow.scheme", "allow"),
        ("10.0.0.6:53", "allow", "allow.scheme"),
        ("10.0.0.7:53", "allow", "allow"),
        ("10.0.0.8:53", "allow.no-match", "allow.no-match"),
    ] {
        assert_eq!(open.tcp(remote), tcp, "{remote}");
        assert_eq!(open.udp(remote), udp, "{remote}");
    }
}

// proves: RL-3, RL-4
#[test]
fn link_local_and_metadata_addresses_stay_shut_for_sockets_and_http() {
    let shut = World::new(&["*://*:*"], &[]);
    let open = World::with(&["*://*:*"], &[], |operator| {
        operator.limits.link_local = Limit::Lifted
    });
    for (ip, refused) in [
        ("169.254.169.254", true),
        ("169.253.255.255", false),
        ("[fe80::1]", true),
        ("[fec0::1]", false),
        ("[fd00:ec2::254]", true),
        ("100.100.100.200", true),
        ("100.100.100.201", false),
        ("168.63.129.16", true),
        ("192.0.0.192", true),
    ] {
        let expected = if refused { "runtime.link-local" } else { "allow" };
        let remote = format!("{ip}:8080");
        assert_eq!(shut.tcp(&remote), expected, "{ip}");
        assert_eq!(shut.request(&Scheme::HTTP, ip, 8080), expected, "{ip}");
        assert_eq!(shut.dial(&Scheme::HTTP, ip, &[], &remote), expected, "{ip}");
        assert_eq!(open.tcp(&remote), "allow", "{ip}");
    }
    assert_eq!(
        shut.request(&Scheme::HTTP, "127.0.0.1", 80),
        "runtime.loopback-port"
    );
    assert_eq!(
        shut.dial(&Scheme::HTTP, "127.0.0.1", &[], "127.0.0.1:80"),
        "runtime.loopback-port"
    );
}

#[test]
fn a_limit_is_lifted_if_the_operator_said_so() {
    assert_eq!([true, false].map(Limit::lifted_if), [Limit::Lifted, Limit::Holds]);
}
