//! The MySQL interface in both versions: apps of Spin's Python SDKs, unchanged, and a real MariaDB server. What MySQL does and
//! MariaDB does not (`caching_sha2_password`) is in the tests of the interface itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http;
use outport_e2e::mariadb::MariaDb;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::Authority;
use outport_e2e::until::until;

use crate::models::COMMAND;

/// A component of each version, by the number that its route begins with.
const APP: &str = r#"
spin_manifest_version = 2
application.name = "mysql"

[[trigger.http]]
route = "/3/..."
component = "three"

[[trigger.http]]
route = "/2/..."
component = "two"

[component.three]
source = "THREE"
allowed_outbound_hosts = [ALLOWED]

[component.two]
source = "TWO"
allowed_outbound_hosts = [ALLOWED]
"#;

/// `spin:mysql@3.0.0`, and `fermyon:spin/mysql@2.0.0`.
const VERSIONS: [&str; 2] = ["3", "2"];

fn up(allowed: &str) -> Outport {
    let (three, two) = (
        python::spin_app("spin_mysql"),
        python::spin_app_of_sdk_3("spin_mysql_3"),
    );
    let manifest = APP
        .replace("THREE", &three.display().to_string())
        .replace("TWO", &two.display().to_string());
    Outport::up(&manifest.replace("ALLOWED", allowed))
}

/// The path by which the component of `version` is asked.
fn path(version: &str, asked: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let pair = |(key, value): &(&str, &str)| format!("{key}={}", encoded(value));
    let query: Vec<String> = asked.iter().map(pair).collect();
    format!("/{version}/?{}", query.join("&"))
}

/// What the component of `version` says to each of the statements, by one connection to the address.
fn said(app: &Running, version: &str, asked: &[(&str, &str)]) -> Vec<String> {
    let answer = app.get(&path(version, asked));
    assert_eq!(answer.status, 200, "{asked:?}\n{}\n{app}", answer.body);
    answer.body.lines().map(str::to_owned).collect()
}

fn address(server: &MariaDb) -> String {
    format!("mysql://guest:secret@localhost:{}/shop", server.port())
}

/// A value of each type, as it is written in Python, where the server keeps it, and as it comes back.
const VALUES: [(&str, &str, &str); 36] = [
    ("Boolean(True)", "boolean", "INT8: Int8(1)"),
    ("Int8(-128)", "tinyint", "INT8: Int8(-128)"),
    ("Uint8(255)", "tinyint unsigned", "UINT8: Uint8(255)"),
    ("Int16(-32768)", "smallint", "INT16: Int16(-32768)"),
    ("Uint16(65535)", "smallint unsigned", "UINT16: Uint16(65535)"),
    ("Int32(-8388608)", "mediumint", "INT32: Int32(-8388608)"),
    (
        "Uint32(16777215)",
        "mediumint unsigned",
        "UINT32: Uint32(16777215)",
    ),
    ("Int32(-2147483648)", "int", "INT32: Int32(-2147483648)"),
    ("Uint32(4294967295)", "int unsigned", "UINT32: Uint32(4294967295)"),
    (
        "Int64(-9223372036854775808)",
        "bigint",
        "INT64: Int64(-9223372036854775808)",
    ),
    (
        "Int64(9223372036854775807)",
        "bigint unsigned",
        "UINT64: Uint64(9223372036854775807)",
    ),
    ("Floating32(1.5)", "float", "FLOATING32: Floating32(1.5)"),
    ("Floating64(1e-300)", "double", "FLOATING64: Floating64(1e-300)"),
    (
        "Str(\"a'b\\\\\\u00e9\\U0001f600\")",
        "varchar(20) character set utf8mb4",
        "STR: Str(\"a'b\\\\é😀\")",
    ),
    ("Str('x ')", "char(3)", "STR: Str('x')"),
    (
        "Str('\\u00e9')",
        "varchar(9) character set latin1",
        "STR: Str('é')",
    ),
    (
        "Str('\\u00e9')",
        "varchar(9) character set utf8mb4 collate utf8mb4_bin",
        "STR: Str('é')",
    ),
    ("Str('x')", "text", "STR: Str('x')"),
    ("Str('x')", "longtext", "STR: Str('x')"),
    ("Str('b')", "enum('a', 'b')", "STR: Str('b')"),
    ("Str('a,b')", "set('a', 'b')", "STR: Str('a,b')"),
    ("Str('{\"a\": 1}')", "json", "STR: Str('{\"a\": 1}')"),
    (
        "Binary(b'\\x00\\xff')",
        "varbinary(9)",
        "BINARY: Binary(b'\\x00\\xff')",
    ),
    (
        "Binary(b'\\x00\\xff')",
        "binary(3)",
        "BINARY: Binary(b'\\x00\\xff\\x00')",
    ),
    ("Binary(b'\\x00\\xff')", "blob", "BINARY: Binary(b'\\x00\\xff')"),
    ("Binary(b'')", "longblob", "BINARY: Binary(b'')"),
    ("Str('1.5')", "double", "FLOATING64: Floating64(1.5)"),
    ("DbNull()", "int", "INT32: DbNull()"),
    ("DbNull()", "datetime", "OTHER: DbNull()"),
    ("Str('1.50')", "decimal(10, 2)", NO_TYPE),
    ("Str('2026-02-28')", "date", NO_TYPE),
    ("Str('23:59:59.5')", "time(1)", NO_TYPE),
    ("Str('2026-02-28 01:02:03')", "datetime", NO_TYPE),
    ("Str('2026-02-28 01:02:03')", "timestamp", NO_TYPE),
    ("Int32(2026)", "year", NO_TYPE),
    ("Boolean(True)", "bit(1)", NO_TYPE),
];

