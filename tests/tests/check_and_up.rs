//! `outport check` and `outport up`: what one finds is what the other refuses or warns of, whatever an author writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::time::{Duration, Instant};

use outport_e2e::checked::{app, check, entries, json, listed, with_code};
use outport_e2e::guest;
use outport_e2e::outport::Outport;

/// Whatever `up` refuses, `check` finds, with a code of its own and at the same place.
#[test]
fn check_finds_what_up_refuses() {
    let empty_module = b"\0asm\x01\0\0\0";
    let of_javascript = wat::parse_str("(module (import \"gojs\" \"runtime.wasmExit\" (func)))").unwrap();
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
            &of_javascript,
            "component.unusable 9:11",
        ),
        (
            fine.replace("web.wasm", "odd.wasm"),
            empty_module,
            "component.missing-export 8:12",
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
            fine.replace("web.wasm", "GUESTS/script-guest.wasm"),
            b"",
            "component.missing-export 8:12",
        ),
        (
            fine.replace("[[trigger.http]]\nroute = \"/...\"", "[[trigger.command]]"),
            b"",
            "component.missing-export 7:12",
        ),
        (
            fine.replace("\n\n[[", "\napplication.trigger.http.base = \"/shop\"\n[["),
            b"",
            "manifest.unsupported 3:34",
        ),
        (
            fine.replace(
                "component = \"web\"",
                "component = \"web\"\ncomponents.x = \"web\"",
            ),
            b"",
            "manifest.unsupported 7:12",
        ),
        (
            fine.replace("trigger.http", "trigger.htpp"),
            b"",
            "manifest.trigger-type 4:11",
        ),
        (
            fine.replace("trigger.http", "trigger.kafka"),
            b"",
            "manifest.unknown-trigger 4:11",
        ),
        (
            app("allowed_http_hosts = [\"a.test\", \"https://b.test/path\"]"),
            b"",
            "manifest.value 10:34",
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
            fine.replace("\"web.wasm\"", "{ component = \"web\" }"),
            b"",
            "manifest.source 9:10",
        ),
        (
            fine.replace("\"web.wasm\"", "{ component = \"wbe\" }"),
            b"",
            "manifest.component-reference 9:10",
        ),
        (
            app("dependencies.\"a:b/c\" = { component = \"wbe\" }"),
            b"",
            "manifest.component-reference 10:39",
        ),
        (
            entries("\"*://{{ port }}\""),
            b"",
            "manifest.variable-reference 10:32",
        ),
        (
            entries("\"*://10.0.0.5:{{ port }}\"") + "[variables]\nport = { required = true }\n",
            b"",
            "variables.not-set 12:1",
        ),
    ];
    for (manifest, odd, finding) in rows {
        let refused = with_code(Outport::up(&manifest)).file("odd.wasm", odd).finish();
        assert_eq!(refused.code, Some(2), "{finding}: {refused}");
        let report = json(check(&manifest).file("odd.wasm", odd), 1);
        assert!(
            listed(&report).contains(&finding.to_owned()),
            "{finding}\n{report:#}\n{refused}"
        );
        let place = finding.split_once(' ').map_or("", |(_, place)| place);
        let follows = format!("component.not-linked {place}");
        assert!(
            !finding.starts_with("manifest.") || !listed(&report).contains(&follows),
            "{finding} is told twice\n{report:#}"
        );
    }
}

/// Secrets need not be where an app is checked.
#[test]
fn a_value_that_no_entry_uses_is_wanted_to_run_and_not_to_judge() {
    let manifest = entries("\"*://db.test:{{ port }}\"")
        + "variables = { url = \"{{ user }}:{{ password }}@db.test\" }\n[variables]\n\
           port = { default = \"5432\" }\nuser = { required = true }\n\
           password = { required = true, secret = true }\n";
    let report = json(check(&manifest), 0);
    let found = listed(&report);
    assert_eq!(
        found,
        ["variables.not-set 14:1", "variables.not-set 15:1"],
        "{report:#}"
    );
    for finding in report["findings"].as_array().unwrap() {
        assert_eq!(finding["severity"], "warning", "{report:#}");
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("the app does not start"), "{report:#}");
    }
    let help = &report["findings"][1]["help"];
    assert!(
        help.as_str().unwrap().contains("SPIN_VARIABLE_PASSWORD"),
        "{report:#}"
    );
    json(check(&manifest).option("--deny-warnings"), 1);
    let explained = Outport::command("explain")
        .manifest(&manifest)
        .option("tcp://db.test:5432");
    explained.finish().expect_code(0);
    let refused = with_code(Outport::up(&manifest)).finish().expect_code(2);
    assert_eq!(
        refused.stderr.matches("variables.not-set").count(),
        2,
        "{refused}"
    );
    // Where an entry uses it, what the app may reach is not known.
    let used = manifest
        .replace("\"5432\"", "\"1\"")
        .replace(":{{ port }}", ":{{ user }}");
    json(check(&used), 1);
    let explained = Outport::command("explain")
        .manifest(&used)
        .option("tcp://db.test:5432");
    let refused = explained.finish().expect_code(2);
    assert_eq!(
        refused.stderr.matches("variables.not-set").count(),
        1,
        "{refused}"
    );
}

