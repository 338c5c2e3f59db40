//! Apps of every generation of Spin's SDKs start and answer, and what cannot run is refused before it starts, with what it is
//! and what to do.
//!
//! | generation | file | test |
//! | --- | --- | --- |
//! | Rust before 1.4, Go 0 to 2, `js2wasm` | module of Spin's first ABI | here, as text with the same names and types |
//! | Rust 1.4 to 1.5 | module for preview 1, Spin's interfaces without version | here |
//! | Rust 2 | module for preview 1, the snapshot of October 2023 | here |
//! | Rust 3 to 5 | module for preview 1 with a world of its own | here |
//! | Go's own compiler | module for preview 1 | here |
//! | Rust 6, Python 4 | component of a release candidate of WASI 0.3 | here |
//! | Rust 7, Python 5, Python 3, JavaScript 2 and 4 | component of WASI 0.2 or 0.3 | `sdk_rust`, `sdk_python`, `sdk_javascript` |

use std::io::{self, Write as _};
use std::path::Path;

use outport_e2e::go;
use outport_e2e::guest;
use outport_e2e::http::{self, Origin};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;
use outport_e2e::until::until;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "old"

[variables]
greeting = { default = "good day" }

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = { private = true }
component = "back"

[component.app]
source = "SOURCE"
allowed_outbound_hosts = ["http://back.spin.internal", "http://ORIGIN"]
key_value_stores = ["default"]

[component.app.variables]
greeting = "{{ greeting }}!"

[component.back]
source = "GUESTS/http-script-guest.wasm"
"#;

/// A server that the app may ask, and one that it may not.
struct Around {
    origin: Origin,
    elsewhere: Origin,
}

impl Around {
    fn start() -> Self {
        Self {
            origin: Origin::start("from the origin"),
            elsewhere: Origin::start("from elsewhere"),
        }
    }

    fn app(&self, source: &Path) -> Running {
        Outport::up(&self.manifest(&source.display().to_string())).start()
    }

    fn manifest(&self, source: &str) -> String {
        APP.replace("SOURCE", source)
            .replace("ORIGIN", &self.origin.address().to_string())
    }

    /// Asks for what every app here has: a greeting, a variable, and requests that are sent, or denied with a message that
    /// contains `denied`.
    fn ask(&self, app: &Running, greeting: &str, denied: &str) {
        let rows = [
            ("/".to_owned(), 200, greeting),
            ("/variable?greeting".to_owned(), 200, "good day!"),
            ("/send?http://back.spin.internal/hello".to_owned(), 200, "hello\n"),
            (
                format!("/send?http://{}/", self.origin.address()),
                200,
                "from the origin",
            ),
        ];
        for (path, status, body) in rows {
            let answer = app.get(&path);
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (status, body),
                "{path}\n{app}"
            );
        }
        assert_eq!(app.denials(), 0, "{app}");
        let answer = app.get(&format!("/send?http://{}/", self.elsewhere.address()));
        assert_eq!(answer.status, 502, "{app}");
        assert!(answer.body.contains(denied), "{}\n{app}", answer.body);
        until("the denial is in the log", || app.denials() == 1);
        assert!(self.elsewhere.requests().is_empty(), "nothing was sent elsewhere");
    }
}

