//! Key-value stores, end to end: each interface, what of them is granted to whom, what is kept, and what happens when
//! their files cannot be read or written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::postgres::Postgres;
use outport_e2e::schema;
use outport_e2e::script::results;
use outport_e2e::stores::{FileLock, app, check, perform, python};
use rustix::process::Signal;

/// The interfaces, as the guest calls them.
const INTERFACES: [&str; 3] = ["kv2", "kv3", "wasi"];

const DEFAULT: &str = "key_value_stores = [\"default\"]";

/// The store that nobody configured, beside the manifest.
const FILE: &str = ".spin/sqlite_key_value.db";

/// An app of one component, `one`, that has the store `default`.
fn one() -> Outport {
    Outport::up(&app(&[("one", DEFAULT)]))
}

/// Starts the app in a folder that outlives it.
fn start_in(folder: &Path) -> Running {
    let manifest = app(&[("one", DEFAULT)]);
    let guests = guest::workspace().join("guests/wasm");
    fs::write(
        folder.join("spin.toml"),
        manifest.replace("GUESTS", &guests.display().to_string()),
    )
    .unwrap();
    Outport::command("up")
        .options(["--listen=127.0.0.1:0", "-f"])
        .option(folder)
        .start()
}

// proves: HI-5
#[test]
fn every_interface_sets_gets_lists_and_deletes() {
    let app = one().start();
    for interface in INTERFACES {
        let rows = [
            ("open default", "ok"),
            ("get k", "none"),
            ("exists k", "false"),
            ("keys", "none"),
            ("set k a value", "ok"),
            ("get k", "a value"),
            ("exists k", "true"),
            ("set k", "ok"),
            ("get k", ""),
            ("exists k", "true"),
            (r"set \xc3\xa4\x00 \x00\xff", "ok"),
            (r"get \xc3\xa4\x00", r"\x00\xff"),
            ("fill large 1000000", "ok"),
            ("get large", "1000000 bytes"),
            ("keys", r"k,large,\xc3\xa4\x00"),
            ("delete large", "ok"),
            ("delete large", "ok"),
            ("get large", "none"),
            ("delete k", "ok"),
            (r"delete \xc3\xa4\x00", "ok"),
            ("keys", "none"),
        ];
        let statements = rows.map(|(statement, result)| (format!("{interface}.{statement}"), result));
        let rows: Vec<(&str, &str)> = statements
            .iter()
            .map(|(statement, result)| (statement.as_str(), *result))
            .collect();
        check(&app, "one", &rows);
    }
    let finished = app.stop();
    assert!(finished.reasons().is_empty(), "{finished}");
    // The guest has sockets too, and nowhere to go.
    let warnings = finished.stderr.matches("warning").count();
    assert_eq!(
        warnings,
        finished.stderr.matches("warning[component.no-entries]").count(),
        "{finished}"
    );
}

/// As an SDK waits for a statement that gives no rows: nobody reads the stream that is beside the outcome.
#[test]
fn an_outcome_waits_for_nobody_who_reads_where_there_is_little_to_read() {
    let postgres = Postgres::start();
    let lines = format!(
        "{DEFAULT}\nsqlite_databases = [\"default\"]\nallowed_outbound_hosts = [\"postgres://localhost:{}\"]",
        postgres.port()
    );
    let app = Outport::up(&app(&[("one", &lines)])).start();
    let open = format!(
        "pg4.open postgres://postgres:secret@localhost:{}/postgres",
        postgres.port()
    );
    check(
        &app,
        "one",
        &[
            ("kv3.open default", "ok"),
            ("kv3.outcome", "ok"),
            ("kv3.set k v", "ok"),
            ("kv3.outcome", "ok"),
            ("sqlite3.open default", "ok"),
            ("sqlite3.outcome CREATE TABLE t (a INTEGER UNIQUE)", "ok"),
            ("sqlite3.outcome INSERT INTO t VALUES (1)", "ok"),
            (
                "sqlite3.outcome INSERT INTO t VALUES (1)",
                "io(\"UNIQUE constraint failed: t.a\")",
            ),
            ("sqlite3.outcome INSERT INTO t VALUES (2) RETURNING a", "ok"),
            ("sqlite3.execute-async SELECT a FROM t", "integer(1) | integer(2)"),
            (&open, "ok"),
            ("pg4.outcome CREATE TABLE t (a int)", "ok"),
            ("pg4.outcome INSERT INTO t VALUES (1) RETURNING a", "ok"),
            ("pg4.query-async SELECT a FROM t", "int32(1)"),
            // Whoever reads while the outcome is waited for gets all of it.
            ("pg4.query-async SELECT generate_series(1, 1000)", "1000 rows"),
        ],
    );
    app.stop();
}

