//! A directory that only this user can write to, and the files in it.
//!
//! The directory is opened and examined once ([`private_directory`]), and from then on everything goes through the open
//! handle: a directory that is swapped for another one later is not seen.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub use outport_files::private_directory::UnsafeDirectory;
use outport_files::private_directory::{self, Others, WRITABLE_BY_OTHERS};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A directory, open, that belongs to this user and is closed to everybody else.
#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    handle: OwnedFd,
}

impl PrivateDirectory {
    /// Opens `path`, and makes it first when it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, UnsafeDirectory> {
        let handle = private_directory::open(path, Others::MayNothing)?;
        Ok(Self { handle })
    }

    /// Opens a file for reading; none when it is not there, or is not a plain file that only this user can write.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<Option<File>> {
        // Should it be a pipe, nobody waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let status = file.metadata()?;
        let ours = status.uid() == rustix::process::geteuid().as_raw();
        let closed = status.mode() & WRITABLE_BY_OTHERS == 0;
        Ok((status.is_file() && ours && closed).then_some(file))
    }

    /// Writes a file whole: it has its name only once all of it is there.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        // A container gives every process the same number, and one that was killed leaves its file behind.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_nanos());
        let unfinished = format!("{name}.{}-{now:x}-{write}.{UNFINISHED}", std::process::id());
        let written = self.write_unfinished(&unfinished, content).and_then(|()| {
            rustix::fs::renameat(&self.handle, &*unfinished, &self.handle, name).map_err(io::Error::from)
        });
        if written.is_err() {
            self.remove(&unfinished);
        }
        written
    }

    fn write_unfinished(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)?;
        File::from(file).write_all(content)
    }

    /// Removes a file; that it cannot be removed is of no consequence here.
    pub(super) fn remove(&self, name: impl rustix::path::Arg) {
        let _ = rustix::fs::unlinkat(&self.handle, name, AtFlags::empty());
    }

    /// Notes that a file was used now, for [`PrivateDirectory::shrink_to`].
    pub(crate) fn mark_used(&self, file: &File) {
        if !is_use_noted(file) {
            // Not the time of access, which many systems do not keep (`noatime`, `relatime`).
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// A path that leads to this directory, wherever it is by now.
    pub(crate) fn path(&self) -> PathBuf {
        path_of(&self.handle)
    }

    /// Removes the least recently used files until the rest has at most `capacity` bytes. `newest` stays.
    pub(super) fn shrink_to(&self, capacity: u64, newest: &str) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort_by_key(|file| file.used);
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            let over = total > capacity && !file.unfinished && file.name.to_bytes() != newest.as_bytes();
            let abandoned = file.unfinished && file.used.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
            if over || abandoned {
                self.remove(&*file.name);
                total -= file.bytes;
            }
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name();
            let file = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(file.st_mode) == FileType::RegularFile {
                kept.push(Kept::of(name, &file));
            }
        }
        Ok(kept)
    }
}

/// A file of the directory.
struct Kept {
    name: CString,
    bytes: u64,
    used: SystemTime,
    unfinished: bool,
}

impl Kept {
    fn of(name: &CStr, status: &rustix::fs::Stat) -> Self {
        let seconds = u64::try_from(status.st_mtime).unwrap_or(0);
        Self {
            name: name.into(),
            bytes: u64::try_from(status.st_size).unwrap_or(0),
            used: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            unfinished: name.to_bytes().ends_with(UNFINISHED.as_bytes()),
        }
    }
}

impl AsFd for PrivateDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// True if it was noted lately that a file was used.
pub(super) fn is_use_noted(file: &File) -> bool {
    let noted = file.metadata().and_then(|status| status.modified());
    noted.is_ok_and(|noted| noted.elapsed().is_ok_and(|age| age < USE_IS_NOTED_EVERY))
}

/// A path that leads to this open file and to no other.
pub(super) fn path_of(file: &impl AsRawFd) -> PathBuf {
    let descriptors = if cfg!(target_os = "linux") {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    Path::new(descriptors).join(file.as_raw_fd().to_string())
}

/// The ending of a file that is being written.
const UNFINISHED: &str = "unfinished";

/// A file that was not finished for this long never will be: its writer died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// The precision with which the last use is known: a start within this time of the last one writes nothing.
const USE_IS_NOTED_EVERY: Duration = Duration::from_secs(3600);
