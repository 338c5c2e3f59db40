//! `outport explain CODE`: what the codes mean that stand in brackets, and how they are told from destinations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use outport_e2e::guest::workspace;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;

const HEADER: &str = r#"spin_manifest_version = 2
application.name = "shop"

[[trigger.http]]
route = "/..."
component = "web"

"#;

/// In a folder where there is no app.
fn explain(words: &[&str]) -> Finished {
    Outport::command("explain")
        .options(words.iter().copied())
        .finish()
}

/// The fenced text of a language in a section.
fn block<'s>(section: &'s str, language: &str) -> Option<&'s str> {
    let (_, behind) = section.split_once(&format!("\n```{language}\n"))?;
    behind.split_once("```").map(|(block, _)| block)
}

// proves: RSN-1
#[test]
fn every_example_of_the_page_of_reasons_has_its_reason() {
    let page = fs::read_to_string(workspace().join("docs/reasons.md")).unwrap();
    let mut examples = 0;
    for section in page.split("\n## `").skip(1) {
        let (code, _) = section.split_once('`').unwrap();
        let Some(console) = block(section, "console") else {
            continue;
        };
        let line = console.trim().strip_prefix("$ outport explain ").unwrap();
        let words = line.split(' ').map(|word| word.trim_matches('\''));
        let manifest = format!("{HEADER}{}", block(section, "toml").unwrap());
        let finished = Outport::command("explain")
            .manifest(&manifest)
            .options(words)
            .finish();
        // The verdict may be broken into two lines.
        let first: Vec<&str> = finished.stdout.lines().take(2).map(str::trim).collect();
        let first = first.join(" ");
        assert!(first.contains(&format!("denied ({code})")), "{code}\n{finished}");
        examples += 1;
    }
    assert!(examples >= 18, "{examples}");
}

#[test]
fn a_code_is_explained_without_an_app_however_it_is_pasted() {
    for written in ["allow.port", "[allow.port]", "denied[allow.port]:"] {
        let finished = explain(&[written]).expect_code(0);
        assert_eq!(finished.stderr, "");
        for part in [
            "allow.port (reason of a denial: author's allow list)\n",
            "An entry names this host, but not this port.",
            "Who can lift it: the author, by an entry.",
            "What to do: add the entry",
            "    $ outport explain tcp://10.0.0.5:6379",
        ] {
            assert!(finished.stdout.contains(part), "no `{part}`\n{finished}");
        }
    }
    let several = explain(&["entry.blocked", "manifest.unknown-key"]).expect_code(0);
    for part in [
        "entry.blocked (finding: warning)",
        "manifest.unknown-key (in a file: error)",
        "sorce",
    ] {
        assert!(several.stdout.contains(part), "no `{part}`\n{several}");
    }
}

#[test]
fn all_codes_are_listed_and_programs_get_a_document() {
    let list = explain(&["--list"]).expect_code(0);
    for line in [
        "hard.listen",
        "deny.tls-name",
        "test.failed",
        "variables.misspelled",
    ] {
        let is_there = list
            .stdout
            .lines()
            .any(|own| own.starts_with(&format!("{line} ")));
        assert!(is_there, "no `{line}`\n{list}");
    }
    let all = explain(&["--list", "--format=json"]).expect_code(0);
    let all = schema::valid("docs/schema/codes.json", &all.stdout);
    let one = explain(&["--format=json", "allow.port"]).expect_code(0);
    let one = schema::valid("docs/schema/codes.json", &one.stdout);
    let codes = all["codes"].as_array().unwrap();
    assert!(codes.contains(&one["codes"][0]), "{one}");
    assert_eq!(one["codes"][0]["layer"], "author's allow list");
    // What is listed is what the schema of the rest knows as well.
    for code in codes {
        let word = code["code"].as_str().unwrap();
        explain(&[word]).expect_code(0);
    }
}

#[test]
fn a_slip_names_the_code_and_a_host_of_that_name_has_a_way_out() {
    for (written, meant) in [("allow.prot", "allow.port"), ("[entry.blockd]", "entry.blocked")] {
        let finished = explain(&[written]).expect_code(2);
        assert!(
            finished.stderr.contains(&format!("did you mean `{meant}`?")),
            "{finished}"
        );
        assert_eq!(finished.stdout, "");
    }
    let manifest = format!(
        "{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [\"*://deny.host:80\", \"*://allow.prot:80\"]\n"
    );
    let of_app = |words: &[&str]| {
        let explain = Outport::command("explain").manifest(&manifest);
        explain.options(words.iter().copied()).finish()
    };
    for host in [
        "deny.host.",
        "allow.prot.",
        "tcp://deny.host:80",
        "tcp://allow.prot:80",
    ] {
        let finished = of_app(&[host]).expect_code(0);
        assert!(finished.stdout.contains(": allowed\n"), "{finished}");
    }
    // Without the dot it is the code, in an app as anywhere.
    let code = of_app(&["deny.host"]).expect_code(0);
    assert!(code.stdout.starts_with("deny.host (reason"), "{code}");
    for words in [
        &["deny.host", "tcp://deny.host:80"][..],
        &["deny.host", "--component=web"],
    ] {
        let finished = of_app(words).expect_code(2);
        assert!(finished.stderr.contains("`deny.host.`"), "{finished}");
    }
}

#[test]
fn a_path_is_no_destination_and_a_component_that_is_misspelled_is_named() {
    let manifest = format!("{HEADER}[component.web]\nsource = \"web.wasm\"\n");
    let explain = || {
        Outport::command("explain")
            .manifest(&manifest)
            .file("a.wasm", b"\0asm")
    };
    for (path, part) in [
        ("./", "`outport explain -f ./`"),
        ("spin.toml", "`outport explain -f spin.toml`"),
        ("a.wasm", "not the component alone"),
    ] {
        let finished = explain().option(path).finish().expect_code(2);
        assert!(finished.stderr.contains(part), "{finished}");
    }
    let finished = explain().option("--component=wbe").finish().expect_code(2);
    assert!(finished.stderr.contains("did you mean `web`?"), "{finished}");
    let up = Outport::up(&manifest)
        .option("--component=wbe")
        .finish()
        .expect_code(2);
    assert!(up.stderr.contains("did you mean `web`?"), "{up}");
}

#[test]
fn completions_offer_the_codes() {
    for shell in ["bash", "fish", "zsh"] {
        let finished = Outport::command("completions")
            .option(shell)
            .finish()
            .expect_code(0);
        for code in ["allow.port", "entry.blocked", "manifest.unknown-key"] {
            assert!(finished.stdout.contains(code), "{shell} has no `{code}`");
        }
    }
}

#[test]
fn who_reads_no_further_has_seen_enough() {
    let finished = Outport::command("completions")
        .option("zsh")
        .after("mkfifo read; head -c 1 read > /dev/null & exec > read")
        .finish()
        .expect_code(0);
    assert_eq!(finished.stderr, "", "{finished}");
}
