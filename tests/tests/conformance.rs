//! Every clause of `docs/policy.md` and the tests that prove it.
//!
//! ```text
//! docs/policy.md   lines that start with an id, `HL-1.`            ─┐
//! *.rs             `// proves: HL-1, HL-2` above a test function   ─┴─► docs/conformance.md
//! ```
//!
//! The document is generated, and this test fails when it is not what the sources give:
//! `OUTPORT_BLESS=1 cargo test -p outport-e2e --test conformance` writes it anew. A clause without a test stands
//! under "Not proven yet". A comment that names a clause which does not exist, or that stands above something
//! else than a test, fails as well.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use outport_e2e::guest::workspace;

#[test]
fn the_document_lists_every_clause_with_its_tests() {
    let Ok(policy) = fs::read_to_string(workspace().join("docs/policy.md")) else {
        eprintln!("SKIPPED: there is no docs/policy.md");
        return;
    };
    let proofs = all_proofs();
    let clauses = clauses(&policy);
    for (id, tests) in &proofs {
        assert!(
            clauses.contains(id),
            "{} claims to prove `{id}`, which docs/policy.md lacks",
            tests[0]
        );
    }
    let (expected, path) = (
        document(&clauses, &proofs),
        workspace().join("docs/conformance.md"),
    );
    if env::var("OUTPORT_BLESS").as_deref() == Ok("1") {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let how = "write it anew with `OUTPORT_BLESS=1 cargo test -p outport-e2e --test conformance`";
    assert!(
        found == expected,
        "docs/conformance.md is not what the tests say: {how}"
    );
}

/// Tests by clause. A test is named `crates/policy/src/grant.rs: a_name_of_a_function`.
type Proofs = BTreeMap<String, Vec<String>>;

/// The ids at the starts of lines, in the order of the text: `HL-1.` or `**HL-1.**`, in a list or not.
fn clauses(policy: &str) -> Vec<String> {
    policy.lines().filter_map(clause).map(str::to_owned).collect()
}

fn clause(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['-', ' ', '*', '#']);
    let (id, _) = line.split_once(['.', '*'])?;
    is_id(id).then_some(id)
}

fn is_id(text: &str) -> bool {
    let Some((section, number)) = text.split_once('-') else {
        return false;
    };
    let letters = !section.is_empty() && section.bytes().all(|byte| byte.is_ascii_uppercase());
    letters && number.parse::<u8>().is_ok_and(|number| number > 0)
}

fn all_proofs() -> Proofs {
    let mut proofs = Proofs::new();
    for path in ["crates", "tests"]
        .iter()
        .flat_map(|folder| sources(&workspace().join(folder)))
    {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(workspace()).unwrap().display().to_string();
        for (id, test) in proofs_in(&text).unwrap_or_else(|problem| panic!("{path}:{problem}")) {
            proofs.entry(id).or_default().push(format!("{path}: {test}"));
        }
    }
    proofs
}

/// The Rust files below a folder, in the order of their names.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let below = entries.into_iter().flat_map(|path| match path.is_dir() {
        true if path.ends_with("target") => Vec::new(),
        true => sources(&path),
        false => vec![path],
    });
    below
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Pairs of clause and test, or the line of a comment that is not as it should be.
fn proofs_in(source: &str) -> Result<Vec<(String, String)>, String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let mut proofs = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(ids) = line.strip_prefix("// proves: ") else {
            continue;
        };
        let problem = |what: String| format!("{}: {what}", index + 1);
        let test = test_below(&lines[index + 1..]).ok_or_else(|| problem("not above a test".into()))?;
        for id in ids.split(", ") {
            if !is_id(id) {
                return Err(problem(format!("`{id}` is not the id of a clause")));
            }
            proofs.push((id.to_owned(), test.to_owned()));
        }
    }
    Ok(proofs)
}

/// The name of the function that the next lines declare, if they declare a test.
fn test_below<'s>(lines: &[&'s str]) -> Option<&'s str> {
    let head = lines
        .iter()
        .take_while(|line| line.starts_with('#') || line.starts_with("//"))
        .count();
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    lines[..head].iter().find(|line| is_test(line))?;
    let declaration = lines.get(head)?;
    let name = declaration.trim_start_matches("async ").strip_prefix("fn ")?;
    name.split_once('(').map(|(name, _)| name)
}

fn document(clauses: &[String], proofs: &Proofs) -> String {
    let mut text = String::from(
        "# Conformance\n\n\
        Which tests prove which clause of [the policy](policy.md). Generated from the `// proves:` comments above the\n\
        tests by `tests/tests/conformance.rs`, which fails when this page is not up to date.\n\n\
        | clause | proven by |\n| --- | --- |\n",
    );
    let (proven, open): (Vec<_>, Vec<_>) = clauses.iter().partition(|id| proofs.contains_key(*id));
    for id in proven {
        let tests = proofs[id]
            .iter()
            .map(|test| format!("`{test}`"))
            .collect::<Vec<_>>();
        let _ = writeln!(text, "| {id} | {} |", tests.join("<br>"));
    }
    text += "\n## Not proven yet\n\n";
    for id in &open {
        let _ = writeln!(text, "- {id}");
    }
    if open.is_empty() {
        text += "Every clause has a test.\n";
    }
    text
}

#[test]
fn a_clause_is_a_line_that_starts_with_its_id() {
    let policy = "# 2 Hard limits\n\nHL-1. `listen`\n**HL-2.** too\n- DNS-12. Bounds\nSee HL-3. No\nRFC 1035.\nHL-0. No";
    assert_eq!(clauses(policy), ["HL-1", "HL-2", "DNS-12"]);
}

#[test]
fn a_comment_names_the_test_below_it() {
    let source = |head: &str| format!("    {head}\n    async fn a_name() {{}}");
    for (head, expected) in [
        ("// proves: HL-1\n#[test]", Ok(vec!["HL-1"])),
        (
            "// proves: HL-1, Q-3\n// proves: AL-2\n#[tokio::test]",
            Ok(vec!["HL-1", "Q-3", "AL-2"]),
        ),
        (
            "/// Docs.\n// proves: HL-1\n#[test]\n#[ignore = \"slow\"]",
            Ok(vec!["HL-1"]),
        ),
        ("#[test]", Ok(vec![])),
        ("// proves: HL-1", Err("1: not above a test")),
        (
            "// proves: hl-1\n#[test]",
            Err("1: `hl-1` is not the id of a clause"),
        ),
        (
            "// proves: HL-1 and HL-2\n#[test]",
            Err("1: `HL-1 and HL-2` is not the id of a clause"),
        ),
    ] {
        let found = proofs_in(&source(head));
        let expected = expected
            .map(|ids| {
                ids.into_iter()
                    .map(|id| (id.to_owned(), "a_name".to_owned()))
                    .collect()
            })
            .map_err(str::to_owned);
        assert_eq!(found, expected, "{head}");
    }
}

#[test]
fn clauses_without_a_test_are_listed_apart() {
    let proofs = Proofs::from([("HL-1".into(), vec!["a.rs: one".into(), "b.rs: two".into()])]);
    let text = document(&["HL-1".into(), "HL-2".into()], &proofs);
    assert!(text.contains("| HL-1 | `a.rs: one`<br>`b.rs: two` |\n"), "{text}");
    assert!(text.ends_with("## Not proven yet\n\n- HL-2\n"), "{text}");
}
