//! Models that a server of the operator's runs, asked by an app of Spin's Python SDK.

use outport_e2e::models::ModelServer;
use outport_e2e::outport::Outport;
use outport_e2e::python;
use outport_e2e::schema;
use outport_e2e::tls::Authority;
use serde_json::json;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "models"

[variables]
token = { default = "" }

[[trigger.http]]
route = "/..."
component = "app"

[component.app]
source = "APP"
ai_models = ["llama2-chat", "org/embedder:7b", "missing"]
"#;

/// The app, and what its operator says of the server.
fn app(lines: &str) -> Outport {
    let app = python::spin_app("spin_app");
    Outport::up(&APP.replace("APP", &app.display().to_string()))
        .file(
            "runtime.toml",
            format!("[llm_compute]\ntype = \"remote_http\"\nauth_token = \"hunter2\"\n{lines}\n"),
        )
        .option("--runtime-config-file=runtime.toml")
}

// proves: HI-5, HI-6, HI-8
#[test]
fn an_app_asks_the_models_that_it_lists_in_the_words_of_either_api() {
    let rows = [
        (
            "/infer?model=llama2-chat&prompt=hi",
            200,
            "llama2-chat was asked: hi (3+4)",
        ),
        (
            "/infer?model=llama2-chat&prompt=ho&temperature=0.25",
            200,
            "llama2-chat was asked: ho (3+4)",
        ),
        (
            "/infer?model=llama2-chat&prompt=hi&temperature=-1",
            502,
            "Error_InvalidInput",
        ),
        ("/infer?model=other&prompt=hi", 502, "Error_ModelNotSupported"),
        // It is granted, and the server has not got it. What it says of the token stays with the host.
        (
            "/infer?model=missing&prompt=hi",
            502,
            "Error_RuntimeError(value='the model server answered with `404 Not Found`: nobody here is missing; you are Bearer ***')",
        ),
        (
            "/embed?model=org/embedder:7b&texts=a.bcd",
            200,
            "[[1.0, 0.5], [3.0, 0.5]] (2)",
        ),
        ("/embed?model=other&texts=a", 502, "Error_ModelNotSupported"),
    ];
    let of_spin = |prompt: &str, temperature: f64| {
        json!({
            "model": "llama2-chat",
            "prompt": prompt,
            "options": {
                "maxTokens": 100,
                "repeatPenalty": 1.1,
                "repeatPenaltyLastNTokenCount": 64,
                "temperature": temperature,
                "topK": 40,
                "topP": 0.9,
            },
        })
    };
    let message = |prompt: &str| json!([{ "role": "user", "content": prompt }]);
    let of_open_ai = [
        json!({ "model": "llama2-chat", "messages": message("hi"), "max_completion_tokens": 100 }),
        json!({
            "model": "llama2-chat",
            "messages": message("ho"),
            "max_completion_tokens": 100,
            "temperature": 0.25,
        }),
    ];
    let apis = [
        (
            "",
            "",
            ["/infer", "/embed"],
            [of_spin("hi", 0.8), of_spin("ho", 0.25)],
        ),
        (
            "api_type = \"open_ai\"",
            "/v1",
            ["/v1/chat/completions", "/v1/embeddings"],
            of_open_ai,
        ),
    ];
    for (api, path, [infer, embed], bodies) in apis {
        let server = ModelServer::start(None);
        let at = server.address();
        // The operator's own list is not held against his own server, and no guest may go there by itself.
        let app = app(&format!("url = \"http://{at}{path}\"\n{api}"))
            .deny("*://127.0.0.1:*")
            .start();
        for (path, status, text) in rows {
            let answer = app.get(path);
            assert_eq!(answer.status, status, "{path}: {answer:?}\n{app}");
            assert!(answer.body.starts_with(text), "{path}: {answer:?}\n{app}");
        }
        let asked = server.asked();
        let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
        assert_eq!(paths, [infer, infer, infer, embed], "{app}");
        assert_eq!([&asked[0].body, &asked[1].body], [&bodies[0], &bodies[1]]);
        assert!(asked.iter().all(|asked| asked.authorization == "Bearer hunter2"));

        let ended = app.stop();
        schema::assert_log_of(&ended);
        let shows = |line: &str| line.contains("llm llama2-chat") && line.contains(&format!("http://{at}"));
        assert!(ended.stderr.lines().any(shows), "{ended}");
        let told = format!("the model server at http://{at} failed: it answered with `404 Not Found`");
        assert!(ended.stderr.contains(&told), "{ended}");
        let of_models: Vec<String> = ended
            .audit
            .iter()
            .filter(|line| line.field("attempt") == "llm.infer")
            .map(|line| line.reason())
            .collect();
        assert_eq!(
            of_models,
            ["", "", "", "allow.label", "", "", "allow.label"],
            "{ended}"
        );
        let mut of_operator = ended
            .audit
            .iter()
            .filter(|line| line.field("component") == "llm_compute (operator)");
        assert!(of_operator.all(|line| !line.denied()), "{ended}");
        assert!(!ended.stderr.contains("hunter2"), "{ended}");
    }
}

