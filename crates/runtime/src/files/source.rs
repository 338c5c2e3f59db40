//! The directory of a manifest, out of which nothing leads.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use super::FilesError;
use super::bounds::Bounds;
use super::pattern::Pattern;

/// A directory and everything below it. Paths are relative to it, with `/` between their steps.
pub(super) struct SourceTree {
    root: OwnedFd,
}

impl SourceTree {
    /// Opens `root`, wherever it is.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = if root.as_os_str().is_empty() {
            Path::new(".")
        } else {
            root
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            root: openat(CWD, root, flags, Mode::empty())?,
        })
    }

    /// The file at `path`, for reading.
    pub(super) fn open_file(&self, path: &str) -> Result<File, FilesError> {
        self.open_below(path, FileType::RegularFile).map(File::from)
    }

    pub(super) fn is_directory(&self, path: &str) -> Result<bool, FilesError> {
        Ok(self.kind(path)? == FileType::Directory)
    }

    /// All files that `pattern` matches, sorted.
    pub(super) fn matching(&self, pattern: &Pattern, bounds: &Bounds) -> Result<Vec<String>, FilesError> {
        let (base, rest) = pattern.literal_base();
        if rest == 0 {
            return match self.is_directory(&base) {
                Ok(false) => Ok(vec![base]),
                Ok(true) | Err(FilesError::Missing { .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut found = match self.below(&base, bounds) {
            Err(FilesError::Missing { .. }) => Vec::new(),
            found => found?,
        };
        found.retain(|path| pattern.matches(path, &bounds.effort));
        bounds.compared()?;
        Ok(found)
    }

    /// All files below a directory, sorted. Links to directories are not searched.
    pub(super) fn below(&self, directory: &str, bounds: &Bounds) -> Result<Vec<String>, FilesError> {
        let mut found = Vec::new();
        let mut left = vec![directory.to_owned()];
        while let Some(directory) = left.pop() {
            let opened = self.open_below(&directory, FileType::Directory)?;
            let failed = |error: rustix::io::Errno| FilesError::of(&directory, error.into());
            for entry in Dir::read_from(&opened).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                // A guest could not name such a file.
                let Ok(name) = entry.file_name().to_str() else {
                    continue;
                };
                if matches!(name, "." | "..") {
                    continue;
                }
                let path = match directory.as_str() {
                    "" | "." => name.to_owned(),
                    directory => format!("{directory}/{name}"),
                };
                bounds.entry(&path)?;
                match entry.file_type() {
                    FileType::Directory => left.push(path),
                    FileType::Symlink if self.is_directory(&path)? => {}
                    // Some file systems do not say.
                    FileType::Unknown if self.is_directory(&path)? => left.push(path),
                    _ => found.push(path),
                }
            }
        }
        // The order of a directory is a matter of the file system; that of copies and messages should not be.
        found.sort();
        Ok(found)
    }

    /// Opens what is at `path`, in one step that cannot leave the root, if it is of this kind. To open something else
    /// would be an act already: a pipe waits, a device does something. So it is looked at before, and once more after,
    /// should something else be there by then.
    fn open_below(&self, path: &str, wanted: FileType) -> Result<OwnedFd, FilesError> {
        let refuse_other = |found: FileType| match (found, wanted) {
            (found, wanted) if found == wanted => Ok(()),
            (FileType::RegularFile, FileType::Directory) => Err(FilesError::of(path, Errno::NOTDIR.into())),
            (FileType::Directory, _) => Err(FilesError::of(path, Errno::ISDIR.into())),
            _ => Err(FilesError::NeitherFileNorDirectory {
                path: path.to_owned(),
            }),
        };
        refuse_other(self.kind(path)?)?;
        let opened = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        refuse_other(kind_of(path, &opened)?)?;
        Ok(opened)
    }

    /// The kind of file at `path`, without opening it.
    fn kind(&self, path: &str) -> Result<FileType, FilesError> {
        kind_of(path, &self.resolve(path, OFlags::PATH)?)
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, FilesError> {
        let step = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, step, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
            .map_err(|error| FilesError::of(path, error.into()))
    }
}

fn kind_of(path: &str, file: &OwnedFd) -> Result<FileType, FilesError> {
    let stat = fstat(file).map_err(|error| FilesError::of(path, error.into()))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}
