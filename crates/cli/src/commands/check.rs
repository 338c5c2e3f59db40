//! `outport check`: what is wrong, odd or impossible about an app and its operator's policy.
//!
//! Standard output gets the report. Exit status 1 means that something in it fails: an error, or with
//! `--deny-warnings` a warning. Exit status 2 means that something which was given cannot be used, so that not
//! everything could be looked at; the report says what.

mod code;
mod report;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use outport_check::{Detail, Diagnostic, Renderer, TestResult, apply_fixes, report_json, report_sarif};
use outport_policy::text;
use report::{Outcome, Report};

use crate::app_options::AppOptions;
use crate::appearance::Appearance;
use crate::failure::Failure;
use crate::operator_options::OperatorOptions;
use crate::replacement::replace;
use crate::terminal::{Terminal, print};

/// Hold manifest, entries, components and the operator's policy against each other.
///
/// Nothing runs. Tests of the policy in `outport.test.toml` beside the manifest are part of it.
///
/// Takes the operator options of the commands that run guests, so that the same ones can be given. What there is
/// nothing to do for here has no effect: `--dns-server`, `--audit-log`, `--admin-listen`, `--state-dir`, `--key-value` and `--sqlite`;
/// `--kernel-sandbox` is about compiling alone.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The same as `-f`: a `spin.toml`, its directory, or a reference such as `ghcr.io/me/app:1.0`
    #[arg(value_name = "DIR_OR_FILE", conflicts_with = "from")]
    path: Option<PathBuf>,

    #[command(flatten)]
    app: AppOptions,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Take redundant entries out of the manifest, write entries in their canonical spelling, and `allowed_http_hosts`
    /// as `allowed_outbound_hosts`
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
    let app = options.app.at(options.path.as_deref());
    let app = app.pulled(&options.operator.loading, terminal)?;
    if let Some(artifact) = app.artifact().filter(|_| options.fix) {
        let reference = &artifact.reference;
        let error =
            Diagnostic::error("`--fix` changes a manifest, and one from a registry cannot be changed");
        return Err(Failure::unusable(error.helped_by(format!(
            "`outport pull {reference} DIR` makes an app of it that can"
        ))));
    }
    let mut report = Report::of(&app, &options.operator, terminal)?;
    if options.fix {
        report = options.fixed(report, &app, terminal)?;
    }
    print(&options.shown(&report, terminal))?;
    Ok(match report.outcome {
        Outcome::Fine => 0,
        Outcome::Fails => 1,
        Outcome::Unusable => 2,
    })
}

/// The number of entries that were changed.
fn fix_manifest(report: &Report) -> Result<usize, Failure> {
    let unusable = |error: &dyn std::fmt::Display| Failure::unusable(Diagnostic::error(error.to_string()));
    let path = report.manifest.path();
    let own: Vec<Diagnostic> = report.in_manifest().cloned().collect();
    let Ok((text, count)) = apply_fixes(report.manifest.text(), &own) else {
        // What cannot be read is a mistake that the report has, in its own words.
        return Ok(0);
    };
    if count > 0 {
        replace(path, &text).map_err(|error| {
            unusable(&format_args!(
                "cannot write the manifest `{}`: {error}",
                text::path(path)
            ))
        })?;
    }
    Ok(count)
}

/// One fix may show what another can do: an entry that was an item of an old list is redundant.
const MOST_ROUNDS: usize = 4;

impl Options {
    /// The findings once all has been changed that can be.
    fn fixed(&self, mut report: Report, app: &AppOptions, terminal: Terminal) -> Result<Report, Failure> {
        let mut changed = 0;
        for _ in 0..MOST_ROUNDS {
            let count = fix_manifest(&report)?;
            if count == 0 {
                break;
            }
            changed += count;
            report = Report::of(app, &self.operator, terminal)?;
        }
        if changed > 0 {
            let path = text::path(report.manifest.path());
            terminal.say(&format!("changed {changed} of the entries in {path}"));
        }
        Ok(report)
    }

    fn shown(&self, report: &Report, terminal: Terminal) -> String {
        match self.format {
            Format::Json => report_json(&report.findings, &report.tests),
            Format::Sarif => report_sarif(&report.findings, env!("CARGO_PKG_VERSION")),
            Format::Human => {
                let appearance = Appearance::of_standard_output();
                let detail = if terminal.is_verbose() {
                    Detail::Full
                } else {
                    Detail::Brief
                };
                let renderer = appearance.of(Renderer::report(detail, appearance.colours));
                let findings = renderer.render_all(&report.findings, report.files.sources());
                tests_as_text(&report.tests) + &findings
            }
        }
    }
}

fn tests_as_text(tests: &[TestResult]) -> String {
    let lines = tests.iter().map(|test| {
        let verdict = if test.passed { "ok" } else { "failed" };
        let line = format!(
            "test {} {} from {}: {verdict}",
            test.number, test.destination, test.component
        );
        text::terminal_lines(&line) + "\n"
    });
    let text: String = lines.collect();
    if text.is_empty() { text } else { text + "\n" }
}
