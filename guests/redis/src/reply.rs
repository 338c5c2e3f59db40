//! Replies of the Redis serialization protocol, version 2.

use std::fmt;
use std::io::{self, BufRead, Read};

/// How many arrays may lie inside each other: a server must not decide how deep this guest's stack gets.
const DEEPEST: usize = 32;

/// A reply.
pub enum Reply {
    /// `+OK`
    Status(String),
    /// `-ERR unknown command`
    Error(String),
    /// `:42`
    Integer(i64),
    /// `$5` and five bytes.
    Bulk(Vec<u8>),
    /// `*2` and two replies.
    Array(Vec<Reply>),
    /// `$-1` or `*-1`.
    Nil,
}

impl Reply {
    /// Reads one reply.
    ///
    /// # Errors
    ///
    /// `InvalidData` if it is none, `UnexpectedEof` if the server stops in the middle.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        Self::read_nested(from, DEEPEST)
    }

    /// Whether the server refused the command.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    fn read_nested(from: &mut impl BufRead, depth: usize) -> io::Result<Self> {
        let line = read_line(from)?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
        Ok(match kind {
            "+" => Self::Status(rest.to_owned()),
            "-" => Self::Error(rest.to_owned()),
            ":" => Self::Integer(rest.parse().map_err(|_| malformed())?),
            "$" => match length(rest)? {
                Some(length) => Self::Bulk(read_bulk(from, length)?),
                None => Self::Nil,
            },
            "*" if depth > 0 => match length(rest)? {
                Some(length) => {
                    let replies = (0..length).map(|_| Self::read_nested(from, depth - 1));
                    Self::Array(replies.collect::<io::Result<_>>()?)
                }
                None => Self::Nil,
            },
            _ => return Err(malformed()),
        })
    }

    /// Writes the reply as `redis-cli` does: strings quoted, arrays numbered and indented.
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{}", printable(status)),
            Self::Error(error) => write!(f, "(error) {}", printable(error)),
            Self::Integer(integer) => write!(f, "(integer) {integer}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Nil => write!(f, "(nil)"),
            Self::Array(replies) if replies.is_empty() => write!(f, "(empty array)"),
            Self::Array(replies) => {
                for (index, reply) in replies.iter().enumerate() {
                    if index > 0 {
                        write!(f, "\n{:indent$}", "")?;
                    }
                    let number = format!("{}) ", index + 1);
                    f.write_str(&number)?;
                    reply.write(f, indent + number.len())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// A line without what could move a terminal's cursor or colour it.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    const LONGEST: u64 = 64 * 1024;

    let mut line = String::new();
    from.take(LONGEST).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(malformed()),
    }
}

/// A length, or `None` for the nil that is written as -1.
fn length(text: &str) -> io::Result<Option<u64>> {
    if text == "-1" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| malformed())
}

/// Reads `length` bytes and the line end after them. The memory grows with what comes, not with what is promised.
fn read_bulk(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    let mut end = [0; 2];
    from.read_exact(&mut end)?;
    if bytes.len() as u64 == length && end == *b"\r\n" {
        Ok(bytes)
    } else {
        Err(malformed())
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the reply is not one of the Redis protocol",
    )
}
