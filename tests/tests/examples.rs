//! The apps of `examples/` do what their READMEs say.

use std::fs;

use outport_e2e::guest::workspace;
use outport_e2e::http::{self, Origin};
use outport_e2e::mariadb::MariaDb;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::postgres::Postgres;

/// Starts the example from its own `spin.toml`.
fn start(name: &str, options: &[String]) -> Running {
    Outport::command("up")
        .options(["--listen=127.0.0.1:0", "-f"])
        .option(workspace().join("examples").join(name))
        .options(options)
        .start()
}

#[test]
fn fetch_reaches_the_listed_api_and_is_refused_elsewhere() {
    let (api, other) = (Origin::start("from the API\n"), Origin::start("from elsewhere\n"));
    let app = start("fetch", &[format!("--variable=api=http://{}", api.address())]);
    let listed = app.get(&format!("/?http://{}/items", api.address()));
    assert_eq!(
        (listed.status, listed.body.as_str()),
        (200, "from the API\n"),
        "{app}"
    );
    let refused = app.get(&format!("/?http://{}/", other.address()));
    assert_eq!(refused.status, 403, "{app}");
    assert!(refused.body.contains("HttpRequestDenied"), "{}", refused.body);
    assert!(other.requests().is_empty(), "nothing was sent elsewhere");
    app.wait_for_error_line("denied: component `fetch` http");
    assert!(app.get("/").body.contains("curl"), "it says how it is used");
    app.stop();
}

#[test]
fn chained_answers_by_way_of_a_component_that_nobody_else_can_ask() {
    let app = start("chained", &[]);
    assert_eq!(
        app.get("/a/b?c").body,
        "The back says: you asked me for /a/b?c\n",
        "{app}"
    );
    let audit = app.stop();
    assert!(!audit.stderr.contains("denied:"), "{audit}");
}

/// Signs a guestbook that nobody has signed, corrects that, and takes a signature back. What is left is [`ENTRIES`].
fn sign(app: &Running) {
    let ask = |method: &str, path: &str, words: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: guestbook\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{words}",
            words.len()
        );
        http::send(app.address(), &request).expect("an answer").body
    };
    assert!(app.get("/").body.starts_with("Nobody has signed yet."), "{app}");
    for (method, path, words, answer) in [
        ("POST", "/ada", "What a place", "Thank you, ada.\n"),
        ("POST", "/eve", "'); DROP TABLE entries; --", "Thank you, eve.\n"),
        ("POST", "/bob", "Hello", "Thank you, bob.\n"),
        ("POST", "/ada", "What a nice place", "Thank you, ada.\n"),
        ("DELETE", "/eve", "", "Good-bye, eve.\n"),
    ] {
        assert_eq!(ask(method, path, words), answer, "{app}");
    }
}

const ENTRIES: &str = "ada: What a nice place\nbob: Hello\n";

#[test]
fn guestbook_keeps_what_it_is_told_with_nothing_configured() {
    // Only for a folder of the test's own: by default the files lie beside the manifest.
    let state = tempfile::tempdir().expect("a temporary folder");
    let options = [format!("--state-dir={}", state.path().display())];
    let app = start("guestbook", &options);
    sign(&app);
    assert_eq!(app.get("/").body, format!("{ENTRIES}Visits: 2\n"), "{app}");
    app.stop();
    let again = start("guestbook", &options);
    assert_eq!(again.get("/").body, format!("{ENTRIES}Visits: 3\n"), "{again}");
    let finished = again.stop();
    assert!(!finished.stderr.contains("warning"), "{finished}");
    assert!(state.path().join("sqlite_db.db").exists(), "{finished}");
    assert!(state.path().join("sqlite_key_value.db").exists(), "{finished}");
}

