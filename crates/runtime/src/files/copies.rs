//! The directories that copies lie in: each is held by the process that made it, and removed by the next one where
//! that was killed.
//!
//! ```text
//! new copy ── make a directory ── lock it ── is it still there? ─ no ─▶ once more, another one
//!                                                             └ yes ─▶ this process's, until it ends
//! before:     each directory here ── lock it? ─ no ─▶ somebody's who lives
//!                                             └ yes ─▶ nobody's: removed
//! ```
//!
//! The lock is advisory (`flock`) and on the directory itself, so that the guest, whose `/` it is, sees nothing of it,
//! and the kernel gives it up however the process ends. A directory that was made but is not locked yet may be taken
//! for nobody's; whoever made it notices, and makes another. Where a file system knows no locks nothing is removed but
//! by its owner.
//!
//! Only directories of this user, and only below the user's own cache, are removed: a directory for temporary files
//! has others' in it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use outport_policy::text;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempDir;

/// A directory of this process's own, removed when it is dropped.
#[derive(Debug)]
pub(super) struct OwnCopy {
    // INVARIANT: it goes before its lock does.
    folder: TempDir,
    _lock: OwnedFd,
}

impl OwnCopy {
    /// Makes a directory in `copies`.
    pub(super) fn make(copies: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(copies)?;
            if let Some(lock) = lock_new(folder.path())? {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(io::Error::other(
            "other processes removed each directory that was made",
        ))
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes from `copies` what nobody holds. What cannot be removed stays.
pub(super) fn remove_abandoned(copies: &Path) {
    let Ok(entries) = fs::read_dir(copies) else { return };
    for entry in entries.filter_map(Result::ok) {
        if is_copy(&entry.file_name()) {
            remove_if_abandoned(&entry.path());
        }
    }
}

fn remove_if_abandoned(folder: &Path) {
    let Ok(handle) = open(folder) else { return };
    let ours =
        rustix::fs::fstat(&handle).is_ok_and(|status| status.st_uid == rustix::process::geteuid().as_raw());
    if ours
        && rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok()
        && let Err(error) = fs::remove_dir_all(folder)
    {
        tracing::debug!("cannot remove `{}`: {error}", text::path(folder));
    }
}

/// Locks a directory that was just made; none if somebody else was quicker and removes it.
fn lock_new(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let handle = match open(folder) {
        Ok(handle) => handle,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Ok(None);
    }
    let locked = rustix::fs::fstat(&handle)?;
    Ok(match rustix::fs::lstat(folder) {
        Ok(named) if (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino) => Some(handle),
        Ok(_) | Err(_) => None,
    })
}

fn open(folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty())
}

fn is_copy(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// The prefix of the names of copies.
const PREFIX: &str = "app-";

/// The number of times that a directory is made when others take it for abandoned.
const ATTEMPTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(copies: &Path) -> usize {
        fs::read_dir(copies).unwrap().count()
    }

    #[test]
    fn what_nobody_holds_is_removed_and_nothing_else() {
        let copies = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = |name: &str| copies.path().join(name);
        fs::create_dir_all(path("app-left/deep")).unwrap();
        fs::write(path("app-left/deep/a.txt"), "a").unwrap();
        fs::create_dir(path("something-else")).unwrap();
        fs::write(path("app-file"), "no directory").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), path("app-link")).unwrap();
        let held = OwnCopy::make(copies.path()).unwrap();
        fs::write(held.path().join("a.txt"), "a").unwrap();

        remove_abandoned(copies.path());
        assert!(!path("app-left").exists());
        assert!(held.path().join("a.txt").exists());
        assert!(path("something-else").exists() && path("app-file").exists() && path("app-link").exists());
        assert!(elsewhere.path().exists());

        let folder = held.path().to_owned();
        drop(held);
        assert!(!folder.exists());
        remove_abandoned(&path("none"));
    }

    #[test]
    fn processes_that_start_at_the_same_time_take_nothing_from_each_other() {
        let copies = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        remove_abandoned(copies.path());
                        let held = OwnCopy::make(copies.path()).unwrap();
                        fs::write(held.path().join("a.txt"), "a").unwrap();
                        remove_abandoned(copies.path());
                        assert!(held.path().join("a.txt").exists());
                    }
                });
            }
        });
        assert_eq!(names(copies.path()), 0);
    }
}
