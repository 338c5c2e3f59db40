//! Whole apps: all findings at once and each at its place, the formats, the fixes, and the tests of a policy.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use boon::{Compiler, Schemas};
use outport_check::explain::{Assumption, EffectivePolicy, Question, Verdict, explain};
use outport_check::{
    AppUnderReview, Code, Colours, DeniedNames, Detail, Diagnostic, FindingCode, Interfaces, PolicyTests,
    REPORT_COLUMNS, Renderer, Severity, Sources, apply_fixes, denied_triggers, policies, report_json,
    report_sarif, warnings_at_start,
};
use outport_manifest::{AppReading, GivenVariables, Manifest, ResolvedApp, RuntimeConfig, SourceFile};
use outport_policy::{AllowList, DenyList, Entry, Limit, Location, Operator, Policy, TlsNames};

const HEADER: &str = "spin_manifest_version = 2\napplication.name = \"shop\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n";

fn operator(denied: &[&str]) -> Operator {
    let option = Location::Option {
        name: "--disallowed-outbound-hosts".into(),
    };
    let denied = denied
        .iter()
        .map(|text| Entry::parse(text, option.clone()).expect("an entry"));
    Operator {
        deny: DenyList::compile(denied.collect(), Vec::new()),
        ..Operator::default()
    }
}

struct AppReview {
    findings: Vec<Diagnostic>,
    policies: Vec<Policy>,
}

fn resolved(source: &SourceFile) -> AppReading {
    ResolvedApp::resolve(Manifest::parse(source), &GivenVariables::default())
}

fn review(source: &SourceFile, operator: Operator) -> AppReview {
    let (app, operator) = (resolved(source), Arc::new(operator));
    AppReview {
        policies: policies(app.tentative(), &operator),
        findings: AppUnderReview {
            app: &app,
            interfaces: &HashMap::new(),
            operator,
            config: None,
            denied_names: DeniedNames::Resolved,
            own_brokers: &[],
        }
        .review(),
    }
}

fn app(entries: &str, denied: &[&str]) -> (SourceFile, AppReview) {
    let component =
        format!("{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [{entries}]\n");
    let source = SourceFile::new("spin.toml", component);
    let review = review(&source, operator(denied));
    (source, review)
}

fn codes(findings: &[Diagnostic]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| finding.code().to_string())
        .collect()
}

fn quoted<'s>(source: &'s SourceFile, finding: &Diagnostic) -> &'s str {
    match &finding.location {
        Some(Location::File { span, .. }) => source.slice(span),
        _ => "",
    }
}

// proves: VAL-1, VAL-2
#[test]
fn overlap_with_the_deny_list_warns_and_does_not_fail() {
    for (entry, denied, code, says) in [
        (
            "*://example.com:8080",
            "*://example.com:8080",
            "entry.blocked",
            "permits nothing",
        ),
        (
            "*://example.com:*",
            "*://example.com:8080",
            "entry.narrowed",
            "without port 8080:",
        ),
        (
            "*://*.example.com:443",
            "*://a.example.com:*",
            "entry.narrowed",
            "without `a.example.com`:",
        ),
        (
            "*://10.0.0.0/8:*",
            "*://10.1.0.0/16:*",
            "entry.narrowed",
            "without `10.1.0.0/16`:",
        ),
        (
            "*://example.com:443",
            "https://example.com",
            "entry.narrowed",
            "without TCP sockets, https:",
        ),
    ] {
        let (_, review) = app(&format!("\"{entry}\""), &[denied]);
        let found: Vec<&Diagnostic> = review
            .findings
            .iter()
            .filter(|one| one.code().to_string() == code)
            .collect();
        assert_eq!(found.len(), 1, "{entry}: {:?}", codes(&review.findings));
        assert_eq!(found[0].severity, Severity::Warning, "{entry}");
        assert!(found[0].message.contains(says), "{entry}: {}", found[0].message);
    }
}

// proves: VAL-2
#[test]
fn limits_in_force_block_and_narrow_what_names_them() {
    for (entry, expected) in [
        ("*://127.0.0.1:80", Some(("entry.blocked", Severity::Warning))),
        ("*://127.0.0.1:*", Some(("entry.narrowed", Severity::Warning))),
        ("*://localhost:443", Some(("entry.blocked", Severity::Warning))),
        ("udp://dns.example:53", Some(("entry.blocked", Severity::Warning))),
        (
            "{tcp,udp}://dns.example:53",
            Some(("entry.narrowed", Severity::Warning)),
        ),
        (
            "http://169.254.169.254",
            Some(("entry.blocked", Severity::Warning)),
        ),
        ("http://0.0.0.0/0", Some(("entry.narrowed", Severity::Note))),
        ("*://dns.example:53", None),
        ("*://[2001:db8::]/32:443", None),
    ] {
        let (_, review) = app(&format!("\"{entry}\""), &[]);
        let found = review.findings.iter().find(|finding| {
            let code = finding.code().to_string();
            code == "entry.blocked" || code == "entry.narrowed"
        });
        let found = found.map(|finding| (finding.code().to_string(), finding.severity));
        assert_eq!(
            found,
            expected.map(|(code, severity)| (code.to_owned(), severity)),
            "{entry}"
        );
    }
}

#[test]
fn twenty_mistakes_are_twenty_findings_each_at_its_place() {
    let text = r#"spin_manifest_version = 3
application.nme = "shop"
[variables]
Host = { default = "a" }
db = {}
both = { required = true, default = "x" }
[[trigger.http]]
route = "/a/.../b"
component = "web"
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
  "*://a.example:80..90",
  "*://denied.example:1",
  "*://{{ nobody }}:1",
  "http://a.example/path",
]
environment = { "" = "x" }
key_value_stores = ["Not OK"]
[component.Bad_Id]
source = "x.wasm"
"#;
    let source = SourceFile::new("spin.toml", text);
    let review = review(&source, operator(&["*://denied.example:*"]));
    let found: Vec<(String, &str)> = review
        .findings
        .iter()
        .map(|finding| (finding.code().to_string(), quoted(&source, finding)))
        .collect();
    for (code, part) in [
        ("manifest.version", "3"),
        ("manifest.unknown-key", "nme"),
        ("manifest.variable-name", "Host"),
        ("manifest.variable-declaration", "db"),
        ("manifest.variable-declaration", "both"),
        ("manifest.route", "/a/.../b"),
        ("manifest.component-reference", "wob"),
        ("manifest.unknown-key", "sorce"),
        ("manifest.entry", "example.com:80"),
        ("manifest.entry", "10.0.0.1/8"),
        ("manifest.entry", "/path"),
        ("manifest.variable-reference", "{{ nobody }}"),
        ("manifest.component-id", "Bad_Id"),
        ("entry.everything", "*://*:*"),
        ("entry.redundant", "https://*.com"),
        ("entry.redundant", "*://a.example:80..90"),
        ("entry.half-open", "*://a.example:80..90"),
        ("entry.blocked", "*://denied.example:1"),
        ("manifest.label", "Not OK"),
    ] {
        assert!(
            found.iter().any(|(own, at)| own == code && *at == part),
            "{code} at {part:?} in {found:#?}"
        );
    }
    assert!(found.len() >= 19);
}

#[test]
fn places_are_right_whatever_the_file_looks_like() {
    let entry = "*://example.com:8080";
    for component in [
        "[component.web]\nsource = \"w\"\nallowed_outbound_hosts = [\"E\"]\n",
        "[component.web]\r\nsource = \"w\"\r\nallowed_outbound_hosts = [\r\n  # ü 名\r\n  \"E\",\r\n]\r\n",
        "component.web = { source = \"ü名\", allowed_outbound_hosts = ['E'] }\n",
        "component.web.source = \"w\"\ncomponent.web.allowed_outbound_hosts = [\"https://ü.example\", \"E\"]\n",
    ] {
        let trigger = "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n";
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"shop\"\n{}",
            component.replace('E', entry)
        );
        let text = text + trigger;
        for text in [text.clone(), format!("\u{feff}{text}")] {
            let source = SourceFile::new("spin.toml", text);
            let review = review(&source, operator(&[entry]));
            let blocked = review
                .findings
                .iter()
                .find(|finding| finding.code().to_string() == "entry.blocked");
            let blocked = blocked.unwrap_or_else(|| panic!("{component}: {:?}", review.findings));
            assert_eq!(quoted(&source, blocked), entry, "{component}");
            let mut sources = Sources::default();
            sources.add(source.clone());
            let shown = Renderer::report(Detail::Full, Colours::Plain)
                .render_all(std::slice::from_ref(blocked), &sources);
            assert!(shown.contains(&"^".repeat(entry.len())), "{shown}");
        }
    }
}

// proves: VAL-3
#[test]
fn what_only_dns_decides_is_a_note() {
    let (_, review) = app("\"*://db.example.com:5432\"", &["*://10.0.0.0/8:*"]);
    let found: Vec<_> = review
        .findings
        .iter()
        .map(|one| (one.code().to_string(), one.severity))
        .collect();
    assert_eq!(found, [("entry.undecided".to_owned(), Severity::Note)]);
}

// proves: VAL-4
#[test]
fn what_is_odd_about_an_entry_is_a_warning() {
    for (entries, code) in [
        ("'*://a.example:1', '*://a.example:1'", Some("entry.redundant")),
        ("'https://*.com'", Some("entry.public-suffix")),
        ("'https://*.co.uk'", Some("entry.public-suffix")),
        ("'https://*.github.io'", Some("entry.public-suffix")),
        ("'https://*'", Some("entry.public-suffix")),
        ("'https://*.example.co.uk'", None),
        ("'https://com'", None),
        ("'*://*:*'", Some("entry.everything")),
        ("'*://198.41.128.0/17:443'", Some("entry.v4-only")),
        ("'*://198.41.128.0/17:443', '*://[2001:db8::]/32:443'", None),
        (
            "'*://198.41.128.0/17:443', '*://[2001:db8::]/32:80'",
            Some("entry.v4-only"),
        ),
        ("'*://10.0.0.0/8:443'", None),
        ("'*://a.example:80..90'", Some("entry.half-open")),
        ("'*://a.example:80-90'", None),
        (
            "'*://0.0.0.0/0:*', '*://[2001:db8::]/32:*'",
            Some("entry.any-address"),
        ),
        (
            "'*://168.0.0.0/6:1', '*://[2001:db8::]/32:*'",
            Some("entry.any-address"),
        ),
        ("'http://[::]/0'", Some("entry.any-address")),
        ("'*://127.0.0.0/8:1024-65535'", None),
        ("'*://[fe80::]/10:*'", None),
    ] {
        let (_, review) = app(entries, &[]);
        let odd: Vec<String> = review
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning)
            .map(|finding| finding.code().to_string())
            .filter(|code| !["entry.blocked", "entry.narrowed"].contains(&code.as_str()))
            .collect();
        assert_eq!(odd, code.into_iter().collect::<Vec<_>>(), "{entries}");
    }
}

