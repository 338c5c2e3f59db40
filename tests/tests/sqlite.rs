//! SQLite databases, end to end, by an app of Spin's Python SDK that executes what it is sent: each interface, who is granted
//! which database, what is kept, and what happens to statements and files that are bad.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::libsql::LibSqlServer;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;
use outport_e2e::schema;
use outport_e2e::stores::{self, FileLock};
use outport_e2e::until::until;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stores::can_mount;

/// The interfaces, as the guest calls them: 2.0.0, and 3.1.0 with and without its asynchronous functions.
const INTERFACES: [&str; 3] = ["2", "3", "async"];

/// The database that nobody configured, beside the manifest.
const FILE: &str = ".spin/sqlite_db.db";

/// An app whose components are all the same one, with these lines in their tables.
fn manifest(components: &[(&str, &str)]) -> String {
    let source = python::spin_app("sqlite_app").display().to_string();
    let mut manifest = "spin_manifest_version = 2\napplication.name = \"tables\"\n".to_owned();
    for (name, lines) in components {
        manifest += &format!(
            "[[trigger.http]]\nroute = \"/{name}\"\ncomponent = \"{name}\"\n[component.{name}]\nsource = {source:?}\n{lines}\n"
        );
    }
    manifest
}

const DEFAULT: &str = "sqlite_databases = [\"default\"]";

fn one() -> Outport {
    Outport::up(&manifest(&[("one", DEFAULT)]))
}

/// Starts the app in a folder that outlives it.
fn start_in(folder: &Path) -> Running {
    fs::write(folder.join("spin.toml"), manifest(&[("one", DEFAULT)])).unwrap();
    Outport::command("up")
        .options(["--listen=127.0.0.1:0", "-f"])
        .option(folder)
        .start()
}

