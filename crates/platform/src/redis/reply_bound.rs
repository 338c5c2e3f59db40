//! A bound on what a server may answer, held while it comes.
//!
//! The client library keeps an answer in memory until it is whole, and believes what the server says of its length. So what
//! it reads is looked at on the way: the header lines of RESP, of which each stands for a value, and the lengths that they
//! announce. What would be too much ends the connection before it is kept, and before it is sent where the server says its
//! length first.
//!
//! | of one answer | at most |
//! | --- | --- |
//! | bytes of values | 128 MiB ([`MOST_BYTES`]) |
//! | values, nested ones among them | 1,048,576 ([`MOST_VALUES`]) |
//! | a line: a status, a number, an error | 64 KiB ([`LONGEST_LINE`]) |
//!
//! An answer counts from when a command is sent while nothing else is awaited. What comes unasked counts too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was answered since it was last forgotten.
#[derive(Default)]
pub(super) struct Answered {
    bytes: AtomicU64,
    values: AtomicU64,
    too_much: AtomicBool,
}

impl Answered {
    /// Begins anew: a command is sent, and no answer is awaited yet.
    pub(super) fn forget(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.values.store(0, Ordering::Relaxed);
    }

    /// Whether the connection was ended since it was too much.
    pub(super) fn was_too_much(&self) -> bool {
        self.too_much.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64, values: u64) -> io::Result<()> {
        let all = self
            .bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        let number = self
            .values
            .fetch_add(values, Ordering::Relaxed)
            .saturating_add(values);
        if all <= MOST_BYTES && number <= MOST_VALUES {
            return Ok(());
        }
        self.too_much.store(true, Ordering::Relaxed);
        Err(io::Error::other("the answer is too large"))
    }
}

/// A stream of which what is read is held to the bound.
pub(super) struct Bounded<S> {
    stream: S,
    answered: Arc<Answered>,
    reply: Reply,
}

impl<S> Bounded<S> {
    pub(super) fn new(stream: S, answered: Arc<Answered>) -> Self {
        Self {
            stream,
            answered,
            reply: Reply::default(),
        }
    }
}

/// Where in an answer the next byte is.
#[derive(Default)]
struct Reply {
    /// The header line so far, without what ends it, as far as it says how long something is.
    line: Vec<u8>,
    length: usize,
    /// Bytes of a value that are still to come, with what ends it.
    payload: u64,
}

impl Reply {
    fn read(&mut self, mut bytes: &[u8], answered: &Answered) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let taken = usize::try_from(self.payload)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload -= taken as u64;
                bytes = &bytes[taken..];
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = LONGEST_HEADER.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.length += part.len();
            if self.length > LONGEST_LINE {
                return answered.add(u64::MAX, 0);
            }
            let Some(end) = end else {
                return Ok(());
            };
            bytes = &bytes[end + 1..];
            self.header(answered)?;
            self.line.clear();
            self.length = 0;
        }
        Ok(())
    }

    fn header(&mut self, answered: &Answered) -> io::Result<()> {
        let number = || -> Option<i64> {
            let digits = self.line.get(1..)?;
            std::str::from_utf8(digits).ok()?.trim_end().parse().ok()
        };
        match self.line.first() {
            Some(b'$' | b'=' | b'!') => match number() {
                // No value at all.
                Some(-1) if self.line.starts_with(b"$") => answered.add(0, 1),
                Some(length) if length >= 0 => {
                    self.payload = length.unsigned_abs() + 2;
                    answered.add(length.unsigned_abs(), 1)
                }
                _ => Err(io::ErrorKind::InvalidData.into()),
            },
            // So many values follow, and each has a header of its own; a map has twice as many.
            Some(b'*' | b'~' | b'%' | b'>' | b'|') => match number() {
                Some(-1) => answered.add(0, 1),
                Some(number) if number >= 0 && number.unsigned_abs() <= MOST_VALUES => answered.add(0, 1),
                Some(number) if number >= 0 => answered.add(0, MOST_VALUES + 1),
                _ => Err(io::ErrorKind::InvalidData.into()),
            },
            _ => answered.add(self.length as u64, 1),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let Self { answered, reply, .. } = &mut *self;
        Poll::Ready(reply.read(&buffer.filled()[before..], answered))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Bytes of the values of one answer.
pub(super) const MOST_BYTES: u64 = 128 << 20;

/// Values of one answer.
pub(super) const MOST_VALUES: u64 = 1 << 20;

/// Bytes of a line.
const LONGEST_LINE: usize = 64 << 10;

/// Bytes of a line that says how long something is: a sign and 19 digits are enough.
const LONGEST_HEADER: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (bool, u64, u64) {
        let (answered, mut reply) = (Answered::default(), Reply::default());
        let whole = pieces.iter().all(|piece| reply.read(piece, &answered).is_ok());
        (
            whole,
            answered.bytes.load(Ordering::Relaxed),
            answered.values.load(Ordering::Relaxed),
        )
    }

    // proves: HI-1
    #[test]
    fn an_answer_is_counted_as_it_comes_and_refused_by_the_length_that_it_announces() {
        let line = [b"+".to_vec(), vec![b'x'; LONGEST_LINE]].concat();
        let rows: [(&[u8], bool, u64, u64); 17] = [
            (b"+OK\r\n", true, 4, 1),
            (b":7\r\n", true, 3, 1),
            (b"-ERR no\r\n", true, 8, 1),
            (b"$-1\r\n", true, 0, 1),
            (b"$0\r\n\r\n", true, 0, 1),
            (b"$5\r\na\r\nb\n\r\n:7\r\n", true, 8, 2),
            (b"*-1\r\n", true, 0, 1),
            (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", true, 4, 4),
            (b"%1\r\n+a\r\n_\r\n", true, 5, 3),
            (b"$134217728\r\n", true, 134_217_728, 1),
            (b"$134217729\r\n", false, 134_217_729, 1),
            (b"$1073741824\r\n", false, 1_073_741_824, 1),
            (b"*1048576\r\n", true, 0, 1),
            (b"*1048577\r\n", false, 0, 1_048_577),
            (b"$-2\r\n", false, 0, 0),
            (b"=-1\r\n", false, 0, 0),
            (b"$99999999999999999999999\r\n", false, 0, 0),
        ];
        for (bytes, whole, length, values) in rows {
            let expected = (whole, length, values);
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(read(&[bytes]), expected, "{text}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), expected, "{text} byte by byte");
        }
        assert!(!read(&[&line]).0, "a line without end");
    }

    #[test]
    fn many_small_values_are_too_many() {
        let (answered, mut reply) = (Answered::default(), Reply::default());
        let thousand = ":1\r\n".repeat(1024);
        let held = (0..2000).take_while(|_| reply.read(thousand.as_bytes(), &answered).is_ok());
        assert_eq!(held.count(), 1024);
        assert!(answered.was_too_much());
    }
}
