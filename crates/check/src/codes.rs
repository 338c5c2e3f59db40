//! What every code means that stands in brackets: reasons of denials, findings, mistakes and remarks of files, and what came of
//! what was allowed.
//!
//! ```text
//! codes/reasons.md   ── docs/reasons.md   a section for each reason
//! codes/findings.md  ── docs/findings.md  a section for each finding, and a row for each code of files
//! codes/outcomes.md  ── docs/outcomes.md  a row for each error of what was allowed
//!        └─► CodePage ─► `outport explain CODE`
//! ```
//!
//! The texts stand in these files alone. The pages of the same names are copies of them, which a test holds equal: a crate
//! has nothing but its own folder. They are read as they are written, since tests hold their form:
//!
//! ```text
//! ## `CODE` (LAYER or SEVERITY)
//!
//! What it means.
//!
//! **Who can lift it:** somebody.
//!
//! **What to do:** something.
//!
//! Examples, in fences.
//! ```
//!
//! A row of a table has codes, a meaning and an example. `*.syntax` stands for the code of every kind of file.

mod shown;
mod tables;

use std::sync::OnceLock;

use outport_manifest::nearest;
use outport_policy::Reason;
use serde::Serialize;

pub use self::shown::{codes_json, codes_list};

use crate::code::Code;

/// The source of `docs/reasons.md`.
const REASONS: &str = include_str!("codes/reasons.md");

/// The source of `docs/findings.md`.
const FINDINGS: &str = include_str!("codes/findings.md");

/// The source of `docs/outcomes.md`.
const OUTCOMES: &str = include_str!("codes/outcomes.md");

/// What there is to say of a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodePage {
    /// The code, such as `allow.port`.
    pub code: String,
    /// The kind of code.
    pub kind: CodeKind,
    /// The layer that refuses, of a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// `error`, `warning` or `note`, of anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    /// The meaning, as a sentence without a full stop.
    pub meaning: String,
    /// Who can lift it.
    pub lifted_by: String,
    /// What to do about it, as a sentence.
    pub to_do: String,
    /// All of it with examples, in Markdown.
    pub text: String,
    /// The page that it stands on, below `docs/`.
    pub page: &'static str,
}

/// The kind of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CodeKind {
    /// Why an attempt is refused.
    Reason,
    /// What comes of holding entries, operator and components against each other.
    Finding,
    /// A mistake in a file, or a remark about one.
    File,
    /// What came of something that was allowed.
    Outcome,
}

impl CodePage {
    /// Those of all codes: reasons, findings, files, outcomes, each in the order of its page.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<CodePage>> = OnceLock::new();
        ALL.get_or_init(Self::read)
    }

    fn read() -> Vec<Self> {
        let (findings, tables) = FINDINGS.split_once(TABLES).unwrap_or((FINDINGS, ""));
        let reasons = sections(REASONS).filter_map(|section| Self::of_section(section, CodeKind::Reason));
        let findings = sections(findings).filter_map(|section| Self::of_section(section, CodeKind::Finding));
        let of_files = tables::pages(tables);
        reasons
            .chain(findings)
            .chain(of_files)
            .chain(tables::outcomes(OUTCOMES))
            .collect()
    }

    /// That of a code. The brackets that a code is printed in, and the severity before them, are not looked at.
    pub fn of(written: &str) -> Option<&'static Self> {
        let code = bare(written);
        Self::all().iter().find(|page| page.code == code)
    }

    /// The code that was meant by something which is none, and is too near to one to be anything else: of its two parts one
    /// is right, and the other a slip of the pen.
    pub fn meant(written: &str) -> Option<&'static str> {
        // With a dot at its end it is the name of a host.
        let (family, name) = bare(written)
            .split_once('.')
            .filter(|(_, name)| !name.ends_with('.'))?;
        let mut codes: Vec<&str> = Self::all().iter().map(|page| page.code.as_str()).collect();
        codes.retain(|code| {
            code.split_once('.').is_some_and(|known| {
                let is_near = |written: &str, known: &str| nearest(written, [known]).is_some();
                (known.0 == family && is_near(name, known.1)) || (known.1 == name && is_near(family, known.0))
            })
        });
        nearest(bare(written), codes)
    }

    fn of_section(section: &str, kind: CodeKind) -> Option<Self> {
        let (heading, text) = section.split_once('\n')?;
        let (code, level) = heading.strip_suffix(')')?.split_once("` (")?;
        let of_reason = || Reason::ALL.iter().find(|reason| reason.code() == code);
        let of_finding = || Code::ALL.iter().find(|known| known.as_str() == code);
        let (meaning, severity) = match kind {
            CodeKind::Reason => (of_reason()?.sentence(), None),
            CodeKind::Finding | CodeKind::File | CodeKind::Outcome => {
                let known = of_finding()?;
                (known.meaning(), Some(known.severity().as_str()))
            }
        };
        Some(Self {
            code: code.to_owned(),
            kind,
            layer: severity.is_none().then(|| level.to_owned()),
            severity,
            meaning: meaning.to_owned(),
            lifted_by: behind(LIFTED_BY, text)?.trim_end_matches('.').to_owned(),
            to_do: behind(TO_DO, text)?,
            text: text.trim().to_owned(),
            page: match kind {
                CodeKind::Reason => "reasons.md",
                CodeKind::Finding | CodeKind::File | CodeKind::Outcome => "findings.md",
            },
        })
    }
}

/// The code in `warning[entry.blocked]:`, `[allow.port]` or `allow.port`.
fn bare(written: &str) -> &str {
    let written = written.trim().trim_end_matches(':');
    let inside = written
        .split_once('[')
        .and_then(|(_, code)| code.strip_suffix(']'));
    inside.unwrap_or(written)
}

/// The sections of a page, from the code of their headings on.
fn sections(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n## `").skip(1)
}

/// The paragraph that begins so, in one line.
fn behind(beginning: &str, text: &str) -> Option<String> {
    let paragraph = text
        .split("\n\n")
        .find_map(|part| part.trim().strip_prefix(beginning));
    paragraph.map(|paragraph| paragraph.trim().replace('\n', " "))
}

/// How the paragraphs begin.
const LIFTED_BY: &str = "**Who can lift it:**";
const TO_DO: &str = "**What to do:**";

/// The heading behind the findings.
const TABLES: &str = "\n# Mistakes in the files\n";

#[cfg(test)]
mod tests;