/// What the guest is answered to these statements, each with its parameters, on a connection of their own.
fn try_ask(to: SocketAddr, component: &str, asked: &Value) -> Option<Vec<Value>> {
    let body = asked.to_string();
    let request = format!(
        "POST /{component} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = http::send(to, &request).ok()?;
    (answer.status == 200).then(|| serde_json::from_str(&answer.body).unwrap())
}

fn ask(app: &Running, component: &str, interface: &str, label: &str, statements: Value) -> Vec<Value> {
    let asked = json!({ "interface": interface, "label": label, "statements": statements });
    try_ask(app.address(), component, &asked).unwrap_or_else(|| panic!("{asked}: no answer\n{app}"))
}

/// The rows of one statement, or its error.
fn rows(app: &Running, sql: &str) -> Value {
    let answer = ask(app, "one", "2", "default", json!([[sql]])).remove(0);
    answer.get("rows").cloned().unwrap_or(answer)
}

// proves: HI-5
#[test]
fn every_interface_executes_statements_with_every_kind_of_value() {
    let app = one().start();
    for interface in INTERFACES {
        let statements = json!([
            ["DROP TABLE IF EXISTS v"],
            ["CREATE TABLE v (a, b)"],
            ["INSERT INTO v VALUES (?, ?), (?, ?), (?, ?)", 1, -0.5, "täxt", { "blob": "00ff" }, null, i64::MIN],
            ["SELECT a, b, a IS NULL AS is_null FROM v ORDER BY rowid"],
            ["SELECT a FROM v WHERE 0"],
            ["UPDATE v SET a = 2 WHERE a = ?1 OR b = ?2", "täxt", -0.5],
            ["SELEC"],
            ["SELECT * FROM nowhere"],
            ["SELECT ?"],
            ["INSERT INTO v VALUES (1, 2); INSERT INTO v VALUES (3, 4)"],
            ["ATTACH 'other.db' AS other"],
        ]);
        let answers = ask(&app, "one", interface, "default", statements);
        assert!(
            answers[..6].iter().all(Value::is_object),
            "{interface}: {answers:?}"
        );
        let found = json!([[1, -0.5, 0], ["täxt", { "blob": "00ff" }, 0], [null, i64::MIN, 1]]);
        assert_eq!(answers[3]["columns"], json!(["a", "b", "is_null"]), "{interface}");
        assert_eq!(answers[3]["rows"], found, "{interface}");
        assert_eq!(answers[4]["columns"], json!(["a"]), "{interface}");
        assert_eq!(answers[4]["rows"], json!([]), "{interface}");
        if interface != "2" {
            let counts = |of: &Value| (of["changes"].clone(), of["rowid"].clone());
            assert_eq!(counts(&answers[2]), (json!(3), json!(3)), "{interface}");
            assert_eq!(counts(&answers[5]), (json!(2), json!(3)), "{interface}");
        }
        let errors = json!([
            "Io: near \"SELEC\": syntax error",
            "Io: no such table: nowhere",
            "Io: 0 parameters for a statement that has 1",
            "Io: more than one statement: they are executed one by one",
            "Io: `ATTACH` is not served",
        ]);
        assert_eq!(json!(answers[6..]), errors, "{interface}");
    }
    let ended = app.stop();
    assert!(!ended.stderr.contains("warning"), "{ended}");
}

// proves: HI-5, HI-8
#[test]
fn a_database_is_had_by_who_lists_it_and_by_nobody_else() {
    let components = [
        ("one", DEFAULT),
        ("two", "sqlite_databases = [\"default\", \"orders\"]"),
        ("none", ""),
    ];
    let app = Outport::up(&manifest(&components))
        .file("config.toml", "[sqlite_database.orders]\ntype = \"spin\"\n")
        .option("--runtime-config-file=config.toml")
        .option("--sqlite=CREATE TABLE t (a); INSERT INTO t VALUES ('from the start')")
        .start();
    let read = json!([["SELECT a FROM t"]]);
    for interface in INTERFACES {
        for (component, label, says) in [
            ("one", "orders", "AccessDenied"),
            ("one", "Default", "AccessDenied"),
            ("none", "default", "AccessDenied"),
            ("none", "", "AccessDenied"),
            ("two", "orders", "Io: no such table: t"),
        ] {
            let answer = ask(&app, component, interface, label, read.clone());
            assert_eq!(answer, [json!(says)], "{component} {interface} {label}");
        }
        for component in ["one", "two"] {
            let answer = ask(&app, component, interface, "default", read.clone());
            assert_eq!(
                answer[0]["rows"],
                json!([["from the start"]]),
                "{component} {interface}"
            );
        }
    }
    let ended = app.stop();
    schema::assert_log_of(&ended);
    let reasons = ended.reasons();
    assert!(
        reasons.contains(&"allow.label".to_owned()),
        "{reasons:?}\n{ended}"
    );
    assert!(
        ended.stderr.contains("add \"orders\" to sqlite_databases"),
        "{ended}"
    );
}

// proves: HI-7
#[test]
fn what_a_guest_asks_too_much_of_is_its_own_error_or_end_and_others_go_on() {
    let app = one().option("--max-cpu-time=2s").start();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    let statements = json!([
        ["SELECT zeroblob(2147483647)"],
        ["SELECT length(printf('%.*c', 2147483647, 'x'))"],
        [format!("SELECT {}1", "(".repeat(100_000))],
        ["SELECT 1;".repeat(100_000)],
        ["SELECT CAST(x'ff' AS TEXT)"],
        ["VACUUM INTO 'copy.db'"],
        ["SELECT 'still here'"],
    ]);
    for interface in INTERFACES {
        let mut answers = ask(&app, "one", interface, "default", statements.clone());
        let last = answers.pop().unwrap();
        assert_eq!(last["rows"], json!([["still here"]]), "{interface}");
        for answer in answers {
            assert!(
                answer.as_str().is_some_and(|text| text.starts_with("Io: ")),
                "{interface}: {answer}"
            );
        }
        // Its processor time is the guest's, and ends it.
        let begun = Instant::now();
        let endless = json!({ "interface": interface, "label": "default", "statements": [[format!("{numbers} SELECT count(*) FROM n")]] });
        let neighbour = thread::scope(|scope| {
            let endless = scope.spawn(|| try_ask(app.address(), "one", &endless));
            thread::sleep(Duration::from_millis(200));
            let neighbour = rows(&app, "SELECT 1");
            assert_eq!(endless.join().unwrap(), None, "{interface}");
            neighbour
        });
        assert_eq!(neighbour, json!([[1]]), "{interface}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    }
    let ended = app.stop();
    assert!(ended.stderr.contains("computed for more than 2 s"), "{ended}");
}

// proves: HI-7
#[test]
fn what_sqlite_holds_for_a_guest_counts_for_it() {
    let app = one().option("--max-memory=160MiB").start();
    let sort = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
         SELECT count(*) FROM (SELECT randomblob(1000) AS r FROM n ORDER BY r)";
    let temporary = format!("CREATE TEMP TABLE t AS {}", sort.replace("count(*)", "*"));
    let asked = json!({ "interface": "3", "label": "default", "statements": [[temporary]] });
    assert_eq!(try_ask(app.address(), "one", &asked), None, "the guest is ended");
    assert_eq!(rows(&app, "SELECT 1"), json!([[1]]));
    let ended = app.stop();
    assert!(ended.stderr.contains("memory"), "{ended}");
}

// proves: HI-7
#[test]
fn a_file_that_is_no_database_is_an_error_and_a_warning_and_the_app_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".spin")).unwrap();
    fs::write(
        folder.path().join(FILE),
        "no database at all, and long enough".repeat(200),
    )
    .unwrap();
    let app = start_in(folder.path());
    for _ in 0..3 {
        assert_eq!(rows(&app, "SELECT 1 FROM t"), json!("Io: file is not a database"));
    }
    app.wait_for_error_line("warning: SQLite database `");
    let ended = app.stop().expect_code(0);
    assert!(ended.stderr.contains("it is not a database"), "{ended}");
    assert!(
        fs::read(folder.path().join(FILE))
            .unwrap()
            .starts_with(b"no database")
    );
}

