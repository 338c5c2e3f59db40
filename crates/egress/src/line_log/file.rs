//! The file of a log: opened only if it is one, and opened again when it was moved away.
//!
//! Whoever rotates logs renames the file and makes a new one, or leaves that to us; or copies the file and cuts it off.
//! Before anything is written the path is looked at: where it leads to another file, or to none, it is opened again. So
//! nothing has to be told, and nothing is written to a file that nobody finds. Where it cannot be opened again what is
//! written still goes to the old file as long as that has a name somewhere. Once it has none, nothing can be written.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use outport_policy::text;

use super::error::LogError;
use super::trouble::Trouble;
use super::{Likeness, LogKind};

/// The file of a log, open to append to.
#[derive(Debug)]
pub struct LogFile {
    kind: &'static LogKind,
    /// As it was written, for messages.
    written: PathBuf,
    path: PathBuf,
    file: File,
    /// None where it is not a plain file: a pipe or a device is nothing to rotate.
    rotated: Option<Rotated>,
    /// The real path of the log's directory.
    directory: Option<PathBuf>,
}

#[derive(Debug)]
struct Rotated {
    file_id: FileId,
    /// The failure to open the file again; the log goes on in the old one.
    trouble: Trouble,
}

/// The state of a log after it was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// In the same file as before.
    Here,
    /// In a file that was opened just now.
    Anew,
    /// In the file that was at its path before, and has another name now.
    Elsewhere,
}

/// The device and inode, which tell one file from another.
type FileId = (u64, u64);

impl LogFile {
    /// Opens the file at `written`, which is made if there is none. On Unix a new file can be read by its
    /// owner only, since it tells who talks to whom. A last line that was cut off, when a disk was full or a
    /// process was killed, is ended first, so that the next one stands for itself.
    ///
    /// A named pipe (on Linux) is opened whether or not somebody reads it, and stays open when its reader leaves for
    /// another one to come. While nobody reads it, it cannot be written to.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing, or has something in it that is not such a log.
    pub fn open(kind: &'static LogKind, written: &Path) -> Result<Self, LogError> {
        // A process may change its directory.
        let path = std::path::absolute(written).unwrap_or_else(|_| written.to_owned());
        let file = open(kind, &path, written)?;
        let plain = file.metadata().ok().filter(Metadata::is_file);
        let rotated = plain.map(|file| Rotated {
            file_id: file_id(&file),
            trouble: Trouble::default(),
        });
        let real = path.canonicalize().ok().filter(|_| rotated.is_some());
        Ok(Self {
            kind,
            directory: real.and_then(|path| path.parent().map(Path::to_owned)),
            written: written.to_owned(),
            path,
            file,
            rotated,
        })
    }

    /// The kind of log that it is.
    pub(super) fn kind(&self) -> &'static LogKind {
        self.kind
    }

    /// The directory in which the log may be made anew; none where it is not a plain file.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// True if `path` leads to the same file, and that is a plain one.
    pub fn is_at(&self, path: &Path) -> bool {
        let there = std::fs::metadata(path);
        let rotated = self.rotated.as_ref();
        there.is_ok_and(|there| rotated.is_some_and(|own| own.file_id == file_id(&there)))
    }

    /// Opens it again if the path leads to another file now, or to none. Answers the bytes that the file has, if it is
    /// a plain one.
    ///
    /// # Errors
    ///
    /// It cannot be opened, and what was open has no name any more: nobody would find what is written there.
    pub(super) fn renew(&mut self) -> Result<(Option<u64>, Found), LogError> {
        let Some(rotated) = &mut self.rotated else {
            return Ok((None, Found::Here));
        };
        if let Ok(now) = std::fs::metadata(&self.path)
            && file_id(&now) == rotated.file_id
        {
            rotated.trouble.over();
            return Ok((Some(now.len()), Found::Here));
        }
        let opened = for_a_file(self.kind, &self.path, &self.written).and_then(|()| {
            let file = open(self.kind, &self.path, &self.written)?;
            let there = file
                .metadata()
                .map_err(|error| cannot_open(self.kind, &self.written, error))?;
            Ok((there, file))
        });
        // It could be opened once. What has changed since is its directory, or that the process shut itself in.
        let opened = opened.map_err(|error| match error {
            LogError::Open { log, path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                LogError::Shut { log, path, source }
            }
            error => error,
        });
        match opened {
            Ok((there, file)) => {
                self.file = file;
                rotated.file_id = file_id(&there);
                rotated.trouble.over();
                Ok((Some(there.len()), Found::Anew))
            }
            Err(error) => match self.file.metadata() {
                Ok(old) if has_name(&old) => {
                    let error = error.to_string();
                    if rotated.trouble.is_due(&error, Instant::now()) {
                        tracing::error!(
                            "{error}; the log goes on in the file that was at `{}` before",
                            text::path(&self.written)
                        );
                    }
                    Ok((Some(old.len()), Found::Elsewhere))
                }
                _ => Err(error),
            },
        }
    }

    /// Lets trouble that was told be told again.
    pub(super) fn forget_trouble(&mut self) {
        if let Some(rotated) = &mut self.rotated {
            rotated.trouble.over();
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), "nobody reads the pipe"),
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(kind: &'static LogKind, path: &Path, written: &Path) -> Result<File, LogError> {
    match end_of_log(kind, path) {
        Ok(cut_off) => open_at(path, cut_off).map_err(|error| cannot_open(kind, written, error)),
        Err(End::IsAnother) => Err(LogError::Another {
            log: kind.name,
            path: written.to_owned(),
            recognised_by: kind.recognised_by,
        }),
        Err(End::Failed(error)) => Err(cannot_open(kind, written, error)),
    }
}

