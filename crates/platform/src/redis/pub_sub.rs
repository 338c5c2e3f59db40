//! What a Redis server says to who subscribes (RESP2), read where it has come.
//!
//! The client library keeps every message that comes until somebody takes it, without a bound, so messages are read here:
//! there are few kinds of replies, none is nested, and one is taken at a time.

use bytes::{Buf, Bytes, BytesMut};

use crate::listening::MOST_MESSAGE;

/// A reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK` and the like.
    Status,
    /// What the server refuses, in its words.
    Error(String),
    /// That it has subscribed.
    Subscribed,
    /// The answer to a ping.
    Pong,
    Message {
        channel: Bytes,
        payload: Bytes,
    },
    /// A message longer than any may be has come, and was dropped meanwhile.
    Dropped,
}

/// What came is not RESP, or nothing that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAReply;

/// What has come and was not taken.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) bytes: BytesMut,
    /// Bytes that are still to come of a message that is dropped.
    unwanted: u64,
}

impl Incoming {
    /// The reply that is there as a whole, if one is.
    pub(super) fn reply(&mut self) -> Result<Option<Reply>, NotAReply> {
        if self.unwanted > 0 {
            let here = usize::try_from(self.unwanted).unwrap_or(usize::MAX);
            let dropped = here.min(self.bytes.len());
            self.bytes.advance(dropped);
            self.unwanted -= dropped as u64;
            return Ok((self.unwanted == 0).then_some(Reply::Dropped));
        }
        let Some((first, line, mut at)) = line(&self.bytes, 0)? else {
            return Ok(None);
        };
        let reply = match first {
            b'+' => Reply::Status,
            b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
            b'*' => {
                let number = number(line)?;
                if !(2..=3).contains(&number) {
                    return Err(NotAReply);
                }
                let mut parts = [(0, 0); 3];
                for part in parts.iter_mut().take(usize::try_from(number).unwrap_or(0)) {
                    let Some((kind, line, start)) = self::line(&self.bytes, at)? else {
                        return Ok(None);
                    };
                    if kind == b':' {
                        at = start;
                        continue;
                    }
                    let length = self::number(line)?;
                    // A subscription to nothing at all has a null for its channel.
                    let (b'$', 0..) = (kind, length) else {
                        return Err(NotAReply);
                    };
                    let here = self.bytes.len() - start;
                    if length > MOST_DROPPED {
                        return Err(NotAReply);
                    }
                    if length > MOST_MESSAGE as u64 {
                        self.bytes.advance(start);
                        self.unwanted = length + 2;
                        return self.reply();
                    }
                    let length = usize::try_from(length).map_err(|_| NotAReply)?;
                    if here < length + 2 {
                        // So that it is not moved each time that a little of it comes.
                        self.bytes.reserve(length + 2 - here);
                        return Ok(None);
                    }
                    *part = (start, length);
                    at = start + length + 2;
                }
                let kind = &self.bytes[parts[0].0..][..parts[0].1];
                match kind {
                    b"message" if number == 3 => {
                        let reply = self.bytes.split_to(at).freeze();
                        let part = |(start, length)| reply.slice(start..start + length);
                        return Ok(Some(Reply::Message {
                            channel: part(parts[1]),
                            payload: part(parts[2]),
                        }));
                    }
                    b"subscribe" | b"unsubscribe" => Reply::Subscribed,
                    b"pong" => Reply::Pong,
                    _ => return Err(NotAReply),
                }
            }
            _ => return Err(NotAReply),
        };
        self.bytes.advance(at);
        Ok(Some(reply))
    }
}

/// The first byte of a line, the rest, and where the next one begins.
type Line<'b> = (u8, &'b [u8], usize);

/// The line at `at`; nothing if it is not there as a whole.
fn line(bytes: &[u8], at: usize) -> Result<Option<Line<'_>>, NotAReply> {
    let rest = bytes.get(at..).unwrap_or_default();
    let looked_at = &rest[..rest.len().min(LONGEST_LINE)];
    let Some(end) = looked_at.iter().position(|byte| *byte == b'\n') else {
        return if rest.len() >= LONGEST_LINE {
            Err(NotAReply)
        } else {
            Ok(None)
        };
    };
    let line = rest[..end].strip_suffix(b"\r").ok_or(NotAReply)?;
    let (first, line) = line.split_first().ok_or(NotAReply)?;
    Ok(Some((*first, line, at + end + 1)))
}

