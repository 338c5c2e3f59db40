//! An instance of WASI 0.3 that answers several requests: what they share, and what they do not do to others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::http::{self, Response};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;

/// The script guest of WASI 0.3 on one thread, so that all requests could share an instance.
fn script_guest() -> Outport {
    Outport::serve(guest::path("http-script-guest-p3")).option("--workers=1")
}

fn run_script(address: SocketAddr, script: &str) -> Response {
    let length = script.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
    );
    http::send(address, &request).unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// A statement that is denied, by which the audit log tells which instance performed it.
fn mark(number: usize) -> String {
    format!("tcp.connect {MARKED}{number}")
}

const MARKED: &str = "10.0.0.1:";

/// The instance that performed each mark so far, in the order of the marks; instances are numbered as they first appear.
fn instances(log: &[AuditLine]) -> Vec<usize> {
    let mut marks: Vec<_> = log
        .iter()
        .filter_map(|line| {
            let port = line.field("destination").strip_prefix(MARKED)?.parse::<usize>();
            Some((port.ok()?, line.field("instance")))
        })
        .collect();
    marks.sort();
    let mut known = HashMap::new();
    marks
        .into_iter()
        .map(|(_, instance)| {
            let next = known.len() + 1;
            *known.entry(instance).or_insert(next)
        })
        .collect()
}

/// Stops an app, and says which instance performed each mark.
fn all_instances(app: Running) -> Vec<usize> {
    instances(&app.stop().expect_code(0).audit)
}

// proves: DNS-7
#[test]
fn dns_7_the_grants_of_a_shared_instance_are_those_of_all_its_requests_and_of_no_other() {
    let (peer, dns) = (TcpPeer::echo(), DnsServer::start());
    dns.answers("db.test", [Reply::addresses(["127.0.0.1"]).ttl(60)]);
    let connect = format!("tcp.connect {}", peer.address());
    for (option, verdict) in [
        ("--max-instance-reuse-count=2", "ok"),
        ("--max-instance-reuse-count=1", "access-denied"),
    ] {
        let app = script_guest()
            .allow(format!("*://db.test:{}", peer.port()))
            .dns(&dns)
            .options(["--allow-loopback-answers", option])
            .start();
        let address = app.address();
        let ask = |script: &str| results(&run_script(address, script).body).join(" ");
        assert_eq!(ask("dns.lookup db.test"), "127.0.0.1", "{option}");
        assert_eq!(ask(&connect), verdict, "{option}");
        // The third is never answered by the instance of the first.
        assert_eq!(ask(&connect), "access-denied", "{option}");
        app.stop().expect_code(0);
    }
}

// proves: Q-1
#[test]
fn q_1_requests_that_share_an_instance_share_its_sockets() {
    for (option, other) in [
        ("--max-instance-reuse-count=3", "ok x1, other x1"),
        ("--max-instance-reuse-count=1", "ok x2"),
    ] {
        let turnstile = Turnstile::closed();
        let app = script_guest().allow(turnstile.entry());
        let mut app = app.options(["--max-sockets-per-instance=4", option]).start();
        let address = app.address();
        thread::scope(|scope| {
            let script = format!("repeat 2 tcp.create ipv4 as a{{}}; {}", turnstile.wait());
            let first = scope.spawn(move || run_script(address, &script).body);
            turnstile.has(1);
            app.until_idle();
            let second = run_script(address, "repeat 2 tcp.create ipv4 as b{}").body;
            assert_eq!(results(&second), [other], "{option}");
            turnstile.open();
            assert_eq!(
                results(&first.join().unwrap()),
                ["ok x2", "ok", "eof"],
                "{option}"
            );
        });
        // What a request held is given back with it.
        let third = run_script(address, "repeat 4 tcp.create ipv4 as c{}").body;
        assert_eq!(results(&third), ["ok x4"], "{option}");
    }
}

#[test]
fn an_instance_answers_as_many_requests_as_the_operator_says() {
    // (options, pause between requests in ms, instance of each request)
    let cases: &[(&[&str], u64, [usize; 4])] = &[
        (&[], 0, [1, 1, 1, 1]),
        (&["--max-instance-reuse-count=1"], 0, [1, 2, 3, 4]),
        (&["--max-instance-reuse-count=3"], 0, [1, 1, 1, 2]),
        (&["--max-instance-concurrent-reuse-count=1"], 0, [1, 1, 1, 1]),
        (&["--idle-instance-timeout=0s"], 0, [1, 2, 3, 4]),
        (&["--idle-instance-timeout=50ms"], 500, [1, 2, 3, 4]),
        (&["--idle-instance-timeout=60s"], 200, [1, 1, 1, 1]),
        // Half of the processor time or of the memory is used.
        (&["--max-memory=8M"], 0, [1, 1, 2, 2]),
    ];
    for (options, pause, expected) in cases {
        let app = script_guest().options(*options).start();
        for number in 1..=4 {
            let script = if options.contains(&"--max-memory=8M") && number == 2 {
                format!("{}; alloc 3000000", mark(number))
            } else {
                mark(number)
            };
            let response = run_script(app.address(), &script);
            assert_eq!(response.status, 200, "{options:?}\n{app}");
            thread::sleep(Duration::from_millis(*pause));
        }
        let start = Instant::now();
        assert_eq!(all_instances(app), *expected, "{options:?}");
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "an idle instance keeps nobody waiting"
        );
    }
}

