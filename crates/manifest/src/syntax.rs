//! Reading TOML on after a syntax mistake, so that one mistake does not hide the next.
//!
//! The TOML parser recovers from mistakes inside a value by itself: it reports them and keeps a stand-in. Others
//! cost it everything that follows (a key without `=`, a table header or an array that is never closed). For those
//! the text is repaired and read again, round after round:
//!
//! 1. read; take the first mistake that the parser did not contain within one value;
//! 2. note it, and blank out what it spoils with spaces, so that all other offsets stay as they are;
//! 3. again, until nothing is lost or [`ROUNDS`] are over.
//!
//! | mistake | what is blanked out |
//! | --- | --- |
//! | something behind a value | from there to the end of the line |
//! | a table header that is never closed | the table: up to the next header |
//! | an array or inline table that is never closed | from its line to the next line that starts a key or a table |
//! | any other | its line |
//!
//! What was blanked out is remembered: a key that is missing because its line could not be read is not missing.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::source::{SourceFile, Span};

/// A text that reads as TOML, as far as that goes, and what was wrong with it.
pub(crate) struct Repaired {
    text: String,
    mistakes: Vec<SyntaxMistake>,
    unread: Vec<Span>,
}

/// The parser's message, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxMistake {
    pub(crate) message: String,
    pub(crate) span: Span,
}

/// The content of a repaired text.
pub(crate) struct Tree<'t> {
    pub(crate) root: Spanned<DeTable<'t>>,
    /// All mistakes, in the order of the text, one a line.
    pub(crate) mistakes: Vec<SyntaxMistake>,
    /// Values that touch one of these were not read as they were meant.
    pub(crate) damaged: Vec<Span>,
    /// The parts that were blanked out.
    pub(crate) unread: Vec<Span>,
}

impl Repaired {
    /// The text of `source`, repaired as far as needed.
    pub(crate) fn of(source: &SourceFile) -> Self {
        let mut repaired = Self {
            text: source.text().to_owned(),
            mistakes: Vec::new(),
            unread: Vec::new(),
        };
        for _ in 0..ROUNDS {
            let Some(loss) = repaired.first_loss() else { break };
            let line = repaired.line_of(loss.mistake.span.start);
            let known = repaired
                .mistakes
                .iter()
                .any(|mistake| line.contains(&mistake.span.start));
            let spoiled = if known { line.clone() } else { loss.spoiled };
            if !known {
                repaired.mistakes.push(loss.mistake);
            }
            if !repaired.blank_out(spoiled) && !repaired.blank_out(line) {
                break;
            }
        }
        repaired
    }

