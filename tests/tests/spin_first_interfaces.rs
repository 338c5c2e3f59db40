//! Spin's first interfaces, which have no version: `fermyon:spin/inbound-http` of a component that answers by it, and the
//! interfaces of the host against real servers, both as the component's own and as a dependency's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use outport_e2e::http::{self, Origin};
use outport_e2e::mariadb::MariaDb;
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::postgres::Postgres;
use outport_e2e::process::free_port;
use outport_e2e::redis::Redis;
use outport_e2e::stores::{self, check, perform};
use outport_e2e::until::until;

/// A component that answers by `fermyon:spin/inbound-http`, with lines of its own.
fn inbound(lines: &str) -> Outport {
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"inbound\"\n\
         [variables]\ncolour = {{ default = \"green\" }}\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"inbound\"\n\
         [component.inbound]\nsource = \"GUESTS/inbound-http.wasm\"\n{lines}\n"
    ))
}

fn raw(app: &Running, request: &[u8]) -> http::Response {
    use std::io::{BufReader, Write};
    let mut stream = std::net::TcpStream::connect(app.address()).unwrap();
    stream.write_all(request).unwrap();
    let sent = String::from_utf8_lossy(request);
    http::read_response(&mut BufReader::new(stream), &sent).unwrap_or_else(|error| panic!("{error}\n{app}"))
}

fn head(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

#[test]
fn a_component_of_the_first_interface_is_given_the_whole_request_and_answers_whole() {
    let app = inbound("").start();
    let shown = raw(
        &app,
        &[
            head(
                "POST",
                "/show/a%20b?c=d&e",
                "X-One: 1\r\nx-one: ä\r\nspin-client-addr: 1.2.3.4\r\nContent-Length: 5\r\n",
            ),
            b"12345".to_vec(),
        ]
        .concat(),
    );
    assert_eq!(shown.status, 200, "{app}");
    let lines: Vec<&str> = shown.body.lines().collect();
    assert_eq!(lines[0], "Method::Post /show/a%20b?c=d&e", "{app}");
    for expected in [
        "host: shop.example",
        "x-one: 1",
        "x-one: ä",
        "content-length: 5",
        "spin-full-url: http://shop.example/show/a%20b?c=d&e",
        "0 parameters, body Some(5)",
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines:?}\n{app}");
    }
    for absent in ["connection: close", "spin-client-addr: 1.2.3.4"] {
        assert!(!lines.contains(&absent), "{absent}: {lines:?}\n{app}");
    }
    // An instance answers one request: what it has answered, its memory does not get back.
    for _ in 0..3 {
        assert_eq!(app.get("/count").body, "1\n", "{app}");
    }
    let none = app.get("/nothing");
    assert_eq!((none.status, none.body.as_str()), (200, ""), "{app}");
    let large = app.get("/large/8000000");
    assert_eq!((large.status, large.body.len()), (200, 8_000_000), "{app}");
    let header = app.get("/header/X-Mine/yes");
    assert_eq!(header.header("x-mine"), Some("yes"), "{app}");
    let head_only = raw(&app, &head("HEAD", "/show", ""));
    assert_eq!(head_only.status, 200, "{app}");
    let finished = app.stop();
    assert!(finished.reasons().is_empty(), "{finished}");
}