const NO_TYPE: &str =
    "ValueConversionFailed: the column `v`: the interface has no such type; `cast(… as char)` makes it text";

// proves: HI-1, HI-2, HI-4
#[test]
fn a_value_of_every_type_goes_to_the_server_and_comes_back() {
    let server = MariaDb::start();
    let app = up(&format!("\"mysql://localhost:{}\"", server.port())).start();
    let address = address(&server);
    for version in VERSIONS {
        for (value, kept, expected) in VALUES {
            // The SDK of version 2 has no integers beyond the signed ones of their size.
            if version == "2" && value == "Uint32(4294967295)" {
                continue;
            }
            let found = said(
                &app,
                version,
                &[
                    ("address", &address),
                    ("do", &format!("!create temporary table t (v {kept})")),
                    ("do", "!insert into t values (?)"),
                    ("values", &format!("[ParameterValue_{value}]")),
                    ("do", "select v from t"),
                ],
            );
            let expected = match (expected, version) {
                (NO_TYPE, "3") => format!("0 rows, then {NO_TYPE}"),
                (NO_TYPE, _) => NO_TYPE.to_owned(),
                _ => format!("v {expected}"),
            };
            assert_eq!(
                found,
                ["done", "done", &expected],
                "{version}: {value} as {kept}\n{app}"
            );
        }
    }
    let ended = app.stop();
    assert!(ended.reasons().is_empty(), "{ended}");
}

