//! A file of the cache whose bytes are hashed while they are read, once more: between a look at it and this one somebody
//! else may have written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use outport_files::regular_file;
use outport_manifest::Digest;
use sha2::{Digest as _, Sha256};

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Verified {
    file: File,
    hash: Sha256,
}

impl Verified {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = regular_file::find(path)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            file,
            hash: Sha256::new(),
        })
    }

    /// Reads to the end, and compares.
    ///
    /// # Errors
    ///
    /// What was read is something else, so that nothing of it may be used.
    pub(crate) fn finish(mut self, digest: &Digest) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        let found: String = self
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found == digest.hex() {
            Ok(())
        } else {
            let why = "a file in it was changed while it was read";
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::digest_of;
    use super::*;

    #[test]
    fn what_changed_since_is_noticed_also_behind_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let rows = [("content", true), ("content and more", false), ("other", false)];
        for (content, expected) in rows {
            std::fs::write(&path, content).unwrap();
            let mut file = Verified::open(&path).unwrap();
            file.read_exact(&mut [0; 3]).unwrap();
            assert_eq!(file.finish(&digest_of(b"content")).is_ok(), expected, "{content}");
        }
    }
}
