//! Commands that answer requests by CGI (`executor = { type = "wagi" }`), and routes that answer by themselves
//! (`static_response`).
//!
//! `cgi.wasm` does what its arguments say, which are those of its trigger and of the request's query; the script guests
//! answer as commands of WASI 0.2 and 0.3.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use outport_e2e::http::{self, Response};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::tcp::TcpPeer;
use outport_e2e::until::until;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// The guest at every path below `/cgi`, with the arguments of the query.
const APP: &str = r#"spin_manifest_version = 2
[application]
name = "app"

[[trigger.http]]
route = "/cgi/:kind/..."
component = "cgi"
executor = { type = "wagi" }

[[trigger.http]]
route = "/copy"
component = "cgi"
executor = { type = "wagi", argv = "cgi copy" }

[component.cgi]
source = "GUESTS/cgi.wasm"
environment = { OWN = "1", HTTP_TOKEN = "own", PATH_INFO = "own" }
"#;

fn app() -> Running {
    Outport::up(APP).option("--env=OPERATOR=2").start()
}

/// The response where the guest writes `output`, and nothing more.
fn answer_of(app: &Running, output: &str) -> Response {
    http::post(app.address(), "/copy", output).unwrap_or_else(|error| panic!("{output:?}: {error}\n{app}"))
}

fn connect(app: &Running) -> TcpStream {
    let stream = TcpStream::connect(app.address()).expect("it serves");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a time that is not 0");
    stream
}

#[test]
fn a_command_gets_its_request_by_the_variables_and_arguments_of_cgi() {
    let app = app();
    let address = app.address();
    let request = format!(
        "POST /cgi/x/a%20b?head&args&env&count HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: text/x\r\nContent-Length: 3\r\nToken: sent\r\nProxy: http://evil\r\nAuthorization: secret\r\n\
         Accept: a\r\nAccept: b\r\nspin-client-addr: 1.2.3.4:5\r\n\r\nabc"
    );
    let response = http::send(address, &request).unwrap();
    assert_eq!(response.status, 200, "{app}");
    assert_eq!(response.header("content-type"), Some("text/plain"));
    let lines: Vec<&str> = response.body.lines().collect();
    assert_eq!(
        lines[..5],
        ["[/cgi/x/a%20b]", "[head]", "[args]", "[env]", "[count]"]
    );
    for line in [
        "CONTENT_LENGTH=3",
        "CONTENT_TYPE=text/x",
        "GATEWAY_INTERFACE=CGI/1.1",
        "HTTP_ACCEPT=a, b",
        // The component's own, which no client replaces, and the operator's.
        "HTTP_TOKEN=own",
        "OWN=1",
        "OPERATOR=2",
        // CGI's, which the component does not.
        "PATH_INFO=/a%20b",
        "PATH_TRANSLATED=/a b",
        "QUERY_STRING=head&args&env&count",
        "REMOTE_ADDR=127.0.0.1",
        "REQUEST_METHOD=POST",
        "SCRIPT_NAME=/cgi/:kind",
        "SERVER_NAME=127.0.0.1",
        "SERVER_PROTOCOL=HTTP/1.1",
        "X_MATCHED_ROUTE=/cgi/:kind/...",
        "X_COMPONENT_ROUTE=/cgi/:kind",
        "X_RAW_PATH_INFO=/a%20b",
        "X_PATH_MATCH_KIND=x",
        "3 bytes",
    ] {
        assert!(lines.contains(&line), "no `{line}`\n{}", response.body);
    }
    for withheld in ["evil", "secret", "1.2.3.4", "HTTP_SPIN"] {
        assert!(!response.body.contains(withheld), "{withheld}\n{}", response.body);
    }
    let port = format!("SERVER_PORT={}", address.port());
    assert!(lines.contains(&port.as_str()), "{}", response.body);
    // Without a query the default has an empty argument at its end.
    assert_eq!(app.get("/cgi/x/y").status, 500);
    // Nothing of an instance is left for the next one.
    assert_eq!(app.get("/cgi/x/y?head&twice").body, "0\n0\n");
}

