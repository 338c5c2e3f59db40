//! The apps of `examples/` do what their READMEs say.

use std::fs;

use outport_e2e::guest::workspace;
use outport_e2e::http::Origin;
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
