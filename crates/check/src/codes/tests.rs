//! That every code has a page, and that the pages say what the lists say.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::Colours;

fn of_workspace(path: &str) -> String {
    // Not `include_str`: nothing but its own folder is a part of the crate.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_pages_of_the_documentation_are_the_texts_of_the_command() {
    for (page, source) in [
        ("docs/reasons.md", REASONS),
        ("docs/findings.md", FINDINGS),
        ("docs/outcomes.md", OUTCOMES),
    ] {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
            std::fs::write(path, source).unwrap();
        }
        assert!(
            of_workspace(page) == source,
            "{page} is not the file of the same name in crates/check/src/codes, which is the one to change: \
             `UPDATE_DOCS=1 cargo test -p outport-check --lib codes` writes the page"
        );
    }
}

#[test]
fn every_code_has_one_page_with_all_that_belongs_there() {
    let pages = CodePage::all();
    let codes: Vec<&str> = pages.iter().map(|page| page.code.as_str()).collect();
    let unique: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(unique.len(), codes.len());
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    for code in reasons.chain(Code::ALL.iter().map(|code| code.as_str())) {
        assert!(unique.contains(code), "{code}");
    }
    for name in names_of_files() {
        let is_there = codes.iter().any(|code| {
            let is_of_a_file = ["manifest.", "runtime-config.", "config.", "variables."];
            is_of_a_file
                .iter()
                .any(|area| code.strip_prefix(area) == Some(name.as_str()))
        });
        assert!(is_there, "no row for `{name}`");
    }
    for page in pages {
        for part in [&page.meaning, &page.lifted_by, &page.to_do, &page.text] {
            assert!(!part.is_empty(), "{}", page.code);
        }
        let has_example = page.text.contains("```") || page.text.contains("For example: ");
        assert!(has_example, "{}", page.code);
    }
}

#[test]
fn every_outcome_that_has_words_has_a_page_with_them() {
    let source = of_workspace("crates/egress/src/audit/outcome.rs");
    let (_, body) = source.split_once("\nfn sentence(").unwrap();
    let (body, _) = body.split_once("        _ => ").unwrap();
    let mut found = 0;
    for line in body.split('\n').filter(|line| line.contains("=>")) {
        for code in line.split(" => ").next().unwrap().split('|') {
            let code = code.trim().trim_matches('"');
            let page = CodePage::of(code).unwrap_or_else(|| panic!("no row for `{code}`"));
            assert_eq!(page.kind, CodeKind::Outcome);
            assert!(
                body.contains(&format!("\"{}\"", page.meaning)),
                "{code}: {}",
                page.meaning
            );
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

/// The second halves of the codes of files, as the source of their crate lists them.
fn names_of_files() -> Vec<String> {
    let mut names = Vec::new();
    for file in ["mistake", "remark"] {
        let source = of_workspace(&format!("crates/manifest/src/report/{file}.rs"));
        let (_, body) = source.split_once("pub fn name(&self)").unwrap();
        let (body, _) = body.split_once("\n    }\n").unwrap();
        let quoted = body.lines().filter_map(|line| line.split('"').nth(1));
        names.extend(quoted.map(str::to_owned));
    }
    assert!(names.len() > 30, "{names:?}");
    names
}

#[test]
fn reasons_say_what_the_table_of_the_policy_says() {
    let policy = of_workspace("docs/policy.md");
    let (_, table) = policy.split_once("\n## Reason codes\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let pages: Vec<&CodePage> = CodePage::all()
        .iter()
        .filter(|page| page.kind == CodeKind::Reason)
        .collect();
    assert_eq!(rows.len(), pages.len());
    for (row, page) in rows.iter().zip(pages) {
        let reason = Reason::ALL
            .iter()
            .find(|reason| reason.code() == page.code)
            .unwrap();
        assert_eq!(row[0].trim_matches('`'), page.code);
        assert_eq!(row[2], page.lifted_by, "{}", page.code);
        assert_eq!(page.layer, Some(reason.layer().to_string()), "{}", page.code);
        let meaning = page.text.split("\n\n").next().unwrap().replace('\n', " ");
        let meaning = meaning.trim_end_matches('.');
        assert!(meaning.eq_ignore_ascii_case(row[1]), "{}: {meaning}", page.code);
    }
}

#[test]
fn a_code_is_found_as_it_is_printed_and_a_slip_is_told_from_a_host() {
    for written in [
        "entry.blocked",
        "[entry.blocked]",
        "warning[entry.blocked]",
        "warning[entry.blocked]:",
    ] {
        assert_eq!(CodePage::of(written).unwrap().code, "entry.blocked", "{written}");
        assert_eq!(CodePage::meant(written), Some("entry.blocked"), "{written}");
    }
    let rows = [
        ("allow.prot", Some("allow.port")),
        ("alow.port", Some("allow.port")),
        ("[allow.prot]", Some("allow.port")),
        ("allow.no_match", Some("allow.no-match")),
        ("manifest.unknown-keys", Some("manifest.unknown-key")),
        // Hosts, however near they are.
        ("http.test", None),
        ("dns.example", None),
        ("api.example.com", None),
        ("db.host", None),
        ("allow", None),
        ("", None),
    ];
    for (written, meant) in rows {
        assert!(CodePage::of(written).is_none(), "{written}");
        assert_eq!(CodePage::meant(written), meant, "{written}");
    }
}

#[test]
fn a_page_reads_well_on_a_terminal() {
    for page in CodePage::all() {
        for columns in [40, 80, 100] {
            let text = page.to_text(columns, Colours::Plain);
            let prose = text.lines().filter(|line| !line.starts_with("    "));
            for line in prose {
                let is_one_word = !line.contains(' ');
                assert!(
                    line.chars().count() <= columns || is_one_word,
                    "{}: {line}",
                    page.code
                );
            }
            for markdown in ["```", "**", "]("] {
                assert!(!text.contains(markdown), "{markdown} in\n{text}");
            }
        }
    }
    let page = CodePage::of("allow.port").unwrap();
    assert_eq!(
        page.to_text(80, Colours::Plain),
        "allow.port (reason of a denial: author's allow list)

An entry names this host, but not this port.

Who can lift it: the author, by an entry.

What to do: add the entry that the message says, with the port; or correct the
port in the guest.

    [component.web]
    source = \"web.wasm\"
    allowed_outbound_hosts = [\"*://10.0.0.5:5432\"]

    $ outport explain tcp://10.0.0.5:6379
"
    );
}