#[test]
fn a_component_from_a_url_is_examined_where_it_is_cached() {
    let code = fs::read(guest::path("script-guest")).unwrap();
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
            listed(&report).contains(&finding.to_owned()),
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
            "{manifest}[component.web.dependencies]\n\"outport:callee/interpreter@1.0.0\" = {{ path = \"{path}\" }}\n"
        )
    };
    let report = json(check(&dependency("callee")), 0);
    assert_eq!(listed(&report), [""; 0], "{report:#}");
    let report = json(check(&dependency("hello")), 1);
    let found = listed(&report);
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
    assert_eq!(listed(&report), ["component.trapped-import 8:12"]);
    let message = report["findings"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("`web` imports what Outport does not provide: `"),
        "{message}"
    );
    // People get a line, unless they ask for more.
    let brief = check(&manifest).finish().expect_code(0);
    let lines: Vec<&str> = brief.stdout.lines().take_while(|line| !line.is_empty()).collect();
    assert!(
        lines.len() <= 2 && lines[0].starts_with("note[component.trapped-import]"),
        "{brief}"
    );
    let whole = check(&manifest).option("-v").finish().expect_code(0);
    assert!(whole.stdout.contains("--> spin.toml:8:12"), "{whole}");
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
        (entries("") + "files = [\"none/*\"]\n", "component.no-files"),
    ];
    for (manifest, code) in rows {
        let report = json(check(&manifest).deny("*://denied.test:*"), 0);
        let checked = listed(&report).iter().any(|one| one.starts_with(code));
        assert!(checked, "{code}\n{report:#}");
        let up = || {
            with_code(Outport::up(&manifest))
                .deny("*://denied.test:*")
                .option("--no-resolve-disallowed")
        };
        let app = up().start();
        app.address();
        let said = app.stderr();
        assert!(said.contains(&format!("warning[{code}]")), "no `{code}`\n{app}");
        assert!(
            !said.contains("outport check"),
            "it tells no more of these\n{app}"
        );
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
    // What else the machine is doing should not count, so one fair comparison of three is enough.
    let fair = (0..3).any(|_| {
        let (few, many) = (time(2_000), time(20_000));
        eprintln!("{few:?}, then {many:?}");
        many < 50 * few.max(Duration::from_millis(50))
    });
    assert!(fair);
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
    let redundant = listed(&report)
        .iter()
        .filter(|one| one.starts_with("entry.redundant"))
        .count();
    assert_eq!(redundant, count - 1);
    assert_eq!(listed(&json(check(&ports), 0)), ["entry.blocked 16:2"]);
    let finished = check(&same).option("--fix").finish().expect_code(0);
    assert!(
        finished.stderr.contains("changed 19999 of the entries"),
        "{finished}"
    );
}

/// What an app says of variables, and what is left to other tools.
#[test]
fn what_up_says_of_a_manifest_is_what_concerns_running() {
    let quiet = app(
        "build = [\"make\"]\ntool.x = {}\ntargets = [\"spin-up:3.3\"]\n[application.trigger.kafka]\naddress = \"x\"",
    );
    let hosts = app("allowed_http_hosts = [\"a.test:81\"]");
    // (manifest, what `up` says, what it does not)
    let rows = [
        (&quiet, "Serving", "not-used"),
        (
            &hosts,
            "allowed_outbound_hosts = [\"http://a.test:81\", \"https://a.test:81\"]",
            "error",
        ),
        (&hosts, "web  http://a.test:81, https://a.test:81", "error"),
    ];
    for (manifest, part, none) in rows {
        let up = with_code(Outport::up(manifest)).start();
        up.address();
        let said = up.stderr();
        assert!(said.contains(part), "no `{part}`\n{said}");
        assert!(!said.contains(none), "`{none}`\n{said}");
        assert!(
            !up.stop().expect_code(0).stderr.contains("Stopping"),
            "nothing was running"
        );
    }
    let told = listed(&json(check(&quiet), 0));
    assert_eq!(told, ["component.no-entries 8:12", "manifest.not-used 13:1"]);
}