// proves: TLS-1
#[test]
fn an_explanation_notes_what_holds_where_tls_is_opened() {
    for (mode, allowed, destination, noted) in [
        (TlsNames::Denied, "*://a.example:443", "tcp://a.example:443", None),
        (
            TlsNames::Off,
            "*://a.example:443",
            "tcp://a.example:443",
            Some("any server, one that is denied"),
        ),
        (
            TlsNames::Allowed,
            "*://a.example:443",
            "tcp://a.example:443",
            Some("names has to be on the list"),
        ),
        (
            TlsNames::Required,
            "*://a.example:443",
            "tcp://a.example:443",
            Some("has to name its server"),
        ),
        (
            TlsNames::Required,
            "*://10.0.0.1:443",
            "tcp://10.0.0.1:443",
            Some("has the address itself"),
        ),
        (
            TlsNames::Allowed,
            "*://*:443",
            "tcp://a.example:443",
            Some("has the address itself or every host"),
        ),
        (TlsNames::Allowed, "https://a.example", "https://a.example/", None),
        (
            TlsNames::Allowed,
            "*://a.example:443",
            "tcp://b.example:443",
            None,
        ),
    ] {
        let mut operator = operator(&[]);
        operator.tls_names = mode;
        let allow = AllowList::parse([allowed]).expect("an entry");
        let policy = Policy::new("web", Arc::new(allow), Arc::new(operator));
        let question = destination.parse().expect("a destination");
        let explanation = explain(&policy, &question, &[], DeniedNames::Resolved);
        let note = explanation.note.clone().unwrap_or_default();
        assert_eq!(
            note.contains("--tls-names"),
            noted.is_some(),
            "{mode} {destination}: {note}"
        );
        assert!(
            note.contains(noted.unwrap_or_default()),
            "{mode} {destination}: {note}"
        );
    }
}

// proves: TLS-1
#[test]
fn entries_that_leave_connections_to_no_names_are_told_where_names_hold_them() {
    for (entries, mode, expected) in [
        ("'*://a.example:443', '*://10.0.0.0/8:443'", TlsNames::Allowed, 1),
        ("'*://a.example:443', '*://10.0.0.0/8:443'", TlsNames::Required, 1),
        ("'*://a.example:443', '*://10.0.0.0/8:443'", TlsNames::Denied, 0),
        ("'*://a.example:443', '*://10.0.0.0/8:443'", TlsNames::Off, 0),
        ("'*://a.example:443', 'tcp://10.0.0.1:*'", TlsNames::Allowed, 1),
        ("'*://*.a.example:443', '*://*:440-450'", TlsNames::Allowed, 1),
        ("'*://a.example:443', '*://10.0.0.0/8:444'", TlsNames::Allowed, 0),
        ("'*://a.example:443', 'https://10.0.0.1'", TlsNames::Allowed, 0),
        ("'https://a.example', '*://10.0.0.0/8:443'", TlsNames::Allowed, 0),
        ("'*://a.example:443', 'udp://10.0.0.1:443'", TlsNames::Allowed, 0),
        ("'*://10.0.0.0/8:443', '*://10.0.0.1:80'", TlsNames::Allowed, 0),
    ] {
        let component =
            format!("{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [{entries}]\n");
        let mut operator = operator(&[]);
        operator.tls_names = mode;
        let review = review(&SourceFile::new("spin.toml", component), operator);
        let told = review.findings.iter();
        let told = told.filter(|finding| finding.code().to_string() == "entry.unheld-names");
        assert_eq!(told.count(), expected, "{entries} {mode}");
    }
}