#[test]
fn an_instance_answers_as_many_requests_at_a_time_as_the_operator_says() {
    for (concurrency, expected) in [
        (1, [1, 2, 3, 4]),
        (2, [1, 1, 2, 2]),
        (3, [1, 1, 1, 2]),
        (4, [1; 4]),
    ] {
        let turnstile = Turnstile::closed();
        let mut app = script_guest()
            .allow(turnstile.entry())
            .option(format!("--max-instance-concurrent-reuse-count={concurrency}"))
            .start();
        let address = app.address();
        thread::scope(|scope| {
            for number in 1..=4 {
                let script = format!("{}; {}", mark(number), turnstile.wait());
                scope.spawn(move || assert_eq!(run_script(address, &script).status, 200, "{concurrency}"));
                // An instance that has not begun to wait is passed over.
                turnstile.has(number);
                app.until_idle();
            }
            turnstile.open();
        });
        assert_eq!(all_instances(app), expected, "{concurrency} at a time");
    }
}

#[test]
fn a_request_that_brings_a_trace_is_alone_in_its_instance_while_it_runs() {
    let parent = "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-00\r\n";
    // (what each request brings, its instance)
    for (brought, expected) in [
        (["", "", "", ""], [1, 1, 1, 1]),
        (["", parent, "", parent], [1, 2, 1, 3]),
        ([parent, "", parent, ""], [1, 2, 3, 2]),
        (["", "traceparent: none\r\n", "", ""], [1, 1, 1, 1]),
    ] {
        let turnstile = Turnstile::closed();
        let mut app = script_guest().allow(turnstile.entry()).start();
        let address = app.address();
        thread::scope(|scope| {
            for (number, headers) in (1..).zip(brought) {
                let script = format!("{}; {}", mark(number), turnstile.wait());
                let request = format!(
                    "POST / HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{script}",
                    script.len()
                );
                scope.spawn(move || assert_eq!(http::send(address, &request).unwrap().status, 200));
                turnstile.has(number);
                app.until_idle();
            }
            turnstile.open();
        });
        assert_eq!(all_instances(app), expected, "{brought:?}");
    }
    // One after the other they may have the same.
    let app = script_guest().option("--idle-instance-timeout=60s").start();
    let address = app.address();
    for number in 1..=3 {
        let script = mark(number);
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{parent}Content-Length: {}\r\nConnection: close\r\n\r\n{script}",
            script.len()
        );
        assert_eq!(http::send(address, &request).unwrap().status, 200);
    }
    assert_eq!(all_instances(app), [1, 1, 1]);
}

// proves: Q-3
#[test]
fn q_3_a_trap_ends_the_requests_of_its_own_instance_and_no_others() {
    let turnstile = Turnstile::closed();
    let app = script_guest().allow(turnstile.entry());
    let mut app = app.option("--max-instance-concurrent-reuse-count=2").start();
    let address = app.address();
    thread::scope(|scope| {
        // Both places of the first instance are taken, and one of the second.
        let [beside, other, third] = [1, 2, 3].map(|number| {
            let script = format!("{}; {}", mark(number), turnstile.wait());
            let slow = scope.spawn(move || run_script(address, &script).status);
            turnstile.has(number);
            app.until_idle();
            slow
        });
        assert_eq!(run_script(address, &format!("{}; trap", mark(4))).status, 500);
        assert_eq!(third.join().unwrap(), 500, "it shared the instance that trapped");
        turnstile.open();
        assert_eq!((beside.join().unwrap(), other.join().unwrap()), (200, 200));
    });
    assert_eq!(run_script(address, &mark(5)).status, 200);
    until("it is told", || {
        app.stderr().contains("trapped in `wasi:http/handler`")
    });
    let used = all_instances(app);
    assert_eq!(used[..4], [1, 1, 2, 2]);
    assert_ne!(used[4], 2, "what trapped gets no further request");
}

