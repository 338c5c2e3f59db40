//! What is watched: patterns of the app's own directory, and what is written there by nobody who works on the app.

use std::fs;

use outport_e2e::guest;
use outport_e2e::outport::Outport;
use outport_e2e::until::until;

use super::Watched;

/// An app that is built in its own directory, and watches this.
pub(super) fn in_its_own_directory(watch: &str, options: &[&str]) -> Outport {
    let manifest = format!(
        r#"
spin_manifest_version = 2
application = {{ name = "own" }}
[[trigger.http]]
route = "/..."
component = "web"
[component.web]
source = "build/out.wasm"
[component.web.build]
command = "mkdir -p build; cp \"$(cat guest.py)\" build/out.wasm"
watch = [{watch}]
"#
    );
    Outport::command("watch")
        .options(options.iter().copied())
        .option("--listen=127.0.0.1:0")
        .manifest(&manifest)
        .file("guest.py", guest::path("hello").display().to_string())
}

#[test]
fn patterns_of_the_apps_own_directory_that_begin_with_a_wildcard_are_followed() {
    let rows: [(&str, &[&str], usize); 5] = [
        (r#""*.py""#, &[], 1),
        (r#""**/*.py""#, &["-f", "."], 1),
        (r#""**""#, &["-f", "spin.toml"], 1),
        // What the build makes is no source of it.
        (r#""build/**", "*.py""#, &[], 1),
        (r#"".", """#, &[], 1),
    ];
    for (pattern, options, builds) in rows {
        let watched = Watched::start(in_its_own_directory(pattern, options));
        watched.serves(1);
        assert_eq!(
            watched.said("Built web"),
            builds,
            "{pattern} {options:?}\n{}",
            watched.run
        );
        watched.write("guest.py", guest::path("quickstart").display().to_string());
        watched.answers("quickstart");
        assert_eq!(
            watched.said("changed: guest.py\n"),
            1,
            "{pattern} {options:?}\n{}",
            watched.run
        );
        watched.run.stop().expect_code(0);
    }
}

#[test]
fn a_pattern_may_be_an_absolute_path() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shared.py"), "1").unwrap();
    let pattern = format!("\"{}/*.py\"", folder.path().display());
    let watched = Watched::start(in_its_own_directory(&pattern, &[]));
    watched.serves(1);
    fs::write(folder.path().join("shared.py"), "2").unwrap();
    until("it is built", || watched.said("Built web") == 2);
    watched.run.stop().expect_code(0);
}
