//! `--egress-proxy`: what guests connect to goes through the operator's proxy, to the address that was judged.
//!
//! The proxies are on loopback, and what guests want is somewhere else: at addresses that nobody has, which the proxy of the
//! test's own takes for servers of the test, or, with tinyproxy, in a network of the test's own.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::egress_proxy::{EgressProxy, Manner, Tinyproxy};
use outport_e2e::guest;
use outport_e2e::http::{self, Closing, Origin};
use outport_e2e::network::isolated;
use outport_e2e::outport::Outport;
use outport_e2e::redis::Redis;
use outport_e2e::script::{Script, results};
use outport_e2e::tcp::{ClosedPort, Manner as PeerManner, TcpPeer};

/// The script guests, on WASI 0.2 and 0.3.
const SCRIPT_GUESTS: [&str; 2] = ["script-guest", "script-guest-p3"];

const SCHEMES: [&str; 2] = ["http", "socks5"];

fn relay(places: &[(u16, SocketAddr)]) -> EgressProxy {
    EgressProxy::start(Manner::Relay(places.iter().copied().collect::<HashMap<_, _>>()))
}

fn through(guest: &str, proxy: impl std::fmt::Display) -> Outport {
    Outport::run(guest::path(guest)).option(format!("--egress-proxy={proxy}"))
}

// proves: PX-1, PX-3, DNS-13
#[test]
fn sockets_and_requests_go_through_either_proxy_to_judged_addresses_alone() {
    let (peer, origin) = (TcpPeer::echo(), Origin::start("there"));
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["192.0.2.3"])]);
    dns.answers("web.test", [Reply::addresses(["192.0.2.9"])]);
    for (scheme, guest) in SCHEMES
        .into_iter()
        .flat_map(|scheme| SCRIPT_GUESTS.map(|guest| (scheme, guest)))
    {
        let proxy = relay(&[(5432, peer.address()), (8080, origin.address())]);
        let run = through(guest, proxy.url(scheme))
            .allow("*://192.0.2.3:5432,*://192.0.2.3:1,*://[2001:db8::7]:5432,*://{db.test,web.test}:*")
            .allow(format!("*://{}", peer.address()))
            .dns(&dns);
        let finished = Script::new()
            .ok("tcp.connect 192.0.2.3:5432 as a")
            .ok("tcp.send a PING")
            .gets("tcp.recv a", "PING")
            .gets("remote a", "192.0.2.3:5432")
            // A socket of IPv6 to a proxy on IPv4.
            .ok("tcp.connect [2001:db8::7]:5432 as b")
            .ok("tcp.send b PONG")
            .gets("tcp.recv b", "PONG")
            .gets("remote b", "[2001:db8::7]:5432")
            .gets("tcp.connect 192.0.2.3:1", "connection-refused")
            .denied("tcp.connect 192.0.2.4:5432", "allow.name-not-looked-up")
            .gets("dns.lookup db.test", "192.0.2.3")
            .ok("tcp.connect 192.0.2.3:5432")
            .gets("http.text GET http://web.test:8080/", "200 there")
            // On this machine, and so without the proxy.
            .ok(format!("tcp.connect {} as c", peer.address()))
            .any("local b")
            .run(run);
        assert_eq!(
            proxy.asked(),
            [
                "192.0.2.3:5432",
                "[2001:db8::7]:5432",
                "192.0.2.3:1",
                "192.0.2.3:5432",
                "192.0.2.9:8080"
            ],
            "{scheme} {guest}"
        );
        let via = |line: &serde_json::Value| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (text("destination"), text("outcome"), text("via"))
        };
        let outcomes: Vec<_> = finished.outcomes.iter().map(via).collect();
        let has = |destination: &str, outcome: &str, via: &str| {
            let wanted = (destination.to_owned(), outcome.to_owned(), via.to_owned());
            assert!(outcomes.contains(&wanted), "{wanted:?} is not in {outcomes:?}");
        };
        has("192.0.2.3:5432", "succeeded", &proxy.url(scheme));
        has("192.0.2.3:1", "failed", &proxy.url(scheme));
        has(&peer.address().to_string(), "succeeded", "");
    }
}

