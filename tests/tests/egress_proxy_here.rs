//! An egress proxy on this machine, which no guest reaches by whatever leads to this machine; and what is said of a proxy.
//!
//! The first tests have a network of their own each, in which addresses come, ports run out, and whole networks lead to
//! loopback.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;

use outport_e2e::egress_proxy::{EgressProxy, Manner};
use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::network::isolated;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::{Script, results};

const REASON: &str = "hard.egress-proxy";

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("ip (package iproute2)").success(), "ip {arguments}");
}

/// Whoever speaks to this has reached the proxy.
fn proxy() -> TcpListener {
    TcpListener::bind("[::]:3128").expect("a free port")
}

fn serving(proxy: &str) -> Running {
    let server = Outport::serve(guest::path("http-script-guest"));
    let app = server
        .option(format!("--egress-proxy={proxy}"))
        .allow("*://*:*")
        .start();
    app.address();
    app
}

fn connects(app: &Running, remote: &str) -> String {
    let script = format!("tcp.connect {remote}");
    let answer = http::post(app.address(), "/", &script).expect("an answer");
    results(&answer.body).concat()
}

// proves: PX-2
#[test]
fn an_address_of_the_proxy_may_come_to_this_machine_later() {
    isolated(|| {
        let _proxy = proxy();
        let app = serving("http://10.0.0.50:3128");
        // The proxy is elsewhere, and this is somebody else.
        assert_eq!(connects(&app, "127.0.0.1:3128"), "ok", "{app}");
        ip("address add 10.0.0.50/32 dev lo");
        for remote in ["127.0.0.1:3128", "[::1]:3128", "10.0.0.5:3128", "10.0.0.50:3128"] {
            assert_eq!(connects(&app, remote), "access-denied", "{remote}: {app}");
        }
        let finished = app.stop();
        assert_eq!(finished.reasons(), [REASON; 4], "{finished}");
    });
}

// proves: PX-2, ORD-4
#[test]
fn what_cannot_be_asked_is_refused() {
    isolated(|| {
        let _proxy = proxy();
        let ports = 40_000..=40_031_u16;
        let range = format!("{} {}\n", ports.start(), ports.end());
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).expect("a network of our own");
        let taken = |ip: [u8; 4]| -> Vec<UdpSocket> {
            let bind = |port| UdpSocket::bind((Ipv4Addr::from(ip), port)).expect("a free port");
            ports.clone().map(bind).collect()
        };
        // No port is free where it is first asked whether the proxy is here, nor where it is about a destination.
        for (proxy, held, remote) in [
            ("http://10.0.0.5:3128", [10, 0, 0, 5], "127.0.0.1:3128"),
            ("http://10.0.0.5:3128", [0, 0, 0, 0], "10.0.0.6:3128"),
            ("http://127.0.0.1:3128", [10, 0, 0, 6], "10.0.0.6:3128"),
            ("http://127.0.0.1:3128", [0, 0, 0, 0], "10.0.0.6:3128"),
        ] {
            let held = taken(held);
            let app = serving(proxy);
            assert_eq!(connects(&app, remote), "access-denied", "{remote}: {app}");
            drop(held);
            assert_eq!(connects(&app, remote), "access-denied", "{remote}: {app}");
            let finished = app.stop();
            assert_eq!(finished.reasons(), [REASON; 2], "{finished}");
        }
    });
}

// proves: PX-2
#[test]
fn a_network_that_nobody_can_bind_to_may_lead_here() {
    isolated(|| {
        let _proxy = proxy();
        ip("-6 route add local fd66::/64 dev lo");
        let run = |proxy: &str| {
            let run = Outport::script_guest().allow("*://*:*");
            run.option(format!("--egress-proxy={proxy}"))
        };
        for proxy in [
            "http://[::1]:3128",
            "socks5://10.0.0.5:3128",
            "http://[fd66::1]:3128",
        ] {
            Script::new()
                .denied("tcp.connect [fd66::5]:3128", REASON)
                .denied("tcp.connect [fd66::6]:3128", REASON)
                .denied("tcp.connect [::1]:3128", REASON)
                .run(run(proxy));
        }
        // Of one that is elsewhere it is a destination like any.
        Script::new()
            .gets("tcp.connect [fd66::5]:3128", "remote-unreachable")
            .run(run("http://192.0.2.1:3128"));
    });
}

