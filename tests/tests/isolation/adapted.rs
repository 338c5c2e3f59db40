//! Modules of Spin's first ABI, of which components are made: what they compute, take and answer has the bounds of any other.

use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row(
            "module: a loop without end",
            "ISO-2",
            "(loop $on (br $on)) (i32.const 0)",
        ),
        row(
            "module: memory without end",
            "ISO-3",
            "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (i32.const 0)",
        )
        .ends(1),
        row("module: an answer of 40 MB", "ISO-3", &answer(40_000_000))
            .clients(4)
            .ends(1),
        row("module: answers of 15 MB at a time", "ISO-3", &answer(15_000_000))
            .clients(8)
            .ends(1),
        row(
            "module: an answer from nowhere",
            "ISO-3",
            &answer_at(-65_536, 65_536),
        )
        .ends(1),
    ]
}

fn row(name: &'static str, clause: &'static str, handler: &str) -> Row {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))
            (func (export "handle-http-request")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {handler}))"#
    );
    Row::new(name, clause).module(&text)
}

/// Status 200, no headers, and so many bytes for a body, for which the memory grows.
fn answer(length: u32) -> String {
    let grow = format!("(drop (memory.grow (i32.const {})))", length / 65_536 + 1);
    let length = i32::try_from(length).expect("a length of the test's");
    grow + &answer_at(0, length)
}

/// The same with a body that is where the guest says.
fn answer_at(address: i32, length: i32) -> String {
    format!(
        "(i32.store16 (i32.const 16) (i32.const 200)) (i32.store8 (i32.const 32) (i32.const 1))
         (i32.store (i32.const 36) (i32.const {address})) (i32.store (i32.const 40) (i32.const {length}))
         (i32.const 16)"
    )
}
