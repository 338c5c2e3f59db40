//! What only the operator can lift: low loopback ports, UDP, link-local and metadata addresses.

use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::Script;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::udp::UdpEcho;

/// A script guest that its author permits everything.
fn trusting() -> Outport {
    Outport::script_guest().allow("*://*:*")
}

// proves: RL-1
#[test]
fn rl_1_low_ports_of_loopback_are_refused_to_the_boundary() {
    let script = Script::new()
        .denied("tcp.connect 127.0.0.1:1", "runtime.loopback-port")
        .denied("tcp.connect 127.0.0.1:80", "runtime.loopback-port")
        .denied("tcp.connect 127.0.0.1:1023", "runtime.loopback-port")
        .denied("tcp.connect 127.0.0.0:80", "runtime.loopback-port")
        .denied("tcp.connect 127.255.255.255:80", "runtime.loopback-port")
        .denied("tcp.connect [::1]:80", "runtime.loopback-port")
        .denied("tcp.connect [::1]:1023", "runtime.loopback-port")
        .any("dns.lookup localhost")
        .denied("tcp.connect 127.0.0.1:80", "runtime.loopback-port");
    script.run(trusting());
}

// proves: RL-1
#[test]
fn rl_1_port_1024_and_the_neighbours_of_loopback_are_not_limited() {
    isolated(|| {
        let script = Script::new()
            .gets("tcp.connect 127.0.0.1:1024", "connection-refused")
            .gets("tcp.connect [::1]:1024", "connection-refused")
            .gets("tcp.connect 126.255.255.255:80", "remote-unreachable")
            .gets("tcp.connect 128.0.0.0:80", "remote-unreachable");
        script.run(trusting());
    });
}

// proves: RL-1, RL-5
#[test]
fn rl_1_the_operator_lifts_it_for_the_ports_of_the_option_only() {
    isolated(|| {
        for (options, lifted, limited) in [
            (vec!["--allow-loopback-ports=80"], vec![80], vec![79, 81]),
            (vec!["--allow-loopback-ports=80-90"], vec![80, 90], vec![79, 91]),
            (
                vec!["--allow-loopback-ports=53", "--allow-loopback-ports=80"],
                vec![53, 80],
                vec![54],
            ),
            (
                vec!["--allow-loopback-ports=53,80-81"],
                vec![53, 80, 81],
                vec![54],
            ),
            (vec!["--allow-loopback-ports=*"], vec![1, 1023], vec![]),
        ] {
            let mut script = Script::new();
            for port in lifted {
                script = script.gets(format!("tcp.connect 127.0.0.1:{port}"), "connection-refused");
            }
            for port in limited {
                script = script.denied(format!("tcp.connect 127.0.0.1:{port}"), "runtime.loopback-port");
            }
            script.run(trusting().options(options));
        }
    });
}

// proves: RL-1
#[test]
fn rl_1_a_lifted_port_is_connected_to() {
    isolated(|| {
        let peer = TcpPeer::start_on(([127, 0, 0, 1], 80), outport_e2e::tcp::Manner::Echo);
        let script = Script::new()
            .ok("tcp.connect 127.0.0.1:80 as c")
            .ok("tcp.send c ping")
            .gets("tcp.recv c", "ping");
        script.run(trusting().option("--allow-loopback-ports=80"));
        assert_eq!(peer.accepted(), 1);
    });
}

// proves: RL-2
#[test]
fn rl_2_a_udp_socket_is_refused() {
    let script = Script::new()
        .denied("udp.create ipv4", "runtime.udp")
        .denied("udp.create ipv6", "runtime.udp");
    script.run(trusting());
    script.run(Outport::script_guest().allow("udp://*:*"));
}

// proves: RL-2, RL-5, AL-4
#[test]
fn rl_2_lifted_udp_still_needs_an_entry() {
    let echo = UdpEcho::start();
    let (address, port) = (echo.address(), echo.port());
    for entry in [format!("udp://127.0.0.1:{port}"), format!("*://127.0.0.1:{port}")] {
        let script = Script::new()
            .ok("udp.bind 0.0.0.0:0 as u")
            .ok(format!("udp.send-to u {address} ping"))
            .gets("udp.recv u 20000", format!("ping from {address}"))
            .denied("udp.send-to u 127.0.0.1:9999 ping", "allow.port");
        script.run(Outport::script_guest().allow(entry).option("--allow-udp"));
    }
    let script = Script::new()
        .ok("udp.bind 0.0.0.0:0 as u")
        .denied(format!("udp.send-to u {address} ping"), "allow.scheme")
        .denied(format!("udp.connect {address}"), "allow.scheme");
    script.run(
        Outport::script_guest()
            .allow(format!("tcp://127.0.0.1:{port}"))
            .option("--allow-udp"),
    );
}

/// Addresses that RL-3 names, their neighbours, and what a machine without a route says to those.
const LINK_LOCAL: [&str; 10] = [
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "[fe80::]",
    "[fe80::1]",
    "[febf:ffff::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
];
const NEIGHBOURS: [&str; 8] = [
    "169.253.255.255",
    "169.255.0.0",
    "[fec0::]",
    "[fd00:ec2::253]",
    "100.100.100.199",
    "168.63.129.17",
    "192.0.0.191",
    "192.0.0.193",
];

// proves: RL-3
#[test]
fn rl_3_link_local_and_metadata_addresses_are_refused_to_their_boundaries() {
    isolated(|| {
        let mut script = Script::new();
        for address in LINK_LOCAL {
            script = script.denied(format!("tcp.connect {address}:8080"), "runtime.link-local");
        }
        for address in NEIGHBOURS {
            script = script.gets(format!("tcp.connect {address}:8080"), "remote-unreachable");
        }
        script.run(trusting());
    });
}

// proves: RL-3, RL-5
#[test]
fn rl_3_lifted_the_metadata_server_is_reached_if_an_entry_allows_it() {
    isolated(|| {
        let v4 = TcpPeer::start_on(([169, 254, 169, 254], 8080), outport_e2e::tcp::Manner::Echo);
        let script = Script::new()
            .ok("tcp.connect 169.254.169.254:8080")
            .denied("tcp.connect 100.100.100.200:8080", "allow.no-match");
        script.run(
            Outport::script_guest()
                .allow("*://169.254.169.254:8080")
                .option("--allow-link-local"),
        );
        assert_eq!(v4.accepted(), 1);
    });
}

// proves: RL-1, RL-2, RL-3, RL-5
#[test]
fn rl_5_lifting_everything_permits_nothing() {
    let script = Script::new()
        .denied("tcp.connect 127.0.0.1:80", "allow.none")
        .denied("tcp.connect 169.254.169.254:80", "allow.none")
        .denied("udp.bind 0.0.0.0:0", "allow.none")
        .denied("dns.lookup localhost", "allow.none");
    script.run(Outport::script_guest().options([
        "--allow-udp",
        "--allow-link-local",
        "--allow-loopback-answers",
        "--allow-loopback-ports=*",
    ]));
}

// proves: RL-1, RL-2
#[test]
fn the_runtime_config_lifts_as_the_options_do() {
    isolated(|| {
        let config = "allow_udp = true\nallow_loopback_ports = [\"80\"]\n";
        let config = format!("[outbound_networking]\n{config}");
        let script = Script::new()
            .gets("tcp.connect 127.0.0.1:80", "connection-refused")
            .denied("tcp.connect 127.0.0.1:81", "runtime.loopback-port")
            .ok("udp.create ipv4");
        script.run(
            trusting()
                .file("config.toml", config)
                .option("--runtime-config-file=config.toml"),
        );
    });
}