#[test]
fn batches_numbers_and_exchanges() {
    let app = one().start();
    check(
        &app,
        "one",
        &[
            ("wasi.open default", "ok"),
            ("wasi.set-many a=1 b=2 c=", "ok"),
            ("wasi.get-many c nothing a", "c= nothing a=1"),
            ("wasi.some-keys", "a,b,c then c"),
            ("wasi.some-keys a", "b,c then c"),
            ("wasi.some-keys c", "none then none"),
            ("wasi.delete-many a nothing b", "ok"),
            ("wasi.keys", "c"),
            ("wasi.increment n 5", "5"),
            ("wasi.increment n -7", "-2"),
            ("wasi.get n", r"\xfe\xff\xff\xff\xff\xff\xff\xff"),
            ("wasi.set n text", "ok"),
            (
                "wasi.increment n 1",
                "other: the value is not a number of 8 bytes",
            ),
            ("wasi.get n", "text"),
            // Without a look at the value before: it is as it was when the handle was made.
            ("wasi.cas c", "ok"),
            ("wasi.swap first", "ok"),
            ("wasi.get c", "first"),
            ("wasi.cas c", "ok"),
            ("wasi.current", "first"),
            ("wasi.set c meanwhile", "ok"),
            ("wasi.swap second", "cas-failed"),
            ("wasi.get c", "meanwhile"),
            ("wasi.current", "meanwhile"),
            ("wasi.swap second", "ok"),
            ("wasi.get c", "second"),
            ("wasi.cas new", "ok"),
            ("wasi.current", "none"),
            ("wasi.swap made", "ok"),
            ("wasi.get new", "made"),
        ],
    );
    app.stop();
}

#[test]
fn an_instance_has_256_stores_open_and_the_next_one_is_an_error() {
    let app = one().start();
    let rows = [
        ("kv2", "store-table-full"),
        ("kv3", "store-table-full"),
        ("wasi", "other: too many stores are open"),
    ];
    for (interface, full) in rows {
        // Those of all interfaces together.
        let results = perform(
            &app,
            "one",
            &[
                "repeat 100 kv2.hold default".to_owned(),
                "repeat 100 kv3.hold default".to_owned(),
                format!("repeat 60 {interface}.hold default"),
            ],
        );
        assert_eq!(
            results,
            ["ok x100", "ok x100", &format!("ok x56, {full} x4")],
            "{app}"
        );
    }
    // Whoever comes next has an instance of its own, or one that has closed them.
    check(&app, "one", &[("kv2.open default", "ok")]);
    app.stop();
}

#[test]
fn what_one_interface_wrote_the_others_read() {
    let app = one().start();
    for writer in INTERFACES {
        perform(
            &app,
            "one",
            &[
                format!("{writer}.open default"),
                format!("{writer}.set k {writer}"),
            ],
        );
        for reader in INTERFACES {
            let read = perform(
                &app,
                "one",
                &[format!("{reader}.open default"), format!("{reader}.get k")],
            );
            assert_eq!(read, ["ok", writer], "{reader}\n{app}");
        }
    }
    app.stop();
}

#[test]
fn calls_that_are_made_together_are_all_done() {
    let app = one().start();
    check(
        &app,
        "one",
        &[
            ("kv3.open default", "ok"),
            ("all 2000 kv3.set key-{} value-{}", "ok x2000"),
            ("kv3.keys", "2000 keys"),
            ("all 3 kv3.get key-1234", "value-1234 x3"),
            ("all 2000 kv3.delete key-{}", "ok x2000"),
            ("kv3.keys", "none"),
        ],
    );
    app.stop();
}

