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
//! The message that ends an answer has one byte, which says whether a transaction is open. The library does not tell it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::room::MOST_IN_A_RESULT;

/// What was seen of a connection.
#[derive(Default)]
pub(super) struct Seen {
    in_transaction: AtomicBool,
    too_much: AtomicBool,
}

impl Seen {
    /// Whether a transaction is open, since the last answer ended.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    /// Whether the connection was ended since a message was too long.
    pub(super) fn was_too_much(&self) -> bool {
        self.too_much.load(Ordering::Relaxed)
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
        if length > most || self.settings > MOST_SETTINGS {
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

/// What a message is, and its length.
const HEADER: usize = 5;

/// `DataRow`.
const ROW: u8 = b'D';

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
