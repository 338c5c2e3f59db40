//! The access log: what the server writes of each request, and who it is kept from.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use outport_e2e::collector::{Answer, Collector};
use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::http2::{DATA, END_STREAM, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::schema;
use outport_e2e::until::until;
use rustix::process::Signal;
use serde_json::Value;

use crate::kernel_sandbox::kernel_has_all;

const APP: &str = "spin_manifest_version = 2\n[application]\nname = \"shop\"\n[[trigger.http]]\nroute = \"/web/...\"\n\
    component = \"web\"\n[component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n";

fn server(format: &str) -> Outport {
    Outport::up(APP).options([
        "--access-log=access.log",
        &format!("--access-log-format={format}"),
    ])
}

fn log(run: &Running) -> String {
    read(&run.folder().join("access.log"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The lines once there are so many.
fn lines(run: &Running, number: usize) -> Vec<String> {
    until(format_args!("{number} lines in the access log"), || {
        log(run).lines().count() >= number
    });
    let lines: Vec<String> = log(run).lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(lines.len(), number, "{lines:#?}\n{run}");
    lines
}

/// The lines of JSON, once there are so many, which are what the schema says.
fn objects(run: &Running, number: usize) -> Vec<Value> {
    let lines = lines(run, number);
    lines
        .iter()
        .map(|line| schema::valid("docs/schema/access-log.json", line))
        .collect()
}

/// A line without its time.
fn timeless(line: &str) -> String {
    let (client, rest) = line.split_once('[').unwrap_or_else(|| panic!("{line}"));
    let (time, rest) = rest.split_once(']').unwrap_or_else(|| panic!("{line}"));
    // `01/Mar/2026:09:30:00 +0000`
    assert!(time.len() == 26 && time.ends_with(" +0000"), "{time}");
    format!("{client}[]{rest}")
}

/// Sends a request as it is, and reads what is answered to the end.
fn send(run: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(run.address()).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

const HOSTILE: &[u8] = b"GET /web/hello?a=\\%22\xc3\xa4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
    Referer: http://me:secret@x/\"\\\t\xff\r\nUser-Agent: a\" 200 5 \"b\r\n\r\n";

/// Of a trace that nobody records.
const TRACED: &str = "GET /web/hello HTTP/1.1\r\nHost: shop.test:80\r\nConnection: close\r\n\
    traceparent: 00-af7651f0000000000000000000000001-b7ad6b7169203331-00\r\n\r\n";

#[test]
fn each_request_is_a_line_as_apache_writes_it() {
    let run = server("combined").start();
    assert_eq!(run.get("/web/hello?q=1").status, 200);
    assert_eq!(run.get("/nowhere").status, 404);
    let head = "HEAD /web/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\nReferer: http://x/\r\nUser-Agent: \r\n\r\n";
    assert!(send(&run, head.as_bytes()).starts_with("HTTP/1.1 200"));
    let absolute = "GET http://me:secret@x/web/hello HTTP/1.0\r\n\r\n";
    assert!(send(&run, absolute.as_bytes()).starts_with("HTTP/1.0 400"));
    assert!(send(&run, HOSTILE).starts_with("HTTP/1.1 200"));
    let lines = lines(&run, 5);
    let client = "127.0.0.1 - - []";
    assert_eq!(
        timeless(&lines[0]),
        format!("{client} \"GET /web/hello?q=1 HTTP/1.1\" 200 6 \"-\" \"-\"")
    );
    let missing = timeless(&lines[1]);
    assert!(
        missing.starts_with(&format!("{client} \"GET /nowhere HTTP/1.1\" 404 ")),
        "{missing}"
    );
    let refused = timeless(&lines[3]);
    let expected = format!("{client} \"GET http://x/web/hello HTTP/1.0\" 400 ");
    assert!(refused.starts_with(&expected), "{refused}");
    let rows = [
        "\"HEAD /web/hello HTTP/1.1\" 200 - \"http://x/\" \"\"",
        "\"GET /web/hello?a=\\\\%22\\xc3\\xa4 HTTP/1.1\" 200 6 \"http://x/\\\"\\\\\\t\\xff\" \"a\\\" 200 5 \\\"b\"",
    ];
    for (line, expected) in [&lines[2], &lines[4]].into_iter().zip(rows) {
        assert_eq!(timeless(line), format!("{client} {expected}"));
    }
    let folder = run.folder().join("access.log");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(run.stop().expect_code(0));
}

#[test]
fn common_has_neither_referer_nor_user_agent_and_a_client_of_ipv6_is_bare() {
    let run = Outport::command("up")
        .manifest(APP)
        .options(["--listen=[::1]:0", "--access-log=access.log"])
        .option("--access-log-format=common")
        .start();
    assert!(send(&run, HOSTILE).starts_with("HTTP/1.1 200"));
    let expected = "::1 - - [] \"GET /web/hello?a=\\\\%22\\xc3\\xa4 HTTP/1.1\" 200 6";
    assert_eq!(timeless(&lines(&run, 1)[0]), expected);
}

#[test]
fn json_has_all_that_is_known() {
    let run = server("json").start();
    let post = http::post(run.address(), "/web/count", "hello").unwrap();
    assert_eq!(post.body, "5\n");
    let sampled = TRACED.replace("-00\r\n", "-01\r\n");
    for traced in [TRACED, &sampled] {
        assert!(send(&run, traced.as_bytes()).starts_with("HTTP/1.1 200"));
    }
    assert!(send(&run, HOSTILE).starts_with("HTTP/1.1 200"));
    assert_eq!(run.get("/nowhere").status, 404);
    let [post, traced, sampled, hostile, missing] = objects(&run, 5).try_into().unwrap();
    assert_eq!(
        (&post["method"], &post["target"]),
        (&"POST".into(), &"/web/count".into())
    );
    assert_eq!((&post["received"], &post["sent"]), (&5.into(), &2.into()));
    assert_eq!(
        (&post["component"], &post["route"]),
        (&"web".into(), &"/web/...".into())
    );
    assert_eq!(
        (&post["client"], &post["status"]),
        (&"127.0.0.1".into(), &200.into())
    );
    assert_eq!(post["complete"], true);
    for (request, is_sampled) in [(&traced, false), (&sampled, true)] {
        assert_eq!(request["trace_id"], "af7651f0000000000000000000000001");
        assert_eq!(request["sampled"], is_sampled);
        assert_eq!(request["host"], "shop.test:80");
    }
    assert_eq!(
        (&post["trace_id"], &post["sampled"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(hostile["user_agent"], "a\" 200 5 \"b");
    assert_eq!(hostile["referer"], "http://x/\"\\\t\u{fffd}");
    assert_eq!(
        (&missing["status"], &missing["component"]),
        (&404.into(), &Value::Null)
    );
}

#[test]
fn a_request_that_the_sampler_left_out_is_not_called_sampled() {
    let collector = Collector::start(Answer::status(200, ""));
    let rows: [(&[(&str, &str)], bool); 3] = [
        (&[("OTEL_TRACES_SAMPLER", "always_off")], false),
        (&[("OTEL_TRACES_SAMPLER", "always_on")], true),
        // Metrics alone.
        (
            &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")],
            false,
        ),
    ];
    for (variables, is_sampled) in rows {
        let run = server("json").variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
        let run = variables
            .iter()
            .fold(run, |run, (name, value)| run.variable(name, value));
        let run = run.start();
        assert!(send(&run, TRACED.as_bytes()).starts_with("HTTP/1.1 200"));
        assert_eq!(run.get("/web/hello").status, 200);
        let [traced, own] = objects(&run, 2).try_into().unwrap();
        assert_eq!(traced["sampled"], is_sampled, "{variables:?}: {traced}");
        // One that brought none is part of a trace only if there is a span.
        let (has_trace, sampled) = (own["trace_id"].is_string(), &own["sampled"]);
        let expected = if is_sampled {
            Value::Bool(true)
        } else {
            Value::Null
        };
        assert_eq!(
            (has_trace, sampled),
            (is_sampled, &expected),
            "{variables:?}: {own}"
        );
    }
}

#[test]
fn however_much_a_client_sends_no_line_is_longer_than_its_readers_take() {
    for format in ["common", "combined"] {
        let run = server(format).start();
        // As they are, and as `\xhh`.
        for byte in [b'x', 0xe4] {
            let long = vec![byte; 6000];
            let request = [
                b"GET /web/hello?".as_slice(),
                &[b'x'; 6000],
                b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nReferer: ",
                &long,
                b"\r\nUser-Agent: ",
                &long,
                b"\r\n\r\n",
            ];
            assert!(send(&run, &request.concat()).starts_with("HTTP/1.1 200"));
        }
        for line in lines(&run, 2) {
            assert!(line.len() < 4095, "{format}: {}: {line}", line.len());
            assert!(line.contains("xxx... HTTP/1.1\" 200 6"), "{format}: {line}");
        }
    }
}

#[test]
fn a_client_that_hangs_up_is_a_line_too_and_over_http_2_each_request_is_one() {
    let mut run = server("json").start();
    // Nothing is answered until the client is gone.
    let mut gone = TcpStream::connect(run.address()).unwrap();
    gone.write_all(b"POST /web/x HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nwait 600000")
        .unwrap();
    run.until_idle();
    // Of an answer without an end the client reads the beginning.
    let mut half = TcpStream::connect(run.address()).unwrap();
    half.write_all(b"GET /web/zeroes?1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut status = String::new();
    BufReader::new(&half).read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    drop(half);
    let object = objects(&run, 1).remove(0);
    assert_eq!(
        (&object["status"], &object["complete"]),
        (&200.into(), &false.into())
    );
    let sent = object["sent"].as_u64().unwrap();
    assert!(sent < 1_000_000_000, "{object}");
    drop(gone);
    let object = objects(&run, 2).remove(1);
    assert_eq!(
        (&object["status"], &object["sent"]),
        (&499.into(), &0.into()),
        "{object}"
    );
    assert_eq!(object["complete"], false);

    let stream = TcpStream::connect(run.address()).unwrap();
    let mut http2 = Http2::begin(stream, 65_535).unwrap();
    for (stream, path) in [(1, "/web/hello?1"), (3, "/web/hello?2")] {
        http2.ask(stream, "GET", path).unwrap();
        while http2.next_of(DATA).unwrap().flags & END_STREAM == 0 {}
    }
    let objects = objects(&run, 4);
    for (object, target) in objects[2..].iter().zip(["/web/hello?1", "/web/hello?2"]) {
        assert_eq!(
            (&object["protocol"], &object["target"]),
            (&"HTTP/2.0".into(), &target.into())
        );
        assert_eq!((&object["host"], &object["sent"]), (&"x".into(), &6.into()));
    }
}

// proves: HL-1
#[test]
fn a_log_that_was_moved_or_removed_goes_on_at_its_path_also_in_the_kernels_sandbox() {
    let server = Outport::up(APP).option("--access-log=logs/access.log");
    let server = if kernel_has_all() {
        server.option("--kernel-sandbox=required")
    } else {
        server
    };
    let logs = server.folder().join("logs");
    fs::create_dir(&logs).unwrap();
    let run = server.start();
    let (path, targets) = (logs.join("access.log"), |path: &Path| -> Vec<String> {
        let text = read(path);
        text.lines()
            .map(|line| line.split(' ').nth(6).unwrap().to_owned())
            .collect()
    });
    let ask = |number: u32, expected: &[&str]| {
        assert_eq!(run.get(&format!("/web/hello?{number}")).status, 200);
        until(format_args!("{expected:?} in the access log\n{run}"), || {
            targets(&path) == expected
        });
    };
    ask(1, &["/web/hello?1"]);
    fs::rename(&path, logs.join("access.log.1")).unwrap();
    ask(2, &["/web/hello?2"]);
    fs::remove_file(&path).unwrap();
    ask(3, &["/web/hello?3"]);
    fs::rename(&path, logs.join("access.log.2")).unwrap();
    run.signal(Signal::HUP);
    run.wait_for_error_line("note: the access log was opened again");
    assert!(path.exists());
    ask(4, &["/web/hello?4"]);
    ask(5, &["/web/hello?4", "/web/hello?5"]);
    for (name, target) in [("access.log.1", "/web/hello?1"), ("access.log.2", "/web/hello?3")] {
        assert_eq!(targets(&logs.join(name)), [target], "{name}");
    }
}

#[test]
fn a_file_that_is_not_for_the_access_log_alone_is_refused_and_left_as_it_is() {
    let rows = [
        (
            "audit.jsonl",
            "is the audit log, and cannot be the access log too",
        ),
        (
            "spin.toml",
            "is not an access log: neither its first line nor its last is one of the formats",
        ),
        (
            "no/such/folder/access.log",
            "the access log `no/such/folder/access.log` cannot be opened for writing",
        ),
    ];
    for (file, expected) in rows {
        let finished = Outport::up(APP)
            .option(format!("--access-log={file}"))
            .finish()
            .expect_code(2);
        assert!(finished.stderr.contains(expected), "{file}: {finished}");
    }
    // Lines of another format are lines of an access log.
    let line = "127.0.0.1 - - [01/Mar/2026:09:30:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let run = server("json").file("access.log", line).start();
    assert_eq!(run.get("/web/hello").status, 200);
    assert!(lines(&run, 2)[1].starts_with("{\"time\":"));

    let server = Outport::serve(guest::path("http-script-guest"));
    fs::create_dir(server.folder().join("shared")).unwrap();
    let options = ["--dir=shared::/shared", "--access-log=shared/access.log"];
    let finished = server.options(options).finish().expect_code(2);
    let expected = "the guest can write to the access log `shared/access.log`";
    assert!(finished.stderr.contains(expected), "{finished}");
    assert!(!finished.stderr.contains("Serving"), "{finished}");
}

#[test]
fn the_environment_names_the_log_where_no_option_does() {
    let server = |format: &str| {
        Outport::up(APP)
            .variable("OUTPORT_ACCESS_LOG", "access.log")
            .variable("OUTPORT_ACCESS_LOG_FORMAT", format)
    };
    let run = server("json").start();
    assert_eq!(run.get("/web/hello").status, 200);
    objects(&run, 1);
    let run = server("common").option("--access-log=other.log").start();
    assert_eq!(run.get("/web/hello").status, 200);
    let other = run.folder().join("other.log");
    until("a line in other.log", || read(&other).ends_with("\" 200 6\n"));
    assert!(!run.folder().join("access.log").exists());
    let finished = server("apache").finish().expect_code(2);
    let expected = "the value of `OUTPORT_ACCESS_LOG_FORMAT` cannot be used: `apache` is none of `common`";
    assert!(finished.stderr.contains(expected), "{finished}");
    let finished = Outport::up(APP)
        .option("--access-log-format=json")
        .finish()
        .expect_code(2);
    let expected = "`--access-log-format` is there, and no access log";
    assert!(finished.stderr.contains(expected), "{finished}");
}

#[test]
fn where_no_client_is_answered_there_is_no_log_and_an_option_for_one_is_a_warning() {
    let command = "spin_manifest_version = 2\napplication.name = \"once\"\n[[trigger.command]]\n\
        component = \"main\"\n[component.main]\nsource = \"GUESTS/script-guest.wasm\"\n";
    let command = || Outport::command("up").manifest(command);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let rows = [
        (Outport::script_guest(), "--access-log"),
        (command(), "--access-log"),
        (command(), "--access-log-format"),
    ];
    for (started, option) in rows {
        let value = match option {
            "--access-log" => path.as_os_str(),
            _ => "json".as_ref(),
        };
        let finished = started
            .options([option.as_ref(), value])
            .variable("OUTPORT_ACCESS_LOG", &path)
            .finish()
            .expect_code(0);
        let expected = format!("warning: `{option}` has no effect: no client's requests are answered here");
        assert!(finished.stderr.contains(&expected), "{option}: {finished}");
        assert!(!path.exists(), "{option}: {finished}");
    }
    // A variable is there for other commands too.
    let finished = command()
        .variable("OUTPORT_ACCESS_LOG", &path)
        .finish()
        .expect_code(0);
    assert!(
        !finished.stderr.contains("has no effect") && !path.exists(),
        "{finished}"
    );
}

#[test]
fn a_log_on_standard_output_takes_its_turn_with_what_guests_write() {
    let run = Outport::up(APP)
        .options(["--access-log=-", "--access-log-format=common"])
        .start();
    assert_eq!(run.get("/web/hello").status, 200);
    let line = run.wait_for_line("127.0.0.1 - - [");
    assert!(line.ends_with("] \"GET /web/hello HTTP/1.1\" 200 6"), "{line}");
}

#[test]
fn requests_are_answered_while_the_log_cannot_be_written_and_that_is_said_once() {
    let run = Outport::up(APP).option("--access-log=/dev/full").start();
    for _ in 0..20 {
        assert_eq!(run.get("/web/hello").status, 200);
    }
    run.wait_for_error_line("error: the access log cannot be written: ");
    let finished = run.stop().expect_code(0);
    let said = finished
        .stderr
        .matches("the access log cannot be written")
        .count();
    assert_eq!(said, 1, "{finished}");
    assert!(
        finished
            .stderr
            .contains("20 lines of the access log were not written"),
        "{finished}"
    );
}
