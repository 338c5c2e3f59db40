//! Everything that was found about an app, whatever else is wrong with it.
//!
//! ```text
//! operator's options ─► settings, and what is wrong ───────┐
//! spin.toml ──────────► manifest and its mistakes ─────────┼─► findings, in the order of their places
//! --variable ─────────► values, and what is wrong ─────────┤
//! components ─────────► interfaces, and what `up` refuses ─┤
//! outport.test.toml ──► results ───────────────────────────┘
//! ```
//!
//! Only a manifest that cannot be read at all leaves nothing to report on.

use std::collections::HashMap;
use std::sync::Arc;

use outport_check::{
    AppUnderReview, Code, Diagnostic, FindingCode, PolicyTests, Severity, TestResult, policies,
};
use outport_manifest::SourceFile;
use outport_policy::Location;

use super::code::ExaminedCode;
use crate::app_options::AppOptions;
use crate::brokers;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::{OperatorOptions, OperatorSettings};
use crate::terminal::Terminal;

/// Everything that was found.
pub(super) struct Report {
    pub(super) manifest: SourceFile,
    pub(super) findings: Vec<Diagnostic>,
    pub(super) tests: Vec<TestResult>,
    /// The files that findings quote.
    pub(super) files: Files,
    pub(super) outcome: Outcome,
}

/// The outcome, which the exit status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing fails.
    Fine,
    /// Something that was found fails.
    Fails,
    /// Something that was given cannot be used, so that not everything could be looked at.
    Unusable,
}

impl Report {
    /// Looks at everything.
    pub(super) fn of(
        app: &AppOptions,
        operator: &OperatorOptions,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let mut files = Files::default();
        let mut unusable = Vec::new();
        let settings = operator.read_tentatively(&mut files, &mut unusable);
        let source = match app.read_manifest(&mut files) {
            Ok(source) => source,
            Err(missing) => {
                unusable.push(missing);
                return Err(Failure::unusable_in(&files, unusable));
            }
        };
        let reading = app.resolve(&source, &mut files, &mut unusable);
        let fetching = if reading.problems_of_manifest().is_empty() {
            app.fetching.clone()
        } else {
            app.fetching.for_a_part()
        };
        let tests = read_tests(&source, &mut files, &mut unusable);

        let app = reading.tentative();
        let brokers = brokers::settings(settings.config.as_ref())?;
        let code = ExaminedCode::of(app, (operator, &brokers), &fetching, &mut files, terminal)?;
        let of_all = Arc::new(settings.operator.clone());
        let findings = AppUnderReview {
            app: &reading,
            interfaces: &code.interfaces,
            operator: Arc::clone(&of_all),
            config: settings.config.as_ref(),
            denied_names: settings.denied_names(),
            own_brokers: &brokers::kinds(&brokers),
        }
        .review();
        let mut report = Self {
            manifest: source,
            findings: settings.remarks.iter().chain(&unusable).map(as_finding).collect(),
            tests: Vec::new(),
            files,
            outcome: Outcome::Fine,
        };
        report.findings.extend(findings);
        if settings.config.is_none() && operator.names_a_runtime_config() {
            // What a file defines that cannot be read is not known.
            let is_known = |finding: &Diagnostic| finding.code().to_string() != "manifest.undefined-label";
            report.findings.retain(is_known);
        }
        report.add_code(code.findings);
        let unknown = settings.client_tls.unknown_components(&app.manifest.components);
        report.findings.extend(unknown.iter().map(as_finding));
        if let Some(file) = tests {
            let (tests, wrong) = PolicyTests::parse(&file);
            let (results, failed) = tests.run(&policies(app, &of_all), settings.denied_names());
            report.findings.extend(wrong.into_iter().chain(failed));
            report.tests = results;
        }
        report.sort();
        report.outcome = report.judge(&settings, &unusable);
        Ok(report)
    }

    /// The findings whose places are in the manifest.
    pub(super) fn in_manifest(&self) -> impl Iterator<Item = &Diagnostic> {
        let own = self.manifest.path().to_string_lossy();
        self.findings
            .iter()
            .filter(move |finding| file_of(finding) == Some(&*own))
    }

    /// Adds findings of the code, without those that the imports and exports, or mistakes of the manifest in the same
    /// place, have told of already.
    fn add_code(&mut self, found: Vec<Diagnostic>) {
        let is_told = |finding: &Diagnostic| {
            let same = |told: &Diagnostic| told.code == finding.code && told.component == finding.component;
            let caused = |told: &Diagnostic| {
                told.severity == Severity::Error
                    && told.location.is_some()
                    && told.location == finding.location
                    && matches!(told.code, Some(FindingCode::File(_)))
            };
            match finding.code {
                Some(FindingCode::Check(Code::MissingExport)) => self.findings.iter().any(same),
                Some(FindingCode::Check(Code::NotLinked)) => self.findings.iter().any(caused),
                _ => false,
            }
        };
        let new: Vec<Diagnostic> = found.into_iter().filter(|finding| !is_told(finding)).collect();
        self.findings.extend(new);
    }

    /// The operator's settings first, then file by file in the order of their first findings, then by place.
    fn sort(&mut self) {
        let mut files: HashMap<String, usize> = HashMap::new();
        for path in self.findings.iter().filter_map(|finding| file_of(finding)) {
            let next = files.len() + 1;
            files.entry(path.to_owned()).or_insert(next);
        }
        self.findings.sort_by_key(|finding| match &finding.location {
            Some(Location::File { path, span, .. }) => (files.get(&**path).copied(), span.start),
            _ => (None, 0),
        });
    }

    fn judge(&self, settings: &OperatorSettings, unusable: &[Diagnostic]) -> Outcome {
        let least = if settings.deny_warnings {
            Severity::Warning
        } else {
            Severity::Error
        };
        match self.findings.iter().any(|finding| finding.severity >= least) {
            _ if unusable.iter().any(|one| one.code.is_none()) => Outcome::Unusable,
            true => Outcome::Fails,
            false => Outcome::Fine,
        }
    }
}

/// A message about an option or a file, as a finding of `check`: with a code and a place, and without the value.
fn as_finding(diagnostic: &Diagnostic) -> Diagnostic {
    let command = Location::Option {
        name: "outport check".into(),
    };
    Diagnostic {
        code: Some(diagnostic.code()),
        location: diagnostic.location.clone().or(Some(command)),
        quoted: None,
        ..diagnostic.clone()
    }
}

fn read_tests(
    manifest: &SourceFile,
    files: &mut Files,
    unusable: &mut Vec<Diagnostic>,
) -> Option<SourceFile> {
    let path = manifest.path().with_file_name("outport.test.toml");
    if !path.exists() {
        return None;
    }
    let location = SourceFile::new(&path, "").location(&(0..0));
    files
        .read(&path, "file of policy tests")
        .map_err(|unreadable| unusable.push(unreadable.at(location)))
        .ok()
}

fn file_of(finding: &Diagnostic) -> Option<&str> {
    match &finding.location {
        Some(Location::File { path, .. }) => Some(path),
        _ => None,
    }
}
