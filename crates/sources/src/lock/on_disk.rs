//! The lock file as a file: opened if it is one, replaced in one step.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use outport_files::regular_file;

/// The file at `path`; none if nothing is there. What is there and no file is an error, since it is not to be replaced.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    if let Some(file) = regular_file::find(path)? {
        return Ok(Some(file));
    }
    let kind = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if regular_file::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if kind.is_file() {
        // Another process has written it just now.
        return regular_file::find(path);
    }
    Err(io::Error::other(if kind.is_dir() {
        "it is a directory"
    } else if kind.is_symlink() {
        "it is a link to what is no file"
    } else {
        "it is no file"
    }))
}

/// Puts a text in the place of a file, in one step; a link to a file stays one. Other processes may do the same.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = &*match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".outport.lock.")
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    // It is the author's, to read as any other of his files.
    let mode = match std::fs::metadata(path) {
        Ok(old) => old.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // Some file systems cannot; then the name may be lost with the power, and is found anew.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}
