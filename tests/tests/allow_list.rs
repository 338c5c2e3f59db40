//! The author's list: which entry permits which socket.

use std::net::Ipv6Addr;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::Script;
use outport_e2e::tcp::{ClosedPort, Manner, TcpPeer};

// proves: ORD-2
#[test]
fn ord_2_without_any_configuration_nothing_is_reached() {
    let script = Script::new()
        .denied("tcp.connect 127.0.0.1:8080", "allow.none")
        .denied("tcp.connect [::1]:8080", "allow.none")
        .denied("tcp.connect 93.184.216.34:443", "allow.none")
        .denied("tcp.connect 10.0.0.5:5432", "allow.none")
        .denied("tcp.connect 127.0.0.1:22", "runtime.loopback-port")
        .denied("tcp.connect 169.254.169.254:80", "runtime.link-local")
        .denied("tcp.bind 127.0.0.1:8080", "hard.bind")
        .denied("tcp.bind 0.0.0.0:8080", "hard.bind")
        .denied("udp.create ipv4", "runtime.udp")
        .denied("udp.create ipv6", "runtime.udp")
        .denied("dns.lookup example.com", "allow.none")
        .denied("dns.lookup localhost", "allow.none");
    script.run(Outport::script_guest());
}

// proves: ORD-1
#[test]
fn ord_1_the_first_layer_that_refuses_gives_the_reason() {
    // Each row lifts one layer more; the destination is refused by all that are left.
    let (hard, deny, limits) = (
        "tcp.bind 127.0.0.1:80",
        "tcp.connect 127.0.0.1:80",
        "tcp.connect 127.0.0.1:81",
    );
    let script = Script::new()
        .denied(hard, "hard.bind")
        .denied(deny, "deny.host")
        .denied(limits, "runtime.loopback-port")
        .denied("tcp.connect 127.0.0.1:8081", "allow.no-match");
    script.run(
        Outport::script_guest()
            .deny("*://127.0.0.1:80")
            .allow("*://10.0.0.5:*")
            .option("--max-sockets=1"),
    );
}

// proves: AL-1
#[test]
fn al_1_every_form_of_an_entry_permits_what_it_says() {
    let peer = TcpPeer::echo();
    let port = peer.port();
    let (below, above) = (port - 1, port + 1);
    for entry in [
        format!("*://127.0.0.1:{port}"),
        format!("*://127.0.0.1:{port}/"),
        format!("  *://127.0.0.1:{port} "),
        format!("tcp://127.0.0.1:{port}"),
        format!("TCP://127.0.0.1:{port}"),
        format!("{{tcp,udp}}://127.0.0.1:{port}"),
        format!("*://*:{port}"),
        "*://127.0.0.1:*".to_owned(),
        "*://*:*".to_owned(),
        format!("*://127.0.0.0/8:{port}"),
        format!("*://127.0.0.1/32:{port}"),
        format!("*://0.0.0.0/0:{port}"),
        format!("*://{{10.0.0.5,127.0.0.1}}:{port}"),
        format!("*://{{a.test,127.0.0.0/8}}:{port}"),
        format!("*://127.0.0.1:{port}..{above}"),
        format!("*://127.0.0.1:{below}-{port}"),
        format!("*://127.0.0.1:{{80,{port}}}"),
        format!("*://127.0.0.1:{{80,{below}-{above}}}"),
    ] {
        let script = Script::new().ok(format!("tcp.connect {}", peer.address()));
        script.run(Outport::script_guest().allow(&entry));
    }
}

// proves: AL-1, AL-5
#[test]
fn al_1_every_form_of_an_entry_permits_nothing_more() {
    let destination = "tcp.connect 127.0.0.1:8080";
    for (entry, reason) in [
        ("*://127.0.0.1:8081", "allow.port"),
        ("*://127.0.0.1:8070..8080", "allow.port"),
        ("*://127.0.0.1:8081-8090", "allow.port"),
        ("*://127.0.0.1:{80,8081}", "allow.port"),
        ("*://127.0.0.2:8080", "allow.no-match"),
        ("*://126.0.0.0/8:8080", "allow.no-match"),
        ("*://127.0.0.2/31:8080", "allow.no-match"),
        ("*://[::1]:8080", "allow.no-match"),
        ("*://[::/0]:8080", "allow.no-match"),
        ("*://{10.0.0.5,a.test}:8080", "allow.name-not-looked-up"),
        ("*://localhost:8080", "allow.name-not-looked-up"),
        ("*://*.test:8080", "allow.name-not-looked-up"),
        ("http://127.0.0.1:8080", "allow.scheme"),
        ("udp://127.0.0.1:8080", "allow.scheme"),
        ("redis://127.0.0.1:8080", "allow.scheme"),
        ("http://self", "allow.no-match"),
    ] {
        let finished = Outport::script_guest()
            .allow(entry)
            .args([destination])
            .finish()
            .expect_code(0);
        assert!(
            finished.stdout.ends_with(" => access-denied\n"),
            "{entry}\n{finished}"
        );
        assert_eq!(finished.reasons(), [reason], "{entry}\n{finished}");
    }
}