#[test]
fn the_output_of_a_command_is_a_head_and_a_body() {
    let app = app();
    let rows: &[(&str, u16, Headers<'_>, &str)] = &[
        (
            "Content-Type: text/html\n\n<p>\n\n",
            200,
            &[("content-type", "text/html")],
            "<p>\n\n",
        ),
        ("Status: 404 Not Found\r\n\r\n", 404, &[], ""),
        ("Location: /x\n\n", 302, &[("location", "/x")], ""),
        ("Status: none\n\n", 502, &[], ""),
        // What would say how the response is sent, or be another response, is left out.
        (
            "Status: 201\nTransfer-Encoding: chunked\nConnection: upgrade\na b: c\nnothing\n\nHTTP/1.1 200 OK\r\n\r\n",
            201,
            &[],
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
        (
            "Status: 200\nContent-Length: 2\n\nok",
            200,
            &[("content-length", "2")],
            "ok",
        ),
        (
            "Location: /x\rSet-Cookie: a=b\n\n",
            500,
            &[],
            "the component failed\n",
        ),
        ("X-Other: y\n\nbody", 500, &[], "the component failed\n"),
        ("Content-Type: text/html\n", 500, &[], "the component failed\n"),
        ("", 500, &[], "the component failed\n"),
    ];
    for (output, status, headers, body) in rows {
        let response = answer_of(&app, output);
        assert_eq!(
            (response.status, response.body.as_str()),
            (*status, *body),
            "{output:?}\n{app}"
        );
        for (name, value) in *headers {
            assert_eq!(response.header(name), Some(*value), "{output:?}");
        }
        assert_eq!(response.header("set-cookie"), None, "{output:?}");
    }
    for said in [
        "component `cgi` gave no response: the value of its header `location` is not valid",
        "component `cgi` gave no response: its headers have none of `content-type`, `status` and `location`",
        "component `cgi` gave no response: its headers do not end with an empty line",
        "component `cgi` gave no response: it wrote nothing to standard output",
        "wrote a line that is left out of its response: `a b: c` is not a header",
    ] {
        until(said, || app.stderr().contains(said));
    }
    let response = answer_of(&app, "Status: 200\nSet-Cookie: a\nSet-Cookie: b\n\n");
    let cookies = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 2);
}

#[test]
fn exit_codes_and_standard_error_are_told_and_a_trap_breaks_the_body_off() {
    let app = app();
    assert_eq!(
        app.get("/cgi/x/y?head&line=there&say=aside&exit=3").body,
        "there\n"
    );
    // `wasi:cli/exit` of WASI 0.2 knows success and failure alone.
    until("the exit code", || {
        app.stderr()
            .contains("component `cgi` ended with the exit code 1")
    });
    until("standard error", || {
        app.stderr().lines().any(|line| line == "aside")
    });
    assert_eq!(app.get("/cgi/x/y?exit=3").status, 500);
    assert_eq!(app.get("/cgi/x/y?trap").status, 500);
    let broken = http::get(app.address(), "/cgi/x/y?head&line=there&trap");
    assert!(broken.is_err(), "{broken:?}");
    // What came before the trap leaves, however soon the trap comes.
    for _ in 0..20 {
        let mut stream = connect(&app);
        let request = "GET /cgi/x/y?head&line=there&trap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}\n{app}");
        assert!(answer.contains("there"), "{answer:?}\n{app}");
    }
    until("that it broke off", || {
        app.stderr().contains("a response of component `cgi` broke off")
    });
}

#[test]
fn bodies_are_streamed_in_both_directions() {
    let app = app();
    let mut stream = connect(&app);
    // The response comes while the request is still sent.
    let head = "POST /copy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"e\r\nStatus: 200\n\na\r\n").unwrap();
    // Standard output of the program has a buffer, which fills.
    let part = "x".repeat(60_000);
    for _ in 0..4 {
        stream
            .write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes())
            .unwrap();
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut status = String::new();
    reader.read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}\n{app}");
    stream.write_all(b"3\r\nend\r\n0\r\n\r\n").unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("end\r\n0\r\n\r\n"), "{rest:.200}");
    // More than is kept for a reader.
    let large = app.get("/cgi/x/y?head&fill=3000000");
    assert_eq!(large.body.len(), 3_000_000);
    // A body that nobody reads keeps nobody.
    assert_eq!(
        http::post(app.address(), "/cgi/x/y?head&line=done", &part)
            .unwrap()
            .body,
        "done\n"
    );
}

