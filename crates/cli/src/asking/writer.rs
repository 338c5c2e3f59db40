//! Entries into a `spin.toml`, by a process that the kernel's sandbox does not hold.
//!
//! The process that runs guests can write to no file of the app. So this one is started before that gives it up, and told the
//! component and the entry; which file it is was said at its start. Whatever it is told it adds one entry that can be read
//! to one list, or nothing.

use std::fs;
use std::io;
use std::path::Path;

use outport_check::add_entry;
use outport_policy::{Entry, Location, text};
use outport_runtime::helper::Helper;

use crate::replacement::replace;
use crate::templates::placement::lock;

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
    let _alone = lock(folder).map_err(|_| "its directory cannot be locked".to_owned())?;
    let before = fs::read_to_string(path).map_err(|error| error.to_string())?;
    match add_entry(&before, component, entry).map_err(|error| error.to_string())? {
        Some(after) => replace(path, &after).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
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
}
