//! `docs/findings.md` is the list of findings, with an example of each: what is written there is run here, and
//! must come out as it is printed there.
//!
//! `UPDATE_DOCS=1 cargo test -p outport-check --test documented` writes the outputs anew, into the source of the page, which
//! stands beside the code that shows its sections (`src/codes.rs`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_check::{
    AppUnderReview, Code, Colours, DeniedNames, Detail, Diagnostic, FindingCode, Interfaces, PolicyTests,
    Renderer, Sources, policies,
};
use outport_manifest::{
    ComponentId, GivenVariables, Manifest, Reading, ResolvedApp, RuntimeConfig, SourceFile,
};
use outport_policy::{DenyList, Entry, Limit, Location, Operator, TlsNames};

/// What stands before the component in every example.
const HEADER: &str = r#"spin_manifest_version = 2
application.name = "shop"

[[trigger.http]]
route = "/..."
component = "web"

"#;

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codes/findings.md")
}

/// One section of the page.
struct Section<'p> {
    code: &'p str,
    severity: &'p str,
    toml: &'p str,
    console: &'p str,
    output: &'p str,
}

fn sections(page: &str) -> Vec<Section<'_>> {
    let parts = page.split("\n## `").skip(1);
    parts
        .map(|part| {
            let (code, rest) = part.split_once("` (").expect("a section has a code");
            let (severity, rest) = rest.split_once(')').expect("a section has a severity");
            Section {
                code,
                severity,
                toml: block(rest, "toml"),
                console: block(rest, "console"),
                output: block(rest, "text"),
            }
        })
        .collect()
}

fn block<'p>(section: &'p str, language: &str) -> &'p str {
    let opening = format!("\n```{language}\n");
    let Some((_, rest)) = section.split_once(&opening) else {
        return "";
    };
    rest.split_once("```").map_or("", |(block, _)| block)
}

/// The operator's options and the interfaces of the code, as the example says them.
fn settings(console: &str) -> (Operator, Option<Interfaces>) {
    let option = Location::Option {
        name: "--disallowed-outbound-hosts".into(),
    };
    let words: Vec<&str> = console
        .split_whitespace()
        .map(|word| word.trim_matches(['\'', ',', '.']))
        .collect();
    let behind = |start: &str| {
        let at = words.iter().position(|word| *word == start);
        at.map_or(Vec::new(), |at| {
            words[at + 1..]
                .iter()
                .take_while(|word| word.contains(':'))
                .copied()
                .collect()
        })
    };
    let denied = words
        .windows(2)
        .filter(|pair| pair[0] == "--disallowed-outbound-hosts");
    // The example of `operator.input` has one that is none.
    let denied = denied.filter_map(|pair| Entry::parse(pair[1], option.clone()).ok());
    let mut operator = Operator {
        deny: DenyList::compile(denied.collect(), Vec::new()),
        ..Operator::default()
    };
    operator.limits.udp = Limit::lifted_if(words.contains(&"--allow-udp"));
    let mode = words.windows(2).find(|pair| pair[0] == "--tls-names");
    operator.tls_names = mode.map_or(TlsNames::Denied, |pair| pair[1].parse().expect("a mode"));
    let strings = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let interfaces = Interfaces {
        imports: strings(behind("imports")),
        exports: strings(behind("exports")),
        trapped: strings(behind("provide")),
        refused: strings(behind("refuse")),
    };
    (
        operator,
        (interfaces != Interfaces::default()).then_some(interfaces),
    )
}

fn findings(section: &Section<'_>) -> (Vec<Diagnostic>, Sources) {
    let (operator, interfaces) = settings(section.console);
    let is_test = section.code.starts_with("test.");
    let is_config = ["operator.own-address", "operator.budget"].contains(&section.code);
    let component = if is_test || is_config {
        "[component.web]\nsource = \"web.wasm\"\nallowed_outbound_hosts = [\"*://10.0.0.5:5432\"]\n"
    } else {
        section.toml
    };
    let source = SourceFile::new("spin.toml", format!("{HEADER}{component}"));
    let config = is_config.then(|| SourceFile::new("runtime.toml", section.toml));
    let parsed = config.as_ref().map(RuntimeConfig::parse);
    let app = ResolvedApp::resolve(Manifest::parse(&source), &GivenVariables::default());
    let operator = Arc::new(operator);
    let id = ComponentId::parse("web").expect("an id");
    let interfaces = interfaces
        .map(|interfaces| (id, interfaces))
        .into_iter()
        .collect::<HashMap<_, _>>();
    let mut findings = AppUnderReview {
        app: &app,
        interfaces: &interfaces,
        operator: Arc::clone(&operator),
        config: parsed.as_ref().map(Reading::tentative),
        denied_names: DeniedNames::Resolved,
        own_brokers: &[],
    }
    .review();
    let mut sources = Sources::default();
    sources.add(source.clone());
    config.into_iter().for_each(|config| sources.add(config));
    if is_test {
        let file = SourceFile::new("outport.test.toml", section.toml);
        let (tests, wrong) = PolicyTests::parse(&file);
        findings.extend(wrong);
        let policies = policies(app.tentative(), &operator);
        findings.extend(tests.run(&policies, DeniedNames::Resolved).1);
        sources.add(file);
    }
    findings.extend(by_hand(section.code, &source, &app.tentative().manifest));
    (findings, sources)
}

