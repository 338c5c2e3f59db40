//! What files hold, by their length and their digest, and whether a directory still holds it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use outport_files::regular_file;
use outport_manifest::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What is in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// 64 digits.
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

/// The files of a tree, by their paths.
pub(crate) type Index = BTreeMap<String, Content>;

/// Copies to the end, and answers what was copied.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(Content, Digest)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = Digest::parse(&format!("sha256:{sha256}")).expect("INVARIANT: 64 digits");
    Ok((Content { sha256, size }, digest))
}

/// The digest of bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let (_, digest) = copy(&mut &*bytes, &mut io::sink()).expect("INVARIANT: bytes can be read");
    digest
}

/// True if the directory has these files, and nothing else, and each is what it was.
pub(crate) fn is_as_it_was(root: &Path, index: &Index) -> io::Result<bool> {
    let mut seen = 0;
    let mut directories = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                return Ok(false);
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let prefix = format!("{path}/");
                let mut following = index.range(prefix.clone()..);
                if !following
                    .next()
                    .is_some_and(|(file, _)| file.starts_with(&prefix))
                {
                    return Ok(false);
                }
                directories.push((entry.path(), prefix));
                continue;
            }
            let Some(expected) = index.get(&path).filter(|_| kind.is_file()) else {
                return Ok(false);
            };
            let Some(mut file) = regular_file::find(&entry.path())? else {
                return Ok(false);
            };
            if file.metadata()?.len() != expected.size {
                return Ok(false);
            }
            let (content, _) = copy(&mut file, &mut io::sink())?;
            if content != *expected {
                return Ok(false);
            }
            seen += 1;
        }
    }
    Ok(seen == index.len())
}