// proves: PX-1, HI-1
#[test]
fn interfaces_of_the_host_go_through_it_too() {
    let redis = Redis::start();
    for scheme in SCHEMES {
        let proxy = relay(&[(6379, SocketAddr::from(([127, 0, 0, 1], redis.port())))]);
        let app = Outport::serve(guest::path("stores"))
            .option(format!("--egress-proxy={}", proxy.url(scheme)))
            .allow("redis://192.0.2.3,redis://192.0.2.4:6380")
            .start();
        let script = "redis3.open redis://192.0.2.3\nredis2.open redis://192.0.2.3\nredis3.open redis://192.0.2.5\n\
                      redis3.open redis://192.0.2.4:6380";
        let answer = http::post(app.address(), "/script", script).expect("an answer");
        let text = answer.body;
        let got = results(&text);
        assert_eq!(got[..3], ["ok", "ok", "invalid-address"], "{text}");
        assert_ne!(got[3], "ok", "{text}");
        let asked = proxy.asked();
        assert!(
            asked
                .iter()
                .all(|one| one == "192.0.2.3:6379" || one == "192.0.2.4:6380"),
            "{asked:?}"
        );
        assert!(asked.contains(&"192.0.2.3:6379".to_owned()), "{asked:?}");
        assert!(
            app.stderr()
                .contains(&format!("Egress proxy: {}", proxy.url(scheme))),
            "{app}"
        );
    }
}

// proves: PX-2
#[test]
fn no_guest_speaks_to_the_proxy_itself() {
    let dns = DnsServer::start();
    dns.answers("proxy.test", [Reply::addresses(["127.0.0.1"])]);
    let proxy = EgressProxy::start(Manner::RelayThere);
    let port = proxy.address().port();
    let reason = "hard.egress-proxy";
    for url in [
        proxy.url("http"),
        format!("http://localhost:{port}"),
        format!("socks5://proxy.test:{port}"),
    ] {
        for guest in SCRIPT_GUESTS {
            let mut script = Script::new();
            for address in [
                "127.0.0.1",
                "127.9.9.9",
                "[::1]",
                "[64:ff9b::7f00:1]",
                "[2002:7f00:1::1]",
            ] {
                script = script.denied(format!("tcp.connect {address}:{port}"), reason);
            }
            for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001"] {
                script = script.refused(
                    format!("http GET http://{host}:{port}/"),
                    "destination-IP-prohibited",
                    reason,
                );
            }
            let own_name = url.contains("proxy.test").then_some("proxy.test");
            for name in own_name.into_iter().chain(["localhost"]) {
                script = script.refused(
                    format!("http GET http://{name}:{port}/"),
                    "HTTP-request-denied",
                    reason,
                );
            }
            let run = through(guest, &url)
                .allow("*://*:*")
                .option("--allow-loopback-answers")
                .dns(&dns);
            script.run(run);
        }
    }
    assert_eq!(proxy.asked(), [""; 0]);
}

// proves: PX-2
#[test]
fn another_address_of_the_proxys_machine_is_the_proxy_too() {
    isolated(|| {
        let listener = std::net::TcpListener::bind("0.0.0.0:3128").expect("a free port");
        let run = through("script-guest", "http://127.0.0.1:3128").allow("*://*:*");
        Script::new()
            .denied("tcp.connect 10.0.0.5:3128", "hard.egress-proxy")
            .denied("tcp.connect 127.0.0.2:3128", "hard.egress-proxy")
            .run(run);
        let run = through("script-guest", "http://10.0.0.5:3128").allow("*://*:*");
        Script::new()
            .denied("tcp.connect 127.0.0.1:3128", "hard.egress-proxy")
            .denied("tcp.connect 10.0.0.6:3128", "hard.egress-proxy")
            .run(run);
        drop(listener);
    });
}

