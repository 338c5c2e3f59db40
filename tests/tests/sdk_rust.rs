//! An app of Spin's Rust SDK, built as its documentation says, runs unchanged from its `spin.toml`. It is a component
//! of WASI 0.3.

use outport_e2e::http::Origin;
use outport_e2e::models::ModelServer;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;

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

const SERVED: &str = r#"
spin_manifest_version = 2
application.name = "rust"

[[trigger.http]]
route = "/..."
component = "app"

[component.app]
source = "GUESTS/spin-rust.wasm"
allowed_outbound_hosts = ["redis://localhost:REDIS", "postgres://localhost:POSTGRES"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
ai_models = ["llama2-chat"]
"#;

// proves: HI-2, HI-5, HI-8
#[test]
fn a_spin_app_in_rust_has_databases_servers_and_models() {
    let (redis, postgres, models) = (Redis::start(), Postgres::start(), ModelServer::start(None));
    let manifest = SERVED
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
        ("/wasi-keyvalue?colour".to_owned(), 200, "green 1 5"),
        (
            "/sqlite?default".to_owned(),
            200,
            "2 changed; name,share: green=0.5 red=0.25",
        ),
        ("/sqlite?elsewhere".to_owned(), 403, "Error::AccessDenied"),
        (
            format!("/redis?redis://localhost:{}", redis.port()),
            200,
            "green 1 2 [RedisResult::Status(\"PONG\")]",
        ),
        (
            format!("/redis?redis://127.0.0.1:{}", redis.port()),
            403,
            "Error::InvalidAddress",
        ),
        (
            format!("/postgres?{}", at_postgres("localhost")),
            200,
            "2 inserted: green=1 red=2",
        ),
        (
            format!("/postgres?{}", at_postgres("127.0.0.1")),
            403,
            "PgError(Error::ConnectionFailed(\"it is not permitted\"))",
        ),
        (
            "/infer?llama2-chat".to_owned(),
            200,
            "llama2-chat was asked: say something (3+4)",
        ),
        ("/infer?elsewhere".to_owned(), 403, "Error::ModelNotSupported"),
        ("/embed?llama2-chat".to_owned(), 200, "[[1.0, 0.5], [3.0, 0.5]]"),
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
