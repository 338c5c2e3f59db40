//! Components of the WASI snapshots of October and November 2023 run like those of 0.2: behind the same gate, with the
//! same bounds.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use outport_e2e::guest;
use outport_e2e::http::{self, Closing, Origin};
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::until::PATIENCE;

/// An app whose guest has a folder `files`, and may send requests to what `lines` permit.
fn app(guest: &str, lines: &str) -> Outport {
    let app = Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"old\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"it\"\n\
         [component.it]\nsource = \"GUESTS/{guest}.wasm\"\nfiles = [\"files/*\"]\n{lines}\n"
    ));
    fs::create_dir(app.folder().join("files")).expect("a folder of our own");
    app.file("files/a.txt", "a file").file("files/b.txt", "another")
}

#[track_caller]
fn assert_body(app: &Running, path: &str, body: &str) {
    let response = app.get(path);
    let told = with_codes(&response.body);
    assert_eq!(told, body, "{path}: {}\n{app}", response.status);
}

/// The text with codes by name, where the guest has the numbers of them too.
fn with_codes(text: &str) -> String {
    let mut parts = text.split("ErrorCode { code: ");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let fields: Vec<_> = part.splitn(5, '"').collect();
        let [_, name, _, _, rest] = fields[..] else {
            panic!("{text}")
        };
        told += name;
        told += rest.strip_prefix(" }").unwrap_or(rest);
    }
    told
}

#[test]
fn a_request_reaches_a_handler_of_october_and_its_response_comes_back() {
    let app = app("wasi-2023-10", "").start();
    let address = app.address();
    let response = http::send(
        address,
        &format!(
            "PUT /echo?a=b HTTP/1.1\r\nHost: {address}\r\nX-Given: 1\r\nX-Given: 2\r\nConnection: close\r\n\
             Content-Length: 4\r\n\r\nbody"
        ),
    )
    .expect("an answer");
    assert_eq!(response.status, 201, "{app}");
    assert_eq!(response.header("x-first"), Some("1"));
    assert_eq!(response.header("x-second"), Some("2"));
    let (head, body) = response.body.split_once("body").expect("the body");
    assert!(
        head.starts_with(&format!("Method::Put /echo?a=b Some(Scheme::Http) {address}\n")),
        "{head}"
    );
    assert!(head.contains("x-given: 1\nx-given: 2\n"), "{head}");
    assert_eq!(body, "\n0 trailers, again Some(false)");

    let long = "0123456789abcdef".repeat(64 * 1024);
    let forwarded = http::post(address, "/forward", &long).expect("an answer");
    assert_eq!(forwarded.body, format!("{long}\nforwarded {}", long.len()));
    let echoed = http::post(address, "/echo", &long).expect("an answer");
    assert!(echoed.body.contains(&long));
    app.stop().expect_code(0);
}

