//! Sockets and look-ups.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use outport_egress::Egress;
use outport_policy::PortSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::script_guest::{self, P2, P3, ScriptGuest, VERSIONS, gate, run_script};
use crate::servers::{closed_port, tcp_echo, udp_echo};
use crate::world::{Events, default_egress, denying, egress, lifted_egress};

/// Runs the same script on both versions, each behind a gate of its own, and compares with what is expected.
async fn expect_on_both(
    egress: impl Fn() -> (Egress, Arc<Events>),
    allowed: &[&str],
    script: &[(&str, &str)],
    denials: &[&str],
) {
    for version in VERSIONS {
        let (egress, events) = egress();
        let statements: Vec<&str> = script.iter().map(|(statement, _)| *statement).collect();
        let results = run_script(version, &egress, allowed, &statements).await;
        for ((statement, expected), result) in script.iter().zip(&results) {
            assert_eq!(result, expected, "{statement} on WASI {version}");
        }
        assert_eq!(results.len(), script.len(), "WASI {version}");
        assert_eq!(events.denials(), denials, "WASI {version}");
        assert_eq!(
            egress.metrics().sockets,
            0,
            "every socket is given back on WASI {version}"
        );
    }
}

// proves: ORD-2, RL-2
#[tokio::test]
async fn a_guest_without_configuration_reaches_nothing() {
    let server = tcp_echo().await;
    let connect = format!("tcp.connect {server}");
    expect_on_both(
        default_egress,
        &[],
        &[
            (&connect, "access-denied"),
            ("tcp.bind 0.0.0.0:0", "access-denied"),
            ("udp.create ipv4", "access-denied"),
            ("udp.create ipv6", "access-denied"),
            ("dns.lookup db.example", "access-denied"),
            ("dns.lookup localhost", "access-denied"),
        ],
        &[
            "tcp.connect allow.none",
            "tcp.bind allow.none",
            "socket.create runtime.udp",
            "socket.create runtime.udp",
            "dns.lookup allow.none",
            "dns.lookup allow.none",
        ],
    )
    .await;
}

// proves: HL-1, HL-3
#[tokio::test]
async fn a_guest_cannot_listen_or_choose_a_local_address() {
    let script = [
        ("tcp.bind 0.0.0.0:0 as a", "ok"),
        ("tcp.listen on a", "access-denied"),
        ("tcp.bind [::]:0 as b", "ok"),
        ("tcp.listen on b", "access-denied"),
        ("tcp.bind 127.0.0.1:0", "access-denied"),
        ("tcp.bind 0.0.0.0:8080", "access-denied"),
        ("tcp.bind [::1]:0", "access-denied"),
        ("tcp.bind [::]:8080", "access-denied"),
        ("udp.bind 0.0.0.0:0", "ok"),
        ("udp.bind [::]:0", "ok"),
        ("udp.bind 127.0.0.1:0", "access-denied"),
        ("udp.bind 0.0.0.0:5353", "access-denied"),
        ("udp.bind 224.0.0.1:0", "access-denied"),
    ];
    let denials = [
        "tcp.listen hard.listen",
        "tcp.listen hard.listen",
        "tcp.bind hard.bind",
        "tcp.bind hard.bind",
        "tcp.bind hard.bind",
        "tcp.bind hard.bind",
        "udp.bind hard.bind",
        "udp.bind hard.bind",
        "udp.bind hard.bind",
    ];
    expect_on_both(lifted_egress, &["*://*:*"], &script, &denials).await;

    // An unbound socket: WASI 0.2 says so first, 0.3 would bind by itself.
    for (version, expected) in [(P2, "invalid-state"), (P3, "access-denied")] {
        let (egress, _) = lifted_egress();
        assert_eq!(
            run_script(version, &egress, &["*://*:*"], &["tcp.listen ipv4"]).await,
            [expected]
        );
    }
}

// proves: AL-3, RSN-3
#[tokio::test]
async fn a_guest_connects_where_an_entry_says_so_and_cannot_tell_why_elsewhere_not() {
    let server = tcp_echo().await;
    let (open, closed) = (tcp_echo().await, closed_port().await);
    let allowed = [
        format!("*://127.0.0.1:{}", server.port()),
        format!("http://127.0.0.1:{}", open.port()),
    ];
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let [connect, to_open, to_closed] = [
        format!("tcp.connect {server} as c"),
        format!("tcp.connect {open}"),
        format!("tcp.connect {closed}"),
    ];
    expect_on_both(
        default_egress,
        &allowed,
        &[
            (&connect, "ok"),
            ("tcp.send c hello", "ok"),
            ("tcp.recv c", "hello"),
            (&to_open, "access-denied"),
            (&to_closed, "access-denied"),
            ("tcp.connect 127.0.0.1:22", "access-denied"),
            ("drop c", "ok"),
        ],
        &[
            "tcp.connect allow.scheme",
            "tcp.connect allow.port",
            "tcp.connect runtime.loopback-port",
        ],
    )
    .await;
}