// proves: HI-5, HI-8
#[test]
fn a_label_that_a_component_does_not_list_is_refused_and_told() {
    let both = "key_value_stores = [\"default\", \"extra\"]";
    let app = Outport::up(&app(&[("one", both), ("two", DEFAULT), ("three", "")]))
        .file(
            "runtime.toml",
            "[key_value_store.extra]\ntype = \"spin\"\npath = \"extra.db\"\n",
        )
        .option("--runtime-config-file=runtime.toml")
        .start();
    // (component, label, what its statements get)
    let rows = [
        ("one", "default", true),
        ("one", "extra", true),
        ("two", "default", true),
        ("two", "extra", false),
        ("three", "default", false),
        ("three", "nobody-knows", false),
    ];
    let mut refused = Vec::new();
    for interface in INTERFACES {
        for (component, label, granted) in rows {
            let expected = if granted { "ok" } else { "access-denied" };
            let statement = format!("{interface}.open {label}");
            check(&app, component, &[(&statement, expected)]);
            if !granted {
                refused.push((component, label));
            }
        }
    }
    let finished = app.stop();
    schema::assert_log_of(&finished);
    let denied: Vec<_> = finished.audit.iter().filter(|line| line.denied()).collect();
    assert_eq!(denied.len(), refused.len(), "{finished}");
    for (line, (component, label)) in denied.iter().zip(refused) {
        let fields = ["attempt", "component", "destination", "reason"].map(|field| line.field(field));
        assert_eq!(
            fields,
            ["key-value.open", component, label, "allow.label"],
            "{finished}"
        );
        let advice = format!("add \"{label}\" to key_value_stores");
        assert_eq!(line.field("remedy"), advice, "{finished}");
    }
    let allowed: Vec<_> = finished.audit.iter().filter(|line| !line.denied()).collect();
    assert_eq!(allowed.len(), 9, "{finished}");
    for line in allowed {
        assert_eq!(line.field("attempt"), "key-value.open", "{line}");
        let rule = format!("{} in key_value_stores (spin.toml:", line.field("destination"));
        assert!(line.field("rule").starts_with(&rule), "no `{rule}…`: {line}");
    }
    for advice in [
        "denied: component `two` key-value",
        "denied: component `three` key-value",
        "key_value_stores",
    ] {
        assert!(finished.stderr.contains(advice), "no `{advice}`\n{finished}");
    }
}

// proves: HI-5
#[test]
fn a_label_that_nobody_defines_does_not_start() {
    let lines = "key_value_stores = [\"default\", \"elsewhere\"]";
    let refused = Outport::up(&app(&[("one", lines)])).finish().expect_code(2);
    for part in ["elsewhere", "key_value_stores", "spin.toml:9"] {
        assert!(refused.stderr.contains(part), "no `{part}`\n{refused}");
    }
}

// proves: HI-5
#[test]
fn two_components_share_a_store_when_both_list_it() {
    let extra = "key_value_stores = [\"extra\"]";
    let app = Outport::up(&app(&[("one", DEFAULT), ("two", DEFAULT), ("three", extra)]))
        .file("runtime.toml", "[key_value_store.extra]\ntype = \"spin\"\n")
        .option("--runtime-config-file=runtime.toml")
        .start();
    check(
        &app,
        "one",
        &[("kv2.open default", "ok"), ("kv2.set k of-one", "ok")],
    );
    check(
        &app,
        "two",
        &[("kv3.open default", "ok"), ("kv3.get k", "of-one")],
    );
    check(
        &app,
        "three",
        &[
            ("kv2.open default", "access-denied"),
            ("kv2.open extra", "ok"),
            ("kv2.get k", "none"),
        ],
    );
    app.stop();
}

