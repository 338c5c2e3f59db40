//! A file's text and the places in it.
//!
//! Every value that this crate reads keeps its place. Inside the crate a place is a [`Span`], a range of bytes;
//! for messages [`SourceFile::location`] makes an [`outport_policy::Location`] of it, with line and column.
//!
//! What counts as what:
//! - lines end at `\n`, so `\r\n` ends one line and not two; lines and columns start at 1;
//! - a column counts characters (Unicode scalar values), not bytes; a tab is one column;
//! - a byte order mark at the start of the file has no column of its own;
//! - the span of a string is its content without the quotes, the span of anything else is all of it.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use outport_policy::Location;

/// Bytes of a file, `start..end`.
pub type Span = Range<usize>;

/// A value and where it stands in its file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Located<T> {
    /// The value that was read.
    pub value: T,
    /// The place where it stands; a string's span is its content without the quotes.
    pub span: Span,
}

impl<T> Located<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// The same place with what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located {
            value: change(self.value),
            span: self.span,
        }
    }
}

/// A file that was read, with its name for messages. Cloning shares the text.
#[derive(Clone)]
pub struct SourceFile {
    inner: Arc<Inner>,
}

struct Inner {
    path: Arc<str>,
    /// The name in messages.
    shown: Arc<str>,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    /// The number of characters that begin before each multiple of [`STRIDE`] bytes, so that a column is counted in the
    /// same time however long its line is.
    counted: Vec<usize>,
}

impl SourceFile {
    /// The file `path` with the content `text`. Nothing is read from disk; `path` is what messages show.
    pub fn new(path: impl AsRef<Path>, text: impl Into<String>) -> Self {
        let path: Arc<str> = path.as_ref().to_string_lossy().into();
        Self::named(path.clone(), path, text.into())
    }

    /// The same with another name in messages: where it is from, for a file that is here only to be read.
    #[must_use]
    pub fn shown_as(&self, name: &str) -> Self {
        Self::named(self.inner.path.clone(), name.into(), self.text().to_owned())
    }

    fn named(path: Arc<str>, shown: Arc<str>, text: String) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let counted = text.as_bytes().chunks(STRIDE).scan(0, |before, chunk| {
            let here = *before;
            *before += characters(chunk);
            Some(here)
        });
        let counted = counted.collect();
        Self {
            inner: Arc::new(Inner {
                path,
                shown,
                text,
                lines,
                counted,
            }),
        }
    }

    /// The path, which messages show unless it is [shown as](SourceFile::shown_as) something else.
    pub fn path(&self) -> &Path {
        Path::new(&*self.inner.path)
    }

    /// The name that messages show.
    pub fn shown(&self) -> &str {
        &self.inner.shown
    }

    /// The whole content.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The text at `span`, or nothing if `span` is not one of this file's.
    pub fn slice(&self, span: &Span) -> &str {
        self.text().get(span.clone()).unwrap_or_default()
    }

    /// Line and column of the byte at `offset`, both from 1. An offset past the end counts as the end.
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let text = self.text();
        let offset = text.floor_char_boundary(offset);
        let line = self.inner.lines.partition_point(|start| *start <= offset) - 1;
        let start = self.inner.lines[line];
        let mark = usize::from(text[start..offset].starts_with(BYTE_ORDER_MARK));
        let column = self.characters_before(offset) - self.characters_before(start) - mark;
        (number(line), number(column))
    }

    fn characters_before(&self, offset: usize) -> usize {
        let chunk = offset / STRIDE;
        let rest = &self.text().as_bytes()[chunk * STRIDE..offset];
        let before = self.inner.counted.get(chunk).copied();
        // An offset at the end may be where the next chunk would begin.
        let before = before.unwrap_or_else(|| characters(self.text().as_bytes()));
        before + characters(rest)
    }

    /// The offset of the `byte`th byte of a line, both from 1, as some parsers count.
    pub(crate) fn offset(&self, line: usize, byte: usize) -> usize {
        let start = self
            .inner
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text().len());
        self.text().floor_char_boundary(start + byte.saturating_sub(1))
    }

    /// The place in the file of the part `inner` of a string's `value`, if the string's content is at `content`:
    /// exactly if it is written without escapes, else all of it.
    pub fn part_of(&self, content: &Span, value: &str, inner: &Span) -> Span {
        let written_as_is = self.slice(content) == value;
        if written_as_is && inner.start <= inner.end && inner.end <= value.len() {
            content.start + inner.start..content.start + inner.end
        } else {
            content.clone()
        }
    }

    /// The place of `span` for a message.
    pub fn location(&self, span: &Span) -> Location {
        let (line, column) = self.line_and_column(span.start);
        Location::File {
            path: self.inner.shown.clone(),
            line,
            column,
            span: span.clone(),
        }
    }
}

/// Shows the path only: the text may hold secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Bytes between two counts of characters.
const STRIDE: usize = 256;

/// The number of characters that begin in these bytes of a text.
fn characters(bytes: &[u8]) -> usize {
    let continues = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    bytes.len() - bytes.iter().filter(continues).count()
}

/// A count from 0 as a number from 1.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a\r\nüb\tc\n\n🙂x";
        let file = SourceFile::new("spin.toml", text);
        let rows = [
            ("a", 1, 1),
            ("\r", 1, 2),
            ("ü", 2, 1),
            ("b", 2, 2),
            ("\t", 2, 3),
            ("c", 2, 4),
            ("🙂", 4, 1),
            ("x", 4, 2),
        ];
        for (at, line, column) in rows {
            let offset = text.find(at).unwrap();
            assert_eq!(file.line_and_column(offset), (line, column), "{at:?}");
        }
        assert_eq!(file.line_and_column(9), (3, 1), "an empty line");
        assert_eq!(file.line_and_column(text.len()), (4, 3), "the end");
        assert_eq!(file.line_and_column(text.len() + 7), (4, 3), "past the end");
    }

    #[test]
    fn a_long_line_is_counted_as_a_short_one() {
        let text = format!("\u{feff}ä\n{}\n{}", "ü🙂x".repeat(STRIDE), "y".repeat(STRIDE));
        let file = SourceFile::new("spin.toml", text.as_str());
        for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let before = &text[..offset];
            let line = before.rsplit('\n').next().unwrap();
            let expected = line.trim_start_matches(BYTE_ORDER_MARK).chars().count() + 1;
            let (_, column) = file.line_and_column(offset);
            assert_eq!(usize::try_from(column).unwrap(), expected, "{offset}");
        }
    }

    #[test]
    fn an_offset_inside_a_character_counts_as_its_start() {
        let file = SourceFile::new("spin.toml", "🙂x");
        assert_eq!(file.line_and_column(2), (1, 1));
    }

    #[test]
    fn a_place_has_the_name_that_is_shown() {
        let file = SourceFile::new("/cache/0/spin.toml", "a").shown_as("ghcr.io/me/app:1/spin.toml");
        assert_eq!(file.path(), Path::new("/cache/0/spin.toml"));
        let Location::File { path, .. } = file.location(&(0..1)) else {
            panic!("a place in a file");
        };
        assert_eq!(&*path, "ghcr.io/me/app:1/spin.toml");
    }

    #[test]
    fn a_byte_order_mark_has_no_column() {
        let file = SourceFile::new("spin.toml", "\u{feff}a = 1");
        assert_eq!(file.line_and_column(3), (1, 1));
    }

    #[test]
    fn debug_output_does_not_show_the_text() {
        let file = SourceFile::new("spin.toml", "default = 'hunter2'");
        assert!(!format!("{file:?}").contains("hunter2"));
    }
}
