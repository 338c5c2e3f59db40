//! Responses that their guests do not finish are never ended as if they were whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use outport_e2e::http;
use outport_e2e::http2::{self, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::until::PATIENCE;

use super::APP;

const GUESTS: [&str; 2] = ["http-script-guest", "http-script-guest-p3"];

/// All that comes over HTTP/1.1.
fn read(server: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    all
}

/// How a response over HTTP/2 ends: by this kind of frame, after so many bytes.
fn end_of(server: SocketAddr, path: &str) -> (Option<u8>, usize) {
    let mut client = Http2::begin(TcpStream::connect(server).unwrap(), 1 << 16).unwrap();
    client
        .send(http2::WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())
        .unwrap();
    client.ask(1, "GET", path).unwrap();
    let mut bytes = 0;
    while let Ok(frame) = client.next_frame() {
        match frame.kind {
            http2::RST_STREAM => return (Some(frame.kind), bytes),
            http2::HEADERS if frame.flags & http2::END_STREAM != 0 => return (Some(http2::DATA), 0),
            http2::DATA => {
                bytes += frame.payload.len();
                if frame.flags & http2::END_STREAM != 0 {
                    return (Some(frame.kind), bytes);
                }
                let granted = u32::try_from(frame.payload.len()).unwrap();
                if granted > 0 {
                    // Of the connection as well: more than it was granted at first can come before the limit does.
                    for stream in [0, 1] {
                        client
                            .send(http2::WINDOW_UPDATE, 0, stream, &granted.to_be_bytes())
                            .unwrap();
                    }
                }
            }
            _ => {}
        }
    }
    (None, bytes)
}

/// Nothing of it looks whole, and a warning says so.
fn breaks_off(app: Running, path: &str) {
    let address = app.address();
    let text = read(address, path);
    let start = String::from_utf8_lossy(&text[..text.len().min(12)]).into_owned();
    // With nothing of a body, the head has not left either.
    assert!(text.is_empty() || start == "HTTP/1.1 200", "{start}\n{app}");
    assert!(
        !text.ends_with(b"0\r\n\r\n"),
        "{} bytes, and a last chunk\n{app}",
        text.len()
    );
    let (end, bytes) = end_of(address, path);
    assert_eq!(end, Some(http2::RST_STREAM), "after {bytes} bytes\n{app}");
    assert_eq!(http::get(address, "/web/hello").unwrap().body, "hello\n");
    assert_eq!(end_of(address, "/web/hello"), (Some(http2::DATA), 6));
    let finished = app.stop().expect_code(0);
    let told = finished
        .stderr
        .lines()
        .filter(|line| line.contains("broke off"))
        .count();
    assert_eq!(told, 2, "once, and how often\n{finished}");
}

// proves: ISO-8
#[test]
fn iso_8_a_response_breaks_off_when_a_limit_ends_its_guest() {
    for guest in GUESTS {
        let manifest = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        for limit in ["--max-cpu-time=200ms", "--max-time=1500ms"] {
            eprintln!("{guest} {limit}");
            breaks_off(
                Outport::up(&manifest).option(limit).start(),
                "/greedy/zeroes?100000000000",
            );
        }
    }
}

// proves: ISO-8
#[test]
fn iso_8_a_response_that_is_whole_ends_whole() {
    for guest in GUESTS {
        let manifest = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        let app = Outport::up(&manifest).start();
        for length in [0, 1, 100_000, 3_000_000] {
            let path = format!("/greedy/zeroes?{length}");
            let body = http::get(app.address(), &path).unwrap().body;
            assert_eq!(body.len(), length, "{guest}\n{app}");
            assert_eq!(
                end_of(app.address(), &path),
                (Some(http2::DATA), length),
                "{guest}\n{app}"
            );
        }
        let finished = app.stop().expect_code(0);
        assert!(!finished.stderr.contains("broke off"), "{finished}");
    }
}

/// A guest of WASI 0.2 that gives a response, begins its body, and does not finish it.
const UNFINISHED: &str = r#"
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $incoming-request (sub resource)))
    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))
    (type $dns (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns-error (eq $dns)))
    (type $tls (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls-alert (eq $tls)))
    (type $size (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $field-size (eq $size)))
    (type $code (variant
      (case "DNS-timeout") (case "DNS-error" $dns-error) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
      (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
      (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
      (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls-alert)
      (case "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $field-size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $field-size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $field-size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $field-size)
      (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $code)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $outgoing-response))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))))
    (export "[static]response-outparam.set" (func (param "param" (own $response-outparam))
      (param "response" (result (own $outgoing-response) (error $error-code)))))))
  (core module $memory (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $response (canon lower (func $types "[constructor]outgoing-response")))
  (core func $body (canon lower (func $types "[method]outgoing-response.body") (memory $mem)))
  (core func $set (canon lower (func $types "[static]response-outparam.set")
    (memory $mem) (realloc $realloc) string-encoding=utf8))
  (alias export $types "outgoing-body" (type $outgoing-body))
  (core func $drop-body (canon resource.drop $outgoing-body))
  (core module $guest
    (import "host" "memory" (memory 1))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "response" (func $response (param i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "drop-body" (func $drop-body (param i32)))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $response i32)
      (local.set $response (call $response (call $fields)))
      (call $body (local.get $response) (i32.const 16))
      (call $set (local.get $out) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      END))
  (core instance $guest (instantiate $guest (with "host" (instance
    (export "memory" (memory $mem)) (export "fields" (func $fields)) (export "response" (func $response))
    (export "body" (func $body)) (export "set" (func $set)) (export "drop-body" (func $drop-body))))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $out))
  (func $handle (param "request" (own $request)) (param "response-out" (own $out))
    (canon lift (core func $guest "handle")))
  (component $handler
    (import "request" (type $request (sub resource)))
    (import "out" (type $out (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $out))))
    (export $r "incoming-request" (type $request))
    (export $o "response-outparam" (type $out))
    (export "handle" (func $handle) (func (param "request" (own $r)) (param "response-out" (own $o)))))
  (instance $handler (instantiate $handler
    (with "request" (type $request)) (with "out" (type $out)) (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"#;

// proves: ISO-8
#[test]
fn iso_8_a_response_breaks_off_that_its_guest_leaves_gives_up_or_traps_in() {
    for end in ["", "(call $drop-body (i32.load (i32.const 20)))", "unreachable"] {
        let guest = UNFINISHED.replace("END", end);
        let guest = wat::parse_str(guest).unwrap_or_else(|error| panic!("{error}"));
        let manifest = APP.replacen("GUESTS/http-script-guest.wasm", "KEPT", 1);
        let manifest = manifest
            .replace("GUESTS/http-script-guest.wasm", "unfinished.wasm")
            .replace("KEPT", "GUESTS/http-script-guest.wasm");
        eprintln!("{end:?}");
        breaks_off(
            Outport::up(&manifest).file("unfinished.wasm", guest).start(),
            "/greedy/anything",
        );
    }
}

/// What comes over the next connection, whose client gets no answer before the end.
fn heard(listener: &TcpListener) -> Vec<u8> {
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    // Zeroes are many, and only the last bytes count.
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        all.drain(..all.len().saturating_sub(100));
        all.extend(&buffer[..length]);
    }
    all
}

/// What comes over the next connection until it ends, or is whole.
fn heard_whole(listener: &TcpListener) -> Vec<u8> {
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !all.ends_with(b"0\r\n\r\n")
        && let Ok(length @ 1..) = stream.read(&mut buffer)
    {
        all.extend(&buffer[..length]);
    }
    all
}

// proves: ISO-8
#[test]
fn iso_8_a_request_breaks_off_that_its_guest_does_not_finish() {
    for guest in GUESTS {
        let manifest = APP.replace("GUESTS/http-script-guest.wasm", &format!("GUESTS/{guest}.wasm"));
        for (limit, length, whole) in [
            ("--max-cpu-time=200ms", "100000000000", false),
            ("--max-time=1500ms", "100000000000", false),
            ("--max-time=60s", "1000", true),
        ] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let server = listener.local_addr().unwrap();
            let app = Outport::up(&manifest).option(limit).start();
            let address = app.address();
            let script = format!("/greedy/script?http.upload%20{length}%20http://{server}/");
            let end = thread::scope(|scope| {
                let hearing = scope.spawn(|| {
                    if whole {
                        heard_whole(&listener)
                    } else {
                        heard(&listener)
                    }
                });
                let asking = scope.spawn(|| http::get(address, &script));
                let end = hearing.join().unwrap();
                drop(asking.join());
                end
            });
            let ended = end.ends_with(b"0\r\n\r\n");
            assert_eq!(
                ended,
                whole,
                "{guest} {limit}: {:?}\n{app}",
                &end[end.len().saturating_sub(20)..]
            );
            app.stop().expect_code(0);
        }
    }
}