// proves: HI-5
#[test]
fn an_app_that_lists_models_does_not_start_where_nobody_runs_them() {
    let app = python::spin_app("spin_app");
    let refused = Outport::up(&APP.replace("APP", &app.display().to_string()))
        .finish()
        .expect_code(2);
    for told in [
        "nothing defines `llama2-chat` of `ai_models`",
        "nothing defines `org/embedder:7b` of `ai_models`",
        "write `[llm_compute]` with `type = \"remote_http\"`",
        "spin.toml:14:15",
    ] {
        assert!(refused.stderr.contains(told), "no {told}\n{refused}");
    }
}

// proves: HI-6
#[test]
fn what_would_not_be_sent_to_a_server_is_no_address_of_one() {
    for (lines, told) in [
        (
            "url = \"https://user:hunter3@models.internal\"",
            "has a user or a password",
        ),
        (
            "url = \"https://models.internal/?key=hunter3\"",
            "has a `?` or a `#`",
        ),
        ("url = \"https://models.internal:0\"", "has the port 0"),
    ] {
        let refused = app(lines).finish().expect_code(2);
        assert!(refused.stderr.contains(told), "no {told}\n{refused}");
        assert!(refused.stderr.contains("runtime.toml:4:"), "{refused}");
        assert!(!refused.stderr.contains("hunter"), "{refused}");
    }
}

// proves: HI-6
#[test]
fn a_server_of_https_is_held_to_its_certificate() {
    let (ours, strange) = (Authority::new(), Authority::new());
    for (authority, name, trusted) in [
        (&ours, "localhost", true),
        (&ours, "other.example", false),
        (&strange, "localhost", false),
    ] {
        let server = ModelServer::start(Some(authority.server_config(name, &[])));
        let port = server.address().port();
        let app = app(&format!("url = \"https://localhost:{port}\"")).file("ca.pem", ours.pem());
        let authorities = app.folder().join("ca.pem");
        let app = app.variable("SSL_CERT_FILE", authorities).start();
        let answer = app.get("/infer?model=llama2-chat&prompt=hi");
        let failed = "Error_RuntimeError(value='the model server failed: TLS with it failed')";
        let expected = if trusted {
            (200, "llama2-chat was asked: hi (3+4)")
        } else {
            (502, failed)
        };
        assert_eq!((answer.status, answer.body.as_str()), expected, "{name}\n{app}");
        assert_eq!(server.asked().len(), usize::from(trusted), "{app}");
        let told = format!("the model server at https://localhost:{port} failed: TLS with it failed: ");
        let ended = app.stop();
        assert_eq!(ended.stderr.contains(&told), !trusted, "{ended}");
    }
}

