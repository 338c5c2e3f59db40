//! Holds every block of Rust on the page to what is compiled and run, and the smallest host to its size.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page that begin with this line.
fn blocks(page: &str, first: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let block = block.map(|line| format!("{line}\n")).collect();
            if line == first {
                blocks.push(block);
            }
        }
    }
    blocks
}

/// The example in the documentation of a crate, without the lines that are hidden there.
fn documented(source: &str) -> String {
    let text: String = read(source)
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let example = [blocks(&text, "```"), blocks(&text, "```no_run")]
        .concat()
        .remove(0);
    let shown = example
        .lines()
        .filter(|line| *line != "#" && !line.starts_with("# "));
    shown.map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_program_on_the_page_is_one_that_runs() {
    let page = read("docs/embedding.md");
    let mut programs = vec![
        documented("crates/telemetry/src/lib.rs"),
        documented("crates/policy/src/lib.rs"),
    ];
    for name in [
        "smallest",
        "existing_host",
        "wasi_0_3",
        "operator",
        "own_sink",
        "quotas",
        "own_interface",
        "sync_host",
    ] {
        let program = read(&format!("crates/egress/tests/embedding/{name}.rs"));
        assert!(
            page.contains(&format!("```rust\n{program}```\n")),
            "`{name}.rs` is on the page as it is"
        );
        programs.push(program);
    }
    let shown = blocks(&page, "```rust");
    assert!(shown.len() >= 8, "{}", shown.len());
    for block in shown {
        assert!(
            programs.contains(&block),
            "this is no program that runs:\n{block}"
        );
    }
    assert!(!page.contains("```rust,"), "no block is left out of this");
}

#[test]
fn the_smallest_host_has_less_than_forty_lines() {
    let program = read("crates/egress/tests/embedding/smallest.rs");
    assert!(program.lines().count() < 40);
    assert!(
        program.lines().all(|line| line.len() <= 110),
        "and no line is two"
    );
    let example = documented("crates/egress/src/lib.rs");
    assert_eq!(
        example,
        program.split_once("\n\n").unwrap().1,
        "the crate's own documentation has it, too"
    );
}
