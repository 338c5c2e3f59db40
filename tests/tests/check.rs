//! `outport check`: everything that is wrong, odd or impossible about an app, each at its place, before it runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use serde_json::Value;

/// An app whose only component imports sockets and HTTP and has these lines in its table, from line 10 on.
fn app(lines: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"shop\"\n\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\n\n[component.web]\nsource = \"web.wasm\"\n{lines}\n"
    )
}

fn entries(entries: &str) -> String {
    app(&format!("allowed_outbound_hosts = [{entries}]"))
}

fn check(manifest: &str) -> Outport {
    with_code(Outport::command("check")).manifest(manifest)
}

/// With the code that [`app`] names.
fn with_code(outport: Outport) -> Outport {
    outport.file("web.wasm", fs::read(guest::path("http-player")).unwrap())
}

/// What `--format json` says, which is as the schema describes it.
#[track_caller]
fn json(outport: Outport, code: i32) -> Value {
    let finished = outport.option("--format=json").finish().expect_code(code);
    schema::valid("docs/schema/check.json", &finished.stdout)
}

/// The findings as `CODE LINE:COLUMN`, or `CODE OPTION`.
fn told(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| {
            let (code, place) = (finding["code"].as_str().unwrap(), &finding["place"]);
            match place["option"].as_str().or(place["environment"].as_str()) {
                Some(option) => format!("{code} {option}"),
                None => format!("{code} {}:{}", place["line"], place["column"]),
            }
        })
        .collect()
}

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
    let found = told(&report);
    for expected in [
        "manifest.version 1:25",
        "manifest.missing-key 2:1",
        "manifest.unknown-key 2:13",
        "manifest.variable-name 4:1",
        "manifest.variable-declaration 5:1",
        "manifest.variable-declaration 6:1",
        "manifest.route 8:10",
        "manifest.component-reference 9:14",
        "manifest.component-reference 12:14",
        "manifest.wrong-type 14:13",
        "manifest.missing-key 15:1",
        "manifest.unknown-key 16:1",
        "manifest.entry 18:4",
        "manifest.entry 19:8",
        "entry.everything 20:4",
        "entry.redundant 21:4",
        "entry.public-suffix 21:4",
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
        let (before, behind) = match component.starts_with('[') {
            true => (trigger, ""),
            false => ("\n\n\n", trigger),
        };
        let text = format!(
            "{header}{before}{}{behind}",
            component.replace('E', "*://example.com:8080")
        );
        for text in [text.clone(), format!("\u{feff}{text}")] {
            let report = json(check(&text).deny("*://example.com:8080"), 0);
            let expected = format!("entry.blocked {place}");
            assert!(told(&report).contains(&expected), "{text}\n{report:#}");
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
fn a_manifest_that_is_no_toml_is_not_touched() {
    let text = entries("\"*://a.test:1\", \"*://a.test:1\"") + "[broken\n";
    let check = check(&text).option("--fix");
    let file = check.folder().join("spin.toml");
    let kept = fs::read(&file).unwrap();
    let running = check.start();
    running.wait_for_error_line("error");
    assert_eq!(fs::read(&file).unwrap(), kept);
    running.finish().expect_code(2);
}

/// Whatever `up` refuses, `check` finds, with a code of its own and at the same place.
#[test]
fn check_finds_what_up_refuses() {
    let core_module = b"\0asm\x01\0\0\0";
    let imports_a_module = b"\0asm\x0d\0\x01\0\x03\x03\x01\x50\0\x0a\x07\x01\0\x01m\0\x11\0";
    let digest = "sha256:".to_owned() + &"0".repeat(64);
    let fine = entries("");
    // (manifest, content of a file `odd.wasm`, finding)
    let rows: Vec<(String, &[u8], &str)> = vec![
        (
            fine.replace("web.wasm", "none.wasm"),
            b"",
            "component.unusable 9:11",
        ),
        (
            fine.replace("web.wasm", "odd.wasm"),
            b"",
            "component.unusable 9:11",
        ),
        (
            fine.replace("web.wasm", "odd.wasm"),
            core_module,
            "component.unusable 9:11",
        ),
        (
            fine.replace("web.wasm", "odd.wasm"),
            b"\0asm\x0d\0\x01\0\xff",
            "component.unusable 9:11",
        ),
        (
            fine.replace("web.wasm", "odd.wasm"),
            imports_a_module,
            "component.not-linked 6:14",
        ),
        (
            fine.replace(
                "\"web.wasm\"",
                &format!("{{ url = \"https://a.test/w\", digest = \"{digest}\" }}"),
            ),
            b"",
            "component.unusable 9:10",
        ),
        (
            fine.replace("web.wasm", "GUESTS/player.wasm"),
            b"",
            "component.missing-export 8:12",
        ),
        (
            fine.replace("[[trigger.http]]\nroute = \"/...\"", "[[trigger.command]]"),
            b"",
            "component.missing-export 7:12",
        ),
        (
            fine.replace("\n\n[[", "\napplication.trigger.http.base = \"/my shop\"\n[["),
            b"",
            "component.base-path 5:10",
        ),
        (
            app("files = [{ source = \"nowhere\", destination = \"/\" }]"),
            b"",
            "component.not-linked 10:10",
        ),
        (
            fine.replace("component = \"web\"", "component = \"wbe\""),
            b"",
            "manifest.component-reference 6:14",
        ),
        (
            entries("\"*://{{ port }}\""),
            b"",
            "manifest.variable-reference 10:32",
        ),
        (
            fine.clone() + "[variables]\nport = { required = true }\n",
            b"",
            "variables.not-set 12:1",
        ),
    ];
    for (manifest, odd, finding) in rows {
        let refused = with_code(Outport::up(&manifest)).file("odd.wasm", odd).finish();
        assert_eq!(refused.code, Some(2), "{finding}: {refused}");
        let report = json(check(&manifest).file("odd.wasm", odd), 1);
        assert!(
            told(&report).contains(&finding.to_owned()),
            "{finding}\n{report:#}\n{refused}"
        );
    }
}

#[test]
fn a_component_from_a_url_is_examined_where_it_is_cached() {
    let code = fs::read(guest::path("player")).unwrap();
    let digest = guest::sha256(&code);
    let source = format!("{{ url = \"https://a.test/w\", digest = \"sha256:{digest}\" }}");
    let manifest = entries("").replace("\"web.wasm\"", &source);
    for (content, finding) in [
        (&code[..], "component.missing-export 8:12"),
        (b"something else", "component.unusable 9:10"),
    ] {
        let check = check(&manifest);
        let cache = check.folder().join("cache");
        let components = cache.join("outport/components");
        fs::create_dir_all(&components).unwrap();
        fs::write(components.join(format!("{digest}.wasm")), content).unwrap();
        let report = json(check.variable("XDG_CACHE_HOME", &cache), 1);
        assert!(
            told(&report).contains(&finding.to_owned()),
            "{finding}\n{report:#}"
        );
    }
}

#[test]
fn what_a_dependency_is_kept_from_is_no_import_that_nobody_provides() {
    let manifest = entries("\"*://db.test:1\"")
        .replace("web.wasm", "GUESTS/caller.wasm")
        .replace("[[trigger.http]]\nroute = \"/...\"", "\n[[trigger.command]]");
    let dependency = |callee: &str| {
        let path = format!("GUESTS/{callee}.wasm");
        format!(
            "{manifest}[component.web.dependencies]\n\"outport:callee/player@1.0.0\" = {{ path = \"{path}\" }}\n"
        )
    };
    let report = json(check(&dependency("callee")), 0);
    assert_eq!(told(&report), [""; 0], "{report:#}");
    let report = json(check(&dependency("hello")), 1);
    let found = told(&report);
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("component.not-linked 12:")),
        "{report:#}"
    );
}

