//! `docs/threats.md` names the tests that show what it says. They exist, and every threat has some.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use outport_e2e::guest::workspace;

const SHOWN: &str = "**Shown by**";

#[test]
fn every_threat_names_tests_that_exist() {
    let document = fs::read_to_string(workspace().join("docs/threats.md")).unwrap();
    let mut threats = document.split("\n## ").skip(1).peekable();
    assert!(threats.peek().is_some(), "no threats");
    for threat in threats {
        let title = threat.lines().next().unwrap();
        for heading in ["**Stops it.**", "**Does not.**", SHOWN] {
            assert!(threat.contains(heading), "`{title}` has no `{heading}`");
        }
        let tests = tests_of(threat);
        assert!(!tests.is_empty(), "`{title}` names no test");
        for (file, test) in tests {
            let source = fs::read_to_string(workspace().join(&file)).unwrap_or_default();
            let is_there = source.contains(&format!("fn {test}("));
            assert!(is_there, "`{title}` is shown by `{test}`, which {file} has not");
        }
    }
}

/// File and name of each test in the paragraph that starts with [`SHOWN`].
fn tests_of(threat: &str) -> Vec<(String, String)> {
    let Some((_, shown)) = threat.split_once(SHOWN) else {
        return Vec::new();
    };
    let paragraph = shown.split("\n\n").next().unwrap_or_default();
    let mut file = String::new();
    let mut tests = Vec::new();
    for text in paragraph.split('`').skip(1).step_by(2) {
        if text.ends_with(".rs") {
            file = text.to_owned()
        } else {
            tests.push((file.clone(), text.to_owned()))
        }
    }
    tests
}

#[test]
fn files_and_tests_are_told_apart() {
    let threat = "T\n\n**Shown by** `a.rs`: `one`,\n`two`; `b.rs`: `three`.\n\nAnd `more`.";
    let pair = |file: &str, test: &str| (file.to_owned(), test.to_owned());
    assert_eq!(
        tests_of(threat),
        [pair("a.rs", "one"), pair("a.rs", "two"), pair("b.rs", "three")]
    );
}
