//! What `outport new` makes builds as its manifest says, has nothing that `check` finds, holds to the tests of its policy, and
//! runs. What its README and the page about it show as typed is typed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use outport_e2e::author::{built, built_once, has_tools, outport, shell, typed_lines};
use outport_e2e::guest::workspace;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;

/// `check` finds nothing in the app, and the tests of its policy hold.
fn is_sound(app: &Path) {
    let output = outport(app, &["check", "--deny-warnings"]);
    let said = text(&output);
    assert!(output.status.success(), "{}: {said}", app.display());
    assert!(said.contains(": ok\n"), "{}: {said}", app.display());
}

/// The app of the template, built and sound.
fn sound(template: &str) -> Option<PathBuf> {
    let app = built(template)?;
    is_sound(&app);
    Some(app)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn readme(app: &Path) -> String {
    fs::read_to_string(app.join("README.md")).unwrap()
}

/// Compiling CPython on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(300);

/// `outport up`, but on a free port.
fn up(app: &Path) -> Outport {
    Outport::command("up")
        .option("-f")
        .option(app)
        .option("--listen=127.0.0.1:0")
        .within(PATIENCE)
}

fn answers(template: &str, greeting: &str) {
    let Some(app) = sound(template) else { return };
    let readme = readme(&app);
    let typed = typed_lines(&readme);
    let ["outport build", "outport up", curl] = typed[..] else {
        panic!("{template}: {typed:?}");
    };
    let running = up(&app).start();
    let curl = curl.replace("127.0.0.1:3000", &running.address().to_string());
    let output = shell(&app, &format!("{curl} --silent --show-error"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{greeting} You asked for /\n"),
        "{curl}: {}",
        text(&output)
    );
    let response = running.get("/some/where");
    let expected = format!("{greeting} You asked for /some/where\n");
    assert_eq!(
        (response.status, &*response.body),
        (200, &*expected),
        "{template}"
    );
}

fn runs(template: &str, greeting: &str) {
    let Some(app) = sound(template) else { return };
    assert_eq!(typed_lines(&readme(&app)), ["outport build", "outport up"]);
    let output = shell(&app, "outport up");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{template}: {}", text(&output));
    assert!(
        printed.contains(&format!("{greeting}\n")),
        "{template}: {printed}"
    );
}

/// The app asks the server that its variable names, which the variable of the process takes the place of, and gets nowhere
/// without an entry.
fn asks_postgres(template: &str, entry: &str) {
    let Some(app) = sound(template) else { return };
    let postgres = Postgres::start();
    postgres.execute(&["create role me login password 'secret'", "create database shop"]);
    let port = postgres.port();
    let manifest = fs::read_to_string(app.join("spin.toml")).unwrap();
    assert!(
        manifest.contains(&format!("\"{entry}://localhost:5432\"")),
        "{manifest}"
    );
    let source = format!("source = \"{}/", app.display());
    let unlisted = manifest.replace("source = \"", &source);
    let elsewhere = |text: &str| text.replace("localhost:5432", &format!("localhost:{port}"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spin.toml"), elsewhere(&unlisted)).unwrap();

    let readme = readme(&app);
    let typed = typed_lines(&readme);
    let ["outport build", alone, export, with_variable] = typed[..] else {
        panic!("{template}: {typed:?}");
    };
    // The server wants a password, which the manifest does not have.
    let output = shell(folder.path(), alone);
    assert_eq!(output.status.code(), Some(1), "{template}: {}", text(&output));
    assert!(
        text(&output).contains("password"),
        "{template}: {}",
        text(&output)
    );
    let output = shell(folder.path(), &format!("{}\n{with_variable}", elsewhere(export)));
    assert_eq!(output.status.code(), Some(0), "{template}: {}", text(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("PostgreSQL 1"), "{template}: {}", text(&output));

    let url = format!("--env=DATABASE_URL=postgres://me:secret@localhost:{port}/shop");
    let refused = Outport::up(&unlisted).option(url).within(PATIENCE).finish();
    let refused = refused.expect_code(1);
    assert!(!refused.stdout.contains("PostgreSQL"), "{template}: {refused}");
    let reasons = refused.reasons();
    assert!(
        reasons.iter().any(|reason| reason.starts_with("allow.")),
        "{template}: {refused}"
    );
}

/// What `docs/new.md` shows, and a component in a third language besides.
#[test]
fn an_app_of_three_languages_is_built_at_once_and_runs() {
    if !has_tools("http-js") {
        return;
    }
    let page = fs::read_to_string(workspace().join("docs/new.md")).unwrap();
    let root = tempfile::tempdir().unwrap();
    let lines = typed_lines(&page).join("\n");
    let output = shell(root.path(), &format!("{lines}\noutport init http-js front"));
    let said = text(&output);
    assert!(output.status.success(), "{lines}: {said}");
    let (_, shown) = page.split_once("$ outport new http-rust shop\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(said.starts_with(shown), "the page shows {shown}, and not {said}");

    let app = built_once(&root.path().join("shop"));
    is_sound(&app);
    let running = up(&app).start();
    let answers = ["/some/where", "/front/door"].map(|path| running.get(path).body);
    assert_eq!(
        answers,
        [
            "Hello from Rust! You asked for /some/where\n",
            "Hello from JavaScript! You asked for /front/door\n"
        ]
    );
    running.wait_for_line("[report] Hello from Python!");
}

#[test]
fn an_http_component_in_javascript_answers() {
    answers("http-js", "Hello from JavaScript!");
}

#[test]
fn an_http_component_in_python_answers() {
    answers("http-python", "Hello from Python!");
}

#[test]
fn a_command_in_javascript_runs() {
    runs("command-js", "Hello from JavaScript!");
}

#[test]
fn a_command_in_python_runs() {
    runs("command-python", "Hello from Python!");
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
    answers("http-rust", "Hello from Rust!");
}

#[test]
fn a_command_in_rust_runs() {
    runs("command-rust", "Hello from Rust!");
}

#[test]
fn a_command_in_rust_asks_postgres_over_a_socket() {
    asks_postgres("postgres-rust", "*");
}
