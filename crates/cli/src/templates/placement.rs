//! Writing the files of a template: a folder is there as a whole or not at all, and nothing of anybody is written over.
//!
//! All is written into a folder of another name beside its place, or in it where the place is there, and gets its name
//! afterwards. What fails on the way, such as a full disk, leaves nothing behind; who ends the process by force may leave that
//! folder, `.outport-new-` with six characters of chance, which is in nobody's way. Of two processes that write into the same
//! directory the second waits for the first, and finds what that one made.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use outport_check::Diagnostic;
use outport_policy::text;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::Builder;

use crate::failure::Failure;
use crate::templates::Rendered;

/// A place where nothing is yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vacancy {
    /// Nothing of that name.
    Absent,
    /// A directory with nothing in it.
    Empty,
}

/// Fails unless a folder could be written there without touching anything.
pub(crate) fn check_free(folder: &Path) -> Result<(), Failure> {
    vacancy(folder).map(drop)
}

fn vacancy(folder: &Path) -> Result<Vacancy, Failure> {
    let shown = text::path(folder);
    let taken = |what: &str, help: &str| {
        Failure::unusable(Diagnostic::error(format!("`{shown}` {what}")).helped_by(help))
    };
    let kind = match fs::symlink_metadata(folder) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vacancy::Absent),
        Err(error) => return Err(unwritable(folder, &error)),
    };
    if kind.is_symlink() {
        return Err(taken(
            "is a symbolic link",
            "name the directory itself, or another one",
        ));
    }
    if !kind.is_dir() {
        return Err(taken(
            "is there already, and not a directory",
            "`--output DIR` names another place",
        ));
    }
    let mut entries = fs::read_dir(folder).map_err(|error| unwritable(folder, &error))?;
    match entries.next() {
        None => Ok(Vacancy::Empty),
        Some(_) => Err(taken(
            "is there already, and not empty",
            "`--output DIR` names another place, and `outport init` makes an app in a directory that has files",
        )),
    }
}

/// Writes a folder that is not there yet, or empty.
pub(crate) fn write_folder(folder: &Path, files: &[Rendered]) -> Result<(), Failure> {
    let written = match vacancy(folder)? {
        Vacancy::Absent => {
            let parent = parent_of(folder);
            let made = first_missing(parent);
            let written = fs::create_dir_all(parent).and_then(|()| {
                let new = fill_beside(parent, files)?;
                rename(&new, folder).inspect_err(|_| remove(&new))
            });
            if let (Err(_), Some(made)) = (&written, made) {
                remove_empty(parent, &made);
            }
            written
        }
        Vacancy::Empty => {
            let _alone = lock(folder)?;
            // Another one may have been there first.
            vacancy(folder)?;
            move_in(folder, files)
        }
    };
    written.map_err(|error| unwritable(folder, &error))
}

/// Writes into a directory that has files, beside these; what is there already fails, and nothing is written then.
pub(crate) fn write_into(folder: &Path, files: &[Rendered]) -> Result<(), Failure> {
    let _alone = lock(folder)?;
    let taken: Vec<String> = top_level(files)
        .into_iter()
        .filter(|name| fs::symlink_metadata(folder.join(name)).is_ok())
        .map(|name| format!("`{}`", text::path(&name)))
        .collect();
    if taken.is_empty() {
        return move_in(folder, files).map_err(|error| unwritable(folder, &error));
    }
    let verb = if taken.len() == 1 { "is" } else { "are" };
    let error = Diagnostic::error(format!(
        "`{}` has {} already, which {verb} not written over",
        text::path(folder),
        taken.join(", ")
    ));
    Err(Failure::unusable(error.helped_by(
        "move that away, or make the app elsewhere with `outport new`",
    )))
}

/// Waits until no other process of ours changes what is in the directory. It is so until the answer is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File, Failure> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let locked = File::open(folder).and_then(|file| match file.lock() {
        Err(error) if !has_locks(&error) => Ok(file),
        result => result.map(|()| file),
    });
    locked.map_err(|error| {
        let shown = text::path(folder);
        Failure::unusable(Diagnostic::error(format!("cannot lock `{shown}`: {error}")))
    })
}

/// The same, for `time` at most: for who may not be held up by whoever has it.
pub(crate) fn lock_within(folder: &Path, time: Duration) -> io::Result<File> {
    let begun = Instant::now();
    let mut options = File::options();
    let directory = libc::O_DIRECTORY | libc::O_NONBLOCK;
    let file = options.read(true).custom_flags(directory).open(folder)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) if !has_locks(&error) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() < time => thread::sleep(LOOK_AGAIN),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process has it")),
        }
    }
}

/// The time between two looks whether a directory is free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// False if the error says that the file system locks no directory, as some of those in a network.
fn has_locks(error: &io::Error) -> bool {
    let without = [
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::NOLCK,
        Errno::BADF,
        Errno::INVAL,
    ];
    !without
        .iter()
        .any(|errno| Errno::from_io_error(error) == Some(*errno))
}

fn move_in(folder: &Path, files: &[Rendered]) -> io::Result<()> {
    let new = fill_beside(folder, files)?;
    let mut moved = Vec::new();
    let result = top_level(files).into_iter().try_for_each(|name| {
        let place = folder.join(&name);
        rename(&new.join(&name), &place)?;
        moved.push(place);
        Ok(())
    });
    if result.is_err() {
        moved.iter().for_each(|place| remove(place));
    }
    remove(&new);
    result
}

