//! A guest's output line by line, each behind the name of its component.
//!
//! Whole lines go out together, so that those of several guests never run into each other. What has no line break yet
//! waits for it, [`LONGEST`] bytes at most; then it goes out as a line, and at the end of the instance. Bytes are passed
//! on as they are, whether or not they are text.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use outport_policy::printable;

/// Lines of one stream of one instance.
pub(super) struct Prefixed {
    prefix: Arc<str>,
    /// The line that has no end yet.
    begun: Mutex<Vec<u8>>,
    /// Where the last line goes to, if it has no end.
    rest: Box<Rest>,
}

type Rest = dyn Fn(&[u8]) + Send + Sync;

/// What lines of a component begin with.
pub(super) fn prefix_of(component: &str) -> Arc<str> {
    format!("[{}] ", printable(component)).into()
}

impl Prefixed {
    pub(super) fn new(prefix: Arc<str>, rest: impl Fn(&[u8]) + Send + Sync + 'static) -> Prefixed {
        Prefixed {
            prefix,
            begun: Mutex::default(),
            rest: Box::new(rest),
        }
    }

    /// The lines that `bytes` completes, each with its prefix and its line break.
    pub(super) fn lines(&self, mut bytes: &[u8]) -> Vec<u8> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = Vec::new();
        while !bytes.is_empty() {
            let room = LONGEST - begun.len();
            let most = &bytes[..bytes.len().min(room)];
            let (part, ends) = match most.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&most[..end], true),
                None => (most, most.len() == room),
            };
            bytes = &bytes[part.len()..];
            // A line break that comes next ends this line, not an empty one.
            bytes = match ends {
                true => bytes.strip_prefix(b"\n").unwrap_or(bytes),
                false => bytes,
            };
            begun.extend_from_slice(part);
            if ends {
                self.put_line(&mut whole, &begun);
                begun.clear();
            }
        }
        whole
    }

    fn put_line(&self, whole: &mut Vec<u8>, line: &[u8]) {
        whole.extend_from_slice(self.prefix.as_bytes());
        whole.extend_from_slice(line);
        whole.push(b'\n');
    }
}

impl Drop for Prefixed {
    fn drop(&mut self) {
        let begun = std::mem::take(self.begun.get_mut().unwrap_or_else(PoisonError::into_inner));
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

/// Bytes of a line at most.
const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]]) -> Vec<u8> {
        let out = Arc::new(Mutex::new(Vec::new()));
        let rest = out.clone();
        let lines = Prefixed::new(prefix_of("web"), move |bytes| {
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
            format!("[{}] ", printable("a\n\u{1b}[2J"))
        );
        assert!(!prefix_of("a\nb").contains('\n'));
    }
}