// proves: PX-4, VAL-1
#[test]
fn datagrams_stay_here_whatever_is_lifted() {
    let proxy = relay(&[]);
    for guest in SCRIPT_GUESTS {
        let run = through(guest, proxy.url("http"))
            .allow("udp://127.0.0.1:53,*://*:*")
            .option("--allow-udp");
        let finished = Script::new()
            .denied("udp.create ipv4", "runtime.udp-proxied")
            .denied("udp.create ipv6", "runtime.udp-proxied")
            .run(run);
        let warning = "UDP stays shut, since it cannot go through the egress proxy";
        assert!(finished.stderr.contains(warning), "{finished}");
    }
    let manifest = "spin_manifest_version = 2\napplication.name = \"a\"\n\n[[trigger.command]]\ncomponent = \"c\"\n\n\
                    [component.c]\nsource = \"GUESTS/script-guest.wasm\"\nallowed_outbound_hosts = [\"udp://192.0.2.1:53\"]\n";
    let checked = Outport::command("check")
        .manifest(manifest)
        .option(format!("--egress-proxy={}", proxy.url("http")))
        .finish();
    let said = checked.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("`udp://192.0.2.1:53` permits nothing: UDP cannot go through"),
        "{checked}"
    );
    assert!(said.contains("--egress-proxy none"), "{checked}");
}

// proves: PX-5, PX-6
#[test]
fn a_proxy_that_does_not_do_its_work_is_an_error_of_the_guests_own() {
    let rows: [(&[u8], &str, &str); 6] = [
        (
            b"HTTP/1.1 403 No\r\n\r\n",
            "access-denied",
            "destination-IP-prohibited",
        ),
        (
            b"HTTP/1.1 407 Who\r\n\r\n",
            "access-denied",
            "destination-IP-prohibited",
        ),
        (b"HTTP/1.1 504 Late\r\n\r\n", "timeout", "connection-timeout"),
        (
            b"HTTP/1.1 301 There\r\nLocation: http://127.0.0.1/\r\n\r\n",
            "connection-refused",
            "connection-refused",
        ),
        (b"220 smtp ready\r\n", "connection-reset", "connection-terminated"),
        (b"", "connection-reset", "connection-terminated"),
    ];
    for (says, socket, request) in rows {
        let proxy = EgressProxy::start(Manner::Says(says.to_vec()));
        for guest in SCRIPT_GUESTS {
            let run = through(guest, proxy.url("http")).allow("*://192.0.2.3:*");
            let finished = Script::new()
                .gets("tcp.connect 192.0.2.3:5432", socket)
                .gets("http GET http://192.0.2.3/", request)
                .run(run);
            assert!(
                finished.stderr.contains("the egress proxy gives no connection"),
                "{finished}"
            );
        }
    }
    // What it says behind its answer is the peer's.
    let greeting = b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec();
    let proxy = EgressProxy::start(Manner::SaysAndWaits(greeting));
    for guest in SCRIPT_GUESTS {
        let run = through(guest, proxy.url("http")).allow("*://192.0.2.3:*");
        Script::new()
            .ok("tcp.connect 192.0.2.3:25 as c")
            .gets("tcp.recv c", "hello")
            .run(run);
    }
    let closed = ClosedPort::take();
    let gone = format!("http://127.0.0.1:{}", closed.number());
    let finished = Script::new()
        .gets("tcp.connect 192.0.2.3:5432", "remote-unreachable")
        .gets("http GET http://192.0.2.3/", "destination-IP-unroutable")
        .run(through("script-guest", &gone).allow("*://192.0.2.3:*"));
    assert!(
        finished
            .stderr
            .contains(&format!("the egress proxy {gone} gives no connection")),
        "{finished}"
    );
}

