//! What is told of requests: a probe of the server's health, the trace that a request is part of, and counts that equal
//! what clients saw.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use outport_e2e::http::{self, Origin};
use outport_e2e::http2::{self, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "observed"

[[trigger.http]]
route = "/front/..."
component = "front"

[[trigger.http]]
route = { private = true }
component = "back"

[[trigger.http]]
route = "/shared/..."
component = "shared"

[[trigger.http]]
route = "/fixed/..."
static_response = { status_code = 410, body = "gone\n" }

[component.front]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://back.spin.internal", "http://shared.spin.internal", "http://localhost:*", "*://127.0.0.1:*"]

[component.back]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://127.0.0.1:*", "http://shared.spin.internal"]

[component.shared]
source = "GUESTS/http-script-guest-p3.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

const PARENT: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

fn in_query(statement: &str) -> String {
    statement.replace('%', "%25").replace(' ', "%20")
}

/// Asks with these headers, each with its line end.
fn ask(server: SocketAddr, path: &str, headers: &str) -> http::Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{headers}\r\n");
    http::send(server, &request).unwrap()
}

#[test]
fn a_probe_is_answered_before_every_route_and_runs_no_guest() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"probed\"\n\
        [[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
        [[trigger.http]]\nroute = \"/.well-known/spin/health\"\ncomponent = \"web\"\n\
        [component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n";
    let app = Outport::up(manifest).option(LISTEN).start();
    let (server, admin) = (app.address(), admin(&app));
    // (method, headers, status, body)
    for (method, headers, status, body) in [
        ("GET", "Host: x\r\n", 200, "OK"),
        ("HEAD", "Host: x\r\n", 200, ""),
        ("GET", "Host: 10.0.0.1:1234\r\n", 200, "OK"),
        ("GET", "Host: a b\r\n", 200, "OK"),
        ("GET", "", 200, "OK"),
        ("POST", "Host: x\r\n", 405, "ask for it with GET or HEAD\n"),
    ] {
        let request =
            format!("{method} /.well-known/spin/health HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let response = http::send(server, &request).unwrap();
        let told = (response.status, response.body.as_str());
        assert_eq!(told, (status, body), "{method} {headers}");
        let length = if status == 200 { "2" } else { "28" };
        assert_eq!(
            response.header("content-length"),
            Some(length),
            "{method} {headers}"
        );
    }
    assert_eq!(app.get("/.well-known/spin/health?x").body, "OK");
    assert_eq!(app.get("/.well-known/spin/hello").body, "hello\n");
    until("the only request is over", || {
        count(admin, "outport_http_requests_total", &[]) == 1.0
    });
    assert_eq!(count(admin, "outport_instances_started_total", &[]), 1.0);
}