// proves: DNS-3, DNS-10
#[tokio::test]
async fn a_looked_up_name_opens_its_addresses() {
    let server = tcp_echo().await;
    let port = server.port();
    let allowed = [format!("*://db.example:{port}"), format!("*://localhost:{port}")];
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let connect = format!("tcp.connect {server}");
    let by_v6 = format!("tcp.connect [::1]:{port}");
    expect_on_both(
        lifted_egress,
        &allowed,
        &[
            (&connect, "access-denied"),
            ("dns.lookup db.example", "127.0.0.1,10.6.6.6"),
            (&connect, "ok"),
            (&by_v6, "access-denied"),
            ("dns.lookup localhost", "127.0.0.1,::1"),
            (&by_v6, "connection-refused"),
            ("dns.lookup gone.example", "access-denied"),
            ("dns.lookup 10.0.0.1", "10.0.0.1"),
            ("dns.lookup a..b", "invalid-argument"),
        ],
        &[
            "tcp.connect allow.name-not-looked-up",
            "tcp.connect allow.name-not-looked-up",
            "dns.lookup dns.name-not-allowed",
        ],
    )
    .await;
}

// proves: DNS-5, DNS-12
#[tokio::test]
async fn a_guest_gets_the_codes_of_a_failing_lookup() {
    let egress = || egress(|operator| operator.quotas.lookup_time = Duration::from_millis(200));
    expect_on_both(
        egress,
        &["*://*.example:1"],
        &[
            ("dns.lookup gone.example", "name-unresolvable"),
            ("dns.lookup slow.example", "temporary-resolver-failure"),
        ],
        &[],
    )
    .await;
}

// proves: DNS-12, DNS-4
#[tokio::test]
async fn lookups_in_flight_are_bounded_and_one_that_is_given_up_counts_no_more() {
    for (version, code) in [(P2, "new-socket-limit"), (P3, "other")] {
        let (egress, events) = egress(|operator| operator.quotas.lookups_in_flight = 2);
        let script = [
            "dns.start slow.example as a",
            "dns.start slow.example as b",
            "wait 20",
            "dns.lookup gone.example",
            "drop a",
            "dns.lookup gone.example",
        ];
        let results = run_script(version, &egress, &["*://*.example:1"], &script).await;
        let expected = ["started", "started", "ok", code, "ok", "name-unresolvable"];
        assert_eq!(results, expected, "WASI {version}");
        assert_eq!(events.denials(), ["dns.lookup quota.lookups"], "WASI {version}");
    }
}

// proves: HL-4, AL-4
#[tokio::test]
async fn a_guest_hears_only_from_whom_it_sent_to() {
    let server = udp_echo().await;
    let allowed = format!("udp://127.0.0.1:{}", server.port());
    let send = format!("udp.send-to s {server} ping");
    let echoed = format!("ping from {server}");
    let connect = format!("udp.connect {server} as c");
    let tcp = format!("tcp.connect {server}");
    expect_on_both(
        lifted_egress,
        &[&allowed],
        &[
            ("udp.bind 0.0.0.0:0 as s", "ok"),
            (&send, "ok"),
            ("udp.collect s 300", &echoed),
            ("udp.send-to s 127.0.0.1:9 ping", "access-denied"),
            ("udp.connect 127.0.0.1:9", "access-denied"),
            ("udp.connect 224.0.0.1:5353", "access-denied"),
            (&connect, "ok"),
            ("udp.send c ping", "ok"),
            ("udp.collect c 300", &echoed),
            (&tcp, "access-denied"),
        ],
        &[
            "udp.receive hard.unsolicited",
            "udp.send runtime.loopback-port",
            "udp.connect runtime.loopback-port",
            "udp.connect hard.multicast",
            "tcp.connect allow.scheme",
        ],
    )
    .await;
}