#[test]
fn of_an_entry_with_a_secret_only_the_code_is_told() {
    let component = "[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [\n\"*://{{ a }}\",\n\"*://{{ b }}\",\n\
        \"https://x.hunter2.example\",\n]\n[variables]\na = { default = \"*.hunter2.example:80..90\", secret = true }\n\
        b = { default = \"198.41.128.0/17:7\", secret = true }\n";
    let source = SourceFile::new(
        "spin.toml",
        format!("{HEADER}{component}").replace(":80..90", ":*"),
    );
    let review = review(
        &source,
        operator(&["*://x.hunter2.example:80", "*://198.41.128.0/18:*"]),
    );
    let found = codes(&review.findings);
    for code in [
        "entry.narrowed",
        "entry.redundant",
        "entry.v4-only",
        "manifest.secret-in-entry",
    ] {
        assert!(found.contains(&code.to_owned()), "no `{code}` in {found:?}");
    }
    for finding in review
        .findings
        .iter()
        .filter(|finding| quoted(&source, finding).contains("{{"))
    {
        let told = format!("{finding:?}");
        for secret in ["hunter2", "198.41", "8080", "denied here"] {
            assert!(!told.contains(secret), "`{secret}` in {told}");
        }
        assert_eq!(finding.fix, None);
    }
    let redundant = review
        .findings
        .iter()
        .find(|finding| finding.code().to_string() == "entry.redundant")
        .expect("it is found");
    assert!(
        redundant.fix.is_none() && !redundant.message.contains("permits all of it"),
        "{redundant:?}"
    );
    let effective = EffectivePolicy::of(&review.policies, review.policies[0].operator());
    for shown in [effective.to_text(REPORT_COLUMNS), effective.to_json()] {
        assert!(
            !shown.contains("198.41.128.0/17") && !shown.contains("*.hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn a_route_that_is_none_does_not_hide_the_component_that_is_none() {
    let text =
        HEADER.replace("/...", "/a/.../b").replace("\"web\"", "\"wob\"") + "[component.web]\nsource = 'w'\n";
    let source = SourceFile::new("spin.toml", text);
    let found = codes(&review(&source, operator(&[])).findings);
    assert_eq!(found, ["manifest.route", "manifest.component-reference"]);
}

#[test]
fn nothing_is_said_to_be_missing_beside_entries_that_cannot_be_read() {
    let interfaces = Interfaces {
        imports: vec!["wasi:sockets/tcp-create-socket@0.2.0".to_owned()],
        exports: vec!["wasi:http/incoming-handler@0.2.0".to_owned()],
        ..Interfaces::default()
    };
    for (entries, expected) in [
        ("", vec!["component.no-entries"]),
        (
            "'db.example:1', '*://::1:1'",
            vec!["manifest.entry", "manifest.entry"],
        ),
        ("'db.example:1', 'https://a.example'", vec!["manifest.entry"]),
        ("7", vec!["manifest.wrong-type"]),
        ("7, 'https://a.example'", vec!["manifest.wrong-type"]),
        ("'https://a.example'", vec!["component.no-socket-entry"]),
        (
            "'{{ nothing }}'",
            vec!["manifest.empty-entry", "component.no-entries"],
        ),
        ("'{{ wrong }}'", vec!["manifest.entry"]),
    ] {
        let text = format!(
            "{HEADER}[variables]\nnothing.default = ''\nwrong.default = 'a'\n\
             [component.web]\nsource = 'w'\nallowed_outbound_hosts = [{entries}]\n"
        );
        let source = SourceFile::new("spin.toml", text);
        let app = resolved(&source);
        let id = app.tentative().manifest.components[0].id.value.clone();
        let review = AppUnderReview {
            app: &app,
            interfaces: &HashMap::from([(id, interfaces.clone())]),
            operator: Arc::new(operator(&[])),
            config: None,
            denied_names: DeniedNames::Resolved,
            own_brokers: &[],
        };
        assert_eq!(codes(&review.review()), expected, "{entries}");
    }
}

/// The findings of an app whose components all have this code.
fn codes_of_code(text: &str, code: &Interfaces) -> Vec<String> {
    let source = SourceFile::new("spin.toml", text);
    let app = resolved(&source);
    let components = app.tentative().manifest.components.iter();
    let review = AppUnderReview {
        app: &app,
        interfaces: &components
            .map(|component| (component.id.value.clone(), code.clone()))
            .collect(),
        operator: Arc::new(operator(&[])),
        config: None,
        denied_names: DeniedNames::Resolved,
        own_brokers: &[],
    };
    let findings = review.review();
    let told = findings.iter().map(|finding| {
        let component = finding.component.as_deref().unwrap_or("-");
        format!("{} {} {component}", finding.severity.as_str(), finding.code())
    });
    told.collect()
}

/// Code that opens sockets, and has an import that only another component could satisfy.
fn connecting(exports: &[&str]) -> Interfaces {
    Interfaces {
        imports: vec![
            "wasi:sockets/tcp-create-socket@0.2.0".to_owned(),
            "my:dep/api".to_owned(),
        ],
        exports: exports.iter().map(|export| (*export).to_owned()).collect(),
        trapped: vec!["my:dep/api".to_owned()],
        refused: Vec::new(),
    }
}

#[test]
fn a_component_that_runs_in_others_only_is_judged_as_a_part_of_theirs() {
    let code = connecting(&["wasi:http/handler@0.3.0"]);
    let own = "[component.web]\nsource = 'w'\nallowed_outbound_hosts = ['*://10.0.0.5:1']\n";
    let lib = "[component.lib]\nsource = 'l'\n";
    let of_web = "note component.trapped-import web";
    let (none, trap) = (
        "warning component.no-entries lib",
        "note component.trapped-import lib",
    );
    let middleware = "dependencies.middleware = [{ component = 'lib' }]\n";
    let dependency = "dependencies = { 'my:dep/api' = { component = 'lib' } }\n";
    let started = "[[trigger.http]]\nroute = '/lib'\ncomponent = 'lib'\n";
    for (text, expected) in [
        (format!("{HEADER}{middleware}{own}{lib}"), vec![of_web]),
        (format!("{HEADER}{own}{dependency}{lib}"), vec![of_web]),
        (
            format!("{HEADER}{}{lib}", own.replace("'w'", "{ component = 'lib' }")),
            vec![of_web],
        ),
        // What a trigger starts runs as itself, too.
        (
            format!("{HEADER}{own}{dependency}{started}{lib}"),
            vec![of_web, none, trap],
        ),
        // What it has of its own would have no effect, whatever it is.
        (
            format!("{HEADER}{own}{dependency}{lib}environment = {{ A = '1' }}\n"),
            vec!["error manifest.dependency -", of_web],
        ),
    ] {
        assert_eq!(codes_of_code(&text, &code), expected, "{text}");
    }
}

#[test]
fn a_mistake_in_a_part_or_a_trigger_has_no_findings_that_come_of_it() {
    let code = connecting(&["wasi:http/handler@0.3.0", "handle-message"]);
    let own =
        "[component.web]\nsource = 'w'\nallowed_outbound_hosts = ['*://10.0.0.5:1', 'mqtt://10.0.0.6']\n";
    let dependency = |written: &str| format!("dependencies = {{ 'my:dep/api' = {written} }}\n");
    let mqtt = |qos: &str, keep_alive: &str| {
        format!(
            "[application.trigger.mqtt]\naddress = 'mqtt://10.0.0.6'\nusername = ''\npassword = ''\n\
             keep_alive_interval = '{keep_alive}'\n[[trigger.mqtt]]\ncomponent = 'web'\ntopic = 'a'\nqos = '{qos}'\n"
        )
    };
    let trapped = "note component.trapped-import web";
    let unspoken = "warning entry.no-effect web";
    for (text, expected) in [
        (format!("{HEADER}{own}"), vec![trapped, unspoken]),
        (format!("{HEADER}{}{own}", mqtt("1", "5")), vec![trapped]),
        // What the mistake says is enough.
        (
            format!("{HEADER}{own}{}", dependency("{ path = 'd', component = 'x' }")),
            vec!["error manifest.dependency -", unspoken],
        ),
        (
            format!(
                "{HEADER}{own}{}",
                dependency("{ url = 'https://a.example/d.wasm' }")
            ),
            vec!["error manifest.missing-key -", unspoken],
        ),
    ] {
        assert_eq!(codes_of_code(&text, &code), expected, "{text}");
    }
    for (qos, keep_alive) in [("3", "5"), ("1", "x")] {
        let found = codes_of_code(&format!("{HEADER}{}{own}", mqtt(qos, keep_alive)), &code);
        let (errors, others): (Vec<_>, Vec<_>) =
            found.iter().partition(|finding| finding.starts_with("error"));
        assert!(!errors.is_empty(), "{qos} {keep_alive}");
        assert_eq!(others, [trapped], "{qos} {keep_alive}");
    }
}

#[test]
fn sockets_that_a_handler_of_events_imports_are_no_warning() {
    let mut code = connecting(&["handle-cron-event", "fermyon:spin/inbound-redis"]);
    code.trapped.clear();
    let cron = "[[trigger.cron]]\ncomponent = 'web'\ncron_expression = '0 * * * * *'\n";
    let redis = "[[trigger.redis]]\naddress = 'redis://10.0.0.5'\ncomponent = 'web'\nchannel = 'a'\n";
    let head = "spin_manifest_version = 2\napplication.name = 'a'\n";
    let own = "[component.web]\nsource = 'w'\n";
    let broker = "allowed_outbound_hosts = ['redis://10.0.0.5']\n";
    let no_socket = "note component.no-socket-entry web";
    for (text, expected) in [
        (
            format!("{head}{cron}{own}"),
            vec!["note component.no-entries web"],
        ),
        (format!("{head}{redis}{own}{broker}"), vec![no_socket]),
        // One piece of advice: the entry for the server.
        (format!("{head}{redis}{own}"), vec!["error trigger.denied web"]),
    ] {
        assert_eq!(codes_of_code(&text, &code), expected, "{text}");
    }
}

#[test]
fn an_effective_policy_shows_what_a_part_has_of_its_component() {
    let entries = |texts: &[&str]| {
        let list = texts
            .iter()
            .map(|text| Entry::parse(text, Location::Code).expect("an entry"));
        Arc::new(AllowList::compile(list.collect()))
    };
    let whole = policy(&["*://127.0.0.1:8417", "*://127.0.0.1:5418"], operator(&[]));
    let both = "only what `web` has of it: *://127.0.0.1:8417, *://127.0.0.1:5418";
    for (own, with, without) in [
        (&["*://127.0.0.0/8:*"][..], both, "ports 1-1023"),
        (
            &["*://127.0.0.1:8417-8418"],
            "has of it: *://127.0.0.1:8417\n",
            "5418",
        ),
        (&["*://127.0.0.1:8417"], "*://127.0.0.1:8417\n", "only what"),
        (&["*://127.0.0.2:8417"], "permits nothing", "only what"),
        (
            &[],
            "web/dep\n  reaches nothing: its list has no entries\n",
            "of what `web` reaches",
        ),
    ] {
        let part = whole.for_part("web/dep", entries(own));
        let effective = EffectivePolicy::of(&[whole.clone(), part], whole.operator());
        let all = effective.to_text(REPORT_COLUMNS);
        let (_, told) = all.split_once("web/dep").expect("the part is there");
        let told = format!("web/dep{}", told.split("\n\n").next().unwrap_or_default()) + "\n";
        let flat = told.replace("\n      ", " ");
        assert!(flat.contains(with) && !flat.contains(without), "{own:?}: {told}");
        valid("effective-policy.json", &effective.to_json());
        let read = EffectivePolicy::from_json(&effective.to_json()).expect("it is one");
        assert!(!read.since(&effective).expect("both are policies").reaches_more());
    }
}

#[test]
fn findings_are_short_however_long_what_was_written_is() {
    let component = "[component.web]\nsource = 'w'\n";
    for (text, code) in [
        (format!("{component}LONG = 1\n"), "manifest.unknown-key"),
        (format!("{component}[LONG]\n"), "manifest.unknown-key"),
        (format!("{component}[component.LONG]\n"), "manifest.missing-key"),
        (
            format!("{component}[component.LONG_]\nsource = 'w'\n"),
            "manifest.component-id",
        ),
        (format!("{component}[component.a.LONG]\n"), "manifest.unknown-key"),
        (
            format!("{component}[component.aA-LONG]\nsource = 'w'\n"),
            "manifest.component-id",
        ),
        (
            format!("{component}[[trigger.http]]\nroute = '/a'\ncomponent = 'LONG'\n"),
            "manifest.component-reference",
        ),
        (
            format!("{component}[[trigger.http]]\nroute = '/.../LONG'\ncomponent = 'web'\n"),
            "manifest.route",
        ),
        (
            format!("{component}[variables]\nLONG = {{}}\n"),
            "manifest.variable-declaration",
        ),
        (
            format!("{component}[variables]\nLONG = {{ required = true }}\n"),
            "variables.not-set",
        ),
        (
            format!("{component}[variables]\n'LONG!' = {{}}\n"),
            "manifest.variable-name",
        ),
        (
            format!("{component}allowed_outbound_hosts = ['{{{{ LONG }}}}']\n"),
            "manifest.variable-reference",
        ),
        (
            format!("{component}allowed_outbound_hosts = ['{{{{ LONG! }}}}']\n"),
            "manifest.template",
        ),
        (
            format!("{component}allowed_outbound_hosts = ['{{{{ a }}}}']\n[variables]\na.default = 'LONG'\n"),
            "manifest.entry",
        ),
        (
            format!("{component}dependencies = {{ LONG = 'a.wasm' }}\n"),
            "manifest.dependency",
        ),
        (
            format!("{component}dependencies = {{ 'a:b/c' = {{ component = 'LONG' }} }}\n"),
            "manifest.component-reference",
        ),
        (
            format!("{component}key_value_stores = ['LONG!']\n"),
            "manifest.label",
        ),
    ] {
        let source = SourceFile::new(
            "spin.toml",
            HEADER.to_owned() + &text.replace("LONG", &"l".repeat(50_000)),
        );
        let review = review(&source, operator(&[]));
        let found = codes(&review.findings);
        assert!(found.iter().any(|own| own == code), "{text}: {found:?}");
        let mut sources = Sources::default();
        sources.add(source);
        for told in [
            Renderer::report(Detail::Full, Colours::Plain).render_all(&review.findings, &sources),
            report_sarif(&review.findings, "1.0.0"),
            report_json(&review.findings, &[]),
        ] {
            assert!(told.len() < 10_000, "{text}: {} bytes: {told:.2000}", told.len());
        }
    }
}

#[test]
fn findings_are_short_however_long_an_entry_is() {
    let labels = |letter: &str| {
        let names = (0..20_000).map(|n| format!("{letter}{n}.example"));
        names.collect::<Vec<_>>().join(",")
    };
    let (bad, good) = ("b".repeat(300_000), labels("a"));
    let (source, review) = app(
        &format!("'*://{bad}:1', '*://{{{good}}}:1..9', '*://{{{good}}}:1-9', '*://*:*'"),
        &["*://a7.example:*"],
    );
    let mut sources = Sources::default();
    sources.add(source.clone());
    assert!(codes(&review.findings).len() > 4, "{:?}", codes(&review.findings));
    for text in [
        Renderer::report(Detail::Full, Colours::Plain).render_all(&review.findings, &sources),
        report_sarif(&review.findings, "1.0.0"),
        report_json(&review.findings, &[]),
    ] {
        assert!(text.len() < 20_000, "{} bytes: {}", text.len(), &text[..2_000]);
    }
    let location = review
        .findings
        .iter()
        .find(|finding| finding.code().to_string() == "manifest.entry");
    assert_eq!(
        quoted(&source, location.expect("it is an error")).len(),
        bad.len()
    );
}

#[test]
fn what_up_warns_of_is_what_check_warns_of() {
    let entry = |text| Entry::parse(text, Location::Code).expect("an entry");
    let entries = [entry("*://*:*"), entry("*://*.com:1")];
    let subject = outport_check::Subject {
        id: "web",
        location: Location::Code,
        entries: &entries,
        converted: HashSet::new(),
        unread: 0,
        interfaces: None,
        triggers_unread: false,
        dependencies_unread: false,
        granted: Vec::new(),
        triggers: Vec::new(),
    };
    let warnings = warnings_at_start(&[subject], &operator(&["*://*.denied.example:*"]), None);
    assert_eq!(
        codes(&warnings),
        ["entry.narrowed", "entry.redundant", "entry.everything"],
        "of what is redundant no more is told"
    );
}

fn valid(schema: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/schema")
        .join(schema);
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let path = path.canonicalize().expect("the schema is there");
    let index = compiler
        .compile(&path.to_string_lossy(), &mut schemas)
        .expect("the schema is one");
    let value = serde_json::from_str(text).expect("the output is JSON");
    if let Err(error) = schemas.validate(&value, index) {
        panic!("{schema}: {error:#}\n{text}");
    }
}

#[test]
fn what_is_printed_as_json_is_what_the_schemas_say() {
    let (_, review) = app(
        "\"*://*.example.com:*\", \"https://a.example.com\", \"HTTPS://B.example\", \"*://1.0.0.0/8:1\"",
        &["*://a.example.com:*", "*://10.0.0.0/8:*", "*://*.x.example:1"],
    );
    let tests = SourceFile::new(
        "outport.test.toml",
        "[[test]]\ncomponent = 'web'\ndestination = 'https://b.example/'\nexpect = 'allow'\n",
    );
    let (results, _) = PolicyTests::parse(&tests)
        .0
        .run(&review.policies, DeniedNames::Resolved);
    valid("check.json", &report_json(&review.findings, &results));
    valid("check.json", &report_json(&[], &[]));
    for destination in [
        "tcp://a.example.com:1",
        "https://a.example.com/",
        "x.example.com",
        "tcp://1.2.3.4:1",
    ] {
        let question: Question = destination.parse().expect("a destination");
        valid(
            "explain.json",
            &explain(&review.policies[0], &question, &[], DeniedNames::Resolved).to_json(),
        );
    }
    let effective = EffectivePolicy::of(&review.policies, review.policies[0].operator());
    valid("effective-policy.json", &effective.to_json());
    let again = EffectivePolicy::from_json(&effective.to_json()).expect("it is what was written");
    valid(
        "difference.json",
        &effective.since(&again).expect("both are policies").to_json(),
    );
}

#[test]
fn sarif_has_what_the_standard_asks_for() {
    let (_, review) = app("\"*://a.example:*\", \"*://a.example:1\"", &["*://a.example:2"]);
    let log: serde_json::Value =
        serde_json::from_str(&report_sarif(&review.findings, "0.1.0")).expect("the output is JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), review.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small one");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().expect("a level")));
        assert!(result["message"]["text"].is_string());
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1));
    }
}

