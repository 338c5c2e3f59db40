//! Output, cut into lines however it was written.

use std::sync::{Mutex, PoisonError};

/// The lines of one stream of one instance.
#[derive(Default)]
pub(super) struct LineSplitter {
    /// The line that has no end yet.
    begun: Mutex<Vec<u8>>,
}

impl LineSplitter {
    /// Hands over each line that `bytes` completes, without its line break. One that gets longer than [`LONGEST`] is handed
    /// over in pieces.
    pub(super) fn split(&self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        while !bytes.is_empty() {
            let room = LONGEST - begun.len();
            let most = &bytes[..bytes.len().min(room)];
            let (part, ends) = match most.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&most[..end], true),
                None => (most, most.len() == room),
            };
            bytes = &bytes[part.len()..];
            // A line break that comes next ends this line, not an empty one.
            bytes = if ends {
                bytes.strip_prefix(b"\n").unwrap_or(bytes)
            } else {
                bytes
            };
            begun.extend_from_slice(part);
            if ends {
                line(&begun);
                begun.clear();
            }
        }
    }

    /// The line that has no end, which it will not get.
    pub(super) fn take_begun(&mut self) -> Vec<u8> {
        std::mem::take(self.begun.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes of a line at most.
pub(super) const LONGEST: usize = 8 * 1024;