#[test]
fn a_response_of_october_is_streamed_while_its_request_is_read() {
    let app = app("wasi-2023-10", "").start();
    let mut client = TcpStream::connect(app.address()).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a time");
    write!(
        client,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\none-"
    )
    .expect("it reads");
    let mut text = String::new();
    let mut buffer = [0; 1024];
    // The second half is sent once the first has come back.
    while !text.contains("one-") {
        let length = client.read(&mut buffer).expect("a part of the response");
        assert!(length > 0, "{text}");
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
    client.write_all(b"two-").expect("it reads");
    while !text.contains("0\r\n\r\n") {
        let length = client.read(&mut buffer).expect("a part of the response");
        assert!(length > 0, "{text}");
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
    assert!(text.contains("two-"), "{text}");
}

// proves: ORD-2, RSN-3
#[test]
fn an_outgoing_request_of_a_snapshot_is_judged_and_told_like_any_other() {
    let origin = Origin::start_on("127.0.0.1:0", "from the origin", Closing::Always);
    let (allowed, denied) = (origin.address(), TcpPeer::echo());
    let lines = format!("allowed_outbound_hosts = [\"http://{allowed}\"]");

    let october = app("wasi-2023-10", &lines).start();
    assert_body(
        &october,
        &format!("/send?http://{allowed}/there"),
        "from the origin",
    );
    assert_body(
        &october,
        &format!("/send?http://{}/", denied.address()),
        "Error::UnexpectedError(\"ErrorCode::HttpRequestDenied\")",
    );
    let got = &origin.requests()[0];
    assert_eq!(got.line, "POST /there HTTP/1.1");
    assert!(got.headers.contains(&("x-from".into(), "the guest".into())));
    let finished = october.stop().expect_code(0);
    assert_eq!(finished.reasons(), ["allow.port"], "{finished}");
    assert_eq!(denied.accepted(), 0);

    let november = app("wasi-2023-11", &lines).start();
    assert_body(
        &november,
        &format!("/send?{allowed}"),
        "Some(HeaderError::InvalidSyntax) (None, Some(1000), None) 200 from the origin Some(Ok(false)) Some(true)",
    );
    assert_body(
        &november,
        &format!("/send?{}", denied.address()),
        "Some(HeaderError::InvalidSyntax) (None, Some(1000), None) Some(Ok(Err(ErrorCode::HttpRequestDenied)))",
    );
    let finished = november.stop().expect_code(0);
    assert_eq!(finished.reasons(), ["allow.port"], "{finished}");
    assert_eq!(denied.accepted(), 0);
}

#[test]
fn the_time_that_a_guest_of_a_snapshot_gives_a_server_is_kept() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let lines = format!("allowed_outbound_hosts = [\"http://{address}\"]");
    for (guest, path, told) in [
        (
            "wasi-2023-10",
            format!("/send?http://{address}/"),
            "Error::TimeoutError",
        ),
        ("wasi-2023-11", format!("/send?{address}"), "Timeout"),
    ] {
        let app = app(guest, &lines).start();
        let response = app.get(&path);
        assert!(response.body.contains(told), "{}\n{app}", response.body);
    }
}

#[test]
fn a_guest_of_a_snapshot_reads_the_files_that_its_manifest_names() {
    let october = app("wasi-2023-10", "").start();
    assert_body(&october, "/read?files/a.txt", "a file");
    assert_body(&october, "/read?spin.toml", "no-entry");
    assert_body(&october, "/read?../spin.toml", "not-permitted");
    assert_body(&october, "/list?files", "a.txt b.txt");
    let text = with_codes(&october.get("/files?files/a.txt").body);
    let told: Vec<_> = text.split(' ').collect();
    let unsupported = "Err(unsupported)";
    let [size, there, nowhere, writable, changed, locked, new] = told[..] else {
        panic!("{text}")
    };
    assert_eq!((size, there), ("Ok(6)", "Ok(())"));
    assert_eq!(nowhere, "Err(no-entry)");
    assert_eq!([writable, changed, locked], [unsupported; 3]);
    assert!(new.starts_with("Err("), "{new}");

    let november = app("wasi-2023-11", "").start();
    assert_body(&november, "/read?files/a.txt", "a file");
    assert_body(&november, "/read?spin.toml", "no-entry");
}

#[test]
fn a_guest_of_october_waits_and_gets_random_bytes() {
    let app = app("wasi-2023-10", "").start();
    assert_body(&app, "/wait", "[1] true true 16");
}

#[test]
fn sockets_of_october_are_refused_and_a_warning_says_so() {
    let app = app("wasi-2023-10", "allowed_outbound_hosts = [\"*://*:*\"]").start();
    let refused = "Err(not-supported)";
    assert_body(&app, "/sockets", &format!("{refused} {refused} {refused}"));
    let finished = app.stop().expect_code(0);
    let told = "warning[component.refused-sockets]: `it` imports sockets that are refused";
    assert_eq!(finished.stderr.matches(told).count(), 1, "{finished}");
    assert!(finished.stderr.contains("rebuild it with WASI 0.2.0 or later"));
}

// proves: ORD-2
#[test]
fn sockets_of_november_are_those_of_today() {
    let (allowed, denied) = (TcpPeer::echo(), TcpPeer::echo());
    let app = app(
        "wasi-2023-11",
        &format!("allowed_outbound_hosts = [\"*://127.0.0.1:{}\"]", allowed.port()),
    )
    .option("--allow-udp")
    .start();
    assert_body(&app, &format!("/connect?{}", allowed.port()), "Ok(())");
    assert_body(&app, &format!("/connect?{}", denied.port()), "Err(access-denied)");
    let no = "Err(not-supported)";
    assert_body(
        &app,
        "/sockets",
        &format!("{no} {no} {no} {no} {no} {no}; Ok(true) Ok(()) {no} Ok(true) Ok(()) {no}"),
    );
    let finished = app.stop().expect_code(0);
    assert_eq!(finished.reasons(), ["allow.port"], "{finished}");
    assert_eq!(denied.accepted(), 0);
    assert!(!finished.stderr.contains("refused"), "{finished}");
}

#[test]
fn what_october_has_no_error_for_ends_the_guest_and_is_told() {
    let app = app("wasi-2023-10", "").start();
    assert_eq!(app.get("/bad-field").status, 500, "{app}");
    assert_eq!(app.get("/error?sorry").status, 500, "{app}");
    let finished = app.stop().expect_code(0);
    for told in ["InvalidSyntax", "unexpected error: sorry"] {
        assert!(finished.stderr.contains(told), "{told}\n{finished}");
    }
}

// proves: ISO-8
#[test]
fn a_response_of_october_that_is_not_finished_does_not_look_whole() {
    let app = app("wasi-2023-10", "").start();
    let mut client = TcpStream::connect(app.address()).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a time");
    write!(client, "GET /unfinished HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut all = Vec::new();
    let _ = client.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    let finished = app.stop().expect_code(0);
    assert!(finished.stderr.contains("broke off"), "{finished}");
}

// proves: Q-4
#[test]
fn a_guest_of_october_opens_as_many_files_as_one_of_today() {
    let app = app("wasi-2023-10", "").descriptors(1024).start();
    let text = with_codes(&app.get("/open?files/a.txt").body);
    let (number, code) = text.split_once(' ').expect("a number and a code");
    assert_eq!(code, "quota", "{app}");
    let number: u32 = number.parse().expect("a number");
    assert!((1..=256).contains(&number), "{number}");
    assert_body(&app, "/read?files/a.txt", "a file");
}

// proves: ISO-3
#[test]
fn the_entries_of_a_directory_are_memory_of_a_guest_of_october() {
    let app = app("wasi-2023-10", "").option("--max-memory=4MiB");
    let folder = app.folder().join("files");
    let name = "n".repeat(240);
    for number in 0..20_000 {
        fs::File::create(folder.join(format!("{name}{number}"))).expect("a file of our own");
    }
    let app = app.start();
    let response = app.get("/list?files");
    assert_eq!(response.status, 500, "{}\n{app}", response.body);
    assert_body(&app, "/read?files/a.txt", "a file");
    let finished = app.stop().expect_code(0);
    assert!(finished.stderr.contains("memory"), "{finished}");
}

// proves: ISO-2, ISO-5
#[test]
fn endless_bodies_of_a_guest_of_october_end_with_their_client_or_their_time() {
    let mut app = app("wasi-2023-10", "").option("--max-time=2s").start();
    let address = app.address();
    // One that never reads, and one that hangs up.
    let stuck = TcpStream::connect(address).expect("it listens");
    write!(&stuck, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut gone = TcpStream::connect(address).expect("it listens");
    write!(gone, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    gone.read_exact(&mut [0; 1024]).expect("the beginning");
    drop(gone);
    // A request whose body never ends, which the host copies in one call of the guest.
    let upload = thread::spawn(move || {
        let mut client = TcpStream::connect(address).expect("it listens");
        let head = "POST /forward HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = client.write_all(head.as_bytes());
        let mut reader = client.try_clone().expect("a handle");
        thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        let chunk = [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat();
        while client.write_all(&chunk).is_ok() {}
    });
    upload.join().expect("its time is over");
    assert_body(&app, "/read?files/a.txt", "a file");
    drop(stuck);
    app.until_idle();
}

#[test]
fn a_command_of_a_snapshot_runs() {
    let finished = Outport::run(guest::path("wasi-2023-10"))
        .args(["one", "two"])
        .finish()
        .expect_code(0);
    assert!(finished.stdout.ends_with("one two\n"), "{finished}");
    let finished = Outport::run(guest::path("wasi-2023-11")).finish().expect_code(0);
    assert_eq!(finished.stdout, "ran\n", "{finished}");
}

// proves: ORD-2, RSN-3
#[test]
fn a_dependency_of_october_has_what_it_inherits_and_else_nothing() {
    let origin = Origin::start_on("127.0.0.1:0", "from the origin", Closing::Always);
    let address = origin.address();
    let manifest = |inherits: &str| {
        format!(
            "spin_manifest_version = 2\napplication.name = \"old\"\n[[trigger.command]]\ncomponent = \"main\"\n\
             args = [\"callee: send http://{address}/\", \"callee: sockets\", \"callee: read files/a.txt\", \
             \"callee: environment\"]\n[component.main]\nsource = \"GUESTS/caller.wasm\"\nfiles = [\"files/*\"]\n\
             environment = {{ who = \"main\" }}\nallowed_outbound_hosts = [\"http://{address}\"]\n{inherits}\n\
             [component.main.dependencies]\n\
             \"outport:callee/interpreter@1.0.0\" = {{ path = \"GUESTS/wasi-2023-10.wasm\" }}\n"
        )
    };
    let run = |manifest: String| {
        let app = Outport::up(&manifest).option("--allow-udp");
        fs::create_dir(app.folder().join("files")).expect("a folder of our own");
        app.file("files/a.txt", "a file").finish().expect_code(0)
    };
    let told_by = |finished: &Finished| -> Vec<String> {
        results(&finished.stdout).into_iter().map(with_codes).collect()
    };
    let finished = run(manifest(""));
    let denied = "Error::UnexpectedError(\"ErrorCode::HttpRequestDenied\")";
    let refused = "Err(access-denied)";
    assert_eq!(
        told_by(&finished),
        [
            denied.to_owned(),
            format!("{refused} {refused} {refused}"),
            "no folder".to_owned(),
            "[] []".to_owned()
        ],
        "{finished}"
    );
    assert_eq!(finished.reasons(), ["allow.not-inherited"; 4], "{finished}");
    assert!(origin.requests().is_empty());

    let finished = run(manifest("dependencies_inherit_configuration = true"));
    let told = told_by(&finished);
    let refused = "Err(not-supported)";
    assert_eq!(told[0], "200", "{finished}");
    assert_eq!(told[1], format!("{refused} {refused} {refused}"), "{finished}");
    assert_eq!(told[2], "a file", "{finished}");
    assert!(told[3].contains("main"), "{finished}");
}
