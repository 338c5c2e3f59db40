//! Findings for people, to read at 80 columns.
//!
//! ```text
//! warning[entry.narrowed]: `*://example.com:*` is narrowed, without port 8080:
//!   the operator denies `*://example.com:8080`
//!   --> spin.toml:12:28
//!    |
//! 12 | allowed_outbound_hosts = ["*://example.com:*"]
//!    |                            ^^^^^^^^^^^^^^^^^
//!    = `*://example.com:8080` is denied here: --disallowed-outbound-hosts
//! ```
//!
//! Everything that somebody else wrote is shown, never obeyed: control characters and those that change the
//! direction of text are replaced (clause RSN-4).

use crate::finding::Finding;
use outport_manifest::{Severity, SourceFile, Span};
use outport_policy::{Location, text, without_user_info};
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns to fill.
const WIDTH: usize = 80;

/// Bytes before and behind the start of a finding that are looked at: more than fits, and few enough that a hundred
/// thousand findings on one line are told in no time.
const NEAR: usize = 512;

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// No.
    #[default]
    Plain,
    /// With the escape sequences of terminals.
    Terminal,
}

/// The files that findings quote.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    secrets: Vec<(SourceFile, Span)>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, file: SourceFile) {
        self.files.push(file);
    }

    /// Adds a part of a file that is not to be shown.
    pub fn conceal(&mut self, file: &SourceFile, span: Span) {
        self.secrets.push((file.clone(), span));
    }

    fn quote(&self, location: &Location) -> Option<Quote> {
        let Location::File { path, line, span, .. } = location else {
            return None;
        };
        let file = self
            .files
            .iter()
            .find(|file| *file.path().to_string_lossy() == **path)?;
        let text = file.text();
        let start = text.floor_char_boundary(span.start);
        let first = text.ceil_char_boundary(start.saturating_sub(NEAR));
        let last = text.floor_char_boundary(start.saturating_add(NEAR));
        let begin = text[first..start]
            .rfind('\n')
            .map_or(first, |newline| first + newline + 1);
        let end = text[start..last]
            .find('\n')
            .map_or(last, |newline| start + newline);
        let secret = self
            .secrets
            .iter()
            .any(|(own, span)| own.path() == file.path() && span.start < end && begin < span.end);
        (!secret).then(|| {
            Quote::new(
                *line,
                &file.text()[begin..end],
                start - begin,
                span.end.min(end) - begin,
            )
        })
    }
}

/// All findings, one after the other with a line between, and a line that counts them.
pub fn render_all(findings: &[Finding], sources: &Sources, colours: Colours) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&render(finding, sources, colours));
        text.push('\n');
    }
    text.push_str(&count(findings));
    text.push('\n');
    text
}

/// The same, where nobody asked for more than usual: some findings are one line then.
pub fn render_all_in_brief(findings: &[Finding], sources: &Sources, colours: Colours) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&match &finding.brief {
            Some(line) => first_line(finding, line, colours),
            None => render(finding, sources, colours),
        });
        text.push('\n');
    }
    text + &count(findings) + "\n"
}

fn first_line(finding: &Finding, message: &str, colours: Colours) -> String {
    let label = format!("{}[{}]", finding.severity.as_str(), finding.code);
    let line = wrap(&format!("{label}: {}", text::terminal(message)), 0, 2);
    line.replacen(&label, &paint(colours, finding.severity, &label), 1) + "\n"
}

/// One finding, with its line end.
pub fn render(finding: &Finding, sources: &Sources, colours: Colours) -> String {
    let mut text = first_line(finding, &finding.message, colours);
    let quote = sources.quote(&finding.location);
    let number = quote
        .as_ref()
        .map_or(String::new(), |quote| quote.line.to_string());
    let margin = " ".repeat(number.len().max(1));
    let _ = writeln!(
        text,
        "{margin}--> {}",
        text::terminal(&finding.location.to_string())
    );
    if let Some(quote) = quote {
        let (shown, marks) = quote.shown(WIDTH - margin.len() - 3);
        let _ = writeln!(
            text,
            "{margin} |\n{number:>width$} | {shown}",
            width = margin.len()
        );
        let _ = writeln!(text, "{margin} | {}", paint(colours, finding.severity, &marks));
    }
    let aside = |text: &str| {
        wrap(
            &format!("{margin} = {}", text::terminal(text)),
            0,
            margin.len() + 3,
        )
    };
    for (location, what) in &finding.related {
        let _ = writeln!(text, "{}", aside(&format!("{what}: {location}")));
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(text, "{}", aside(&format!("help: {help}")));
    }
    text
}

/// `2 errors, 1 warning, 3 notes`, or that nothing was found.
pub fn count(findings: &[Finding]) -> String {
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let counted: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| match of(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.as_str())),
            n => Some(format!("{n} {}s", severity.as_str())),
        })
        .collect();
    match counted.is_empty() {
        true => "nothing found".to_owned(),
        false => counted.join(", "),
    }
}

/// A line and the part of it that is meant, in bytes.
struct Quote {
    line: u32,
    text: String,
    start: usize,
    end: usize,
}

impl Quote {
    fn new(line: u32, text: &str, start: usize, end: usize) -> Self {
        let text = &*without_user_info(text.trim_end());
        let end = text
            .floor_char_boundary(end.min(text.len()))
            .max(start.min(text.len()));
        Self {
            line,
            text: text.to_owned(),
            start: start.min(text.len()),
            end,
        }
    }

