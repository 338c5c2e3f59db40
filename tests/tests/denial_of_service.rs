//! Guests and peers that take all they can get: what they get, and what their neighbours notice of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "denial_of_service/crowds.rs"]
mod crowds;
#[path = "denial_of_service/stalls.rs"]
mod stalls;
#[path = "denial_of_service/unfinished.rs"]
mod unfinished;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::{PATIENCE, until};

/// Two components: a good neighbour, and one that may reach much and is told what to do by the request.
const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "crowded"

[[trigger.http]]
route = "/web/..."
component = "web"
[[trigger.http]]
route = "/greedy/..."
component = "greedy"

[component.web]
source = "GUESTS/http-script-guest.wasm"

[component.greedy]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*", "*://*.test:*"]
"#;

/// The results of a script that the greedy component runs within one request.
fn run_script(server: SocketAddr, script: &str) -> Option<Vec<String>> {
    let length = script.len();
    let request = format!(
        "POST /greedy/script HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
    );
    let response = http::send(server, &request).ok()?;
    Some(results(&response.body).into_iter().map(str::to_owned).collect())
}

fn descriptors(run: &mut Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", run.id())).unwrap().count()
}

/// Resident memory in bytes.
fn memory(run: &mut Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Waits until the process has no more descriptors than `expected`.
fn wait_for_descriptors(run: &mut Running, expected: usize) {
    until(format_args!("{expected} descriptors"), || {
        descriptors(run) <= expected
    });
}

// proves: Q-1
#[test]
fn q_1_sockets_that_an_instance_leaks_are_given_back_with_it() {
    for (guest, refusal) in [
        ("http-script-guest", "new-socket-limit"),
        ("http-script-guest-p3", "other"),
    ] {
        let app = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        // What requests share that share an instance, `shared_instances` is about.
        leak_and_see(Outport::up(&app).option("--max-instance-reuse-count=1"), refusal);
    }
}

fn leak_and_see(app: Outport, refusal: &str) {
    // One component of two has three quarters of these.
    let mut app = app.option("--max-sockets=400").start();
    let address = app.address();
    run_script(address, "tcp.create ipv4").unwrap();
    let calm = descriptors(&mut app);
    for _ in 0..5 {
        let results = run_script(address, "repeat 300 tcp.create ipv4 as s{}").unwrap();
        assert_eq!(results, [format!("ok x256, {refusal} x44")], "{app}");
    }
    wait_for_descriptors(&mut app, calm);
    // Two at the same time share what the process has.
    let turnstile = Turnstile::closed();
    let leak = format!("repeat 255 tcp.create ipv4 as s{{}}; {}", turnstile.wait());
    thread::scope(|scope| {
        let first = scope.spawn(|| run_script(address, &leak).unwrap());
        turnstile.has(1);
        let second = run_script(address, "repeat 256 tcp.create ipv4 as s{}").unwrap();
        turnstile.open();
        assert_eq!(first.join().unwrap(), ["ok x255", "ok", "eof"]);
        assert_eq!(second, [format!("{refusal} x212, ok x44")]);
    });
    wait_for_descriptors(&mut app, calm);
    app.stop().expect_code(0);
}

// proves: DNS-12
#[test]
fn dns_12_a_flood_of_lookups_is_refused_and_its_neighbours_still_get_answers() {
    let dns = DnsServer::start();
    dns.answers("fast.test", [Reply::addresses(["10.0.0.5"])]);
    dns.answers("slow.test", [Reply::silence()]);
    let app = Outport::up(APP).dns(&dns).start();
    let address = app.address();
    let turnstile = Turnstile::closed();
    let flood = format!("repeat 200 dns.start slow.test as l{{}}; {}", turnstile.wait());
    thread::scope(|scope| {
        let flood = scope.spawn(|| run_script(address, &flood).unwrap());
        turnstile.has(1);
        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(run_script(address, "dns.lookup fast.test").unwrap(), ["10.0.0.5"]);
            // A look-up of the flood is given up after five seconds.
            assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        }
        turnstile.open();
        flood.join().unwrap();
    });
    let finished = app.stop().expect_code(0);
    let refused = finished
        .reasons()
        .iter()
        .filter(|reason| *reason == "quota.lookups")
        .count();
    assert_eq!(refused, 200 - 16, "{}", finished.stderr);
}

