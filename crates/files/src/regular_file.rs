//! Files that somebody names, opened only if they are files.
//!
//! Opening is an act: a pipe waits for its other end, a device may do something, and neither has to end. So what a path
//! leads to is looked at first, and once more after it was opened, without waiting, should something else be there by
//! then.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens the file at `path` for reading. Symbolic links are followed.
///
/// # Errors
///
/// What the system says, or of the kind [`InvalidInput`](io::ErrorKind::InvalidInput), whose text says what it is,
/// when it is not a file.
pub fn open(path: &Path) -> io::Result<File> {
    look_and_open(path)?
        .map_err(|what| io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

/// Opens the file at `path` for reading, where there is one; none if nothing is there, or what is there is no file. Symbolic
/// links are followed.
///
/// # Errors
///
/// What the system says of a file that is there.
pub fn find(path: &Path) -> io::Result<Option<File>> {
    match look_and_open(path) {
        Ok(found) => Ok(found.ok()),
        // A file where a directory should be is nothing that is there, either.
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True if the system says that nothing is at a path.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Opens what an operator names for reading: a file, a device, or a pipe that the process was handed (`<(…)` in a
/// shell, `/dev/stdin`). A pipe with a name of its own is refused, since its other end may never be opened.
///
/// # Errors
///
/// As for [`open`].
pub fn open_or_handed(path: &Path) -> io::Result<File> {
    let handed = HANDED.iter().any(|place| path.starts_with(place));
    let kind = std::fs::metadata(path)?.file_type();
    let device = kind.is_char_device() || kind.is_block_device();
    // A pipe that a shell hands over, `<(…)`, is meant to be read; one that lies around is not.
    if device || (handed && kind.is_fifo()) {
        File::open(path)
    } else {
        open(path)
    }
}

/// The paths where a process finds what it was handed.
const HANDED: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/dev/stdin"];

/// The file at `path`, or what it is instead.
fn look_and_open(path: &Path) -> io::Result<Result<File, &'static str>> {
    if let Some(what) = describe(std::fs::metadata(path)?.file_type()) {
        return Ok(Err(what));
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    Ok(match describe(file.metadata()?.file_type()) {
        None => Ok(file),
        Some(what) => Err(what),
    })
}

/// The kind of file that it is, unless it is a plain one.
fn describe(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        Some("something else")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    // proves: ISO-7
    #[test]
    fn what_is_no_file_is_refused_by_what_it_is_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        std::os::unix::fs::symlink("loop", path("loop")).unwrap();
        std::fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("good")).unwrap();
        let rows = [
            (path("pipe"), "it is a pipe, not a file"),
            (path("link"), "it is a pipe, not a file"),
            (path("socket"), "it is a socket, not a file"),
            (path(""), "it is a directory, not a file"),
            ("/dev/zero".into(), "it is a device, not a file"),
            ("/dev/tty".into(), "it is a device, not a file"),
        ];
        for (path, message) in rows {
            let error = open(&path).expect_err("it is not a file");
            assert_eq!(error.to_string(), message, "{}", path.display());
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(find(&path).unwrap().is_none(), "{}", path.display());
        }
        open(&path("loop")).expect_err("it leads nowhere");
        find(&path("loop")).expect_err("something is there");
        for name in ["absent", "file/below"] {
            assert!(find(&path(name)).unwrap().is_none(), "{name}");
            assert!(is_missing(&open(&path(name)).expect_err(name)), "{name}");
        }
        for name in ["file", "good"] {
            open(&path(name)).expect(name);
            find(&path(name)).unwrap().expect(name);
            open_or_handed(&path(name)).expect(name);
        }
        for name in ["pipe", "link", "socket", ""] {
            let error = open_or_handed(&path(name)).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_pipe_that_was_handed_over_is_read() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        drop(writer);
        for place in ["/dev/fd", "/proc/self/fd"] {
            let path = format!("{place}/{}", reader.as_raw_fd());
            open_or_handed(Path::new(&path)).expect("it is not a pipe of somebody else");
        }
        let mut text = String::new();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let mut file = open_or_handed(Path::new(&path)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        open_or_handed(Path::new("/dev/null")).expect("a device has an end or a limit");
    }
}
