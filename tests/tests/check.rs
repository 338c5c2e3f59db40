//! `outport check`: everything that is wrong, odd or impossible about an app, each at its place, before it runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use outport_e2e::checked::{app, check, entries, json, listed};
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use serde_json::Value;

/// Whatever the report says reads well on a narrow terminal.
#[track_caller]
fn fits_80_columns(finished: &Finished) {
    for line in finished.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{finished}");
    }
}

#[test]
fn an_app_without_fault_is_fine() {
    let finished = check(&entries("\"*://db.example.com:5432\""))
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, "nothing found\n");
    assert_eq!(finished.stderr, "");
}

// proves: VAL-1, VAL-2
#[test]
fn a_denied_entry_is_blocked_which_is_a_warning_unless_warnings_are_denied() {
    let check = || check(&entries("\"*://example.com:8080\"")).deny("*://example.com:8080");
    let finished = check().finish().expect_code(0);
    assert_eq!(
        finished.stdout,
        "warning[entry.blocked]: `*://example.com:8080` permits nothing: the operator
  denies `*://example.com:8080`
  --> spin.toml:10:28
   |
10 | allowed_outbound_hosts = [\"*://example.com:8080\"]
   |                            ^^^^^^^^^^^^^^^^^^^^
   = `*://example.com:8080` is denied here: --disallowed-outbound-hosts

1 warning
"
    );
    check().option("--deny-warnings").finish().expect_code(1);
}

// proves: VAL-1, VAL-2
#[test]
fn a_partly_denied_entry_is_narrowed_by_just_what_is_denied() {
    let check = || check(&entries("\"*://example.com:*\"")).deny("*://example.com:8080");
    let finished = check().finish().expect_code(0);
    assert_eq!(
        finished.stdout,
        "warning[entry.narrowed]: `*://example.com:*` is narrowed, without port 8080: the
  operator denies `*://example.com:8080`
  --> spin.toml:10:28
   |
10 | allowed_outbound_hosts = [\"*://example.com:*\"]
   |                            ^^^^^^^^^^^^^^^^^
   = `*://example.com:8080` is denied here: --disallowed-outbound-hosts

1 warning
"
    );
    check().option("--deny-warnings").finish().expect_code(1);
}

#[test]
fn the_deny_list_counts_wherever_it_comes_from() {
    let manifest = entries("\"*://10.1.2.3:80\", \"*://a.test:1\", \"*://b.test:1\", \"*://c.test:1\"");
    let check = check(&manifest)
        .deny("*://a.test:*")
        .variable("OUTPORT_DISALLOWED_OUTBOUND_HOSTS", "*://b.test:*")
        .file(
            "config.toml",
            "[outbound_networking]\nblock_networks = [\"10.0.0.0/8\"]\ndisallowed_outbound_hosts = [\"*://c.test:1\"]\n",
        )
        .option("--runtime-config-file=config.toml");
    let report = json(check, 0);
    let blocked: Vec<&Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["code"] == "entry.blocked")
        .map(|finding| &finding["related"][0]["place"])
        .collect();
    assert_eq!(blocked.len(), 4, "{report:#}");
    assert_eq!(blocked[0]["file"], "config.toml");
    assert_eq!(blocked[0]["line"], 2);
    assert_eq!(blocked[1]["option"], "--disallowed-outbound-hosts");
    assert_eq!(blocked[2]["environment"], "OUTPORT_DISALLOWED_OUTBOUND_HOSTS");
    assert_eq!(blocked[3]["line"], 3);
}

#[test]
fn labels_are_held_against_code_and_operator_and_no_secret_is_shown() {
    let operators = r#"
[key_value_store.cache]
type = "redis"
url = "redis://:hunter2@cache.internal/0?x=hunter2"

[sqlite_database.far]
type = "libsql"
url = "https://db.example.com"
token = "hunter2"
"#;
    let wrong = operators.to_owned()
        + "tokn = 1\n[key_value_store.other]\ntype = \"azure_cosmos\"\nkey = \"hunter2\"\n";
    let manifest = app("key_value_stores = [\"default\", \"cache\"]\nsqlite_databases = [\"orders\"]");
    // (the runtime config file, what is found beside the rest, exit code)
    let rows: [(&str, &[&str], i32); 2] = [
        (
            operators,
            &[
                "operator.own-address 2:18",
                "component.unused-grant 10:22",
                "manifest.undefined-label 11:22",
                "component.unused-grant 11:22",
            ],
            1,
        ),
        (
            &wrong,
            &["runtime-config.unknown-key 10:1", "runtime-config.value 12:9"],
            1,
        ),
    ];
    for (config, expected, code) in rows {
        let run = || {
            check(&manifest)
                .file("operator.toml", config)
                .option("--runtime-config-file=operator.toml")
                .deny("*://*.internal:*")
        };
        let found = listed(&json(run(), code));
        for expected in expected {
            assert!(
                found.iter().any(|one| one == expected),
                "no `{expected}` in {found:#?}"
            );
        }
        for format in ["human", "json", "sarif"] {
            let finished = run().option(format!("--format={format}")).finish();
            let all = finished.stdout.clone() + &finished.stderr;
            assert!(!all.contains("hunter2"), "{finished}");
        }
    }
}

// proves: VAL-4
#[test]
fn twenty_different_mistakes_are_twenty_findings_each_at_its_place() {
    let manifest = r#"spin_manifest_version = 3
application.nme = "shop"
[variables]
Host = { default = "a" }
db = {}
both = { required = true, default = "x" }
[[trigger.http]]
route = "/a/.../b"
component = "nobody"
[[trigger.http]]
route = "/..."
component = "wob"
[[trigger.command]]
component = 7
[component.web]
sorce = "web.wasm"
allowed_outbound_hosts = [
  "example.com:80",
  "*://10.0.0.1/8:80",
  "*://*:*",
  "https://*.com",
  "*://a.example:80..90",
  "*://denied.example:1",
  "*://{{ nobody }}:1",
  "http://a.example/path",
]
environment = { "" = "x" }
key_value_stores = ["Not OK"]
[component.Bad_Id]
source = "x.wasm"
[component.other]
source = "none.wasm"
allowed_outbound_hosts = ["*://198.41.128.0/17:443", "*://0.0.0.0/0:1", "HTTPS://B.example"]
key = 1 1
"#;
    let report = json(check(manifest).deny("*://denied.example:*"), 1);
    let found = listed(&report);
    for expected in [
        "manifest.version 1:25",
        "manifest.unknown-key 2:13",
        "manifest.variable-name 4:1",
        "manifest.variable-declaration 5:1",
        "manifest.variable-declaration 6:1",
        "manifest.route 8:10",
        "manifest.component-reference 9:14",
        "manifest.component-reference 12:14",
        "manifest.wrong-type 14:13",
        "manifest.unknown-key 16:1",
        "manifest.entry 18:4",
        "manifest.entry 19:8",
        "entry.everything 20:4",
        "entry.redundant 21:4",
        "entry.redundant 22:4",
        "entry.half-open 22:4",
        "entry.redundant 23:4",
        "entry.blocked 23:4",
        "manifest.variable-reference 24:8",
        "manifest.entry 25:20",
        "manifest.value 27:18",
        "manifest.label 28:22",
        "manifest.component-id 29:12",
        "component.unusable 32:11",
        "entry.v4-only 33:28",
        "entry.any-address 33:55",
        "entry.spelling 33:74",
        "manifest.syntax 34:7",
    ] {
        assert!(
            found.iter().any(|one| one == expected),
            "no `{expected}` in {found:#?}"
        );
    }
    // What only follows from another mistake is not told.
    for consequence in ["variables.not-set", "component.missing-export"] {
        assert!(
            !found.iter().any(|one| one.starts_with(consequence)),
            "{found:#?}"
        );
    }
    fits_80_columns(&check(manifest).deny("*://denied.example:*").finish());
}

#[test]
fn places_are_right_whatever_the_manifest_looks_like() {
    // (what stands in the manifest, where the entry is)
    let rows = [
        (
            "[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [\"E\"]\n",
            "8:28",
        ),
        (
            "[component.web]\r\nsource = \"web.wasm\"\r\nallowed_outbound_hosts = [\r\n  # ü 名\r\n  \"E\",\r\n]\r\n",
            "10:4",
        ),
        (
            "component.web = { source = \"web.wasm\", description = \"ü名\", allowed_outbound_hosts = ['E'] }\n",
            "6:87",
        ),
        (
            "component.web.source = \"web.wasm\"\ncomponent.web.allowed_outbound_hosts = [\n\t\"https://ü.example\", \"E\"]\n",
            "8:24",
        ),
        (
            "[component.\"web\"]\nsource = 'web.wasm'\n\"allowed_outbound_hosts\" = ['''E''']\n",
            "8:32",
        ),
    ];
    for (component, place) in rows {
        let header = "spin_manifest_version = 2\napplication = { name = \"shöp\" }\n";
        let trigger = "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n";
        let (before, behind) = if component.starts_with('[') {
            (trigger, "")
        } else {
            ("\n\n\n", trigger)
        };
        let text = format!(
            "{header}{before}{}{behind}",
            component.replace('E', "*://example.com:8080")
        );
        for text in [text.clone(), format!("\u{feff}{text}")] {
            let report = json(check(&text).deny("*://example.com:8080"), 0);
            let expected = format!("entry.blocked {place}");
            assert!(listed(&report).contains(&expected), "{text}\n{report:#}");
        }
    }
}

#[test]
fn sarif_is_what_the_standard_says() {
    let manifest = entries(
        "\"*://a b:1\", \"*://*.example.com:*\", \"https://x.example.com\", \"*://é.example:80..81\"",
    );
    let check = check(&manifest)
        .deny("*://x.example.com:*")
        .deny("*://*.internal.example:*")
        .option("--allow-loopback-ports=99999")
        .file(
            "outport.test.toml",
            "[[test]]\ncomponent = 'web'\ndestination = 'x.example.com'\nexpect = 'allow'\n",
        );
    let finished = check.option("--format=sarif").finish().expect_code(2);
    let log = schema::valid("tests/schemas/sarif-2.1.0.json", &finished.stdout);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let codes: Vec<&str> = results
        .iter()
        .map(|result| result["ruleId"].as_str().unwrap())
        .collect();
    for code in [
        "operator.input",
        "operator.wildcard-deny",
        "manifest.entry",
        "entry.narrowed",
        "entry.redundant",
        "entry.blocked",
        "entry.half-open",
        "test.failed",
    ] {
        assert!(codes.contains(&code), "no `{code}` in {codes:?}");
    }
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    let half_open = results
        .iter()
        .find(|result| result["ruleId"] == "entry.half-open")
        .unwrap();
    let place = &half_open["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "spin.toml");
    assert_eq!(place["region"]["startLine"], 10);
    assert_eq!(place["region"]["startColumn"], 89);
}

#[test]
fn fixes_keep_comments_and_layout() {
    let before = "# My app.\r\nspin_manifest_version = 2\r\napplication.name = \"shop\" # ü\r\n\r\n\
        [[trigger.http]]\r\nroute = \"/...\"\r\ncomponent = \"web\"\r\n\r\n[component.web]\r\nsource   =   \"web.wasm\"\r\n\
        allowed_outbound_hosts = [\r\n  # everything of ours\r\n  \"*://*.example.com:*\", # why\r\n\
        \x20 \"HTTPS://API.Example.ORG.\",\r\n  # not needed\r\n  \"https://x.example.com\",\r\n]\r\n";
    let after = before
        .replace("  \"https://x.example.com\",\r\n", "")
        .replace("HTTPS://API.Example.ORG.", "https://api.example.org");
    let check = check(before).option("--fix");
    let file = check.folder().join("spin.toml");
    let running = check.start();
    let said = running.wait_for_error_line("changed 2 of the entries");
    assert!(said.contains("spin.toml"), "{said}");
    // The report follows the fixes, and the folder goes with the run.
    running.wait_for_line("nothing found");
    assert_eq!(fs::read_to_string(file).unwrap(), after);
    running.finish().expect_code(0);
}

#[test]
fn a_manifest_that_is_a_link_is_fixed_where_it_leads() {
    let check = check(&entries("\"*://A.test:1\"")).option("--fix");
    let (link, target) = (check.folder().join("spin.toml"), check.folder().join("shop.toml"));
    fs::rename(&link, &target).unwrap();
    std::os::unix::fs::symlink("shop.toml", &link).unwrap();
    let running = check.start();
    running.wait_for_line("nothing found");
    assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("shop.toml"));
    assert!(fs::read_to_string(&target).unwrap().contains("\"*://a.test:1\""));
    running.finish().expect_code(0);
}

#[test]
fn a_manifest_that_is_no_toml_is_not_touched_and_reported_as_without_fix() {
    let text = entries("\"*://a.test:1\", \"*://a.test:1\"") + "[broken\n";
    let plain = check(&text).finish().expect_code(1);
    let fixing = check(&text).option("--fix");
    let file = fixing.folder().join("spin.toml");
    let kept = fs::read(&file).unwrap();
    let running = fixing.start();
    running.wait_for_line("error[manifest.syntax]");
    assert_eq!(fs::read(&file).unwrap(), kept);
    assert_eq!(running.finish().expect_code(1).stdout, plain.stdout);
}

#[test]
fn what_cannot_be_used_does_not_hide_the_rest() {
    let manifest =
        entries("\"*://example.com:8080\", \"example.com\"") + "[variables]\nx = { default = \"\" }\n";
    let unusable = [
        (
            "--disallowed-outbound-hosts=example.com",
            "operator.input --disallowed-outbound-hosts",
        ),
        (
            "--allow-loopback-ports=0",
            "operator.input --allow-loopback-ports",
        ),
        ("--dns-server=nobody", "operator.input --dns-server"),
        (
            "--runtime-config-file=none.toml",
            "operator.input --runtime-config-file",
        ),
        ("--variable=x=@none.txt", "operator.input --variable"),
    ];
    for (option, finding) in unusable {
        let check = check(&manifest).deny("*://example.com:8080").option(option);
        let found = listed(&json(check, 2));
        for expected in [finding, "entry.blocked 10:28", "manifest.entry 10:52"] {
            assert!(
                found.contains(&expected.to_owned()),
                "no `{expected}` in {found:#?}"
            );
        }
    }
    let tests = check(&manifest).file("outport.test.toml", b"\xff");
    let found = listed(&json(tests, 2));
    assert!(found.contains(&"operator.input 1:1".to_owned()), "{found:#?}");
    // A mistake in a file that can be read is a finding like any other.
    let config = "[outbound_networking]\nblock_networks = [\"10.0.0.5/8\"]\nalow_udp = true\n\
        disallowed_outbound_hosts = [\"*://example.com:*\"]\n";
    let check = check(&manifest)
        .file("config.toml", config)
        .option("--runtime-config-file=config.toml");
    let found = listed(&json(check, 1));
    for expected in [
        "runtime-config.network 2:20",
        "runtime-config.unknown-key 3:1",
        "entry.blocked 10:28",
        "manifest.entry 10:52",
    ] {
        assert!(
            found.contains(&expected.to_owned()),
            "no `{expected}` in {found:#?}"
        );
    }
}

#[test]
fn without_a_manifest_there_is_nothing_to_report_on() {
    let finished = Outport::command("check").finish().expect_code(2);
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("there is no manifest `spin.toml`")
            && finished.stderr.contains("say where with `-f`"),
        "{finished}"
    );
    Outport::command("check")
        .option("--format=xml")
        .finish()
        .expect_code(2);
}

