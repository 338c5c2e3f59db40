//! An app of Spin's Python SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a
//! component of WASI 0.3 that imports all of Spin's platform, most of which Outport does not provide.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;

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

[component.app.variables]
greeting = "{{ greeting }}!"
token = "{{ token }}"

[component.back]
source = "GUESTS/http-player.wasm"
"#;

fn start() -> Running {
    let app = python::spin_app("spin_app");
    Outport::up(&APP.replace("APP", &app.display().to_string()))
        .option("--variable=token=hunter2")
        .start()
}

#[test]
fn a_spin_app_in_python_answers_and_sends_requests() {
    let app = start();
    let rows = [
        ("/hello", 200, "Hello from Python!"),
        ("/elsewhere", 404, "nothing here"),
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

/// A server that answers each request with its own body, on connections that it keeps. At `/early` it answers before it
/// reads the body.
struct Echo {
    address: SocketAddr,
}

impl Echo {
    fn start() -> Echo {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo(&stream));
            }
        });
        Echo { address }
    }
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let head = http::read_head(&mut reader)?;
        let early = head.first.contains(" /early ");
        if early {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")?;
        }
        let body = http::read_request_body(&mut reader, &head)?;
        if !early {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(&body)?;
        }
    }
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

// proves: ISO-3
#[test]
fn no_answer_is_lost_however_a_guest_writes_its_request() {
    let server = Echo::start();
    let app = start_writers(&server.address.port().to_string(), &[]);
    let answer = app.get(&format!("/many?http://{}/", server.address));
    assert_eq!(answer.body, "all were answered", "{app}");

    let (here, denied, nobody) = (
        format!("http://{}", server.address),
        "http://elsewhere.example",
        "http://127.0.0.1:1",
    );
    // (to where, how the body is written, the answer, how writing ends on 0.2, and on 0.3)
    let whole = ("written, finished", "written");
    let rows = [
        (&*here, "/&length=6&pieces=ab.cd.ef", "200 abcdef", whole),
        (&here, "/&pieces=ab.cd.ef", "200 abcdef", whole),
        (&here, "/&length=2&pieces=ab.", "200 ab", whole),
        (&here, "/&length=0", "200 ", whole),
        (&here, "/", "200 ", whole),
        // A path that was never set is `/`.
        (&here, "&length=2&pieces=ab", "200 ab", whole),
        (&here, "/early&after=1&pieces=ab.cd.ef", "200 early", whole),
        (&here, "/early&pieces=ab.cd.ef", "200 early", whole),
        (&here, "/early&length=6&pieces=ab.cd.ef", "200 early", whole),
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
        (
            &here,
            "/&length=2&pieces=ab.cd",
            "200 ab",
            (
                "StreamError_LastOperationFailed, ErrorCode_HttpRequestBodySize",
                "dropped",
            ),
        ),
        (
            &here,
            "/&length=3&pieces=ab.cd",
            "ErrorCode_HttpRequestBodySize",
            (
                "StreamError_LastOperationFailed, ErrorCode_HttpRequestBodySize",
                "dropped",
            ),
        ),
        (
            &here,
            "/&length=5&pieces=ab.cd",
            "ErrorCode_HttpRequestBodySize",
            ("written, ErrorCode_HttpRequestBodySize", "written"),
        ),
    ];
    let mut wrong = Vec::new();
    for (host, how, answer, (on_0_2, on_0_3)) in rows {
        for (path, end) in [("/2/write", on_0_2), ("/write", on_0_3)] {
            let got = app.get(&format!("{path}?url={host}{how}")).body;
            if got != format!("{answer}, {end}") {
                wrong.push(format!("{path} {host}{how}: {got}, not {answer}, {end}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{app}");
    app.stop();
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
                thread::sleep(Duration::from_millis(300));
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
        }
    });
    address
}

// proves: RSN-3
#[test]
fn what_goes_wrong_has_one_code_on_both_versions() {
    let head = "HTTP/1.1 200 OK\r\n";
    let large = format!("{head}X: {}\r\n\r\n", "x".repeat(200 << 10));
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
    for limit in ["--max-time=4s", "--max-cpu-time=2s"] {
        let app = start_writers("2", &[limit]);
        for path in ["/2/write", "/write"] {
            let url = format!("{path}?url=http://elsewhere.example/");
            assert_eq!(app.get(&url).status, 200, "{app}");
            let began = Instant::now();
            let answer = app.get(&format!("{url}&endless=1"));
            assert!(answer.status >= 500, "{path} {limit}: {answer:?}\n{app}");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(25), "{path} {limit}: {took:?}\n{app}");
        }
        assert_eq!(app.get("/hello").status, 200, "{app}");
        app.stop();
    }
}
