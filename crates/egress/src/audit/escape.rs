//! Text that a guest, peer or DNS server chose, made safe for a log or a terminal (RSN-4).

use std::borrow::Cow;

/// Printable ASCII as it is, all else as `\u{…}`: no control sequence, line break, bidirectional override or
/// look-alike letter gets through. What is longer than [`LONGEST`] characters is cut and ends in `…`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| matches!(c, ' '..='~');
    if is_safe(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().min(LONGEST) + 16);
    for (index, c) in text.chars().enumerate() {
        if index == LONGEST {
            escaped.push('…');
            break;
        }
        if plain(c) {
            escaped.push(c)
        } else {
            escaped.extend(c.escape_unicode())
        }
    }
    Cow::Owned(escaped)
}

/// The same of a text that nobody else needs.
pub(crate) fn escaped(text: String) -> String {
    match is_safe(&text) {
        true => text,
        false => escape(&text).into_owned(),
    }
}

fn is_safe(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// As many characters of one text as are shown; a DNS name has at most 253.
const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-4
    #[test]
    fn only_printable_ascii_passes_unchanged() {
        let rows = [
            ("db.example:5432", "db.example:5432"),
            ("a b~", "a b~"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("line\nbreak\r", "line\\u{a}break\\u{d}"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("pаypal", "p\\u{430}ypal"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(escape(text), expected, "{text:?}");
            assert_eq!(escaped(text.to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let exact = "x".repeat(LONGEST);
        assert_eq!(escape(&exact), exact);
        assert_eq!(escape(&"x".repeat(LONGEST + 1)), format!("{exact}…"));
    }
}
