//! An app of Spin's Python SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a
//! component of WASI 0.3 that imports all of Spin's platform, most of which Outport does not provide.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;

use crate::sdk_requests::{self, Row, STATUS, Server, Setting};

const APP: &str = r#"
spin_manifest_version = 2
application.name = "python"

[variables]
greeting = { default = "good day" }
token = { required = true, secret = true }

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = { private = true }
component = "back"

[component.app]
source = "APP"
allowed_outbound_hosts = ["http://back.spin.internal"]
key_value_stores = ["default"]

[component.app.variables]
greeting = "{{ greeting }}!"
token = "{{ token }}"

[component.back]
source = "GUESTS/http-script-guest.wasm"
"#;

fn start() -> Running {
    let app = python::spin_app("spin_app");
    Outport::up(&APP.replace("APP", &app.display().to_string()))
        .option("--variable=token=hunter2")
        .start()
}

#[test]
fn a_spin_app_in_python_answers_keeps_values_and_sends_requests() {
    let app = start();
    let rows = [
        ("/hello", 200, "Hello from Python!"),
        ("/elsewhere", 404, "nothing here"),
        ("/count?visits", 200, "1"),
        ("/count?visits", 200, "2"),
        ("/count?others", 200, "1"),
        ("/keys", 200, "others,visits"),
        ("/open?elsewhere", 403, "Error_AccessDenied"),
        ("/send?http://back.spin.internal/hello", 200, "hello\n"),
        // The SDK takes URLs apart, and leaves an empty path empty.
        ("/send?http://back.spin.internal?print+x", 200, "1 print x => x\n"),
        (
            "/send?http://other.spin.internal/hello",
            502,
            "ErrorCode_HttpRequestDenied",
        ),
        (
            "/send?http://elsewhere.example/",
            502,
            "ErrorCode_HttpRequestDenied",
        ),
    ];
    for (path, status, body) in rows {
        let answer = app.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    app.stop();
}

#[test]
fn a_spin_app_in_python_reads_its_variables_and_nobody_else_sees_the_secret() {
    let app = start();
    let rows = [
        ("/variable?greeting", 200, "good day!"),
        ("/variable?token", 200, "hunter2"),
    ];
    for (path, status, body) in rows {
        let answer = app.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    let missing = app.get("/variable?other");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("Error_Undefined"), "{}", missing.body);
    let ended = app.stop();
    assert!(!ended.stderr.contains("hunter2"), "{ended}");
}

#[test]
fn a_response_that_is_shorter_than_it_says_breaks_off_and_is_told() {
    let app = start();
    let request = format!(
        "GET /short HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        app.address()
    );
    // The head is sent by then, so no status can tell. What the client makes of it is its own affair.
    let _ = http::send(app.address(), &request);
    let finished = app.stop();
    let told = "a response of component `app` broke off: ";
    assert!(finished.stderr.contains(told), "{finished}");
}

/// Beside [`start`], the same for WASI 0.2 at `/2/…`, and both may talk to these ports of this machine.
fn start_writers(ports: &str, options: &[&str]) -> Running {
    let app = APP
        .replace(
            "[\"http://back",
            &format!("[\"http://127.0.0.1:{{{ports},1}}\", \"http://back"),
        )
        .replace("APP", &python::spin_app("spin_app").display().to_string());
    let writer = python::http_handler("writer");
    let writer = format!(
        "\n[[trigger.http]]\nroute = \"/2/...\"\ncomponent = \"writer\"\n[component.writer]\nsource = {writer:?}\n\
         allowed_outbound_hosts = [\"http://127.0.0.1:{{{ports},1}}\"]\n"
    );
    Outport::up(&(app + &writer))
        .option("--variable=token=hunter2")
        .options(options.iter().copied())
        .option("--allow-loopback-ports=1")
        .start()
}

/// What `writer.py` is asked, and what it must say, or where `on_0_3` is said `spin_app.py`.
fn of_plain_wasi(host: &str, on_0_3: bool) -> Vec<Row> {
    let (denied, nobody) = ("http://elsewhere.example", "http://127.0.0.1:1");
    // (to where, how the body is written, the answer, how writing ends on 0.2, and on 0.3)
    let whole = ("written, finished", "written");
    let rows = [
        (host, "/&length=6&pieces=ab.cd.ef", "200 abcdef", whole),
        (host, "/&pieces=ab.cd.ef", "200 abcdef", whole),
        (host, "/&length=2&pieces=ab.", "200 ab", whole),
        (host, "/&length=0", "200 ", whole),
        (host, "/", "200 ", whole),
        // A path that was never set is `/`.
        (host, "&length=2&pieces=ab", "200 ab", whole),
        (host, "/early&after=1&pieces=ab.cd.ef", "200 early", whole),
        (host, "/early&pieces=ab.cd.ef", "200 early", whole),
        (host, "/early&length=6&pieces=ab.cd.ef", "200 early", whole),
        (denied, "/&pieces=ab.cd", "ErrorCode_HttpRequestDenied", whole),
        (
            denied,
            "/&after=1&pieces=ab.cd",
            "ErrorCode_HttpRequestDenied",
            whole,
        ),
        (
            nobody,
            "/&length=4&pieces=ab.cd",
            "ErrorCode_ConnectionRefused",
            whole,
        ),
        // No body at all.
        (host, "/&bare=1", "200 ", ("bare", "bare")),
        (host, "/&length=0&bare=1", "200 ", ("bare", "bare")),
        (
            host,
            "/&length=4&bare=1",
            "ErrorCode_HttpRequestBodySize",
            ("bare", "bare"),
        ),
        (
            host,
            "/&length=2&pieces=ab.cd",
            "200 ab",
            (
                "StreamError_LastOperationFailed, ErrorCode_HttpRequestBodySize",
                "dropped",
            ),
        ),
        (
            host,
            "/&length=3&pieces=ab.cd",
            "ErrorCode_HttpRequestBodySize",
            (
                "StreamError_LastOperationFailed, ErrorCode_HttpRequestBodySize",
                "dropped",
            ),
        ),
        (
            host,
            "/&length=5&pieces=ab.cd",
            "ErrorCode_HttpRequestBodySize",
            ("written, ErrorCode_HttpRequestBodySize", "written"),
        ),
    ];
    rows.iter()
        .map(|(to, how, answer, (on_0_2, of_0_3))| {
            let end = if on_0_3 { of_0_3 } else { on_0_2 };
            (format!("/write?url={to}{how}"), format!("{answer}, {end}"))
        })
        .collect()
}

fn run(settings: &[Setting], requests: usize) {
    let (app, writer) = (python::spin_app("spin_app"), python::http_handler("writer"));
    sdk_requests::run(&app, settings, requests, of_spins_sdk);
    sdk_requests::run(&writer, settings, requests, |host, _| of_plain_wasi(host, false));
    sdk_requests::run(&app, settings, requests, |host, _| of_plain_wasi(host, true));
    sdk_requests::asked_without_a_body(&app, STATUS);
    for plain in [&app, &writer] {
        sdk_requests::asked_without_a_body(plain, "/respond?n=0&pieces=a%20.body&status=");
    }
}

fn of_spins_sdk(host: &str, server: &Server) -> Vec<Row> {
    sdk_requests::of_an_sdk(host, server, |error| error)
}

// proves: ISO-3, ISO-5
#[test]
fn no_answer_is_lost_however_a_guest_writes_its_request() {
    run(&Setting::few(), 1);
}

#[test]
#[ignore = "builds one more app, and takes minutes"]
fn no_answer_of_a_thousand_is_lost() {
    run(&Setting::all(), 1000);
    let older = python::spin_app_of_sdk_3("spin_app_3");
    sdk_requests::run(&older, &Setting::all(), 1000, of_spins_sdk);
    sdk_requests::asked_without_a_body(&older, STATUS);
}

// proves: ISO-5
#[test]
fn a_response_without_a_body_does_not_trap_the_guest_that_writes_one() {
    let app = start_writers("2", &[]);
    let rows = [
        ("HEAD", "status=200&pieces=ab.cd"),
        ("HEAD", "status=200&length=4&pieces=ab.cd"),
        ("GET", "status=204&pieces=ab.cd"),
        ("GET", "status=304&pieces=ab.cd"),
        ("GET", "status=200&length=2&pieces=ab."),
        ("GET", "status=200&pieces=ab.cd"),
    ];
    for (number, (method, how)) in rows.iter().enumerate() {
        for path in ["/2/respond", "/respond"] {
            let host = app.address();
            let request = format!(
                "{method} {path}?n={number}&{how} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            );
            let mut stream = TcpStream::connect(host).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let status = &how["status=".len()..][..3];
            let begin = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&begin), "{request}{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let wanted = *method == "GET" && status == "200";
            assert_eq!(!body.is_empty(), wanted, "{request}{answer}");
        }
    }
    // What is still written is written to its end.
    let ended = app.stop();
    for (number, row) in rows.iter().enumerate() {
        let told = [
            format!("response {number} of 0.2: written, finished"),
            format!("response {number} of 0.3: written"),
        ];
        for told in told {
            assert!(ended.stdout.contains(&told), "{told}: {row:?}\n{ended}");
        }
    }
}

/// A server that says this to whoever asks, and hangs up; as if it had crashed where `reset`.
fn sayer(says: &'static [u8], reset: bool) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = http::read_head(&mut BufReader::new(&stream));
            let _ = stream.write_all(says);
            if reset {
                // What was said is read before the reset is seen.
                thread::sleep(Duration::from_millis(800));
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
        }
    });
    address
}