#[test]
fn a_flood_of_denials_is_summed_up_on_the_terminal_and_complete_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let start = Instant::now();
    let finished = Outport::command("run")
        .option(format!("--audit-log={}", log.display()))
        .option("--allowed-outbound-hosts=*://127.0.0.1:1")
        .args([guest::path("script-guest")])
        .args([
            "repeat 60000 tcp.connect 10.0.0.5:{}",
            "repeat 60000 tcp.connect 10.0.0.6:80",
        ])
        .finish()
        .expect_code(0);
    let told = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("denied:"))
        .count();
    // Twenty are told in ten seconds, and as many counts.
    let intervals = 2 + start.elapsed().as_secs() / 10;
    let most = 40 * usize::try_from(intervals).unwrap();
    assert!((2..=most).contains(&told), "{told} lines\n{finished}");
    assert!(finished.stderr.len() < 100_000);

    let text = fs::read_to_string(&log).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let (mut denials, mut lost) = (0, 0);
    for line in lines {
        match line["lost"].as_u64() {
            Some(number) => lost += number,
            None if line["verdict"] == "deny" => denials += 1,
            None => {}
        }
    }
    assert!(denials + lost >= 120_000, "{denials} and {lost} lost");
    assert!(lost == 0 || denials > 10_000, "{denials} and {lost} lost");
}

#[test]
fn failures_of_one_kind_are_told_once_and_then_counted_however_many_clients_there_are() {
    // (guest, option, script, status, what is told)
    let rows = [
        (
            "http-script-guest",
            "--workers=2",
            "trap",
            500,
            "trapped in `wasi:http/incoming-handler`",
        ),
        (
            "http-script-guest-p3",
            "--workers=2",
            "trap",
            500,
            "trapped in `wasi:http/handler`",
        ),
        (
            "http-script-guest",
            "--response-timeout=50ms",
            "wait 60000",
            504,
            "gave no response within 0.05 s",
        ),
        (
            "http-script-guest",
            "--max-time=50ms",
            "wait 60000",
            500,
            "was ended after 0.05 s",
        ),
    ];
    for (guest, option, script, status, told) in rows {
        let manifest = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        let app = Outport::up(&manifest).option(option).start();
        let length = script.len();
        let request = format!(
            "POST /greedy/script HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
        );
        let start = Instant::now();
        for _ in 0..30 {
            assert_eq!(
                http::send(app.address(), &request).unwrap().status,
                status,
                "{option}"
            );
        }
        let finished = app.stop().expect_code(0);
        let lines: Vec<_> = finished
            .stderr
            .lines()
            .filter(|line| line.contains(told))
            .collect();
        // They are counted every ten seconds, and at the end.
        let counts = 1 + start.elapsed().as_secs() / 10;
        assert!(
            (2..=1 + counts).contains(&(lines.len() as u64)),
            "{guest} {option}\n{finished}"
        );
        assert!(lines[0].contains("component `greedy`"), "{finished}");
        let again: u64 = lines[1..]
            .iter()
            .map(|line| {
                let (_, times) = line.rsplit_once('(').unwrap();
                let times = times.strip_suffix(" more times)");
                times.map_or(1, |times| times.parse().unwrap())
            })
            .sum();
        assert_eq!(again, 29, "{finished}");
        assert!(lines[1].starts_with("warning:"), "{finished}");
    }
}