#[test]
fn statements_of_all_kinds_are_answered_and_errors_are_the_servers() {
    let server = MariaDb::start();
    let app = up("\"mysql://*:*\"").start();
    let mariadb = address(&server).replace("mysql:", "mariadb:");
    for version in VERSIONS {
        let found = said(
            &app,
            version,
            &[
                ("address", &mariadb),
                ("do", "!create or replace table t (id int primary key, name text)"),
                ("do", "!insert into t values (?, ?), (2, 'two')"),
                ("values", "[ParameterValue_Int64(1), ParameterValue_Str('one')]"),
                ("do", "select id, name from t where id > 5"),
                ("do", "select id, name from t order by id"),
                ("do", "!insert into t values (1, '')"),
                ("do", "select * from nothing"),
                ("do", "select ?"),
                ("do", "select 1; select 2"),
                ("do", "!lock tables t write"),
                ("do", "!unlock tables"),
                ("do", "!use other"),
                ("do", "select database() as d"),
                ("do", "!begin not atomic select 1; select 2; end"),
                ("do", "select cast(1.50 as char) as v, count(*) as n from shop.t"),
                ("do", "load data local infile '/etc/passwd' into table shop.t"),
                ("do", "select seq from seq_1_to_1000"),
                ("do", "select 1 as one"),
            ],
        );
        let expected = [
            "done",
            "done",
            "id INT32, name STR: ",
            "id INT32, name STR: Int32(1), Str('one'); Int32(2), Str('two')",
            "QueryFailed: ERROR 1062 (23000): Duplicate entry '1' for key 'PRIMARY'",
            "QueryFailed: ERROR 1146 (42S02): Table 'shop.nothing' doesn't exist",
            "BadParameter: the statement has 1 parameters, and 0 were given",
            "QueryFailed: ERROR 1064 (42000): You have an error in your SQL syntax;",
            "done",
            "done",
            "done",
            "d STR: Str('other')",
            "done",
            "v STR, n INT64: Str('1.50'), Int64(2)",
            "QueryFailed: ERROR ",
            "seq UINT64: 1000 rows",
            "one INT32: Int32(1)",
        ];
        assert_eq!(found.len(), expected.len(), "{version}: {found:#?}\n{app}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.starts_with(expected),
                "{version}: {found}\nnot {expected}\n{app}"
            );
        }
    }
    app.stop();
}

// proves: HI-4
#[test]
fn nothing_of_a_session_reaches_the_next_instance_and_a_killed_connection_is_replaced() {
    let server = MariaDb::start();
    // Each worker has connections of its own.
    let app = up("\"mysql://*:*\"").option("--workers=1").start();
    let address = address(&server);
    let admin = format!("mysql://admin:secret@localhost:{}", server.port());
    let observe = |statement: &str| said(&app, "2", &[("address", &admin), ("do", statement)]).concat();
    let ask = |version: &str, statements: &[&str]| {
        let mut asked = vec![("address", &*address)];
        asked.extend(statements.iter().map(|statement| ("do", *statement)));
        // A new session is where the old one began.
        asked.push(("do", "!use other"));
        let found = said(&app, version, &asked);
        until("every connection has a new session or is closed", || {
            observe(
                "select count(*) as n from information_schema.processlist where user = 'guest' and db = 'other'",
            ) == "n INT64: Int64(0)"
        });
        found
    };
    let id = |version: &str| ask(version, &["select connection_id() as id"])[0].clone();
    let first = id("3");
    assert_eq!(id("3"), first, "it is used again\n{app}");
    assert_ne!(id("2"), first, "another component has its own\n{app}");
    let settings = "select @left, @@sql_mode, @@time_zone, @@autocommit, @@character_set_client, \
        @@collation_connection, @@character_set_results, current_role(), database(), is_free_lock('left'), \
        last_insert_id()";
    let before = ask("3", &[settings])[0].clone();
    assert!(before.contains("utf8mb4_general_ci"), "{before}");
    ask(
        "3",
        &["!create table left_over (x int auto_increment primary key) engine = innodb"],
    );
    let found = ask(
        "3",
        &[
            "!set @left = 1, sql_mode = '', time_zone = '+09:00', autocommit = 0",
            "!set names latin1",
            "!set role keeper",
            "!create temporary table hidden (x int)",
            "select get_lock('left', 0)",
            "!prepare p from 'select 1'",
            "!insert into left_over values ()",
        ],
    );
    assert!(found.iter().all(|answer| !answer.contains("ERROR")), "{found:?}");
    let found = ask(
        "3",
        &[
            settings,
            "select count(*) as n from left_over",
            "select * from hidden",
            "!execute p",
            "select connection_id() as id",
        ],
    );
    assert_eq!(found[0], before, "{app}");
    assert_eq!(found[1], "n INT64: Int64(0)", "it was rolled back");
    assert!(found[2].contains("ERROR 1146"), "{found:?}");
    assert!(found[3].contains("ERROR 1243"), "{found:?}");
    assert_eq!(found[4], first, "it is still the same one\n{app}");
    // A role that is the user's default is there again.
    assert_eq!(observe("!set default role keeper for guest@'%'"), "done");
    ask("3", &["select 1"]);
    ask("3", &["!set role none"]);
    let role = ask("3", &["select current_role() as r"])[0].clone();
    assert_eq!(role, "r STR: Str('keeper')", "{app}");
    // The server ends the connection while it waits, and the guest hears nothing of it.
    let number = first.rsplit_once('(').unwrap().1.trim_end_matches(')');
    assert_eq!(observe(&format!("!kill {number}")), "done");
    let of_it = format!("select count(*) as n from information_schema.processlist where id = {number}");
    until("the server has ended the connection", || {
        observe(&of_it) == "n INT64: Int64(0)"
    });
    let found = id("3");
    assert!(found.starts_with("id UINT32: Uint32("), "{found}\n{app}");
    assert_ne!(found, first);
    app.stop();
}

