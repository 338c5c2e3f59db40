//! Findings as JSON: `docs/schema/check.json` says what it looks like.

use outport_manifest::Severity;
use outport_policy::Location;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Fix};
use crate::policy_tests::TestResult;

/// The report of a check, as one JSON document with its line end.
pub fn report_json(findings: &[Diagnostic], tests: &[TestResult]) -> String {
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let report = Report {
        version: 1,
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        notes: count(Severity::Note),
        findings: findings.iter().map(Finding::from).collect(),
        tests,
    };
    let text = serde_json::to_string_pretty(&report).expect("INVARIANT: strings and numbers are JSON");
    text + "\n"
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Finding<'a>>,
    tests: &'a [TestResult],
}

#[derive(Serialize)]
struct Finding<'a> {
    code: String,
    severity: &'static str,
    message: &'a str,
    #[serde(rename = "place")]
    location: Where,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    related: Vec<Related<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Change<'a>>,
}

#[derive(Serialize)]
struct Related<'a> {
    #[serde(rename = "place")]
    location: Where,
    message: &'a str,
}

/// A place, in the shape that its kind has.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Where {
    File {
        file: String,
        line: u32,
        column: u32,
        start: usize,
        end: usize,
    },
    Option {
        option: String,
    },
    Environment {
        environment: String,
    },
    Embedder {
        embedder: bool,
    },
}

#[derive(Serialize)]
struct Change<'a> {
    start: usize,
    end: usize,
    replacement: &'a str,
}

impl<'a> From<&'a Diagnostic> for Finding<'a> {
    fn from(finding: &'a Diagnostic) -> Self {
        Self {
            code: finding.code().to_string(),
            severity: finding.severity.as_str(),
            message: &finding.message,
            location: Where::from(finding.location()),
            component: finding.component.as_deref(),
            help: finding.help.as_deref(),
            related: finding
                .related
                .iter()
                .map(|(location, message)| Related {
                    location: Where::from(location),
                    message,
                })
                .collect(),
            fix: finding.fix.as_ref().and_then(Change::of),
        }
    }
}

impl From<&Location> for Where {
    fn from(location: &Location) -> Self {
        match location {
            Location::File {
                path,
                line,
                column,
                span,
            } => Self::File {
                file: path.to_string(),
                line: *line,
                column: *column,
                start: span.start,
                end: span.end,
            },
            Location::Option { name } => Self::Option {
                option: name.to_string(),
            },
            Location::Environment { variable } => Self::Environment {
                environment: variable.to_string(),
            },
            Location::Code => Self::Embedder { embedder: true },
        }
    }
}

impl<'a> Change<'a> {
    /// An entry that is taken out is replaced by nothing. What changes two places is no change of this kind.
    fn of(fix: &'a Fix) -> Option<Self> {
        let (span, replacement) = match fix {
            Fix::Remove { span } => (span, ""),
            Fix::Replace { span, with } => (span, with.as_str()),
            Fix::Move { .. } => return None,
        };
        Some(Self {
            start: span.start,
            end: span.end,
            replacement,
        })
    }
}
