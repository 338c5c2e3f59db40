//! What the files that are watched say: a look at all of them, to be compared with the one before.
//!
//! Events only say when to look ([`Notifier`]). What counts is what the files say then: so a file that was replaced by another,
//! one that was written twice, or one that says the same again make no difference, and an event that was lost makes none for
//! long. A file is read again only if what the system says of it has changed, or had changed so lately that it may have
//! changed once more within the same tick of the clock.
//!
//! A look is bounded: [`MOST_FILES`] files, [`MOST_ENTRIES`] names in directories, [`MOST_BYTES`] that are read; of what is
//! beyond, files are compared by what the system says of them. It ends early where somebody has asked the watcher to stop. A directory is watched before it is read, so
//! that what comes between the two is not missed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outport_files::regular_file;
use outport_policy::text;
use rustix::fs::FileType;
use sha2::{Digest as _, Sha256};

use super::notifier::Notifier;
use super::places::{Owner, Place, Places, is_left_out};

/// What a file says, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

/// Files, and what each says.
pub(super) type Contents = BTreeMap<PathBuf, Digest>;

/// What was seen in a look, by whom it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<Owner, Contents>);

impl Seen {
    /// The files of an owner.
    pub(super) fn of(&self, owner: &Owner) -> Contents {
        self.0.get(owner).cloned().unwrap_or_default()
    }

    pub(super) fn files(&self) -> usize {
        let paths: HashSet<&PathBuf> = self.0.values().flat_map(BTreeMap::keys).collect();
        paths.len()
    }

    /// The files that say something else than in an earlier look, or are in only one of the two.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<PathBuf> {
        let owners: HashSet<&Owner> = self.0.keys().chain(before.0.keys()).collect();
        let changed = owners
            .into_iter()
            .flat_map(|owner| difference(&before.of(owner), &self.of(owner)));
        let mut changed: Vec<PathBuf> = changed.collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

/// The files that say something else, or are only on one side.
pub(super) fn difference(before: &Contents, now: &Contents) -> Vec<PathBuf> {
    let changed = now
        .iter()
        .filter(|(path, digest)| before.get(*path) != Some(digest));
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    changed.map(|(path, _)| path).chain(gone).cloned().collect()
}

/// Looks, and remembers what it read.
#[derive(Debug, Default)]
pub(super) struct Looker {
    known: HashMap<PathBuf, Known>,
    told_of_bounds: bool,
    /// Files that were written since the look before, whatever they say.
    pub(super) touched: Vec<PathBuf>,
    /// The files that this process writes what it says to.
    pub(super) own_output: Vec<(u64, u64)>,
    /// Set by who wants the look under way to end.
    pub(super) hurry: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    state: State,
    digest: Digest,
    /// True if the file cannot have changed since without another time.
    is_settled: bool,
    /// True if the digest is of the state, and not of what the file says.
    is_by_state: bool,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    place: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(file: &Metadata) -> Self {
        Self {
            place: (file.dev(), file.ino()),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    fn digest(&self) -> Digest {
        Digest(Sha256::digest(format!("{self:?}")).into())
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(self.changed.0.try_into().unwrap_or_default());
        now.saturating_sub(changed) > SETTLED
    }
}

/// One look under way.
struct Look<'l> {
    looker: &'l mut Looker,
    notifier: &'l mut Notifier,
    places: &'l Places,
    seen: Seen,
    files: usize,
    entries: usize,
    /// Bytes that may still be read.
    bytes: u64,
    /// A file that this process writes what it says to, if there is one.
    own_output: Option<PathBuf>,
}

impl Looker {
    /// One for this process, which leaves out the files that its standard output and standard error lead to: each look says
    /// something, and would be the reason of the next.
    pub(super) fn of_this_process() -> Self {
        let place = |stream: BorrowedFd<'_>| {
            let status = rustix::fs::fstat(stream).ok()?;
            let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
            is_file.then_some((status.st_dev, status.st_ino))
        };
        let streams = [place(io::stdout().as_fd()), place(io::stderr().as_fd())];
        Self {
            own_output: streams.into_iter().flatten().collect(),
            ..Self::default()
        }
    }

    /// True if the look was, or would be, ended early.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurry.load(Ordering::Relaxed)
    }

