//! Diagnostics for people.
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
//! direction of text are replaced (RSN-4).

use std::fmt::Write;
use std::ops::Range;

use outport_manifest::Severity;
use outport_policy::{Location, text, without_user_info};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::colours::{Colour, Colours};
use crate::diagnostic::{Diagnostic, Quoted};
use crate::sources::Sources;

/// A renderer of diagnostics as text.
#[derive(Clone, Copy, Debug)]
pub struct Renderer {
    /// Columns that a quoted line has, with its number.
    pub columns: usize,
    /// The treatment of sentences that are longer than a line.
    pub sentences: Sentences,
    /// The amount that is told.
    pub detail: Detail,
    /// The choice of colours.
    pub colours: Colours,
}

/// The treatment of sentences that are longer than a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentences {
    /// They are broken at [`REPORT_COLUMNS`], and have no line breaks of their own.
    Wrapped,
    /// They stay as they are; further lines of theirs are indented.
    AsTheyAre,
}

/// The amount that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// A line, of what one says enough of.
    Brief,
}

/// Columns of a report.
pub const REPORT_COLUMNS: usize = 80;

/// Columns of a message.
pub const MESSAGE_COLUMNS: usize = 120;

/// Bytes before and behind the start of the part that is meant that are looked at: more than fits, and few enough that
/// a hundred thousand mistakes on one line are told in no time.
const NEAR: usize = 1024;

impl Renderer {
    /// For a report, to read at 80 columns.
    pub const fn report(detail: Detail, colours: Colours) -> Self {
        Self {
            columns: REPORT_COLUMNS,
            sentences: Sentences::Wrapped,
            detail,
            colours,
        }
    }

    /// For messages, between which others stand.
    pub const fn messages(colours: Colours) -> Self {
        Self {
            columns: MESSAGE_COLUMNS,
            sentences: Sentences::AsTheyAre,
            detail: Detail::Full,
            colours,
        }
    }

    /// All of them, one after the other with a line between, and a line that counts them.
    pub fn render_all(&self, diagnostics: &[Diagnostic], sources: &Sources) -> String {
        let mut text = String::new();
        for diagnostic in diagnostics {
            text.push_str(&self.render(diagnostic, sources));
            text.push('\n');
        }
        text + &count(diagnostics) + "\n"
    }

    /// One diagnostic, with its line end.
    pub fn render(&self, diagnostic: &Diagnostic, sources: &Sources) -> String {
        if let (Detail::Brief, Some(line)) = (self.detail, &diagnostic.brief) {
            return self.first_line(diagnostic, line);
        }
        let mut text = self.first_line(diagnostic, &diagnostic.message);
        let (number, quote) = Quote::of(diagnostic, sources).unwrap_or_default();
        let margin = " ".repeat(number.len().max(1));
        let edge = |text: String| self.colours.with(Colour::Blue, &text);
        if let Some(location) = &diagnostic.location {
            let place = text::terminal(&location.to_string());
            let _ = writeln!(text, "{margin}{} {place}", edge("-->".into()));
        }
        if let Some(quote) = quote {
            let (shown, marks) = quote.shown(self.columns - margin.len() - 3);
            let bare = edge(format!("{margin} |"));
            let numbered = edge(format!("{number:>width$} |", width = margin.len()));
            let marks = self.colours.with(colour_of(diagnostic.severity), &marks);
            let _ = writeln!(text, "{bare}\n{numbered} {shown}\n{bare} {marks}");
        }
        let related = diagnostic.related.iter();
        let related = related.map(|(location, what)| format!("{what}: {location}"));
        let help = diagnostic.help.iter().map(|help| format!("help: {help}"));
        for aside in related.chain(help) {
            let line = self.sentence(&format!("{margin} = "), &aside, margin.len() + 3);
            let _ = writeln!(text, "{}", line.replacen('=', &edge("=".into()), 1));
        }
        text
    }

    fn first_line(&self, diagnostic: &Diagnostic, message: &str) -> String {
        let label = match diagnostic.code {
            Some(code) => format!("{}[{code}]", diagnostic.severity.as_str()),
            None => diagnostic.severity.as_str().to_owned(),
        };
        let line = self.sentence(&format!("{label}: "), message, 2);
        let painted = self.colours.with(colour_of(diagnostic.severity), &label);
        line.replacen(&label, &painted, 1) + "\n"
    }

    /// A sentence behind its beginning, which is ours; where it is broken, further lines are indented by `rest`.
    fn sentence(&self, beginning: &str, sentence: &str, rest: usize) -> String {
        match self.sentences {
            Sentences::Wrapped => wrap(&format!("{beginning}{}", text::terminal(sentence)), 0, rest),
            Sentences::AsTheyAre => format!("{beginning}{}", text::terminal_lines(sentence)),
        }
    }
}

fn colour_of(severity: Severity) -> Colour {
    match severity {
        Severity::Error => Colour::Red,
        Severity::Warning => Colour::Yellow,
        Severity::Note => Colour::Cyan,
    }
}

