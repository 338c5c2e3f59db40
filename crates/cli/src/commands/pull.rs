//! `outport pull`: an app or a component from a registry, into the cache or into a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use outport_check::Diagnostic;
use outport_policy::text;
use outport_sources::oci::Reference;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::failure::Failure;
use crate::fetching::ClientArguments;
use crate::load_options::LoadOptions;
use crate::reference_options::{ReferenceOptions, parse};
use crate::terminal::{Terminal, print};

/// Pull an app or a component from a registry.
///
/// Without a directory it gets into the cache, so that it starts at once and with `--offline`. With one it is written
/// there, to be looked at and changed. Standard output gets its digest.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to pull, such as `ghcr.io/me/app:1.0`, perhaps with `@sha256:…`; without tag and digest it is `latest`
    #[arg(value_name = "REFERENCE", value_parser = parse)]
    reference: Reference,

    /// Write it here: a directory that is not there yet, or empty
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,

    #[command(flatten)]
    references: ReferenceOptions,

    #[command(flatten)]
    client: ClientArguments,

    #[command(flatten)]
    loading: LoadOptions,
}

pub(super) fn pull(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    if let Some(directory) = &options.directory {
        check_free(directory)?;
    }
    let Options {
        reference,
        references,
        client,
        loading,
        ..
    } = options;
    let artifact = references.pull(reference, client, loading, terminal)?;
    if let Some(directory) = &options.directory {
        write_out(artifact.folder(), directory).map_err(|error| {
            let shown = text::path(directory);
            Failure::unusable(Diagnostic::error(format!("cannot write to `{shown}`: {error}")))
        })?;
    }
    let digest = artifact.reference.digest().map(ToString::to_string);
    print(&format!("{}\n", digest.unwrap_or_default()))?;
    Ok(0)
}

/// Nothing of somebody is written over.
fn check_free(directory: &Path) -> Result<(), Failure> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_free {
        return Ok(());
    }
    let shown = text::path(directory);
    let error = Diagnostic::error(format!("`{shown}` is there already, and not an empty directory"));
    Err(Failure::unusable(
        error.helped_by("name a directory that is not there yet"),
    ))
}

/// Copies a folder beside its place, and gives it its name when it is whole. A directory that is there already stays the
/// one that it is, which somebody may stand in or a link lead to: what is whole moves into it.
fn write_out(from: &Path, to: &Path) -> io::Result<()> {
    let there = fs::canonicalize(to).ok();
    let parent = match (&there, to.parent()) {
        (Some(there), _) => there,
        (None, Some(parent)) if !parent.as_os_str().is_empty() => parent,
        (None, _) => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    remove_leftovers(parent);
    let new = parent.join(format!("{UNFINISHED}{}", std::process::id()));
    // A name of somebody before us, who was killed.
    let _ = fs::remove_dir_all(&new);
    let copied = copy(from, &new).and_then(|()| match &there {
        Some(there) => move_into(&new, there),
        None => fs::rename(&new, to),
    });
    if copied.is_err() {
        let _ = fs::remove_dir_all(&new);
    }
    copied
}

/// Removes what pulls left behind that were killed. What belongs to a process that runs is left alone, whoever that is now.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
        let process = process.and_then(|number| number.parse::<u32>().ok());
        let process = process.and_then(|number| Pid::from_raw(number.try_into().ok()?));
        let is_gone = process.is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH));
        // Of a link only the link would be removed; but none of ours is one.
        if is_gone && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// As the name of a folder begins that is not whole yet; the process that makes it follows.
const UNFINISHED: &str = ".outport-pull-";

/// Moves all that is in a directory, which is no more then.
fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    fs::remove_dir(from)
}

/// Copies what is in a folder: files and directories, since there is nothing else in one of the cache.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            let mut source = fs::File::open(entry.path())?;
            // With the permissions of new files, not those of the cache.
            let mut target = fs::File::create_new(&place)?;
            io::copy(&mut source, &mut target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_pulls_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // No process has such a number: the kernel's highest is 2^22.
        let names = [
            (".outport-pull-8388607", false),
            (".outport-pull-1", true),
            (".outport-pull-0", true),
            (".outport-pull--5", true),
            (".outport-pull-x", true),
            (".outport-pull-", true),
            ("outport-pull-8388607", true),
            (".outport-pull-83886070000000", true),
        ];
        for (name, _) in names {
            fs::create_dir_all(root.join(name).join("a")).unwrap();
        }
        let own = root.join(format!("{UNFINISHED}{}", std::process::id()));
        fs::create_dir_all(own.join("half")).unwrap();
        fs::write(root.join(".outport-pull-8388606"), "a file").unwrap();
        let from = root.join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("b"), "content").unwrap();
        write_out(&from, &root.join("to")).unwrap();
        for (name, stays) in names {
            assert_eq!(root.join(name).exists(), stays, "{name}");
        }
        assert!(root.join(".outport-pull-8388606").exists() && !own.exists());
        assert_eq!(fs::read(root.join("to/b")).unwrap(), b"content");
        assert!(!root.join("to/half").exists());
    }

    #[test]
    fn an_empty_directory_is_filled_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/b"), "content").unwrap();
        for name in ["new", "new/deep", "empty", "empty2/.", "link"] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path();
            for there in ["empty", "empty2", "real"] {
                fs::create_dir(root.join(there)).unwrap();
            }
            std::os::unix::fs::symlink("real", root.join("link")).unwrap();
            let to = root.join(name);
            assert!(check_free(&to).is_ok(), "{name}");
            write_out(&from, &to).unwrap();
            assert_eq!(fs::read(to.join("a/b")).unwrap(), b"content", "{name}");
            let left = fs::read_dir(&to).unwrap().count();
            assert_eq!(left, 1, "{name}");
        }
    }
}