/// Refuses all but a plain file where a plain file was: a pipe may never be read, and holds up who writes to it.
fn for_a_file(kind: &LogKind, path: &Path, written: &Path) -> Result<(), LogError> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            let error = io::Error::other("it was a file and no longer is one");
            Err(cannot_open(kind, written, error))
        }
        _ => Ok(()),
    }
}

fn cannot_open(kind: &LogKind, written: &Path, source: io::Error) -> LogError {
    LogError::Open {
        log: kind.name,
        path: written.to_owned(),
        source,
    }
}

fn open_at(path: &Path, cut_off: bool) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true);
    // Who talks to whom is nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = if is_pipe(path) {
        // To open a pipe to write waits for a reader, which whoever opens it both ways is (fifo(7)). That one is closed
        // again, or lines that nobody reads would count as written. One that may not be read is waited for.
        let _reader = options.clone().read(true).open(path);
        options.open(path)?
    } else {
        options.open(path)?
    };
    if cut_off {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// The reason why there is no log to go on with.
enum End {
    IsAnother,
    Failed(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// True if there is a log whose last line was cut off. A file that has something else in it is another one: neither its
/// first line nor its last whole one begins as all lines of a log do.
fn end_of_log(kind: &LogKind, path: &Path) -> Result<bool, End> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_file() && there.len() > 0 => {}
        _ => return Ok(false),
    }
    let mut file = match File::open(path) {
        // A log that may be written and not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        opened => opened?,
    };
    let mut first = Vec::new();
    (&mut file).take(FIRST_PART).read_to_end(&mut first)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_PART)))?;
    let mut last = Vec::new();
    (&mut file).take(LAST_PART).read_to_end(&mut last)?;
    let mut lines = last.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let looks_like = |line: &[u8]| (kind.recognise)(line);
    let is_first = match first.iter().position(|byte| *byte == b'\n') {
        Some(end) => looks_like(&first[..end]) == Likeness::Line,
        // Of the only line there may be no more than its beginning.
        None => looks_like(&first) != Likeness::Other,
    };
    let is_log = is_first || lines.any(|line| looks_like(line) == Likeness::Line);
    if is_log {
        Ok(last.last().is_some_and(|byte| *byte != b'\n'))
    } else {
        Err(End::IsAnother)
    }
}

/// Bytes in which the beginning of the first line is looked for.
const FIRST_PART: u64 = 256;

/// Bytes in which the last line is looked for.
const LAST_PART: u64 = 64 * 1024;

