//! An egress proxy on this machine, which no guest reaches by whatever leads to this machine.
//!
//! Each test has a network of its own, in which addresses come, ports run out, and whole networks lead to loopback.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;

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