// proves: Q-3
#[test]
fn q_3_readers_that_do_not_read_hold_nobody_up() {
    let mut app = Outport::up(APP).option("--workers=1").start();
    let address = app.address();
    app.get("/web/hello");
    let (calm, memory_before) = (descriptors(&mut app), memory(&mut app));
    let lazy: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client
                .write_all(b"GET /web/zeroes?200000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(app.get("/web/hello").status, 200);
        // Readers who do not read are let go after half a minute.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
    let grown = memory(&mut app).saturating_sub(memory_before);
    assert!(grown < 200 << 20, "{grown} bytes for 20 readers");
    drop(lazy);
    wait_for_descriptors(&mut app, calm);
    app.stop().expect_code(0);
}

// proves: Q-3
#[test]
fn q_3_half_closed_peers_are_served_and_let_go() {
    let peer = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let peer_address = peer.local_addr().unwrap();
    let mut app = Outport::up(APP).start();
    let address = app.address();
    app.get("/web/hello");
    let calm = descriptors(&mut app);

    // A client that says no more after its request.
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
        .write_all(b"GET /web/hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    // Or it is let go at once, and what it has got does not look whole then.
    assert!(text.contains("hello") || !text.ends_with("0\r\n\r\n"), "{text}");

    // A peer that says no more, and listens on.
    let listening = thread::spawn(move || {
        let mut guest = peer.accept().unwrap().0;
        guest.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        guest.read_to_string(&mut heard).unwrap();
        heard
    });
    let script =
        format!("tcp.connect {peer_address} as c; tcp.recv c; tcp.send c still; tcp.shutdown c send");
    assert_eq!(run_script(address, &script).unwrap(), ["ok", "eof", "ok", "ok"]);
    assert_eq!(listening.join().unwrap(), "still");
    wait_for_descriptors(&mut app, calm);
    app.stop().expect_code(0);
}

#[test]
fn peers_that_reset_at_once_end_no_guest() {
    let peer = TcpPeer::start(Manner::Reset);
    let statement = format!("repeat 3000 tcp.connect {}", peer.address());
    let finished = Outport::script_guest()
        .allow("*://127.0.0.1:*")
        .args([statement.as_str(), "print done"])
        .finish()
        .expect_code(0);
    assert_eq!(results(&finished.stdout)[1], "done", "{finished}");
}

// proves: Q-3
#[test]
fn q_3_a_request_is_ended_when_its_time_is_over() {
    for (option, expected) in [("--response-timeout=400ms", 504), ("--max-time=400ms", 500)] {
        let app = Outport::up(APP).option(option).start();
        let start = Instant::now();
        let script = "wait 60000";
        let request = format!(
            "POST /greedy/script HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
            script.len()
        );
        let response = http::send(app.address(), &request).map(|response| response.status);
        assert!(
            response
                .as_ref()
                .is_ok_and(|status| *status == expected || *status == 504),
            "{option}: {response:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{option}: {:?}",
            start.elapsed()
        );
        app.stop().expect_code(0);
    }
}

/// The median time of `rounds` requests for the good neighbour, one after the other.
fn median(server: SocketAddr, rounds: usize) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(http::get(server, "/web/hello").unwrap().status, 200);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[rounds / 2]
}

/// The medians of a good neighbour without and with somebody who runs `script` all the time.
fn beside(server: SocketAddr, script: &str) -> (Duration, Duration) {
    let calm = median(server, 100);
    let done = AtomicBool::new(false);
    let crowded = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                run_script(server, script);
            }
        });
        thread::sleep(Duration::from_millis(300));
        let crowded = median(server, 100);
        done.store(true, Ordering::SeqCst);
        crowded
    });
    (calm, crowded)
}

// proves: Q-3
#[test]
fn q_3_a_guest_at_its_limits_leaves_its_neighbours_alone() {
    let dns = DnsServer::start();
    dns.answers("slow.test", [Reply::silence()]);
    dns.answers("fast.test", [Reply::addresses(["10.0.0.5"])]);
    let greedy = [
        ("processor", "spin 1500"),
        ("sockets", "repeat 300 tcp.create ipv4 as s{}; wait 100"),
        ("denials", "repeat 500 tcp.connect 10.0.0.5:{}"),
        ("look-ups", "repeat 50 dns.start slow.test as l{}; wait 100"),
        (
            "what it never asks for",
            "repeat 16 dns.start fast.test as l{}; spin 300",
        ),
        ("memory", "alloc 400000000; alloc 400000000; wait 100"),
    ];
    let app = Outport::up(APP).dns(&dns).start();
    let address = app.address();
    median(address, 50);
    for (limit, script) in greedy {
        // What else the machine is doing should not count, so one fair comparison of ten is enough.
        let fair = (0..10).map(|_| beside(address, script)).any(|(calm, crowded)| {
            eprintln!("{limit}: {calm:?} calm, {crowded:?} beside a guest at its limit");
            crowded < 2 * calm + Duration::from_millis(1)
        });
        assert!(fair, "{limit}\n{app}");
    }
    app.signal(rustix::process::Signal::INT);
    thread::sleep(Duration::from_millis(100));
    app.signal(rustix::process::Signal::INT);
    app.finish();
}