#[test]
fn the_context_of_a_client_goes_through_chained_components_to_a_peer() {
    let origin = Origin::start("peer");
    let app = Outport::up(APP).start();
    let server = app.address();
    let url = format!("http://{}/x", origin.address());
    // What the last of them has in its headers, by the way that a request takes.
    let ways = [
        "/front/headers".to_owned(),
        format!(
            "/front/script?{}",
            in_query("http.text GET http://back.spin.internal/headers")
        ),
        format!(
            "/front/script?{}",
            in_query("http.text GET http://shared.spin.internal/headers")
        ),
        "/shared/headers".to_owned(),
        format!(
            "/front/script?{}",
            in_query(&format!(
                "http.text GET http://back.spin.internal/script?{}",
                in_query("http.text GET http://shared.spin.internal/headers")
            ))
        ),
    ];
    // (headers, the parent that arrives)
    let rows = [
        (
            format!("traceparent: {PARENT}\r\ntracestate: a=1\r\n"),
            Some(PARENT),
        ),
        (String::new(), None),
    ];
    for (headers, parent) in &rows {
        for way in &ways {
            let told = ask(server, way, headers).body;
            let found = parent.map(|parent| told.contains(&format!("traceparent: {parent}")));
            assert!(found.unwrap_or(!told.contains("traceparent")), "{way}: {told}");
            assert_eq!(
                told.contains("tracestate: a=1"),
                parent.is_some(),
                "{way}: {told}"
            );
        }
    }
    // What a peer has, by the same ways.
    let call = in_query(&format!("http GET {url}"));
    let back = in_query(&format!("http GET http://back.spin.internal/script?{call}"));
    let both = [
        format!("/front/script?{call}"),
        format!("/shared/script?{call}"),
        format!("/front/script?{back}"),
    ];
    let rows = [
        (format!("traceparent: {PARENT}\r\n"), Some(PARENT)),
        (String::new(), None),
        ("traceparent: 00-0-0-01\r\n".to_owned(), None),
        (
            format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n"),
            None,
        ),
        (format!("traceparent: {PARENT}-\r\n"), None),
        (format!("traceparent: {}\r\n", PARENT.to_uppercase()), None),
    ];
    for (headers, parent) in &rows {
        for way in &both {
            let before = origin.requests().len();
            let answer = ask(server, way, headers);
            assert_eq!(answer.status, 200, "{way}: {}", answer.body);
            let requests = origin.requests();
            assert_eq!(requests.len(), before + 1, "{way}: {}", answer.body);
            let got = requests[before].headers.iter();
            let got: Vec<_> = got
                .filter(|(name, _)| name == "traceparent")
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(got, parent.as_slice(), "{way}, {headers}");
        }
    }
    // A guest finds what its client wrote, whatever that is.
    let told = ask(server, "/front/headers", "traceparent: 00-0-0-01\r\n").body;
    assert!(told.contains("traceparent: 00-0-0-01\n"), "{told}");
}

