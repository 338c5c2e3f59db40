//! The messages between the processes: a byte that says what it is, the length in eight bytes, and so many bytes.
//!
//! The keeper reads what comes from the process that started it, before any guest runs. What comes from a compiler is
//! read by the [keeper](super::keeper), which passes it on without looking into it.

use std::io::{self, Read, Write};

/// The request to the keeper.
pub(super) enum Request<'a> {
    /// To make a component of a file. It is answered.
    Adapt(&'a [u8]),
    /// To compile a file. It is answered.
    Compile(&'a [u8]),
    /// To write a note. It is not answered.
    Note { name: &'a str, text: &'a str },
    /// To note that a file was used now. It is not answered.
    Used { name: &'a str },
}

/// The same, as it arrives.
pub(super) enum OwnedRequest {
    Adapt(Vec<u8>),
    Compile(Vec<u8>),
    Note { name: String, text: String },
    Used { name: String },
}

/// The result of compiling, or of making a component.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Kept,
    Code(Vec<u8>),
    Invalid(String),
    TooLong,
    TooLarge,
    Failed(String),
}

const ADAPT: u8 = b'a';
const COMPILE: u8 = b'c';
const NOTE: u8 = b'n';
const USED: u8 = b'u';

const KEPT: u8 = b'k';
pub(super) const CODE: u8 = b'o';
pub(super) const INVALID: u8 = b'i';
const TOO_LONG: u8 = b't';
const TOO_LARGE: u8 = b'm';
const FAILED: u8 = b'f';

impl Request<'_> {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Request::Adapt(bytes) => frame(to, ADAPT, &[bytes]),
            Request::Compile(bytes) => frame(to, COMPILE, &[bytes]),
            Request::Note { name, text } => frame(to, NOTE, &[name.as_bytes(), b"\0", text.as_bytes()]),
            Request::Used { name } => frame(to, USED, &[name.as_bytes()]),
        }
    }
}

impl OwnedRequest {
    /// The next request; none when there will be no more.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let kind = match read_kind(from) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            kind => kind?,
        };
        let content = content(from)?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| unknown());
        match kind {
            ADAPT => Ok(Some(Self::Adapt(content))),
            COMPILE => Ok(Some(Self::Compile(content))),
            USED => Ok(Some(Self::Used { name: text(content)? })),
            NOTE => {
                let both = text(content)?;
                let (name, text) = both.split_once('\0').ok_or_else(unknown)?;
                Ok(Some(Self::Note {
                    name: name.to_owned(),
                    text: text.to_owned(),
                }))
            }
            _ => Err(unknown()),
        }
    }
}

impl Answer {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Kept => frame(to, KEPT, &[]),
            Self::Code(code) => frame(to, CODE, &[code]),
            Self::Invalid(reason) => frame(to, INVALID, &[reason.as_bytes()]),
            Self::TooLong => frame(to, TOO_LONG, &[]),
            Self::TooLarge => frame(to, TOO_LARGE, &[]),
            Self::Failed(reason) => frame(to, FAILED, &[reason.as_bytes()]),
        }
    }

    /// The answer that begins with `kind`.
    pub(super) fn read(kind: u8, from: &mut impl Read) -> io::Result<Self> {
        let content = content(from)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match kind {
            KEPT => Ok(Self::Kept),
            CODE => Ok(Self::Code(content)),
            INVALID => Ok(Self::Invalid(text(content))),
            TOO_LONG => Ok(Self::TooLong),
            TOO_LARGE => Ok(Self::TooLarge),
            FAILED => Ok(Self::Failed(text(content))),
            _ => Err(unknown()),
        }
    }
}

/// The first byte of a message.
pub(super) fn read_kind(from: &mut impl Read) -> io::Result<u8> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    Ok(kind[0])
}

fn frame(to: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut head = vec![kind];
    head.extend((length as u64).to_le_bytes());
    to.write_all(&head)?;
    parts.iter().try_for_each(|part| to.write_all(part))
}

fn content(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut content = Vec::new();
    // No more is reserved than arrives.
    if from.take(length).read_to_end(&mut content)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(content)
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that nobody knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let answers = [
            Answer::Kept,
            Answer::Code(vec![0, 1, 2]),
            Answer::Invalid("reason".into()),
            Answer::TooLong,
            Answer::TooLarge,
            Answer::Failed(String::new()),
        ];
        for answer in answers {
            let mut bytes = Vec::new();
            answer.write(&mut bytes).unwrap();
            let mut from = bytes.as_slice();
            let kind = read_kind(&mut from).unwrap();
            assert_eq!(Answer::read(kind, &mut from).unwrap(), answer);
            assert!(from.is_empty());
            Answer::read(kind, &mut &bytes[1..bytes.len() - 1]).expect_err("it is cut short");
        }
        let mut bytes = Vec::new();
        Request::Note { name: "a", text: "b" }.write(&mut bytes).unwrap();
        let asked = OwnedRequest::read(&mut bytes.as_slice()).unwrap();
        assert!(matches!(asked, Some(OwnedRequest::Note { name, text }) if (&*name, &*text) == ("a", "b")));
        assert!(OwnedRequest::read(&mut &b""[..]).unwrap().is_none());
        assert!(OwnedRequest::read(&mut &b"x\0\0\0\0\0\0\0\0"[..]).is_err());
    }
}
