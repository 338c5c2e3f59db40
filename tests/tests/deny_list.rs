//! The operator's list: what it refuses although the author allows it.

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::Script;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::udp::UdpEcho;

/// A script guest that its author permits everything.
fn trusting() -> Outport {
    Outport::script_guest().allow("*://*:*")
}

// proves: DL-1
#[test]
fn dl_1_every_way_to_write_the_list_beats_an_allow() {
    let (one, two) = ("*://127.0.0.1:8081", "*://127.0.0.1:8082");
    let script = Script::new()
        .denied("tcp.connect 127.0.0.1:8081", "deny.host")
        .denied("tcp.connect 127.0.0.1:8082", "deny.host")
        .any("tcp.connect 127.0.0.1:8083");
    script.run(trusting().deny(one).deny(two));
    script.run(trusting().deny(format!("{one},{two}")));
    script.run(trusting().deny("*://{127.0.0.1,10.0.0.5}:{8081,8082}"));
    script.run(trusting().variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS", format!("{one},{two}")));
    // The sources add up: the config file cannot take back what an option says.
    let run = trusting().deny(one).file(
        "config.toml",
        config(&format!("disallowed_outbound_hosts = [\"{two}\"]")),
    );
    script.run(run.option("--runtime-config-file=config.toml"));
}

fn config(networking: &str) -> String {
    format!("[outbound_networking]\n{networking}\n")
}

// proves: DL-2
#[test]
fn dl_2_an_entry_denies_the_traffic_that_could_be_its_scheme() {
    let (tcp, udp) = (TcpPeer::echo(), UdpEcho::start());
    for (scheme, tcp_denied, udp_denied) in [
        ("*", true, true),
        ("https", true, false),
        ("http", true, false),
        ("redis", true, false),
        ("tcp", true, false),
        ("udp", false, true),
        ("{http,udp}", true, true),
    ] {
        let statement = |denied, script: Script, statement: String| {
            if denied {
                script.denied(statement, "deny.host")
            } else {
                script.ok(statement)
            }
        };
        let script = statement(
            tcp_denied,
            Script::new(),
            format!("tcp.connect {}", tcp.address()),
        );
        let script = statement(udp_denied, script, format!("udp.connect {}", udp.address()));
        script.run(
            trusting()
                .option("--allow-udp")
                .deny(format!("{scheme}://127.0.0.1:*")),
        );
    }
}

// proves: DL-3
#[test]
fn dl_3_a_name_denied_on_all_ports_is_not_even_asked_for() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    for entry in [
        "*://db.test:*",
        "*://*.test:*",
        "tcp://DB.test:*",
        "*://*:*",
        "*://{a.test,db.test}:*",
    ] {
        let script = Script::new()
            .denied("dns.lookup db.test", "deny.host")
            .denied("dns.lookup DB.TEST.", "deny.host");
        script.run(trusting().deny(entry).dns(&dns).option("--no-resolve-disallowed"));
    }
    assert_eq!(dns.queries(), []);
}

// proves: DL-3
#[test]
fn dl_3_a_name_denied_on_some_ports_is_granted_without_them() {
    isolated(|| {
        let (dns, peer) = (
            DnsServer::start(),
            TcpPeer::start_on(([10, 0, 0, 5], 5433), Manner::Echo),
        );
        dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
        let script = Script::new()
            .gets("dns.lookup db.test", "10.0.0.5")
            .denied("tcp.connect 10.0.0.5:5432", "deny.host")
            .ok("tcp.connect 10.0.0.5:5433");
        let run = Outport::script_guest()
            .allow("*://db.test:*")
            .deny("*://db.test:5432")
            .dns(&dns);
        script.run(run.option("--no-resolve-disallowed"));
        assert_eq!(peer.accepted(), 1);
    });
}

// proves: DL-4
#[test]
fn dl_4_a_denied_name_anywhere_in_the_chain_denies_the_name() {
    let dns = DnsServer::start();
    dns.answers(
        "www.test",
        [Reply::addresses(["10.0.0.5"]).via(["cdn.test", "edge.evil.test"])],
    );
    dns.answers("half.test", [Reply::alias(["edge.evil.test"])]);
    dns.answers("edge.evil.test", [Reply::addresses(["10.0.0.5"])]);
    // The denied name lies in the middle of a chain, and in another answer than the first.
    dns.answers("far.test", [Reply::alias(["near.test"])]);
    dns.answers(
        "near.test",
        [Reply::alias(["middle.test", "x.evil.test", "behind.test"])],
    );
    dns.answers("behind.test", [Reply::addresses(["10.0.0.5"]).via(["end.test"])]);
    dns.answers("x.evil.test", [Reply::addresses(["10.0.0.5"])]);
    let script = Script::new()
        .denied("dns.lookup www.test", "deny.cname")
        .denied("dns.lookup half.test", "deny.cname");
    for entry in ["*://edge.evil.test:*", "*://*.evil.test:*"] {
        script.run(trusting().deny(entry).dns(&dns).option("--no-resolve-disallowed"));
    }
    let script = Script::new()
        .denied("dns.lookup far.test", "deny.cname")
        .denied("dns.lookup near.test", "deny.cname")
        .gets("dns.lookup behind.test", "10.0.0.5");
    for entry in [
        "*://x.evil.test:*",
        "*://*.evil.test:*",
        "*://{middle.test,x.evil.test}:*",
    ] {
        script.run(trusting().deny(entry).dns(&dns).option("--no-resolve-disallowed"));
    }
}

