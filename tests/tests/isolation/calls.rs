//! Calls whose arguments make the host work: long names and lists, many bytes at a time, instructions of bulk.

use crate::component::{Hostile, data, forever};
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, hostile| {
        Row::new(name, "ISO-2")
            .hostile(hostile)
            .option("--max-cpu-time=300ms")
            .ends(1)
    };
    vec![
        row("resolve ü. of 60 MB", resolve("ü.", 60_000_000)),
        row("resolve ü. of 1 MB, again and again", resolve("ü.", 1_000_000)),
        row("resolve a. of 60 MB", resolve("a.", 60_000_000)),
        row("resolve a. of 1 MB, again and again", resolve("a.", 1_000_000)),
        row("resolve %61 of 30 MB", resolve("%61", 30_000_000)),
        row("resolve ü. of 60 MB on 0.3", resolve_0_3("ü.", 60_000_000)),
        row("resolve a. of 1 MB on 0.3", resolve_0_3("a.", 1_000_000)),
        row("random bytes, 32 MiB a call", many_bytes("random", 32 << 20)),
        row("random bytes, 1 MiB a call", many_bytes("random", 1 << 20)),
        row("insecure bytes, 32 MiB a call", many_bytes("insecure", 32 << 20)),
        row("random bytes on 0.3", many_bytes_0_3(32 << 20)),
        row("poll of 100,000", poll(100_000)),
        row("poll of 1,000,000", poll(1_000_000)),
        row("header list of 1,000,000", header_list(1_000_000)),
        row("header of 40 MB", long_header(40_000_000)),
        row(
            "path of 40 MB",
            long_text("outgoing-request.set-path", 40_000_000),
        ),
        row(
            "authority of 40 MB",
            long_text("outgoing-request.set-authority", 40_000_000),
        ),
        row("method of 40 MB", long_method(40_000_000)),
        row(
            "memory.fill",
            Hostile::new(forever(
                "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 62000000))",
            ))
            .pages(1000),
        ),
        row(
            "memory.copy",
            Hostile::new(forever(
                "(memory.copy (i32.const 65536) (i32.const 65537) (i32.const 62000000))",
            ))
            .pages(1000),
        ),
        row(
            "table.fill",
            Hostile::new(forever(
                "(table.fill $t (i32.const 0) (ref.null func) (i32.const 100000))",
            ))
            .items("(table $t 100000 funcref)"),
        ),
        row(
            "table.copy",
            Hostile::new(forever(
                "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 99999))",
            ))
            .items("(table $t 100000 funcref)"),
        ),
        row(
            "table.grow",
            Hostile::new(forever("(drop (table.grow $t (ref.null func) (i32.const 1000)))"))
                .items("(table $t 0 funcref)"),
        ),
        row("write 60 MB to standard output", write(60_000_000)),
        row("write 4 KiB to standard output", write(4096)),
    ]
}

/// Fills memory from 1 MiB on with `pattern`, about `length` bytes in all; their number is `$j` then.
fn filled(pattern: &str, length: u32) -> (String, u32) {
    let length = length / pattern.len() as u32 * pattern.len() as u32;
    let mut text = String::new();
    for (place, byte) in pattern.bytes().enumerate() {
        text.push_str(&format!(
            "(i32.store8 (i32.const {}) (i32.const {byte}))\n",
            FAR + place as u32
        ));
    }
    text.push_str(&format!(
        "(call $repeat (i32.const {FAR}) (i32.const {}) (i32.const {length}))\n",
        pattern.len()
    ));
    (text, length)
}

/// Where long arguments lie.
const FAR: u32 = 1 << 20;

fn pages_for(length: u32) -> u32 {
    ((FAR + length) >> 16) + 2
}

fn resolve(pattern: &str, length: u32) -> Hostile {
    let (fill, length) = filled(pattern, length);
    let body = format!(
        "{fill} (local.set $i (call $network)) {}",
        forever(&format!(
            "(call $resolve (local.get $i) (i32.const {FAR}) (i32.const {length}) (i32.const 1024))"
        ))
    );
    Hostile::new(body).pages(pages_for(length))
}