/// A server that answers at once, and closes a moment later without having read the body.
fn hasty(says: String) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = http::read_head(&mut BufReader::new(&stream));
            let (begin, end) = says.as_bytes().split_at(says.len() - 2);
            let _ = stream.write_all(begin);
            thread::sleep(Duration::from_millis(20));
            let _ = stream.write_all(end);
            thread::sleep(Duration::from_millis(60));
        }
    });
    address
}

// proves: ISO-3
#[test]
fn an_answer_that_comes_early_is_read_though_nothing_can_be_written_any_more() {
    let head = "HTTP/1.1 413 T\r\nConnection: close\r\n";
    let long = "b".repeat(3000);
    let rows = [
        (format!("{head}Content-Length: 3\r\n\r\nbig"), "big"),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n"),
            "big",
        ),
        (format!("{head}Content-Length: 3000\r\n\r\n{long}"), long.as_str()),
    ];
    let servers = rows.each_ref().map(|(says, _)| hasty(says.clone()));
    let ports = servers.map(|server| server.port().to_string()).join(",");
    let app = start_writers(&ports, &[]);
    let mut wrong = Vec::new();
    for ((says, body), server) in rows.iter().zip(servers) {
        for (path, end) in [("/2/write", "written, finished"), ("/write", "written")] {
            for length in ["", "&length=10"] {
                let pieces = "pieces=ab.cd.ef.gh.ij";
                let got = app
                    .get(&format!("{path}?url=http://{server}/{length}&{pieces}"))
                    .body;
                if got != format!("413 {body}, {end}") {
                    let (says, got) = (&says[..says.len().min(90)], &got[..got.len().min(90)]);
                    wrong.push(format!("{path}{length} {says:?}: {got}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{app}");
    app.stop();
}

// proves: ISO-8
#[test]
fn a_response_without_the_body_that_it_announces_is_a_failure() {
    let app = start_writers("1", &[]);
    for path in ["/2/respond", "/respond"] {
        let mut stream = TcpStream::connect(app.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let ask = |query: &str| format!("GET {path}?n=1&{query} HTTP/1.1\r\nHost: it\r\n\r\n");
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for (query, expected) in [
            ("status=200&length=5&bare=1", "500"),
            ("status=200&pieces=ab.cd", "200"),
        ] {
            stream.write_all(ask(query).as_bytes()).unwrap();
            let head = http::read_head(&mut reader).unwrap();
            assert_eq!(
                head.first.split(' ').nth(1),
                Some(expected),
                "{path} {query}\n{app}"
            );
            let body = http::read_body(&mut reader, &head).unwrap();
            assert_eq!(body == b"abcd", expected == "200", "{path} {query}: {body:?}");
        }
    }
    let finished = app.stop();
    assert!(!finished.stderr.contains("panicked"), "{finished}");
    assert!(
        finished.stderr.contains("`content-length` is not the 0 bytes"),
        "{finished}"
    );
}

// proves: RSN-3
#[test]
fn what_goes_wrong_has_one_code_on_both_versions() {
    let head = "HTTP/1.1 200 OK\r\n";
    // More than is read at once beyond the limit of 128 KiB.
    let large = format!("{head}X: {}\r\n\r\n", "x".repeat(600 << 10));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let [
        large,
        empty,
        half,
        short,
        cut,
        odd,
        negative,
        trailer,
        trailers,
        long,
    ]: [&'static [u8]; 10] = [
        large,
        String::new(),
        "HTTP/1.1 2".to_owned(),
        format!("{head}Content-Length: 9\r\n\r\nshort"),
        format!("{chunked}5\r\nab"),
        format!("{chunked}five\r\nab"),
        format!("{chunked}-2\r\nab"),
        format!("{chunked}2\r\nab\r\n0\r\n\0bad\r\n\r\n"),
        format!("{chunked}0\r\n{}\r\n", "a: b\r\n".repeat(5000)),
        format!("{chunked}2;{}\r\nab\r\n0\r\n\r\n", "x".repeat(40_000)),
    ]
    .map(|text| &*text.into_bytes().leak());
    // (what the server says, whether it resets, the code)
    let rows = [
        (empty, false, "ErrorCode_HttpResponseIncomplete"),
        (empty, true, "ErrorCode_ConnectionTerminated"),
        (half, false, "ErrorCode_HttpResponseIncomplete"),
        (half, true, "ErrorCode_ConnectionTerminated"),
        (b"nonsense\r\n\r\n", false, "ErrorCode_HttpProtocolError"),
        (large, false, "ErrorCode_HttpResponseHeaderSectionSize"),
        (short, false, "200 ErrorCode_HttpResponseIncomplete"),
        (short, true, "200 ErrorCode_HttpResponseIncomplete"),
        (cut, false, "200 ErrorCode_HttpResponseIncomplete"),
        (cut, true, "200 ErrorCode_HttpResponseIncomplete"),
        (odd, false, "200 ErrorCode_HttpProtocolError"),
        (negative, false, "200 ErrorCode_HttpProtocolError"),
        (trailer, false, "200 ErrorCode_HttpProtocolError"),
        (trailers, false, "200 ErrorCode_HttpProtocolError"),
        (long, false, "200 ErrorCode_HttpProtocolError"),
    ];
    let servers = rows.map(|(says, reset, _)| sayer(says, reset));
    let ports = servers.map(|server| server.port().to_string()).join(",");
    let app = start_writers(&ports, &[]);
    let mut wrong = Vec::new();
    for ((says, reset, code), server) in rows.iter().zip(servers) {
        for (path, end) in [("/2/write", "written, finished"), ("/write", "written")] {
            let got = app.get(&format!("{path}?url=http://{server}/&length=0")).body;
            if got != format!("{code}, {end}") {
                let says = String::from_utf8_lossy(&says[..says.len().min(60)]);
                wrong.push(format!("{path} {says:?}, reset {reset}: {got}, not {code}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{app}");
    app.stop();
}

// proves: ISO-3, Q-3
#[test]
fn a_guest_that_writes_without_end_to_nobody_is_ended_by_its_limits() {
    // (the limit, who writes a response to a client who stays, and to one who leaves)
    for (limit, stays, leaves) in [
        ("--max-time=4s", "/2/respond", "/respond"),
        ("--max-cpu-time=2s", "/respond", "/2/respond"),
    ] {
        let mut app = start_writers("2", &[limit]);
        for path in ["/2/write", "/write"] {
            let url = format!("{path}?url=http://elsewhere.example/");
            assert_eq!(app.get(&url).status, 200, "{app}");
            let began = Instant::now();
            let answer = app.get(&format!("{url}&endless=1"));
            assert!(answer.status >= 500, "{path} {limit}: {answer:?}\n{app}");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(55), "{path} {limit}: {took:?}\n{app}");
        }
        let before = memory(app.id());
        let stays = head_of_endless(&app, stays);
        drop(head_of_endless(&app, leaves));
        let began = Instant::now();
        while processor_is_used(app.id()) {
            let took = began.elapsed();
            assert!(took < Duration::from_secs(100), "{limit}: {took:?}\n{app}");
        }
        let grown = memory(app.id()).saturating_sub(before);
        assert!(grown < 300 << 20, "{limit}: {grown} bytes\n{app}");
        assert_eq!(app.get("/hello").status, 200, "{app}");
        drop(stays);
        app.stop();
    }
}

/// A client to whom HEAD was answered by a guest that goes on to write.
fn head_of_endless(app: &Running, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address()).unwrap();
    let request = format!("HEAD {path}?n=0&status=200&endless=1 HTTP/1.1\r\nHost: it\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200", "{path}\n{app}");
    stream
}

/// The most memory that a process ever had, in bytes.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Whether a process computes for a fifth of the next half second.
fn processor_is_used(id: u32) -> bool {
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let used = rest.split(' ').skip(11).take(2);
        used.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = ticks();
    thread::sleep(Duration::from_millis(500));
    ticks() - before >= 10
}
