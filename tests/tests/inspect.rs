//! `outport inspect`: what a file is and wants, before anything runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use outport_e2e::outport::{Finished, Outport};
use outport_e2e::{guest, schema};

/// The report on this file, in words and as a document.
fn inspected(bytes: &[u8], code: i32) -> (Finished, serde_json::Value) {
    let inspect = || Outport::command("inspect").file("x.wasm", bytes);
    let human = inspect().options(["x.wasm"]).finish().expect_code(code);
    let json = inspect()
        .options(["x.wasm", "--format=json"])
        .finish()
        .expect_code(code);
    let document = schema::valid("docs/schema/inspect.json", &json.stdout);
    (human, document["files"][0].clone())
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect(text)
}

#[test]
fn a_component_is_told_with_its_makers_its_use_and_its_imports() {
    let bytes = std::fs::read(guest::path("hello")).unwrap();
    let (human, document) = inspected(&bytes, 0);
    for words in [
        ": a component (",
        "made by ",
        "rustc",
        "answers HTTP (WASI 0.2)",
        "wasi:http/types@0.2.",
    ] {
        assert!(human.stdout.contains(words), "{words}\n{human}");
    }
    assert_eq!(document["kind"], "component");
    assert_eq!(document["runs"], true);
    assert_eq!(document["uses"][0], "answers HTTP (WASI 0.2)");
}

#[test]
fn what_is_mapped_and_what_nobody_provides_is_told() {
    let text = r#"(component
        (import "wasi:random/random@0.3.0-rc-2026-03-15" (instance))
        (import "my:own/thing" (instance (export "do" (func)))))"#;
    let (human, document) = inspected(&wat(text), 0);
    for words in [
        "for an earlier version of WASI",
        "wasi:random/random@0.3.0-rc-2026-03-15  as wasi:random/random@0.3.0",
        "my:own/thing  (not provided: ends the guest when it is called)",
        "starts for nothing",
    ] {
        assert!(human.stdout.contains(words), "{words}\n{human}");
    }
    assert_eq!(document["imports"][0]["mapped"], "wasi:random/random@0.3.0");
    assert_eq!(document["imports"][1]["provided"], false);
}

#[test]
fn a_module_is_told_with_what_becomes_of_it() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let (human, document) = inspected(&wat(text), 0);
    for words in [
        "a module for WASI preview 1 with `_start`",
        "imports 1 of module `wasi_snapshot_preview1`",
        "runs as a command (WASI 0.2)",
    ] {
        assert!(human.stdout.contains(words), "{words}\n{human}");
    }
    assert_eq!(document["kind"], "command-module");
}

#[test]
fn what_cannot_run_is_told_with_its_makers_and_what_to_do() {
    let text = r#"(module (import "gojs" "runtime.wasmExit" (func (param i32)))
        (@producers (language "Go" "go1.27")))"#;
    let (human, document) = inspected(&wat(text), 1);
    for words in [
        "written in Go go1.27",
        "cannot run: ",
        "GOOS=js",
        "help: build with `GOOS=wasip1",
    ] {
        assert!(human.stdout.contains(words), "{words}\n{human}");
    }
    assert_eq!(document["runs"], false);
    let (human, _) = inspected(b"#!/bin/sh", 1);
    assert!(human.stdout.contains("is not WebAssembly"), "{human}");
    let whole = std::fs::read(guest::path("hello")).unwrap();
    let (human, _) = inspected(&whole[..10_000], 1);
    assert!(human.stdout.contains("cannot run"), "{human}");
}

#[test]
fn the_components_of_an_app_are_told_one_by_one() {
    let app = r#"spin_manifest_version = 2
application.name = "shop"
[[trigger.http]]
route = "/..."
component = "web"
[component.web]
source = "GUESTS/hello.wasm"
[component.missing]
source = "missing.wasm"
"#;
    let inspect = || Outport::command("inspect").manifest(app);
    let all = inspect().finish().expect_code(2);
    assert!(all.stdout.contains("component `web`, "), "{all}");
    assert!(all.stdout.contains("there is no file"), "{all}");
    let web = inspect().options(["--component=web"]).finish().expect_code(0);
    assert!(!web.stdout.contains("missing"), "{web}");
    let unknown = inspect().options(["--component=wep"]).finish().expect_code(2);
    assert!(
        unknown.stderr.contains("the app has no component `wep`"),
        "{unknown}"
    );
}