// proves: HI-1, HI-2, HI-3, HI-8
#[test]
fn what_may_not_be_reached_is_a_failed_connection_and_the_log_says_why() {
    let peer = TcpPeer::start(Manner::Echo);
    let at = peer.address();
    let dns = DnsServer::start();
    dns.answers(
        "db.test",
        [Reply::addresses(["10.0.0.5"]).via(["edge.evil.test"])],
    );
    let everything = "\"*://*:*\"";
    let (named, plain) = (
        format!("mysql://me@localhost:{}", at.port()),
        format!("mysql://me@{at}"),
    );
    for (allowed, denied, address, reason) in [
        (format!("\"tcp://{at}\""), "", &*plain, "allow.scheme"),
        (format!("\"postgres://{at}\""), "", &plain, "allow.scheme"),
        (
            format!("\"tcp://localhost:{}\"", at.port()),
            "",
            &named,
            "allow.scheme",
        ),
        (
            format!("\"mysql://localhost:{}\"", at.port()),
            "",
            &plain,
            "allow.no-match",
        ),
        ("\"mysql://localhost\"".to_owned(), "", &named, "allow.port"),
        (
            everything.to_owned(),
            &*format!("mysql://{at}"),
            &plain.replace("mysql", "mariadb"),
            "deny.host",
        ),
        (
            everything.to_owned(),
            &format!("mariadb://{at}"),
            &plain,
            "deny.host",
        ),
        (everything.to_owned(), &format!("tcp://{at}"), &plain, "deny.host"),
        (
            everything.to_owned(),
            "*://edge.evil.test:*",
            "mysql://me@db.test",
            "deny.cname",
        ),
        (
            everything.to_owned(),
            "",
            "mysql://me@169.254.169.254",
            "runtime.link-local",
        ),
        (
            everything.to_owned(),
            "",
            &format!("mysql://me@{at},{at}"),
            "address.invalid",
        ),
        (
            everything.to_owned(),
            "",
            &format!("mysql://me@{at}?socket=/run/mysqld.sock"),
            "address.invalid",
        ),
        (
            everything.to_owned(),
            "",
            "mysql://me@%2Frun%2Fmysqld.sock",
            "address.invalid",
        ),
    ] {
        let mut app = up(&allowed).dns(&dns).option("--no-resolve-disallowed");
        if !denied.is_empty() {
            app = app.deny(denied);
        }
        let app = app.start();
        for version in VERSIONS {
            let found = said(&app, version, &[("address", address), ("do", "select 1")]);
            let expected = match reason {
                "address.invalid" => "ConnectionFailed: the address is not understood: ",
                _ => "ConnectionFailed: it is not permitted",
            };
            assert!(
                found[0].starts_with(expected),
                "{address} {version}: {found:?}\n{app}"
            );
        }
        let ended = app.stop();
        let reasons = ended.reasons();
        assert!(
            reasons.len() >= 2 && reasons.iter().all(|found| found == reason),
            "{address} {allowed} {denied}\n{ended}"
        );
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_server_is_spoken_to_over_tls_if_its_certificate_is_for_its_name() {
    let authority = Authority::new();
    let server = MariaDb::start_with_tls(&authority.identity("localhost"));
    let config = "[[client_tls]]\ncomponent_ids = [\"three\"]\nhosts = [\"localhost\", \"127.0.0.1\"]\nca_roots_file = \"ca.pem\"\n";
    let app = up("\"mysql://*:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
        .file("ca.pem", authority.pem())
        .start();
    let (yes, no) = (
        "Variable_name STR, Value STR: Str('Ssl_cipher'), Str('TLS_",
        "Variable_name STR, Value STR: Str('Ssl_cipher'), Str('')",
    );
    let refused = "ConnectionFailed: TLS cannot be agreed on: invalid peer certificate";
    for (version, host, parameter, expected) in [
        ("3", "localhost", "?ssl-mode=required", yes),
        ("3", "localhost", "?ssl-mode=preferred", yes),
        ("3", "localhost", "?sslMode=VERIFY_CA", yes),
        ("3", "localhost", "", no),
        ("3", "localhost", "?ssl-mode=disabled", no),
        ("3", "127.0.0.1", "?ssl-mode=required", refused),
        ("3", "127.0.0.1", "?ssl-mode=preferred", refused),
        // Its roots are those of the machine.
        ("2", "localhost", "?ssl-mode=required", refused),
        ("2", "localhost", "", no),
    ] {
        let address = format!("mysql://guest:secret@{host}:{}/shop{parameter}", server.port());
        // Twice, since what is kept is authenticated anew.
        for _ in 0..2 {
            let found = said(
                &app,
                version,
                &[("address", &address), ("do", "show status like 'Ssl_cipher'")],
            );
            assert!(
                found[0].starts_with(expected),
                "{version} {host} {parameter}: {found:?}\n{app}"
            );
        }
    }
    app.stop();
}

/// Connections to `port` of this machine that are established, as the system knows them.
fn established(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!(":{port:04X} 01");
    table
        .lines()
        .filter(|line| line.get(20..).is_some_and(|line| line.contains(&to)))
        .count()
}

// proves: HI-4
#[test]
fn a_deny_list_that_is_loaded_again_closes_what_is_kept_and_the_operator_bounds_how_many_there_are() {
    let server = MariaDb::start();
    let config = |denied: &str| {
        format!(
            "[outbound_networking]\ndisallowed_outbound_hosts = [{denied}]\n[outbound_mysql]\nmax_connections = 1\n"
        )
    };
    let app = up("\"mysql://*:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config(""))
        .start();
    let address = address(&server);
    let admin = format!("mysql://admin:secret@localhost:{}", server.port());
    let sleeper = "from information_schema.processlist where user = 'guest' and info like 'select sleep%'";
    let (at, waits) = (
        app.address(),
        path("3", &[("address", &address), ("do", "select sleep(300) as s")]),
    );
    let waiting = thread::spawn(move || http::get(at, &waits).unwrap().body);
    let observe = |statement: &str| said(&app, "2", &[("address", &admin), ("do", statement)]).concat();
    until("a guest waits", || {
        observe(&format!("select count(*) as n {sleeper}")) == "n INT64: Int64(1)"
    });
    let found = said(&app, "3", &[("address", &address), ("do", "select 1")]);
    assert_eq!(found, ["ConnectionFailed: too many connections are open"]);
    let id = observe(&format!("select id {sleeper}"));
    let id = id.rsplit_once('(').unwrap().1.trim_end_matches(')').to_owned();
    assert_eq!(observe(&format!("!kill query {id}")), "done");
    waiting.join().unwrap();
    until("there is a place again", || {
        said(&app, "3", &[("address", &address), ("do", "select 1 as n")]) == ["n INT32: Int32(1)"]
    });
    assert!(established(server.port()) > 0, "one is kept");
    app.write("runtime.toml", config("\"mysql://localhost:*\""));
    app.wait_for_error_line("The operator's list was loaded again");
    until("what is kept is closed", || established(server.port()) == 0);
    let found = said(&app, "3", &[("address", &address), ("do", "select 1")]);
    assert_eq!(found, ["ConnectionFailed: it is not permitted"]);
    app.stop();
}

/// Its function `ask` opens a connection, and answers 0 if it is one and 1 if it failed.
const ASKER: &str = r#"(component
  IMPORT
  (core module $memory
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 0) "ADDRESS")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      global.get $free
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $open (canon lower (func $mysql "[static]connection.open") (memory $mem) (realloc $realloc)))
  (core module $ask
    (import "host" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (func (export "ask") (result i32)
      (call $open (i32.const 0) (i32.const LENGTH) (i32.const 512))
      (if (result i32) (i32.load8_u (i32.const 512))
        (then (i32.add (i32.const 1) (i32.load8_u (i32.const 516))))
        (else (i32.const 0)))))
  (core instance $ask (instantiate $ask (with "host" (instance
    (export "memory" (memory $mem)) (export "open" (func $open))))))
  (func $ask (result u32) (canon lift (core func $ask "ask")))
  (instance $exported (export "ask" (func $ask)))
  (export "outport:test/asker@1.0.0" (instance $exported)))"#;

const ERROR: &str = r#"(variant (case "connection-failed" string) (case "bad-parameter" string)
    (case "query-failed" string) (case "value-conversion-failed" string) (case "other" string))"#;

const IMPORT: &str = r#"(import "fermyon:spin/rdbms-types@2.0.0" (instance $types
    (type $of-error ERROR)
    (export "error" (type (eq $of-error)))))
  (alias export $types "error" (type $error))
  (import "fermyon:spin/mysql@2.0.0" (instance $mysql
    (alias outer 1 $error (type $of-others))
    (export "error" (type $error (eq $of-others)))
    (export "connection" (type $connection (sub resource)))
    (export "[static]connection.open" (func (param "address" string)
      (result (result (own $connection) (error $error)))))))"#;

