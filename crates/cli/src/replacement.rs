//! A file that is written anew as a whole: at any moment it holds what it held before or all of what is new.
//!
//! What is new goes into a file beside it, which takes its place once everything is on the disk. Where something fails
//! on the way, such as a full disk, the file is left as it was and the one beside it is removed. A symbolic link stays
//! one: the file that it leads to is replaced. Permissions stay, and so does the owner where that may be said.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::Builder;

/// Replaces what is in the file.
///
/// # Errors
///
/// The file may not be written, or the one beside it cannot be: then nothing was changed.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    // Who may not write the file may not replace it either, whatever the directory permits.
    let before = OpenOptions::new().write(true).open(&path)?;
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // In the same directory, so that it can be renamed, and readable by nobody else. What fails removes it.
    let beside = Builder::new().prefix(".outport-").tempfile_in(parent)?;
    fill(beside.as_file(), text, &before)?;
    beside.persist(&path)?;
    Ok(())
}

/// Makes a file that is not there yet, readable as the process's mask says.
///
/// # Errors
///
/// It is there already, or cannot be written: then there is none.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let mut builder = Builder::new();
    builder.prefix(".outport-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut beside = builder.tempfile_in(parent)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().sync_all()?;
    beside.persist_noclobber(path)?;
    Ok(())
}

fn fill(mut file: &File, text: &str, before: &File) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let before = before.metadata()?;
    #[cfg(unix)]
    keep_owner(file, &before);
    file.set_permissions(before.permissions())?;
    file.sync_all()
}

/// Only root may give files away; those of others become the own, as with any editor.
#[cfg(unix)]
fn keep_owner(file: &File, before: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_another_one_with_the_same_permissions_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let number = fs::metadata(&path).unwrap().ino();
        replace(&path, "after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_ne!(metadata.ino(), number);
        assert_eq!(names(folder.path()), ["spin.toml"]);
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("elsewhere")).unwrap();
        let target = folder.path().join("elsewhere/shop.toml");
        fs::write(&target, "before").unwrap();
        let link = folder.path().join("spin.toml");
        symlink("elsewhere/shop.toml", &link).unwrap();
        replace(&link, "after").unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("elsewhere/shop.toml"));
        assert_eq!(fs::read_to_string(&target).unwrap(), "after");
        assert_eq!(names(&folder.path().join("elsewhere")), ["shop.toml"]);
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        // A directory cannot be written.
        for path in [folder.path(), &folder.path().join("absent")] {
            replace(path, "after").unwrap_err();
        }
        assert_eq!(names(folder.path()).len(), 0);
    }

    #[test]
    fn neither_a_long_name_nor_what_another_process_left_is_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("n".repeat(255));
        fs::write(&long, "before").unwrap();
        fs::write(
            folder.path().join(format!(".spin.toml.{}", std::process::id())),
            "left",
        )
        .unwrap();
        fs::write(folder.path().join("spin.toml"), "before").unwrap();
        for path in [long, folder.path().join("spin.toml")] {
            replace(&path, "after").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        }
        assert_eq!(names(folder.path()).len(), 3);
    }

    #[test]
    fn a_new_file_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        create(&path, "all").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "all");
        let beside = folder.path().join("beside");
        fs::write(&beside, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&path), mode(&beside));
        create(&path, "again").unwrap_err();
        create(&folder.path().join("absent/policy.yaml"), "all").unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "all");
        assert_eq!(names(folder.path()), ["beside", "policy.yaml"]);
    }

    #[test]
    fn a_full_disk_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        fs::write(&path, "before").unwrap();
        let before = File::open(&path).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = fill(&full, "after", &before).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    }
}
