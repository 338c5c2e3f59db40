//! Lines of a bounded length out of whatever can be read.
//!
//! One buffer is filled, and lines are handed out where they lie in it: nothing is copied but the beginning of a line that
//! the buffer ends in. A line that is longer than [`LONGEST_LINE`] is said once and passed over, however long it is, so
//! memory does not grow with what is read. A last line without a line break counts as one: a log may be cut off there.

use std::io::{self, ErrorKind, Read};

/// The bytes that a line may have, without its line break. What the gate writes is below a quarter of that.
pub const LONGEST_LINE: usize = 64 << 10;

/// Bytes that are read at once, and the room for the longest line besides.
const BUFFER: usize = 256 << 10;

/// Lines out of a reader.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What is in the buffer and was not handed out: from here …
    start: usize,
    /// … to here.
    end: usize,
    /// As far as there is known to be no line break, from `start` on.
    searched: usize,
    /// The rest of a line that is too long is passed over.
    is_skipping: bool,
    is_at_end: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// A line, without its line break.
    Line(&'b [u8]),
    /// A line that is longer than [`LONGEST_LINE`].
    TooLong,
}

impl<R: Read> Lines<R> {
    /// The lines of `input`, from where it stands.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
            is_skipping: false,
            is_at_end: false,
        }
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    ///
    /// The input cannot be read. What was read before it of a line without a line break is lost.
    // Not an iterator: what it returns lies in the buffer that the next call fills.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(found) = memchr::memchr(b'\n', &unread[self.searched..]) {
                let line = self.start..self.start + self.searched + found;
                self.start = line.end + 1;
                self.searched = 0;
                if std::mem::take(&mut self.is_skipping) {
                    continue;
                }
                return Ok(Some(Self::piece(&self.buffer[line])));
            }
            if self.is_skipping {
                self.start = self.end;
            } else if unread.len() > LONGEST_LINE {
                self.is_skipping = true;
                self.start = self.end;
                self.searched = 0;
                return Ok(Some(Piece::TooLong));
            }
            self.searched = self.end - self.start;
            if self.is_at_end {
                let line = self.start..self.end;
                self.start = self.end;
                self.searched = 0;
                return Ok((!line.is_empty()).then(|| Self::piece(&self.buffer[line])));
            }
            self.fill()?;
        }
    }

    fn piece(line: &[u8]) -> Piece<'_> {
        if line.len() > LONGEST_LINE {
            Piece::TooLong
        } else {
            Piece::Line(line)
        }
    }

    /// Reads more behind what is there. INVARIANT: what is there is at most the longest line, so there is room.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.is_at_end = read == 0;
        self.end += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives so many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
        }
    }

    fn lengths(text: &[u8], at_once: usize) -> Vec<Option<usize>> {
        let mut lines = Lines::new(Slowly(text, at_once));
        let mut lengths = Vec::new();
        while let Some(piece) = lines.next_piece().unwrap() {
            lengths.push(match piece {
                Piece::Line(line) => {
                    assert!(!line.contains(&b'\n'));
                    Some(line.len())
                }
                Piece::TooLong => None,
            });
        }
        assert_eq!(lines.next_piece().unwrap(), None, "the end stays the end");
        lengths
    }

    #[test]
    fn lines_have_a_bound_and_the_last_one_needs_no_line_break() {
        let rows: [(&[usize], &[Option<usize>]); 6] = [
            (&[], &[]),
            (&[0], &[Some(0)]),
            (&[3, 0, 5], &[Some(3), Some(0), Some(5)]),
            (
                &[LONGEST_LINE, LONGEST_LINE + 1, 7],
                &[Some(LONGEST_LINE), None, Some(7)],
            ),
            (&[BUFFER * 3, 1], &[None, Some(1)]),
            (&[BUFFER, BUFFER, LONGEST_LINE], &[None, None, Some(LONGEST_LINE)]),
        ];
        for (lines, expected) in rows {
            let mut text = Vec::new();
            for length in lines {
                text.extend(vec![b'x'; *length]);
                text.push(b'\n');
            }
            for at_once in [4096 + 1, usize::MAX] {
                assert_eq!(lengths(&text, at_once), expected, "{lines:?}, {at_once} at once");
                text.extend(b"yy");
                let last = [expected, &[Some(2)]].concat();
                assert_eq!(
                    lengths(&text, at_once),
                    last,
                    "{lines:?} and one that is cut off, {at_once} at once"
                );
                text.truncate(text.len() - 2);
            }
        }
        assert_eq!(
            lengths(&vec![b'x'; LONGEST_LINE + 1], usize::MAX),
            [None],
            "too long, and without a line break"
        );
    }

    proptest! {
        #[test]
        fn what_is_read_at_once_does_not_matter(text in "[a\n]{0,60}", at_once in 1usize..20) {
            let expected: Vec<Option<usize>> = text.lines().map(|line| Some(line.len())).collect();
            prop_assert_eq!(lengths(text.as_bytes(), at_once), expected);
        }
    }
}