/// True if there is a named pipe.
fn is_pipe(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::FileTypeExt;
        std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

fn has_name(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.nlink() > 0
}

fn file_id(file: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::super::super::AUDIT_LOG;
    use super::*;

    #[test]
    fn a_file_that_is_no_log_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let rows: [(&[u8], Option<&[u8]>); 10] = [
            (b"", Some(b"")),
            (b"{\"ts\":1}\n", Some(b"{\"ts\":1}\n")),
            (b"{\"ts\":1}\n{\"t", Some(b"{\"ts\":1}\n{\"t\n")),
            (b"{\"t", Some(b"{\"t\n")),
            (
                b"# cut by hand\n{\"ts\":1}\n",
                Some(b"# cut by hand\n{\"ts\":1}\n"),
            ),
            (b"spin_manifest_version = 2\n", None),
            (b"{\"name\": \"package\"}\n", None),
            (b"\x7fELF\x02\x01\x01\0\0", None),
            (b"\n", None),
            (b"{\n  \"ts\": 1\n}\n", None),
        ];
        for (before, expected) in rows {
            std::fs::write(&path, before).unwrap();
            let opened = LogFile::open(&AUDIT_LOG, &path).map(drop);
            assert_eq!(opened.is_ok(), expected.is_some(), "{before:?}");
            assert_eq!(
                std::fs::read(&path).unwrap(),
                expected.unwrap_or(before),
                "{before:?}"
            );
        }
        std::fs::write(&path, "other").unwrap();
        let error = LogFile::open(&AUDIT_LOG, &path).unwrap_err().to_string();
        assert!(error.contains("is not an audit log"), "{error}");
    }

    // proves: RSN-6
    #[test]
    fn a_log_that_was_moved_removed_or_cut_goes_on_at_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut log = LogFile::open(&AUDIT_LOG, &path).unwrap();
        assert_eq!(log.directory().unwrap(), folder.path().canonicalize().unwrap());
        let mut put = |line: &str| {
            let (length, _) = log.renew().unwrap();
            log.write_all(line.as_bytes()).unwrap();
            length
        };
        assert_eq!(put("{\"ts\":1}\n"), Some(0));
        std::fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
        assert_eq!(put("{\"ts\":2}\n"), Some(0));
        assert_eq!(put("{\"ts\":3}\n"), Some(9));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(put("{\"ts\":4}\n"), Some(0));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        assert_eq!(put("{\"ts\":5}\n"), Some(0));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("audit.jsonl.1"), "{\"ts\":1}\n");
        assert_eq!(read("audit.jsonl"), "{\"ts\":5}\n");

        // Another file in its place is not written to, and nothing is lost.
        std::fs::rename(&path, folder.path().join("audit.jsonl.2")).unwrap();
        std::fs::write(&path, "something else\n").unwrap();
        put("{\"ts\":6}\n");
        assert_eq!(read("audit.jsonl"), "something else\n");
        assert_eq!(read("audit.jsonl.2"), "{\"ts\":5}\n{\"ts\":6}\n");
        assert_eq!(log.renew().unwrap().1, Found::Elsewhere);

        // Neither is a pipe, which would hold up who writes to it, nor a directory.
        std::fs::remove_file(&path).unwrap();
        for kind in ["pipe", "directory"] {
            match kind {
                "pipe" => rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &path,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                    0,
                )
                .unwrap(),
                _ => std::fs::create_dir(&path).unwrap(),
            }
            assert_eq!(log.renew().unwrap().1, Found::Elsewhere, "{kind}");
            std::fs::remove_file(&path)
                .or_else(|_| std::fs::remove_dir(&path))
                .unwrap();
        }
        std::fs::write(&path, "something else\n").unwrap();

        // Once nobody can find it, it is none.
        std::fs::remove_file(folder.path().join("audit.jsonl.2")).unwrap();
        assert!(log.renew().is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(log.renew().unwrap(), (Some(0), Found::Anew));
        assert_eq!(log.renew().unwrap(), (Some(0), Found::Here));
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(log.renew().is_err());
        std::fs::create_dir(folder.path()).unwrap();
        assert_eq!(log.renew().unwrap(), (Some(0), Found::Anew));
    }

    // proves: RSN-6
    #[cfg(target_os = "linux")]
    #[test]
    fn a_named_pipe_takes_lines_while_somebody_reads_it() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut log = LogFile::open(&AUDIT_LOG, &path).unwrap();
        for _ in 0..2 {
            let error = log.write(b"line\n").unwrap_err();
            assert_eq!(error.to_string(), "nobody reads the pipe");
            let mut reader = File::open(&path).unwrap();
            assert_eq!(log.write(b"line\n").unwrap(), 5);
            let mut line = [0; 5];
            reader.read_exact(&mut line).unwrap();
            assert_eq!(&line, b"line\n");
        }
    }
}