#[test]
fn an_import_that_nobody_provides_is_a_note() {
    let manifest = entries("")
        .replace("web.wasm", "GUESTS/foreign.wasm")
        .replace("[[trigger.http]]\nroute = \"/...\"", "\n[[trigger.command]]");
    let report = json(check(&manifest), 0);
    assert_eq!(told(&report), ["component.trapped-import 8:12"]);
    let message = report["findings"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("`web` imports what Outport has not: `"),
        "{message}"
    );
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
        let found = told(&json(check, 2));
        for expected in [finding, "entry.blocked 10:28", "manifest.entry 10:52"] {
            assert!(
                found.contains(&expected.to_owned()),
                "no `{expected}` in {found:#?}"
            );
        }
    }
    let tests = check(&manifest).file("outport.test.toml", b"\xff");
    let found = told(&json(tests, 2));
    assert!(found.contains(&"operator.input 1:1".to_owned()), "{found:#?}");
    // A mistake in a file that can be read is a finding like any other.
    let config = "[outbound_networking]\nblock_networks = [\"10.0.0.5/8\"]\nalow_udp = true\n\
        disallowed_outbound_hosts = [\"*://example.com:*\"]\n";
    let check = check(&manifest)
        .file("config.toml", config)
        .option("--runtime-config-file=config.toml");
    let found = told(&json(check, 1));
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
        finished.stderr.contains("there is no manifest `spin.toml`"),
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
    assert!(told(&report).contains(&"test.file 1:1".to_owned()), "{report:#}");
}

