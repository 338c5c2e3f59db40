//! Bounds on what may be looked at and copied for one component: an app has as many files as its author likes.

use std::cell::Cell;

use super::FilesError;
use super::pattern::Effort;

/// The part that is left of each bound, and the bound itself.
pub(super) struct Bounds {
    pub(super) effort: Effort,
    entries: Cell<u64>,
    path_bytes: Cell<u64>,
    bytes: Cell<u64>,
    most_bytes: u64,
}

impl Bounds {
    /// The usual ones, with so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            effort: Effort::of(COMPARISONS),
            entries: Cell::new(ENTRIES),
            path_bytes: Cell::new(PATH_BYTES),
            bytes: Cell::new(bytes),
            most_bytes: bytes,
        }
    }

    /// A file or directory was found, or is copied.
    pub(super) fn entry(&self, path: &str) -> Result<(), FilesError> {
        let entries = self.entries.get().checked_sub(1);
        let bytes = self.path_bytes.get().checked_sub(path.len() as u64);
        let (Some(entries), Some(bytes)) = (entries, bytes) else {
            return Err(FilesError::TooMany { most: ENTRIES });
        };
        self.entries.set(entries);
        self.path_bytes.set(bytes);
        Ok(())
    }

    /// Patterns were compared.
    pub(super) fn compared(&self) -> Result<(), FilesError> {
        if self.effort.is_spent() {
            Err(FilesError::TooLaborious)
        } else {
            Ok(())
        }
    }

    /// Bytes that may still be copied.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// So many bytes were copied, or were to be.
    pub(super) fn copied(&self, bytes: u64) -> Result<(), FilesError> {
        match self.bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => Err(FilesError::TooLarge {
                most: self.most_bytes,
            }),
        }
    }
}

/// Directory entries that are looked at, and files that are copied, over all of `files`. A large `node_modules` has a
/// tenth.
const ENTRIES: u64 = 1_000_000;

/// Bytes of their paths, all of which are in memory.
const PATH_BYTES: u64 = 256 << 20;

/// Comparisons of a piece of a pattern with a piece of a path: seconds.
const COMPARISONS: u64 = 2_000_000_000;

/// Bytes that are copied, unless something else is wanted.
pub(super) const BYTES: u64 = 4 << 30;