    /// The line, cut to the columns around the part, and a line of marks below it.
    fn shown(&self, columns: usize) -> (String, String) {
        let (before, meant, behind) = (
            text::terminal(self.text[..self.start].trim_start_matches('\u{feff}')),
            text::terminal(&self.text[self.start..self.end]),
            text::terminal(&self.text[self.end..]),
        );
        // What stands before keeps a quarter, so that it is seen where the part begins.
        let meant = start_of(&meant, columns - before.width().min(columns / 4));
        let room = columns - meant.width();
        let lead = match before.width() + behind.width().min(room / 2) > room {
            true => format!(
                "…{}",
                end_of(&before, room.saturating_sub(behind.width().min(room / 2) + 1))
            ),
            false => before,
        };
        let tail = start_of(&behind, columns - (lead.width() + meant.width()).min(columns));
        let marks = " ".repeat(lead.width()) + &"^".repeat(meant.width().max(1));
        (format!("{lead}{meant}{tail}").trim_end().to_owned(), marks)
    }
}

/// As much of the beginning as fits, with `…` where something is cut off.
fn start_of(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut width = 1;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        cut.push(c);
    }
    match columns {
        0 => cut,
        _ => cut + "…",
    }
}

fn end_of(text: &str, columns: usize) -> String {
    let mut cut: Vec<char> = Vec::new();
    let mut width = 0;
    for c in text.chars().rev() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        cut.push(c);
    }
    cut.into_iter().rev().collect()
}

/// Breaks at spaces so that lines fit, the first indented by `first` and the others by `rest`.
pub(crate) fn wrap(text: &str, first: usize, rest: usize) -> String {
    let mut lines = vec![" ".repeat(first)];
    let mut fresh = true;
    for word in text.split(' ') {
        let line = lines.last_mut().expect("INVARIANT: there is a line");
        let space = usize::from(!fresh);
        if !fresh && line.width() + space + word.width() > WIDTH {
            lines.push(" ".repeat(rest) + word);
        } else {
            line.push_str(&" ".repeat(space));
            line.push_str(word);
        }
        fresh = false;
    }
    lines.join("\n")
}

fn paint(colours: Colours, severity: Severity, text: &str) -> String {
    let code = match severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Note => "1;36",
    };
    match colours {
        Colours::Plain => text.to_owned(),
        Colours::Terminal => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    fn shown(text: &str, meant: &str, columns: usize) -> (String, String) {
        let start = text.find(meant).unwrap();
        Quote::new(1, text, start, start + meant.len()).shown(columns)
    }

    #[test]
    fn the_marks_stand_below_what_is_meant_however_wide_it_is() {
        for (text, meant, line, marks) in [
            ("a = \"bad\"", "bad", "a = \"bad\"", "     ^^^"),
            ("ü = \"bad\"", "bad", "ü = \"bad\"", "     ^^^"),
            ("名 = \"bad\"\r", "bad", "名 = \"bad\"", "      ^^^"),
            ("\ta = \"bäd\"", "bäd", " a = \"bäd\"", "      ^^^"),
            ("a = \"\x1b[2J\"", "\x1b[2J", "a = \"\u{fffd}[2J\"", "     ^^^^"),
        ] {
            assert_eq!(
                shown(text, meant, 70),
                (line.to_owned(), marks.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = format!("{}bad{}", "x".repeat(300), "y".repeat(300));
        let (line, marks) = shown(&text, "bad", 70);
        assert!(line.width() <= 70 && line.contains("xbady"), "{line}");
        assert_eq!(
            &line[marks.find('^').map(|at| at + "…".len() - 1).unwrap()..][..3],
            "bad"
        );
        for (before, behind) in [(0, 0), (1, 0), (5, 5), (30, 3), (300, 300), (0, 300), (300, 0)] {
            let meant = "z".repeat(500);
            let text = "x".repeat(before) + &meant + &"y".repeat(behind);
            let (line, marks) = shown(&text, &meant, 70);
            assert!(line.width() <= 70, "{before} {behind}: {line}");
            assert!(marks.width() <= line.width(), "{before} {behind}: {line}");
            assert_eq!(
                marks.find('^'),
                line.chars().position(|c| c == 'z'),
                "{before} {behind}: {line}"
            );
        }
    }

    #[test]
    fn nothing_that_was_written_elsewhere_moves_the_cursor() {
        let finding = Finding::new(Code::Everything, Location::Code, "a\x1b[2Jb\u{202e}\rc\nd");
        let text = render(&finding, &Sources::default(), Colours::Plain);
        assert!(
            !text.contains('\x1b') && !text.contains('\u{202e}') && !text.contains('\r'),
            "{text:?}"
        );
    }

    #[test]
    fn a_line_with_a_secret_is_not_quoted() {
        let file = SourceFile::new("spin.toml", "a = 'hunter2'\n");
        let mut sources = Sources::default();
        sources.add(file.clone());
        sources.conceal(&file, 5..12);
        let finding = Finding::new(Code::Everything, file.location(&(5..12)), "told");
        assert!(!render(&finding, &sources, Colours::Plain).contains("hunter2"));
    }
}