/// The names that are in the folder itself.
fn top_level(files: &[Rendered]) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = files
        .iter()
        .filter_map(|file| file.path.components().next())
        .map(|first| PathBuf::from(first.as_os_str()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A folder of ours in `parent`, with the files.
fn fill_beside(parent: &Path, files: &[Rendered]) -> io::Result<PathBuf> {
    // Open to all whom the umask of the process lets in, as any new folder: it stays.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    let new = Builder::new()
        .prefix(".outport-new-")
        .permissions(all)
        .tempdir_in(parent)?;
    // What fails removes it.
    fill(new.path(), files)?;
    Ok(new.keep())
}

fn fill(folder: &Path, files: &[Rendered]) -> io::Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create_new(&path)?.write_all(file.text.as_bytes())?;
    }
    Ok(())
}

/// Gives a file or folder its name, unless something has it by now.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems have no such thing.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        result => Ok(result?),
    }
}

/// Removes what is ours. What cannot be removed is less of a matter than why it has to be.
pub(crate) fn remove(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let _ = if is_folder {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

fn parent_of(folder: &Path) -> &Path {
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The outermost directory on the way that is not there.
fn first_missing(folder: &Path) -> Option<PathBuf> {
    let missing = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    missing.last().map(Path::to_owned)
}

/// Removes directories that were made on the way, from the innermost one up to `outermost`.
fn remove_empty(innermost: &Path, outermost: &Path) {
    for folder in innermost.ancestors() {
        if fs::remove_dir(folder).is_err() || folder == outermost {
            return;
        }
    }
}

/// The error of a place that cannot be written to.
pub(crate) fn unwritable(place: &Path, error: &io::Error) -> Failure {
    let shown = text::path(place);
    let message = format!("cannot write `{shown}`: {error}");
    match error.kind() {
        // It was not there when it was looked for.
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
            let error = Diagnostic::error(format!(
                "`{shown}` already exists, or what is to be in it: somebody else made it meanwhile"
            ));
            Failure::unusable(error.helped_by("nothing was written; `--output DIR` names another place"))
        }
        // The machine's fault, and not of what was typed.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::Broken(anyhow::anyhow!(message))
        }
        _ => Failure::unusable(Diagnostic::error(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<Rendered> {
        [("a", "1"), ("b/c", "2"), ("b/d/e", "3")]
            .map(|(path, text)| Rendered {
                path: path.into(),
                text: text.to_owned(),
            })
            .to_vec()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_written_where_nothing_is() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        for place in ["new", "deep/er/new", "empty", "empty2/."] {
            if place == "empty2/." {
                fs::create_dir(root.path().join("empty2")).unwrap();
            }
            let folder = root.path().join(place);
            write_folder(&folder, &files()).unwrap();
            assert_eq!(names(&folder), ["a", "b"], "{place}");
            assert_eq!(fs::read_to_string(folder.join("b/d/e")).unwrap(), "3");
        }
        assert_eq!(names(root.path()), ["deep", "empty", "empty2", "new"]);
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("full/b")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::write(root.join("file"), "mine").unwrap();
        std::os::unix::fs::symlink("empty", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        for place in ["full", "file", "link", "dangling", "file/below"] {
            assert!(write_folder(&root.join(place), &files()).is_err(), "{place}");
        }
        assert!(write_into(&root.join("full"), &files()).is_err());
        assert_eq!(names(root), ["dangling", "empty", "file", "full", "link"]);
        assert_eq!(names(&root.join("full")), ["b"]);
        assert!(names(&root.join("full/b")).is_empty() && names(&root.join("empty")).is_empty());
        assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "mine");

        fs::write(root.join("full/other"), "mine").unwrap();
        fs::remove_dir(root.join("full/b")).unwrap();
        write_into(&root.join("full"), &files()).unwrap();
        assert_eq!(names(&root.join("full")), ["a", "b", "other"]);
    }

    /// The words of the failure.
    fn told(result: Result<(), Failure>) -> String {
        match result {
            Err(Failure::Unusable { diagnostics, .. }) => diagnostics[0].message.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_somebody_left_is_in_nobodys_way() {
        let root = tempfile::tempdir().unwrap();
        let own = format!(".outport-new-{}", std::process::id());
        fs::create_dir(root.path().join(&own)).unwrap();
        write_folder(&root.path().join("new"), &files()).unwrap();
        assert_eq!(names(root.path()), [&*own, "new"]);
        let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions();
        assert_eq!(mode("new"), mode(&own));
    }

    #[test]
    fn of_many_at_once_one_writes_and_the_others_say_that_it_is_there() {
        for place in ["absent", "empty", "full"] {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(place);
            if place != "absent" {
                fs::create_dir(&folder).unwrap();
            }
            let start = std::sync::Barrier::new(8);
            let write = || {
                start.wait();
                match place {
                    "full" => write_into(&folder, &files()),
                    _ => write_folder(&folder, &files()),
                }
            };
            let results: Vec<_> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|_| scope.spawn(write)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let (made, not): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
            assert_eq!(made.len(), 1, "{place}");
            for one in not {
                let told = told(one);
                assert!(told.contains("already"), "{place}: {told}");
            }
            assert_eq!(names(&folder), ["a", "b"], "{place}");
            assert_eq!(names(root.path()), [place]);
        }
    }

    #[test]
    fn what_came_meanwhile_is_told_in_words() {
        let error = io::Error::from(Errno::EXIST);
        let told = told(Err(unwritable(Path::new("app"), &error)));
        assert!(told.starts_with("`app` already exists"), "{told}");
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        // A file where a folder should be: writing fails after the first one.
        let mut files = files();
        files.push(Rendered {
            path: "a/b".into(),
            text: String::new(),
        });
        fs::create_dir(root.join("empty")).unwrap();
        for place in ["deep/er/new", "new", "empty"] {
            assert!(write_folder(&root.join(place), &files).is_err(), "{place}");
        }
        assert_eq!(names(root), ["empty"]);
        assert!(names(&root.join("empty")).is_empty());
    }
}
