//! Notes on files whose content is known: their names, and who may write one.

use std::io;

use super::directory::PrivateDirectory;

/// Writes a note that somebody else made.
///
/// # Errors
///
/// When it is no note, or what the system says.
pub(crate) fn keep_note(notes: &PrivateDirectory, name: &str, text: &str) -> io::Result<()> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    let is_note = name
        .strip_suffix(ENDING)
        .is_some_and(|place| !place.is_empty() && place.len() <= 64 && place.bytes().all(digit));
    if !is_note || text.len() as u64 > LONGEST_NOTE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    notes.write(name, text.as_bytes())
}

/// The ending of the names of notes.
pub(super) const ENDING: &str = ".known";

/// Bytes; a note has fewer.
pub(super) const LONGEST_NOTE: u64 = 512;
