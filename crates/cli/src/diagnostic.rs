//! Something to tell about what was given: what is wrong, where, and what to do.
//!
//! ```text
//! error[manifest.entry]: `http//a` is no valid entry: between the scheme `http` and the host stands `://`
//!   --> spin.toml:12:27
//!    |
//! 12 | allowed_outbound_hosts = ["http//a"]
//!    |                            ^^^^^^^
//!    = help: write `http://a`
//! ```
//!
//! Of a value on the command line or in the environment the value itself is quoted.

use std::fmt::Write;
use std::ops::Range;

use outport_check::{Finding, FindingCode, Severity};
use outport_manifest::{Note, Problem};
use outport_policy::{EntryError, Location, text, without_user_info};
use outport_runtime::app::AppProblem;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::files::Files;
use crate::paint::{Colour, Paint, harmless};

/// Something to tell.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    severity: Severity,
    code: Option<FindingCode>,
    message: String,
    location: Option<Box<Location>>,
    quote: Option<Box<Quote>>,
    /// Other places that have to do with it, each with what it is there.
    related: Vec<(Location, String)>,
    advice: Option<String>,
}

/// A line of text, or as much of it as is looked at, and the bytes of it that are meant.
#[derive(Debug, Clone)]
struct Quote {
    text: String,
    meant: Range<usize>,
}