// proves: VAL-1, VAL-4
#[test]
fn up_warns_of_the_same_when_it_starts() {
    let rows = [
        (entries(""), "component.no-entries"),
        (entries("\"https://api.test\""), "component.no-socket-entry"),
        (
            entries("\"*://a.test:1\"").replace("web.wasm", "GUESTS/hello.wasm"),
            "component.unused-entries",
        ),
        (entries("\"*://198.41.128.0/17:443\""), "entry.v4-only"),
        (entries("\"*://a.test:80..90\""), "entry.half-open"),
        (entries("\"*://*:*\""), "entry.everything"),
        (entries("\"*://*.com:1\""), "entry.public-suffix"),
        (entries("\"*://a.test:1\", \"*://a.test:1\""), "entry.redundant"),
        (entries("\"*://denied.test:1\""), "entry.blocked"),
        (entries("\"*://0.0.0.0/0:*\""), "entry.any-address"),
    ];
    for (manifest, code) in rows {
        let report = json(check(&manifest).deny("*://denied.test:*"), 0);
        let checked = told(&report).iter().any(|one| one.starts_with(code));
        assert!(checked, "{code}\n{report:#}");
        let up = || {
            with_code(Outport::up(&manifest))
                .deny("*://denied.test:*")
                .option("--no-resolve-disallowed")
        };
        let app = up().start();
        app.address();
        let said = app.stderr();
        for part in [&format!("warning[{code}]"), "outport check"] {
            assert!(said.contains(part), "no `{part}`\n{app}");
        }
        app.stop().expect_code(0);
        let refused = up().option("--deny-warnings").finish();
        assert_eq!(refused.code, Some(1), "{code}: {refused}");
    }
}

#[test]
fn up_tells_some_of_very_many_warnings_and_counts_them_all() {
    let list: Vec<String> = (0..300).map(|n| format!("\"*://a{n}.test:80..90\"")).collect();
    let manifest = entries(&list.join(", "));
    let app = with_code(Outport::up(&manifest)).start();
    app.address();
    let said = app.stderr();
    assert_eq!(said.matches("warning[entry.half-open]").count(), 20, "{app}");
    assert!(said.contains("there are 280 more warnings"), "{app}");
    app.stop().expect_code(0);
    let refused = with_code(Outport::up(&manifest))
        .option("--deny-warnings")
        .finish();
    assert!(refused.stderr.contains("300 warning(s)"), "{refused}");
}

#[test]
fn a_secret_next_to_a_mistake_is_not_quoted() {
    let declarations = [
        "pw = { default = \"hunter2\", secret = true",
        "pw = { default = \"a\", secret = true }\npw = { default = \"hunter2\", secret = true }",
        "Pw = { default = \"hunter2\", secret = true }",
        "pw = { default = hunter2, secret = true }",
        "pw = { default = \"hunter2\", required = true, secret = true }",
        "pw = { default = \"hunter2\", secrte = true }",
        "pw = { default = \"hunter2\", secret = \"true\" }",
        "pw = { default = 'hunter2', secret = true, x }",
        "pw = { default = \"hunter2, secret = true }",
    ];
    for declaration in declarations {
        let manifest = entries("") + &format!("[variables]\n{declaration}\n");
        for command in ["check", "explain"] {
            let finished = Outport::command(command).manifest(&manifest).finish();
            assert_ne!(finished.code, Some(0), "{declaration}\n{finished}");
            assert!(
                !finished.to_string().contains("hunter2"),
                "{declaration}\n{finished}"
            );
        }
    }
}

