//! An app of Spin's Rust SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a component
//! of WASI 0.3.

use outport_e2e::http::Origin;
use outport_e2e::outport::Outport;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "rust"

[variables]
greeting = { default = "good day" }

[[trigger.http]]
route = "/..."
component = "app"

[[trigger.http]]
route = { private = true }
component = "back"

[component.app]
source = "GUESTS/spin-rust.wasm"
allowed_outbound_hosts = ["http://back.spin.internal", "http://ORIGIN"]
key_value_stores = ["default"]

[component.app.variables]
greeting = "{{ greeting }}!"

[component.back]
source = "GUESTS/http-script-guest.wasm"
"#;

#[test]
fn a_spin_app_in_rust_answers_reads_variables_keeps_values_and_sends_requests() {
    let (origin, other) = (Origin::start("from the origin"), Origin::start("from elsewhere"));
    let (listed, elsewhere) = (origin.address(), other.address());
    let app = Outport::up(&APP.replace("ORIGIN", &listed.to_string())).start();
    let rows = [
        ("/hello".to_owned(), 200, "Hello from Rust!"),
        ("/elsewhere".to_owned(), 404, "nothing here"),
        ("/variable?greeting".to_owned(), 200, "good day!"),
        ("/count?visits".to_owned(), 200, "1"),
        ("/count?visits".to_owned(), 200, "2"),
        ("/count?others".to_owned(), 200, "1"),
        ("/keys".to_owned(), 200, "others,visits"),
        ("/open?elsewhere".to_owned(), 403, "Error::AccessDenied"),
        (format!("/send?http://{listed}/"), 200, "from the origin"),
        ("/send?http://back.spin.internal/hello".to_owned(), 200, "hello\n"),
        (
            format!("/send?http://{elsewhere}/"),
            502,
            "ErrorCode::HttpRequestDenied",
        ),
        (
            "/send?http://other.spin.internal/".to_owned(),
            502,
            "ErrorCode::HttpRequestDenied",
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
    assert!(other.requests().is_empty(), "nothing was sent elsewhere");
    app.stop();
}
