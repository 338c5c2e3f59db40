//! What a server sends, looked at on the way to the client library.
//!
//! The library keeps a message in memory until it is whole, and believes what the server says of its length. So the header
//! of each message is read here first: one byte that says what it is, and four of length.
//!
//! | message | at most |
//! | --- | --- |
//! | a row | 128 MiB ([`MOST_IN_A_RESULT`]) |
//! | anything else: an error, a notice, the columns of a result | 16 MiB ([`LONGEST_MESSAGE`]) |
//! | what the server says of its own settings, in the time of a connection | 1 MiB ([`MOST_SETTINGS`]), since all of it is kept |
//!
//! What would be more ends the connection, before it is sent. How many rows a result has is bounded where they are taken.
//!
//! The message that ends an answer has one byte, which says whether a transaction is open. The library does not tell it. Nor
//! does it tell that a statement took away the library's own prepared statements, which the end of that statement says.
//!
//! Before a statement is executed the library asks the server about each type in it that it does not know, and about the
//! types in those, one within the other: as deep as a server says that they go, on the stack. So its questions are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::room::MOST_IN_A_RESULT;

/// What was seen of a connection.
pub(super) struct Seen {
    in_transaction: AtomicBool,
    too_much: AtomicBool,
    forgot: AtomicBool,
    /// Answers that may still come while a statement is prepared.
    answers_left: AtomicU32,
}

impl Seen {
    /// Whether a transaction is open, since the last answer ended.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    /// Whether the connection was ended since a message was too long, or types too many.
    pub(super) fn was_too_much(&self) -> bool {
        self.too_much.load(Ordering::Relaxed)
    }

    /// Whether a statement had the server forget what was prepared on the connection.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgot.load(Ordering::Relaxed)
    }

    /// To be called before a statement is prepared.
    pub(super) fn prepares(&self) {
        self.answers_left.store(MOST_QUESTIONS, Ordering::Relaxed);
    }

    /// It is prepared, or is not going to be.
    pub(super) fn has_prepared(&self) {
        self.answers_left.store(u32::MAX, Ordering::Relaxed);
    }

    /// Counts an answer. Whether it may come.
    fn answer(&self) -> bool {
        let left = self.answers_left.load(Ordering::Relaxed);
        if left != u32::MAX {
            self.answers_left.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        left > 0
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            in_transaction: AtomicBool::new(false),
            too_much: AtomicBool::new(false),
            forgot: AtomicBool::new(false),
            answers_left: AtomicU32::new(u32::MAX),
        }
    }
}

/// A stream of which what is read is looked at.
pub(super) struct Watched<S> {
    stream: S,
    seen: Arc<Seen>,
    messages: Messages,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, seen: Arc<Seen>) -> Self {
        Self {
            stream,
            seen,
            messages: Messages::default(),
        }
    }
}

/// Where in the messages the next byte is.
#[derive(Default)]
struct Messages {
    header: [u8; HEADER],
    /// Bytes of the header that were read.
    read: usize,
    /// Bytes of the message that are still to come.
    rest: usize,
    /// What a statement was, as its end says: the first bytes of that.
    tag: Tag,
    settings: usize,
}

