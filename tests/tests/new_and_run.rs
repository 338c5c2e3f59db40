//! What `outport new` makes builds as its manifest says, has nothing that `check` finds, holds to the tests of its policy, and
//! runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use outport_e2e::author::{built, outport};
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;

/// The app of the template, built and without a finding.
fn sound(template: &str) -> Option<std::path::PathBuf> {
    let app = built(template)?;
    let output = outport(&app, &["check", "--deny-warnings"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{template}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains(": ok\n"), "{template}: {said}");
    Some(app)
}

/// Compiling CPython on a busy machine takes its time.
fn up(app: &Path) -> Outport {
    Outport::command("up")
        .option("-f")
        .option(app)
        .within(Duration::from_secs(180))
}

fn answers(template: &str, expected: &str) {
    let Some(app) = sound(template) else { return };
    let running = up(&app).option("--listen=127.0.0.1:0").start();
    let response = running.get("/some/where");
    let body = &response.body;
    assert_eq!((response.status, &**body), (200, expected), "{template}");
}

fn runs(template: &str, expected: &str) {
    let Some(app) = sound(template) else { return };
    let finished = up(&app).finish().expect_code(0);
    assert!(finished.stdout.contains(expected), "{template}: {finished}");
}

/// The app asks a server, which another `DATABASE_URL` leads to, and gets nowhere without an entry.
fn asks_postgres(template: &str, entry: &str) {
    let Some(app) = sound(template) else { return };
    let postgres = Postgres::start();
    let port = postgres.port();
    let manifest = fs::read_to_string(app.join("spin.toml")).unwrap();
    assert!(
        manifest.contains(&format!("\"{entry}://localhost:5432\"")),
        "{manifest}"
    );
    let source = format!("source = \"{}/", app.display());
    let elsewhere = manifest.replace("source = \"", &source);
    let listed = elsewhere.replace("localhost:5432", &format!("localhost:{port}"));
    let url = format!("DATABASE_URL=postgres://postgres:secret@localhost:{port}/postgres");
    let run = |manifest: &str| {
        Outport::command("up")
            .manifest(manifest)
            .option(format!("--env={url}"))
            .within(Duration::from_secs(180))
            .finish()
    };
    let finished = run(&listed).expect_code(0);
    assert!(finished.stdout.contains("PostgreSQL 1"), "{template}: {finished}");
    let refused = run(&elsewhere).expect_code(1);
    assert!(!refused.stdout.contains("PostgreSQL"), "{template}: {refused}");
    assert!(
        refused
            .reasons()
            .iter()
            .any(|reason| reason.starts_with("allow.")),
        "{template}: {refused}"
    );
}

#[test]
fn an_http_component_in_javascript_answers() {
    answers("http-js", "Hello from JavaScript! You asked for /some/where\n");
}

#[test]
fn an_http_component_in_python_answers() {
    answers("http-python", "Hello from Python! You asked for /some/where\n");
}

#[test]
fn a_command_in_javascript_runs() {
    runs("command-js", "Hello from JavaScript!\n");
}

#[test]
fn a_command_in_python_runs() {
    runs("command-python", "Hello from Python!\n");
}

#[test]
fn a_command_in_javascript_asks_postgres_by_the_host() {
    asks_postgres("postgres-js", "postgres");
}

#[test]
fn a_command_in_python_asks_postgres_over_a_socket() {
    asks_postgres("postgres-python", "*");
}

#[test]
fn an_http_component_in_rust_answers() {
    answers("http-rust", "Hello from Rust! You asked for /some/where\n");
}

#[test]
fn a_command_in_rust_runs() {
    runs("command-rust", "Hello from Rust!\n");
}

#[test]
fn a_command_in_rust_asks_postgres_over_a_socket() {
    asks_postgres("postgres-rust", "*");
}