// proves: HI-5
#[test]
fn a_dependency_reaches_the_server_of_its_component_only_if_it_inherits_that() {
    let server = MariaDb::start();
    let address = address(&server);
    let wasm = |text: &str| wat::parse_str(text).expect("a component of our own");
    let inherits = ", inherit_configuration = [\"allowed_outbound_hosts\"]";
    for (inheritance, answer, reason) in [
        ("", "1", "allow.not-inherited"),
        (
            ", inherit_configuration = [\"ai_models\"]",
            "1",
            "allow.not-inherited",
        ),
        (inherits, "0", ""),
    ] {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"mysql\"\n\
             [[trigger.command]]\ncomponent = \"main\"\n\
             [component.main]\nsource = \"command.wasm\"\nallowed_outbound_hosts = [\"mysql://localhost:*\"]\n\
             [component.main.dependencies]\n\
             \"outport:test/asker@1.0.0\" = {{ path = \"asker.wasm\"{inheritance} }}\n"
        );
        let asker = ASKER
            .replace("IMPORT", &IMPORT.replace("ERROR", ERROR))
            .replace("ADDRESS", &address)
            .replace("LENGTH", &address.len().to_string());
        let finished = Outport::up(&manifest)
            .file("command.wasm", wasm(&COMMAND.replace("ANSWER", answer)))
            .file("asker.wasm", wasm(&asker))
            .finish()
            .expect_code(0);
        let log = finished.audit.iter();
        let of_mysql: Vec<String> = log
            .filter(|line| line.field("attempt") == "mysql.connect")
            .map(|line| line.reason())
            .collect();
        assert_eq!(of_mysql, [reason], "{inheritance}\n{finished}");
    }
}