    /// Looks at all places. What is worth saying is put to `remarks`.
    pub(super) fn look(
        &mut self,
        places: &Places,
        notifier: &mut Notifier,
        remarks: &mut Vec<String>,
    ) -> Seen {
        notifier.begin(places);
        self.touched.clear();
        let mut look = Look {
            looker: self,
            notifier,
            places,
            seen: Seen::default(),
            files: 0,
            entries: 0,
            bytes: MOST_BYTES,
            own_output: None,
        };
        for (owner, place) in &places.all {
            look.notifier.watch_way_to(&place.base);
            look.visit(
                &place.base.clone(),
                place.depth,
                owner,
                place,
                &mut HashSet::new(),
            );
        }
        let (seen, is_too_much) = (look.seen, look.files > MOST_FILES || look.entries > MOST_ENTRIES);
        if let Some(path) = look.own_output {
            remarks.push(format!(
                "{} is what Outport itself writes to, and is not watched",
                text::path(&path)
            ));
        }
        notifier.end(remarks);
        if is_too_much && !std::mem::replace(&mut self.told_of_bounds, true) {
            remarks.push(format!(
                "there is more to watch than {MOST_FILES} files or {MOST_ENTRIES} names in directories, and the rest is not \
                 watched: narrow `build.watch`"
            ));
        }
        let paths: HashSet<&PathBuf> = seen.0.values().flat_map(BTreeMap::keys).collect();
        self.known.retain(|path, _| paths.contains(path));
        seen
    }
}

impl Look<'_> {
    fn visit(
        &mut self,
        path: &Path,
        depth: Option<usize>,
        owner: &Owner,
        place: &Place,
        above: &mut HashSet<(u64, u64)>,
    ) {
        self.entries += 1;
        if self.entries > MOST_ENTRIES || self.files > MOST_FILES || self.looker.is_hurried() {
            return;
        }
        let Ok(found) = fs::metadata(path) else { return };
        if found.is_file() {
            if place.matches(path) && self.places.counts(owner, path) {
                if self.looker.own_output.contains(&(found.dev(), found.ino())) {
                    self.own_output = Some(path.to_owned());
                    return;
                }
                self.record(path, &found, owner);
            }
            return;
        }
        // A link may lead to where it is.
        if !found.is_dir() || !above.insert((found.dev(), found.ino())) {
            return;
        }
        self.notifier.watch(path);
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if is_left_out(&entry.file_name()) {
                continue;
            }
            let is_dir = || entry.file_type().is_ok_and(|kind| !kind.is_file());
            match depth {
                Some(0) if is_dir() && !entry.path().is_file() => {}
                _ => self.visit(
                    &entry.path(),
                    depth.map(|depth| depth.saturating_sub(1)),
                    owner,
                    place,
                    above,
                ),
            }
        }
        above.remove(&(found.dev(), found.ino()));
    }

    fn record(&mut self, path: &Path, found: &Metadata, owner: &Owner) {
        self.files += 1;
        // What is behind a link changes elsewhere.
        if fs::symlink_metadata(path).is_ok_and(|own| own.is_symlink())
            && let Ok(real) = path.canonicalize()
        {
            self.notifier.watch_way_to(&real);
        }
        let digest = self.digest(path, found);
        let contents = self.seen.0.entry(owner.clone()).or_default();
        contents.insert(path.to_owned(), digest);
    }

    fn digest(&mut self, path: &Path, found: &Metadata) -> Digest {
        let state = State::of(found);
        let before = self.looker.known.get(path).copied();
        let known_now = before.filter(|known| known.state == state);
        if let Some(known) = known_now
            && (known.is_settled || known.is_by_state)
        {
            return known.digest;
        }
        if before.is_some() && known_now.is_none() {
            self.looker.touched.push(path.to_owned());
        }
        let is_by_state = state.length > LONGEST.min(self.bytes);
        let digest = if is_by_state {
            state.digest()
        } else {
            self.bytes -= state.length;
            hash(path, &self.looker.hurry).unwrap_or_else(|error| {
                // A file that may not be read is another one when it may be.
                Digest(Sha256::digest(error.kind().to_string()).into())
            })
        };
        let known = Known {
            state,
            digest,
            is_settled: state.is_settled(),
            is_by_state,
        };
        // What was not read to its end is read the next time.
        if !self.looker.is_hurried() {
            self.looker.known.insert(path.to_owned(), known);
        }
        digest
    }
}

/// The hash of what a file says.
fn hash(path: &Path, hurry: &AtomicBool) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut file: File = regular_file::open(path)?;
    let mut piece = vec![0; 64 * 1024];
    let mut left = LONGEST;
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 || left == 0 || hurry.load(Ordering::Relaxed) {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(&piece[..length]);
        left = left.saturating_sub(length as u64);
    }
}

/// Files that are watched at most.
pub(super) const MOST_FILES: usize = 20_000;

/// Names in directories that are looked at.
pub(super) const MOST_ENTRIES: usize = 200_000;

/// Bytes of a file that is compared by what it says.
const LONGEST: u64 = 64 << 20;

/// Bytes that are read in one look.
const MOST_BYTES: u64 = 256 << 20;