/// `2 errors, 1 warning, 3 notes`, or that nothing was found.
fn count(diagnostics: &[Diagnostic]) -> String {
    let of = |severity| {
        diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
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
    if counted.is_empty() {
        "nothing found".to_owned()
    } else {
        counted.join(", ")
    }
}

/// A line and the part of it that is meant, in bytes.
struct Quote {
    text: String,
    start: usize,
    end: usize,
}

impl Quote {
    /// The text that is quoted, and the number of the line where it is from a file.
    fn of(diagnostic: &Diagnostic, sources: &Sources) -> Option<(String, Option<Self>)> {
        match (&diagnostic.location, &diagnostic.quoted) {
            (Some(Location::File { path, line, span, .. }), _) => {
                let quote = Self::line_of(sources.text(path)?, span);
                Some((line.to_string(), Some(quote)))
            }
            (_, Some(Quoted { text, meant })) => {
                Some((String::new(), Some(Self::new(text, meant.start, meant.end))))
            }
            _ => None,
        }
    }

    /// The line of `text` in which `span` begins; of one that is very long, what is near.
    fn line_of(text: &str, span: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let first = text.ceil_char_boundary(start.saturating_sub(NEAR));
        let last = text.floor_char_boundary(start.saturating_add(NEAR));
        let begin = text[first..start]
            .rfind('\n')
            .map_or(first, |newline| first + newline + 1);
        let end = text[start..last]
            .find('\n')
            .map_or(last, |newline| start + newline);
        Self::new(
            &text[begin..end],
            start - begin,
            span.end.min(end).saturating_sub(begin),
        )
    }

    fn new(text: &str, start: usize, end: usize) -> Self {
        let text = &*without_user_info(text.trim_end());
        let start = text.floor_char_boundary(start.min(text.len()));
        let end = text.floor_char_boundary(end.min(text.len())).max(start);
        Self {
            text: text.to_owned(),
            start,
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
        let lead = if before.width() + behind.width().min(room / 2) > room {
            format!(
                "…{}",
                end_of(&before, room.saturating_sub(behind.width().min(room / 2) + 1))
            )
        } else {
            before
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
        if !fresh && line.width() + space + word.width() > REPORT_COLUMNS {
            lines.push(" ".repeat(rest) + word);
        } else {
            line.push_str(&" ".repeat(space));
            line.push_str(word);
        }
        fresh = false;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use outport_manifest::SourceFile;

    use super::*;
    use crate::code::Code;

    const REPORT: Renderer = Renderer::report(Detail::Full, Colours::Plain);

    fn shown(text: &str, meant: &str, columns: usize) -> (String, String) {
        let start = text.find(meant).unwrap();
        Quote::line_of(text, &(start..start + meant.len())).shown(columns)
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
        let finding = Diagnostic::new(Code::Everything, Location::Code, "a\x1b[2Jb\u{202e}\rc\nd");
        let text = REPORT.render(&finding, &Sources::default());
        assert!(
            !text.contains('\x1b') && !text.contains('\u{202e}') && !text.contains('\r'),
            "{text:?}"
        );
    }

    #[test]
    fn a_secret_is_not_quoted() {
        let file = SourceFile::new("spin.toml", "a = 'hunter2'\n");
        let mut sources = Sources::default();
        sources.add(file.clone());
        sources.conceal(file.path(), 5..12);
        let finding = Diagnostic::new(Code::Everything, file.location(&(5..12)), "told");
        let text = REPORT.render(&finding, &sources);
        assert!(
            text.contains("1 | a = '*******'") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_long_line_of_wide_text_is_cut_by_the_columns_that_it_takes() {
        for before in [0, 19, 20, 21, 59, 60, 61, 400] {
            for meant in [1, 39, 40, 41, 60, 61, 400] {
                let text = "名".repeat(before) + &"前".repeat(meant) + "b";
                let (line, marks) = shown(&text, &"前".repeat(meant), 115);
                assert!(line.width() <= 115, "{before} {meant}: {line}");
                let lead: String = line.chars().take_while(|c| *c != '前').collect();
                assert_eq!(marks.find('^'), Some(lead.width()), "{before} {meant}: {line}");
                assert!(marks.width() <= line.width(), "{before} {meant}: {line}");
            }
        }
    }

    #[test]
    fn sentences_are_broken_in_a_report_alone_and_never_begin_a_line_of_ours() {
        let location = Location::Option { name: "--dir".into() };
        let words = "word ".repeat(30) + "end\nerror: forged";
        let long = Diagnostic::error(words).at(location).helped_by("a\nb");
        let sources = Sources::default();
        let message = Renderer::messages(Colours::Plain).render(&long, &sources);
        let lines: Vec<&str> = message.lines().collect();
        assert!(
            lines[0].starts_with("error: word word") && lines[0].ends_with("end"),
            "{message}"
        );
        assert_eq!(
            lines[1..],
            ["    error: forged", " --> --dir", "  = help: a", "    b"],
            "{message}"
        );
        let report = REPORT.render(&long, &sources);
        assert!(report.lines().all(|line| line.width() <= 80), "{report}");
        assert!(!report.contains("\nerror"), "{report}");
    }

    #[test]
    fn a_value_from_no_file_is_quoted_itself() {
        let wrong = Diagnostic::error("wrong").quoting("bäd").at(Location::Code);
        let text = REPORT.render(&wrong, &Sources::default());
        assert!(
            text.contains("\n   |\n   | bäd\n   | ^^^\n") || text.contains("\n  |\n  | bäd\n  | ^^^\n"),
            "{text}"
        );
    }

    #[test]
    fn colours_change_nothing_but_colour() {
        let file = SourceFile::new("spin.toml", "a = 'b'\n");
        let mut sources = Sources::default();
        sources.add(file.clone());
        let finding = Diagnostic::new(Code::Everything, file.location(&(5..6)), "told").helped_by("do = it");
        let plain = REPORT.render(&finding, &sources);
        let mut bare = Renderer::report(Detail::Full, Colours::Terminal).render(&finding, &sources);
        for sequence in ["\x1b[0m", "\x1b[1;33m", "\x1b[1;34m"] {
            assert!(bare.contains(sequence), "{bare:?}");
            bare = bare.replace(sequence, "");
        }
        assert_eq!(bare, plain);
    }
}