#[test]
fn what_the_first_interface_cannot_say_is_answered_by_the_host() {
    let app = inbound("").option("--max-memory=64MiB").start();
    for method in ["TRACE", "PROPFIND", "get"] {
        let answer = raw(&app, &head(method, "/show", ""));
        assert_eq!(answer.status, 405, "{method}: {app}");
        let allowed = answer.header("allow");
        assert_eq!(
            allowed,
            Some("GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"),
            "{app}"
        );
    }
    let not_text = [
        &head("GET", "/show", "")[..head("GET", "/show", "").len() - 2],
        b"x: \xe4\r\n\r\n",
    ]
    .concat();
    assert_eq!(raw(&app, &not_text).status, 400, "{app}");
    // A quarter of its memory, and of what is announced not a byte is read.
    let announced = raw(&app, &head("POST", "/echo", "Content-Length: 16777217\r\n"));
    assert_eq!(announced.status, 413, "{app}");
    let chunk = |bytes: usize| format!("{bytes:x}\r\n{}\r\n", ".".repeat(bytes));
    let chunked = move |chunks: &[usize]| {
        let body: String = chunks.iter().map(|bytes| chunk(*bytes)).collect();
        [
            head("POST", "/echo", "Transfer-Encoding: chunked\r\n"),
            (body + "0\r\n\r\n").into_bytes(),
        ]
        .concat()
    };
    let fits = raw(&app, &chunked(&[1 << 20, 1 << 20, 5]));
    assert_eq!((fits.status, fits.body.len()), (200, (2 << 20) + 5), "{app}");
    // What comes after the refusal is not read, so that the client may be told by a closed connection.
    let mut stream = std::net::TcpStream::connect(app.address()).unwrap();
    let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let _ = stream.write_all(&chunked(&[1 << 20; 18]));
    });
    let refused = http::read_response(&mut reader, "POST").unwrap();
    assert_eq!(refused.status, 413, "{app}");
    drop(reader);
    writer.join().unwrap();
    for (path, said) in [
        (
            "/status/99",
            "answered with the status 99, which no response may have",
        ),
        (
            "/status/100",
            "answered with the status 100, which no response may have",
        ),
        (
            "/status/600",
            "answered with the status 600, which no response may have",
        ),
        ("/header/a(/b", "answered with a header `a(`, which is none"),
        (
            "/header/second/b%0Ac:%20d",
            "answered with a header `second`, which is none",
        ),
        ("/trap", "trapped in `fermyon:spin/inbound-http`"),
        ("/large/30000000", "too much data is being copied"),
    ] {
        assert_eq!(app.get(path).status, 500, "{path}: {app}");
        until(format_args!("{path}: {said}"), || app.stderr().contains(said));
    }
    assert_eq!(app.get("/status/418").status, 418, "{app}");
}

// proves: Q-3
#[test]
fn an_instance_of_the_first_interface_has_the_limits_of_every_other() {
    let app = inbound("")
        .options(["--max-cpu-time=1s", "--response-timeout=30s"])
        .start();
    assert_eq!(app.get("/loop").status, 500, "{app}");
    until("the guest has computed for too long", || {
        app.stderr().contains("computed for more than 1 s")
    });
    let app = inbound("").option("--response-timeout=1s").start();
    assert_eq!(app.get("/loop").status, 504, "{app}");
    let app = inbound("").option("--max-memory=8MiB").start();
    assert_eq!(app.get("/large/12000000").status, 500, "{app}");
    assert_eq!(app.get("/count").body, "1\n", "{app}");
}

#[test]
fn a_component_of_the_first_interface_reads_its_variables_and_is_asked_by_others() {
    let app = inbound(
        "allowed_outbound_hosts = [\"http://self\", \"http://inbound.spin.internal\"]\n\
         [component.inbound.variables]\ncolour = \"{{ colour }}\"",
    )
    .start();
    for (path, answer) in [
        ("/config/colour", "green"),
        (
            "/config/shape",
            "Error::Provider(\"the component has no variable `shape`\")",
        ),
        ("/fetch//count", "200 1\n"),
        ("/fetch/http://inbound.spin.internal/count", "200 1\n"),
        ("/fetch/http://127.0.0.1:1/", "destination-not-allowed"),
        ("/fetch/nowhere", "invalid-url"),
    ] {
        assert_eq!(app.get(path).body, answer, "{path}: {app}");
    }
    let wrong = app.get("/config/No").body;
    assert!(wrong.starts_with("Error::InvalidKey("), "{wrong}: {app}");
}

