//! A directory of this user's own, which is made if it is not there: what is in it was written by nobody else.
//!
//! It is opened once and examined by its handle, through which everything goes from then on: a directory that is swapped
//! for another one later is not seen.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use outport_policy::text;
use rustix::fs::{Mode, OFlags};

/// What other users may do in a directory, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Look at it: what is in it is no secret.
    MayLook,
    /// Nothing.
    MayNothing,
}

/// The reason why a directory is not this user's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsafeDirectory {
    /// The directory is not there and cannot be made, or cannot be opened; a symbolic link is not followed.
    #[error("`{}` cannot be used: {source}", text::path(.path))]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another user owns it.
    #[error("`{}` belongs to user {owner}, not to you", text::path(.path))]
    NotYours {
        /// The directory.
        path: PathBuf,
        /// The user who owns it.
        owner: u32,
    },
    /// Its mode lets others in.
    #[error("`{}` is open to other users (mode {mode:o}); close it with `chmod 700`", text::path(.path))]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its mode lets others write.
    #[error("other users can write to `{}` (mode {mode:o}); close it with `chmod 700`", text::path(.path))]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Opens the directory at `path`, and makes it, closed to everybody else, when it is not there.
///
/// # Errors
///
/// It cannot be made or opened, is a symbolic link, belongs to somebody else, or lets `others` do more.
pub fn open(path: &Path, others: Others) -> Result<OwnedFd, UnsafeDirectory> {
    let unusable = |source: io::Error| UnsafeDirectory::Unusable {
        path: path.into(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(unusable)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    // Examined by the handle: what a name leads to may be another directory in the next moment.
    let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unusable(errno.into()))?;
    let status = rustix::fs::fstat(&handle).map_err(|errno| unusable(errno.into()))?;
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(UnsafeDirectory::NotYours {
            path: path.into(),
            owner: status.st_uid,
        });
    }
    let (path, mode) = (path.to_owned(), status.st_mode & 0o7777);
    match others {
        Others::MayNothing if mode & BY_OTHERS != 0 => Err(UnsafeDirectory::OpenToOthers { path, mode }),
        Others::MayLook if mode & WRITABLE_BY_OTHERS != 0 => {
            Err(UnsafeDirectory::WritableByOthers { path, mode })
        }
        Others::MayNothing | Others::MayLook => Ok(handle),
    }
}

/// Any permission of the group or of everybody.
const BY_OTHERS: u32 = 0o077;

/// The permissions of the group and of everybody to write.
pub const WRITABLE_BY_OTHERS: u32 = 0o022;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_is_opened_if_others_may_do_no_more_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/for/it");
        open(&path, Others::MayNothing).expect("it is made, and closed");
        let answer = |others| match open(&path, others) {
            Ok(_) => "opened",
            Err(UnsafeDirectory::OpenToOthers { .. }) => "open to others",
            Err(UnsafeDirectory::WritableByOthers { .. }) => "writable by others",
            Err(_) => "another reason",
        };
        // (mode, for one that others may look at, for one that they may do nothing in)
        for (mode, look, nothing) in [
            (0o700, "opened", "opened"),
            (0o755, "opened", "open to others"),
            (0o710, "opened", "open to others"),
            (0o720, "writable by others", "open to others"),
            (0o702, "writable by others", "open to others"),
            (0o1777, "writable by others", "open to others"),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(answer(Others::MayLook), look, "{mode:o}");
            assert_eq!(answer(Others::MayNothing), nothing, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_directory_or_a_link_to_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        for path in [file, link] {
            let refused = open(&path, Others::MayLook);
            assert!(
                matches!(refused, Err(UnsafeDirectory::Unusable { .. })),
                "{refused:?}"
            );
        }
    }
}
