//! The directory that fetched files are written to, and the lock of one that is being written.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use outport_files::private_directory::UnsafeDirectory;
use outport_files::private_directory::{self, Others};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::PART;

/// A directory, open, that belongs to this user, and that nobody else writes to.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

/// A file that is being written, and that nobody else writes meanwhile.
#[derive(Debug)]
pub(super) struct Locked {
    name: String,
    file: File,
}

impl Directory {
    /// Opens `path`, and makes it first when it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, UnsafeDirectory> {
        private_directory::open(path, Others::MayLook).map(Self)
    }

    /// Locks the file of this name, which is made if it is not there; none if somebody else has it.
    pub(super) fn try_lock(&self, name: &str) -> io::Result<Option<Locked>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        let file = File::from(file);
        // Meanwhile it may have got its final name, or been removed: then the lock is that of another file.
        let named = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => named,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let own = file.metadata()?;
        let same = own.ino() == named.st_ino && own.is_file();
        Ok(same.then(|| Locked {
            name: name.to_owned(),
            file,
        }))
    }

    /// Removes what was being written by processes that are no more, but for the file `wanted`, which is to be written.
    pub(super) fn remove_abandoned(&self, wanted: &str) {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.0) else {
            return;
        };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if !name.ends_with(PART) || name == wanted {
                continue;
            }
            if let Ok(Some(locked)) = self.try_lock(name) {
                self.remove(&locked);
            }
        }
    }

    /// Removes a file that is being written, and will not be.
    pub(super) fn remove(&self, locked: &Locked) {
        let _ = rustix::fs::unlinkat(&self.0, &*locked.name, AtFlags::empty());
    }

    /// Gives a file that is whole its name, once it is on the disk. What had the name is no more.
    pub(super) fn finish(&self, locked: &Locked, name: &str) -> io::Result<()> {
        locked.file.sync_all()?;
        rustix::fs::renameat(&self.0, &*locked.name, &self.0, name)?;
        // Some file systems cannot; then the name may be lost with the power, and the file is fetched again.
        let _ = rustix::fs::fsync(self.0.as_fd());
        Ok(())
    }
}

impl Locked {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file empty, whatever was left in it.
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Gives back what it takes of the disk.
    pub(super) fn clear(&self) {
        let _ = self.file.set_len(0);
    }
}