// proves: AL-1
#[test]
fn al_1_ipv6_entries_permit_addresses_and_networks() {
    let peer = TcpPeer::start_on((Ipv6Addr::LOCALHOST, 0), Manner::Echo);
    let port = peer.port();
    for entry in [
        format!("*://[::1]:{port}"),
        format!("*://[::1]/128:{port}"),
        format!("*://[::1/128]:{port}"),
        format!("*://::1/128:{port}"),
        format!("*://[::]/0:{port}"),
        format!("*://[0:0:0:0:0:0:0:1]:{port}"),
    ] {
        Script::new()
            .ok(format!("tcp.connect [::1]:{port}"))
            .run(Outport::script_guest().allow(entry));
    }
}

// proves: AL-3, AL-9
#[test]
fn al_3_only_an_entry_for_all_schemes_permits_a_socket() {
    let peer = TcpPeer::echo();
    let (address, port) = (peer.address(), peer.port());
    for scheme in [
        "http",
        "https",
        "{http,https}",
        "redis",
        "postgres",
        "mysql",
        "mqtt",
    ] {
        let script = Script::new().denied(format!("tcp.connect {address}"), "allow.scheme");
        script.run(Outport::script_guest().allow(format!("{scheme}://127.0.0.1:{port}")));
    }
    assert_eq!(peer.accepted(), 0);
}

// proves: AL-1, AL-3
#[test]
fn al_3_the_default_port_of_a_scheme_is_no_socket_either() {
    for (entry, port) in [
        ("http://10.0.0.5", 80),
        ("https://10.0.0.5", 443),
        ("redis://10.0.0.5", 6379),
    ] {
        let script = Script::new().denied(format!("tcp.connect 10.0.0.5:{port}"), "allow.scheme");
        script.run(Outport::script_guest().allow(entry));
    }
}

// proves: AL-5
#[test]
fn al_5_a_wildcard_matches_every_depth_below_and_not_the_name_itself() {
    let dns = DnsServer::start();
    for name in [
        "a.example.test",
        "b.a.example.test",
        "example.test",
        "notexample.test",
    ] {
        dns.answers(name, [Reply::addresses(["10.0.0.5"])]);
    }
    let script = Script::new()
        .gets("dns.lookup a.example.test", "10.0.0.5")
        .gets("dns.lookup b.a.example.test", "10.0.0.5")
        .denied("dns.lookup example.test", "dns.name-not-allowed")
        .denied("dns.lookup notexample.test", "dns.name-not-allowed")
        .denied("dns.lookup example.test.a", "dns.name-not-allowed");
    script.run(Outport::script_guest().allow("*://*.example.test:5432").dns(&dns));
}

// proves: AL-5
#[test]
fn al_5_a_network_matches_no_name_and_a_name_no_address() {
    isolated(|| {
        let (dns, peer) = (
            DnsServer::start(),
            TcpPeer::start_on(([10, 0, 0, 5], 5432), Manner::Echo),
        );
        dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
        let by_network = Script::new()
            .denied("dns.lookup db.test", "dns.name-not-allowed")
            .ok("tcp.connect 10.0.0.5:5432");
        by_network.run(Outport::script_guest().allow("*://10.0.0.0/8:5432").dns(&dns));
        let by_name = Script::new()
            .denied("tcp.connect 10.0.0.5:5432", "allow.name-not-looked-up")
            .gets("dns.lookup db.test", "10.0.0.5")
            .ok("tcp.connect 10.0.0.5:5432");
        by_name.run(Outport::script_guest().allow("*://db.test:5432").dns(&dns));
        assert_eq!(peer.accepted(), 2);
    });
}

// proves: AL-1
#[test]
fn al_1_names_are_compared_in_their_canonical_form() {
    let dns = DnsServer::start();
    dns.answers("xn--bcher-kva.test", [Reply::addresses(["10.0.0.5"])]);
    for entry in [
        "*://bücher.test:80",
        "*://BÜCHER.test:80",
        "*://xn--bcher-kva.test:80",
        "*://bücher.test.:80",
    ] {
        let script = [
            "bücher.test",
            "BÜCHER.TEST",
            "xn--bcher-kva.test",
            "XN--BCHER-KVA.test.",
        ]
        .into_iter()
        .fold(Script::new(), |script, name| {
            script.gets(format!("dns.lookup {name}"), "10.0.0.5")
        });
        script.run(Outport::script_guest().allow(entry).dns(&dns));
    }
}

// proves: AL-1
#[test]
fn al_1_a_comma_in_braces_does_not_separate_entries() {
    let peers = [TcpPeer::echo(), TcpPeer::echo()];
    let [one, two] = [peers[0].port(), peers[1].port()];
    let nobody = ClosedPort::take();
    let closed = nobody.number();
    let script = Script::new()
        .ok(format!("tcp.connect 127.0.0.1:{one}"))
        .ok(format!("tcp.connect 127.0.0.1:{two}"))
        .gets(format!("tcp.connect 127.0.0.1:{closed}"), "connection-refused");
    script.run(Outport::script_guest().allow(format!(
        "*://{{10.0.0.5,127.0.0.1}}:{{{one},{two}}},*://127.0.0.1:{closed}"
    )));
    let repeated = Outport::script_guest()
        .allow(format!("*://127.0.0.1:{one}"))
        .allow(format!("*://127.0.0.1:{two}"));
    repeated
        .allow(format!("*://127.0.0.1:{closed}"))
        .args(script.statements())
        .finish()
        .expect_code(0);
}
