//! Components that make the host hold memory for them: handles, headers, bodies, tables, files.

use std::time::Duration;

use crate::component::{Hostile, data, times};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    [headers(), bodies(), tables(), handles(), files()]
        .into_iter()
        .flatten()
        .collect()
}

pub(crate) fn row(name: &'static str, hostile: Hostile) -> Row {
    Row::new(name, "ISO-3")
        .hostile(hostile)
        .lasts(Duration::from_millis(400))
        .until_it_is_full()
}

/// This so many times; then it holds on, that it is seen.
pub(crate) fn many(number: u32, what: &str) -> String {
    format!("{} (call $hold (i64.const 10000))", times("i", number, what))
}

/// Where long arguments lie.
const FAR: u32 = 1 << 20;

/// `ab` at 64; at [`FAR`] 120,000 letters; before them a slash.
fn letters(body: String) -> Hostile {
    with_letters(Hostile::new(body))
}

fn with_letters(hostile: Hostile) -> Hostile {
    let items = data(64, "ab") + &data(FAR - 1, "/") + &data(FAR, &"a".repeat(120_000));
    hostile.items(items).pages(40)
}

fn headers() -> Vec<Row> {
    let append = |fields: &str| {
        format!(
            "(call $fields.append {fields} (i32.const 64) (i32.const 1) (i32.const {FAR}) (i32.const 120000) (i32.const 1024))"
        )
    };
    let copies = format!(
        "(local.set $j (call $fields.new)) {} {}",
        append("(local.get $j)"),
        many(20_000, "(drop (call $fields.clone (local.get $j)))")
    );
    let small = "(call $fields.append (local.get $k) (i32.const 64) (i32.const 1) (i32.const 65) (i32.const 1) (i32.const 1024))";
    let small = format!("(local.set $k (call $fields.new)) {}", times("j", 1000, small));
    let of_request = |function: &str, case: u32, at: u32| {
        let set = format!(
            "(drop (call ${function} (call $outgoing-request.new (call $fields.new))
               (i32.const {case}) (i32.const {at}) (i32.const 60000)))"
        );
        letters(many(20_000, &set))
    };
    vec![
        row(
            "headers of 120 KB, 20,000",
            letters(many(20_000, &append("(call $fields.new)"))),
        )
        .clients(4),
        row("copies of headers of 120 KB", letters(copies.clone())),
        row("copies of headers on 0.3", with_letters(Hostile::of_0_3(copies))),
        row("headers of 1,000 fields, 2,000", letters(many(2000, &small))),
        row(
            "paths of 60 KB, 20,000",
            of_request("outgoing-request.set-path", 1, FAR - 1),
        ),
        row(
            "authorities of 60 KB, 20,000",
            of_request("outgoing-request.set-authority", 1, FAR),
        ),
        row(
            "methods of 60 KB, 20,000",
            of_request("outgoing-request.set-method", 9, FAR),
        ),
    ]
}

fn bodies() -> Vec<Row> {
    // As much as it may of 1 MiB, to the body with the handle at 1028.
    let write = "(call $output-stream.check-write (i32.load (i32.const 1036)) (i32.const 1040))
      (if (i32.and (i32.eqz (i32.load8_u (i32.const 1040))) (i64.ge_u (i64.load (i32.const 1048)) (i64.const 65536)))
        (then (call $output-stream.write (i32.load (i32.const 1036)) (i32.const 65536) (i32.const 65536) (i32.const 1056))))";
    let write = format!(
        "(call $outgoing-body.write (i32.load (i32.const 1028)) (i32.const 1032)) {}",
        times("j", 16, write)
    );
    let body = |of: &str| {
        let create =
            format!("(call ${of}.body (call ${of}.new (call $fields.new)) (i32.const 1024)) {write}");
        Hostile::new(many(1500, &create))
    };
    vec![
        row("bodies of 1 MiB never sent, 1,500", body("outgoing-request")).clients(4),
        row("bodies of responses never sent, 1,500", body("outgoing-response")).clients(4),
    ]
}

fn tables() -> Vec<Row> {
    // So many core instances with four tables each, every element of which is written to.
    let filled = |instances: usize| {
        let fill = |table| format!("(table.fill {table} (i32.const 0) (ref.func $f) (i32.const 100000))");
        let module = format!(
            "(core module $tables (func $f) (elem declare func $f) {} (func $start {}) (start $start))",
            "(table 100000 funcref)".repeat(4),
            [0, 1, 2, 3].map(fill).concat()
        );
        let all = "(core instance (instantiate $tables))\n".repeat(instances);
        Hostile::new("(call $hold (i64.const 10000))").outside(format!("{module}\n{all}"))
    };
    let grow = |table| format!("(drop (table.grow {table} (ref.func $f) (i32.const 10000)))");
    let grown = Hostile::new(many(110, &[0, 1, 2, 3].map(grow).concat())).items(format!(
        "{} (elem declare func $f) (func $f)",
        "(table 0 funcref)".repeat(4)
    ));
    let refused = &["tables"];
    vec![
        row("tables filled, 60 of 100,000 each", filled(15))
            .clients(8)
            .or_is_refused(refused),
        row("tables filled, 300 of 100,000", filled(75))
            .clients(3)
            .or_is_refused(refused),
        row("tables grown until they are not", grown)
            .clients(40)
            .or_is_refused(refused),
    ]
}

