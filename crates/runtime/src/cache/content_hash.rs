//! The content of a file, by its hash.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The content of a file, by its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentHash(String);

impl ContentHash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(format!("{:x}", Sha256::digest(bytes)))
    }

    /// The hash that [`hex`](ContentHash::hex) wrote.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (hex.len() == 64 && hex.bytes().all(digit)).then(|| Self(hex.to_owned()))
    }

    /// Reads a file to its end, a piece at a time: a start that finds compiled code has no use for the rest.
    pub(super) fn of_file(file: &mut File) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let mut piece = vec![0; 256 * 1024];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Self(format!("{:x}", hash.finalize()))),
                read => hash.update(&piece[..read]),
            }
        }
    }

    /// 64 hexadecimal digits, in lower case.
    pub(crate) fn hex(&self) -> &str {
        &self.0
    }
}