impl Diagnostic {
    pub(crate) fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic::of(Severity::Error, message.into())
    }

    pub(crate) fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic::of(Severity::Warning, message.into())
    }

    pub(crate) fn note(message: impl Into<String>) -> Diagnostic {
        Diagnostic::of(Severity::Note, message.into())
    }

    /// With the place that it is about.
    pub(crate) fn at(mut self, location: Location) -> Diagnostic {
        self.location = Some(Box::new(location));
        self
    }

    /// With a value that came from no file, all of which is meant.
    pub(crate) fn quoting(mut self, text: &str) -> Diagnostic {
        self.quote = Some(Box::new(Quote {
            text: text.to_owned(),
            meant: 0..text.len(),
        }));
        self
    }

    /// With what to do about it.
    pub(crate) fn advising(mut self, advice: impl Into<String>) -> Diagnostic {
        self.advice = Some(advice.into());
        self
    }

    /// How much it matters.
    pub(crate) fn severity(&self) -> Severity {
        self.severity
    }

    /// Which kind it is, if it has a stable code.
    pub(crate) fn code(&self) -> Option<FindingCode> {
        self.code
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Where it is.
    pub(crate) fn location(&self) -> Option<&Location> {
        self.location.as_deref()
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn is_warning(&self) -> bool {
        self.severity == Severity::Warning
    }

    fn of(severity: Severity, message: String) -> Diagnostic {
        Diagnostic {
            severity,
            code: None,
            message,
            location: None,
            quote: None,
            related: Vec::new(),
            advice: None,
        }
    }

    /// The lines to print. Everything in them that somebody else wrote is harmless.
    pub(crate) fn render(&self, files: &Files, paint: Paint) -> String {
        let (label, colour) = match self.severity {
            Severity::Error => ("error", Colour::Red),
            Severity::Warning => ("warning", Colour::Yellow),
            Severity::Note => ("note", Colour::Cyan),
        };
        let label = match &self.code {
            Some(code) => format!("{label}[{code}]"),
            None => label.to_owned(),
        };
        let mut text = format!("{}: {}\n", paint.with(colour, &label), harmless(&self.message));
        self.render_excerpt(files, paint, colour, &mut text);
        text
    }

    fn render_excerpt(&self, files: &Files, paint: Paint, colour: Colour, out: &mut String) {
        let (line, quote) = self.quoted(files);
        let number = line.map(|line| line.to_string()).unwrap_or_default();
        let indent = " ".repeat(number.len().max(1));
        let edge = |number: &str| paint.with(Colour::Blue, &format!("{number} |"));
        if let Some(location) = &self.location {
            let arrow = paint.with(Colour::Blue, "-->");
            let _ = writeln!(out, "{indent}{arrow} {}", harmless(&location.to_string()));
        }
        if let Some(quote) = quote {
            let (shown, marks) = quote.shown();
            let number = format!("{number:>width$}", width = indent.len());
            let _ = writeln!(out, "{}\n{} {shown}", edge(&indent), edge(&number));
            let _ = writeln!(out, "{} {}", edge(&indent), paint.with(colour, &marks));
        }
        let related = self
            .related
            .iter()
            .map(|(location, what)| format!("{what}: {location}"));
        let advice = self.advice.iter().map(|advice| format!("help: {advice}"));
        for aside in related.chain(advice) {
            let sign = paint.with(Colour::Blue, "=");
            let _ = writeln!(out, "{indent} {sign} {}", harmless(&aside));
        }
    }

    /// What is quoted, and the number of the line where it is from a file.
    fn quoted(&self, files: &Files) -> (Option<u32>, Option<Quote>) {
        let Some(Location::File { path, line, span, .. }) = self.location.as_deref() else {
            return (None, self.quote.as_deref().cloned());
        };
        let quote = files.text(path).map(|text| Quote::line_of(text, span));
        (Some(*line), quote)
    }
}

impl Quote {
    /// The line of `text` in which `span` begins; of one that is very long, what is near.
    fn line_of(text: &str, span: &Range<usize>) -> Quote {
        let start = text.floor_char_boundary(span.start);
        let first = text.ceil_char_boundary(start.saturating_sub(NEAR));
        let last = text.floor_char_boundary(start.saturating_add(NEAR));
        let begin = text[first..start]
            .rfind('\n')
            .map_or(first, |newline| first + newline + 1);
        let end = text[start..last]
            .find('\n')
            .map_or(last, |newline| start + newline);
        let meant_end = text.floor_char_boundary(span.end.min(end)).max(start);
        Quote {
            text: without_user_info(text[begin..end].trim_end()).into_owned(),
            meant: start - begin..meant_end - begin,
        }
    }

    /// The text, cut to what is around the part that is meant, and a line that marks that part.
    fn shown(&self) -> (String, String) {
        let (before, rest) = self
            .text
            .split_at_checked(self.meant.start)
            .unwrap_or((&self.text, ""));
        let (meant, behind) = rest.split_at_checked(self.meant.len()).unwrap_or((rest, ""));
        let [before, meant, behind] = [before, meant, behind].map(text::terminal);
        let lead = match before.width() + meant.width().max(1) > WIDTH {
            true => end_of(&before, CONTEXT),
            false => &before,
        };
        let text = format!("{lead}{meant}{behind}");
        let text_shown = start_of(&text, WIDTH);
        let dots = if lead.len() < before.len() { "…" } else { "" };
        let rest = if text_shown.len() < text.len() { "…" } else { "" };
        let meant = start_of(&meant, WIDTH - lead.width()).width().max(1);
        let marks = " ".repeat(dots.width() + lead.width()) + &"^".repeat(meant);
        (format!("{dots}{text_shown}{rest}"), marks)
    }
}

/// As much of the beginning as fits into so many columns.
fn start_of(text: &str, columns: usize) -> &str {
    let mut width = 0;
    let end = text.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or(0);
        width > columns
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// As much of the end as fits into so many columns.
fn end_of(text: &str, columns: usize) -> &str {
    let mut width = 0;
    let before = text.char_indices().rev().find(|(_, c)| {
        width += c.width().unwrap_or(0);
        width > columns
    });
    before.map_or(text, |(start, c)| &text[start + c.len_utf8()..])
}

/// Columns of a quoted line that are shown, and how many of them before the part that is meant.
const WIDTH: usize = 120;
const CONTEXT: usize = 40;

/// Bytes before and behind the start of the part that are looked at: more than can be shown, and few enough that a
/// hundred thousand mistakes on one line are told in no time.
const NEAR: usize = 1024;

impl From<&Problem> for Diagnostic {
    fn from(problem: &Problem) -> Diagnostic {
        Diagnostic::from(&Finding::from(problem))
    }
}

impl From<&Note> for Diagnostic {
    fn from(note: &Note) -> Diagnostic {
        Diagnostic::from(&Finding::from(note))
    }
}

/// A finding, which says here what it says in `check`.
impl From<&Finding> for Diagnostic {
    fn from(finding: &Finding) -> Diagnostic {
        let mut diagnostic =
            Diagnostic::of(finding.severity, finding.message.clone()).at(finding.location.clone());
        diagnostic.code = Some(finding.code);
        diagnostic.advice = finding.help.clone();
        diagnostic.related = finding.related.clone();
        diagnostic
    }
}

impl From<&AppProblem> for Diagnostic {
    fn from(problem: &AppProblem) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(problem.kind.to_string()).at(problem.location.clone());
        diagnostic.advice = problem.advice();
        diagnostic
    }
}

/// An entry on the command line or in the environment.
impl From<&EntryError> for Diagnostic {
    fn from(error: &EntryError) -> Diagnostic {
        let message = format!(
            "`{}` is no valid entry: {}",
            text::excerpt(&error.shown()),
            error.problem()
        );
        let mut diagnostic = Diagnostic::error(message).at(error.location().clone());
        diagnostic.quote = Some(Box::new(Quote {
            text: error.shown().into_owned(),
            meant: error.span(),
        }));
        diagnostic.advice = error.instead().map(|instead| format!("write `{instead}`"));
        diagnostic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, meant: &str) -> (String, String) {
        let start = text.find(meant).unwrap();
        Quote::line_of(text, &(start..start + meant.len())).shown()
    }

    #[test]
    fn a_line_is_quoted_and_the_part_that_is_meant_is_marked() {
        let cases = [
            ("a = 1\nb = bad\nc = 3", "bad", "b = bad", "    ^^^"),
            ("first bad", "first", "first bad", "^^^^^"),
            ("\tb = bad", "bad", " b = bad", "     ^^^"),
            ("ö = bad", "bad", "ö = bad", "    ^^^"),
            ("名前 = bad", "bad", "名前 = bad", "       ^^^"),
            ("o\u{308} = bad", "bad", "o\u{308} = bad", "    ^^^"),
            ("b = \"名前\" # x", "名前", "b = \"名前\" # x", "     ^^^^"),
            ("x = \"a\nb\"", "\"a\nb\"", "x = \"a", "    ^^"),
            ("x = \u{1b}[2Jbad", "bad", "x = \u{fffd}[2Jbad", "        ^^^"),
        ];
        for (text, meant, line, marks) in cases {
            assert_eq!(
                marked(text, meant),
                (line.to_owned(), marks.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn of_a_long_line_only_what_is_around_the_part_is_shown() {
        let text = format!("{}bad{}", "x".repeat(1000), "y".repeat(1000));
        let (line, marks) = marked(&text, "bad");
        assert_eq!(line.chars().count(), WIDTH + 2);
        assert_eq!(marks.find('^'), Some(CONTEXT + 1));
        assert_eq!(line.chars().nth(CONTEXT + 1), Some('b'));
    }

    #[test]
    fn a_long_line_of_wide_text_is_cut_by_the_columns_that_it_takes() {
        for before in [0, 19, 20, 21, 59, 60, 61, 400] {
            for meant in [1, 39, 40, 41, 60, 61, 400] {
                let text = "名".repeat(before) + &"前".repeat(meant) + "b";
                let start = 3 * before;
                let (line, marks) = Quote::line_of(&text, &(start..start + 3 * meant)).shown();
                assert!(line.width() <= WIDTH + 2, "{before} {meant}: {line}");
                let lead: String = line.chars().take_while(|c| *c != '前').collect();
                assert_eq!(marks.find('^'), Some(lead.width()), "{before} {meant}: {line}");
                let shown = line.chars().filter(|c| *c == '前').count();
                assert_eq!(marks.trim_start().len(), 2 * shown, "{before} {meant}: {line}");
            }
        }
    }

    #[test]
    fn nothing_is_marked_that_is_not_shown() {
        for before in [
            0,
            1,
            CONTEXT - 1,
            CONTEXT,
            CONTEXT + 1,
            WIDTH - 1,
            WIDTH,
            WIDTH + 1,
            900,
        ] {
            for meant in [0, 1, WIDTH - CONTEXT, WIDTH - 1, WIDTH, WIDTH + 1, 900] {
                let text = "x".repeat(before) + &"m".repeat(meant) + "y";
                let (line, marks) = Quote::line_of(&text, &(before..before + meant)).shown();
                let shown = line.chars().filter(|c| *c == 'm').count();
                let marked = marks.chars().filter(|c| *c == '^').count();
                assert_eq!(marked, shown.max(1), "{before} {meant}: {line}");
                let first = if meant == 0 { 'y' } else { 'm' };
                assert_eq!(
                    line.chars().nth(marks.find('^').unwrap()),
                    Some(first),
                    "{before} {meant}: {line}"
                );
            }
        }
    }
}
