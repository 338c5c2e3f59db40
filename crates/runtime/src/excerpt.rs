//! Text that a guest chose, made fit for a line of a log: short, and nothing in it moves a terminal's cursor.
//!
//! A guest can make its texts as large as its memory, and an error with such a text for every request; so what is
//! beyond [`LONGEST`] characters is not even written out.

use std::fmt::{self, Write};

/// As much of a text as is shown, with characters that are not printed escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt(String);

/// As many characters of one text as are shown.
const LONGEST: usize = 300;

impl Excerpt {
    /// The beginning of `text`; one that goes on ends in `…`.
    pub(crate) fn of(text: fmt::Arguments<'_>) -> Excerpt {
        let mut writer = Writer {
            shown: String::new(),
            room: LONGEST,
        };
        if writer.write_fmt(text).is_err() {
            writer.shown.push('…');
        }
        Excerpt(writer.shown)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses to go on when there is no more room, which ends whatever is writing.
struct Writer {
    shown: String,
    room: usize,
}

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            match c {
                '"' | '\'' | '\\' => self.shown.push(c),
                _ => self.shown.extend(c.escape_debug()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-4
    #[test]
    fn only_what_is_printed_passes_and_not_too_much_of_it() {
        let rows = [
            (
                "InternalError(Some(\"a'b\\\"\"))",
                "InternalError(Some(\"a'b\\\"\"))",
            ),
            ("a\nb\x1b[2J", "a\\nb\\u{1b}[2J"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("größer", "größer"),
            ("", ""),
        ];
        for (text, shown) in rows {
            assert_eq!(Excerpt::of(format_args!("{text}")).to_string(), shown);
        }
        let exact = "x".repeat(LONGEST);
        assert_eq!(Excerpt::of(format_args!("{exact}")).to_string(), exact);
        let large = Some("x".repeat(1 << 20));
        let shown = Excerpt::of(format_args!("{large:?}")).to_string();
        assert!(shown.starts_with("Some(\"xxx") && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }
}
