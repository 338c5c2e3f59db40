//! Entries into a `spin.toml`, by a process that the kernel's sandbox does not hold.
//!
//! The process that runs guests can write to no file of the app. So this one is started before that gives it up, and told the
//! component and the entry; which file it is was said at its start. Whatever it is told it adds one entry that can be read
//! to one list, or nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use outport_check::add_entry;
use outport_policy::{Entry, Location, text};
use outport_runtime::helper::Helper;

use crate::replacement::replace;
use crate::templates::placement::lock_within;

/// The process, and the file that it writes to.
pub(super) struct Writer {
    helper: Helper,
    manifest: String,
}

impl Writer {
    /// Starts it, while this process has one thread.
    pub(super) fn start(manifest: &Path) -> io::Result<Self> {
        let path = manifest.canonicalize()?;
        Ok(Self {
            helper: Helper::start(LONGEST, move |line| answer(add(&path, line)))?,
            manifest: text::path(manifest).to_string(),
        })
    }

    /// The file, as it is shown.
    pub(super) fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Writes an entry into the list of a component.
    ///
    /// # Errors
    ///
    /// Why it is not there.
    pub(super) fn write(&mut self, component: &str, entry: &str) -> Result<(), String> {
        let line = format!("{component}\t{entry}");
        match self.helper.ask(&line) {
            Ok(answer) if answer.is_empty() => Ok(()),
            Ok(why) => Err(why),
            Err(error) => Err(format!("the process that writes is gone: {error}")),
        }
    }
}

/// Bytes of a component and an entry at most.
const LONGEST: usize = 16 * 1024;

/// Nothing, or what went wrong.
fn answer(added: Result<(), String>) -> String {
    added.err().unwrap_or_default()
}

fn add(path: &Path, line: &str) -> Result<(), String> {
    let (component, entry) = line.split_once('\t').ok_or("there is no entry")?;
    Entry::parse(entry, Location::Code).map_err(|error| error.to_string())?;
    // Nobody else of ours changes it meanwhile.
    let folder = path.parent().unwrap_or(Path::new("."));
    let _alone =
        lock_within(folder, LOCK_TIME).map_err(|error| format!("its directory cannot be locked: {error}"))?;
    let before = read(path).map_err(|error| error.to_string())?;
    match add_entry(&before, component, entry).map_err(|error| error.to_string())? {
        Some(after) => replace(path, &after).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// The text of a file. What is no file, such as a pipe that was put in its place, is not waited for.
fn read(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let mut file: File = options.read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The time that another process of ours has to finish what it does in the directory.
const LOCK_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_entry_that_can_be_read_is_added_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        let before = "[component.web]\nallowed_outbound_hosts = [\"https://a.test\"] # why\n";
        fs::write(&path, before).unwrap();
        for wrong in [
            "",
            "web",
            "web\t",
            "web\tno entry",
            "web\t*",
            "other\thttps://b.test",
        ] {
            add(&path, wrong).unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), before, "{wrong}");
        }
        for _ in 0..2 {
            add(&path, "web\thttps://b.test").unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "[component.web]\nallowed_outbound_hosts = [\"https://a.test\", \"https://b.test\"] # why\n"
        );
        fs::remove_file(&path).unwrap();
        assert!(answer(add(&path, "web\thttps://c.test")).contains("No such file"));
    }

    #[test]
    fn nothing_that_is_put_in_the_place_of_the_file_is_waited_for() {
        use rustix::fs::{CWD, Mode, mkfifoat};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(add(&path, "web\thttps://b.test").unwrap_err(), "it is no file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(add(&path, "web\thttps://b.test").unwrap_err(), "it is no file");
        // Nor is another process for long.
        let other = File::open(folder.path()).unwrap();
        other.lock().unwrap();
        let error = add(&path, "web\thttps://b.test").unwrap_err();
        assert!(error.contains("another process"), "{error}");
    }
}
