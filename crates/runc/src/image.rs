//! Files of a container that is to be made, looked at from the node, as root, before anything of it runs.
//!
//! Whoever made the image, or may write to a volume, decides what is there: symbolic links to the node's files, pipes that
//! nobody writes to, devices, files without an end. So there is one way to them:
//!
//! 1. a path is one in the container; it belongs to the mount that covers it, else to the root directory;
//! 2. openat2(2) resolves it with `RESOLVE_IN_ROOT`, so links and `..` end at that directory, as they will in the
//!    container, and with `RESOLVE_NO_MAGICLINKS`;
//! 3. it is opened as a path only (`O_PATH`), which does nothing to what is there, and examined;
//! 4. only a regular file is opened to be read, by the handle that was examined, and never beyond a limit.
//!
//! Which mount covers a path is decided by its text. A link that leads into a volume is therefore not followed into it, but
//! to what the image has in that place: what is not found so is said to be missing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use crate::container::{Container, Mount};
use crate::report::Failure;

/// The files of a container.
#[derive(Debug)]
pub(crate) struct Image {
    root: OwnedFd,
    /// Mounts that show something of the node, or a file system of their own.
    mounts: Vec<Mount>,
}

/// What is at a path.
#[derive(Debug)]
pub(crate) enum Entry {
    Missing,
    File(Content),
    Directory,
    /// Something else: what it is, with its article.
    Other(&'static str),
}

/// A file that can be read.
#[derive(Debug)]
pub(crate) struct Content(File);

/// What is at a path where something is to be mounted; no link was followed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MountPoint {
    Free,
    EmptyFile,
    EmptyDirectory,
    /// What it is, with its article.
    Taken(&'static str),
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Directories of a root that no link may lead a mount to.
const NO_PLACES: [&str; 4] = [".outport", "proc", "sys", "dev"];

/// How often a path is resolved again which was renamed meanwhile.
const TRIES: u32 = 8;

impl Image {
    /// Opens the directories, and nothing in them.
    pub(crate) fn open(container: &Container) -> Result<Self, Failure> {
        let root = directory(CWD, &container.root).map_err(|error| failure(&container.root, error))?;
        Ok(Self {
            root,
            mounts: container.mounts.clone(),
        })
    }

    /// True if there is nothing in the image at all.
    pub(crate) fn is_empty(&self) -> Result<bool, Failure> {
        is_empty(&self.root).map_err(|error| failure(Path::new("/"), error))
    }

    /// True if a path is of the image, and not of something that is mounted there.
    pub(crate) fn is_in_image(&self, path: &Path) -> bool {
        self.covering(path).is_none()
    }

    /// Refuses mounts that links of the image lead to where something of Outport's or the system's is: what a mount covers, and is
    /// covered by, is judged by its text.
    pub(crate) fn require_straight_ways(&self) -> Result<(), Failure> {
        for mount in &self.mounts {
            let destination = cleaned(&mount.destination);
            if !self
                .is_straight(&destination)
                .map_err(|error| failure(&destination, error))?
            {
                return Err(Failure::CrookedMount { path: destination });
            }
        }
        Ok(())
    }

    /// True if there is no link on the way to a path, or if they lead to an ordinary place.
    fn is_straight(&self, path: &Path) -> rustix::io::Result<bool> {
        match resolve(&self.root, path, IN_ROOT.union(ResolveFlags::NO_SYMLINKS)) {
            Err(Errno::LOOP) => {}
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(true),
            Err(error) => return Err(error),
        }
        let root = rustix::fs::readlinkat(CWD, own_link(&self.root), Vec::new())?;
        let root = PathBuf::from(OsString::from_vec(root.into_bytes()));
        for above in path.ancestors() {
            match resolve(&self.root, above, IN_ROOT) {
                Ok(found) => {
                    let place = rustix::fs::readlinkat(CWD, own_link(&found), Vec::new())?;
                    let place = PathBuf::from(OsString::from_vec(place.into_bytes()));
                    // What is not below the root any more was moved meanwhile.
                    let Ok(place) = place.strip_prefix(&root) else {
                        return Ok(false);
                    };
                    let first = place
                        .components()
                        .next()
                        .map(|component| component.as_os_str().to_owned());
                    return Ok(first.is_none_or(|first| !NO_PLACES.iter().any(|own| first == *own)));
                }
                // A link that leads nowhere yet leads somewhere once that is mounted.
                Err(Errno::NOENT) if self.is_link(above)? => return Ok(false),
                Err(Errno::NOENT) => {}
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    fn is_link(&self, path: &Path) -> rustix::io::Result<bool> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat2(&self.root, path, flags, Mode::empty(), IN_ROOT) {
            Ok(found) => Ok(FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Symlink),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is mounted over a path, by the path's text.
    pub(crate) fn mount_of(&self, path: &Path) -> Option<&Mount> {
        self.covering(path).map(|(mount, _)| mount)
    }

    /// Looks at what is at a path of the container.
    pub(crate) fn look(&self, path: &Path) -> Result<Entry, Failure> {
        let found = match self.covering(path) {
            None => resolve(&self.root, path, IN_ROOT),
            Some((Mount { bound: None, .. }, _)) => return Ok(Entry::Missing),
            Some((
                Mount {
                    bound: Some(source), ..
                },
                rest,
            )) => in_mount(source, &rest),
        };
        let examined = found.and_then(|found| {
            let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
            Ok((found, kind))
        });
        match examined {
            Ok((found, FileType::RegularFile)) => {
                reopen(&found).map(Entry::File).map_err(|error| Failure::Image {
                    path: path.to_owned(),
                    error,
                })
            }
            Ok((_, FileType::Directory)) => Ok(Entry::Directory),
            Ok((_, kind)) => Ok(Entry::Other(name(kind))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Entry::Missing),
            Err(Errno::LOOP) => Ok(Entry::Other(
                "a symbolic link that leads in a circle or to a process's own files",
            )),
            Err(Errno::NAMETOOLONG) => Ok(Entry::Other("a name that is too long")),
            Err(error) => Err(failure(path, error)),
        }
    }

    /// Looks at what is at a path of the image where something is to be mounted.
    pub(crate) fn mount_point(&self, path: &Path) -> Result<MountPoint, Failure> {
        let flags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);
        let found = match resolve(&self.root, path, flags) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(MountPoint::Free),
            Err(Errno::LOOP) => return Ok(MountPoint::Taken("a symbolic link")),
            Err(Errno::NOTDIR) => return Ok(MountPoint::Taken("a file in the place of a directory")),
            Err(error) => return Err(failure(path, error)),
        };
        let status = fstat(&found).map_err(|error| failure(path, error))?;
        Ok(match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile if status.st_size == 0 => MountPoint::EmptyFile,
            FileType::RegularFile => MountPoint::Taken("a file"),
            FileType::Directory if is_empty(&found).map_err(|error| failure(path, error))? => {
                MountPoint::EmptyDirectory
            }
            FileType::Directory => MountPoint::Taken("a directory with something in it"),
            kind => MountPoint::Taken(name(kind)),
        })
    }

    /// The last mount whose destination a path is below, and what is left of it.
    fn covering(&self, path: &Path) -> Option<(&Mount, PathBuf)> {
        let path = cleaned(path);
        let mut covering: Option<(&Mount, PathBuf)> = None;
        for mount in &self.mounts {
            let destination = cleaned(&mount.destination);
            if let Ok(rest) = path.strip_prefix(&destination) {
                let is_deeper = covering
                    .as_ref()
                    .is_none_or(|(_, other)| rest.components().count() <= other.components().count());
                if is_deeper {
                    covering = Some((mount, rest.to_owned()));
                }
            }
        }
        covering
    }
}

impl Content {
    /// The whole content, or none if it is longer than `most` bytes.
    pub(crate) fn within(self, most: u64) -> io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        let read = self.0.take(most + 1).read_to_end(&mut content)?;
        Ok((read as u64 <= most).then_some(content))
    }

    /// The first bytes, as many as there are.
    pub(crate) fn beginning(self, most: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.0.take(most).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// What a mount of the node shows: a directory, or one file.
fn in_mount(source: &Path, rest: &Path) -> rustix::io::Result<OwnedFd> {
    if rest.as_os_str().is_empty() {
        return open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    }
    resolve(&directory(CWD, source)?, rest, IN_ROOT)
}

fn directory(from: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        from,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn resolve(root: &OwnedFd, path: &Path, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            found => return found,
        }
    }
}

fn own_link(found: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", found.as_raw_fd())
}

/// Opens to be read what was examined, whatever its name leads to by now.
fn reopen(found: &OwnedFd) -> io::Result<Content> {
    let link = own_link(found);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(Content(open(link, flags, Mode::empty())?.into()))
}

fn is_empty(directory: &OwnedFd) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    for entry in Dir::new(opened)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An absolute path without `.` and `..`, by its text.
pub(crate) fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => _ = clean.pop(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a directory",
        _ => "something that is no file",
    }
}

fn failure(path: &Path, error: Errno) -> Failure {
    Failure::Image {
        path: path.to_owned(),
        error: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn image(root: &Path, mounts: Vec<Mount>) -> Image {
        Image {
            root: directory(CWD, root).expect("the root"),
            mounts,
        }
    }

    fn text(entry: Entry) -> String {
        match entry {
            Entry::File(content) => {
                String::from_utf8(content.within(100).expect("read").expect("short")).expect("text")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn nothing_outside_of_the_root_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, outside) = (folder.path().join("root"), folder.path().join("secret"));
        fs::create_dir_all(root.join("app/deep")).expect("folders");
        fs::write(&outside, "outside").expect("written");
        fs::write(root.join("inside"), "inside").expect("written");
        symlink(&outside, root.join("absolute")).expect("a link");
        symlink("../../../../../../../../secret", root.join("climbing")).expect("a link");
        symlink("/inside", root.join("app/own")).expect("a link");
        symlink("round", root.join("round")).expect("a link");
        symlink("/proc/self/root/etc/passwd", root.join("magic")).expect("a link");
        let fifo = std::process::Command::new("mkfifo")
            .arg(root.join("pipe"))
            .status();
        assert!(fifo.expect("mkfifo").success());
        let image = image(&root, Vec::new());
        let rows = [
            ("/inside", "inside"),
            ("/app/own", "inside"),
            ("/app/deep/../../inside", "inside"),
            ("/../../inside", "inside"),
            ("/../secret", "Missing"),
            ("/absolute", "Missing"),
            ("/climbing", "Missing"),
            ("/magic", "Missing"),
            ("/inside/below", "Missing"),
            ("/app", "Directory"),
            ("/pipe", "Other(\"a pipe\")"),
        ];
        for (path, expected) in rows {
            assert_eq!(text(image.look(Path::new(path)).expect(path)), expected, "{path}");
        }
        let round = image.look(Path::new("/round")).expect("looked at");
        assert!(
            matches!(round, Entry::Other(what) if what.contains("circle")),
            "{round:?}"
        );
    }

    #[test]
    fn a_mount_that_links_lead_elsewhere_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("run/lock")).expect("folders");
        fs::create_dir_all(root.join("proc/self/root/.outport")).expect("folders");
        fs::create_dir_all(root.join("w/x")).expect("folders");
        fs::create_dir_all(root.join("var")).expect("folders");
        fs::create_dir_all(root.join("etc")).expect("folders");
        for (link, to) in [
            ("var/run", "/run"),
            ("var/lock", "../run/lock"),
            ("w/x/y", "/proc/self/root/.outport"),
            ("w/x/own", "/.outport"),
            ("w/climbing", "../../../.outport"),
            ("w/dangling", "/nowhere"),
            ("w/system", "/sys"),
            ("w/round", "round"),
            ("w/twice", "/w/x/own"),
        ] {
            symlink(to, root.join(link)).expect("a link");
        }
        let rows = [
            ("/proc", true),
            ("/etc/hosts", true),
            ("/new/below", true),
            ("/run/lock/x", true),
            ("/var/run/secrets/kubernetes.io/serviceaccount", true),
            ("/var/lock", true),
            ("/w/x/y", false),
            ("/w/x/y/below", false),
            ("/w/x/own", false),
            ("/w/x/own/outport", false),
            ("/w/climbing", false),
            ("/w/dangling", false),
            ("/w/dangling/below", false),
            ("/w/system/fs", false),
            ("/w/round", false),
            ("/w/twice", false),
        ];
        for (path, is_straight) in rows {
            let mount = Mount {
                destination: path.into(),
                bound: None,
            };
            let image = image(root, vec![mount]);
            assert_eq!(image.require_straight_ways().is_ok(), is_straight, "{path}");
        }
    }

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create(folder.path().join("huge")).expect("a file");
        file.set_len(1 << 40).expect("a hole");
        let image = image(folder.path(), Vec::new());
        let Entry::File(content) = image.look(Path::new("/huge")).expect("there") else {
            panic!("a file")
        };
        assert!(content.within(1 << 10).expect("read").is_none());
    }

    #[test]
    fn what_is_mounted_is_looked_for_where_it_is_from() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, volume) = (folder.path().join("root"), folder.path().join("volume"));
        fs::create_dir_all(root.join("app")).expect("folders");
        fs::create_dir_all(volume.join("..2026")).expect("folders");
        fs::write(root.join("app/spin.toml"), "image").expect("written");
        fs::write(volume.join("..2026/spin.toml"), "volume").expect("written");
        symlink("..2026", volume.join("..data")).expect("a link");
        symlink("..data/spin.toml", volume.join("spin.toml")).expect("a link");
        symlink("../root/app/spin.toml", volume.join("out")).expect("a link");
        let mount = |destination: &str, bound: Option<PathBuf>| Mount {
            destination: destination.into(),
            bound,
        };
        let image = image(
            &root,
            vec![
                mount("/app", Some(volume.clone())),
                mount("/one.toml", Some(volume.join("..2026/spin.toml"))),
                mount("/app/cache", None),
            ],
        );
        let rows = [
            ("/app/spin.toml", "volume", false),
            ("/app/./x/../spin.toml", "volume", false),
            ("/one.toml", "volume", false),
            ("/app/out", "Missing", false),
            ("/app/cache/x", "Missing", false),
            ("/app/../app/spin.toml", "volume", false),
            ("/application", "Missing", true),
        ];
        for (path, expected, in_image) in rows {
            let path = Path::new(path);
            let found = text(image.look(path).expect("looked at"));
            assert_eq!(
                (found.as_str(), image.is_in_image(path)),
                (expected, in_image),
                "{path:?}"
            );
        }
    }

    #[test]
    fn a_mount_point_is_free_or_empty_or_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("full/empty")).expect("folders");
        fs::write(root.join("touched"), "").expect("written");
        fs::write(root.join("file"), "x").expect("written");
        symlink("full", root.join("link")).expect("a link");
        let image = image(root, Vec::new());
        let rows = [
            ("/new", MountPoint::Free),
            ("/new/below", MountPoint::Free),
            ("/full/empty", MountPoint::EmptyDirectory),
            ("/touched", MountPoint::EmptyFile),
            ("/full", MountPoint::Taken("a directory with something in it")),
            ("/file", MountPoint::Taken("a file")),
            (
                "/file/below",
                MountPoint::Taken("a file in the place of a directory"),
            ),
            ("/link", MountPoint::Taken("a symbolic link")),
            ("/link/empty", MountPoint::Taken("a symbolic link")),
        ];
        for (path, expected) in rows {
            assert_eq!(
                image.mount_point(Path::new(path)).expect(path),
                expected,
                "{path}"
            );
        }
    }
}