#[test]
fn counts_equal_what_clients_saw() {
    let turnstile = Turnstile::closed();
    let app = Outport::up(APP).option(LISTEN).option("--workers=2").start();
    let (server, admin) = (app.address(), admin(&app));
    let mut sent = 0;
    // (path, status, how often)
    for (path, status, times) in [
        ("/front/hello", 200, 7),
        ("/shared/hello", 200, 5),
        ("/fixed/x", 410, 3),
        ("/nowhere", 404, 2),
        ("/front/script?no%20statement", 400, 1),
    ] {
        for _ in 0..times {
            assert_eq!(ask(server, path, "").status, status, "{path}");
        }
        sent += times;
    }
    let call = in_query("http.text GET http://back.spin.internal/hello");
    assert_eq!(ask(server, &format!("/front/script?{call}"), "").status, 200);
    let put = "PUT /front/count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    assert_eq!(http::send(server, put).unwrap().body, "3\n");
    let odd = "BREW /front/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(http::send(server, odd).unwrap().status, 200);

    // On one connection of HTTP/2, all at once.
    let mut client = Http2::begin(TcpStream::connect(server).unwrap(), 1 << 20).unwrap();
    for number in 0..10 {
        client.ask(1 + 2 * number, "GET", "/front/hello").unwrap();
    }
    let mut ended = 0;
    while ended < 10 {
        let frame = client.next_frame().unwrap();
        let ends = matches!(frame.kind, http2::DATA | http2::HEADERS) && frame.flags & http2::END_STREAM != 0;
        ended += usize::from(ends);
    }

    // Clients that are gone before there is a response: one stream is reset, one connection closed.
    let waiting = format!("/front/script?{}", in_query(&turnstile.wait()));
    client.ask(101, "GET", &waiting).unwrap();
    let mut gone = TcpStream::connect(server).unwrap();
    write!(gone, "GET {waiting} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    turnstile.has(2);
    let active = &["component=\"front\""];
    assert_eq!(count(admin, "outport_http_requests_active", active), 2.0);
    until("the others are closed", || {
        count(admin, "outport_client_connections_open", &[]) == 2.0
    });
    client
        .send(http2::RST_STREAM, 0, 101, &8_u32.to_be_bytes())
        .unwrap();
    drop(gone);
    until("both are over", || {
        count(admin, "outport_http_requests_active", active) == 0.0
    });
    turnstile.open();
    drop(client);

    let requests = "outport_http_requests_total";
    for (labels, expected) in [
        (
            &["route=\"/front/...\"", "method=\"GET\"", "status_class=\"2xx\""][..],
            7 + 10 + 1,
        ),
        (&["component=\"front\"", "status_class=\"4xx\""], 1 + 2),
        (&["component=\"front\"", "method=\"PUT\""], 1),
        (&["component=\"front\"", "method=\"_OTHER\""], 1),
        (&["component=\"back\"", "route=\"\"", "status_class=\"2xx\""], 1),
        (&["component=\"shared\"", "status_class=\"2xx\""], 5),
        (
            &["component=\"\"", "route=\"/fixed/...\"", "status_class=\"4xx\""],
            3,
        ),
        (&["component=\"\"", "route=\"\"", "status_class=\"4xx\""], 2),
        (&[], sent + 1 + 1 + 1 + 1 + 10 + 2),
    ] {
        let found = count(admin, requests, labels);
        assert_eq!(found, f64::from(expected), "{labels:?}\n{}", metrics(admin));
    }
    let durations = "outport_http_request_duration_seconds_count";
    assert_eq!(count(admin, durations, &[]), count(admin, requests, &[]));
    until("no instance is left", || {
        count(admin, "outport_instances", &[]) == 0.0
    });
    let started = |labels| count(admin, "outport_instances_started_total", labels);
    let ended = |labels| count(admin, "outport_instances_ended_total", labels);
    assert_eq!(
        started(&["component=\"front\""]),
        7.0 + 1.0 + 1.0 + 1.0 + 1.0 + 10.0 + 2.0
    );
    assert_eq!(started(&["component=\"back\""]), 1.0);
    assert!(
        (1.0..=5.0).contains(&started(&["component=\"shared\""])),
        "{}",
        metrics(admin)
    );
    assert_eq!(ended(&[]), started(&[]));
    assert!(count(admin, "outport_guest_cpu_seconds_total", active) > 0.0);
    until("all memory is given back", || {
        count(admin, "outport_guest_memory_bytes", &[]) == 0.0
    });
    until("all connections are closed", || {
        count(admin, "outport_client_connections_open", &[]) == 0.0
    });
    let accepted = count(
        admin,
        "outport_client_connections_total",
        &["outcome=\"accepted\""],
    );
    assert_eq!(accepted, f64::from(sent + 1 + 1 + 1 + 2));
    let code = count(admin, "outport_code_cache_total", &[]);
    assert_eq!(code, 2.0, "{}", metrics(admin));
}

#[test]
fn instances_are_counted_by_the_limit_that_ended_them() {
    for (options, script, status, outcome) in [
        (&["--max-cpu-time=100ms"][..], "spin 100000", 500, "max-cpu-time"),
        (&[], "trap", 500, "trapped"),
        (&["--response-timeout=100ms"], "WAIT", 504, "response-timeout"),
        (&["--max-time=100ms"], "WAIT", 500, "max-time"),
        (&[], "print hello", 200, "completed"),
    ] {
        for route in ["front", "shared"] {
            let app = Outport::up(APP)
                .option(LISTEN)
                .option("--idle-instance-timeout=0s")
                .options(options.iter().copied())
                .start();
            let (server, admin) = (app.address(), admin(&app));
            let turnstile = Turnstile::closed();
            let script = script.replace("WAIT", &turnstile.wait());
            let path = format!("/{route}/script?{}", in_query(&script));
            assert_eq!(ask(server, &path, "").status, status, "{route}: {script}");
            let component = format!("component=\"{route}\"");
            until(format_args!("{route}: {outcome}"), || {
                let labels = [&*component, &format!("outcome=\"{outcome}\"")];
                count(admin, "outport_instances_ended_total", &labels) == 1.0
            });
            assert_eq!(count(admin, "outport_instances_ended_total", &[]), 1.0, "{route}");
            assert_eq!(count(admin, "outport_instances", &[]), 0.0, "{route}");
        }
    }
}

#[test]
fn events_are_counted_by_what_became_of_them() {
    for (event, outcome) in [("print hello", "done"), ("trap", "failed")] {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"job\"\n\
             [[trigger.cron]]\ncomponent = \"job\"\ncron_expression = \"* * * * * *\"\n\
             [component.job]\nsource = \"GUESTS/events.wasm\"\nenvironment = {{ EVENT = \"{event}\" }}\n"
        );
        let app = Outport::up(&manifest).option(LISTEN).start();
        let admin = admin(&app);
        let labels = [
            "component=\"job\"",
            "trigger=\"cron\"",
            &format!("outcome=\"{outcome}\""),
        ];
        until(outcome, || count(admin, "outport_events_total", &labels) >= 1.0);
        let all = count(admin, "outport_events_total", &[]);
        assert!(
            all <= count(admin, "outport_instances_started_total", &[]),
            "{outcome}"
        );
    }
}