// proves: PX-6
#[test]
fn credentials_come_from_a_file_and_are_shown_nowhere() {
    let peer = TcpPeer::echo();
    let manner = Manner::Relay(HashMap::from([(5432, peer.address())]));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |content: &str, mode| {
        let path = folder.path().join("credentials");
        fs::write(&path, content).expect("a file of our own");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a file of our own");
        format!("--egress-proxy-credentials={}", path.display())
    };
    for scheme in SCHEMES {
        let proxy = EgressProxy::start_for(manner.clone(), Some("guest:geheim"));
        let run = |credentials: Option<&str>| {
            let run = through("script-guest", proxy.url(scheme)).allow("*://192.0.2.3:5432");
            credentials
                .into_iter()
                .fold(run, |run, option| run.option(option))
        };
        let fine = file("guest:geheim\n", 0o600);
        let finished = Script::new()
            .ok("tcp.connect 192.0.2.3:5432")
            .run(run(Some(&fine)));
        assert!(!finished.stderr.contains("warning"), "{finished}");
        let open = file("guest:falsch-geheim", 0o644);
        let finished = Script::new()
            .gets("tcp.connect 192.0.2.3:5432", "access-denied")
            .run(run(Some(&open)));
        assert!(
            finished
                .stderr
                .contains("it does not take the user and the password"),
            "{finished}"
        );
        assert!(
            finished.stderr.contains("others on this machine can read"),
            "{finished}"
        );
        assert!(!finished.stderr.contains("geheim"), "{finished}");
        let finished = Script::new()
            .gets("tcp.connect 192.0.2.3:5432", "access-denied")
            .run(run(None));
        assert!(
            finished.stderr.contains("--egress-proxy-credentials FILE"),
            "{finished}"
        );
    }
    for (option, part) in [
        (
            "http://guest:geheim@127.0.0.1:1",
            "put `user:password` into a file",
        ),
        ("http://127.0.0.1", "it has no port"),
        ("https://127.0.0.1:1", "TLS with a proxy is not spoken"),
        ("127.0.0.1:3128", "it has no scheme"),
        ("env", "the environment names no proxy"),
    ] {
        let finished = through("script-guest", option)
            .args(["print started"])
            .finish()
            .expect_code(2);
        assert!(finished.stderr.contains(part), "{finished}");
        assert!(
            !finished.stderr.contains("geheim") && finished.stdout.is_empty(),
            "{finished}"
        );
    }
}

// proves: DNS-13, PX-3
#[test]
fn the_environment_counts_when_the_operator_says_so_and_has_its_exceptions() {
    isolated(|| {
        let peer = TcpPeer::echo();
        let (plain, all) = (relay(&[(5432, peer.address())]), relay(&[(5432, peer.address())]));
        let run = |wanted: Option<&str>| {
            let run = Outport::script_guest()
                .allow("*://192.0.2.3:5432,*://10.255.255.1:5432")
                .variable("HTTP_PROXY", plain.url("http"))
                .variable("all_proxy", all.url("socks5h"))
                .variable("NO_PROXY", "10.0.0.0/8, example.com");
            wanted
                .into_iter()
                .fold(run, |run, value| run.option(format!("--egress-proxy={value}")))
        };
        Script::new()
            .any("tcp.connect 192.0.2.3:5432 as c")
            .run(run(None));
        Script::new()
            .any("tcp.connect 192.0.2.3:5432 as c")
            .run(run(Some("none")));
        assert_eq!((plain.asked(), all.asked()), (Vec::new(), Vec::new()));
        Script::new()
            .ok("tcp.connect 192.0.2.3:5432 as c")
            .ok("tcp.send c PING")
            .gets("tcp.recv c", "PING")
            .any("http GET http://192.0.2.3:5432/")
            .run(run(Some("env")));
        assert_eq!(all.asked(), ["192.0.2.3:5432"]);
        assert_eq!(plain.asked(), ["192.0.2.3:5432"]);
    });
}

