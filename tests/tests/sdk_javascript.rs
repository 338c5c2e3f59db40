//! An app of Spin's JavaScript SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a
//! component of WASI 0.2, in version 2 of the SDK as today.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{self, Write};
use std::path::PathBuf;

use outport_e2e::http::Origin;
use outport_e2e::javascript;
use outport_e2e::outport::Outport;

use crate::sdk_requests::{self, STATUS, Setting};

const APP: &str = r#"
spin_manifest_version = 2
application.name = "javascript"

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = { private = true }
component = "back"

[component.app]
source = "APP"
allowed_outbound_hosts = ["http://back.spin.internal", "http://ORIGIN"]
key_value_stores = ["default"]

[component.back]
source = "GUESTS/http-script-guest.wasm"
"#;

#[test]
fn a_spin_app_in_javascript_answers_keeps_values_and_sends_requests() {
    let Some(app) = spin_app("spin_app_js") else {
        return;
    };
    let (origin, other) = (Origin::start("from the origin"), Origin::start("from elsewhere"));
    let manifest = APP
        .replace("APP", &app.display().to_string())
        .replace("ORIGIN", &origin.address().to_string());
    let app = Outport::up(&manifest).start();
    let (listed, elsewhere) = (origin.address(), other.address());
    let rows = [
        ("/hello".to_owned(), 200, "Hello from JavaScript!"),
        ("/elsewhere".to_owned(), 404, "nothing here"),
        ("/count?visits".to_owned(), 200, "1"),
        ("/count?visits".to_owned(), 200, "2"),
        ("/count?others".to_owned(), 200, "1"),
        ("/keys".to_owned(), 200, "others,visits"),
        ("/open?elsewhere".to_owned(), 403, "access-denied"),
        (format!("/send?http://{listed}/"), 200, "from the origin"),
        ("/send?http://back.spin.internal/hello".to_owned(), 200, "hello\n"),
    ];
    for (path, status, body) in rows {
        let answer = app.get(&path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    let refused = [
        format!("/send?http://{elsewhere}/"),
        "/send?http://other.spin.internal/".to_owned(),
    ];
    for path in refused {
        assert_eq!(app.get(&path).status, 502, "{path}\n{app}");
    }
    assert!(other.requests().is_empty(), "nothing was sent elsewhere");
    let ended = app.stop();
    assert_eq!(
        ended.reasons(),
        ["allow.label", "allow.port", "allow.no-match"],
        "{ended}"
    );
}

/// None where it cannot be built, which is said.
fn spin_app(name: &str) -> Option<PathBuf> {
    match javascript::spin_app(name) {
        Ok(app) => Some(app),
        Err(missing) => {
            // Past the test harness, which would keep the words of a test that passes to itself.
            let reason = format!("SKIPPED: no app of Spin's JavaScript SDK: {missing}\n");
            io::stderr()
                .write_all(reason.as_bytes())
                .expect("standard error is open");
            None
        }
    }
}

// proves: ISO-3, ISO-5
#[test]
fn each_request_is_answered_what_the_server_said() {
    if let Some(app) = spin_app("spin_app_js") {
        sdk_requests::run(&app, &Setting::few(), 1, |host, server| {
            sdk_requests::of_an_sdk(host, server, |_| "failed")
        });
        sdk_requests::asked_without_a_body(&app, STATUS);
    }
}

#[test]
#[ignore = "builds one more app, and takes minutes"]
fn each_of_a_thousand_requests_is_answered_what_the_server_said() {
    for app in ["spin_app_js", "spin_app_js_2"] {
        let app = spin_app(app).expect("the tools are there");
        sdk_requests::run(&app, &Setting::all(), 1000, |host, server| {
            sdk_requests::of_an_sdk(host, server, |_| "failed")
        });
        sdk_requests::asked_without_a_body(&app, STATUS);
    }
}