#[test]
fn what_clients_write_makes_no_series() {
    let app = Outport::up(APP).option(LISTEN).start();
    let (server, admin) = (app.address(), admin(&app));
    let send_all = |numbers: std::ops::Range<usize>| {
        let stream = TcpStream::connect(server).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        for number in numbers {
            let path = if number % 50 == 0 { "front/hello" } else { "fixed" };
            let path = if number % 3 == 0 { "nowhere" } else { path };
            let request = format!(
                "M{number} /{path}/{number}?{number} HTTP/1.1\r\nHost: h{number}.test\r\nx-{number}: {number}\r\n\r\n"
            );
            writer.write_all(request.as_bytes()).unwrap();
            http::read_response(&mut reader, &request).unwrap();
        }
    };
    send_all(0..200);
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(&metrics(admin));
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || send_all(200 + part * 1000..1200 + part * 1000));
        }
    });
    until("all are over", || {
        count(admin, "outport_http_requests_total", &[]) == 4200.0
    });
    let text = metrics(admin);
    assert_eq!(series(&text), before, "{text}");
    assert_eq!(
        count(admin, "outport_http_requests_total", &["method=\"_OTHER\""]),
        4200.0
    );
}

#[test]
fn clients_that_have_too_many_connections_are_counted() {
    let app = Outport::up(APP)
        .options([LISTEN, "--max-connections-per-client=2"])
        .start();
    let (server, admin) = (app.address(), admin(&app));
    let held = [(); 2].map(|()| TcpStream::connect(server).unwrap());
    let connections = "outport_client_connections_total";
    until("both are there", || {
        count(admin, connections, &["outcome=\"accepted\""]) == 2.0
    });
    let mut third = TcpStream::connect(server).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(count(admin, connections, &["outcome=\"turned-away\""]), 1.0);
    assert_eq!(count(admin, "outport_client_connections_open", &[]), 2.0);
    drop(held);
}

const LISTEN: &str = "--admin-listen=127.0.0.1:0";

/// Where the tools of a process ask.
fn admin(run: &Running) -> SocketAddr {
    let line = run.wait_for_error_line("Admin listener: http://");
    let address = line.trim_start_matches("Admin listener: http://");
    address
        .parse()
        .unwrap_or_else(|_| panic!("no address in `{line}`"))
}

fn metrics(admin: SocketAddr) -> String {
    http::get(admin, "/metrics").unwrap().body
}

/// The sum of all series of a metric that have these labels, as the text writes them.
fn count(admin: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let text = metrics(admin);
    let series = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (own, set) = series.split_once('{').unwrap_or((series, ""));
        let is_meant = own == name && labels.iter().all(|label| set.contains(label));
        is_meant.then(|| value.parse::<f64>().unwrap())
    });
    series.sum()
}