/// Its function `ask` has a model infer, and answers 0 if it did and 1 if the model is not supported.
const ASKER: &str = r#"(component
  (import "fermyon:spin/llm@2.0.0" (instance $llm
    (type $of-params (record
      (field "max-tokens" u32) (field "repeat-penalty" f32) (field "repeat-penalty-last-n-token-count" u32)
      (field "temperature" f32) (field "top-k" u32) (field "top-p" f32)))
    (export "inferencing-params" (type $params (eq $of-params)))
    (type $of-error (variant
      (case "model-not-supported") (case "runtime-error" string) (case "invalid-input" string)))
    (export "error" (type $error (eq $of-error)))
    (type $of-usage (record (field "prompt-token-count" u32) (field "generated-token-count" u32)))
    (export "inferencing-usage" (type $usage (eq $of-usage)))
    (type $of-result (record (field "text" string) (field "usage" $usage)))
    (export "inferencing-result" (type $result (eq $of-result)))
    (export "infer" (func
      (param "model" string) (param "prompt" string) (param "params" (option $params))
      (result (result $result (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 0) "llama2-chat")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      global.get $free
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $infer (canon lower (func $llm "infer") (memory $mem) (realloc $realloc)))
  (core module $ask
    (import "host" "memory" (memory 1))
    (import "host" "infer" (func $infer
      (param i32 i32 i32 i32 i32 i32 f32 i32 f32 i32 f32 i32)))
    (func (export "ask") (result i32)
      (call $infer (i32.const 0) (i32.const 11) (i32.const 0) (i32.const 5)
        (i32.const 0) (i32.const 0) (f32.const 0) (i32.const 0) (f32.const 0) (i32.const 0) (f32.const 0)
        (i32.const 512))
      (if (result i32) (i32.load8_u (i32.const 512))
        (then (i32.add (i32.const 1) (i32.load8_u (i32.const 516))))
        (else (i32.const 0)))))
  (core instance $ask (instantiate $ask (with "host" (instance
    (export "memory" (memory $mem)) (export "infer" (func $infer))))))
  (func $ask (result u32) (canon lift (core func $ask "ask")))
  (instance $exported (export "ask" (func $ask)))
  (export "outport:test/asker@1.0.0" (instance $exported)))"#;

/// Ends well if what it is composed with answers as it is to.
pub(super) const COMMAND: &str = r#"(component
  (import "outport:test/asker@1.0.0" (instance $asker (export "ask" (func (result u32)))))
  (core func $ask (canon lower (func $asker "ask")))
  (core module $run
    (import "asker" "ask" (func $ask (result i32)))
    (func (export "run") (result i32) (i32.ne (call $ask) (i32.const ANSWER))))
  (core instance $run (instantiate $run (with "asker" (instance (export "ask" (func $ask))))))
  (func $run (result (result)) (canon lift (core func $run "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))"#;

// proves: HI-5
#[test]
fn a_dependency_asks_the_models_of_its_component_only_if_it_inherits_them() {
    // Without a version it is the same one.
    for import in ["fermyon:spin/llm@2.0.0", "fermyon:spin/llm"] {
        a_dependency_asks_by(import);
    }
}

fn a_dependency_asks_by(import: &str) {
    let server = ModelServer::start(None);
    let asker = ASKER.replace("fermyon:spin/llm@2.0.0", import);
    for (inheritance, answer, asked, reason) in [
        ("", "1", 0, "allow.not-inherited"),
        (
            ", inherit_configuration = [\"key_value_stores\"]",
            "1",
            0,
            "allow.not-inherited",
        ),
        (", inherit_configuration = [\"ai_models\"]", "0", 1, ""),
        (", inherit_configuration = true", "0", 2, ""),
    ] {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"models\"\n\
             [[trigger.command]]\ncomponent = \"main\"\n\
             [component.main]\nsource = \"command.wasm\"\nai_models = [\"llama2-chat\"]\n\
             [component.main.dependencies]\n\
             \"outport:test/asker@1.0.0\" = {{ path = \"asker.wasm\"{inheritance} }}\n"
        );
        let wasm = |text: &str| wat::parse_str(text).expect("a component of our own");
        let config = format!(
            "[llm_compute]\ntype = \"remote_http\"\nurl = \"http://{}\"\nauth_token = \"\"\n",
            server.address()
        );
        let finished = Outport::up(&manifest)
            .file("command.wasm", wasm(&COMMAND.replace("ANSWER", answer)))
            .file("asker.wasm", wasm(&asker))
            .file("runtime.toml", config)
            .option("--runtime-config-file=runtime.toml")
            .finish()
            .expect_code(0);
        assert_eq!(server.asked().len(), asked, "{import}{inheritance}\n{finished}");
        let log = finished.audit.iter();
        let of_models: Vec<String> = log
            .filter(|line| line.field("attempt") == "llm.infer")
            .map(|line| line.reason())
            .collect();
        assert_eq!(of_models, [reason], "{import}{inheritance}\n{finished}");
        assert!(
            server.asked().iter().all(|asked| asked.authorization.is_empty()),
            "no token"
        );
    }
}