// proves: AL-6, AL-10, DNS-13, RSN-3
#[test]
fn a_request_of_the_first_interface_is_judged_like_every_other() {
    let origin = Origin::start("hello");
    let at = origin.address();
    let closed = free_port();
    let allowed = format!(
        "allowed_outbound_hosts = [\"http://localhost:{}\", \"http://127.0.0.1:{closed}\", \
         \"http://inbound.spin.internal\"]",
        at.port()
    );
    let other = "[[trigger.http]]
route = \"/inbound/...\"
component = \"inbound\"
\
                 [component.inbound]
source = \"GUESTS/inbound-http.wasm\"
";
    let app = Outport::up(&(stores::app(&[("one", &allowed)]) + other)).start();
    let (here, there) = (format!("http://localhost:{}", at.port()), format!("http://{at}"));
    let rows = [
        (format!("http1.GET {here}/a?b"), "200 hello", ""),
        (
            "http1.POST http://inbound.spin.internal/echo a body".to_owned(),
            "200 a body",
            "",
        ),
        (
            format!(
                "http1.headers PUT {here}/ host=evil.example connection=upgrade transfer-encoding=chunked content-length=7 x=y"
            ),
            "200 content-length=5",
            "",
        ),
        (
            format!("http1.GET {there}/"),
            "destination-not-allowed",
            "allow.port",
        ),
        (
            "http1.GET /relative".to_owned(),
            "destination-not-allowed",
            "allow.no-match",
        ),
        (
            format!("http1.GET https://127.0.0.1:{closed}/"),
            "destination-not-allowed",
            "allow.scheme",
        ),
        (
            format!("http1.GET http://127.0.0.1:{closed}/"),
            "runtime-error",
            "",
        ),
        (
            format!("http1.GET http://user@localhost:{}/", at.port()),
            "invalid-url",
            "http.host",
        ),
        (
            "http1.GET ftp://localhost/".to_owned(),
            "invalid-url",
            "http.host",
        ),
        ("http1.GET localhost".to_owned(), "invalid-url", "http.host"),
        ("http1.GET http://a\\x20b/".to_owned(), "invalid-url", "http.host"),
        (
            format!("http1.headers GET {here}/ a\\x0a=b"),
            "runtime-error",
            "never sent",
        ),
        (
            "http1.GET http://169.254.169.254/".to_owned(),
            "destination-not-allowed",
            "runtime.link-local",
        ),
    ];
    let expected: Vec<(&str, &str)> = rows
        .iter()
        .map(|(does, gets, _)| (does.as_str(), *gets))
        .collect();
    check(&app, "one", &expected);
    let finished = app.stop();
    let reasons = finished.reasons();
    let expected = rows.iter().map(|(_, _, reason)| *reason);
    let expected: Vec<&str> = expected
        .filter(|reason| !["", "never sent"].contains(reason))
        .collect();
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}\n{finished}");
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(expected), "{reason} {expected}\n{finished}");
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let header = |request: usize, name: &str| {
        let mut headers = requests[request].headers.iter();
        headers
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(requests[0].line, "GET /a?b HTTP/1.1");
    let host = format!("localhost:{}", at.port());
    assert_eq!(header(1, "host"), Some(host.as_str()), "{requests:?}");
    assert_eq!(header(1, "x"), Some("y"), "{requests:?}");
    for gone in ["connection", "transfer-encoding"] {
        assert_eq!(header(1, gone), None, "{requests:?}");
    }
    assert_ne!(header(1, "content-length"), Some("7"), "{requests:?}");
}