/// What only `outport check` itself finds; the end-to-end tests of it have these too.
fn by_hand(code: &str, source: &SourceFile, manifest: &Manifest) -> Option<Diagnostic> {
    let at = |text: &str| {
        let start = source.text().find(text).expect("it is in the example");
        source.location(&(start..start + text.len()))
    };
    Some(match code {
        "component.unusable" => {
            let location = source.location(&manifest.components[0].source.span);
            Diagnostic::new(Code::Unusable, location, "there is no file `web.wasm`")
        }
        "component.not-linked" => {
            let message =
                "component `web` cannot be linked: it imports a core module, which is not supported";
            Diagnostic::new(Code::NotLinked, at("web"), message)
        }
        "component.no-files" => {
            let finding = Diagnostic::new(Code::NoFiles, at("assets/*"), "no file matches `assets/*`");
            finding.helped_by("paths are those below the directory of the manifest")
        }
        "operator.input" => {
            let option = Location::Option {
                name: "--disallowed-outbound-hosts".into(),
            };
            let error = Entry::parse("example.com:80", option.clone()).expect_err("it has no scheme");
            let message = format!("`{}` is not a valid entry: {}", error.text(), error.problem());
            let finding = Diagnostic::new(Code::Input, option, message);
            finding.helped_by(format!("write `{}`", error.instead().expect("a suggestion")))
        }
        _ => return None,
    })
}

fn output(section: &Section<'_>) -> String {
    let (findings, sources) = findings(section);
    let wanted = findings
        .iter()
        .filter(|finding| finding.code().to_string() == section.code);
    wanted
        .map(|finding| Renderer::report(Detail::Full, Colours::Plain).render(finding, &sources))
        .collect()
}

// proves: VAL-1, VAL-2, VAL-3, VAL-4
#[test]
fn every_code_has_an_example_that_comes_out_as_printed() {
    let page_text = std::fs::read_to_string(page()).expect("the page is there");
    let mut updated = page_text.clone();
    for section in sections(&page_text) {
        let output = output(&section);
        assert!(!output.is_empty(), "{} is not found in its example", section.code);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let before = format!("` ({})", section.severity);
            let at = updated
                .find(&format!("\n## `{}{before}", section.code))
                .expect("the section");
            let block = updated[at..].find("```text\n").expect("an output") + at + "```text\n".len();
            let end = updated[block..].find("```").expect("its end") + block;
            updated.replace_range(block..end, &output);
        } else {
            assert_eq!(output, section.output, "{}", section.code);
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page(), updated).expect("the page can be written");
    }
}

#[test]
fn every_code_has_a_section_with_its_severity() {
    let page = std::fs::read_to_string(page()).expect("the page is there");
    let sections = sections(&page);
    for code in Code::ALL {
        let found: Vec<_> = sections
            .iter()
            .filter(|section| section.code == code.as_str())
            .collect();
        assert_eq!(found.len(), 1, "{code}");
        assert_eq!(found[0].severity, code.severity().as_str(), "{code}");
    }
    assert_eq!(sections.len(), Code::ALL.len());
}

#[test]
fn every_example_reads_well_at_80_columns() {
    let page = std::fs::read_to_string(page()).expect("the page is there");
    for section in sections(&page) {
        for line in section.output.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", section.code);
        }
    }
}

#[test]
fn codes_are_unique_and_never_those_of_files() {
    for code in Code::ALL {
        let same = Code::ALL.iter().filter(|other| other.as_str() == code.as_str());
        assert_eq!(same.count(), 1, "{code}");
        let area = code.as_str().split('.').next();
        assert!(
            !["manifest", "runtime-config", "variables"]
                .map(Some)
                .contains(&area),
            "{code}"
        );
    }
    assert_eq!(FindingCode::Check(Code::Blocked).to_string(), "entry.blocked");
}
