//! What an event that is handed over by hand is made of, as it is written on the command line.

use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use outport_check::Diagnostic;
use outport_policy::Location;

use crate::failure::Failure;
use crate::files::{read_bytes, unreadable};

/// The bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// As they are written.
    Text(String),
    /// The content of a file.
    File(PathBuf),
    /// What comes by standard input.
    Input,
}

/// The topic that a message is on: one, and no filter for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic(pub(super) String);

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Payload {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix('@') {
            Some(path) => Self::File(path.into()),
            None if text == "-" => Self::Input,
            None => Self::Text(text.to_owned()),
        })
    }
}

impl FromStr for Topic {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err("a message is on a topic with a name")
        } else if text.contains(['+', '#']) {
            Err("a message is on one topic: `+` and `#` stand in filters alone")
        } else if text.len() > usize::from(u16::MAX) {
            Err("a topic has 65,535 bytes at most")
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl FromStr for Attribute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write `NAME=VALUE`"),
        }
    }
}

impl Payload {
    /// The bytes. `option` is where it was written.
    pub(super) fn read(&self, option: &str) -> Result<Vec<u8>, Failure> {
        let (path, read) = match self {
            Self::Text(text) => return Ok(text.clone().into_bytes()),
            Self::File(path) => (path.as_path(), read_bytes(path)),
            Self::Input => {
                let mut content = Vec::new();
                let read = std::io::stdin()
                    .take(LONGEST + 1)
                    .read_to_end(&mut content)
                    .map(|_| content);
                (Path::new("-"), read)
            }
        };
        let at = |told: Diagnostic| Failure::unusable(told.at(Location::Option { name: option.into() }));
        let content = read.map_err(|error| at(unreadable(path, "file", &error)))?;
        if content.len() as u64 > LONGEST {
            let message = format!("the message is larger than {} MiB", LONGEST >> 20);
            return Err(at(Diagnostic::error(message)));
        }
        Ok(content)
    }

    /// The same as text.
    pub(super) fn read_text(&self, option: &str) -> Result<String, Failure> {
        String::from_utf8(self.read(option)?).map_err(|_| {
            let told = Diagnostic::error("the message is not UTF-8 text".to_owned());
            Failure::unusable(told.at(Location::Option { name: option.into() }))
        })
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// Bytes that are read of a message.
const LONGEST: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_text_a_file_or_standard_input() {
        let rows = [
            ("", Payload::Text(String::new())),
            ("a@b", Payload::Text("a@b".into())),
            ("@b.txt", Payload::File("b.txt".into())),
            ("-", Payload::Input),
            ("-1", Payload::Text("-1".into())),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
        for (text, is_topic) in [("a/b", true), ("", false), ("a/+", false), ("#", false)] {
            assert_eq!(text.parse::<Topic>().is_ok(), is_topic, "{text:?}");
        }
        for (text, expected) in [
            ("a=b=c", Some(("a", "b=c"))),
            ("a=", Some(("a", ""))),
            ("=b", None),
            ("a", None),
        ] {
            let read = text.parse::<Attribute>().ok();
            let read = read
                .as_ref()
                .map(|read| (read.name.as_str(), read.value.as_str()));
            assert_eq!(read, expected, "{text:?}");
        }
    }
}
