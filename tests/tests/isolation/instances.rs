//! Components that take what others need to start: memories, tables, core instances, stacks.

use std::fmt::Write as _;

use crate::component::Hostile;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let many = |name, number, module, last| {
        let hostile = Hostile::new("(call $hold (i64.const 3000))").outside(instances(number, module, last));
        Row::new(name, "ISO-1")
            .hostile(hostile)
            .clients(30)
            .or_is_refused(LIMITS)
    };
    let four_memories = "(memory 0)".repeat(4);
    let four_tables = "(table 0 funcref)".repeat(4);
    let deep = Hostile::new("(call $hold (i64.const 1)) (call $deeper (i32.const 0))").items(
        r"(func $deeper (param i32) (if (i32.lt_u (local.get 0) (i32.const 4000)) (then
            (call $deeper (i32.add (local.get 0) (i32.const 1))) (call $hold (i64.const 0)))
            (else (call $hold (i64.const 2000)))))",
    );
    let endless = Hostile::new("(call $deeper)").items("(func $deeper (call $deeper) (call $deeper))");
    let full = Hostile::new(
        "(drop (memory.grow (i32.const 1000))) (memory.fill (i32.const 4096) (i32.const 1) (i32.const 60000000)) (call $hold (i64.const 3000))",
    );
    vec![
        many(
            "all memories of the pool",
            265,
            &four_memories,
            "(memory 0)(memory 0)(memory 0)",
        ),
        many(
            "memories of no pages",
            132,
            &four_memories,
            "(memory 0)(memory 0)(memory 0)",
        ),
        many("memories of one page", 132, "(memory 1)", ""),
        many("tables of no elements", 266, &four_tables, ""),
        many("tables of 100,000 elements", 152, "(table 100000 funcref)", ""),
        many("core instances", 757, "", ""),
        many(
            "core instances with globals",
            900,
            "(global (mut i32) (i32.const 0)) (func (export \"f\"))",
            "",
        ),
        Row::new("deep stacks that wait", "ISO-1")
            .hostile(deep)
            .clients(60),
        Row::new("stacks without end", "ISO-1")
            .hostile(endless)
            .clients(4)
            .ends(4),
        Row::new("all the memory there is, six times", "ISO-1")
            .hostile(full)
            .clients(6),
    ]
}

/// Words of which a refusal has one: it names what there is too much of.
const LIMITS: &[&str] = &[
    "memories",
    "memory",
    "tables",
    "core instances",
    "core module instances",
];

/// So many core instances of a module, and one of another.
fn instances(number: usize, module: &str, last: &str) -> String {
    let mut text = format!("(core module $more {module})\n");
    for _ in 0..number {
        let _ = writeln!(text, "(core instance (instantiate $more))");
    }
    let _ = writeln!(
        text,
        "(core module $last {last}) (core instance (instantiate $last))"
    );
    text
}