/// Method, header and body arrive, and what the app prints is printed.
fn ask_for_an_echo(app: Running) {
    let address = app.address();
    let request = format!(
        "POST /echo?x HTTP/1.1\r\nHost: {address}\r\nX-Word: word\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    );
    let answer = http::send(address, &request).expect("an answer");
    assert_eq!(answer.status, 201, "{app}");
    assert_eq!(answer.header("content-type"), Some("text/plain"), "{app}");
    assert_eq!(answer.body, "POST word body", "{app}");
    let finished = app.stop();
    assert!(finished.stdout.contains("/echo?x"), "{finished}");
}

#[test]
fn modules_of_the_rust_sdk_3_to_5_answer_and_send_requests() {
    let around = Around::start();
    for name in ["spin-rust-3", "spin-rust-5"] {
        let app = around.app(&guest::path(name));
        around.ask(&app, "Hello from Rust!", "HttpRequestDenied");
        ask_for_an_echo(app);
    }
}

#[test]
fn a_component_of_the_rust_sdk_6_answers_and_sends_requests() {
    let around = Around::start();
    let app = around.app(&guest::path("spin-rust-6"));
    around.ask(&app, "Hello from Rust!", "HttpRequestDenied");
    app.stop();
}

#[test]
fn a_component_of_the_python_sdk_4_answers_and_sends_requests() {
    let around = Around::start();
    let app = around.app(&python::spin_app_of_sdk_4("spin_app_4"));
    around.ask(&app, "Hello from Python!", "HttpRequestDenied");
    ask_for_an_echo(app);
}

#[test]
fn a_module_of_gos_own_compiler_reads_its_input_and_answers() {
    let (input, mut writer) = io::pipe().expect("a pipe");
    let run = Outport::run(go::module("cgi")).reading(input).start();
    writer.write_all(b"one two three").expect("the module reads");
    drop(writer);
    let finished = run.finish().expect_code(0);
    let expected = [
        "content-type: text/plain",
        "",
        "300000 words, of which the last is \"three\"",
    ];
    assert_eq!(finished.lines(), expected, "{finished}");
}

#[test]
fn modules_of_the_rust_sdk_before_3_answer_and_send_requests() {
    let around = Around::start();
    for (name, denied) in [
        ("spin-rust-1", "destination-not-allowed"),
        ("spin-rust-2", "HttpRequestDenied"),
    ] {
        let app = around.app(&guest::path(name));
        around.ask(&app, "Hello from Rust!", denied);
        ask_for_an_echo(app);
    }
}

#[test]
fn a_module_of_the_first_abi_answers_keeps_values_and_sends_requests() {
    let around = Around::start();
    let app = around.app_in_wat("first_abi");
    let rows = [
        ("/config?greeting".to_owned(), 200, "good day!"),
        ("/keep?one".to_owned(), 200, "nothing"),
        ("/keep?two".to_owned(), 200, "one"),
        ("/send?http://back.spin.internal/hello".to_owned(), 200, "hello\n"),
        (
            format!("/send?http://{}/", around.origin.address()),
            200,
            "from the origin",
        ),
        // The number of `destination-not-allowed`.
        (format!("/send?http://{}/", around.elsewhere.address()), 502, "1"),
    ];
    for (path, status, body) in rows {
        let answer = app.get(&path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    until("the denial is in the log", || app.denials() == 1);
    assert!(around.elsewhere.requests().is_empty());
    let address = app.address();
    let request = format!(
        "PUT /echo?x HTTP/1.1\r\nHost: {address}\r\nX-Word: word\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    );
    let answer = http::send(address, &request).expect("an answer");
    // PUT is the third of the methods.
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (201, "2 /echo?x word body"),
        "{app}"
    );
    assert_eq!(answer.header("x-made-by"), Some("first ABI"), "{app}");
    let finished = app.stop();
    assert!(finished.stdout.contains("/echo?x"), "{finished}");
}

#[test]
fn the_smallest_module_of_the_first_abi_answers() {
    let around = Around::start();
    let app = around.app_in_wat("first_abi_hello");
    for _ in 0..2 {
        let answer = app.get("/");
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello!\n"), "{app}");
    }
    app.stop();
}

impl Around {
    /// An app of the module that `tests/programs/modules/NAME.wat` is the text of.
    fn app_in_wat(&self, name: &str) -> Running {
        let folder = guest::workspace().join("tests/programs/modules");
        let code = wat::parse_file(folder.join(name).with_extension("wat")).expect("valid text");
        Outport::up(&self.manifest("app.wasm"))
            .file("app.wasm", code)
            .start()
    }
}

/// What cannot run: the file in WAT, what it is said to be, and what to do about it.
const REFUSED: [(&str, &str, &str); 10] = [
    (
        r#"(component (import "wasi:http/types@0.3.0-rc-2025-09-16" (instance)))"#,
        "for a release candidate that is not provided: `wasi:http/types@0.3.0-rc-2025-09-16`",
        "rebuild with spin-sdk 6 or newer",
    ),
    (
        r#"(component (import "wasi:http/types@0.3.0-rc-2026-01-06" (instance)))"#,
        "for a release candidate that is not provided: `wasi:http/types@0.3.0-rc-2026-01-06`",
        "rebuild with spin-sdk 6 or newer",
    ),
    (
        r#"(component (import "wasi:io/poll@0.2.0-rc-2023-12-05" (instance)))"#,
        "for a release candidate that is not provided: `wasi:io/poll@0.2.0-rc-2023-12-05`",
        "rebuild with an SDK of WASI 0.2.0 or newer",
    ),
    (
        r#"(module (memory (export "memory") 1 2 shared))"#,
        "a module with threads",
        "build without threads",
    ),
    (
        r#"(module (memory (export "memory") i64 1))"#,
        "a module with 64-bit memory",
        "build with 32-bit memory",
    ),
    (
        r#"(module (func (export "_start")) (memory (export "memory") 1) (@producers (processed-by "clang" "14.0.6")))"#,
        "made by clang 14.0.6, whose C library corrupts memory",
        "rebuild with wasi-sdk 19 or newer",
    ),
    (
        r#"(module (import "gojs" "runtime.wasmExit" (func (param i32))) (func (export "run") (param i32 i32)))"#,
        "made by Go, for `GOOS=js`",
        "build with `GOOS=wasip1 GOARCH=wasm`",
    ),
    (
        r#"(module (import "env" "emscripten_memcpy_js" (func (param i32 i32 i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32))))"#,
        "made by Emscripten",
        "build with wasi-sdk",
    ),
    (
        r#"(module (import "./app_bg.js" "__wbg_log_1d3ae0273d8f4f8a" (func (param i32))))"#,
        "made by Rust, with wasm-bindgen",
        "build for `--target wasm32-wasip2`",
    ),
    (
        r#"(module (import "env" "host_call" (func)))"#,
        "a module that imports `host_call` of `env`",
        "build for `wasm32-wasip2` or another target of WASI",
    ),
];

#[test]
fn what_cannot_run_is_refused_before_it_starts_with_what_it_is_and_what_to_do() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"app\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"app\"\n[component.app]\nsource = \"app.wasm\"\n";
    for (text, is, advice) in REFUSED {
        let code = wat::parse_str(text).expect(text);
        let checked = Outport::command("check")
            .manifest(manifest)
            .file("app.wasm", &code)
            .finish()
            .expect_code(1);
        let up = Outport::up(manifest)
            .file("app.wasm", &code)
            .finish()
            .expect_code(2);
        // `check` breaks lines.
        let words = |output: &str| output.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [words(&checked.stdout), words(&up.stderr)] {
            assert!(
                said.contains("error[component.unusable]: `app.wasm`"),
                "{text}\n{said}"
            );
            assert!(said.contains(is), "{text}\n{said}");
            assert!(said.contains(&format!("= help: {advice}")), "{text}\n{said}");
            assert!(!said.contains("Serving"), "{text}\n{said}");
        }
    }
}