// proves: HL-4
#[tokio::test]
async fn a_connect_alone_makes_no_peer() {
    for version in VERSIONS {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = peer.local_addr().unwrap();
        let (egress, events) = lifted_egress();
        let (connect, local) = (format!("udp.connect {address} as c"), "local c");
        let gate = gate(&egress, &[&format!("udp://{address}")]);
        let mut script_guest = ScriptGuest::start(version, &gate, &[&connect, local, "udp.recv c 400"]);
        assert_eq!(script_guest.next().await.as_deref(), Some("ok"));
        let port = script_guest
            .next()
            .await
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .parse::<u16>()
            .unwrap();
        peer.send_to(b"unasked", (Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        assert_eq!(
            script_guest.next().await.as_deref(),
            Some("timeout"),
            "WASI {version}"
        );
        assert_eq!(
            events.denials(),
            ["udp.receive hard.unsolicited"],
            "WASI {version}"
        );
    }
}

// proves: DL-9, DNS-6
#[tokio::test]
async fn a_new_deny_list_closes_what_it_forbids_and_nothing_else() {
    let (kept, closed) = (tcp_echo().await, tcp_echo().await);
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let [to_kept, to_closed] =
            [("k", kept), ("c", closed)].map(|(name, to)| format!("tcp.connect {to} as {name}"));
        let script = [
            &to_kept,
            &to_closed,
            "tcp.recv c",
            "tcp.send k still here",
            "tcp.recv k",
        ];
        let gate = gate(&egress, &["*://127.0.0.1:*"]);
        let mut script_guest = ScriptGuest::start(version, &gate, &script);
        for _ in 0..2 {
            assert_eq!(script_guest.next().await.as_deref(), Some("ok"), "WASI {version}");
        }
        egress.replace_operator(denying(&[&format!("*://127.0.0.1:{}", closed.port())]));
        for expected in ["eof", "ok", "still here"] {
            assert_eq!(
                script_guest.next().await.as_deref(),
                Some(expected),
                "WASI {version}"
            );
        }
    }
}

// proves: Q-1, RSN-3
#[tokio::test]
async fn sockets_beyond_the_quota_are_refused_with_the_code_of_their_version() {
    for (version, code) in [(P2, "new-socket-limit"), (P3, "other")] {
        let (egress, _) = egress(|operator| operator.quotas.sockets_per_instance = 3);
        let script = [
            "repeat 5 tcp.create ipv4 as s{}",
            "drop s1",
            "tcp.create ipv4 as t",
            "tcp.create ipv4",
        ];
        let results = run_script(version, &egress, &["*://*:*"], &script).await;
        assert_eq!(
            results,
            [&format!("ok x3, {code} x2"), "ok", "ok", code],
            "WASI {version}"
        );
        assert_eq!(egress.metrics().sockets, 0, "WASI {version}");
    }
}

// proves: HL-7
#[tokio::test]
async fn mapped_addresses_never_reach_a_socket() {
    expect_on_both(
        lifted_egress,
        &["*://*:*"],
        &[
            ("tcp.connect [::ffff:127.0.0.1]:8080", "invalid-argument"),
            ("tcp.connect [::127.0.0.1]:8080", "invalid-argument"),
            ("tcp.connect 0.0.0.0:8080", "invalid-argument"),
            ("tcp.connect 127.0.0.1:0", "invalid-argument"),
            ("tcp.connect [64:ff9b::7f00:16]:22", "access-denied"),
        ],
        &["tcp.connect runtime.loopback-port"],
    )
    .await;
}

// proves: RL-1
#[tokio::test]
async fn a_lifted_loopback_port_still_needs_an_entry() {
    let egress = || egress(|operator| operator.limits.loopback_ports = PortSet::parse("9").unwrap());
    expect_on_both(
        egress,
        &["*://10.0.0.1:*"],
        &[
            ("tcp.connect 127.0.0.1:9", "access-denied"),
            ("tcp.connect 127.0.0.1:10", "access-denied"),
        ],
        &["tcp.connect allow.no-match", "tcp.connect runtime.loopback-port"],
    )
    .await;
}

#[tokio::test]
async fn a_linker_without_the_gate_reaches_nothing() {
    let server = tcp_echo().await;
    let connect = format!("tcp.connect {server}");
    for version in VERSIONS {
        let results = script_guest::run_script_without_gate(
            version,
            &[&connect, "udp.create ipv4", "dns.lookup 127.0.0.1"],
        )
        .await;
        assert_eq!(
            results,
            ["access-denied", "access-denied", "permanent-resolver-failure"],
            "WASI {version}"
        );
    }
}

/// The guests write as fast as they can, and everything that they write comes back.
#[tokio::test]
async fn what_an_open_connection_carries_is_not_touched() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.ok();
                stream
                    .write_all(format!("{} bytes", all.len()).as_bytes())
                    .await
                    .ok();
            });
        }
    });
    let connect = format!("tcp.connect {address} as c");
    for version in VERSIONS {
        let (egress, _) = default_egress();
        let script = [
            &connect,
            "tcp.upload c 1000000",
            "tcp.shutdown c send",
            "tcp.recv c",
        ];
        let results = run_script(version, &egress, &[&format!("*://{address}")], &script).await;
        assert_eq!(
            results.last().map(String::as_str),
            Some("1000000 bytes"),
            "WASI {version}: {results:?}"
        );
    }
}