#[test]
fn tests_of_the_policy_are_run_row_by_row() {
    let tests = r#"
[[test]]
component = "web"
destination = "tcp://db.example.com:5432"
dns = { "db.example.com" = ["10.0.0.5"] }
expect = "allow"

[[test]]
component = "web"
destination = "tcp://db.example.com:5432"
dns = { "db.example.com" = ["10.9.0.5"] }
expect = "deny.network"

[[test]]
component = "web"
destination = "tcp://10.0.0.5:6379"
expect = "allow"
"#;
    let manifest = entries("\"*://db.example.com:5432\"");
    let check = |tests: &str| {
        check(&manifest)
            .deny("*://10.9.0.0/16:*")
            .file("outport.test.toml", tests)
    };
    let finished = check(tests).finish().expect_code(1);
    for part in [
        "test 1 tcp://db.example.com:5432 from web: ok\n",
        "test 2 tcp://db.example.com:5432 from web: ok\n",
        "test 3 tcp://10.0.0.5:6379 from web: failed\n",
        "error[test.failed]: `tcp://10.0.0.5:6379` from `web` was expected to be `allow`,\n  and is `allow.no-match`\n",
        "  --> outport.test.toml:17:11\n",
        "help: add \"*://10.0.0.5:6379\" to allowed_outbound_hosts\n",
    ] {
        assert!(finished.stdout.contains(part), "no `{part}`\n{finished}");
    }
    fits_80_columns(&finished);
    let passing = tests
        .split("\n\n[[test]]")
        .take(2)
        .collect::<Vec<_>>()
        .join("\n\n[[test]]");
    let report = json(check(&passing), 0);
    assert_eq!(report["tests"].as_array().unwrap().len(), 2);
    let report = json(check("[[test]]\ncomponent = 'web'\n"), 1);
    assert!(
        listed(&report).contains(&"test.file 1:1".to_owned()),
        "{report:#}"
    );
}
