//! The MySQL interface in both versions: apps of Spin's Python SDKs, unchanged, and a real MariaDB server. What MySQL does and
//! MariaDB does not (`caching_sha2_password`) is in the tests of the interface itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod dependency;
mod values;

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