impl Messages {
    fn read(&mut self, mut bytes: &[u8], seen: &Seen) -> io::Result<()> {
        while let Some((first, after)) = bytes.split_first() {
            if self.rest > 0 {
                if self.header[0] == READY {
                    seen.in_transaction.store(*first != IDLE, Ordering::Release);
                }
                let taken = self.rest.min(bytes.len());
                if self.header[0] == DONE && self.tag.reads(&bytes[..taken]) {
                    seen.forgot.store(true, Ordering::Relaxed);
                }
                self.rest -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            if self.read == HEADER {
                self.read = 0;
            }
            self.header[self.read] = *first;
            self.read += 1;
            bytes = after;
            if self.read == HEADER {
                self.rest = self.length(seen)?;
            }
        }
        Ok(())
    }

    /// Bytes behind the header.
    fn length(&mut self, seen: &Seen) -> io::Result<usize> {
        let [kind, length @ ..] = self.header;
        // The length counts itself.
        let length = (u32::from_be_bytes(length) as usize).saturating_sub(length.len());
        if kind == SETTING {
            self.settings = self.settings.saturating_add(length);
        }
        let most = if kind == ROW {
            MOST_IN_A_RESULT
        } else {
            LONGEST_MESSAGE
        };
        if kind == DONE {
            self.tag = Tag::default();
        }
        let is_asked_too_much = kind == READY && !seen.answer();
        if length > most || self.settings > MOST_SETTINGS || is_asked_too_much {
            seen.too_much.store(true, Ordering::Relaxed);
            return Err(io::Error::other("a message of the server is too long"));
        }
        Ok(length)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        Poll::Ready(this.messages.read(&buffer.filled()[before..], &this.seen))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// The beginning of what a statement was.
#[derive(Default)]
struct Tag {
    bytes: [u8; LONGEST_TAG],
    read: usize,
}

impl Tag {
    /// Reads on. Whether the statement is one of [`FORGETTING`].
    fn reads(&mut self, bytes: &[u8]) -> bool {
        let taken = bytes.len().min(LONGEST_TAG - self.read);
        self.bytes[self.read..self.read + taken].copy_from_slice(&bytes[..taken]);
        self.read += taken;
        let read = &self.bytes[..self.read];
        FORGETTING.iter().any(|tag| read.starts_with(tag))
    }
}

/// Statements that may take the library's prepared statements away, as their end names them.
const FORGETTING: [&[u8]; 2] = [b"DEALLOCATE", b"DISCARD ALL"];
const LONGEST_TAG: usize = 11;

/// Questions about types for one statement, and the statement itself: what is within each other in such a way takes the
/// library some kilobytes of the stack for each.
const MOST_QUESTIONS: u32 = 256;

/// What a message is, and its length.
const HEADER: usize = 5;

/// `DataRow`.
const ROW: u8 = b'D';

/// `CommandComplete`.
const DONE: u8 = b'C';

/// `ReadyForQuery`, and its byte when no transaction is open.
const READY: u8 = b'Z';
const IDLE: u8 = b'I';

/// `ParameterStatus`.
const SETTING: u8 = b'S';

/// Bytes of a message that is no row. An error quotes what was wrong, which may be long.
const LONGEST_MESSAGE: usize = 16 << 20;

/// Bytes of settings that the client library keeps for a connection.
const MOST_SETTINGS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((length + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// What comes of `bytes`, in pieces of that length.
    fn read(bytes: &[u8], piece: usize) -> (bool, Seen) {
        let (mut messages, seen) = (Messages::default(), Seen::default());
        let done = bytes
            .chunks(piece)
            .all(|bytes| messages.read(bytes, &seen).is_ok());
        (done, seen)
    }

    #[test]
    fn a_message_is_too_long_by_what_it_is_and_before_it_comes() {
        let mib = 1 << 20;
        for (kind, length, passes) in [
            (b'D', 0, true),
            (b'D', 128 * mib, true),
            (b'D', 128 * mib + 1, false),
            (b'D', u32::MAX - 4, false),
            (b'E', 16 * mib, true),
            (b'E', 16 * mib + 1, false),
            (b'T', 1 << 30, false),
            (b'x', 1 << 30, false),
            (b'S', mib, true),
            (b'S', mib + 1, false),
        ] {
            for piece in [1, 3, 100] {
                let (done, seen) = read(&message(kind, length, b"ab"), piece);
                assert_eq!(done, passes, "{} {length} {piece}", char::from(kind));
                assert_eq!(seen.was_too_much(), !passes);
            }
        }
    }

    #[test]
    fn answers_are_counted_while_a_statement_is_prepared() {
        let ready = message(b'Z', 1, b"I");
        let (mut messages, seen) = (Messages::default(), Seen::default());
        assert!(messages.read(&ready.repeat(10_000), &seen).is_ok());
        seen.prepares();
        assert!(messages.read(&ready.repeat(256), &seen).is_ok());
        seen.has_prepared();
        assert!(messages.read(&ready.repeat(10_000), &seen).is_ok());
        seen.prepares();
        assert!(messages.read(&ready.repeat(257), &seen).is_err());
        assert!(seen.was_too_much());
    }

    #[test]
    fn what_takes_prepared_statements_away_is_seen() {
        for (tag, forgets) in [
            ("DEALLOCATE ALL", true),
            ("DEALLOCATE", true),
            ("DISCARD ALL", true),
            ("DISCARD PLANS", false),
            ("DISCARD TEMP", false),
            ("SELECT 1", false),
            ("DE", false),
        ] {
            let mut bytes = message(b'C', u32::try_from(tag.len()).unwrap() + 1, tag.as_bytes());
            bytes.push(0);
            bytes.extend(message(b'D', 11, b"DISCARD ALL"));
            for piece in [1, 4, 1000] {
                assert_eq!(read(&bytes, piece).1.has_forgotten(), forgets, "{tag} {piece}");
            }
        }
    }

    #[test]
    fn settings_count_together_and_other_messages_do_not() {
        let many = |kind| message(kind, 1000, &[0; 1000]).repeat(1100);
        assert!(!read(&many(b'S'), 700).0);
        assert!(read(&many(b'D'), 700).0);
        assert!(read(&many(b'N'), 700).0);
    }

    #[test]
    fn whether_a_transaction_is_open_is_said_by_the_last_answer() {
        for (states, open) in [
            ("I", false),
            ("T", true),
            ("E", true),
            ("TI", false),
            ("IT", true),
        ] {
            let mut bytes = message(b'D', 3, b"ZZZ");
            for state in states.bytes() {
                bytes.extend(message(b'Z', 1, &[state]));
            }
            bytes.extend(message(b'C', 0, b""));
            for piece in [1, 2, 1000] {
                assert_eq!(
                    read(&bytes, piece).1.is_in_transaction(),
                    open,
                    "{states} {piece}"
                );
            }
        }
    }
}
