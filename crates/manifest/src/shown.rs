//! Text of others in our messages.

use std::borrow::Cow;
use std::fmt;

use outport_policy::{excerpt, printable};

/// Shows what somebody wrote, the beginning only if it is very long ([`excerpt`]), with everything escaped that a
/// terminal or log could take for more than text: control characters, line breaks, and characters that change the
/// direction of others. Quotes and backslashes stay as they are.
pub(crate) fn shown(text: &str) -> Shown<'_> {
    Shown(excerpt(text))
}

/// Shows a sentence of ours, escaped as [`shown`] does and never cut: what it quotes was cut when it was made.
pub(crate) fn sentence(text: &str) -> Shown<'_> {
    Shown(Cow::Borrowed(text))
}

pub(crate) struct Shown<'t>(Cow<'t, str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(&self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_beginning_is_shown_and_of_a_sentence_all() {
        let long = "\u{202e}".repeat(1000);
        let cut = "\\u{202e}".repeat(120) + "…";
        assert_eq!(shown(&long).to_string(), cut);
        assert_eq!(sentence(&long).to_string(), "\\u{202e}".repeat(1000));
    }

    #[test]
    fn text_is_shown_as_it_is_unless_it_could_do_something() {
        let rows = [
            ("größe \"x\" 'y' \\n 日本 🙂", "größe \"x\" 'y' \\n 日本 🙂"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\0"),
            ("a\u{202e}b\u{200b}\u{2066}", "a\\u{202e}b\\u{200b}\\u{2066}"),
            ("a\u{9b}31m\u{2028}", "a\\u{9b}31m\\u{2028}"),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text).to_string(), expected, "{text:?}");
        }
    }
}
