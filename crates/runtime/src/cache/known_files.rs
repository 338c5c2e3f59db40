//! The hashes of what files hold, remembered by what the file system says of them: a start that finds compiled code
//! need not read the component, which for a large one takes longer than all the rest.
//!
//! ```text
//! device, inode ────────────────────────────────────── name of the note
//! length, time of modification, time of change ┬ as in the note: the hash in the note
//!                                              └ otherwise: read the file, hash it, write the note
//! ```
//!
//! The notes lie beside the compiled code, in the [`PrivateDirectory`](super::directory::PrivateDirectory). A note only
//! ever says which code to *look for*: code is filed under the hash of the bytes that it was compiled from, never under
//! a hash out of a note. So a note that is wrong runs an earlier content of the same file, the content that the note's
//! hash stands for, and nothing else; a digest in a manifest is compared with that same hash.
//!
//! No program can set the time of change, and every write sets it, with two exceptions: two writes within one grain of
//! the clock, and writes through a mapping, which the system notices only when it first writes the page back. Hence a
//! file is [`settled`](Seen::is_settled) before there is a note of it, which leaves time for both.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::content_hash::ContentHash;
use super::filing::Filing;
use super::notes::{ENDING, LONGEST_NOTE};

/// The content of `file`, which is open at its beginning: out of a note in `notes`, or read to its end.
pub(super) fn content_of(file: &mut File, notes: Filing<'_>, now: SystemTime) -> io::Result<ContentHash> {
    let seen = Seen::of(&file.metadata()?);
    if let Some(content) = seen.recall(notes) {
        return Ok(content);
    }
    let content = ContentHash::of_file(file)?;
    // Somebody may have written while it was read: then the hash is of no state of the file.
    if seen == Seen::of(&file.metadata()?)
        && seen.is_settled(now)
        && let Err(error) = seen.note(&content, notes)
    {
        tracing::debug!(%error, "the hash of a component was not kept");
    }
    Ok(content)
}

/// A plain file as the file system describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Moment,
    changed: Moment,
}

/// Seconds and nanoseconds since 1970.
type Moment = (i64, i64);

impl Seen {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// The hash in the note of the file, if the note is about the file as it is now.
    fn recall(&self, notes: Filing<'_>) -> Option<ContentHash> {
        let name = self.name();
        let mut note = notes.directory.open_file(&name).ok()??;
        let mut text = String::new();
        note.by_ref().take(LONGEST_NOTE).read_to_string(&mut text).ok()?;
        let content = ContentHash::parse(text.strip_prefix(&self.heading())?.strip_suffix('\n')?)?;
        notes.mark_used(&name, &note);
        Some(content)
    }

    fn note(&self, content: &ContentHash, notes: Filing<'_>) -> io::Result<()> {
        let text = format!("{}{}\n", self.heading(), content.hex());
        notes.note(&self.name(), &text)
    }

    /// True if the last change is [`SETTLING`] ago.
    fn is_settled(&self, now: SystemTime) -> bool {
        let ago = |(seconds, _): Moment| {
            let then =
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))?;
            now.duration_since(then).ok()
        };
        [self.modified, self.changed]
            .into_iter()
            .all(|moment| ago(moment).is_some_and(|ago| ago > SETTLING))
    }

    fn name(&self) -> String {
        format!("{:x}-{:x}{ENDING}", self.device, self.inode)
    }

    /// The beginning of a note: all that must not have changed. The hash follows.
    fn heading(&self) -> String {
        let ((modified, modified_nanos), (changed, changed_nanos)) = (self.modified, self.changed);
        format!(
            "{} {modified}.{modified_nanos} {changed}.{changed_nanos} ",
            self.bytes
        )
    }
}

/// The time for which a file has to be left alone. Linux writes a page that was changed through a mapping back after
/// half a minute at the latest, and then notices the next change.
const SETTLING: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek, Write};
    use std::path::{Path, PathBuf};

    use super::super::directory::PrivateDirectory;
    use super::*;

    const LATER: Duration = Duration::from_secs(120);

    struct Scene {
        _folder: tempfile::TempDir,
        file: PathBuf,
        notes: PrivateDirectory,
        directory: PathBuf,
    }

    fn scene() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("notes");
        let file = folder.path().join("component.wasm");
        fs::write(&file, "one").unwrap();
        let notes = PrivateDirectory::open(&directory).unwrap();
        Scene {
            _folder: folder,
            file,
            notes,
            directory,
        }
    }

    impl Scene {
        fn content(&self, later: Duration) -> ContentHash {
            let mut file = File::open(&self.file).unwrap();
            content_of(&mut file, Filing::here(&self.notes), SystemTime::now() + later).unwrap()
        }

        fn notes(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(&self.directory).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        }

        fn recalled(&self) -> Option<ContentHash> {
            Seen::of(&fs::metadata(&self.file).unwrap()).recall(Filing::here(&self.notes))
        }
    }

    /// Writes other bytes of the same length, and sets the time of modification back, as a program can.
    fn change_in_secret(path: &Path) {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(path).unwrap();
        // The clock of the file system moves in grains of some milliseconds.
        std::thread::sleep(Duration::from_millis(20));
        file.write_all(b"two").unwrap();
        file.set_modified(modified).unwrap();
    }

    #[test]
    fn a_settled_file_is_read_once() {
        let scene = scene();
        assert_eq!(scene.content(LATER), ContentHash::of(b"one"));
        assert_eq!(scene.recalled(), Some(ContentHash::of(b"one")));
        assert_eq!(scene.content(LATER), ContentHash::of(b"one"));
        let mut unread = File::open(&scene.file).unwrap();
        content_of(&mut unread, Filing::here(&scene.notes), SystemTime::now()).unwrap();
        assert_eq!(unread.stream_position().unwrap(), 0, "the file was read");
    }

    #[test]
    fn a_file_that_was_changed_lately_is_read_every_time() {
        let scene = scene();
        for later in [Duration::ZERO, Duration::from_secs(50)] {
            assert_eq!(scene.content(later), ContentHash::of(b"one"));
            assert_eq!(scene.notes(), Vec::<PathBuf>::new(), "{later:?}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_also_when_its_length_and_time_of_modification_are_as_before() {
        let scene = scene();
        scene.content(LATER);
        change_in_secret(&scene.file);
        assert_eq!(scene.recalled(), None);
        assert_eq!(scene.content(LATER), ContentHash::of(b"two"));
        assert_eq!(scene.recalled(), Some(ContentHash::of(b"two")));
    }

    #[test]
    fn a_file_in_the_place_of_another_is_read() {
        let scene = scene();
        scene.content(LATER);
        let other = scene.file.with_extension("new");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &scene.file).unwrap();
        assert_eq!(scene.recalled(), None);
        assert_eq!(scene.content(LATER), ContentHash::of(b"two"));
    }

    #[test]
    fn a_note_that_is_broken_is_written_anew() {
        let scene = scene();
        scene.content(LATER);
        let [note] = scene.notes().try_into().expect("one note");
        let whole = fs::read_to_string(&note).unwrap();
        let upper = whole.to_uppercase();
        let long = "x".repeat(1 << 20);
        for broken in [
            "",
            "\n",
            &whole[..whole.len() - 1],
            &whole[..whole.len() - 2],
            &upper,
            &long,
        ] {
            fs::write(&note, broken).unwrap();
            assert_eq!(scene.recalled(), None, "{:?}", &broken[..broken.len().min(200)]);
            assert_eq!(scene.content(LATER), ContentHash::of(b"one"));
            assert_eq!(fs::read_to_string(&note).unwrap(), whole);
        }
    }
}
