//! What nobody can lift: listening, local addresses of one's choice, strangers' datagrams, many receivers.
//!
//! Each run here lifts everything that can be lifted and allows everything, so that what is refused is refused
//! by a hard limit.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use outport_e2e::guest::Wasi;
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::script::Script;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::udp::{UdpEcho, send_as_stranger};

/// A script guest that may do whatever somebody can permit.
fn unleashed() -> Outport {
    Outport::script_guest().allow("*://*:*").options([
        "--allow-udp",
        "--allow-link-local",
        "--allow-loopback-answers",
        "--allow-loopback-ports=*",
    ])
}

// proves: HL-1, HL-2
#[test]
fn hl_1_listen_is_refused_and_nothing_ever_listens() {
    isolated(|| {
        let script = Script::new()
            .ok("tcp.bind 0.0.0.0:0 as v4")
            .denied("tcp.listen on v4", "hard.listen")
            .gets("tcp.accept on v4", "invalid-state")
            .ok("tcp.bind [::]:0 as v6")
            .denied("tcp.listen on v6", "hard.listen");
        // Only WASI 0.2 has a rule of its own against listening on a socket that is not bound.
        let unbound = ["tcp.listen ipv4", "tcp.listen ipv6"];
        let script = unbound
            .into_iter()
            .fold(script, |script, listen| match Wasi::under_test() {
                Wasi::V0_2 => script.gets(listen, "invalid-state"),
                Wasi::V0_3 => script.denied(listen, "hard.listen"),
            });
        let script = script
            .gets("tcp.create ipv4 as fresh", "ok")
            .gets("tcp.accept on fresh", "invalid-state")
            .gets("print tried", "tried")
            .ok("wait 500");
        let running = unleashed().args(script.statements()).start();
        running.wait_for_line("10 print tried");
        assert_eq!(listeners(), Vec::<String>::new());
        script.check(&running.finish());
    });
}

/// The local addresses that somebody in this network listens on, as the kernel writes them.
fn listeners() -> Vec<String> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    let sockets = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    sockets
        .filter(|columns| columns.get(3) == Some(&LISTEN))
        .map(|columns| columns[1].to_owned())
        .collect()
}

// proves: HL-3
#[test]
fn hl_3_a_local_address_or_port_cannot_be_chosen() {
    let script = Script::new()
        .ok("tcp.bind 0.0.0.0:0")
        .ok("tcp.bind [::]:0")
        .denied("tcp.bind 127.0.0.1:0", "hard.bind")
        .denied("tcp.bind [::1]:0", "hard.bind")
        .denied("tcp.bind 0.0.0.0:1", "hard.bind")
        .denied("tcp.bind 0.0.0.0:8080", "hard.bind")
        .denied("tcp.bind 0.0.0.0:65535", "hard.bind")
        .denied("tcp.bind [::]:8080", "hard.bind")
        .denied("tcp.bind 0.0.0.1:0", "hard.bind")
        .ok("udp.bind 0.0.0.0:0")
        .ok("udp.bind [::]:0")
        .denied("udp.bind 127.0.0.1:0", "hard.bind")
        .denied("udp.bind [::1]:0", "hard.bind")
        .denied("udp.bind 0.0.0.0:53", "hard.bind")
        .denied("udp.bind [::]:53", "hard.bind")
        .denied("udp.bind 224.0.0.1:0", "hard.bind")
        .denied("udp.bind 255.255.255.255:0", "hard.bind");
    script.run(unleashed());
}

// proves: HL-3
#[test]
fn hl_3_the_bind_that_a_connection_implies_is_permitted() {
    let (tcp, udp) = (TcpPeer::echo(), UdpEcho::start());
    Script::new()
        .ok(format!("tcp.connect {}", tcp.address()))
        .ok(format!("udp.connect {} as u", udp.address()))
        .ok("udp.send u ping")
        .gets("udp.recv u 20000", format!("ping from {}", udp.address()))
        .run(unleashed());
}

// proves: HL-4
#[test]
fn hl_4_a_datagram_of_a_stranger_never_arrives() {
    let echo = UdpEcho::start();
    let script = Script::new()
        .ok("udp.bind 0.0.0.0:0 as u")
        .ok(format!("udp.send-to u {} hello", echo.address()))
        .gets("udp.recv u 20000", format!("hello from {}", echo.address()))
        .gets("udp.recv u 20000", format!("second from {}", echo.address()))
        .gets("udp.collect u 300", "timeout")
        .logging("hard.unsolicited");
    let running = unleashed().args(script.statements()).start();
    let guest = (Ipv4Addr::LOCALHOST, echo.wait_for_sender().port()).into();
    running.wait_for_line("3 udp.recv");
    // Another port, another address, and the peer itself.
    send_as_stranger(Ipv4Addr::LOCALHOST, guest, b"boo", 5);
    send_as_stranger(Ipv4Addr::new(127, 0, 0, 2), guest, b"boo", 5);
    echo.say(guest, b"second");
    script.check(&running.finish());
}

