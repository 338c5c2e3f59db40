//! Text of others in what people read: messages, lines of a log, terminals (policy clause RSN-4).
//!
//! There are two ways, by whether somebody may need to know what exactly was written:
//!
//! | | what could do something | for |
//! | --- | --- | --- |
//! | [`printable`], [`printable_path`] | is escaped, `\n`, `\u{202e}` | names and paths in sentences |
//! | [`masked`] | is replaced by one column that is shown | quoted lines, in which columns count; and once more before a terminal |
//!
//! What could do something: control characters (C1 too, which some terminals obey), breaks of lines and paragraphs, and
//! characters that change the direction of others or are not seen.

use std::fmt::{self, Write as _};
use std::path::Path;

/// Shows `text` with everything escaped that a terminal or log could take for more than text. Quotes and backslashes stay
/// as they are.
pub fn printable(text: &str) -> impl fmt::Display + '_ {
    Printable(text)
}

/// Shows a path as [`printable`] shows text; what is not UTF-8 in it as `U+FFFD`.
pub fn printable_path(path: &Path) -> impl fmt::Display + '_ {
    PrintablePath(path)
}

/// The character, or one of about the same width that is only shown.
pub fn masked(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => '\u{fffd}',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}

struct Printable<'t>(&'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '"' | '\'' | '\\' => f.write_char(letter),
            _ => write!(f, "{}", letter.escape_debug()),
        })
    }
}

struct PrintablePath<'p>(&'p Path);

impl fmt::Display for PrintablePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.0.to_string_lossy()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-4
    #[test]
    fn text_is_shown_as_it_is_unless_it_could_do_something() {
        let rows = [
            ("größe \"x\" 'y' \\n 日本 🙂", "größe \"x\" 'y' \\n 日本 🙂"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\0"),
            (
                "a\u{202e}b\u{200b}\u{2066}\u{61c}",
                "a\\u{202e}b\\u{200b}\\u{2066}\\u{61c}",
            ),
            (
                "a\u{9b}31m\u{2028}\u{2029}\u{85}",
                "a\\u{9b}31m\\u{2028}\\u{2029}\\u{85}",
            ),
            ("\u{e0041}\u{ad}", "\\u{e0041}\\u{ad}"),
        ];
        for (text, expected) in rows {
            assert_eq!(printable(text).to_string(), expected, "{text:?}");
            assert_eq!(printable_path(Path::new(text)).to_string(), expected, "{text:?}");
            let masked: String = text.chars().map(masked).collect();
            assert_eq!(printable(&masked).to_string(), masked, "{text:?}");
            assert_eq!(masked.chars().count(), text.chars().count(), "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\n.wasm"));
        assert_eq!(printable_path(path).to_string(), "a\u{fffd}\\n.wasm");
    }
}