#[test]
fn fixes_leave_nothing_to_fix_and_the_same_policy() {
    let (source, before) = app(
        "\"*://a.example:*\", \"HTTPS://A.example\", 'Tcp://B.example.:1', \"*://a.example:*\"",
        &[],
    );
    let (text, done) = apply_fixes(source.text(), &before.findings).expect("it is TOML");
    assert_eq!(done, 3);
    assert!(
        text.contains("allowed_outbound_hosts = [\"*://a.example:*\", \"tcp://b.example:1\"]"),
        "{text}"
    );
    let fixed = SourceFile::new("spin.toml", text);
    let after = review(&fixed, operator(&[]));
    assert_eq!(
        after
            .findings
            .iter()
            .filter(|finding| finding.fix.is_some())
            .count(),
        0
    );
    let effective = |review: &AppReview| EffectivePolicy::of(&review.policies, review.policies[0].operator());
    let difference = effective(&after)
        .since(&effective(&before))
        .expect("both are policies");
    assert!(
        difference.gained.is_empty() && difference.lost.is_empty(),
        "{difference:?}"
    );
}

#[test]
fn a_test_of_a_policy_may_leave_out_the_only_component_and_must_say_what_a_name_has() {
    let file = SourceFile::new(
        "outport.test.toml",
        r#"
[[test]]
destination = "tcp://db.example.com:5432"
dns = { "db.example.com" = ["10.0.0.5"] }
expect = "allow"
[[test]]
destination = "tcp://db.example.com:5432"
expect = "depends"
[[test]]
destination = "tcp://db.example.com:5432"
expect = "allow"
"#,
    );
    let (tests, wrong) = PolicyTests::parse(&file);
    assert!(wrong.is_empty(), "{wrong:?}");
    let (_, review) = app("\"*://db.example.com:5432\"", &["*://10.9.0.0/16:*"]);
    let (results, failed) = tests.run(&review.policies, DeniedNames::Resolved);
    let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, false]);
    let help = failed[0].help.as_deref().unwrap_or_default();
    assert!(help.contains("dns ="), "{help}");

    let two = [
        review.policies[0].clone(),
        policy(&["*://10.0.0.5:1"], operator(&[])),
    ];
    let (results, failed) = tests.run(&two, DeniedNames::Resolved);
    assert!(results.is_empty() && failed.len() == 3);
    let help = failed[0].help.as_deref().unwrap_or_default();
    assert!(help.contains("`component = \"web\"` or `component = "), "{help}");
    assert_eq!(quoted(&file, &failed[0]), "tcp://db.example.com:5432");
}

#[test]
fn an_old_list_with_an_invalid_item_is_left_as_it_is() {
    let app = |list: &str| {
        let text = format!("{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_http_hosts = {list}\n");
        SourceFile::new("spin.toml", text)
    };
    for list in [
        "[\n  \"a.test\", # why\n  \"a.test/path\", # an error\n]",
        "[\"*.a.test\"]",
        "[\"a.test\", 1]",
    ] {
        let source = app(list);
        let findings = review(&source, operator(&[])).findings;
        let (text, done) = apply_fixes(source.text(), &findings).expect("it is TOML");
        assert_eq!((text.as_str(), done), (source.text(), 0), "{findings:?}");
        assert!(
            findings.iter().any(|finding| finding.severity == Severity::Error),
            "{findings:?}"
        );
        let deprecated = codes(&findings).contains(&"manifest.deprecated".to_owned());
        assert!(
            deprecated
                && findings
                    .iter()
                    .all(|finding| !finding.message.contains("http://a.test")),
            "{findings:?}"
        );
    }
    let source = app("[\"insecure:allow-all\"]");
    let findings = review(&source, operator(&[])).findings;
    let (text, _) = apply_fixes(source.text(), &findings).expect("it is TOML");
    let after = review(&SourceFile::new("spin.toml", text), operator(&[])).findings;
    assert!(
        !codes(&after).contains(&"entry.redundant".to_owned()),
        "{after:?}"
    );
}

#[test]
fn an_old_list_of_hosts_is_written_as_the_entries_that_it_is_read_as() {
    let text = format!(
        "{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_http_hosts = [ \"a.test\", \"a.test\", \"self\"]\n\
         allowed_outbound_hosts = [\"https://a.test\", \"*://b.test:1\"]\n"
    );
    let source = SourceFile::new("spin.toml", text);
    let before = review(&source, operator(&[]));
    let (text, _) = apply_fixes(source.text(), &before.findings).expect("it is TOML");
    assert!(
        text.ends_with("allowed_outbound_hosts = [\"https://a.test\", \"*://b.test:1\", \"http://a.test\", \"http://self\"]\n"),
        "{text}"
    );
    let after = review(&SourceFile::new("spin.toml", text), operator(&[]));
    assert!(
        after.findings.iter().all(|finding| finding.fix.is_none()),
        "{:?}",
        after.findings
    );
    let effective = |review: &AppReview| EffectivePolicy::of(&review.policies, review.policies[0].operator());
    let difference = effective(&after)
        .since(&effective(&before))
        .expect("both are policies");
    assert!(
        difference.gained.is_empty() && difference.lost.is_empty(),
        "{difference:?}"
    );
}

#[test]
fn of_an_item_of_an_old_list_nothing_is_said_twice_and_nothing_that_it_adds_nothing() {
    for (new, old, expected) in [
        (
            "'http://a.example', 'http://{{ v }}', 'bad entry'",
            "'a.example'",
            &[][..],
        ),
        ("'http://self', 'bad entry'", "'self'", &[]),
        ("'https://*.a.example'", "'b.a.example', 'B.test'", &[]),
        (
            "",
            "'a.test', 'insecure:allow-all'",
            &[("entry.public-suffix", "insecure:allow-all")],
        ),
        (
            "'http://a.test'",
            "'insecure:allow-all'",
            &[
                ("entry.redundant", "http://a.test"),
                ("entry.public-suffix", "insecure:allow-all"),
            ],
        ),
        (
            "",
            "'denied.example', 'a.test', '127.0.0.1'",
            &[
                ("entry.blocked", "denied.example"),
                ("entry.blocked", "127.0.0.1"),
            ],
        ),
    ] {
        let denied: Vec<&str> = if old.contains("denied") {
            vec!["*://denied.example:*"]
        } else {
            Vec::new()
        };
        let source = SourceFile::new(
            "spin.toml",
            format!(
                "{HEADER}[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [{new}]\n\
                 allowed_http_hosts = [{old}]\n"
            ),
        );
        let findings = review(&source, operator(&denied)).findings;
        let of_entries = findings.iter().filter_map(|finding| {
            let code = finding.code().to_string();
            code.starts_with("entry.")
                .then(|| (code, quoted(&source, finding)))
        });
        let told: Vec<(String, &str)> = of_entries.collect();
        let expected: Vec<(String, &str)> = expected
            .iter()
            .map(|(code, item)| ((*code).to_owned(), *item))
            .collect();
        assert_eq!(told, expected, "{new} and {old}: {findings:#?}");
    }
}

#[test]
fn a_variable_that_is_not_declared_is_told_once() {
    let (_, review) = app("'http://{{ v }}', 'https://a.example'", &[]);
    assert_eq!(codes(&review.findings), ["manifest.variable-reference"]);
}

