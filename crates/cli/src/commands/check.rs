//! `outport check`: what is wrong, odd or impossible about an app and its operator's policy.
//!
//! Standard output gets the report. Exit status 1 means that something in it fails: an error, or with
//! `--deny-warnings` a warning.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::human::{Colours, Sources, render_all};
use outport_check::{
    AppReview, AppUnderReview, Code, DeniedNames, Finding, Interfaces, PolicyTests, Severity, TestResult,
    apply_fixes, report_json, report_sarif,
};
use outport_manifest::{
    Component as Written, ComponentId, GivenVariables, Manifest, Reading, Source, SourceFile,
};
use outport_policy::Place;
use outport_runtime::component::Component;
use outport_runtime::engine::Allocation;
use outport_runtime::is_provided;

use crate::app_options::{AppOptions, conceal_secrets};
use crate::diagnostic::Diagnostic;
use crate::engine_room::EngineRoom;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::{OperatorOptions, OperatorSide};
use crate::paint::Paint;
use crate::terminal::Terminal;

/// Hold manifest, entries, components and the operator's policy against each other.
///
/// Nothing runs. Tests of the policy in `outport.test.toml` beside the manifest are part of it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    app: AppOptions,

    /// How to report
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Take redundant entries out of the manifest, and write entries in their canonical spelling
    #[arg(long)]
    fix: bool,

    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/check.json`
    Json,
    /// SARIF 2.1.0, for code review
    Sarif,
}

pub(super) fn check(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    let mut files = Files::default();
    let side = options.operator.read(&mut files)?;
    terminal.show_all(&side.remarks, &files);
    let mut report = options.review(&side, &mut files, terminal)?;
    if options.fix && options.fix_manifest(&report, terminal)? {
        files = Files::default();
        options.operator.read(&mut files)?;
        report = options.review(&side, &mut files, terminal)?;
    }
    io::stdout().write_all(options.shown(&report, &files, terminal).as_bytes())?;
    let fails = |severity| match side.deny_warnings {
        true => severity >= Severity::Warning,
        false => severity >= Severity::Error,
    };
    let remarks_fail = side.deny_warnings && side.remarks.iter().any(Diagnostic::is_warning);
    let findings_fail = report.findings.iter().any(|finding| fails(finding.severity));
    Ok(i32::from(remarks_fail || findings_fail))
}

/// Everything that was found.
struct Report {
    manifest: SourceFile,
    findings: Vec<Finding>,
    tests: Vec<TestResult>,
}

impl Options {
    fn review(&self, side: &OperatorSide, files: &mut Files, terminal: Terminal) -> Result<Report, Failure> {
        let source = files
            .read(&self.app.manifest_file(), "manifest")
            .map_err(Failure::unusable)?;
        let manifest = Manifest::parse(&source);
        conceal_secrets(manifest.tentative(), files);
        let mut wrong = Vec::new();
        let given = self.app.given_variables(&mut wrong);
        if !wrong.is_empty() {
            return Err(Failure::unusable_in(files, wrong));
        }
        let (interfaces, mut findings) = interfaces_of(manifest.tentative(), terminal)?;
        let AppReview {
            findings: found,
            policies,
        } = review(&manifest, &given, &interfaces, side);
        findings.extend(found);
        let mut tests = Vec::new();
        if let Some(file) = read_tests(&source, files)? {
            let (expectations, wrong) = PolicyTests::parse(&file);
            let (results, failed) = expectations.run(&policies);
            findings.extend(wrong.into_iter().chain(failed));
            tests = results;
        }
        findings.sort_by_key(|finding| {
            (
                file_of(&finding.place) != Some(source.path()),
                line_of(&finding.place),
            )
        });
        Ok(Report {
            manifest: source,
            findings,
            tests,
        })
    }

    /// Whether anything was changed.
    fn fix_manifest(&self, report: &Report, terminal: Terminal) -> Result<bool, Failure> {
        let unusable =
            |error: &dyn std::fmt::Display| Failure::unusable(Diagnostic::error(error.to_string()));
        let path = report.manifest.path();
        let own: Vec<Finding> = report
            .findings
            .iter()
            .filter(|finding| file_of(&finding.place) == Some(path))
            .cloned()
            .collect();
        let (text, count) = apply_fixes(report.manifest.text(), &own).map_err(|error| unusable(&error))?;
        if count > 0 {
            std::fs::write(path, text)?;
            terminal.say(&format!("changed {count} of the entries in {}", path.display()));
        }
        Ok(count > 0)
    }

    fn shown(&self, report: &Report, files: &Files, terminal: Terminal) -> String {
        match self.format {
            Format::Json => report_json(&report.findings, &report.tests),
            Format::Sarif => report_sarif(&report.findings, env!("CARGO_PKG_VERSION")),
            Format::Human => {
                let colours = match terminal.paint() == Paint::Coloured && io::stdout().is_terminal() {
                    true => Colours::Terminal,
                    false => Colours::Plain,
                };
                let mut text = tests_as_text(&report.tests);
                text.push_str(&render_all(
                    &report.findings,
                    &sources(&report.findings, files),
                    colours,
                ));
                text
            }
        }
    }
}

fn review(
    manifest: &Reading<Manifest>,
    given: &GivenVariables,
    interfaces: &HashMap<ComponentId, Interfaces>,
    side: &OperatorSide,
) -> AppReview {
    let denied_names = match side.resolve_disallowed {
        true => DeniedNames::Resolved,
        false => DeniedNames::LeftAlone,
    };
    let operator = Arc::new(side.operator.clone());
    AppUnderReview {
        manifest,
        given,
        interfaces,
        operator,
        denied_names,
    }
    .review()
}

/// What the code of each component imports and exports, and which of it `up` could not use.
fn interfaces_of(
    manifest: &Manifest,
    terminal: Terminal,
) -> Result<(HashMap<ComponentId, Interfaces>, Vec<Finding>), Failure> {
    let mut interfaces = HashMap::new();
    let mut findings = Vec::new();
    if manifest.components.is_empty() {
        return Ok((interfaces, findings));
    }
    let room = EngineRoom::open(Allocation::Single, terminal)?;
    for written in &manifest.components {
        let id = &written.id.value;
        let Some(path) = code_of(written, manifest) else {
            continue;
        };
        match Component::load(&path, &room.engine, &room.code) {
            Ok(component) => drop(interfaces.insert(id.clone(), interfaces_in(&component))),
            Err(error) => {
                let place = manifest.source.place(&written.source.span);
                let finding = Finding::new(Code::Unusable, place, error.to_string()).of(id.as_str());
                findings.push(match error.advice() {
                    Some(advice) => finding.helped_by(advice),
                    None => finding,
                });
            }
        }
    }
    Ok((interfaces, findings))
}

/// A file beside the manifest; one from elsewhere is looked for by `up`.
fn code_of(written: &Written, manifest: &Manifest) -> Option<PathBuf> {
    let directory = manifest.source.path().parent().unwrap_or(Path::new(""));
    match &written.source.value {
        Source::Path(path) if !path.is_empty() => Some(directory.join(path)),
        Source::Path(_) | Source::Url { .. } => None,
    }
}

fn interfaces_in(component: &Component) -> Interfaces {
    let imports: Vec<String> = component.imports().collect();
    Interfaces {
        trapped: imports
            .iter()
            .filter(|import| !is_provided(import))
            .cloned()
            .collect(),
        imports,
        exports: component.exports().collect(),
    }
}

fn read_tests(manifest: &SourceFile, files: &mut Files) -> Result<Option<SourceFile>, Failure> {
    let path = manifest.path().with_file_name("outport.test.toml");
    match path.is_file() {
        true => files
            .read(&path, "file of policy tests")
            .map(Some)
            .map_err(Failure::unusable),
        false => Ok(None),
    }
}

/// The files that the findings quote, without what is secret in them.
fn sources(findings: &[Finding], files: &Files) -> Sources {
    let mut sources = Sources::default();
    let mut seen: Vec<&Path> = Vec::new();
    for path in findings.iter().filter_map(|finding| file_of(&finding.place)) {
        if !seen.contains(&path) {
            seen.push(path);
            if let Some(text) = files.text(&path.to_string_lossy()) {
                sources.add(SourceFile::new(path, text));
            }
        }
    }
    sources
}

fn tests_as_text(tests: &[TestResult]) -> String {
    let lines = tests.iter().map(|test| {
        let verdict = if test.passed { "ok" } else { "failed" };
        format!(
            "test {} {} from {}: {verdict}\n",
            test.number, test.destination, test.component
        )
    });
    let text: String = lines.collect();
    if text.is_empty() { text } else { text + "\n" }
}

fn file_of(place: &Place) -> Option<&Path> {
    match place {
        Place::File { path, .. } => Some(Path::new(&**path)),
        _ => None,
    }
}

fn line_of(place: &Place) -> (u32, u32) {
    match place {
        Place::File { line, column, .. } => (*line, *column),
        _ => (0, 0),
    }
}