// proves: DL-4
#[test]
fn dl_4_a_chain_denied_on_some_ports_is_granted_without_them() {
    isolated(|| {
        let (dns, peer) = (
            DnsServer::start(),
            TcpPeer::start_on(([10, 0, 0, 5], 5433), Manner::Echo),
        );
        dns.answers("www.test", [Reply::addresses(["10.0.0.5"]).via(["edge.test"])]);
        let script = Script::new()
            .gets("dns.lookup www.test", "10.0.0.5")
            .denied("tcp.connect 10.0.0.5:5432", "deny.cname")
            .ok("tcp.connect 10.0.0.5:5433");
        let run = Outport::script_guest()
            .allow("*://www.test:*")
            .deny("*://edge.test:5432")
            .dns(&dns);
        script.run(run.option("--no-resolve-disallowed"));
        outport_e2e::until::until("the peer has it", || peer.accepted() == 1);
    });
}

// proves: DL-5
#[test]
fn dl_5_the_addresses_of_a_denied_name_are_denied_as_literals() {
    isolated(|| {
        let (dns, peer) = (
            DnsServer::start(),
            TcpPeer::start_on(([10, 0, 0, 5], 5432), Manner::Echo),
        );
        dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
        let script = Script::new()
            .denied("tcp.connect 10.0.0.5:5432", "deny.name-address")
            .denied("tcp.connect [64:ff9b::a00:5]:5432", "deny.name-address")
            .gets("tcp.connect 10.0.0.6:5432", "connection-refused");
        let finished = script.run(trusting().deny("*://db.test:5432").dns(&dns));
        assert!(
            finished.stderr.contains("db.test"),
            "the log says which name\n{finished}"
        );
        assert!(!dns.queries_for("db.test").is_empty());

        let script = Script::new().ok("tcp.connect 10.0.0.5:5432");
        script.run(
            trusting()
                .deny("*://db.test:5432")
                .dns(&dns)
                .option("--no-resolve-disallowed"),
        );
        script.run(trusting().deny("*://db.test:5433").dns(&dns));
        assert_eq!(peer.accepted(), 2);
    });
}

// proves: DL-6
#[test]
fn dl_6_networks_judge_canonical_addresses_wherever_they_come_from() {
    isolated(|| {
        let dns = DnsServer::start();
        dns.answers("db.test", [Reply::addresses(["10.0.0.5", "93.184.216.34"])]);
        dns.answers("inside.test", [Reply::addresses(["10.0.0.5", "64:ff9b::a00:5"])]);
        let script = Script::new()
            .denied("tcp.connect 10.0.0.5:5432", "deny.network")
            .denied("tcp.connect 10.255.255.255:5432", "deny.network")
            .denied("tcp.connect [2002:a00:5::1]:5432", "deny.network")
            .gets("tcp.connect 11.0.0.0:5432", "remote-unreachable")
            .gets("dns.lookup db.test", "93.184.216.34")
            .logging("deny.network")
            .denied("dns.lookup inside.test", "deny.network")
            .logging("deny.network");
        script.run(trusting().deny("*://10.0.0.0/8:*").dns(&dns));
    });
}

// proves: DL-7
#[test]
fn dl_7_block_networks_denies_all_ports_and_schemes() {
    let script = Script::new()
        .denied("tcp.connect 10.0.0.5:5432", "deny.network")
        .denied("tcp.connect 10.255.255.255:1", "deny.network")
        .denied("tcp.connect [2001:db8::1]:443", "deny.network")
        .any("tcp.connect 127.0.0.1:8080");
    let run = trusting().file(
        "config.toml",
        config("block_networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]"),
    );
    script.run(run.option("--runtime-config-file=config.toml"));
}

// proves: DL-7
#[test]
fn dl_7_private_is_every_address_that_is_not_globally_reachable() {
    isolated(|| {
        let mut script = Script::new();
        for address in [
            "10.0.0.5",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "240.0.0.1",
            "[::1]",
            "[fc00::1]",
            "[fdff::1]",
            "[2001:db8::1]",
        ] {
            script = script.denied(format!("tcp.connect {address}:8080"), "deny.network");
        }
        for address in [
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "1.1.1.1",
        ] {
            script = script.gets(format!("tcp.connect {address}:8080"), "remote-unreachable");
        }
        for address in ["93.184.216.34", "[2606:2800:21f::34]"] {
            script = script.gets(format!("tcp.connect {address}:8080"), "connection-refused");
        }
        let run = trusting().file("config.toml", config("block_networks = [\"private\"]"));
        script.run(run.option("--runtime-config-file=config.toml"));
    });
}

// proves: DL-8
#[test]
fn dl_8_localhost_on_the_list_is_loopback_by_any_name_or_address() {
    let script = Script::new()
        .denied("tcp.connect 127.0.0.1:8080", "deny.host")
        .denied("tcp.connect 127.1.2.3:8080", "deny.host")
        .denied("tcp.connect [::1]:8080", "deny.host")
        .denied("dns.lookup localhost", "deny.host")
        .denied("dns.lookup db.localhost", "deny.host")
        .logging("deny.host");
    script.run(trusting().deny("*://localhost:*"));
}