#[test]
fn a_secret_in_an_entry_is_never_shown() {
    let manifest = entries("\"*://{{ host }}:{{ port }}\", \"*://hunter2.internal.test:1..3\"")
        .replace("hunter2.internal.test:1..3", "else.test:1")
        + "[variables]\nhost = { default = \"hunter2.internal.test\", secret = true }\nport = { default = \"5000..5010\" }\n";
    let secrets = ["hunter2", "5000..5010", "5000-5009"];
    for denied in [
        "*://*.internal.test:*",
        "*://*.internal.test:5005",
        "*://10.0.0.0/8:*",
        "*://else.test:*",
    ] {
        for options in [
            vec!["check"],
            vec!["check", "--format=json"],
            vec!["check", "--format=sarif"],
            vec!["explain"],
            vec!["explain", "--format=json"],
            vec!["explain", "tcp://else.test:5005"],
            vec!["explain", "tcp://10.0.0.5:5005"],
        ] {
            let command = with_code(Outport::command(options[0]))
                .manifest(&manifest)
                .deny(denied);
            let finished = command.options(&options[1..]).finish();
            assert!(
                finished.stdout.contains("{{ host }}") || options.len() > 1,
                "{finished}"
            );
            for secret in secrets {
                assert!(!finished.stdout.contains(secret), "{secret}\n{finished}");
                assert!(!finished.stderr.contains(secret), "{secret}\n{finished}");
            }
        }
    }
    let app = with_code(Outport::up(&manifest))
        .option("--dns-server=127.0.0.1:1")
        .start();
    for statement in [
        "tcp.connect%2010.0.0.5:5005",
        "tcp.connect%20127.0.0.1:5005",
        "dns.lookup%20x.internal.test",
    ] {
        assert_eq!(app.get(&format!("/?{statement}")).status, 200);
    }
    let finished = app.stop().expect_code(0);
    assert!(
        finished.stderr.contains("*://{{ host }}:{{ port }}"),
        "{finished}"
    );
    assert!(finished.audit.iter().any(|line| line.denied()), "{finished}");
    for secret in secrets {
        assert!(!finished.to_string().contains(secret), "{secret}\n{finished}");
    }
}

/// Twenty thousand mistakes, all on one line: what each costs must not grow with the length of the line.
#[test]
fn many_mistakes_on_one_line_are_told_in_time() {
    let time = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("\"ü{n}.example:80\"")).collect();
        let check = check(&entries(&list.join(", "))).within(Duration::from_secs(120));
        let start = Instant::now();
        let finished = check.finish();
        let took = start.elapsed();
        assert_eq!(finished.code, Some(1));
        assert_eq!(finished.stdout.matches("error[manifest.entry]").count(), count);
        took
    };
    let (few, many) = (time(2_000), time(20_000));
    assert!(
        many < 50 * few.max(Duration::from_millis(50)),
        "{few:?}, then {many:?}"
    );
}

/// Lists that a program writes: what one entry costs must not grow with the number of others for its host.
#[test]
fn many_entries_for_one_host_are_checked_in_time() {
    let count = 20_000;
    let same: Vec<String> = (0..count).map(|_| "\"https://a.example\"".to_owned()).collect();
    let ports: Vec<String> = (1..=count)
        .map(|port| format!("\"*://a.example:{port}\""))
        .collect();
    let check = |list: &[String]| {
        let outport = check(&entries(&list.join(",\n"))).within(Duration::from_secs(60));
        outport.deny("*://a.example:7")
    };
    let report = json(check(&same), 0);
    let redundant = told(&report)
        .iter()
        .filter(|one| one.starts_with("entry.redundant"))
        .count();
    assert_eq!(redundant, count - 1);
    assert_eq!(told(&json(check(&ports), 0)), ["entry.blocked 16:2"]);
    let finished = check(&same).option("--fix").finish().expect_code(0);
    assert!(
        finished.stderr.contains("changed 19999 of the entries"),
        "{finished}"
    );
}
