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
    /// Where a place in a file leads somebody who clicks on it; nowhere without it, or where it answers nothing.
    pub links: Option<LinkTo>,
}

/// The address of a file that was named so. It has no spaces and no control characters.
pub type LinkTo = fn(&str) -> Option<String>;

/// The treatment of sentences that are longer than a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentences {
    /// They are broken at so many columns, and have no line breaks of their own.
    Wrapped(usize),
    /// They keep the lines that they have, which are indented, and each of them is broken at so many columns.
    Folded(usize),
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

/// Columns of a report for no terminal.
pub const REPORT_COLUMNS: usize = 80;

/// Columns of a message for no terminal, and the most that a quoted line has on one.
pub const MESSAGE_COLUMNS: usize = 120;

/// The most columns of a sentence: longer lines are hard to read, however wide a terminal is.
pub const MOST_COLUMNS: usize = 100;

/// The least columns: in fewer there is nothing to read.
pub const LEAST_COLUMNS: usize = 40;

/// Bytes before and behind the start of the part that is meant that are looked at: more than fits, and few enough that
/// a hundred thousand mistakes on one line are told in no time.
const NEAR: usize = 1024;

impl Renderer {
    /// For a report, to read at 80 columns.
    pub const fn report(detail: Detail, colours: Colours) -> Self {
        Self {
            columns: REPORT_COLUMNS,
            sentences: Sentences::Wrapped(REPORT_COLUMNS),
            detail,
            colours,
            links: None,
        }
    }

    /// For messages, between which others stand.
    pub const fn messages(colours: Colours) -> Self {
        Self {
            columns: MESSAGE_COLUMNS,
            sentences: Sentences::AsTheyAre,
            detail: Detail::Full,
            colours,
            links: None,
        }
    }

    /// The same for a terminal of so many columns.
    #[must_use]
    pub fn within(self, terminal: usize) -> Self {
        let prose = prose_columns(terminal);
        Self {
            columns: terminal.clamp(LEAST_COLUMNS, MESSAGE_COLUMNS),
            sentences: match self.sentences {
                Sentences::Wrapped(_) => Sentences::Wrapped(prose),
                Sentences::Folded(_) | Sentences::AsTheyAre => Sentences::Folded(prose),
            },
            ..self
        }
    }

    /// The same with places that lead to their files.
    #[must_use]
    pub fn linked(self, links: Option<LinkTo>) -> Self {
        Self { links, ..self }
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
            let place = self.linked_place(location, place);
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

    /// The place as it is shown, or as a link to its file (OSC 8 of terminals).
    fn linked_place(&self, location: &Location, place: String) -> String {
        let Location::File { path, .. } = location else {
            return place;
        };
        let address = self.links.and_then(|link| link(path));
        match address.filter(|address| is_linkable(address)) {
            Some(address) => format!("\x1b]8;;{address}\x1b\\{place}\x1b]8;;\x1b\\"),
            None => place,
        }
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
            Sentences::Wrapped(columns) => {
                let sentence = format!("{beginning}{}", text::terminal(sentence));
                wrap(&sentence, (0, rest), columns)
            }
            Sentences::Folded(columns) => {
                let sentence = format!("{beginning}{}", text::terminal_lines(sentence));
                let lines = sentence.split('\n').enumerate();
                let lines = lines.map(|(number, line)| {
                    // Those behind the first are indented already.
                    let further = if number == 0 { rest } else { rest.max(4) + 2 };
                    wrap(line, (0, further), columns)
                });
                lines.collect::<Vec<_>>().join("\n")
            }
            Sentences::AsTheyAre => format!("{beginning}{}", text::terminal_lines(sentence)),
        }
    }
}

/// The columns of sentences on a terminal of so many.
pub fn prose_columns(terminal: usize) -> usize {
    terminal.clamp(LEAST_COLUMNS, MOST_COLUMNS)
}

/// True of an address that no terminal takes for anything else, and that none refuses for its length.
fn is_linkable(address: &str) -> bool {
    address.len() <= LONGEST_ADDRESS && address.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Bytes of an address that all terminals take which know links: VTE and iTerm2 have the least, 2083.
const LONGEST_ADDRESS: usize = 2083;

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

/// Breaks at spaces so that lines fit into the columns, the first indented by `first` and the others by `rest`.
pub(crate) fn wrap(text: &str, (first, rest): (usize, usize), columns: usize) -> String {
    let mut lines = vec![" ".repeat(first)];
    let mut fresh = true;
    for word in text.split(' ') {
        let line = lines.last_mut().expect("INVARIANT: there is a line");
        let space = usize::from(!fresh);
        if !fresh && line.width() + space + word.width() > columns {
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
mod tests;