// proves: HL-4
#[test]
fn hl_4_a_peer_that_is_no_longer_permitted_is_a_stranger() {
    use outport_e2e::dns::{DnsServer, Reply};
    let (echo, dns) = (UdpEcho::start(), DnsServer::start());
    dns.answers(
        "peer.test",
        [Reply::addresses(["127.0.0.1"]), Reply::addresses(["127.0.0.9"])],
    );
    let script = Script::new()
        .gets("dns.lookup peer.test", "127.0.0.1")
        .ok("udp.bind 0.0.0.0:0 as u")
        .ok(format!("udp.send-to u {} hello", echo.address()))
        .gets("udp.recv u 20000", format!("hello from {}", echo.address()))
        .gets("dns.lookup peer.test", "127.0.0.9")
        .gets("udp.collect u 2500", "timeout")
        .logging("hard.unsolicited");
    let run = Outport::script_guest()
        .allow(format!("udp://peer.test:{}", echo.port()))
        .dns(&dns);
    let running = run
        .options(["--allow-udp", "--allow-loopback-answers"])
        .args(script.statements())
        .start();
    running.wait_for_line("5 dns.lookup");
    std::thread::sleep(Duration::from_millis(100));
    echo.say(
        (Ipv4Addr::LOCALHOST, echo.wait_for_sender().port()).into(),
        b"late",
    );
    let finished = running.finish();
    assert!(!finished.stdout.contains("late"), "{finished}");
    assert!(
        finished
            .audit
            .iter()
            .any(|line| line.field("attempt") == "udp.receive" && line.denied()),
        "{finished}"
    );
}

// proves: HL-5
#[test]
fn hl_5_many_receivers_are_refused_to_their_boundaries() {
    isolated(|| {
        let script = Script::new()
            .ok("udp.bind 0.0.0.0:0 as u")
            .ok("udp.bind [::]:0 as u6")
            .gets("udp.send-to u 223.255.255.255:9 x", "remote-unreachable")
            .denied("udp.send-to u 224.0.0.0:9 x", "hard.multicast")
            .denied("udp.send-to u 224.0.0.251:5353 x", "hard.multicast")
            .denied("udp.send-to u 239.255.255.255:9 x", "hard.multicast")
            .denied("udp.send-to u 255.255.255.255:9 x", "hard.multicast")
            .denied("udp.send-to u6 [ff00::]:9 x", "hard.multicast")
            .denied("udp.send-to u6 [ff02::fb]:5353 x", "hard.multicast")
            .denied(
                "udp.send-to u6 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9 x",
                "hard.multicast",
            )
            .denied("udp.connect 224.0.0.1:9", "hard.multicast")
            .denied("udp.connect 255.255.255.255:9", "hard.multicast")
            .denied("udp.connect [ff02::1]:9", "hard.multicast")
            .denied("tcp.connect 224.0.0.1:9", "hard.multicast")
            .denied("tcp.connect 255.255.255.255:9", "hard.multicast")
            .denied("tcp.connect [ff02::1]:9", "hard.multicast")
            .gets("tcp.connect 223.255.255.255:9", "remote-unreachable");
        script.run(unleashed());
    });
}

// proves: HL-6
#[test]
fn hl_6_port_zero_and_no_address_are_no_destination() {
    let script = Script::new()
        .gets("tcp.connect 127.0.0.1:0", "invalid-argument")
        .gets("tcp.connect [::1]:0", "invalid-argument")
        .gets("tcp.connect 0.0.0.0:8080", "invalid-argument")
        .gets("tcp.connect [::]:8080", "invalid-argument")
        .ok("udp.bind 0.0.0.0:0 as u")
        .gets("udp.send-to u 127.0.0.1:0 x", "invalid-argument")
        .gets("udp.send-to u 0.0.0.0:9 x", "invalid-argument")
        .gets("udp.connect 0.0.0.0:9", "invalid-argument");
    script.run(unleashed());
}

// proves: HL-6, RL-1
#[test]
fn hl_6_the_zero_network_counts_as_loopback() {
    let script = Script::new()
        .denied("tcp.connect 0.0.0.1:80", "runtime.loopback-port")
        .denied("tcp.connect 0.255.255.255:1023", "runtime.loopback-port");
    script.run(Outport::script_guest().allow("*://*:*"));
}

// proves: HL-7
#[test]
fn hl_7_an_embedded_address_is_refused_where_the_address_itself_would_be() {
    let destinations = [
        "[64:ff9b::a00:5]",
        "[64:ff9b:1::a00:5]",
        "[2002:a00:5::1]",
        "[2001::f5ff:fffa]",
        "[2600::5efe:a00:5]",
    ];
    let script = destinations
        .into_iter()
        .fold(Script::new(), |script, destination| {
            script.denied(format!("tcp.connect {destination}:5432"), "deny.host")
        });
    script.run(unleashed().deny("*://10.0.0.5:*"));
    let script = destinations
        .into_iter()
        .fold(Script::new(), |script, destination| {
            script.denied(format!("tcp.connect {destination}:5432"), "allow.no-match")
        });
    script.run(Outport::script_guest().allow("*://10.0.0.5:*"));
}

// proves: HL-7, RL-1, RL-3
#[test]
fn hl_7_embedded_loopback_and_link_local_are_limited_as_they_are() {
    let script = Script::new()
        .denied("tcp.connect [64:ff9b::7f00:1]:80", "runtime.loopback-port")
        .denied("tcp.connect [2002:7f00:1::]:22", "runtime.loopback-port")
        .denied("tcp.connect [64:ff9b::a9fe:a9fe]:8080", "runtime.link-local")
        .denied("tcp.connect [2001::5601:5601]:8080", "runtime.link-local")
        .gets("tcp.connect [::ffff:127.0.0.1]:80", "invalid-argument")
        .gets("tcp.connect [::127.0.0.1]:80", "invalid-argument");
    script.run(Outport::script_guest().allow("*://*:*"));
}