#[test]
fn explain_knows_the_proxy_by_its_assumed_addresses_and_those_of_this_machine() {
    isolated(|| {
        let manifest = "spin_manifest_version = 2\napplication.name = \"a\"\n\n[[trigger.http]]\nroute = \"/...\"\n\
                        component = \"c\"\n\n[component.c]\nsource = \"GUESTS/hello.wasm\"\n\
                        allowed_outbound_hosts = [\"*://*:*\"]\n";
        let (elsewhere, here) = ("proxy.test=192.0.2.1", "proxy.test=10.0.0.5");
        let denied = "denied (hard.egress-proxy)";
        let through = "via: the egress proxy http://proxy.test:3128";
        for (proxy, dns, destination, code, part) in [
            ("proxy.test", here, "tcp://10.0.0.5:3128", 1, denied),
            ("proxy.test", elsewhere, "tcp://192.0.2.1:3128", 1, denied),
            ("proxy.test", here, "tcp://127.0.0.1:3128", 1, denied),
            ("proxy.test", here, "tcp://10.0.0.6:3128", 1, denied),
            ("proxy.test", here, "http://localhost:3128", 1, denied),
            (
                "proxy.test",
                elsewhere,
                "tcp://127.0.0.1:3128",
                0,
                "via: directly",
            ),
            ("proxy.test", elsewhere, "tcp://10.0.0.6:3128", 0, through),
            ("proxy.test", elsewhere, "tcp://10.0.0.6:3129", 0, through),
            ("127.0.0.1", "", "tcp://10.0.0.5:3128", 1, denied),
            ("127.0.0.1", "", "tcp://[64:ff9b::a00:5]:3128", 1, denied),
            ("10.0.0.5", "", "tcp://127.0.0.1:3128", 1, denied),
            ("127.0.0.1", "db.test=10.0.0.6", "tcp://db.test:3128", 1, denied),
            ("127.0.0.1", "", "tcp://192.0.2.3:3128", 0, "allowed"),
            (
                "proxy.test",
                "",
                "tcp://10.0.0.6:3128",
                3,
                "`--dns proxy.test=ADDRESS`",
            ),
            (
                "proxy.test",
                "",
                "tcp://127.0.0.1:3128",
                3,
                "no guest reaches the egress proxy",
            ),
            ("proxy.test", "", "tcp://10.0.0.6:3129", 0, through),
        ] {
            let run = Outport::command("explain")
                .manifest(manifest)
                .option(format!("--egress-proxy=http://{proxy}:3128"));
            let run = match dns {
                "" => run,
                dns => run.option(format!("--dns={dns}")),
            };
            let explained = run.option(destination).finish().expect_code(code);
            let said = explained.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(part), "{proxy} {dns} {destination}: {explained}");
            assert!(!explained.stderr.contains("is not used"), "{explained}");
        }
    });
}

// proves: PX-5
#[test]
fn it_is_said_that_it_was_the_proxy_also_where_nobody_keeps_a_log() {
    let status = |status| format!("HTTP/1.1 {status} X\r\n\r\n").into_bytes();
    for (scheme, says, part) in [
        ("http", status(302), "it answers with status 302"),
        ("http", status(404), "it answers with status 404"),
        ("http", status(408), "it answers with status 408"),
        ("http", status(403), "it answers with status 403"),
        (
            "socks5",
            b"\x05\x01\x00\x01\0\0\0\0\0\0".to_vec(),
            "it answers `general failure` (1)",
        ),
    ] {
        let proxy = EgressProxy::start(Manner::Says(says));
        for guest in ["script-guest", "script-guest-p3"] {
            let run = Outport::command("run")
                .option(format!("--egress-proxy={}", proxy.url(scheme)))
                .allow("*://192.0.2.3:*")
                .option(guest::path(guest))
                .args(["http GET http://192.0.2.3/"]);
            let finished = run.finish();
            let said = format!("it is allowed, but the egress proxy gives no connection: {part}");
            assert!(finished.stderr.contains(&said), "{finished}");
        }
    }
}

#[test]
fn of_an_entry_for_udp_it_is_not_said_that_another_permits_it() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"a\"\n\n[[trigger.command]]\ncomponent = \"c\"\n\n\
                    [component.c]\nsource = \"GUESTS/script-guest.wasm\"\n\
                    allowed_outbound_hosts = [\"*://*:*\", \"udp://192.0.2.1:53\"]\n";
    let checked = Outport::command("check")
        .manifest(manifest)
        .option("--egress-proxy=http://192.0.2.9:3128")
        .option("--allow-udp")
        .finish();
    let said = checked.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("`udp://192.0.2.1:53` permits nothing"), "{checked}");
    assert!(
        said.contains("`udp://192.0.2.1:53` adds nothing: `*://*:*` covers all of it"),
        "{checked}"
    );
    assert!(
        !said.contains("permits all of it") && !said.contains("permits it here"),
        "{checked}"
    );
}
