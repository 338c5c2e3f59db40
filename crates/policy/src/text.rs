//! Text of others in what people read: messages, lines of a log, terminals (RSN-4).
//!
//! There are three ways, by who reads it and whether somebody may need to know what exactly was written:
//!
//! | | what could do something | for |
//! | --- | --- | --- |
//! | [`message`], [`path`], [`quote`] | is escaped, `\n`, `\u{202e}`; all letters stay | names and paths in sentences |
//! | [`log`], [`sentence_into_log`] | is escaped, and so is all that is not ASCII: letters that look like others, too | the audit log, denials |
//! | [`terminal`], [`terminal_lines`] | is replaced by one column that is shown | quoted lines, in which columns count; and once more before a terminal |
//!
//! What could do something: control characters (C1 too, which some terminals obey), breaks of lines and paragraphs, and
//! characters that change the direction of others or are not seen.
//!
//! However long a text is, a message stays readable and small: [`excerpt`] and [`quote`] end after 120 characters,
//! [`log`] and [`begin`] after 300, [`sentence_into_log`] after 1000. Users and passwords in URLs do not get into the first two at all
//! ([`without_user_info`]).

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::path::Path;

use crate::without_user_info;

/// The beginning of `text`, of at most 120 characters, and `…` where something is cut off; all of it if it is no longer
/// than that. User and password of a URL are shown as `*`.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    // Before it is cut, which may take away the `@` that tells what is before it.
    let shown = without_user_info(text);
    match shown.char_indices().nth(LONGEST_QUOTE) {
        None => shown,
        Some((end, _)) => Cow::Owned(format!("{}…", &shown[..end])),
    }
}

/// Shows `text` with everything escaped that a terminal or log could take for more than text. Quotes and backslashes
/// stay as they are.
pub fn message(text: &str) -> impl fmt::Display + '_ {
    Escaped(Cow::Borrowed(text))
}

/// Shows the [`excerpt`] of a text as [`message`] does.
pub fn quote(text: &str) -> impl fmt::Display + '_ {
    Escaped(excerpt(text))
}

/// Shows a path as [`message`] does; what is not UTF-8 in it as `U+FFFD`.
pub fn path(path: &Path) -> impl fmt::Display + '_ {
    Escaped(path.to_string_lossy())
}

/// The first 300 characters of what somebody writes, escaped as [`message`] does, and `…` where more would follow: that
/// is not even written out, since a guest can make its texts as large as its memory.
pub fn begin(text: fmt::Arguments<'_>) -> String {
    let mut beginning = Beginning {
        shown: String::new(),
        room: LONGEST_LOGGED,
    };
    if beginning.write_fmt(text).is_err() {
        beginning.shown.push('…');
    }
    beginning.shown
}

/// Printable ASCII as it is, all else as `\u{…}`: no control sequence, line break, bidirectional override or
/// look-alike letter gets through. What is longer than 300 characters is cut and ends in `…`.
pub fn log(text: &str) -> Cow<'_, str> {
    log_up_to(LONGEST_LOGGED, text)
}

fn log_up_to(longest: usize, text: &str) -> Cow<'_, str> {
    if is_logged_as_it_is(longest, text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().min(longest) + 16);
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == longest => {
                escaped.push('…');
                break;
            }
            ' '..='~' => escaped.push(c),
            _ => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// The same of a text that nobody else needs.
pub fn into_log(text: String) -> String {
    into_log_up_to(LONGEST_LOGGED, text)
}

/// The same of a sentence, which is cut after 1000 characters: it has words of the host's around names that may be as long
/// as [`log`] shows, and what is at its end counts.
pub fn sentence_into_log(text: String) -> String {
    into_log_up_to(LONGEST_SENTENCE, text)
}

fn into_log_up_to(longest: usize, text: String) -> String {
    if is_logged_as_it_is(longest, &text) {
        text
    } else {
        log_up_to(longest, &text).into_owned()
    }
}

/// The text with every character that a terminal would obey instead of showing replaced by one that it shows.
pub fn terminal(text: &str) -> String {
    text.chars().map(mask).collect()
}

/// The same line by line: line breaks stay, and each further line is indented, so it is never taken for something that
/// Outport says of its own accord.
pub fn terminal_lines(text: &str) -> String {
    let mut lines = text.split('\n').map(terminal);
    let mut shown = lines.next().unwrap_or_default();
    for line in lines {
        shown.push('\n');
        if !line.is_empty() && !line.starts_with(INDENT) {
            shown.push_str(INDENT);
        }
        shown.push_str(&line);
    }
    shown
}

