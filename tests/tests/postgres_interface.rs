//! The PostgreSQL interface in its versions: apps of Spin's Python SDKs, unchanged, and a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;

use outport_e2e::outport::{Outport, Running};
use outport_e2e::postgres::Postgres;
use outport_e2e::python;
use outport_e2e::stores;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::Authority;
use outport_e2e::until::until;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "postgres"

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = "/2/..."
component = "old"

[component.app]
source = "APP"
allowed_outbound_hosts = [ALLOWED]

[component.old]
source = "OLD"
allowed_outbound_hosts = [ALLOWED]
"#;

/// An app of `spin:postgres@4.2.0`, and at `/2/` one of `fermyon:spin/postgres@2.0.0`.
fn up(allowed: &str) -> Outport {
    let apps: [(&str, PathBuf); 2] = [
        ("APP", python::spin_app("spin_postgres")),
        ("OLD", python::spin_app_of_sdk_3("spin_postgres_3")),
    ];
    let mut manifest = APP.replace("ALLOWED", allowed);
    for (name, path) in apps {
        manifest = manifest.replace(&format!("\"{name}\""), &format!("\"{}\"", path.display()));
    }
    Outport::up(&manifest)
}

/// What is said to each of the statements, by one connection to `address`, which is how the app is `asked`.
fn said(app: &Running, path: &str, asked: &[(&str, &str)]) -> Vec<String> {
    let pair = |(key, value): &(&str, &str)| format!("{key}={}", encoded(value));
    let query: Vec<String> = asked.iter().map(pair).collect();
    let answer = app.get(&format!("{path}?{}", query.join("&")));
    assert_eq!(answer.status, 200, "{asked:?}\n{}\n{app}", answer.body);
    answer.body.lines().map(str::to_owned).collect()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn address(postgres: &Postgres) -> String {
    format!(
        "postgres://postgres:secret@localhost:{}/postgres",
        postgres.port()
    )
}

/// A value of each type, as it is written in Python, where the server has it, and as it comes back.
const VALUES: [(&str, &str, &str); 36] = [
    ("Boolean(True)", "bool", "Boolean: Boolean(True)"),
    ("Int8(-5)", "\"char\"", "Other(char): Unsupported(b'\\xfb')"),
    ("Int16(-32768)", "int2", "Int16: Int16(-32768)"),
    ("Int32(2147483647)", "int4", "Int32: Int32(2147483647)"),
    ("Int32(7)", "int8", "Int64: Int64(7)"),
    (
        "Int64(-9223372036854775808)",
        "int8",
        "Int64: Int64(-9223372036854775808)",
    ),
    ("Floating32(1.5)", "float4", "Floating32: Floating32(1.5)"),
    ("Floating64(1e-300)", "float8", "Floating64: Floating64(1e-300)"),
    (
        "Floating64(float('-inf'))",
        "float8",
        "Floating64: Floating64(-inf)",
    ),
    ("Str(\"a'b\\\\\\u00e9\")", "text", "Str: Str(\"a'b\\\\é\")"),
    ("Str('x')", "varchar", "Str: Str('x')"),
    ("Str('x')", "char(3)", "Str: Str('x  ')"),
    (
        "Str('5f2bd0a1-0000-4000-8000-0123456789ab')",
        "uuid",
        "Uuid: Uuid('5f2bd0a1-0000-4000-8000-0123456789ab')",
    ),
    ("Binary(b'\\x00\\xff')", "bytea", "Binary: Binary(b'\\x00\\xff')"),
    ("Date((2026, 2, 28))", "date", "Date: Date((2026, 2, 28))"),
    ("Date((-43, 3, 15))", "date", "Date: Date((-43, 3, 15))"),
    (
        "Time((23, 59, 59, 999999000))",
        "time",
        "Time: Time((23, 59, 59, 999999000))",
    ),
    (
        "Datetime((2026, 2, 28, 1, 2, 3, 4000))",
        "timestamp",
        "Datetime: Datetime((2026, 2, 28, 1, 2, 3, 4000))",
    ),
    (
        "Datetime((1969, 12, 31, 23, 59, 59, 0))",
        "timestamptz",
        "Datetime: Datetime((1969, 12, 31, 23, 59, 59, 0))",
    ),
    (
        "Timestamp(-1)",
        "timestamptz",
        "Datetime: Datetime((1969, 12, 31, 23, 59, 59, 0))",
    ),
    (
        "Uuid('5F2BD0A1000040008000-0123456789ab')",
        "uuid",
        "Uuid: Uuid('5f2bd0a1-0000-4000-8000-0123456789ab')",
    ),
    (
        "Jsonb(b'{\"a\": [1, \"\\\\u0000x\"]}')",
        "json",
        "Other(json): Unsupported(b'{\"a\": [1, \"\\\\u0000x\"]}')",
    ),
    (
        "Jsonb(b'{\"a\":[1,null]}')",
        "jsonb",
        "Jsonb: Jsonb(b'{\"a\": [1, null]}')",
    ),
    (
        "Decimal('-123456789012345678901234567890.1230')",
        "numeric",
        "Decimal: Decimal('-123456789012345678901234567890.1230')",
    ),
    ("Decimal('NaN')", "numeric", "Decimal: Decimal('NaN')"),
    ("Decimal('0.00001')", "numeric", "Decimal: Decimal('0.00001')"),
    (
        "RangeInt32(((1, RangeBoundKind.INCLUSIVE), (5, RangeBoundKind.INCLUSIVE)))",
        "int4range",
        "RangeInt32: RangeInt32(((1, <RangeBoundKind.INCLUSIVE: 0>), (6, <RangeBoundKind.EXCLUSIVE: 1>)))",
    ),
    (
        "RangeInt64((None, (5, RangeBoundKind.EXCLUSIVE)))",
        "int8range",
        "RangeInt64: RangeInt64((None, (5, <RangeBoundKind.EXCLUSIVE: 1>)))",
    ),
    (
        "RangeDecimal((('1.5', RangeBoundKind.EXCLUSIVE), None))",
        "numrange",
        "RangeDecimal: RangeDecimal((('1.5', <RangeBoundKind.EXCLUSIVE: 1>), None))",
    ),
    (
        "RangeInt32(((0, RangeBoundKind.EXCLUSIVE), (0, RangeBoundKind.EXCLUSIVE)))",
        "int4range",
        "RangeInt32: RangeInt32(((0, <RangeBoundKind.EXCLUSIVE: 1>), (0, <RangeBoundKind.EXCLUSIVE: 1>)))",
    ),
    (
        "ArrayInt32([1, None, -1])",
        "int4[]",
        "ArrayInt32: ArrayInt32([1, None, -1])",
    ),
    ("ArrayInt64([])", "int8[]", "ArrayInt64: ArrayInt64([])"),
    (
        "ArrayDecimal(['1.50', None])",
        "numeric[]",
        "ArrayDecimal: ArrayDecimal(['1.50', None])",
    ),
    (
        "ArrayStr(['a\"b,{}', 'NULL', '', None])",
        "text[]",
        "ArrayStr: ArrayStr(['a\"b,{}', 'NULL', '', None])",
    ),
    (
        "Interval(Interval(micros=-1, days=2, months=-3))",
        "interval",
        "Interval: Interval(Interval(micros=-1, days=2, months=-3))",
    ),
    ("DbNull()", "int4", "Int32: DbNull()"),
];

// proves: HI-1, HI-2, HI-4
#[test]
fn a_value_of_every_type_goes_to_the_server_and_comes_back() {
    let postgres = Postgres::start();
    let app = up(&format!("\"postgres://localhost:{}\"", postgres.port())).start();
    let address = address(&postgres);
    for by in ["stream", "calls", "builder"] {
        let mut asked = vec![
            ("address".to_owned(), address.clone()),
            ("by".to_owned(), by.to_owned()),
        ];
        for (value, wanted, _) in VALUES {
            asked.push(("do".to_owned(), format!("select $1::{wanted} as v")));
            asked.push(("values".to_owned(), format!("[ParameterValue_{value}]")));
        }
        let asked: Vec<(&str, &str)> = asked.iter().map(|(key, value)| (&**key, &**value)).collect();
        let found = said(&app, "/", &asked);
        assert_eq!(found.len(), VALUES.len(), "{found:#?}\n{app}");
        for (found, (value, wanted, expected)) in found.iter().zip(VALUES) {
            assert_eq!(*found, format!("v {expected}"), "{by}: {value} as {wanted}");
        }
    }
    let ended = app.stop();
    assert!(ended.reasons().is_empty(), "{ended}");
}

#[test]
fn errors_are_told_in_parts_and_an_empty_result_has_its_columns() {
    let postgres = Postgres::start();
    let app = up("\"postgres://*:*\"").start();
    let address = address(&postgres);
    for by in ["stream", "calls"] {
        let found = said(
            &app,
            "/",
            &[
                ("address", &address),
                ("by", by),
                (
                    "do",
                    "!create temp table t (id int primary key, name text, kind text)",
                ),
                ("do", "!insert into t values ($1, $2, 'x'), (2, 'two', 'x')"),
                ("values", "[ParameterValue_Int64(1), ParameterValue_Str('one')]"),
                ("do", "select id, name from t where id > 5"),
                ("do", "select id, name from t order by id"),
                ("do", "!insert into t values (1)"),
                ("do", "select * from nothing"),
                ("do", "select $1::int4"),
                ("do", "select $1::int4"),
                ("values", "[ParameterValue_Str('x')]"),
                ("do", "select $1::int4"),
                ("values", "[ParameterValue_Binary(b'x')]"),
                ("do", "select 'infinity'::date"),
                ("do", "select generate_series(1, 1000)"),
                ("do", "!update t set kind = 'y'"),
            ],
        );
        assert_eq!(
            found,
            [
                "0 rows",
                "2 rows",
                "id Int32, name Str: ",
                "id Int32, name Str: Int32(1), Str('one'); Int32(2), Str('two')",
                "23505 ERROR: duplicate key value violates unique constraint \"t_pkey\" (SQLSTATE 23505)",
                "42P01 ERROR: relation \"nothing\" does not exist (SQLSTATE 42P01)",
                "BadParameter: the statement has 1 parameters, and 0 were given",
                "22P02 ERROR: invalid input syntax for type integer: \"x\" (SQLSTATE 22P02)",
                "BadParameter: the parameter $1: it is bytes, and the statement wants no `bytea` there",
                if by == "calls" {
                    "ValueConversionFailed: the column `date`: it is infinite"
                } else {
                    "0 rows, then ValueConversionFailed: the column `date`: it is infinite"
                },
                "generate_series Int32: 1000 rows",
                "2 rows",
            ],
            "{by}\n{app}"
        );
    }
    app.stop();
}

// The SDK's Python has no integers beyond the signed ones of each size for it, and gives booleans as numbers.
#[test]
fn an_app_of_version_2_has_its_values_and_later_types_are_unsupported() {
    let postgres = Postgres::start();
    let app = up("\"postgres://*:*\"").start();
    let found = said(
        &app,
        "/2/",
        &[
            ("address", &address(&postgres)),
            (
                "do",
                "select $1::bool, $2::int8, $3::numeric::text, $4::bytea, $5::text, $6::int4",
            ),
            (
                "values",
                "[ParameterValue_Boolean(True), ParameterValue_Uint32(2147483647), \
                 ParameterValue_Uint64(9223372036854775807), ParameterValue_Binary(b'x'), ParameterValue_Str('y'), \
                 ParameterValue_DbNull()]",
            ),
            ("do", "select '2026-01-01'::date as day, 1.5::float8 as number"),
            ("do", "!select 1"),
            ("do", "select * from nothing"),
        ],
    );
    assert_eq!(
        found,
        [
            "bool BOOLEAN, int8 INT64, text STR, bytea BINARY, text STR, int4 INT32: Boolean(1), Int64(2147483647), \
             Str('9223372036854775807'), Binary(b'x'), Str('y'), DbNull()",
            "day OTHER, number FLOATING64: Unsupported(), Floating64(1.5)",
            "1 rows",
            "QueryFailed: ERROR: relation \"nothing\" does not exist (SQLSTATE 42P01)",
        ],
        "{app}"
    );
    app.stop();
}

// proves: HI-4
#[test]
fn nothing_of_a_session_reaches_the_next_instance_and_a_killed_connection_is_replaced() {
    let postgres = Postgres::start();
    // Each worker has connections of its own.
    let app = up("\"postgres://*:*\"").option("--workers=1").start();
    let address = address(&postgres);
    let observer = format!("{address}?application_name=observer");
    let observe = |statement: &str| said(&app, "/", &[("address", &observer), ("do", statement)]).concat();
    let ask = |statements: &[&str]| {
        let mut asked = vec![("address", &*address)];
        asked.extend(statements.iter().map(|statement| ("do", *statement)));
        let found = said(&app, "/", &asked);
        // What is set back is set back when the request is over.
        until("every connection is set back or closed", || {
            observe(
                "select count(*) from pg_stat_activity where backend_type = 'client backend' \
                    and pid <> pg_backend_pid() and (state <> 'idle' or query not like '%CLOSE ALL;%')",
            ) == "count Int64: Int64(0)"
        });
        found
    };
    let id = || ask(&["select pg_backend_pid()"]).concat();
    let first = id();
    assert_eq!(id(), first, "it is used again\n{app}");
    ask(&[
        "!set search_path = evil",
        "!set timezone = 'Asia/Tokyo'",
        "!set role pg_read_all_data",
        "!create temp table left_over (x int)",
        "select pg_advisory_lock(5)",
        "!listen left_over",
    ]);
    let found = ask(&[
        "select pg_backend_pid()",
        "select current_setting('search_path'), current_setting('timezone') = 'Asia/Tokyo', current_user::text",
        "select to_regclass('left_over') is null",
        "select count(*) from pg_locks where locktype = 'advisory'",
        "select count(*) from pg_listening_channels()",
    ]);
    assert_eq!(found[0], first, "it is still the same one\n{app}");
    let expected = [
        "current_setting Str, ?column? Boolean, current_user Str: Str('\"$user\", public'), Boolean(False), Str('postgres')",
        "?column? Boolean: Boolean(True)",
        "count Int64: Int64(0)",
        "count Int64: Int64(0)",
    ];
    assert_eq!(found[1..], expected, "{app}");
    // What cannot be set back ends the connection.
    for statement in ["!begin", "!prepare p as select 1", "!copy (select 1) to stdout"] {
        let before = id();
        ask(&[statement]);
        assert_ne!(id(), before, "{statement}\n{app}");
    }
    // The server ends the connection while it waits, and the guest hears nothing of it.
    let waiting = id();
    // Who observes may have two connections, if the first one was still being set back.
    let others =
        "from pg_stat_activity where backend_type = 'client backend' and application_name <> 'observer'";
    let ended = observe(&format!("select count(pg_terminate_backend(pid)) {others}"));
    assert_eq!(ended, "count Int64: Int64(1)", "{app}");
    until("the server has ended the connection", || {
        observe(&format!("select count(*) {others}")) == "count Int64: Int64(0)"
    });
    let found = id();
    assert!(
        found.starts_with("pg_backend_pid Int32: Int32("),
        "{found}\n{app}"
    );
    assert_ne!(found, waiting);
    app.stop();
}

// proves: HI-1, HI-2, HI-3, HI-8
#[test]
fn what_may_not_be_reached_is_a_failed_connection_and_the_log_says_why() {
    let peer = TcpPeer::start(Manner::Echo);
    let at = peer.address();
    let everything = "\"*://*:*\"";
    for (allowed, denied, address, reason) in [
        (
            format!("\"tcp://{at}\""),
            String::new(),
            format!("postgres://me@{at}"),
            "allow.scheme",
        ),
        (
            format!("\"mysql://{at}\""),
            String::new(),
            format!("postgresql://me@{at}"),
            "allow.scheme",
        ),
        (
            format!("\"postgres://localhost:{}\"", at.port()),
            String::new(),
            format!("host=127.0.0.1 port={} user=me", at.port()),
            "allow.no-match",
        ),
        (
            everything.to_owned(),
            format!("postgres://{at}"),
            format!("postgresql://me@{at}"),
            "deny.host",
        ),
        (
            everything.to_owned(),
            format!("postgresql://{at}"),
            format!("postgres://me@{at}"),
            "deny.host",
        ),
        (
            everything.to_owned(),
            format!("tcp://{at}"),
            format!("postgres://me@{at}"),
            "deny.host",
        ),
        (
            everything.to_owned(),
            String::new(),
            format!("postgres://me@{at},{at}"),
            "address.invalid",
        ),
        (
            everything.to_owned(),
            String::new(),
            format!("host=db.example hostaddr={} port={} user=me", at.ip(), at.port()),
            "address.invalid",
        ),
        (
            everything.to_owned(),
            String::new(),
            "host=/run/postgresql user=me".to_owned(),
            "address.invalid",
        ),
    ] {
        let mut app = up(&allowed);
        if !denied.is_empty() {
            app = app.deny(&denied);
        }
        let app = app.start();
        for (path, by) in [
            ("/", "stream"),
            ("/", "calls"),
            ("/", "builder"),
            ("/", "builder-calls"),
            ("/2/", ""),
        ] {
            let found = said(
                &app,
                path,
                &[("address", &address), ("by", by), ("do", "select 1")],
            );
            let expected = match reason {
                "address.invalid" => "ConnectionFailed: the address is not understood: ",
                _ => "ConnectionFailed: it is not permitted",
            };
            assert!(found[0].starts_with(expected), "{address} {by}: {found:?}\n{app}");
        }
        let ended = app.stop();
        let reasons = ended.reasons();
        assert!(!reasons.is_empty(), "{ended}");
        assert!(
            reasons.iter().all(|found| found == reason),
            "{address} {allowed} {denied}\n{ended}"
        );
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_server_is_spoken_to_over_tls_if_its_certificate_is_for_its_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let postgres = Postgres::start_with_tls(&authority.identity("localhost"));
    let config = "[[client_tls]]\ncomponent_ids = [\"app\"]\nhosts = [\"localhost\", \"127.0.0.1\"]\nca_roots_file = \"ca.pem\"\n";
    let trusting = |profile: bool| {
        let app = up("\"postgres://*:*\"");
        if !profile {
            return app.start();
        }
        app.option("--runtime-config-file=runtime.toml")
            .file("runtime.toml", config)
            .file("ca.pem", authority.pem())
            .start()
    };
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let (yes, no) = ("ssl Boolean: Boolean(True)", "ssl Boolean: Boolean(False)");
    let refused = "ConnectionFailed: TLS cannot be agreed on: invalid peer certificate";
    let profiled = trusting(true);
    let plain = trusting(false);
    let pem = (authority.pem(), other.pem());
    for (app, host, mode, root, expected) in [
        (&profiled, "localhost", "", None, yes),
        (
            &profiled,
            "localhost",
            "?sslmode=require&channel_binding=require",
            None,
            yes,
        ),
        (&profiled, "localhost", "?sslmode=verify-ca", None, yes),
        (&profiled, "localhost", "?sslmode=disable", None, no),
        (&profiled, "127.0.0.1", "?sslmode=require", None, refused),
        (&profiled, "127.0.0.1", "?sslmode=prefer", None, refused),
        (&profiled, "localhost", "", Some(&pem.1), refused),
        (&plain, "localhost", "?sslmode=require", None, refused),
        (&plain, "localhost", "", Some(&pem.0), yes),
        (&plain, "localhost", "", Some(&pem.1), refused),
    ] {
        let address = format!(
            "postgres://postgres:secret@{host}:{}/postgres{mode}",
            postgres.port()
        );
        let mut asked = vec![("address", &*address), ("do", encrypted)];
        if let Some(root) = root {
            asked.extend([("by", "builder"), ("root", &**root)]);
        }
        let found = said(app, "/", &asked);
        assert!(
            found[0].starts_with(expected),
            "{host} {mode} {root:?}: {found:?}\n{app}"
        );
    }
    profiled.stop();
    plain.stop();
}

// proves: HI-4
#[test]
fn a_statement_that_comes_again_means_what_it_means_by_then() {
    let postgres = Postgres::start();
    let port = postgres.port();
    let app = stores::app(&[(
        "one",
        &format!("allowed_outbound_hosts = [\"postgres://127.0.0.1:{port}\"]"),
    )]);
    let app = Outport::up(&app).start();
    let open = format!("pg4.open postgres://postgres:secret@127.0.0.1:{port}/postgres");
    let read = "pg4.query select * from things";
    stores::check(
        &app,
        "one",
        &[
            (open.as_str(), "ok"),
            ("pg4.execute create table things (a int)", "0"),
            ("pg4.execute insert into things values (1)", "1"),
            (read, "int32(1)"),
            (read, "int32(1)"),
            (
                "pg4.execute alter table things add column b text default 'x'",
                "0",
            ),
            (read, "int32(1), str(\"x\")"),
            // Within a transaction a refusal would be its end.
            ("pg4.execute begin", "0"),
            (read, "int32(1), str(\"x\")"),
            ("pg4.execute alter table things drop column b", "0"),
            (read, "int32(1)"),
            ("pg4.execute commit", "0"),
            (read, "int32(1)"),
            ("pg4.execute deallocate all", "0"),
            (read, "int32(1)"),
        ],
    );
    // The next instance, and one that finds a connection whose statements were taken away.
    for last in ["pg4.execute discard all", "pg4.execute deallocate all"] {
        stores::check(
            &app,
            "one",
            &[(open.as_str(), "ok"), (read, "int32(1)"), (last, "0")],
        );
    }
}