#[test]
fn a_test_of_a_policy_that_cannot_be_read_hides_no_other() {
    let text = "[[test]]\ndestination = \"10.0.0.5\"\nexpect = \"allow\"\n\
        [[test]]\ndestination = 5\nexpect = \"allow\"\n\
        [[test]]\ndestination = \"tcp://10.0.0.5:1\"\nexpekt = \"allow\"\n\
        [[test]]\ndestination = \"tcp://10.0.0.5:1\"\nexpect = \"deny\"\n\
        [[test]]\nexpect = \"sometimes\"\n";
    let file = SourceFile::new("outport.test.toml", text);
    let (tests, wrong) = PolicyTests::parse(&file);
    let told: Vec<(&str, &str)> = wrong
        .iter()
        .map(|one| (quoted(&file, one), one.message.as_str()))
        .collect();
    let [first, second, third, last] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(first.0, "10.0.0.5");
    assert_eq!(*second, ("5", "a string belongs here, not a whole number"));
    assert_eq!(*third, ("expekt", "there is no key `expekt` here"));
    assert_eq!(last.1, "the key `destination` is missing");
    assert!(last.0.starts_with("[[test]]"), "{last:?}");
    let (_, review) = app("", &[]);
    let (results, failed) = tests.run(&review.policies, DeniedNames::Resolved);
    let passed: Vec<(usize, bool)> = results.iter().map(|one| (one.number, one.passed)).collect();
    assert!(
        failed.is_empty() && passed == [(4, true)],
        "{failed:?} {passed:?}"
    );

    let (_, wrong) = PolicyTests::parse(&SourceFile::new("outport.test.toml", "test = [5]\n[x"));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let (_, wrong) = PolicyTests::parse(&SourceFile::new("outport.test.toml", "test = [5]\n"));
    assert_eq!(wrong[0].message, "a table belongs here, not a whole number");
}

#[test]
fn tests_of_a_policy_report_every_row() {
    let (_, review) = app(
        "\"*://db.example.com:5432\", \"https://api.example.com\"",
        &["*://10.9.0.0/16:*"],
    );
    let file = SourceFile::new(
        "outport.test.toml",
        r#"
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
destination = "https://api.example.com:8443/"
expect = "deny"
[[test]]
component = "web"
destination = "tcp://10.0.0.5:5432"
expect = "allow"
[[test]]
component = "wob"
destination = "tcp://10.0.0.5:5432"
expect = "allow"
[[test]]
component = "web"
destination = "10.0.0.5"
expect = "allow"
[[test]]
component = "web"
destination = "tcp://10.0.0.5:1"
expect = "sometimes"
"#,
    );
    let (tests, wrong) = PolicyTests::parse(&file);
    assert_eq!(
        wrong.iter().map(|one| quoted(&file, one)).collect::<Vec<_>>(),
        ["10.0.0.5", "sometimes"]
    );
    let (results, failed) = tests.run(&review.policies, DeniedNames::Resolved);
    let passed: Vec<(usize, bool)> = results
        .iter()
        .map(|result| (result.number, result.passed))
        .collect();
    assert_eq!(passed, [(1, true), (2, true), (3, true), (4, false)]);
    let failed: Vec<(String, &str)> = failed
        .iter()
        .map(|one| (one.code().to_string(), quoted(&file, one)))
        .collect();
    assert_eq!(
        failed,
        [
            ("test.failed".to_owned(), "allow"),
            ("test.file".to_owned(), "wob")
        ]
    );
}

fn policy(entries: &[&str], operator: Operator) -> Policy {
    let entries = entries
        .iter()
        .map(|text| Entry::parse(text, Location::Code).expect("an entry"));
    let allow = outport_policy::AllowList::compile(entries.collect());
    Policy::new("web", Arc::new(allow), Arc::new(operator))
}

/// Compares with the file beside this one; `UPDATE_DOCS=1` writes it anew.
fn snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&path).expect("the file is there"),
        "{name}"
    );
}

// proves: RSN-2
#[test]
fn an_explanation_gives_the_verdict_of_the_decider_and_what_would_change_it() {
    let mut operator = operator(&["*://10.9.0.0/16:*"]);
    operator.limits.udp = Limit::Holds;
    let policy = policy(
        &[
            "*://db.example:5432",
            "https://api.example",
            "*://127.0.0.1:8080",
            "udp://10.0.0.5:53",
        ],
        operator,
    );
    for (destination, dns, reason, remedy) in [
        ("tcp://db.example:5432", "", Some("depends"), None),
        ("tcp://db.example:5432", "db.example=10.0.0.5", None, None),
        (
            "tcp://db.example:5432",
            "db.example=10.9.0.5,10.0.0.5",
            None,
            None,
        ),
        (
            "tcp://db.example:5432",
            "db.example=10.9.0.5",
            Some("deny.network"),
            Some("the operator denies"),
        ),
        (
            "tcp://db.example:6379",
            "",
            Some("allow.port"),
            Some("add \"*://db.example:6379\""),
        ),
        ("db.example", "", Some("depends"), None),
        ("db.example", "db.example=127.0.0.1", None, None),
        (
            "api.example",
            "",
            Some("allow.scheme"),
            Some("add \"*://api.example:443\""),
        ),
        (
            "other.example",
            "",
            Some("dns.name-not-allowed"),
            Some("add \"*://other.example:PORT\""),
        ),
        ("https://api.example/x", "", Some("depends"), None),
        ("https://api.example/x", "api.example=10.0.0.5", None, None),
        (
            "redis://db.example",
            "db.example=10.0.0.5",
            Some("allow.port"),
            Some("add \"redis://db.example\""),
        ),
        (
            "amqp://db.example:5671",
            "db.example=10.0.0.5",
            Some("allow.port"),
            Some("add \"*://db.example:5671\""),
        ),
        ("postgres://db.example", "db.example=10.0.0.5", None, None),
        (
            "https://api.example/x",
            "api.example=169.254.169.254",
            Some("runtime.link-local"),
            Some("the operator can lift"),
        ),
        (
            "http://api.example/",
            "",
            Some("allow.scheme"),
            Some("add \"http://api.example\""),
        ),
        (
            "udp://10.0.0.5:53",
            "",
            Some("runtime.udp"),
            Some("`--allow-udp`"),
        ),
        (
            "tcp://10.0.0.7:1",
            "",
            Some("allow.no-match"),
            Some("add \"*://10.0.0.7:1\""),
        ),
        ("tcp://224.0.0.1:1", "", Some("hard.multicast"), None),
    ] {
        let assumed: Vec<Assumption> = dns.split(' ').filter_map(|text| text.parse().ok()).collect();
        let explanation = explain(
            &policy,
            &destination.parse().expect("a destination"),
            &assumed,
            DeniedNames::Resolved,
        );
        let found = match explanation.verdict {
            Verdict::Allowed => None,
            Verdict::Depends => Some("depends"),
            Verdict::Denied => explanation.reason.as_deref(),
        };
        assert_eq!(found, reason, "{destination} {dns}");
        let said = explanation.remedy.clone().unwrap_or_default();
        assert!(
            said.contains(remedy.unwrap_or_default()) && said.is_empty() == remedy.is_none(),
            "{destination}: {said}"
        );
        assert!(
            explanation
                .to_text(REPORT_COLUMNS)
                .lines()
                .all(|line| line.chars().count() <= 80),
            "{}",
            explanation.to_text(REPORT_COLUMNS)
        );
    }
}

// proves: VAL-3, RSN-5
#[test]
fn what_only_an_answer_decides_is_left_open_and_no_address_is_made_up() {
    let author = &[
        "*://db.example:5432",
        "https://api.example",
        "*://10.0.0.0/8:6379",
        "*://*.wild.example:*",
    ];
    // (operator, destination, what is refused, what alone is permitted)
    type Row<'a> = (&'a [&'a str], &'a str, &'a [&'a str], &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        (&[], "tcp://db.example:5432", &[], &[]),
        (&[], "db.example", &[], &[]),
        (&[], "https://api.example", &[], &[]),
        (
            &["*://10.0.0.0/8:*"],
            "tcp://db.example:5432",
            &["*://10.0.0.0/8:*"],
            &[],
        ),
        (
            &["*://10.0.0.0/8:*"],
            "https://api.example",
            &["*://10.0.0.0/8:*"],
            &[],
        ),
        (&["*://10.0.0.0/8:*"], "db.example", &["*://10.0.0.0/8:*"], &[]),
        // Of a look-up only those answers are refused of which no port is left.
        (&["*://10.0.0.0/8:22"], "db.example", &[], &[]),
        (&["*://10.0.0.0/8:22"], "tcp://db.example:5432", &[], &[]),
        (
            &["*://203.0.113.1:5432"],
            "tcp://db.example:5432",
            &["*://203.0.113.1:5432"],
            &[],
        ),
        (&["http://10.0.0.0/8"], "https://api.example", &[], &[]),
        (&["udp://10.0.0.0/8:*"], "tcp://db.example:5432", &[], &[]),
        (
            &["*://evil.example:*"],
            "tcp://db.example:5432",
            &["*://evil.example:*"],
            &[],
        ),
        (&["*://*.evil.example:*"], "tcp://db.example:5432", &[], &[]),
        (&[], "tcp://db.example:6379", &[], &["*://10.0.0.0/8:6379"]),
        (&[], "tcp://x.wild.example:6379", &[], &[]),
    ];
    for (deny, destination, refused, permitted) in rows {
        let policy = policy(author, operator(deny));
        let question = destination.parse().expect("a destination");
        let explanation = explain(&policy, &question, &[], DeniedNames::Resolved);
        let (text, json) = (explanation.to_text(REPORT_COLUMNS), explanation.to_json());
        let undecided = explanation.undecided.clone().unwrap_or_default();
        let quoted = |listed: &[String]| -> Vec<String> {
            let entries = listed
                .iter()
                .map(|entry| entry.split(" (").next().unwrap_or(entry));
            entries.map(str::to_owned).collect()
        };
        assert_eq!(
            quoted(&undecided.refused_answers),
            *refused,
            "{deny:?} {destination}"
        );
        assert_eq!(
            quoted(&undecided.permitted_answers),
            *permitted,
            "{deny:?} {destination}"
        );
        let open = !refused.is_empty() || !permitted.is_empty();
        let expected = if open { Verdict::Depends } else { Verdict::Allowed };
        assert_eq!(explanation.verdict, expected, "{deny:?} {destination}");
        for made_up in ["203.0.113.1:", "203.0.113.1 ", "1.1.1.1", "198.51.100.1", "2600:"] {
            let written = deny
                .iter()
                .any(|entry| entry.contains(made_up.trim_end_matches(' ')));
            assert!(
                written || !(text.contains(made_up) || json.contains(made_up)),
                "{text}"
            );
        }
    }
    // Where every answer is refused there is nothing left open.
    let policy = policy(author, operator(&["*://0.0.0.0/0:5432", "*://[::]/0:5432"]));
    let question = "tcp://db.example:5432".parse().expect("a destination");
    let explanation = explain(&policy, &question, &[], DeniedNames::Resolved);
    assert_eq!(explanation.reason.as_deref(), Some("deny.network"));
}