#[test]
fn guestbook_postgres_keeps_what_it_is_told_on_its_server_and_reaches_no_other() {
    let (postgres, other) = (Postgres::start(), Postgres::start());
    for server in [&postgres, &other] {
        server.execute(&[
            "CREATE USER guestbook PASSWORD 'secret'",
            "CREATE DATABASE guestbook OWNER guestbook",
        ]);
    }
    let options = [
        "--variable=password=secret".to_owned(),
        format!("--variable=server=localhost:{}", postgres.port()),
    ];
    let app = start("guestbook-postgres", &options);
    sign(&app);
    assert_eq!(app.get("/").body, ENTRIES, "{app}");
    app.stop();
    let again = start("guestbook-postgres", &options);
    assert_eq!(again.get("/").body, ENTRIES, "{again}");
    let finished = again.stop();
    assert!(!finished.stderr.contains("warning"), "{finished}");
    assert!(!format!("{finished}").contains("secret@"), "{finished}");

    let elsewhere = [
        "--variable=password=secret".to_owned(),
        format!("--variable=server=localhost:{}", other.port()),
        format!(
            "--disallowed-outbound-hosts=postgres://localhost:{}",
            other.port()
        ),
    ];
    let app = start("guestbook-postgres", &elsewhere);
    let refused = app.get("/");
    assert_eq!(refused.status, 500, "{app}");
    assert!(refused.body.contains("it is not permitted"), "{}", refused.body);
    let finished = app.stop();
    assert!(finished.stderr.contains("[deny.host]"), "{finished}");
}

/// The example as a user has it, with a server on another port: what its commands wrote, once they have ended.
fn run_with_port(name: &str, written: u16, port: u16, options: &[&str]) -> Finished {
    let examples = workspace().join("examples");
    let manifest =
        fs::read_to_string(examples.join(name).join("spin.toml")).expect("an example has a manifest");
    let (there, here) = (format!("localhost:{written}"), format!("localhost:{port}"));
    assert_eq!(
        manifest.matches(&there).count(),
        2,
        "the list has it, and the guest: {manifest}"
    );
    let guests = format!("{}/guests/", workspace().display());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = manifest.replace(&there, &here).replace("../../guests/", &guests);
    fs::write(folder.path().join("spin.toml"), manifest).expect("a folder of our own");
    Outport::command("up")
        .option("-f")
        .option(folder.path())
        .options(options)
        .finish()
}

/// What the README shows that its guest writes.
fn shown(name: &str) -> String {
    let readme = fs::read_to_string(workspace().join("examples").join(name).join("README.md"));
    let readme = readme.expect("an example has a README");
    let start = format!("[{name}] ");
    let lines = readme.lines().filter(|line| line.starts_with(&start));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The example prints what its README shows, and the second time `again`; the operator keeps it from its server by the name.
fn reaches_its_server_by_name(name: &str, written: u16, port: u16, again: &str) {
    let first = run_with_port(name, written, port, &[]).expect_code(0);
    assert!(!shown(name).is_empty(), "{name}");
    assert_eq!(first.stdout, shown(name), "{first}");
    assert!(!first.stderr.contains("denied:"), "{first}");
    let second = run_with_port(name, written, port, &[]).expect_code(0);
    assert_eq!(second.stdout, again, "{second}");

    let denied = format!("--disallowed-outbound-hosts=*://localhost:{port}");
    let refused = run_with_port(name, written, port, &[&denied]).expect_code(1);
    assert!(refused.stderr.contains("[deny.host]"), "{refused}");
    assert_eq!(refused.stdout, "", "{refused}");
}

#[test]
fn postgres_counts_who_comes_on_its_server() {
    let server = Postgres::start();
    reaches_its_server_by_name("postgres", 5432, server.port(), "[postgres] ada: 2\n");
}

#[test]
fn mysql_takes_out_of_the_stock_on_its_server() {
    let server = MariaDb::start();
    reaches_its_server_by_name("mysql", 3306, server.port(), "[mysql] apples: 8 left\n");
}

#[test]
fn mqtt_hears_what_it_says_from_its_server() {
    let server = Mosquitto::start();
    reaches_its_server_by_name("mqtt", 1883, server.port(), &shown("mqtt"));
}

#[test]
fn every_example_has_a_readme_of_few_words() {
    for entry in fs::read_dir(workspace().join("examples")).expect("the folder of the examples") {
        let folder = entry.expect("an entry of the folder").path();
        let readme = fs::read_to_string(folder.join("README.md"));
        let readme = readme.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(
            readme.contains("outport up"),
            "{} says how to start it",
            folder.display()
        );
        assert!(readme.lines().count() <= 25, "{} is short", folder.display());
    }
}