// proves: HI-7
#[test]
fn nothing_that_was_confirmed_is_lost_by_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let app = start_in(folder.path());
    rows(&app, "CREATE TABLE t (a TEXT PRIMARY KEY)");
    let address = app.address();
    let (confirmed, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in 0..4 {
            let (confirmed, count) = (&confirmed, &count);
            scope.spawn(move || {
                let interface = INTERFACES[writer % INTERFACES.len()];
                for number in 0.. {
                    let keys: Vec<String> = (0..10).map(|part| format!("{writer}-{number}-{part}")).collect();
                    let statements: Vec<_> = keys
                        .iter()
                        .map(|key| json!(["INSERT INTO t VALUES (?)", key]))
                        .collect();
                    let asked =
                        json!({ "interface": interface, "label": "default", "statements": statements });
                    // From the kill on nobody answers.
                    let Some(answers) = try_ask(address, "one", &asked) else {
                        return;
                    };
                    for (key, answer) in keys.into_iter().zip(answers) {
                        if answer.is_object() {
                            confirmed.lock().unwrap().push(key);
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        while count.load(Ordering::SeqCst) < 1000 {
            thread::sleep(Duration::from_millis(1));
        }
        // In the middle of writing.
        app.signal(Signal::KILL);
    });
    assert_eq!(app.finish().code, None, "killed");
    let confirmed = confirmed.into_inner().unwrap();

    let app = start_in(folder.path());
    let found = rows(&app, "SELECT a FROM t");
    let found: std::collections::BTreeSet<&str> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    let lost: Vec<_> = confirmed
        .iter()
        .filter(|key| !found.contains(key.as_str()))
        .collect();
    assert!(lost.is_empty(), "{lost:?} of {}", confirmed.len());
    assert_eq!(rows(&app, "PRAGMA integrity_check"), json!([["ok"]]));
    app.stop().expect_code(0);
}

/// An app whose database is on `server`, and the file that says so.
fn on_server(server: &LibSqlServer, token: &str) -> Outport {
    let config = format!(
        "[sqlite_database.default]\ntype = \"libsql\"\nurl = \"http://{}/db\"\ntoken = \"{token}\"\n",
        server.address()
    );
    one()
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
}

// proves: HI-6
#[test]
fn a_database_on_a_server_is_executed_by_every_interface_wherever_guests_may_go() {
    let server = LibSqlServer::start("hunter2");
    let app = on_server(&server, "hunter2")
        .deny("*://*:*")
        .option("--sqlite=CREATE TABLE begun (a); INSERT INTO begun VALUES (7);")
        .start();
    for interface in INTERFACES {
        let statements = json!([
            ["DROP TABLE IF EXISTS v"],
            ["CREATE TABLE v (a, b)"],
            ["INSERT INTO v VALUES (?, ?), (?, ?), (?, ?)", 1, -0.5, "täxt", { "blob": "00ff" }, null, i64::MIN],
            ["SELECT a, b, a IS NULL AS is_null FROM v ORDER BY rowid"],
            ["SELECT a FROM v WHERE 0"],
            ["UPDATE v SET a = 2 WHERE a = ?1 OR b = ?2", "täxt", -0.5],
            ["BEGIN"],
            ["DELETE FROM v"],
            ["SELECT count(*) FROM v"],
            ["ROLLBACK"],
            ["SELECT count(*) FROM v"],
            ["SELECT a FROM begun"],
            ["SELECT hex(zeroblob(100000)), 2.0"],
            ["SELECT * FROM nowhere"],
        ]);
        let answers = ask(&app, "one", interface, "default", statements);
        assert!(
            answers[..13].iter().all(Value::is_object),
            "{interface}: {answers:?}"
        );
        let found = json!([[1, -0.5, 0], ["täxt", { "blob": "00ff" }, 0], [null, i64::MIN, 1]]);
        assert_eq!(answers[3]["columns"], json!(["a", "b", "is_null"]), "{interface}");
        assert_eq!(answers[3]["rows"], found, "{interface}");
        assert_eq!(answers[4]["columns"], json!(["a"]), "{interface}");
        assert_eq!(answers[4]["rows"], json!([]), "{interface}");
        let counted = [&answers[8]["rows"], &answers[10]["rows"], &answers[11]["rows"]];
        assert_eq!(
            counted,
            [&json!([[0]]), &json!([[3]]), &json!([[7]])],
            "{interface}"
        );
        assert_eq!(
            answers[12]["rows"],
            json!([["00".repeat(100_000), 2.0]]),
            "{interface}"
        );
        let error = answers[13].as_str().unwrap_or_default();
        assert!(
            error.starts_with("Io: SQLite error: no such table: nowhere"),
            "{error}"
        );
        if interface != "2" {
            let counts = |of: &Value| (of["changes"].clone(), of["rowid"].clone());
            assert_eq!(counts(&answers[2]), (json!(3), json!(3)), "{interface}");
            assert_eq!(counts(&answers[3]), (json!(3), json!(3)), "{interface}");
            assert_eq!(counts(&answers[5]), (json!(2), json!(3)), "{interface}");
        }
    }
    // What a guest begins and does not end is nobody's when it is gone.
    ask(
        &app,
        "one",
        "3",
        "default",
        json!([["BEGIN"], ["DELETE FROM begun"]]),
    );
    until("every stream is closed", || server.streams() == 0);
    assert_eq!(rows(&app, "SELECT a FROM begun"), json!([[7]]));
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, 'x' FROM n";
    assert_eq!(rows(&app, many).as_array().unwrap().len(), 20_000);
    let ended = app.stop();
    let address = format!("http://{}", server.address());
    assert!(
        ended.stderr.contains(&address) || ended.stdout.contains(&address),
        "{ended}"
    );
    let whose: Vec<String> = ended.audit.iter().map(|line| line.field("component")).collect();
    assert!(
        whose.contains(&"sqlite_database.default (operator)".to_owned()),
        "{whose:?}"
    );
    assert!(!format!("{ended}").contains("hunter2"), "{ended}");
    assert!(ended.reasons().is_empty(), "{ended}");
}

#[test]
fn a_transaction_that_the_server_lost_ends_its_session_and_no_other() {
    let server = LibSqlServer::start("hunter2");
    let app = on_server(&server, "hunter2")
        .option("--sqlite=CREATE TABLE v (a)")
        .start();
    let (address, is_over) = (app.address(), AtomicBool::new(false));
    thread::scope(|scope| {
        let guest = scope.spawn(|| {
            // Many, so that the stream is ended between two of them.
            let mut statements = vec![json!(["BEGIN"]), json!(["INSERT INTO v VALUES (1)"])];
            statements.extend(vec![json!(["SELECT 1"]); 1000]);
            statements.push(json!(["INSERT INTO v VALUES (2)"]));
            let asked = json!({ "interface": "3", "label": "default", "statements": statements });
            let answers = try_ask(address, "one", &asked).unwrap();
            is_over.store(true, Ordering::SeqCst);
            answers
        });
        while !is_over.load(Ordering::SeqCst) {
            server.end_streams();
        }
        let answers = guest.join().unwrap();
        assert!(answers[0].is_object(), "{answers:?}");
        let last = answers.last().unwrap();
        assert_eq!(
            last,
            "Io: the transaction was lost: the connection is not one any more"
        );
    });
    let left = rows(&app, "SELECT a FROM v");
    assert_eq!(left, json!([]), "nothing was executed outside of it");
    app.stop();
}

#[test]
fn a_server_that_does_not_know_the_token_is_an_error_without_it() {
    let server = LibSqlServer::start("hunter2");
    let app = on_server(&server, "hunter3").start();
    let answer = rows(&app, "SELECT 1");
    let answer = answer.as_str().unwrap_or_default();
    assert!(
        answer.starts_with(
            "Io: the database server answered with `401 Unauthorized`: not with Some(\"Bearer ***\")"
        ),
        "{answer}"
    );
    let ended = app.stop();
    assert!(
        ended
            .stderr
            .contains("the server of the SQLite database `default` at http://"),
        "{ended}"
    );
    assert!(!format!("{ended}").contains("hunter3"), "{ended}");
}

/// Components on the interfaces themselves: `one` with the database `default`, and `two` with one in memory.
fn two() -> Outport {
    let (one, two) = (DEFAULT, "sqlite_databases = [\"other\"]");
    Outport::up(&stores::app(&[("one", one), ("two", two)]))
        .file("runtime.toml", "[sqlite_database.other]\ntype = \"spin\"\n")
        .option("--runtime-config-file=runtime.toml")
}

/// Checks that each interface answers `read` and `written` to a read and a write of the table `t`, that the terminal says
/// what and where, and that the app goes on.
#[track_caller]
fn assert_fails(app: &Running, read: &str, written: &str, told: &str) {
    for (interface, execute) in [
        ("sqlite2", "execute"),
        ("sqlite3", "execute"),
        ("sqlite3", "execute-async"),
    ] {
        let statements = [
            format!("{interface}.open default"),
            format!("{interface}.{execute} SELECT a FROM t LIMIT 1"),
            format!("{interface}.{execute} INSERT INTO t VALUES ('new')"),
        ];
        let got = stores::perform(app, "one", &statements);
        assert_eq!(got, ["ok", read, written], "{interface}.{execute}\n{app}");
    }
    app.wait_for_error_text(told);
    stores::check(
        app,
        "two",
        &[
            ("sqlite2.open other", "ok"),
            ("sqlite2.execute CREATE TABLE IF NOT EXISTS t (a)", "none"),
            ("sqlite2.execute SELECT count(*) >= 0 FROM t", "integer(1)"),
        ],
    );
}

/// What another program does with the file of a database. `t` has a row, and enough of them to be damaged in between.
const FILLED: &str = "db.execute('CREATE TABLE t (a TEXT)')
db.executemany('INSERT INTO t VALUES (?)', [(f'old {n} ' + 'x' * 900,) for n in range(400)])
db.execute(\"INSERT INTO t VALUES ('last')\")
db.commit()";

// proves: HI-7
#[test]
fn a_file_that_is_damaged_in_between_is_an_error_and_no_crash() {
    let app = two();
    let file = app.folder().join(FILE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    stores::python(&file, FILLED);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 8..bytes.len() * 7 / 8;
    bytes[middle].fill(0xA5);
    fs::write(&file, &bytes).unwrap();
    let app = app.start();
    let malformed = "io(\"database disk image is malformed\")";
    stores::check(
        &app,
        "one",
        &[
            ("sqlite2.open default", "ok"),
            ("sqlite2.execute SELECT sum(length(a)) FROM t", malformed),
            ("sqlite3.open default", "ok"),
            ("sqlite3.execute SELECT sum(length(a)) FROM t", malformed),
            ("sqlite3.execute-async SELECT sum(length(a)) FROM t", malformed),
            ("sqlite3.execute SELECT 1", "integer(1)"),
        ],
    );
    app.wait_for_error_line("warning: SQLite database `");
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn a_directory_that_cannot_be_written_to_is_an_error_and_no_crash() {
    if !can_mount() {
        return;
    }
    let app = two()
        .mounts("mkdir .spin && mount -t tmpfs tmpfs .spin && mount -o remount,ro .spin")
        .start();
    let unable = "io(\"the database was not opened: it cannot be opened\")";
    assert_fails(&app, unable, unable, ".spin/sqlite_db.db`: it cannot be opened");
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn a_file_that_cannot_be_written_to_is_read_or_an_error_and_no_crash() {
    if !can_mount() {
        return;
    }
    // As others keep it; and as it is kept here, which SQLite reads only where it may write beside it.
    let unable = "io(\"the database was not opened: it cannot be opened\")";
    let read_only = "io(\"attempt to write a readonly database\")";
    for (journal, read, written, told) in [
        ("delete", "text(\"old\")", read_only, "it is read-only"),
        ("wal", unable, unable, "it cannot be opened"),
    ] {
        let app = two();
        let file = app.folder().join(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let filled = format!(
            "db.execute('PRAGMA journal_mode = {journal}')\ndb.execute('CREATE TABLE t (a TEXT)')\n\
             db.execute(\"INSERT INTO t VALUES ('old')\")\ndb.commit()"
        );
        stores::python(&file, &filled);
        let app = app
            .mounts("mount --bind .spin .spin && mount -o remount,ro,bind .spin")
            .start();
        assert_fails(&app, read, written, &format!(".spin/sqlite_db.db`: {told}"));
        app.stop().expect_code(0);
    }
}

// proves: HI-7
#[test]
fn a_full_disk_is_an_error_and_what_was_there_stays() {
    if !can_mount() {
        return;
    }
    let app = two()
        .mounts("mkdir .spin && mount -t tmpfs -o size=512k tmpfs .spin")
        .start();
    let rows = [
        ("sqlite2.open default", "ok"),
        ("sqlite2.execute CREATE TABLE t (a)", "none"),
        ("sqlite2.execute INSERT INTO t VALUES ('before')", "none"),
    ];
    stores::check(&app, "one", &rows);
    for (interface, execute) in [
        ("sqlite2", "execute"),
        ("sqlite3", "execute"),
        ("sqlite3", "execute-async"),
    ] {
        let statements = [
            format!("{interface}.open default"),
            format!("{interface}.{execute} INSERT INTO t VALUES (zeroblob(2000000))"),
            format!("{interface}.{execute} SELECT a FROM t"),
        ];
        let got = stores::perform(&app, "one", &statements);
        let expected = ["ok", "database-full", "text(\"before\")"];
        assert_eq!(got, expected, "{interface}.{execute}\n{app}");
    }
    app.wait_for_error_line("warning: SQLite database `");
    // What fits is still written.
    let rows = [
        ("sqlite2.open default", "ok"),
        ("sqlite2.execute INSERT INTO t VALUES ('after')", "none"),
        (
            "sqlite2.execute SELECT a FROM t",
            "text(\"before\") | text(\"after\")",
        ),
    ];
    stores::check(&app, "one", &rows);
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn a_file_that_another_process_has_locked_is_waited_for_and_then_an_error() {
    let app = two().start();
    let rows = [
        ("sqlite2.open default", "ok"),
        ("sqlite2.execute CREATE TABLE t (a)", "none"),
        ("sqlite2.execute INSERT INTO t VALUES ('before')", "none"),
    ];
    stores::check(&app, "one", &rows);
    let lock = FileLock::of(&app.folder().join(FILE));
    // Who reads does not wait for who writes.
    assert_fails(
        &app,
        "text(\"before\")",
        "io(\"database is locked\")",
        ".spin/sqlite_db.db`: another process has it locked",
    );
    drop(lock);
    let rows = [
        ("sqlite2.open default", "ok"),
        ("sqlite2.execute INSERT INTO t VALUES ('after')", "none"),
        (
            "sqlite2.execute SELECT a FROM t",
            "text(\"before\") | text(\"after\")",
        ),
    ];
    stores::check(&app, "one", &rows);
    app.stop().expect_code(0);
}