// proves: RSN-5
#[test]
fn every_layer_that_refuses_is_told_with_its_remedy() {
    let policy = policy(
        &["*://db.example:5432"],
        operator(&["*://evil.example:*", "*://127.0.0.1:*"]),
    );
    // (destination, reasons, remedies)
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("tcp://db.example:5432", &[], &[]),
        (
            "tcp://127.0.0.1:80",
            &["deny.host", "runtime.loopback-port", "allow.no-match"],
            &[
                "the operator denies",
                "--allow-loopback-ports 80",
                "*://127.0.0.1:80",
            ],
        ),
        (
            "tcp://evil.example:1",
            &["deny.host", "dns.name-not-allowed"],
            &["the operator denies", "*://evil.example:1"],
        ),
        // What comes behind a look-up that is refused is told too, where it is known.
        (
            "udp://other.example:53",
            &["dns.name-not-allowed", "runtime.udp"],
            &["udp://other.example:53", "--allow-udp"],
        ),
        (
            "http://meta.example:8080",
            &["allow.no-match", "runtime.link-local"],
            &["http://meta.example:8080", "--allow-link-local"],
        ),
        ("tcp://224.0.0.1:1", &["hard.multicast"], &[]),
    ];
    let assumed = [
        "db.example=10.0.0.5",
        "other.example=10.0.0.6",
        "meta.example=169.254.169.254",
    ]
    .map(|text| text.parse().expect("an assumption"));
    for (destination, reasons, remedies) in rows {
        let question = destination.parse().expect("a destination");
        let explanation = explain(&policy, &question, &assumed, DeniedNames::Resolved);
        let found: Vec<&str> = explanation
            .refusals
            .iter()
            .map(|refusal| &*refusal.reason)
            .collect();
        assert_eq!(found, *reasons, "{destination}");
        let told = explanation
            .refusals
            .iter()
            .filter_map(|refusal| refusal.remedy.as_deref());
        let told: Vec<&str> = told.collect();
        assert_eq!(told.len(), remedies.len(), "{destination}: {told:?}");
        for (told, part) in told.iter().zip(*remedies) {
            assert!(told.contains(part), "{destination}: {told}");
            assert!(
                !told.contains(":*\""),
                "{destination}: {told} is wider than what was tried"
            );
        }
    }
}

// proves: HI-1, HI-2, HI-6
#[test]
fn a_trigger_that_listens_where_its_component_may_not_go_is_an_error() {
    let redis = "[[trigger.redis]]\ncomponent = \"web\"\nchannel = \"c\"\naddress = \"ADDRESS\"\n";
    let mqtt = "[[trigger.mqtt]]\ncomponent = \"web\"\ntopic = \"t\"\nqos = \"0\"\n[application.trigger.mqtt]\n\
                address = \"ADDRESS\"\nusername = \"\"\npassword = \"\"\nkeep_alive_interval = \"30\"\n";
    let sqs = "[[trigger.sqs]]\ncomponent = \"web\"\nqueue_url = \"ADDRESS\"\n";
    let variable = "redis://:{{ secret }}@{{ host }}";
    // (the trigger, its address, what is allowed, what is denied, what would help if it is an error)
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], Option<&'a str>);
    let rows: &[Row<'_>] = &[
        (redis, "redis://cache", "redis://cache", &[], None),
        (
            redis,
            "redis://cache:6380",
            "redis://cache",
            &[],
            Some("add \"redis://cache:6380\""),
        ),
        (redis, "rediss://cache", "redis://cache", &[], None),
        (
            redis,
            "redis://cache",
            "tcp://cache:6379",
            &[],
            Some("add \"redis://cache\""),
        ),
        (redis, "redis://cache", "*://cache:*", &[], None),
        (
            redis,
            "redis://cache",
            "redis://cache",
            &["*://cache:*"],
            Some("denies `*://cache:*`"),
        ),
        (
            redis,
            "redis://169.254.1.1",
            "redis://*:*",
            &[],
            Some("--allow-link-local"),
        ),
        (redis, variable, "redis://cache.example.com", &[], None),
        (
            redis,
            variable,
            "redis://cache",
            &[],
            Some("add \"redis://cache.example.com\""),
        ),
        (redis, "redis://{{ unset }}", "redis://cache", &[], None),
        (mqtt, "mqtts://broker", "mqtts://*:*", &[], None),
        (
            mqtt,
            "mqtts://broker",
            "redis://broker",
            &[],
            Some("add \"mqtts://broker\""),
        ),
        (
            sqs,
            "https://sqs.eu-west-1.amazonaws.com/1/q",
            "https://*.amazonaws.com",
            &[],
            None,
        ),
        (
            sqs,
            "https://sqs.eu-west-1.amazonaws.com/1/q",
            "redis://*:*",
            &[],
            Some("add \"https://sqs.eu-west-1.amazonaws.com\""),
        ),
    ];
    for (trigger, address, allowed, denied, help) in rows {
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"shop\"\n[variables]\nsecret = {{ default = \"hunter2\", \
             secret = true }}\nhost = {{ default = \"cache.example.com\" }}\nunset = {{ required = true }}\n{}\
             [component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [\"{allowed}\"]\n",
            trigger.replace("ADDRESS", address)
        );
        let source = SourceFile::new("spin.toml", text);
        let app = ResolvedApp::resolve(Manifest::parse(&source), &GivenVariables::default());
        let operator = Arc::new(operator(denied));
        let found = denied_triggers(app.tentative(), &operator, &[]);
        let helps: Vec<_> = found
            .iter()
            .map(|one| one.help.clone().unwrap_or_default())
            .collect();
        match help {
            None => assert_eq!(helps, [""; 0], "{address} {allowed}"),
            Some(help) => {
                assert_eq!(found.len(), 1, "{address} {allowed}");
                assert!(helps[0].contains(help), "{address} {allowed}: {helps:?}");
                assert!(!found[0].message.contains("hunter2"), "{}", found[0].message);
            }
        }
        let kinds = outport_manifest::EventKind::ALL;
        assert!(
            denied_triggers(app.tentative(), &operator, &kinds).is_empty(),
            "{address}"
        );
    }
}

// proves: HI-6
#[test]
fn a_server_of_the_operators_own_that_he_denies_is_a_warning() {
    let config = r#"
[key_value_store.cache]
type = "redis"
url = "rediss://:hunter2@cache.internal/0"

[key_value_store.near]
type = "spin"
path = "near.db"

[sqlite_database.default]
type = "libsql"
url = "https://10.0.0.5"
token = "hunter2"

[llm_compute]
type = "remote_http"
url = "http://models.internal:8080"
auth_token = "hunter2"

[trigger.mqtt]
address = "mqtts://broker.internal"
"#;
    let config = SourceFile::new("runtime.toml", config);
    let (config, _) = RuntimeConfig::parse(&config).complete().expect("a config");
    // (what is denied, where the warnings are)
    let rows: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (
            &["*://other.internal:*", "*://10.0.0.6:*", "http://models.internal"],
            &[],
        ),
        (&["*://cache.internal:*"], &["runtime.toml:2:18"]),
        (&["*://cache.internal:6380"], &[]),
        (&["*://10.0.0.0/8:443"], &["runtime.toml:10:18"]),
        (&["udp://*:*"], &[]),
        (&["http://models.internal:8080"], &["runtime.toml:15:1"]),
        (&["mqtts://broker.internal"], &["runtime.toml:21:12"]),
        (&["mqtt://broker.internal"], &[]),
        (
            &["*://*:*"],
            &[
                "runtime.toml:2:18",
                "runtime.toml:10:18",
                "runtime.toml:15:1",
                "runtime.toml:21:12",
            ],
        ),
    ];
    for (denied, expected) in rows {
        let warnings = warnings_at_start(&[], &operator(denied), Some(&config));
        let own = warnings
            .iter()
            .filter(|finding| finding.code() == FindingCode::Check(Code::OwnAddress));
        let found: Vec<String> = own
            .clone()
            .map(|finding| {
                finding
                    .location
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string)
            })
            .collect();
        assert_eq!(found, *expected, "{denied:?}");
        for finding in own {
            let told = format!("{} {}", finding.message, finding.help.clone().unwrap_or_default());
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains(denied[0]), "{told}");
        }
    }
}

// proves: HI-5
#[test]
fn a_label_that_is_new_is_told_as_gained() {
    let effective = |lines: &str| {
        let text = format!("{HEADER}[component.web]\nsource = \"web.wasm\"\n{lines}\n");
        let app = resolved(&SourceFile::new("spin.toml", text));
        let operator = Arc::new(operator(&[]));
        let policy = EffectivePolicy::of(&policies(app.tentative(), &operator), &operator);
        EffectivePolicy::from_json(&policy.to_json()).expect("what was written is read")
    };
    let (before, now) = (
        effective("key_value_stores = [\"default\"]"),
        effective("key_value_stores = [\"cache\", \"default\"]\nsqlite_databases = [\"default\"]"),
    );
    assert!(
        now.to_text(REPORT_COLUMNS)
            .contains("  may open key-value:cache, key-value:default, sqlite:default\n")
    );
    let gained = now.since(&before).expect("a difference");
    let entries: Vec<&str> = gained.gained.iter().map(|one| one.entry.as_str()).collect();
    assert_eq!(entries, ["key-value:cache", "sqlite:default"]);
    assert!(gained.reaches_more() && gained.lost.is_empty());
    let lost = before.since(&now).expect("a difference");
    assert!(!lost.reaches_more() && lost.lost == gained.gained);
    assert!(!now.since(&now).expect("a difference").reaches_more());
}