// proves: HI-5, HI-7, HI-8
#[test]
fn stores_and_databases_are_the_same_by_number_as_by_handle() {
    let lists = "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]";
    let app = Outport::up(&stores::app(&[("one", lists), ("none", "")]))
        .option("--max-instance-reuse-count=1")
        .start();
    check(
        &app,
        "one",
        &[
            ("kv1.get k", "invalid-store"),
            ("kv1.open default", "ok"),
            ("kv1.get k", "no-such-key"),
            ("kv1.exists k", "false"),
            ("kv1.set k \\xff\\x00v", "ok"),
            ("kv1.get k", "\\xff\\x00v"),
            ("kv1.exists k", "true"),
            ("kv2.open default", "ok"),
            ("kv2.get k", "\\xff\\x00v"),
            ("kv1.set l 1", "ok"),
            ("kv1.keys", "k,l"),
            ("kv1.delete l", "ok"),
            ("kv1.delete l", "ok"),
            ("kv1.fill large 1000000", "ok"),
            ("kv1.get large", "1000000 bytes"),
            ("kv1.close", "ok"),
            ("kv1.get k", "invalid-store"),
            ("kv1.set k v", "invalid-store"),
            ("kv1.delete k", "invalid-store"),
            ("kv1.exists k", "invalid-store"),
            ("kv1.keys", "invalid-store"),
            ("kv1.close", "ok"),
            ("kv1.open other", "access-denied"),
            ("kv1.use 4294967295", "ok"),
            ("kv1.get k", "invalid-store"),
        ],
    );
    check(
        &app,
        "one",
        &[
            ("sqlite1.execute select 1", "invalid-connection"),
            ("sqlite1.open default", "ok"),
            ("sqlite1.execute create table t (a, b)", "none"),
            (
                "sqlite1.execute insert into t values (1, 'x'), (2.5, null)",
                "none",
            ),
            (
                "sqlite1.execute select * from t",
                "integer(1), text(\"x\") | real(2.5), null",
            ),
            ("sqlite2.open default", "ok"),
            ("sqlite2.execute select count(*) from t", "integer(2)"),
            ("sqlite1.close", "ok"),
            ("sqlite1.execute select 1", "invalid-connection"),
            ("sqlite1.close", "ok"),
            ("sqlite1.open other", "access-denied"),
        ],
    );
    check(
        &app,
        "none",
        &[
            ("kv1.open default", "access-denied"),
            ("sqlite1.open default", "access-denied"),
        ],
    );
    // What a number stands for is one instance's; and of a later version none can be reached, whichever its number.
    let guesses = (0..40).flat_map(|number| {
        let at = |of: &str, does: &str| [format!("{of}.use {number}"), format!("{of}.{does}")];
        at("kv1", "get k")
            .into_iter()
            .chain(at("sqlite1", "execute select 1"))
    });
    let opened = [
        "kv2.open default",
        "kv3.open default",
        "wasi.open default",
        "sqlite2.open default",
    ]
    .map(str::to_owned);
    let all: Vec<String> = opened.into_iter().chain(guesses).collect();
    let results = perform(&app, "one", &all);
    for (statement, result) in all.iter().zip(&results).skip(4) {
        let expected = match statement {
            _ if statement.contains(".use ") => "ok",
            _ if statement.starts_with("kv1") => "invalid-store",
            _ => "invalid-connection",
        };
        assert_eq!(result, expected, "{statement}\n{app}");
    }
    // As many as of any version: all together.
    check(
        &app,
        "one",
        &[
            ("repeat 200 kv1.open default", "ok x200"),
            ("repeat 57 kv2.hold default", "ok x56, store-table-full x1"),
            ("kv1.open default", "store-table-full"),
            ("kv1.close", "ok"),
            ("kv1.open default", "ok"),
            (
                "repeat 257 sqlite1.open default",
                "ok x256, io(\"too many connections are open\") x1",
            ),
        ],
    );
    let finished = app.stop();
    assert_eq!(finished.reasons(), ["allow.label"; 4], "{finished}");
}

/// The attempts of one kind in the log, each with its reason, if it was denied.
fn attempts(finished: &Finished, kind: &str) -> Vec<String> {
    let log = finished.audit.iter();
    log.filter(|line| line.field("attempt") == kind)
        .map(|line| line.reason())
        .collect()
}

// proves: HI-1, HI-2, HI-4, HI-8
#[test]
fn redis_is_asked_by_address_and_each_call_is_an_attempt() {
    let redis = Redis::start();
    let port = redis.port();
    let allowed = format!("allowed_outbound_hosts = [\"redis://localhost:{port}\"]");
    let app = Outport::up(&stores::app(&[("one", &allowed)]))
        .option("--workers=1")
        .start();
    let (open, elsewhere) = (
        format!("redis1.open redis://localhost:{port}"),
        format!("redis1.open redis://127.0.0.1:{port}"),
    );
    check(
        &app,
        "one",
        &[
            ("redis1.get k", "error"),
            (&open, "ok"),
            ("redis1.get k", ""),
            ("redis1.set k v\\xff", "ok"),
            ("redis1.get k", "v\\xff"),
            ("redis1.incr n", "1"),
            ("redis1.incr k", "error"),
            ("redis1.sadd s a b", "2"),
            ("redis1.srem s a x", "1"),
            ("redis1.smembers s", "b"),
            ("redis1.del s n nothing", "2"),
            ("redis1.publish channel message", "ok"),
            ("redis1.execute rpush l #1 two", "int64(2)"),
            ("redis1.execute select #5", "status(\"OK\")"),
            // In a connection of its own: what the one before did to its is gone with it.
            ("redis1.get k", "v\\xff"),
            (&elsewhere, "error"),
            ("redis1.get k", "error"),
        ],
    );
    let finished = app.stop();
    let connects = attempts(&finished, "redis.connect");
    assert_eq!(connects.len(), 17, "{finished}");
    let denied: Vec<&String> = connects.iter().filter(|reason| !reason.is_empty()).collect();
    assert_eq!(
        denied,
        ["address.invalid", "allow.no-match", "allow.no-match"],
        "{finished}"
    );
}

