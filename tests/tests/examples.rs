//! The apps of `examples/` do what their READMEs say.

use std::fs;

use outport_e2e::guest::workspace;
use outport_e2e::http::{self, Origin};
use outport_e2e::outport::{Outport, Running};

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

#[test]
fn guestbook_keeps_what_it_is_told_with_nothing_configured() {
    // Only for a folder of the test's own: by default the store lies beside the manifest.
    let state = tempfile::tempdir().expect("a temporary folder");
    let options = [format!("--state-dir={}", state.path().display())];
    let app = start("guestbook", &options);
    let post = |path: &str, words: &str| http::post(app.address(), path, words).expect("an answer").body;
    assert!(app.get("/").body.starts_with("Nobody has signed yet."), "{app}");
    assert_eq!(post("/ada", "What a nice place"), "Thank you, ada.\n", "{app}");
    assert_eq!(post("/bob", "Hello"), "Thank you, bob.\n", "{app}");
    let entries = "ada: What a nice place\nbob: Hello\n";
    assert_eq!(app.get("/").body, entries, "{app}");
    app.stop();
    let again = start("guestbook", &options);
    assert_eq!(again.get("/").body, entries, "{again}");
    let finished = again.stop();
    assert!(!finished.stderr.contains("warning"), "{finished}");
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