// proves: ISO-5
#[test]
fn a_head_without_end_is_no_response_and_a_client_who_leaves_ends_its_command() {
    let app = app();
    let start = Instant::now();
    assert_eq!(app.get("/cgi/x/y?headers").status, 500);
    until("that it was too long", || {
        app.stderr().contains("its headers have no end within 128 KiB")
    });
    let mut stream = connect(&app);
    let request = "GET /cgi/x/y?head&body HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 200_000]).unwrap();
    drop(stream);
    // A server that stops waits for its instances, until their grace is over: none is left.
    app.stop().expect_code(0);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_request_has_the_limits_of_any_other() {
    let app = Outport::up(APP)
        .options(["--response-timeout=2s", "--max-cpu-time=100ms"])
        .start();
    // Whichever is over first: where others have the processor it is the time for a response.
    let status = app.get("/cgi/x/y?spin").status;
    assert!([500, 504].contains(&status), "{status}\n{app}");
    // It waits for a body that does not come.
    let mut stream = connect(&app);
    let request = "POST /cgi/x/y?count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 504"), "{status}\n{app}");
}

/// The script guests print no head, so that nothing of what they got leaves them but what is told.
// proves: AL-3
#[test]
fn commands_of_wasi_0_2_and_0_3_are_behind_the_gate() {
    let (peer, other) = (TcpPeer::echo(), TcpPeer::echo());
    let (allowed, denied) = (peer.address(), other.address());
    for guest in ["script-guest", "script-guest-p3"] {
        let app = Outport::up(&format!(
            r#"spin_manifest_version = 2
application.name = "app"
[[trigger.http]]
route = "/..."
component = "script"
executor = {{ type = "wagi", argv = "script tcp.connect\t{allowed} tcp.connect\t{denied}" }}
[component.script]
source = "GUESTS/{guest}.wasm"
allowed_outbound_hosts = ["*://{allowed}"]
"#
        ))
        .start();
        assert_eq!(app.get("/").status, 500, "{guest}\n{app}");
        let finished = app.stop().expect_code(0);
        assert_eq!(finished.reasons(), ["allow.port"], "{guest}\n{finished}");
        for said in [
            format!("denied: component `script` tcp {denied}"),
            "component `script` gave no response: its headers do not end with an empty line".to_owned(),
        ] {
            assert!(
                finished.stderr.contains(&said),
                "{guest}: no `{said}`\n{finished}"
            );
        }
    }
}

#[test]
fn a_command_of_wasi_0_3_reads_and_writes_as_one_of_0_2() {
    let cat = wat::parse_str(CAT_0_3).unwrap_or_else(|error| panic!("{error}"));
    let manifest = r#"spin_manifest_version = 2
application.name = "app"
[[trigger.http]]
route = "/copy"
component = "cat"
executor = { type = "wagi" }
[component.cat]
source = "cat.wasm"
"#;
    let app = Outport::up(manifest).file("cat.wasm", cat).start();
    let large = "x".repeat(1_000_000);
    let response = answer_of(&app, &format!("Status: 201\nX-A: b\n\n{large}"));
    assert_eq!(
        (response.status, response.body.len()),
        (201, large.len()),
        "{app}"
    );
    assert_eq!(response.header("x-a"), Some("b"));
    assert_eq!(answer_of(&app, "X-A: b\n").status, 500);
    until("why", || {
        app.stderr().contains("its headers do not end with an empty line")
    });
    assert_eq!(answer_of(&app, &format!("X: {}", &large[..200_000])).status, 500);
    until("why", || {
        app.stderr().contains("its headers have no end within 128 KiB")
    });
}

