//! The codes of files: a table of mistakes, and one of remarks behind it; and those of outcomes, a table of their own.

use outport_manifest::Severity;

use super::{CodeKind, CodePage};

/// The pages of all rows. A row may be for several codes, and a code with `*` for several kinds of file.
pub(super) fn pages(tables: &str) -> Vec<CodePage> {
    let mut severity = Severity::Error;
    let mut pages = Vec::new();
    for line in tables.lines() {
        if line.starts_with(REMARKS) {
            severity = Severity::Note;
        } else if line.starts_with(FIRST_WARNING) {
            severity = Severity::Warning;
        }
        pages.extend(pages_of_row(line, severity));
    }
    pages
}

/// The pages of all rows of outcomes.
pub(super) fn outcomes(page: &str) -> Vec<CodePage> {
    page.lines().flat_map(outcomes_of_row).collect()
}

fn outcomes_of_row(row: &str) -> Vec<CodePage> {
    let Some([codes, meaning, to_do]) = cells(row) else {
        return Vec::new();
    };
    let page = |code: &str| CodePage {
        code: code.trim_matches('`').to_owned(),
        kind: CodeKind::Outcome,
        layer: None,
        severity: None,
        meaning: meaning.to_owned(),
        lifted_by: NO_REFUSAL.to_owned(),
        to_do: format!("{to_do}."),
        text: format!(
            "{meaning}.\n\n**Who can lift it:** {NO_REFUSAL}.\n\n**What to do:** {to_do}.\n\nFor example: `failed: \
             component `web` tcp 10.0.0.5:5432 [{}] it is allowed, but …`",
            code.trim_matches('`')
        ),
        page: "outcomes.md",
    };
    codes.split(", ").map(page).collect()
}

/// The three cells of a row that is about codes.
fn cells(row: &str) -> Option<[&str; 3]> {
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    row.starts_with("| `").then(|| cells.try_into().ok())?
}

fn pages_of_row(row: &str, severity: Severity) -> Vec<CodePage> {
    let Some([codes, meaning, example]) = cells(row) else {
        return Vec::new();
    };
    let codes = codes.split(", ").map(|code| code.trim_matches('`'));
    let page = |code: String| {
        let (who, to_do) = remedy(&code, severity);
        CodePage {
            kind: CodeKind::File,
            layer: None,
            severity: Some(severity.as_str()),
            meaning: meaning.to_owned(),
            lifted_by: who.to_owned(),
            to_do: to_do.to_owned(),
            text: format!(
                "{meaning}.\n\n**Who can lift it:** {who}.\n\n**What to do:** {to_do}\n\nFor example: {example}"
            ),
            page: "findings.md",
            code,
        }
    };
    codes.flat_map(of_each_area).map(page).collect()
}

/// The codes that one with `*` stands for: remarks of that kind are of Spin's files alone.
fn of_each_area(code: &str) -> Vec<String> {
    let Some(name) = code.strip_prefix("*.") else {
        return vec![code.to_owned()];
    };
    let areas: &[&str] = match name {
        "not-used" | "entry" => &["manifest", "runtime-config"],
        _ => &["manifest", "runtime-config", "config", "variables"],
    };
    areas.iter().map(|area| format!("{area}.{name}")).collect()
}

/// Who can mend a file, and how.
fn remedy(code: &str, severity: Severity) -> (&'static str, &'static str) {
    let who = match code.split('.').next() {
        Some("manifest") => "the author, who writes `spin.toml`",
        Some("runtime-config") => "the operator, who writes the runtime config file",
        Some("config") => "the operator, who writes `outport.toml`",
        _ => "the operator, who gives the values of variables",
    };
    let to_do = match severity {
        Severity::Error => {
            "correct what the message points at; where there is something to write instead, its help says what."
        }
        Severity::Warning | Severity::Note => {
            "nothing if it is meant so; else correct what the message points at."
        }
    };
    (who, to_do)
}

/// Who can lift what is no refusal.
const NO_REFUSAL: &str = "nobody here, since it was allowed";

/// The line between the tables begins so.
const REMARKS: &str = "These are remarks.";

/// The beginning of the first row of a remark that is a warning.
const FIRST_WARNING: &str = "| `manifest.duplicate-route`";