#[test]
fn explain_and_up_say_which_way_it_goes() {
    let proxy = relay(&[]);
    let manifest = "spin_manifest_version = 2\napplication.name = \"a\"\n\n[[trigger.http]]\nroute = \"/...\"\n\
                    component = \"c\"\n\n[component.c]\nsource = \"GUESTS/hello.wasm\"\n\
                    allowed_outbound_hosts = [\"*://*:*\"]\n";
    let explain = |destination: &str| {
        let run = Outport::command("explain")
            .manifest(manifest)
            .option(format!("--egress-proxy={}", proxy.url("http")));
        run.option(destination).finish()
    };
    let through_it = format!("via: the egress proxy {}", proxy.url("http"));
    assert!(explain("tcp://192.0.2.3:5432").stdout.contains(&through_it));
    assert!(explain("https://192.0.2.3/").stdout.contains(&through_it));
    assert!(explain("tcp://127.0.0.1:5432").stdout.contains("via: directly"));
    let itself = explain(&format!("tcp://{}", proxy.address())).expect_code(1);
    assert!(itself.stdout.contains("denied (hard.egress-proxy)"), "{itself}");
    let datagram = explain("udp://192.0.2.3:53").expect_code(1);
    assert!(
        datagram.stdout.contains("denied (runtime.udp-proxied)"),
        "{datagram}"
    );
    assert!(datagram.stdout.contains("--egress-proxy none"), "{datagram}");
    assert!(datagram.stdout.contains("--allow-udp"), "{datagram}");
    let app = Outport::up(manifest)
        .option(format!("--egress-proxy={}", proxy.url("http")))
        .start();
    app.address();
    let line = format!(
        "sends connections through {}, but loopback directly",
        proxy.url("http")
    );
    assert!(app.stderr().contains(&line), "{app}");
}

// proves: DL-9, PX-1
#[test]
fn a_new_deny_list_closes_what_went_through_the_proxy() {
    let peer = TcpPeer::start(PeerManner::Stall);
    let proxy = relay(&[(5432, peer.address())]);
    let run = through("script-guest", proxy.url("socks5")).allow("*://192.0.2.3:5432");
    let config = run.folder().join("runtime.toml");
    fs::write(&config, "").expect("a file of our own");
    let running = run
        .option(format!("--runtime-config-file={}", config.display()))
        .args([
            "tcp.connect 192.0.2.3:5432 as c",
            "print connected",
            "tcp.recv c 60000",
        ])
        .start();
    running.wait_for_line("2 print connected");
    fs::write(
        &config,
        "[outbound_networking]\ndisallowed_outbound_hosts = [\"*://192.0.2.3:*\"]\n",
    )
    .expect("a file of our own");
    let finished = running.finish().expect_code(0);
    assert_eq!(results(&finished.stdout)[2], "eof", "{finished}");
}

// proves: PX-1
#[test]
fn tinyproxy_connects_to_what_was_judged() {
    isolated(|| {
        let peer = TcpPeer::start_on(([10, 0, 0, 5], 5432), PeerManner::Echo);
        let origin = Origin::start_on(("93.184.216.34", 8080), "there", Closing::OnRequest);
        let dns = DnsServer::start();
        dns.answers("web.test", [Reply::addresses(["93.184.216.34"])]);
        let proxy = Tinyproxy::start(Some(("guest", "geheim")));
        for guest in SCRIPT_GUESTS {
            let run = through(guest, proxy.url())
                .allow("*://10.0.0.5:*,*://10.9.0.77:9,*://web.test:8080")
                .dns(&dns);
            let credentials = run.folder().join("credentials");
            fs::write(&credentials, "guest:geheim\n").expect("a file of our own");
            let run = run.option(format!("--egress-proxy-credentials={}", credentials.display()));
            Script::new()
                .ok("tcp.connect 10.0.0.5:5432 as a")
                .ok("tcp.send a PING")
                .gets("tcp.recv a", "PING")
                .gets("http.text GET http://web.test:8080/", "200 there")
                .gets("tcp.connect 10.0.0.5:5433", "connection-refused")
                .run(run);
        }
        assert_eq!(peer.accepted(), SCRIPT_GUESTS.len());
        assert_eq!(origin.accepted(), SCRIPT_GUESTS.len());
        let finished = Script::new()
            .gets("tcp.connect 10.0.0.5:5432", "access-denied")
            .run(through("script-guest", proxy.url()).allow("*://10.0.0.5:*"));
        assert!(
            finished.stderr.contains("--egress-proxy-credentials FILE"),
            "{finished}"
        );
    });
}