// proves: HI-5
#[test]
fn a_dependency_opens_what_its_component_lists_only_if_it_inherits_that() {
    let rows = [
        ("", false),
        (
            ", inherit_configuration = [\"variables\", \"allowed_outbound_hosts\"]",
            false,
        ),
        (", inherit_configuration = [\"key_value_stores\"]", true),
        (", inherit_configuration = true", true),
    ];
    for (inheritance, inherits) in rows {
        let lines = format!(
            "{DEFAULT}\n[component.one.dependencies]\n\
             \"outport:callee/interpreter@1.0.0\" = {{ path = \"GUESTS/stores.wasm\"{inheritance} }}"
        );
        let app = Outport::up(&app(&[("one", &lines)])).start();
        let opened = if inherits { "ok" } else { "access-denied" };
        for interface in INTERFACES {
            // The component itself has its right, whatever its dependency has.
            let own = [
                format!("{interface}.open default"),
                format!("{interface}.set k {interface}"),
            ];
            assert_eq!(perform(&app, "one", &own), ["ok", "ok"], "{inheritance}\n{app}");
            let got = perform(&app, "one", &[format!("callee: {interface}.open default")]);
            assert_eq!(got, [opened], "{interface} {inheritance}\n{app}");
        }
        if inherits {
            check(
                &app,
                "one",
                &[
                    ("callee: kv2.open default", "ok"),
                    ("callee: kv2.get k", "wasi"),
                    ("callee: kv3.open default", "ok"),
                    ("callee: kv3.get k", "wasi"),
                    ("callee: wasi.open default", "ok"),
                    ("callee: wasi.get-many k", "k=wasi"),
                    ("callee: wasi.increment n 1", "1"),
                ],
            );
        }
        let finished = app.stop();
        let denied = if inherits {
            vec![]
        } else {
            vec!["allow.not-inherited"; 3]
        };
        assert_eq!(finished.reasons(), denied, "{inheritance}\n{finished}");
        for line in finished.audit.iter().filter(|line| line.denied()) {
            assert_eq!(line.field("attempt"), "key-value.open", "{finished}");
            assert_eq!(
                line.field("component"),
                "one/outport:callee/interpreter@1.0.0",
                "{finished}"
            );
        }
    }
}

#[test]
fn what_is_kept_nowhere_ends_with_the_process() {
    let app = one().option("--state-dir=").start();
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.set k v", "ok"),
            ("kv3.open default", "ok"),
            ("kv3.get k", "v"),
        ],
    );
    let file = app.folder().join(FILE);
    assert!(!file.exists(), "{}", file.display());
    app.stop();
}

#[test]
fn a_store_lies_beside_the_manifest_and_keeps_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let app = start_in(folder.path());
        let number = round.to_string();
        check(
            &app,
            "one",
            &[
                ("wasi.open default", "ok"),
                ("wasi.increment starts 1", &number),
                ("wasi.set-many a=1 b=2", "ok"),
            ],
        );
        app.stop().expect_code(0);
    }
    let file = folder.path().join(FILE);
    assert_eq!(
        python(
            &file,
            "print(*(row[0] for row in db.execute('SELECT key FROM spin_key_value ORDER BY key')))"
        ),
        "a b starts"
    );
    let left: Vec<_> = fs::read_dir(folder.path().join(".spin"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["sqlite_key_value.db"], "nothing else is left behind");
}

/// Spin's own table, and what it writes into it.
const OF_SPINS: &str = "
db.execute('''CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))''')
for store, key, value in [('default', 'k', b'of Spin'), ('default', 'bytes', bytes(range(4))), ('other', 'k', b'no')]:
    db.execute('INSERT INTO spin_key_value (store, key, value) VALUES (?, ?, ?)', (store, key, value))
db.commit()";

#[test]
fn a_file_that_spin_wrote_is_read_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    python(&file, OF_SPINS);
    let app = start_in(folder.path());
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.keys", "bytes,k"),
            ("kv2.get bytes", r"\x00\x01\x02\x03"),
            ("kv2.get k", "of Spin"),
            ("kv2.set k of Outport", "ok"),
            ("kv2.set new 1", "ok"),
        ],
    );
    let rows = "print(*db.execute('SELECT * FROM spin_key_value ORDER BY store, key'))";
    let expected = r"('default', 'bytes', b'\x00\x01\x02\x03') ('default', 'k', b'of Outport') ('default', 'new', b'1') ('other', 'k', b'no')";
    // While it is open, and afterwards.
    assert_eq!(python(&file, rows), expected);
    python(
        &file,
        "db.execute('''UPDATE spin_key_value SET value = x'41' WHERE key = 'new' ''')\ndb.commit()",
    );
    check(&app, "one", &[("kv3.open default", "ok"), ("kv3.get new", "A")]);
    app.stop().expect_code(0);
    assert_eq!(python(&file, rows), expected.replace("b'1'", "b'A'"));
}