#[test]
fn two_routes_of_a_component_may_have_two_executors_and_one_that_does_not_fit_is_told() {
    let manifest = |guest: &str, executor: &str| {
        format!(
            "spin_manifest_version = 2\napplication.name = \"app\"\n[[trigger.http]]\nroute = \"/...\"\n\
             component = \"web\"\n{executor}\n[component.web]\nsource = \"GUESTS/{guest}.wasm\"\n"
        )
    };
    let wagi = "executor = { type = \"wagi\" }";
    let rows = [
        (
            "script-guest",
            "",
            "`executor = { type = \"wagi\" }` in the trigger runs it for each request",
        ),
        (
            "script-guest-p3",
            "",
            "`executor = { type = \"wagi\" }` in the trigger runs it for each request",
        ),
        ("hello", wagi, "wasi:cli/run"),
    ];
    for (guest, executor, said) in rows {
        let manifest = manifest(guest, executor);
        let up = Outport::up(&manifest).finish();
        assert!(up.stderr.contains(said), "{guest}\n{up}");
        let check = Outport::command("check").manifest(&manifest).finish();
        let told = format!("{}{}", check.stdout, check.stderr);
        // As it stands there it has line breaks.
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(said), "{guest}\n{check}");
        assert!(told.contains("component.missing-export"), "{guest}\n{check}");
    }
    let second = "\n[[trigger.http]]\nroute = \"/other\"\ncomponent = \"cgi\"\n\
        executor = { type = \"wagi\", argv = \"other head args\" }\n";
    let app = Outport::up(&format!("{APP}{second}")).start();
    assert_eq!(app.get("/other").body, "[other]\n[head]\n[args]\n");
    assert_eq!(app.get("/cgi/x/y?head&line=z").body, "z\n");
}

#[test]
fn a_route_may_answer_by_itself() {
    let app = Outport::up(&format!(
        r#"{APP}
[[trigger.http]]
route = "/gone"
static_response = {{ status_code = 410, headers = {{ X-Why = "moved", content-type = "text/plain" }}, body = "gone\n" }}

[[trigger.http]]
route = "/empty"
static_response = {{ }}

[[trigger.http]]
route = "/..."
static_response = {{ status_code = 302, headers = {{ location = "/gone" }} }}
"#
    ))
    .start();
    let gone = app.get("/gone");
    assert_eq!((gone.status, gone.body.as_str()), (410, "gone\n"), "{app}");
    assert_eq!(gone.header("x-why"), Some("moved"));
    assert_eq!(gone.header("content-length"), Some("5"));
    let empty = app.get("/empty");
    assert_eq!((empty.status, empty.body.as_str()), (200, ""));
    assert_eq!(app.get("/other").header("location"), Some("/gone"));
    assert_eq!(app.get("/cgi/x/y?head&line=z").body, "z\n");
    // The head of a response to HEAD is that to GET, and there is no body.
    let mut stream = connect(&app);
    let request = "HEAD /gone HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(
        response.contains("content-length: 5\r\n") && response.ends_with("\r\n\r\n"),
        "{response}"
    );
    app.wait_for_error_text("a static response, 410");
}

/// `cat`: it gives what it reads to what it writes, and waits.
const CAT_0_3: &str = r#"(component
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $error-code' (enum "io" "illegal-byte-sequence" "pipe"))
    (export "error-code" (type $error-code (eq $error-code')))))
  (alias export $types "error-code" (type $error))
  (import "wasi:cli/stdin@0.3.0" (instance $stdin
    (export "error-code" (type $error-code (eq $error)))
    (export "read-via-stream" (func (result (tuple (stream u8) (future (result (error $error-code)))))))))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (export "error-code" (type $error-code (eq $error)))
    (export "write-via-stream" (func
      (param "data" (stream u8)) (result (future (result (error $error-code))))))))
  (type $written (future (result (error $error))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $read (canon lower (func $stdin "read-via-stream") (memory $memory)))
  (core func $write (canon lower (func $stdout "write-via-stream")))
  (core func $result (canon future.read $written async (memory $memory)))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $wait (canon waitable-set.wait (memory $memory)))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "read" (func $read (param i32)))
    (import "host" "write" (func $write (param i32) (result i32)))
    (import "host" "result" (func $result (param i32 i32) (result i32)))
    (import "host" "set" (func $set (result i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "wait" (func $wait (param i32 i32) (result i32)))
    (func (export "run") (result i32) (local $future i32) (local $set i32)
      (call $read (i32.const 0))
      (local.set $future (call $write (i32.load (i32.const 0))))
      (if (i32.eq (call $result (local.get $future) (i32.const 16)) (i32.const -1))
        (then
          (local.set $set (call $set))
          (call $join (local.get $future) (local.get $set))
          (drop (call $wait (local.get $set) (i32.const 32)))))
      (i32.load8_u (i32.const 16))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "read" (func $read)) (export "write" (func $write)) (export "result" (func $result))
      (export "set" (func $set)) (export "join" (func $join)) (export "wait" (func $wait))))))
  (func $run async (result (result)) (canon lift (core func $main "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $exported)))"#;