fn number(line: &[u8]) -> Result<u64, NotAReply> {
    let is_number = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(line).ok().filter(|_| is_number);
    number.and_then(|number| number.parse().ok()).ok_or(NotAReply)
}

/// Bytes of a message that is waited for to be dropped: as many as a server takes of who publishes (`proto-max-bulk-len`).
const MOST_DROPPED: u64 = 512 << 20;

/// Bytes of a line.
const LONGEST_LINE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    type Replies = Result<Vec<Reply>, NotAReply>;

    fn replies(pieces: &[&[u8]]) -> Replies {
        let (mut incoming, mut all) = (Incoming::default(), Vec::new());
        for piece in pieces {
            incoming.bytes.extend_from_slice(piece);
            while let Some(reply) = incoming.reply()? {
                all.push(reply);
            }
        }
        Ok(all)
    }

    fn message(text: &'static str) -> Reply {
        Reply::Message {
            channel: Bytes::from("a"),
            payload: Bytes::from(text),
        }
    }

    #[test]
    fn replies_are_told_apart_however_they_come_in_pieces() {
        let line = vec![b'+'; LONGEST_LINE];
        let rows: [(&[u8], Replies); 19] = [
            (b"+OK\r\n", Ok(vec![Reply::Status])),
            (b"-ERR no\r\n", Ok(vec![Reply::Error("ERR no".to_owned())])),
            (
                b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
                Ok(vec![Reply::Subscribed]),
            ),
            (b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", Ok(vec![Reply::Pong])),
            (
                b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n",
                Ok(vec![message("hi"), message("")]),
            ),
            (
                b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n+OK\r\n",
                Ok(vec![message("\r\n\r\n"), Reply::Status]),
            ),
            (b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nh", Ok(Vec::new())),
            (b"HTTP/1.1 400 Bad Request\r\n", Err(NotAReply)),
            (b":1\r\n", Err(NotAReply)),
            (b"\r\n", Err(NotAReply)),
            (b"+OK\n", Err(NotAReply)),
            (
                b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870913\r\n",
                Err(NotAReply),
            ),
            (
                b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$18446744073709551615\r\n",
                Err(NotAReply),
            ),
            (b"*4\r\n", Err(NotAReply)),
            (b"*-1\r\n", Err(NotAReply)),
            (b"*2147483647\r\n", Err(NotAReply)),
            (b"*2\r\n*2\r\n", Err(NotAReply)),
            (b"*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$0\r\n\r\n", Err(NotAReply)),
            (&line, Err(NotAReply)),
        ];
        for (bytes, expected) in rows {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(replies(&[bytes]), expected, "{text}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(replies(&single), expected, "{text} byte by byte");
        }
    }

    #[test]
    fn whatever_comes_is_a_reply_or_is_refused() {
        let valid = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nhi!\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n-ERR\r\n";
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..20_000 {
            let mut bytes = valid.to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = b"*$:+-\r\n019"[random(10)],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, u8::try_from(random(256)).unwrap()),
                }
            }
            let pieces: Vec<&[u8]> = bytes.chunks(1 + random(bytes.len())).collect();
            // The same, in however many pieces it comes.
            assert_eq!(replies(&pieces), replies(&[&bytes]), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_dropped_and_the_next_one_is_not() {
        let length = MOST_MESSAGE + 1;
        let head = format!("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n${length}\r\n");
        let mut incoming = Incoming::default();
        incoming.bytes.extend_from_slice(head.as_bytes());
        assert_eq!(incoming.reply(), Ok(None), "it has not come yet");
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            incoming.bytes.extend_from_slice(&piece);
            assert_eq!(incoming.reply(), Ok(None));
            assert!(incoming.bytes.is_empty(), "nothing of it is kept");
        }
        let rest = b"x\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
        incoming.bytes.extend_from_slice(rest);
        assert_eq!(incoming.reply(), Ok(Some(Reply::Dropped)));
        assert_eq!(incoming.reply(), Ok(Some(message("hi"))));
    }
}