#[test]
fn a_file_that_nobody_made_before_is_one_that_spin_goes_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let app = start_in(folder.path());
    check(
        &app,
        "one",
        &[
            ("kv3.open default", "ok"),
            ("kv3.set mine of Outport", "ok"),
            ("kv3.set k of Outport", "ok"),
        ],
    );
    app.stop().expect_code(0);
    // Every statement that Spin has of it.
    let of_spins = "
db.execute('''CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))''')
print(db.execute('SELECT value FROM spin_key_value WHERE store=? AND key=?', ('default', 'k')).fetchall())
db.execute('''INSERT INTO spin_key_value (store, key, value) VALUES ('default', 'k', x'41')
    ON CONFLICT(store, key) DO UPDATE SET value=excluded.value''')
db.execute('DELETE FROM spin_key_value WHERE store=? AND key=?', ('default', 'mine'))
print(db.execute('SELECT key FROM spin_key_value WHERE store=?', ('default',)).fetchall())
db.commit()";
    let file = folder.path().join(FILE);
    assert_eq!(python(&file, of_spins), "[(b'of Outport',)]\n[('k',)]");
    let app = start_in(folder.path());
    check(
        &app,
        "one",
        &[("kv2.open default", "ok"), ("kv2.keys", "k"), ("kv2.get k", "A")],
    );
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn nothing_that_was_confirmed_is_lost_by_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let app = start_in(folder.path());
    let address = app.address();
    let (confirmed, count) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in 0..8 {
            let (confirmed, count) = (&confirmed, &count);
            scope.spawn(move || {
                let interface = INTERFACES[writer % INTERFACES.len()];
                for number in 0.. {
                    let key = format!("{writer}-{number}");
                    let script = format!("{interface}.open default\n{interface}.set {key} {key}");
                    // From the kill on nobody answers.
                    let Ok(answer) = http::post(address, "/one", &script) else {
                        return;
                    };
                    if results(&answer.body) == ["ok", "ok"] {
                        confirmed.lock().unwrap().push(key);
                        count.fetch_add(1, Ordering::SeqCst);
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
    assert!(confirmed.len() >= 1000, "{}", confirmed.len());

    let app = start_in(folder.path());
    for keys in confirmed.chunks(100) {
        let mut statements = vec!["wasi.open default".to_owned()];
        statements.extend(keys.iter().map(|key| format!("wasi.get {key}")));
        let found = perform(&app, "one", &statements);
        assert_eq!(found[1..], *keys, "what was confirmed is there");
    }
    app.stop().expect_code(0);
}

/// Checks that every interface answers `error` to a read and a write, that the terminal says what and where, and that
/// the app goes on.
#[track_caller]
fn assert_fails(app: &Running, read: &str, written: &str, told: &str) {
    for interface in INTERFACES {
        let statements = ["open default", "get k", "set k v"].map(|verb| format!("{interface}.{verb}"));
        let got = perform(app, "one", &statements);
        assert_eq!(got, ["ok", read, written], "{interface}\n{app}");
    }
    app.wait_for_error_text(told);
    check(
        app,
        "two",
        &[
            ("kv2.open other", "ok"),
            ("kv2.set k v", "ok"),
            ("kv2.get k", "v"),
        ],
    );
}

/// The component `one` with the store `default`, and `two` with one in memory.
fn two() -> Outport {
    Outport::up(&app(&[
        ("one", DEFAULT),
        ("two", "key_value_stores = [\"other\"]"),
    ]))
    .file("runtime.toml", "[key_value_store.other]\ntype = \"spin\"\n")
    .option("--runtime-config-file=runtime.toml")
}

// proves: HI-7
#[test]
fn a_damaged_file_is_an_error_and_no_crash() {
    let app = two();
    let file = app.folder().join(FILE);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = "This is not a database, but long enough to be taken for one.\n".repeat(200);
    fs::write(&file, &text).unwrap();
    let app = app.start();
    assert_fails(
        &app,
        "other: the store was not read: it is not a database",
        "other: the store was not written: it is not a database",
        ".spin/sqlite_key_value.db` was not read: it is not a database",
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "it stays as it is");
    // Who puts a whole one in its place needs no restart.
    fs::remove_file(&file).unwrap();
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.set k v", "ok"),
            ("kv2.get k", "v"),
        ],
    );
    app.stop().expect_code(0);
}

/// Whether this machine lets a user mount something that nobody else sees; says so where it does not.
pub(crate) fn can_mount() -> bool {
    let mounted = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        let must = std::env::var("OUTPORT_REQUIRE_NETNS").as_deref() == Ok("1");
        assert!(!must, "no mount namespace");
        eprintln!("SKIPPED, since this machine allows no mount namespace");
    }
    mounted
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
    assert_fails(
        &app,
        "other: the store was not read: it cannot be opened",
        "other: the store was not written: it cannot be opened",
        ".spin/sqlite_key_value.db` was not read: it cannot be opened",
    );
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn a_file_that_cannot_be_written_to_is_read_or_an_error_and_no_crash() {
    if !can_mount() {
        return;
    }
    // As others keep it; and as it is kept here, which SQLite reads only where it may write beside it.
    for (journal, read, fault) in [
        ("delete", "of Spin", "it is read-only"),
        (
            "wal",
            "other: the store was not read: it cannot be opened",
            "it cannot be opened",
        ),
    ] {
        let app = two();
        let file = app.folder().join(FILE);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        python(
            &file,
            &format!("db.execute('PRAGMA journal_mode = {journal}')\n{OF_SPINS}"),
        );
        let app = app
            .mounts("mount --bind .spin .spin && mount -o remount,ro,bind .spin")
            .start();
        let written = format!("other: the store was not written: {fault}");
        let told = format!(".spin/sqlite_key_value.db` was not written: {fault}");
        assert_fails(&app, read, &written, &told);
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
    check(
        &app,
        "one",
        &[("kv2.open default", "ok"), ("kv2.set k before", "ok")],
    );
    for interface in INTERFACES {
        let statements =
            ["open default", "fill large 2000000", "get k"].map(|verb| format!("{interface}.{verb}"));
        let full = "other: the store was not written: it is full, or its disk is";
        assert_eq!(
            perform(&app, "one", &statements),
            ["ok", full, "before"],
            "{interface}\n{app}"
        );
    }
    let told = ".spin/sqlite_key_value.db` was not written: it is full, or its disk is";
    app.wait_for_error_text(told);
    // What fits is still written.
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.set k after", "ok"),
            ("kv2.get k", "after"),
        ],
    );
    app.stop().expect_code(0);
}

// proves: HI-7
#[test]
fn a_file_that_another_process_has_locked_is_waited_for_and_then_an_error() {
    let app = two().start();
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.set k v", "ok"),
            ("kv2.fill large 100000", "ok"),
        ],
    );
    let file = app.folder().join(FILE);
    let lock = FileLock::of(&file);
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.get k", "v"),
            (
                "kv2.set k other",
                "other: the store was not written: another process has it locked",
            ),
            ("kv2.get k", "v"),
            // What is read on another thread does not wait for who writes, either.
            ("kv2.get large", "100000 bytes"),
        ],
    );
    let told = ".spin/sqlite_key_value.db` was not written: another process has it locked";
    app.wait_for_error_text(told);
    check(&app, "two", &[("kv2.open other", "ok"), ("kv2.set k v", "ok")]);
    drop(lock);
    check(
        &app,
        "one",
        &[
            ("kv2.open default", "ok"),
            ("kv2.set k other", "ok"),
            ("kv2.get k", "other"),
        ],
    );
    app.stop().expect_code(0);
}