/// The character, or one of about the same width that is only shown.
pub fn mask(c: char) -> char {
    match c {
        '\t' => ' ',
        // Not seen, or changing the direction of what follows.
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

const INDENT: &str = "    ";

/// Characters of a text that a message quotes at most.
const LONGEST_QUOTE: usize = 120;

/// As many characters of one text as a log shows; a DNS name has at most 253.
const LONGEST_LOGGED: usize = 300;

/// As many characters of a sentence.
const LONGEST_SENTENCE: usize = 1000;

fn is_logged_as_it_is(longest: usize, text: &str) -> bool {
    text.len() <= longest && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

struct Escaped<'t>(Cow<'t, str>);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| escape(c, f))
    }
}

/// Refuses to go on when there is no more room, which ends whatever is writing.
struct Beginning {
    shown: String,
    room: usize,
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            escape(c, &mut self.shown)
        })
    }
}

fn escape(c: char, out: &mut dyn Write) -> fmt::Result {
    match c {
        '"' | '\'' | '\\' => out.write_char(c),
        _ => write!(out, "{}", c.escape_debug()),
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
            (
                "InternalError(Some(\"a'b\\\"\"))",
                "InternalError(Some(\"a'b\\\"\"))",
            ),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(message(text).to_string(), expected, "{text:?}");
            assert_eq!(quote(text).to_string(), expected, "{text:?}");
            assert_eq!(path(Path::new(text)).to_string(), expected, "{text:?}");
            assert_eq!(begin(format_args!("{text}")), expected, "{text:?}");
            let masked = terminal(text);
            assert_eq!(message(&masked).to_string(), masked, "{text:?}");
            assert_eq!(masked.chars().count(), text.chars().count(), "{text:?}");
        }
    }

    // proves: RSN-4
    #[test]
    fn only_printable_ascii_passes_into_a_log_unchanged() {
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
            assert_eq!(log(text), expected, "{text:?}");
            assert_eq!(
                matches!(log(text), Cow::Borrowed(_)),
                text == expected,
                "{text:?}"
            );
            assert_eq!(into_log(text.to_owned()), expected, "{text:?}");
        }
    }

    // proves: RSN-4
    #[test]
    fn a_long_text_is_cut() {
        for letter in ["a", "ß", "🙂"] {
            assert_eq!(excerpt(&letter.repeat(120)), letter.repeat(120));
            assert_eq!(excerpt(&letter.repeat(121)), letter.repeat(120) + "…");
        }
        let password = format!("x://u:{}@h", "p".repeat(200));
        assert_eq!(quote(&password).to_string(), format!("x://{}…", "*".repeat(116)));
        let long = "\u{202e}".repeat(1000);
        assert_eq!(quote(&long).to_string(), "\\u{202e}".repeat(120) + "…");
        assert_eq!(message(&long).to_string(), "\\u{202e}".repeat(1000));
        let exact = "x".repeat(300);
        assert_eq!(log(&exact), exact);
        assert_eq!(log(&"x".repeat(301)), format!("{exact}…"));
        assert_eq!(into_log("x".repeat(301)), format!("{exact}…"));
        let sentence = "x".repeat(1000);
        assert_eq!(sentence_into_log(sentence.clone()), sentence);
        assert_eq!(sentence_into_log("x".repeat(1001)), format!("{sentence}…"));
        assert_eq!(sentence_into_log("ß".repeat(1001)), "\\u{df}".repeat(1000) + "…");
        assert_eq!(begin(format_args!("{exact}")), exact);
        let large = Some("x".repeat(1 << 20));
        let shown = begin(format_args!("{large:?}"));
        assert!(shown.starts_with("Some(\"xxx") && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), 301);
    }

    // proves: RSN-4
    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(
            terminal_lines("a\x1b[2Jb\r\tc\nd\u{202e}e\u{9b}\u{2028}f"),
            "a\u{fffd}[2Jb\u{fffd} c\n    d\u{fffd}e\u{fffd}\u{fffd}f"
        );
    }

    // proves: RSN-4
    #[test]
    fn what_others_wrote_begins_no_line_of_ours() {
        let trap = "it trapped\n    0: main\n denied: x\n\ndenied: y\r";
        assert_eq!(
            terminal_lines(trap),
            "it trapped\n    0: main\n     denied: x\n\n    denied: y\u{fffd}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let name = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\n.wasm"));
        assert_eq!(path(name).to_string(), "a\u{fffd}\\n.wasm");
    }
}