    /// The tables and values of the text.
    pub(crate) fn tree(&self) -> Tree<'_> {
        let (root, contained) = self.parse();
        let damaged = contained
            .iter()
            .filter(|mistake| !mistake.is_duplicate_key())
            .map(|mistake| mistake.span.clone())
            .collect();
        let mut mistakes = self.mistakes.clone();
        for mistake in contained {
            let line = self.line_of(mistake.span.start);
            if !mistakes.iter().any(|known| line.contains(&known.span.start)) {
                mistakes.push(mistake);
            }
        }
        mistakes.sort_by_key(|mistake| mistake.span.start);
        Tree {
            root,
            mistakes,
            damaged,
            unread: self.unread.clone(),
        }
    }

    /// The tree that the parser makes of the text, and the first of its complaints.
    fn parse(&self) -> (Spanned<DeTable<'_>>, Vec<SyntaxMistake>) {
        let (root, errors) = DeTable::parse_recoverable(&self.text);
        (
            root,
            errors.iter().take(COMPLAINTS).map(SyntaxMistake::from).collect(),
        )
    }

    /// The first mistake that costs more than the value it stands in.
    fn first_loss(&self) -> Option<Loss> {
        let (root, mistakes) = self.parse();
        let mut shapes = Shapes::default();
        shapes.walk_table(root.get_ref());
        self.unclosed_value(&mistakes, &shapes).or_else(|| {
            let mistake = mistakes
                .into_iter()
                .filter(|m| !shapes.contain(m))
                .min_by_key(|m| m.span.start)?;
            let spoiled = self.spoiled_by(&mistake);
            Some(Loss { mistake, spoiled })
        })
    }

    /// An array or inline table that runs on into what follows it.
    fn unclosed_value(&self, mistakes: &[SyntaxMistake], shapes: &Shapes) -> Option<Loss> {
        let end = mistakes.iter().find(|m| m.is_unclosed_value())?.span.start;
        let (opener, kind) = shapes
            .containers
            .iter()
            .filter(|span| mistakes.iter().any(|mistake| touch(span, &mistake.span)))
            .find_map(|span| {
                let text = &self.text[span.clone()];
                let (kind, closer) = if text.starts_with('{') {
                    ("inline table", '}')
                } else {
                    ("array", ']')
                };
                (span.end >= end || !text.ends_with(closer)).then_some((span.start, kind))
            })?;
        let message = format!("the {kind} that starts here is never closed");
        let mistake = SyntaxMistake {
            message,
            span: opener..opener + 1,
        };
        Some(Loss {
            mistake,
            spoiled: self.statement(opener),
        })
    }

    fn spoiled_by(&self, mistake: &SyntaxMistake) -> Span {
        let at = mistake.span.start.min(self.text.len());
        let line = self.line_of(at);
        if mistake.message.starts_with("unclosed table")
            || mistake.message.starts_with("unclosed array table")
        {
            line.start..self.next_line(line.end, is_header).unwrap_or(self.text.len())
        } else if mistake.message.starts_with("unexpected key or value") {
            at..line.end
        } else {
            line
        }
    }

    /// The lines from the one that `opener` stands on up to the next that starts something else.
    fn statement(&self, opener: usize) -> Span {
        let line = self.line_of(opener);
        let depth = indentation(&self.text[line.clone()]);
        let starts = |text: &str| is_header(text) || (is_assignment(text) && indentation(text) <= depth);
        line.start..self.next_line(line.end, starts).unwrap_or(self.text.len())
    }

    /// The start of the next line that `matches`, from the line break at `from` on.
    fn next_line(&self, from: usize, matches: impl Fn(&str) -> bool) -> Option<usize> {
        let mut at = from;
        while let Some(found) = self.text[at..].find('\n') {
            at += found + 1;
            if matches(&self.text[self.line_of(at)]) {
                return Some(at);
            }
        }
        None
    }

    /// The line around `at`, without its line break.
    fn line_of(&self, at: usize) -> Span {
        let at = self.text.floor_char_boundary(at);
        let start = self.text[..at].rfind('\n').map_or(0, |found| found + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |found| at + found);
        start..end
    }

    /// Overwrites `span` with spaces, line breaks excepted. False if nothing was left to overwrite.
    fn blank_out(&mut self, span: Span) -> bool {
        let Some(text) = self.text.get(span.clone()) else {
            return false;
        };
        if text.trim().is_empty() {
            return false;
        }
        let blank: String = text
            .bytes()
            .map(|byte| match byte {
                b'\n' | b'\r' => char::from(byte),
                _ => ' ',
            })
            .collect();
        self.text.replace_range(span.clone(), &blank);
        self.unread.push(span);
        true
    }
}

impl SyntaxMistake {
    /// A key or table that was there before; the first one counts.
    pub(crate) fn is_duplicate_key(&self) -> bool {
        self.message == "duplicate key"
    }

    fn is_unclosed_value(&self) -> bool {
        self.message.starts_with("unclosed array, ") || self.message.starts_with("unclosed inline table")
    }
}

impl From<&toml::de::Error> for SyntaxMistake {
    fn from(error: &toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            span: error.span().unwrap_or_default(),
        }
    }
}

/// The number of times that a text is repaired before the rest of its mistakes are left as they are.
const ROUNDS: usize = 64;

/// The number of mistakes of one reading that are looked at: a text with more is no TOML at all.
const COMPLAINTS: usize = 1000;

struct Loss {
    mistake: SyntaxMistake,
    spoiled: Span,
}

/// The places where the values of a tree stand.
#[derive(Default)]
struct Shapes {
    scalars: Vec<Span>,
    /// Arrays and inline tables, outer ones before inner ones.
    containers: Vec<Span>,
}