// proves: HI-5
#[test]
fn a_label_is_explained_by_the_line_that_grants_it() {
    let text = format!(
        "{HEADER}[component.web]\nsource = \"web.wasm\"\nkey_value_stores = [\"default\", \"cache\"]\n\
         allowed_outbound_hosts = [\"*://*:*\"]\n"
    );
    let source = SourceFile::new("spin.toml", text);
    let policies = policies(resolved(&source).tentative(), &Arc::new(operator(&[])));
    // (what is asked, the line that grants it, what would)
    for (destination, by, remedy) in [
        (
            "key-value:default",
            Some("default in key_value_stores (spin.toml:8:22)"),
            None,
        ),
        (
            "key-value:cache",
            Some("cache in key_value_stores (spin.toml:8:33)"),
            None,
        ),
        ("key-value:Cache", None, Some("add \"Cache\" to key_value_stores")),
        (
            "sqlite:default",
            None,
            Some("add \"default\" to sqlite_databases"),
        ),
        ("llm:llama2-chat", None, Some("add \"llama2-chat\" to ai_models")),
    ] {
        let question = destination.parse().expect("a question");
        let explanation = explain(&policies[0], &question, &[], DeniedNames::Resolved);
        let [judged] = explanation.attempts.as_slice() else {
            panic!("{destination}: {explanation:?}")
        };
        let found = judged.layers.iter().find_map(|says| says.by.as_deref());
        assert_eq!(found, by, "{destination}");
        assert_eq!(explanation.remedy.as_deref(), remedy, "{destination}");
        let expected = match by {
            Some(_) => (Verdict::Allowed, None),
            None => (Verdict::Denied, Some("allow.label")),
        };
        assert_eq!(
            (explanation.verdict, explanation.reason.as_deref()),
            expected,
            "{destination}"
        );
        assert!(
            explanation
                .to_text(REPORT_COLUMNS)
                .starts_with(&format!("{destination} from `web`: "))
        );
    }
    let tests = SourceFile::new(
        "outport.test.toml",
        "[[test]]\ndestination = \"key-value:cache\"\nexpect = \"allow\"\n\
         [[test]]\ndestination = \"sqlite:default\"\nexpect = \"allow.label\"\n\
         [[test]]\ndestination = \"sqlite:\"\nexpect = \"allow\"\n",
    );
    let (tests, wrong) = PolicyTests::parse(&tests);
    let [wrong] = wrong.as_slice() else {
        panic!("{wrong:?}")
    };
    assert_eq!(
        wrong.location.as_ref().map(ToString::to_string).as_deref(),
        Some("outport.test.toml:8:16")
    );
    let (results, _) = tests.run(&policies, DeniedNames::Resolved);
    assert!(results.iter().all(|result| result.passed), "{results:?}");
}

// proves: AL-9, VAL-4
#[test]
fn what_the_code_cannot_use_is_said_once_and_with_what_it_needs() {
    let libc = [
        "wasi:sockets/tcp-create-socket@0.2.0",
        "wasi:sockets/udp-create-socket@0.2.0",
        "wasi:sockets/ip-name-lookup@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:cli/terminal-stdout@0.2.0",
    ];
    let libc_p3 = [
        "wasi:sockets/types@0.3.0",
        "wasi:sockets/ip-name-lookup@0.3.0",
        "wasi:filesystem/preopens@0.3.0",
        "wasi:cli/terminal-stdout@0.3.0",
        "wasi:cli/run@0.3.0",
    ];
    let (socket, http) = (
        "wasi:sockets/tcp-create-socket@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
    );
    // Not provided, and provided.
    let (store, redis) = ("fermyon:spin/key-value@2.0.0", "spin:redis/redis@3.0.0");
    let (other_store, other_redis) = ("spin:key-value/key-value@3.0.0", "fermyon:spin/redis@2.0.0");
    let platform = [
        other_store,
        other_redis,
        "spin:sqlite/sqlite@3.1.0",
        "fermyon:spin/llm@2.0.0",
    ];
    // (the component, its imports, the findings, what one of them says)
    type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a str);
    let rows: &[Row<'_>] = &[
        (
            "allowed_outbound_hosts = [\"postgres://db.example\"]",
            &[socket],
            &["warning entry.no-effect"],
            "*://db.example:5432",
        ),
        (
            "allowed_outbound_hosts = [\"redis://{a.example,b.example}:{1,2}\"]",
            &[socket],
            &["warning entry.no-effect"],
            "*://{a.example,b.example}:1-2",
        ),
        // Another protocol than the one that was meant would be wider than it.
        (
            "allowed_outbound_hosts = [\"reddis://a.example:6379\"]",
            &[socket],
            &["warning entry.no-effect"],
            "did you mean `redis`?",
        ),
        // What an SDK speaks to a host that has not got it.
        (
            "allowed_outbound_hosts = [\"redis://a.example\"]",
            &[http, redis],
            &["note component.trapped-import", "warning entry.no-effect"],
            "a call of `spin:redis/redis@3.0.0`, which the code imports, ends it",
        ),
        (
            "allowed_outbound_hosts = [\"redis://a.example\"]",
            &[socket, redis],
            &["note component.trapped-import", "warning entry.no-effect"],
            "ends it; write `*://a.example:6379` if",
        ),
        // Nothing wider than what is written is advised, and one warning is enough.
        (
            "allowed_outbound_hosts = [\"redis://*:*\"]",
            &[socket],
            &["warning entry.no-effect"],
            "*://HOST:PORT",
        ),
        (
            "allowed_outbound_hosts = [\"postgres://*\"]",
            &[socket],
            &["warning entry.no-effect"],
            "*://HOST:5432",
        ),
        (
            "allowed_outbound_hosts = [\"{http,redis}://*:1\"]",
            &[http],
            &["note entry.no-effect", "warning entry.public-suffix"],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"{http,redis}://a.example:1\"]",
            &[http],
            &["note entry.no-effect"],
            "take it out",
        ),
        (
            "allowed_outbound_hosts = [\"redis://a.example\"]",
            &["wasi:cli/stdout@0.2.0"],
            &["warning component.unused-entries"],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"https://a.example\"]",
            &[http],
            &[],
            "",
        ),
        ("", &[socket], &["warning component.no-entries"], "*://HOST:PORT"),
        ("", &libc, &["note component.no-entries"], "nothing is missing"),
        ("", &libc_p3, &["note component.no-entries"], "nothing is missing"),
        (
            "allowed_outbound_hosts = [\"https://a.example\"]",
            &libc,
            &["note component.no-socket-entry"],
            "nothing is missing",
        ),
        (
            "key_value_stores = [\"default\"]",
            &[store],
            &[
                "note component.trapped-import",
                "warning component.unserved-grant",
            ],
            "`default` of `key_value_stores`",
        ),
        (
            "key_value_stores = [\"default\"]",
            &[],
            &["warning component.unused-grant"],
            "does not import `spin:key-value`",
        ),
        ("key_value_stores = [\"default\"]", &[other_store], &[], ""),
        (
            "",
            &[other_store],
            &["warning component.no-grant"],
            "key_value_stores = [\"default\"]",
        ),
        (
            "sqlite_databases = [\"default\"]",
            &[other_store],
            &["warning component.no-grant", "warning component.unused-grant"],
            "does not import `spin:sqlite`",
        ),
        (
            "sqlite_databases = [\"default\"]",
            &platform,
            &["note component.no-grant"],
            "is granted none of the key-value stores and models that its SDK imports",
        ),
        (
            "key_value_stores = [\"sessions\"]",
            &[other_store],
            &["error manifest.undefined-label"],
            "[key_value_store.sessions]",
        ),
        ("", &[store], &["note component.trapped-import"], "fermyon:spin"),
        // The interface for a protocol, and entries for it.
        (
            "allowed_outbound_hosts = [\"redis://a.example\"]",
            &[other_redis],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:6379\"]",
            &[other_redis],
            &["warning entry.socket-only"],
            "write `redis://a.example`",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:6379\"]",
            &[other_redis, socket],
            &["note entry.socket-only"],
            "write `redis://a.example`",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:6379\", \"redis://a.example\"]",
            &[other_redis, socket],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:6380\"]",
            &[other_redis, socket],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"redis://a.example\"]",
            &[other_redis, http],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"postgresql://a.example\"]",
            &["fermyon:spin/postgres@2.0.0", http],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"mariadb://a.example\"]",
            &["fermyon:spin/mysql@2.0.0", http],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:3306\"]",
            &["spin:mysql/mysql@3.0.0"],
            &["warning entry.socket-only"],
            "write `mysql://a.example`",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:5432\"]",
            &["spin:postgres/postgres@4.2.0"],
            &["warning entry.socket-only"],
            "write `postgres://a.example`",
        ),
        (
            "allowed_outbound_hosts = [\"mqtts://a.example\"]",
            &["fermyon:spin/mqtt@2.0.0", http],
            &[],
            "",
        ),
        (
            "allowed_outbound_hosts = [\"tcp://a.example:1883\"]",
            &["spin:mqtt/mqtt@3.0.0"],
            &["warning entry.socket-only"],
            "write `mqtt://a.example`",
        ),
        // One entry, one finding: the one that makes the other needless.
        (
            "allowed_outbound_hosts = [\"https://*:443\", \"https://*.com\"]",
            &[http],
            &["warning entry.public-suffix", "warning entry.redundant"],
            "adds nothing",
        ),
        (
            "allowed_outbound_hosts = [\"https://*\"]",
            &[http],
            &["warning entry.public-suffix"],
            "",
        ),
    ];
    for (component, imports, expected, part) in rows {
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"x\"\n[component.web]\nsource = \"web.wasm\"\n{component}\n"
        );
        let source = SourceFile::new("spin.toml", text);
        let mut interfaces = Interfaces {
            imports: imports.iter().map(ToString::to_string).collect(),
            ..Interfaces::default()
        };
        interfaces.trapped = imports
            .iter()
            .filter(|import| [store, redis].contains(*import))
            .map(ToString::to_string)
            .collect();
        let id = outport_manifest::ComponentId::parse("web").expect("an id");
        let findings = AppUnderReview {
            app: &resolved(&source),
            interfaces: &[(id, interfaces)].into_iter().collect(),
            operator: Arc::new(operator(&[])),
            config: None,
            denied_names: DeniedNames::Resolved,
            own_brokers: &[],
        }
        .review();
        let about_code = findings.iter().filter(|finding| {
            let code = finding.code().to_string();
            code == "manifest.undefined-label" || !code.starts_with("manifest.")
        });
        let found: Vec<String> = about_code
            .clone()
            .map(|finding| format!("{} {}", finding.severity.as_str(), finding.code()))
            .collect();
        assert_eq!(found, *expected, "{component} {imports:?}");
        let said: Vec<String> = about_code
            .map(|finding| {
                format!(
                    "{}; {}",
                    finding.message,
                    finding.help.clone().unwrap_or_default()
                )
            })
            .collect();
        assert!(
            part.is_empty() || said.iter().any(|said| said.contains(part)),
            "{said:?}"
        );
        assert!(
            !said
                .iter()
                .any(|said| imports.len() == libc.len() && said.contains("*://")),
            "{said:?}"
        );
    }
}

