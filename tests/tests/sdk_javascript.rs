//! An app of Spin's JavaScript SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a
//! component of WASI 0.2, in version 2 of the SDK as today, and imports version 2 of most of the host's interfaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{self, Write};
use std::path::PathBuf;

use outport_e2e::http::Origin;
use outport_e2e::javascript;
use outport_e2e::models::ModelServer;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;

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

const SERVED: &str = r#"
spin_manifest_version = 2
application.name = "javascript"

[[trigger.http]]
route = "/..."
component = "app"

[component.app]
source = "APP"
allowed_outbound_hosts = ["redis://localhost:REDIS", "postgres://localhost:POSTGRES"]
sqlite_databases = ["default"]
ai_models = ["llama2-chat"]
"#;

// proves: HI-2, HI-5, HI-8
#[test]
fn a_spin_app_in_javascript_has_databases_servers_and_models() {
    let Some(app) = spin_app("spin_app_js") else {
        return;
    };
    let (redis, postgres, models) = (Redis::start(), Postgres::start(), ModelServer::start(None));
    let manifest = SERVED
        .replace("APP", &app.display().to_string())
        .replace("REDIS", &redis.port().to_string())
        .replace("POSTGRES", &postgres.port().to_string());
    let config = format!(
        "[llm_compute]\ntype = \"remote_http\"\nurl = \"http://{}\"\nauth_token = \"\"\n",
        models.address()
    );
    let app = Outport::up(&manifest)
        .file("runtime.toml", config)
        .option("--runtime-config-file=runtime.toml")
        .start();
    let at_postgres = |host: &str| format!("postgres://postgres:secret@{host}:{}/postgres", postgres.port());
    let rows = [
        (
            "/sqlite?default".to_owned(),
            200,
            "name,number,share,code,empty: text green,integer 9007199254740993,real 0.5,blob 0,255,null undefined",
        ),
        ("/sqlite?elsewhere".to_owned(), 403, "access-denied"),
        (
            format!("/redis?redis://localhost:{}", redis.port()),
            200,
            "green 1 2 1 int64 5",
        ),
        (
            format!("/redis?redis://127.0.0.1:{}", redis.port()),
            403,
            "invalid-address",
        ),
        (
            format!("/postgres?{}", at_postgres("localhost")),
            200,
            "1; name str,number int64,day date,empty str: str green,int64 9007199254740993,date 2026,2,28,db-null undefined",
        ),
        (
            format!("/postgres?{}", at_postgres("127.0.0.1")),
            403,
            "connection-failed: it is not permitted",
        ),
        (
            "/infer?llama2-chat".to_owned(),
            200,
            "llama2-chat was asked: say something (3+4)",
        ),
        ("/infer?elsewhere".to_owned(), 403, "model-not-supported"),
        ("/embed?llama2-chat".to_owned(), 200, "[[1,0.5],[3,0.5]]"),
    ];
    for (path, status, body) in rows {
        let answer = app.get(&path);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}\n{app}"
        );
    }
    let ended = app.stop();
    assert_eq!(
        ended.reasons(),
        ["allow.label", "allow.no-match", "allow.no-match", "allow.label"],
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
