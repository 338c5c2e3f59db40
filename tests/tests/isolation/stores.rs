//! Components that make stores do all they can: handles, keys, values, lists, streams, calls.

use std::thread;
use std::time::Duration;

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
            "values of 20 MB, read",
            4,
            kv2.clone() + "repeat 100000 kv2.get large",
        ),
        full(
            "values of 20 MB, read at a time",
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
    attacked(name, clients, None, script.into())
}

/// The same with a store that has 20,000 keys, of 5 MB together.
fn full(name: &'static str, clients: usize, script: impl Into<String>) -> Row {
    let key = format!("key-{{}}-{}", "k".repeat(240));
    let sets = (0..10).map(|part| format!("all 2000 kv3.set {part}-{key} v\n"));
    let first = "kv3.open default\n".to_owned() + &sets.collect::<String>();
    attacked(name, clients, Some(first), script.into())
}

fn attacked(name: &'static str, clients: usize, first: Option<String>, script: String) -> Row {
    Row::new(name, "ISO-3")
        .guest("stores", "key_value_stores = [\"default\"]\n")
        .lasts(Duration::from_secs(1))
        .until_it_is_full()
        .attack(move |scene| {
            if let Some(first) = &first {
                let answer = scene.post(first);
                if !scene.is_over() && !answer.contains(" => ok x2000") {
                    scene.complain(format!("the store is not full: {answer:.300}"));
                }
            }
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