/// The time after which a file that says something else has another time, too.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(looker: &mut Looker, places: &Places) -> Seen {
        let mut notifier = Notifier::that_polls();
        looker.look(places, &mut notifier, &mut Vec::new())
    }

    fn names(seen: &Seen, folder: &Path) -> Vec<String> {
        let files = seen.of(&Owner::App);
        let names = files
            .keys()
            .map(|path| path.strip_prefix(folder).unwrap().display().to_string());
        names.collect()
    }

    fn places(folder: &Path, patterns: &[&str]) -> Places {
        let mut places = Places::default();
        let patterns = patterns.iter();
        places.all = patterns
            .map(|pattern| (Owner::App, Place::pattern(folder, pattern).unwrap()))
            .collect();
        places
    }

    #[test]
    fn what_matches_is_found_and_what_tools_keep_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["src/a", "src/target", "src/node_modules/x"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in [
            "src/lib.rs",
            "src/a/b.rs",
            "src/a/b.rs~",
            "src/target/c.rs",
            "src/node_modules/x/d.rs",
            "src/a/text",
            "real.rs",
        ] {
            fs::write(at(path), path).unwrap();
        }
        symlink(at("real.rs"), at("src/link.rs")).unwrap();
        // A link that leads to where it is, and one that leads nowhere.
        symlink(at("src"), at("src/a/loop")).unwrap();
        symlink(at("absent"), at("src/absent.rs")).unwrap();
        let places = places(folder.path(), &["src/**/*.rs"]);
        let mut looker = Looker::default();
        let first = look(&mut looker, &places);
        assert_eq!(
            names(&first, folder.path()),
            ["src/a/b.rs", "src/lib.rs", "src/link.rs"]
        );
        // Within the same tick of the clock, and as long as before.
        fs::write(at("real.rs"), "rael.rs").unwrap();
        let second = look(&mut looker, &places);
        assert_eq!(second.changed_since(&first), [at("src/link.rs")]);
        fs::remove_file(at("src/lib.rs")).unwrap();
        fs::create_dir(at("src/new")).unwrap();
        fs::write(at("src/new/e.rs"), "").unwrap();
        let third = look(&mut looker, &places);
        assert_eq!(
            third.changed_since(&second),
            [at("src/lib.rs"), at("src/new/e.rs")]
        );
        fs::write(at("src/lib.rs"), "src/lib.rs").unwrap();
        fs::remove_dir_all(at("src/new")).unwrap();
        assert_eq!(look(&mut looker, &places), second);
    }

    #[test]
    fn a_look_reads_no_more_than_its_bound_and_ends_early_where_somebody_hurries() {
        let folder = tempfile::tempdir().unwrap();
        // Holes, which take no room on the disk.
        for number in 0..6 {
            let file = File::create(folder.path().join(number.to_string())).unwrap();
            file.set_len(LONGEST).unwrap();
        }
        let places = places(folder.path(), &["*"]);
        let mut looker = Looker::default();
        looker.hurry.store(true, Ordering::Relaxed);
        assert_eq!(look(&mut looker, &places).files(), 0);
        looker.hurry.store(false, Ordering::Relaxed);
        let first = look(&mut looker, &places);
        assert_eq!(first.files(), 6);
        let by_state = |looker: &Looker| looker.known.values().filter(|known| known.is_by_state).count();
        assert_eq!(by_state(&looker), 2);
        // Those are the same as long as the system says the same of them, whatever there is to read.
        assert_eq!(look(&mut looker, &places), first);
        assert_eq!((by_state(&looker), looker.touched.len()), (2, 0));
    }

    #[test]
    fn a_file_that_is_written_as_it_was_was_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "1").unwrap();
        let places = places(folder.path(), &["*"]);
        let mut looker = Looker::default();
        let first = look(&mut looker, &places);
        assert!(looker.touched.is_empty(), "{:?}", looker.touched);
        fs::remove_file(&file).unwrap();
        fs::write(folder.path().join("other"), "").unwrap();
        fs::rename(folder.path().join("other"), folder.path().join("b")).unwrap();
        fs::write(&file, "1").unwrap();
        let second = look(&mut looker, &places);
        assert_eq!(looker.touched, [file]);
        assert_eq!(second.changed_since(&first), [folder.path().join("b")]);
    }

    #[test]
    fn a_pattern_of_one_directory_stays_in_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/deep/er")).unwrap();
        for path in ["src/a.rs", "src/deep/b.rs", "src/deep/er/c.rs"] {
            fs::write(folder.path().join(path), "").unwrap();
        }
        let rows: [(&str, &[&str]); 4] = [
            ("src/*.rs", &["src/a.rs"]),
            ("src/*/*.rs", &["src/deep/b.rs"]),
            ("src/deep", &["src/deep/b.rs", "src/deep/er/c.rs"]),
            ("src/a.rs", &["src/a.rs"]),
        ];
        for (pattern, expected) in rows {
            let seen = look(&mut Looker::default(), &places(folder.path(), &[pattern]));
            assert_eq!(names(&seen, folder.path()), expected, "{pattern}");
        }
    }
}
