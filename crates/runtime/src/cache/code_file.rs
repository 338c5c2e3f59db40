//! The files that compiled code is kept in, and their names.

use std::hash::{Hash, Hasher};
use std::io;

use sha2::{Digest, Sha256};

use super::content_hash::ContentHash;
use super::directory::PrivateDirectory;

/// Bytes of compiled code that are kept: 2 GiB.
pub const CAPACITY: u64 = 2 * 1024 * 1024 * 1024;

/// `<hash of the file>-<hash of the engine, and of what makes components of files>.cwasm`.
pub(super) fn file_name(engine: &wasmtime::Engine, content: &ContentHash) -> String {
    let mut settings = Fingerprint(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    outport_components::REVISION.hash(&mut settings);
    format!("{}-{:.16x}.cwasm", content.hex(), settings.0.finalize())
}

/// Feeds what is hashed to SHA-256, whose answers are the same in every build of this program.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}

/// Files the code of a component under the hash of the bytes that it was compiled from.
///
/// # Errors
///
/// What the system says.
pub(crate) fn keep_code(
    directory: &PrivateDirectory,
    engine: &wasmtime::Engine,
    content: &ContentHash,
    code: &[u8],
) -> io::Result<()> {
    let name = file_name(engine, content);
    directory.write(&name, code)?;
    directory.shrink_to(CAPACITY, &name)
}