/// A store has at most 100,000 handles; eight have more.
fn handles() -> Vec<Row> {
    let eight = |name: &'static str, hostile: fn(String) -> Hostile, call: &str| {
        let number = if name.contains("49,000") { 49_000 } else { 99_000 };
        row(name, hostile(many(number, call)))
            .clients(8)
            .option("--max-instance-concurrent-reuse-count=1")
    };
    let (old, new) = (
        Hostile::new as fn(String) -> Hostile,
        Hostile::of_0_3 as fn(String) -> Hostile,
    );
    vec![
        eight(
            "pollables, 99,000",
            old,
            "(drop (call $clock.subscribe (i64.const 1000000000000)))",
        ),
        eight(
            "own resources, 99,000",
            old,
            "(drop (call $own.new (i32.const 1)))",
        ),
        eight(
            "request options, 99,000",
            old,
            "(drop (call $request-options.new))",
        ),
        eight(
            "headers of the request, 99,000",
            old,
            "(drop (call $incoming-request.headers (local.get $request)))",
        ),
        eight("standard outputs, 99,000", old, "(drop (call $stdout))"),
        eight("networks, 99,000", old, "(drop (call $network))"),
        eight("terminals, 99,000", old, "(call $terminal (i32.const 1024))"),
        eight(
            "own resources on 0.3, 99,000",
            new,
            "(drop (call $own.new (i32.const 1)))",
        ),
        eight("streams on 0.3, 49,000", new, "(drop (call $stream.new))"),
        eight("futures on 0.3, 49,000", new, "(drop (call $future.new))"),
        eight("sets on 0.3, 99,000", new, "(drop (call $set.new))"),
        eight(
            "tasks on 0.3, 99,000",
            new,
            "(drop (call $clock.start-wait (i64.const 1000000000000)))",
        ),
        eight(
            "error contexts on 0.3, 99,000",
            new,
            "(drop (call $error-context.new (i32.const 1024) (i32.const 4096)))",
        )
        .or_is_refused(&["error-context", "error context", "error_context"]),
        eight(
            "names on 0.3, 99,000",
            |body| Hostile::of_0_3(body).items(data(64, "a.test")),
            "(drop (call $start-resolve (i32.const 64) (i32.const 6) (i32.const 1024)))",
        )
        .option("--dns-server=127.0.0.1:9"),
        eight(
            "names, 99,000",
            |body| Hostile::new(body).items(data(64, "a.test")),
            "(call $resolve (local.tee $k (call $network)) (i32.const 64) (i32.const 6) (i32.const 1024))",
        )
        .option("--dns-server=127.0.0.1:9"),
    ]
}

fn files() -> Vec<Row> {
    let directory = "(i32.load (i32.load (i32.const 1024)))";
    let with_directory = |then: String| {
        let hostile = Hostile::new(format!("(call $directories (i32.const 1024)) {then}"));
        hostile.items(data(64, "a") + &data(72, "big"))
    };
    let open = |at: u32, length: u32| {
        format!(
            "(call $descriptor.open-at {directory} (i32.const 0) (i32.const {at}) (i32.const {length})
               (i32.const 0) (i32.const 1) (i32.const 1032))"
        )
    };
    let list = format!("(call $descriptor.read-directory {directory} (i32.const 1032))");
    let stream =
        "(call $descriptor.read-via-stream (i32.load (i32.const 1036)) (i64.const 0) (i32.const 1040))";
    let read = "(call $descriptor.read (i32.load (i32.const 1036)) (i64.const 20000000) (i64.const 0) (i32.const 1040))";
    // What is read is given back again and again, which must be no credit for what is kept.
    let read_and_keep = format!(
        "{0} {0} {0} (call $fields.append (call $fields.new) (i32.const 64) (i32.const 1) (i32.const {FAR})
           (i32.const 120000) (i32.const 1024))",
        "(call $descriptor.read (i32.load (i32.const 1036)) (i64.const 200000) (i64.const 0) (i32.const 1048))"
    );
    let keeps = Hostile::new(format!(
        "(call $directories (i32.const 1024)) {} {}",
        open(72, 3),
        many(8_000, &read_and_keep)
    ))
    .items(data(64, "a") + &data(72, "big") + &data(FAR, &"a".repeat(120_000)))
    .pages(40);
    vec![
        row("headers beside what is read", keeps).clients(2).with_files(),
        row("directory streams, 99,000", with_directory(many(99_000, &list))).with_files(),
        row(
            "streams of a file, 99,000",
            with_directory(format!("{} {}", open(64, 1), many(99_000, stream))),
        )
        .clients(4)
        .with_files(),
        row(
            "reads of 20 MB of a file",
            with_directory(format!("{} {}", open(72, 3), many(1000, read))),
        )
        .clients(8)
        .with_files(),
    ]
}