impl Shapes {
    fn walk_table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let implicit = key.span() == value.span();
            self.walk_value(value, implicit);
        }
    }

    fn walk_value(&mut self, value: &Spanned<DeValue<'_>>, implicit: bool) {
        match value.get_ref() {
            DeValue::Table(table) => {
                if !implicit {
                    self.containers.push(value.span());
                }
                self.walk_table(table);
            }
            DeValue::Array(array) => {
                self.containers.push(value.span());
                array.iter().for_each(|item| self.walk_value(item, false));
            }
            _ => self.scalars.push(value.span()),
        }
    }

    /// True if the parser got over the mistake by itself.
    fn contain(&self, mistake: &SyntaxMistake) -> bool {
        mistake.is_duplicate_key()
            || mistake.message.starts_with("cannot extend value")
            || self.scalars.iter().any(|scalar| touch(scalar, &mistake.span))
    }
}

/// True if two spans overlap or meet.
pub(crate) fn touch(a: &Span, b: &Span) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// `[a.b]` or `[[a.b]]`, perhaps with a comment behind.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim();
    line.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|name| {
            let name = name
                .strip_prefix('[')
                .and_then(|inner| inner.strip_suffix(']'))
                .unwrap_or(name);
            !name.is_empty() && name.chars().all(is_key_letter) && name.contains(char::is_alphabetic)
        })
}

/// `key =` at the start of a line.
fn is_assignment(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty() && key.chars().all(is_key_letter)
    })
}

fn is_key_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '"' | '\'' | ' ' | ':' | '/' | '@')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes as (line, column) and the keys that could be read, dotted.
    fn read(text: &str) -> (Vec<(u32, u32)>, Vec<String>) {
        let source = SourceFile::new("spin.toml", text);
        let repaired = Repaired::of(&source);
        let tree = repaired.tree();
        let places = tree
            .mistakes
            .iter()
            .map(|m| source.line_and_column(m.span.start))
            .collect();
        let mut keys = Vec::new();
        collect("", tree.root.get_ref(), &mut keys);
        (places, keys)
    }

    fn collect(prefix: &str, table: &DeTable<'_>, keys: &mut Vec<String>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => collect(&format!("{name}."), inner, keys),
                _ => keys.push(name),
            }
        }
    }

    #[test]
    fn what_follows_a_syntax_mistake_is_still_read() {
        // (text, places of the mistakes, keys that were read)
        type Row = (&'static str, &'static [(u32, u32)], &'static [&'static str]);
        let rows: &[Row] = &[
            ("a = 1\nb = 2", &[], &["a", "b"]),
            ("a 1\nb = 2", &[(1, 3)], &["b"]),
            ("a = \"x\" junk\nb = 2", &[(1, 9)], &["a", "b"]),
            ("a = 1 junk\nb = 2", &[(1, 5)], &["a", "b"]),
            ("a = \nb = 2", &[(1, 5)], &["a", "b"]),
            ("a = \"x\nb = 2", &[(1, 7)], &["a", "b"]),
            ("a = 1\na = 2\nb = 3", &[(2, 1)], &["a", "b"]),
            ("[t\na = 1\n[u]\nb = 2", &[(1, 3)], &["u.b"]),
            ("[[t]\na = 1\n[u]\nb = 2", &[(1, 5)], &["u.b"]),
            ("a = [1,\n  2,\n[t]\nb = 1", &[(1, 5)], &["t.b"]),
            ("a = [\"x\"\nb = 2\nc = 3", &[(1, 5)], &["b", "c"]),
            ("a = { x = 1\nb = 2\n[t]\nc = 3", &[(1, 5)], &["b", "t.c"]),
            ("a = { x = 1, y }\nb = 2", &[(1, 16)], &["a.x", "a.y", "b"]),
            ("a 1\nb 2\n[t]\nc = 3\nd 4", &[(1, 3), (2, 3), (5, 3)], &["t.c"]),
            ("= 1\nb = 2", &[(1, 1)], &["b"]),
        ];
        for (text, places, keys) in rows {
            let (got_places, got_keys) = read(text);
            assert_eq!(got_places, *places, "{text:?}");
            assert_eq!(got_keys, *keys, "{text:?}");
        }
    }

    #[test]
    fn a_closed_array_with_a_mistake_inside_is_not_taken_for_an_unclosed_one() {
        let (places, keys) = read("a = [\"1\" \"2\"]\nb = [\n 3,\nc = 4\n");
        assert_eq!(places, [(1, 10), (2, 5)]);
        assert_eq!(keys, ["a", "c"]);
    }

    #[test]
    fn repairing_comes_to_an_end() {
        let text = "a 1\n".repeat(ROUNDS * 2);
        let (places, _) = read(&text);
        assert!(places.len() >= ROUNDS, "{}", places.len());
    }
}