// proves: DL-1
#[test]
fn a_half_open_range_is_warned_of_where_it_leaves_a_denied_port_open() {
    let denying = operator(&["*://bad.example:80..90", "*://bad.example:80-90"]);
    let found: Vec<String> = warnings_at_start(&[], &denying, None)
        .iter()
        .map(|one| format!("{}: {}", one.code(), one.message))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("entry.half-open") && found[0].contains("leaves port 90 open"),
        "{found:?}"
    );
}

// proves: DL-5
#[test]
fn denied_names_are_assumed_to_have_the_addresses_too() {
    let policy = policy(&["*://10.0.0.0/8:*"], operator(&["*://db.example:5432"]));
    let assumed = ["db.example=10.0.0.5".parse().expect("an assumption")];
    for (destination, denied_names, reason) in [
        (
            "tcp://10.0.0.5:5432",
            DeniedNames::Resolved,
            Some("deny.name-address"),
        ),
        ("tcp://10.0.0.5:5433", DeniedNames::Resolved, None),
        ("tcp://10.0.0.6:5432", DeniedNames::Resolved, None),
        ("tcp://10.0.0.5:5432", DeniedNames::LeftAlone, None),
    ] {
        let question = destination.parse().expect("a destination");
        let explanation = explain(&policy, &question, &assumed, denied_names);
        assert_eq!(explanation.reason.as_deref(), reason, "{destination}");
    }
}

// proves: DL-5
#[test]
fn what_is_allowed_as_long_as_no_denied_name_has_its_address_says_so() {
    let denying = operator(&[
        "*://a.example:5432",
        "https://b.example",
        "*://{a.example,c.example,d.example,e.example,f.example}:443",
        "udp://g.example:5432",
        "*://{localhost,*.h.example}:5432",
    ]);
    let policy = policy(&["*://*:*", "http://self"], denying);
    let one = "this is denied if a denied name has the same address: say what a.example resolves to with \
               `--dns a.example=ADDRESS`";
    let many = "this is denied if a denied name has the same address: say what b.example, a.example, c.example and 3 more \
                resolve to with `--dns NAME=ADDRESS`";
    let three = "this is denied if a denied name has the same address: say what d.example, e.example and f.example resolve \
                 to with `--dns NAME=ADDRESS`";
    let two = "this is denied if a denied name has the same address: say what e.example and f.example resolve to with \
               `--dns NAME=ADDRESS`";
    let rows: &[(&str, &[&str], Option<&str>)] = &[
        ("tcp://10.0.0.5:5432", &[], Some(one)),
        ("tcp://10.0.0.5:5432", &["a.example=10.0.0.6"], None),
        ("tcp://10.0.0.5:5433", &[], None),
        ("https://10.0.0.5", &[], Some(many)),
        (
            "https://10.0.0.5",
            &["a.example=10.0.0.6", "b.example=10.0.0.6", "c.example=10.0.0.6"],
            Some(three),
        ),
        (
            "https://10.0.0.5",
            &[
                "a.example=10.0.0.6",
                "b.example=10.0.0.6",
                "c.example=10.0.0.6",
                "d.example=10.0.0.6",
            ],
            Some(two),
        ),
        ("tcp://db.example:5432", &["db.example=10.0.0.5"], Some(one)),
        ("http://self/", &[], None),
    ];
    for (destination, assumed, note) in rows {
        let question = destination.parse().expect("a destination");
        let assumed: Vec<Assumption> = assumed
            .iter()
            .map(|text| text.parse().expect("an assumption"))
            .collect();
        let explanation = explain(&policy, &question, &assumed, DeniedNames::Resolved);
        assert_eq!(explanation.verdict, Verdict::Allowed, "{destination} {assumed:?}");
        assert_eq!(explanation.note.as_deref(), *note, "{destination} {assumed:?}");
        let left_alone = explain(&policy, &question, &assumed, DeniedNames::LeftAlone);
        assert_eq!(left_alone.note, None, "{destination}");
    }
    // What is denied is denied, whatever names the address has.
    let question = "tcp://10.0.0.5:5432".parse().expect("a destination");
    let assumed = ["a.example=10.0.0.5".parse().expect("an assumption")];
    let denied = explain(&policy, &question, &assumed, DeniedNames::Resolved);
    assert_eq!((denied.verdict, denied.note), (Verdict::Denied, None));
}

#[test]
fn an_explanation_reads_like_this() {
    let policy = policy(&["*://db.example:5432"], operator(&["*://10.9.0.0/16:*"]));
    let assumed = ["db.example=10.9.0.5".parse().expect("an assumption")];
    let question = "tcp://db.example:5432".parse().expect("a destination");
    let text = explain(&policy, &question, &assumed, DeniedNames::Resolved).to_text(REPORT_COLUMNS);
    snapshot("explain.txt", &text);
}

#[test]
fn an_effective_policy_reads_like_this_and_can_be_compared() {
    let old = policy(
        &["*://db.example:5432", "*://10.0.0.0/8:*"],
        operator(&["*://10.9.0.0/16:*", "https://gone.example"]),
    );
    let new = policy(
        &[
            "*://db.example:5432-5433",
            "*://10.0.0.0/8:*",
            "https://gone.example",
            "udp://10.0.0.5:53",
        ],
        operator(&["*://10.9.0.0/17:*", "https://gone.example"]),
    );
    let effective = |policy: &Policy| EffectivePolicy::of(std::slice::from_ref(policy), policy.operator());
    snapshot("effective.txt", &effective(&new).to_text(REPORT_COLUMNS));
    let difference = effective(&new)
        .since(&effective(&old))
        .expect("both are policies");
    let gained: Vec<(&str, &str)> = difference
        .gained
        .iter()
        .map(|one| (one.entry.as_str(), one.example.as_str()))
        .collect();
    assert_eq!(
        gained,
        [
            ("*://db.example:5432-5433", "tcp://db.example:5433"),
            ("*://10.0.0.0/8:*", "tcp://10.9.128.1:1")
        ]
    );
    assert!(difference.reaches_more() && difference.lost.is_empty());
    let back = effective(&old)
        .since(&effective(&new))
        .expect("both are policies");
    assert!(!back.reaches_more() && back.lost.len() == 2, "{back:?}");
}

#[test]
fn codes_of_files_and_of_findings_are_told_alike() {
    let (_, review) = app("\"example.com\"", &[]);
    assert!(matches!(review.findings[0].code, Some(FindingCode::File(_))));
    assert_eq!(codes(&review.findings), ["manifest.entry"]);
}

#[test]
fn a_file_of_tests_with_a_mistake_is_refused_in_words_of_who_wrote_it() {
    // (the file, the message, the help)
    let rows = [
        ("x = 1", "there is no key `x` here", "the keys here are `test`"),
        (
            "[[tests]]\ndestination = 'a.example'",
            "there is no key `tests` here",
            "did you mean `test`?",
        ),
        (
            "[[test]]\ndestnation = 'a.example'\nexpect = 'deny'",
            "there is no key `destnation` here",
            "did you mean `destination`?",
        ),
        (
            "[[test]]\ndestination = 'a.example'\nexpect = 'deny'\nreason = 5",
            "there is no key `reason` here",
            "the keys here are `component`, `destination`, `dns`, `expect`",
        ),
        (
            "[[test]]\nexpect = 'deny'",
            "the key `destination` is missing",
            "",
        ),
        (
            "[test]\nexpect = 'deny'",
            "an array belongs here, not a table",
            "write `[[test]]` instead of `[test]`",
        ),
        ("test = 1", "an array belongs here, not a whole number", ""),
        ("test = [1]", "a table belongs here, not a whole number", ""),
        (
            "[[test]]\ndestination = ['a.example']",
            "a string belongs here, not an array",
            "",
        ),
        (
            "[[test]]\ndestination = true",
            "a string belongs here, not `true` or `false`",
            "",
        ),
        (
            "[[test]]\ndestination = 1.5",
            "a string belongs here, not a number",
            "",
        ),
        (
            "[[test]]\ndestination = 'a.example'\nexpect = 'deny'\ndns = { 'a.example' = '1.2.3.4' }",
            "an array belongs here, not a string",
            "",
        ),
        (
            "[[test]]\ndestination = 'a.example'\ndestination = 'a.example'",
            "the key is given twice",
            "",
        ),
    ];
    for (text, message, help) in rows {
        let (_, findings) = PolicyTests::parse(&SourceFile::new("outport.test.toml", text));
        let [finding] = findings.as_slice() else {
            panic!("{text}: {findings:?}")
        };
        assert_eq!(finding.message, message, "{text}");
        assert_eq!(finding.help.as_deref().unwrap_or_default(), help, "{text}");
    }
}