// proves: HI-1, HI-2, HI-8
#[test]
fn databases_are_asked_by_address_and_each_call_is_an_attempt() {
    let (postgres, mariadb) = (Postgres::start(), MariaDb::start());
    let (pg, my) = (postgres.port(), mariadb.port());
    let allowed =
        format!("allowed_outbound_hosts = [\"postgres://localhost:{pg}\", \"mysql://localhost:{my}\"]");
    let app = Outport::up(&stores::app(&[("one", &allowed)]))
        .option("--workers=1")
        .start();
    let pg_at = |host: &str| format!("pg1.open postgres://postgres:secret@{host}:{pg}/postgres");
    let my_at = |host: &str| format!("mysql1.open mysql://guest:secret@{host}:{my}/shop");
    let denied = "connection-failed(\"it is not permitted\")";
    check(
        &app,
        "one",
        &[
            (&pg_at("localhost"), "ok"),
            ("pg1.execute create table first (a int, b text)", "0"),
            ("pg1.execute insert into first values (1, 'x'), (2, null)", "2"),
            (
                "pg1.query select * from first order by a",
                "int32(1), str(\"x\") | int32(2), db-null",
            ),
            ("pg1.query select now()", "unsupported"),
            ("pg1.execute begin", "0"),
            ("pg1.execute rollback", "0"),
            (&pg_at("127.0.0.1"), denied),
            ("pg1.query select 1", denied),
            (&my_at("localhost"), "ok"),
            ("mysql1.execute create table first (a int, b text)", "ok"),
            (
                "mysql1.execute insert into first values (1, 'x'), (2, null)",
                "ok",
            ),
            (
                "mysql1.query select * from first order by a",
                "int32(1), str(\"x\") | int32(2), db-null",
            ),
            (&my_at("127.0.0.1"), denied),
            ("mysql1.execute select 1", denied),
        ],
    );
    let wrong = perform(
        &app,
        "one",
        &[
            &pg_at("localhost"),
            "pg1.query select * from nothing",
            &my_at("localhost"),
            "mysql1.query select * from nothing",
        ],
    );
    for result in [&wrong[1], &wrong[3]] {
        assert!(result.starts_with("query-failed("), "{wrong:?}\n{app}");
    }
    let finished = app.stop();
    for (kind, number) in [("postgres.connect", 11), ("mysql.connect", 8)] {
        let found = attempts(&finished, kind);
        assert_eq!(found.len(), number, "{kind}: {finished}");
        let denied: Vec<&String> = found.iter().filter(|reason| !reason.is_empty()).collect();
        assert_eq!(denied, ["allow.no-match"; 2], "{kind}: {finished}");
    }
}