fn resolve_0_3(pattern: &str, length: u32) -> Hostile {
    let (fill, length) = filled(pattern, length);
    let body = format!(
        "{fill} {}",
        forever(&format!(
            "(call $resolve (i32.const {FAR}) (i32.const {length}) (i32.const 1024))"
        ))
    );
    Hostile::of_0_3(body).pages(pages_for(length))
}

fn many_bytes(function: &str, length: u32) -> Hostile {
    Hostile::new(forever(&format!(
        "(call ${function} (i64.const {length}) (i32.const 1024))"
    )))
}

fn many_bytes_0_3(length: u32) -> Hostile {
    Hostile::of_0_3(forever(&format!(
        "(call $random (i64.const {length}) (i32.const 1024))"
    )))
}

/// One handle, so many times.
fn poll(number: u32) -> Hostile {
    let body = format!(
        "(i32.store (i32.const {FAR}) (call $clock.subscribe (i64.const 0)))
         (call $repeat (i32.const {FAR}) (i32.const 4) (i32.const {}))
         {}",
        number * 4,
        forever(&format!(
            "(call $poll (i32.const {FAR}) (i32.const {number}) (i32.const 1024))"
        ))
    );
    Hostile::new(body).pages(pages_for(number * 4))
}

/// Header lists of entries `a: b` (16 bytes each).
fn header_list(number: u32) -> Hostile {
    let entry = [(0, 64), (4, 1), (8, 65), (12, 1)];
    let mut fill = String::new();
    for (offset, value) in entry {
        fill.push_str(&format!(
            "(i32.store (i32.const {}) (i32.const {value}))\n",
            FAR + offset
        ));
    }
    let body = format!(
        "{fill} (call $repeat (i32.const {FAR}) (i32.const 16) (i32.const {})) {}",
        number * 16,
        forever(&format!(
            "(call $fields.from-list (i32.const {FAR}) (i32.const {number}) (i32.const 1024))"
        ))
    );
    Hostile::new(body)
        .items(data(64, "ab"))
        .pages(pages_for(number * 16))
}

fn long_header(length: u32) -> Hostile {
    let (fill, length) = filled("a", length);
    let body = format!(
        "{fill} {}",
        forever(&format!(
            "(call $fields.append (call $fields.new) (i32.const {FAR}) (i32.const 20000) (i32.const {FAR}) (i32.const {length}) (i32.const 1024))"
        ))
    );
    Hostile::new(body).pages(pages_for(length))
}

fn long_text(function: &str, length: u32) -> Hostile {
    let (fill, length) = filled("a", length);
    let body = format!(
        "{fill} (local.set $i (call $outgoing-request.new (call $fields.new))) {}",
        forever(&format!(
            "(drop (call ${function} (local.get $i) (i32.const 1) (i32.const {FAR}) (i32.const {length})))"
        ))
    );
    Hostile::new(body).pages(pages_for(length))
}

fn long_method(length: u32) -> Hostile {
    let (fill, length) = filled("a", length);
    let body = format!(
        "{fill} (local.set $i (call $outgoing-request.new (call $fields.new))) {}",
        forever(&format!(
            "(drop (call $outgoing-request.set-method (local.get $i) (i32.const 9) (i32.const {FAR}) (i32.const {length})))"
        ))
    );
    Hostile::new(body).pages(pages_for(length))
}

/// Writes to standard output as much as it takes.
fn write(length: u32) -> Hostile {
    let (fill, length) = filled("a", length);
    let write = format!(
        "(call $output-stream.blocking-write (local.get $i) (i32.const {FAR}) (i32.const {}) (i32.const 1024)) (call $output-stream.check-write (local.get $i) (i32.const 1024)) (call $output-stream.write (local.get $i) (i32.const {FAR}) (i32.const {length}) (i32.const 1024))",
        length.min(4096)
    );
    Hostile::new(format!(
        "{fill} (local.set $i (call $stdout)) {}",
        forever(&write)
    ))
    .pages(pages_for(length))
}