// proves: Q-3
#[test]
fn q_3_a_request_that_runs_out_of_time_leaves_the_others_and_is_the_last_of_its_instance() {
    let turnstile = Turnstile::closed();
    let mut app = script_guest()
        .allow(turnstile.entry())
        .option("--response-timeout=4s")
        .start();
    let address = app.address();
    thread::scope(|scope| {
        let late = scope.spawn(move || run_script(address, &format!("{}; wait 60000", mark(1))).status);
        until("a first mark", || instances(&app.audit()) == [1]);
        app.until_idle();
        // Its own time goes on for so long after that of the first is over.
        thread::sleep(Duration::from_secs(2));
        let script = format!("{}; {}", mark(2), turnstile.wait());
        let beside = scope.spawn(move || run_script(address, &script).status);
        assert_eq!(late.join().unwrap(), 504);
        assert_eq!(run_script(address, &mark(3)).status, 200);
        turnstile.open();
        assert_eq!(beside.join().unwrap(), 200);
    });
    assert_eq!(all_instances(app), [1, 1, 2]);
}

// proves: Q-3
#[test]
fn q_3_a_guest_that_computes_is_given_no_further_request_and_keeps_nobody_waiting() {
    let app = script_guest().option("--response-timeout=5s").start();
    let address = app.address();
    run_script(address, "wait 0");
    thread::scope(|scope| {
        let busy = scope.spawn(move || run_script(address, &format!("{}; spin 60000", mark(1))).status);
        until("a first mark", || instances(&app.audit()) == [1]);
        for number in 2..=4 {
            assert_eq!(run_script(address, &mark(number)).status, 200);
        }
        assert!(!busy.is_finished(), "they waited for it");
        assert_eq!(busy.join().unwrap(), 504);
    });
    assert_eq!(all_instances(app), [1, 2, 2, 2]);
}

// proves: Q-3
#[test]
fn q_3_processor_time_is_for_each_request_and_half_of_it_for_further_ones() {
    let app = script_guest().option("--max-cpu-time=500ms").start();
    let spin = |number| {
        let response = run_script(app.address(), &format!("{}; spin 400", mark(number)));
        assert_eq!(response.status, 200, "{app}");
    };
    // More than one request may use, and eight times as much as an instance that takes further ones.
    (1..=5).for_each(spin);
    // On a busy machine not all of it was computing.
    let mut further = 6..60;
    until("a second instance", || {
        let used = instances(&app.audit());
        let second = used.last() > Some(&1);
        if !second {
            spin(further.next().unwrap_or_else(|| panic!("{used:?}")));
        }
        second
    });
    assert_eq!(run_script(app.address(), "spin 60000").status, 500, "{app}");
    app.stop().expect_code(0);
}

// proves: Q-3
#[test]
fn q_3_an_instance_lives_for_its_time_after_its_last_request() {
    let app = script_guest().option("--max-time=4s").start();
    let address = app.address();
    assert_eq!(run_script(address, &mark(1)).status, 200);
    assert_eq!(
        run_script(address, &format!("{}; wait 2100", mark(2))).status,
        200
    );
    // Half of its life is over.
    let start = Instant::now();
    assert_eq!(
        run_script(address, &format!("{}; wait 60000", mark(3))).status,
        500
    );
    let took = start.elapsed();
    assert!(took > Duration::from_millis(3900), "{took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    until("it is told", || app.stderr().contains("was ended after 4 s"));
    assert_eq!(all_instances(app), [1, 1, 2]);
}

/// Calls itself, from instances that take one request after the other and many at a time.
const ENDLESS: &str = r#"
spin_manifest_version = 2
application.name = "endless"
[[trigger.http]]
route = "/..."
component = "it"
[component.it]
source = "GUESTS/http-script-guest-p3.wasm"
allowed_outbound_hosts = ["http://self"]
"#;

#[test]
fn a_component_that_calls_itself_never_waits_for_its_own_instance() {
    for concurrency in ["1", "16"] {
        let app = Outport::up(ENDLESS)
            .options([
                "--workers=1",
                "--max-instance-concurrent-reuse-count",
                concurrency,
            ])
            .start();
        let address = app.address();
        let twice = "http.text GET http://self/script?http.text%20GET%20http://self/hello";
        let answer = "200 1 http.text GET http://self/hello => 200 hello";
        for _ in 0..3 {
            let start = Instant::now();
            let body = run_script(address, twice).body;
            assert!(body.contains(answer), "{body}");
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        }
        // Two of three ask for something: each depth has an instance of its own, which is used again.
        let finished = app.stop().expect_code(0);
        let instances: Vec<_> = finished.audit.iter().map(|line| line.field("instance")).collect();
        assert_eq!(instances.len(), 6, "{finished}");
        assert_ne!(instances[0], instances[1], "{finished}");
        assert_eq!(instances[..2], instances[2..4], "{finished}");
        assert_eq!(instances[..2], instances[4..], "{finished}");
    }
}

// proves: Q-3
#[test]
fn q_3_few_places_are_enough_for_many_clients_and_idle_instances_take_none() {
    let app = script_guest()
        .options(["--max-requests=2", "--idle-instance-timeout=60s"])
        .start();
    let address = app.address();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(http::get(address, "/hello").unwrap().status, 200);
                }
            });
        }
    });
    app.stop().expect_code(0);
}
