//! Components that make stores do all they can: handles, keys, values, lists, streams, calls.

use std::fs;
use std::thread;
use std::time::Duration;

use outport_e2e::stores::python;

use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let [kv2, kv3, wasi] = ["kv2", "kv3", "wasi"].map(|interface| format!("{interface}.open default\n"));
    let many: String = (0..50)
        .map(|part| format!("all 20000 kv3.set {part}-{{}} v\n"))
        .collect();
    let denied = format!("repeat 2000 wasi.open {}", "a".repeat(60_000));
    vec![
        row("opens, 10,000", 1, "repeat 10000 kv2.hold default\nwait 200").ends(1),
        row("opens on 0.3, 10,000", 1, "all 10000 kv3.hold default\nwait 200").ends(1),
        row("opens of what is not granted", 1, "repeat 100000 kv2.open other").within_lines(100),
        row("labels of 60 KB", 1, denied).within_lines(100),
        row(
            "keys, a million",
            4,
            kv2.clone() + "repeat 1000000 kv2.set key-{} v",
        ),
        row("keys at a time, a million", 4, kv3.clone() + &many),
        row(
            "values of 2 MB",
            4,
            kv2.clone() + "repeat 100000 kv2.fill large-{} 2000000",
        ),
        row(
            "values of 2 MB at a time",
            4,
            kv3.clone() + "all 1000 kv3.fill large-{} 2000000",
        ),
        full(
            "values of 12 MB, read",
            4,
            kv2.clone() + "repeat 100000 kv2.get large",
        ),
        full(
            "values of 12 MB, read at a time",
            4,
            kv3.clone() + "all 1000 kv3.get large",
        ),
        row(
            "values of 2 MB, read at a time",
            4,
            kv3.clone() + "kv3.fill large 2000000\nall 1000 kv3.get large",
        ),
        full("all keys, again and again", 4, kv2 + "repeat 100000 kv2.keys"),
        full("all keys, many at a time", 4, kv3.clone() + "all 1000 kv3.keys"),
        full(
            "streams of keys, never read",
            4,
            kv3.clone() + "repeat 40000 kv3.unread\nwait 2000",
        ),
        row(
            "numbers, without end",
            8,
            wasi + "repeat 1000000 wasi.increment n 1",
        ),
        row(
            "calls on 0.3, thousands at a time",
            4,
            kv3 + "all 5000 kv3.exists key-{}",
        )
        .ends(1),
    ]
}

/// So many clients send this script again and again, to a component that has a store in a file.
fn row(name: &'static str, clients: usize, script: impl Into<String>) -> Row {
    let script = script.into();
    Row::new(name, "ISO-3")
        .guest("stores", "key_value_stores = [\"default\"]\n")
        .option("--state-dir=.")
        .lasts(Duration::from_secs(1))
        .until_it_is_full()
        .attack(move |scene| {
            thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(|| {
                        while !scene.is_over() {
                            scene.post(&script);
                            thread::sleep(Duration::from_millis(10));
                        }
                    });
                }
            });
        })
}

/// The same with a store that has 100,000 keys, of 12 MB together, and a value of 12 MB.
fn full(name: &'static str, clients: usize, script: impl Into<String>) -> Row {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("full.db");
    python(&file, FULL);
    let full = fs::read(&file).expect("it was written");
    row(name, clients, script).file("sqlite_key_value.db", full)
}

const FULL: &str = "
db.execute(\"CREATE TABLE spin_key_value \\
    (store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))\")
rows = (('default', f'{number:06}' + 'k' * 114, b'v') for number in range(100000))
db.executemany('INSERT INTO spin_key_value VALUES (?, ?, ?)', rows)
db.execute('INSERT INTO spin_key_value VALUES (?, ?, zeroblob(12000000))', ('default', 'large'))
db.commit()";