// proves: HI-5, AL-6
#[test]
fn a_dependency_has_by_the_first_interfaces_what_it_inherits_and_nothing_else() {
    let (origin, redis) = (Origin::start("hello"), Redis::start());
    let (at, port) = (origin.address().port(), redis.port());
    let own = format!(
        "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\n\
         allowed_outbound_hosts = [\"http://localhost:{at}\", \"redis://localhost:{port}\"]\n"
    );
    let statements = [
        "kv1.open default".to_owned(),
        "sqlite1.open default".to_owned(),
        "config1.get colour".to_owned(),
        format!("http1.GET http://localhost:{at}/"),
        format!("redis1.open redis://localhost:{port}"),
        "redis1.set k v".to_owned(),
        "redis1.get k".to_owned(),
        "redis1.incr n".to_owned(),
        "redis1.del n".to_owned(),
        "redis1.sadd s a".to_owned(),
        "redis1.smembers s".to_owned(),
        "redis1.srem s a".to_owned(),
        "redis1.publish c m".to_owned(),
        "pg1.open postgres://u@localhost/".to_owned(),
        "pg1.execute select 1".to_owned(),
        "mysql1.open mysql://u@localhost/".to_owned(),
        "mysql1.execute select 1".to_owned(),
    ];
    let (error, failed) = ("error", "connection-failed(\"it is not permitted\")");
    let nothing = [
        "access-denied",
        "access-denied",
        "provider(\"colour\")",
        "destination-not-allowed",
        error,
        error,
        error,
        error,
        error,
        error,
        error,
        error,
        error,
        failed,
        failed,
        failed,
        failed,
    ];
    let everything = [
        "ok",
        "ok",
        "green",
        "200 hello",
        "ok",
        "ok",
        "v",
        "1",
        "1",
        "1",
        "a",
        "1",
        "ok",
        failed,
        failed,
        failed,
        failed,
    ];
    let given = |only: &[usize]| {
        let one = |index| {
            if only.contains(&index) {
                everything[index]
            } else {
                nothing[index]
            }
        };
        (0..statements.len()).map(one).collect::<Vec<_>>()
    };
    for (inheritance, expected, refusals) in [
        ("", given(&[]), 16),
        (", inherit_configuration = [\"variables\"]", given(&[2]), 16),
        (
            ", inherit_configuration = [\"key_value_stores\"]",
            given(&[0]),
            15,
        ),
        (
            ", inherit_configuration = [\"allowed_outbound_hosts\"]",
            given(&(3..17).collect::<Vec<_>>()),
            6,
        ),
        (", inherit_configuration = true", everything.to_vec(), 4),
    ] {
        let lines = format!(
            "{own}[component.one.variables]\ncolour = \"green\"\n[component.one.dependencies]\n\
             \"outport:callee/interpreter@1.0.0\" = {{ path = \"GUESTS/stores.wasm\"{inheritance} }}"
        );
        let app = Outport::up(&stores::app(&[("one", &lines)])).start();
        let asked: Vec<String> = statements.iter().map(|does| format!("callee: {does}")).collect();
        assert_eq!(perform(&app, "one", &asked), expected, "{inheritance}\n{app}");
        redis.ask("FLUSHALL").unwrap();
        let finished = app.stop();
        assert_eq!(finished.reasons().len(), refusals, "{inheritance}\n{finished}");
        let not_inherited = finished
            .reasons()
            .iter()
            .filter(|reason| *reason == "allow.not-inherited")
            .count();
        let of_the_dependency = finished
            .audit
            .iter()
            .filter(|line| line.denied() && line.field("component") != "one");
        assert_eq!(
            of_the_dependency.count(),
            not_inherited,
            "{inheritance}\n{finished}"
        );
    }
}

#[test]
fn a_component_of_the_first_redis_trigger_is_told_apart_from_one_of_http() {
    let text = "(component (core module $m (func (export \"f\") (result i32) unreachable)) (core instance $m (instantiate $m))
        (func $f (result u32) (canon lift (core func $m \"f\")))
        (instance $i (export \"handle-message\" (func $f)))
        (export \"fermyon:spin/inbound-redis\" (instance $i)))";
    let finished = Outport::up(
        "spin_manifest_version = 2\napplication.name = \"redis\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"one\"\n[component.one]\nsource = \"one.wasm\"\n",
    )
    .file("one.wasm", wat::parse_str(text).unwrap())
    .finish();
    assert_ne!(finished.code, Some(0), "{finished}");
    assert!(
        finished.stderr.contains("`fermyon:spin/inbound-http`"),
        "{finished}"
    );
    assert!(
        finished.stderr.contains("`fermyon:spin/inbound-redis`"),
        "{finished}"
    );
}
