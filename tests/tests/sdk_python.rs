//! An app of Spin's Python SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a
//! component of WASI 0.3 that imports all of Spin's platform, most of which Outport does not provide.

use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "python"

[variables]
greeting = { default = "good day" }
token = { required = true, secret = true }

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = { private = true }
component = "back"

[component.app]
source = "APP"
allowed_outbound_hosts = ["http://back.spin.internal"]

[component.app.variables]
greeting = "{{ greeting }}!"
token = "{{ token }}"

[component.back]
source = "GUESTS/http-player.wasm"
"#;

fn start() -> Running {
    let app = python::spin_app("spin_app");
    Outport::up(&APP.replace("APP", &app.display().to_string()))
        .option("--variable=token=hunter2")
        .start()
}

#[test]
fn a_spin_app_in_python_answers_and_sends_requests() {
    let app = start();
    let rows = [
        ("/hello", 200, "Hello from Python!"),
        ("/elsewhere", 404, "nothing here"),
        ("/send?http://back.spin.internal/hello", 200, "hello\n"),
        // The SDK takes URLs apart, and leaves an empty path empty.
        ("/send?http://back.spin.internal?print+x", 200, "1 print x => x\n"),
        (
            "/send?http://other.spin.internal/hello",
            502,
            "ErrorCode_HttpRequestDenied",
        ),
        (
            "/send?http://elsewhere.example/",
            502,
            "ErrorCode_HttpRequestDenied",
        ),
    ];
    for (path, status, body) in rows {
        let answer = app.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    app.stop();
}

#[test]
fn a_spin_app_in_python_reads_its_variables_and_nobody_else_sees_the_secret() {
    let app = start();
    let rows = [
        ("/variable?greeting", 200, "good day!"),
        ("/variable?token", 200, "hunter2"),
    ];
    for (path, status, body) in rows {
        let answer = app.get(path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    let missing = app.get("/variable?other");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("Error_Undefined"), "{}", missing.body);
    let ended = app.stop();
    assert!(!ended.stderr.contains("hunter2"), "{ended}");
}

#[test]
fn a_response_that_is_shorter_than_it_says_breaks_off_and_is_told() {
    let app = start();
    let request = format!(
        "GET /short HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        app.address()
    );
    // The head is sent by then, so no status can tell. What the client makes of it is its own affair.
    let _ = http::send(app.address(), &request);
    let finished = app.stop();
    let told = "a response of component `app` broke off: ";
    assert!(finished.stderr.contains(told), "{finished}");
}
