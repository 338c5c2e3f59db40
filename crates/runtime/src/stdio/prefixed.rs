//! A guest's output line by line, each behind the name of its component; that of a program that builds one, too.
//!
//! Whole lines go out together, so that those of several guests never run into each other. What has no line break yet
//! waits for it, [`LONGEST`](super::lines::LONGEST) bytes at most; then it goes out as a line, and at the end of the instance. Into a file or
//! a pipe bytes are passed on as they are, whether or not they are text. On a terminal they could take the name away
//! again: there a line holds colours, and no other control character does what it would ([`for_a_terminal`]).

use std::fmt;
use std::sync::Arc;

use outport_policy::text;

use super::lines::LineSplitter;

/// Lines of one stream of one instance, or of one program that builds a component.
pub struct Prefixed {
    prefix: Arc<str>,
    reader: Reader,
    splitter: LineSplitter,
    /// The place that the last line goes to, if it has no end.
    rest: Box<Rest>,
}

/// The reader that the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A person sees what they do.
    Terminal,
    /// Somebody gets every byte.
    Other,
}

type Rest = dyn Fn(&[u8]) + Send + Sync;

/// The prefix that lines of a component begin with.
pub(super) fn prefix_of(component: &str) -> Arc<str> {
    format!("[{}] ", text::message(component)).into()
}

impl Prefixed {
    pub(super) fn new(
        prefix: Arc<str>,
        reader: Reader,
        rest: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Self {
        Self {
            prefix,
            reader,
            splitter: LineSplitter::default(),
            rest: Box::new(rest),
        }
    }

    /// The lines that `bytes` completes, each with its prefix and its line break.
    pub fn lines(&self, bytes: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        self.splitter.split(bytes, |line| self.put_line(&mut whole, line));
        whole
    }

    fn put_line(&self, whole: &mut Vec<u8>, line: &[u8]) {
        let mut put = |line: &[u8]| {
            whole.extend_from_slice(self.prefix.as_bytes());
            whole.extend_from_slice(line);
            whole.push(b'\n');
        };
        match self.reader {
            Reader::Other => put(line),
            Reader::Terminal => {
                // What would be written over the line is a line of its own.
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                line.split(|byte| *byte == b'\r')
                    .for_each(|line| put(for_a_terminal(line).as_bytes()));
            }
        }
    }
}

/// The line with nothing in it that moves the cursor, erases or sets what outlasts the line. Colours stay, and end with
/// it; other control characters are shown by their pictures.
fn for_a_terminal(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = &*text;
    while let Some(next) = rest.chars().next() {
        if let Some(length) = colour(rest) {
            coloured = true;
            shown.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        shown.push(match next {
            '\t' => next,
            '\0'..='\u{1f}' => {
                char::from_u32(PICTURES + u32::from(next)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ if next.is_control() => char::REPLACEMENT_CHARACTER,
            _ => next,
        });
        rest = &rest[next.len_utf8()..];
    }
    if coloured {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// The bytes of the sequence that sets colours (SGR of ECMA-48), if the text begins with one.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

/// The picture of the control character 0; the others follow.
const PICTURES: u32 = 0x2400;

impl Drop for Prefixed {
    fn drop(&mut self) {
        let begun = self.splitter.take_begun();
        if !begun.is_empty() {
            let mut whole = Vec::new();
            self.put_line(&mut whole, &begun);
            (self.rest)(&whole);
        }
    }
}

impl fmt::Debug for Prefixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prefixed").field(&self.prefix).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::lines::LONGEST;
    use super::*;

    fn written(pieces: &[&[u8]]) -> Vec<u8> {
        let out = Arc::new(Mutex::new(Vec::new()));
        let rest = out.clone();
        let lines = Prefixed::new(prefix_of("web"), Reader::Other, move |bytes| {
            rest.lock().unwrap().extend_from_slice(bytes)
        });
        for piece in pieces {
            let whole = lines.lines(piece);
            out.lock().unwrap().extend_from_slice(&whole);
        }
        drop(lines);
        out.lock().unwrap().clone()
    }

    #[test]
    fn each_line_has_its_prefix_however_it_was_written() {
        let rows: [(&[&[u8]], &[u8]); 7] = [
            (&[], b""),
            (&[b"a\n"], b"[web] a\n"),
            (&[b"a", b"b\nc", b"\n"], b"[web] ab\n[web] c\n"),
            (&[b"\n\n"], b"[web] \n[web] \n"),
            (&[b"no end"], b"[web] no end\n"),
            (&[b"\xff\x00\r\n\xfe"], b"[web] \xff\x00\r\n[web] \xfe\n"),
            (&[b"a\nb\nc\n"], b"[web] a\n[web] b\n[web] c\n"),
        ];
        for (pieces, expected) in rows {
            assert_eq!(
                written(pieces).escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        }
    }

    // proves: RSN-4
    #[test]
    fn nothing_takes_the_name_away_on_a_terminal() {
        let rows: [(&[u8], &str); 9] = [
            (b"a\tb", "[w] a\tb\n"),
            (b"", "[w] \n"),
            (b"a\r", "[w] a\n"),
            (b"1%\r2%", "[w] 1%\n[w] 2%\n"),
            (b"\x1b[2K\rdenied: x", "[w] \u{241b}[2K\n[w] denied: x\n"),
            (b"\x1b[1;31mred\x1b[m", "[w] \x1b[1;31mred\x1b[m\x1b[0m\n"),
            (b"\x1b[31\x1b[8m", "[w] \u{241b}[31\x1b[8m\x1b[0m\n"),
            (
                "\u{9b}2K\u{7f}\x08ü".as_bytes(),
                "[w] \u{fffd}2K\u{fffd}\u{2408}ü\n",
            ),
            (b"\xff\x1b]0;title\x07", "[w] \u{fffd}\u{241b}]0;title\u{2407}\n"),
        ];
        for (line, expected) in rows {
            let lines = Prefixed::new(prefix_of("w"), Reader::Terminal, |_| {});
            let shown = lines.lines(&[line, b"\n"].concat());
            assert_eq!(
                String::from_utf8(shown).unwrap().escape_debug().to_string(),
                expected.escape_debug().to_string()
            );
        }
    }

    #[test]
    fn a_line_without_end_is_cut_into_lines_and_none_of_it_is_lost() {
        let long = vec![b'x'; 3 * LONGEST + 5];
        let out = written(&[&long[..5], &long[5..]]);
        let lines: Vec<usize> = out.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        let full = LONGEST + "[web] ".len();
        assert_eq!(lines, [full, full, full, 5 + "[web] ".len(), 0]);
        let exact = [vec![b'x'; LONGEST], b"\ny\n".to_vec()].concat();
        let out = written(&[&exact]);
        assert_eq!(
            out.split(|byte| *byte == b'\n').count(),
            3,
            "no empty line behind a full one"
        );
    }

    #[test]
    fn a_name_cannot_look_like_something_else() {
        assert_eq!(
            &*prefix_of("a\n\u{1b}[2J"),
            format!("[{}] ", text::message("a\n\u{1b}[2J"))
        );
        assert!(!prefix_of("a\nb").contains('\n'));
    }
}
