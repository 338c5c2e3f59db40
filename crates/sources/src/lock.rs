//! `outport.lock`: what the packages of a manifest came to.
//!
//! ```toml
//! version = 1
//!
//! [[package]]
//! name = "acme:auth"
//! registry = "registry.example.com"
//! ranges = ["^1.0"]
//! version = "1.2.3"
//! digest = "sha256:…"
//! ```
//!
//! A range that stands in it comes to that version and to those bytes, whatever its registry has by now. A new range takes
//! a version that is there already for the same package, if one will do; ranges that nobody asks for any more are taken
//! out. The file is written when what it says has changed, and never in part.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use outport_files::regular_file;
use outport_manifest::{Digest, PackageRequest, SourceFile};
use outport_policy::{Location, text};
use semver::{Version, VersionReq};
use serde::Deserialize;
use toml::Spanned;

/// The packages of a manifest, and what they came to.
#[derive(Debug, Clone)]
pub struct LockFile {
    path: PathBuf,
    /// What is written in it; none if it is not there.
    text: Option<String>,
    entries: Vec<Entry>,
}

/// What a package came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The registry that it is from.
    pub registry: String,
    /// The version.
    pub version: Version,
    /// The hash of its code.
    pub digest: Digest,
}

/// What has become of a package since the file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The package.
    pub name: String,
    /// The version before, if it had one.
    pub before: Option<Version>,
    /// The version now, if it has one.
    pub now: Option<Version>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    ranges: Vec<String>,
    pin: Pin,
}

/// The reason why a lock file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It cannot be read.
    #[error("cannot read the lock file `{}`: {source}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It does not say what a lock file says.
    #[error("the lock file is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
        /// Where.
        location: Location,
    },
    /// It is of a later version of Outport.
    #[error("the lock file has version {version}, and this Outport knows 1")]
    Newer {
        /// The version.
        version: u32,
        /// Where it says so.
        location: Location,
    },
    /// It cannot be written.
    #[error("cannot write the lock file `{}`: {source}", text::path(.path))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl LockError {
    /// The place in the file, if it is about one.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Damaged { location, .. } | Self::Newer { location, .. } => Some(location),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: Spanned<u32>,
    #[serde(default, rename = "package")]
    packages: Vec<WrittenPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPackage {
    name: Spanned<String>,
    registry: Spanned<String>,
    ranges: Vec<Spanned<String>>,
    version: Spanned<String>,
    digest: Spanned<String>,
}

impl LockFile {
    /// The lock file of the manifest at `manifest`, in the same directory. One that is not there is empty.
    ///
    /// # Errors
    ///
    /// It is there, and cannot be read or is damaged.
    pub fn beside(manifest: &Path) -> Result<Self, LockError> {
        let path = manifest.with_file_name("outport.lock");
        let unreadable = |source| LockError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        match open(&path).map_err(unreadable)? {
            None => {
                return Ok(Self {
                    path,
                    text: None,
                    entries: Vec::new(),
                });
            }
            Some(file) => file
                .take(LONGEST + 1)
                .read_to_end(&mut bytes)
                .map_err(unreadable)?,
        };
        if bytes.len() as u64 > LONGEST {
            return Err(unreadable(io::Error::other("it has more than 4 MiB")));
        }
        let text = String::from_utf8(bytes).map_err(|_| unreadable(io::Error::other("it is no text")))?;
        let entries = parse(&SourceFile::new(&path, text.as_str()))?;
        Ok(Self {
            path,
            text: Some(text),
            entries,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is written in it, for messages that quote it; none if it is not there.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// What a request came to before.
    pub fn find(&self, request: &PackageRequest) -> Option<&Pin> {
        let range = request.versions.to_string();
        let fitting = self.entries.iter().filter(|entry| {
            entry.name == request.name
                && request
                    .registry
                    .as_ref()
                    .is_none_or(|asked| *asked == entry.pin.registry)
                && request.versions.includes(&entry.pin.version)
        });
        let best = fitting.max_by_key(|entry| (entry.ranges.contains(&range), &entry.pin.version));
        best.map(|entry| &entry.pin)
    }

    /// Writes down what a request came to, in place of what it came to before.
    pub fn set(&mut self, request: &PackageRequest, pin: Pin) {
        let range = request.versions.to_string();
        let of_request = |entry: &Entry| {
            entry.name == request.name
                && request
                    .registry
                    .as_ref()
                    .is_none_or(|asked| *asked == entry.pin.registry)
        };
        for entry in self
            .entries
            .iter_mut()
            .filter(|entry| of_request(entry) && entry.pin != pin)
        {
            entry.ranges.retain(|own| *own != range);
        }
        let same = |entry: &&mut Entry| entry.name == request.name && entry.pin == pin;
        match self.entries.iter_mut().find(same) {
            Some(entry) if entry.ranges.contains(&range) => {}
            Some(entry) => entry.ranges.push(range),
            None => self.entries.push(Entry {
                name: request.name.clone(),
                ranges: vec![range],
                pin,
            }),
        }
        self.entries.retain(|entry| !entry.ranges.is_empty());
    }

    /// Takes out what none of these requests asks for.
    pub fn retain(&mut self, requests: &[&PackageRequest]) {
        for entry in &mut self.entries {
            let (name, registry) = (&entry.name, &entry.pin.registry);
            entry.ranges.retain(|range| {
                requests.iter().any(|request| {
                    request.name == *name
                        && request.registry.as_ref().is_none_or(|asked| asked == registry)
                        && request.versions.to_string() == *range
                })
            });
        }
        self.entries.retain(|entry| !entry.ranges.is_empty());
    }

    /// What is otherwise than when the file was read, by name.
    pub fn changes(&self) -> Vec<Change> {
        // It was read once already, and could be.
        let before = self.text.as_deref().map(|text| SourceFile::new(&self.path, text));
        let before = before.and_then(|file| parse(&file).ok()).unwrap_or_default();
        let mut changes = Vec::new();
        let (gone, new): (Vec<_>, Vec<_>) = (
            missing_in(&before, &self.entries),
            missing_in(&self.entries, &before),
        );
        let mut gone: Vec<&Entry> = gone;
        for entry in new {
            let replaced = gone.iter().position(|old| {
                old.name == entry.name && old.ranges.iter().any(|range| entry.ranges.contains(range))
            });
            changes.push(Change {
                name: entry.name.clone(),
                before: replaced.map(|at| gone.remove(at).pin.version.clone()),
                now: Some(entry.pin.version.clone()),
            });
        }
        changes.extend(gone.into_iter().map(|old| Change {
            name: old.name.clone(),
            before: Some(old.pin.version.clone()),
            now: None,
        }));
        changes.sort_by(|a, b| a.name.cmp(&b.name));
        changes
    }

    /// True if the file does not say what is known now.
    pub fn is_outdated(&self) -> bool {
        match &self.text {
            None => !self.entries.is_empty(),
            Some(text) => {
                // Comments and order are whoever wrote them; only what it says counts.
                let file = SourceFile::new(&self.path, text.as_str());
                parse(&file).map_or(true, |before| sorted(&before) != sorted(&self.entries))
            }
        }
    }

    /// Writes the file if it does not say what is known now.
    ///
    /// # Errors
    ///
    /// It cannot be written; then it is as it was.
    pub fn write(&mut self) -> Result<(), LockError> {
        if !self.is_outdated() {
            return Ok(());
        }
        let text = self.to_toml();
        let unwritable = |source| LockError::Unwritable {
            path: self.path.clone(),
            source,
        };
        replace(&self.path, &text).map_err(unwritable)?;
        self.text = Some(text);
        Ok(())
    }

    fn to_toml(&self) -> String {
        let mut text = "# What the packages of the manifest came to. Keep it beside the manifest; `outport update` takes newer\n\
                        # versions.\nversion = 1\n"
            .to_owned();
        for entry in sorted(&self.entries) {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            let ranges: Vec<String> = entry.ranges.iter().map(|range| quoted(range)).collect();
            text += &format!(
                "\n[[package]]\nname = {}\nregistry = {}\nranges = [{}]\nversion = {}\ndigest = {}\n",
                quoted(&entry.name),
                quoted(&entry.pin.registry),
                ranges.join(", "),
                quoted(&entry.pin.version.to_string()),
                quoted(&entry.pin.digest.to_string()),
            );
        }
        text
    }
}

fn missing_in<'e>(entries: &'e [Entry], others: &[Entry]) -> Vec<&'e Entry> {
    let is_in = |entry: &&Entry| {
        !others
            .iter()
            .any(|other| other.name == entry.name && other.pin == entry.pin)
    };
    entries.iter().filter(is_in).collect()
}

/// The entries in the order in which they are written, whoever came first.
fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut sorted = entries.to_vec();
    sorted.iter_mut().for_each(|entry| entry.ranges.sort());
    sorted.sort_by(|a, b| {
        (&a.name, &a.pin.version, &a.pin.registry).cmp(&(&b.name, &b.pin.version, &b.pin.registry))
    });
    sorted
}

fn parse(file: &SourceFile) -> Result<Vec<Entry>, LockError> {
    let written: Written = toml::from_str(file.text()).map_err(|error| LockError::Damaged {
        reason: text::message(error.message()).to_string(),
        location: file.location(&error.span().unwrap_or(0..0)),
    })?;
    if *written.version.get_ref() != 1 {
        return Err(LockError::Newer {
            version: *written.version.get_ref(),
            location: file.location(&written.version.span()),
        });
    }
    let entry = |written: WrittenPackage| entry_of(file, written);
    written.packages.into_iter().map(entry).collect()
}

fn entry_of(file: &SourceFile, written: WrittenPackage) -> Result<Entry, LockError> {
    let damaged = |wrong: &Spanned<String>, what: &str| LockError::Damaged {
        reason: format!("`{}` {what}", text::quote(wrong.get_ref())),
        location: file.location(&wrong.span()),
    };
    let version = Version::parse(written.version.get_ref())
        .map_err(|_| damaged(&written.version, "is not a version"))?;
    let digest =
        Digest::parse(written.digest.get_ref()).map_err(|_| damaged(&written.digest, "is not a digest"))?;
    for range in &written.ranges {
        let parsed =
            VersionReq::parse(range.get_ref()).map_err(|_| damaged(range, "is not a range of versions"))?;
        if !parsed.matches(&version) {
            return Err(damaged(range, "does not hold the version that it came to"));
        }
    }
    Ok(Entry {
        name: written.name.into_inner(),
        ranges: written.ranges.into_iter().map(Spanned::into_inner).collect(),
        pin: Pin {
            registry: written.registry.into_inner(),
            version,
            digest,
        },
    })
}

/// The file at `path`; none if nothing is there. What is there and no file is an error, since it is not to be replaced.
fn open(path: &Path) -> io::Result<Option<File>> {
    if let Some(file) = regular_file::find(path)? {
        return Ok(Some(file));
    }
    let kind = match std::fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if regular_file::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if kind.is_file() {
        // Another process has written it just now.
        return regular_file::find(path);
    }
    Err(io::Error::other(if kind.is_dir() {
        "it is a directory"
    } else if kind.is_symlink() {
        "it is a link to what is no file"
    } else {
        "it is no file"
    }))
}

/// Puts a text in the place of a file, in one step; a link to a file stays one. Other processes may do the same.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = &*match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".outport.lock.")
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    // It is the author's, to read as any other of his files.
    let mode = match std::fs::metadata(path) {
        Ok(old) => old.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // Some file systems cannot; then the name may be lost with the power, and is found anew.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Bytes of a lock file.
const LONGEST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use outport_manifest::VersionRange;

    use super::*;

    fn request(name: &str, range: &str) -> PackageRequest {
        PackageRequest {
            name: name.to_owned(),
            registry: None,
            versions: VersionRange::Range(range.parse().unwrap()),
        }
    }

    fn pin(version: &str) -> Pin {
        Pin {
            registry: "r.example.com".into(),
            version: version.parse().unwrap(),
            digest: Digest::parse(&format!("sha256:{}", "ab".repeat(32))).unwrap(),
        }
    }

    #[test]
    fn what_was_written_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("spin.toml");
        let mut lock = LockFile::beside(&manifest).unwrap();
        assert!(!lock.is_outdated());
        lock.set(&request("b:c", "^1.0"), pin("1.2.3"));
        lock.set(&request("a:b", "^1.0"), pin("1.0.0"));
        lock.set(&request("a:b", "=1.1.0-rc.1"), pin("1.1.0-rc.1"));
        lock.write().unwrap();
        let first = std::fs::read_to_string(lock.path()).unwrap();
        let mut again = LockFile::beside(&manifest).unwrap();
        assert!(!again.is_outdated());
        assert_eq!(again.find(&request("b:c", "^1.0")), Some(&pin("1.2.3")));
        assert_eq!(again.find(&request("b:c", ">=1.1")), Some(&pin("1.2.3")));
        assert_eq!(again.find(&request("b:c", "^2.0")), None);
        assert_eq!(again.find(&request("a:b", "^1.0")), Some(&pin("1.0.0")));
        let elsewhere = PackageRequest {
            registry: Some("other".into()),
            ..request("b:c", "^1.0")
        };
        assert_eq!(again.find(&elsewhere), None);
        again.set(&request("a:b", "^1.0"), pin("1.0.0"));
        again.write().unwrap();
        assert_eq!(std::fs::read_to_string(again.path()).unwrap(), first);
    }

    #[test]
    fn a_range_keeps_its_version_whatever_others_come_to() {
        let directory = tempfile::tempdir().unwrap();
        let mut lock = LockFile::beside(&directory.path().join("spin.toml")).unwrap();
        lock.set(&request("a:b", "^1.0"), pin("1.0.0"));
        lock.set(&request("a:b", "=1.5.0"), pin("1.5.0"));
        assert_eq!(lock.find(&request("a:b", "^1.0")), Some(&pin("1.0.0")));
        lock.write().unwrap();
        lock.set(&request("a:b", "^1.0"), pin("1.5.0"));
        let change = |before: Option<&str>, now: Option<&str>| Change {
            name: "a:b".into(),
            before: before.map(|version| version.parse().unwrap()),
            now: now.map(|version| version.parse().unwrap()),
        };
        assert_eq!(lock.changes(), [change(Some("1.0.0"), None)]);
        lock.set(&request("a:b", "^1.0"), pin("1.6.0"));
        assert_eq!(lock.changes(), [change(Some("1.0.0"), Some("1.6.0"))]);
        lock.retain(&[&request("a:b", "^1.0")]);
        assert!(lock.find(&request("a:b", "=1.5.0")).is_none());
    }

    #[test]
    fn what_is_there_and_no_lock_file_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("spin.toml");
        let path = directory.path().join("outport.lock");
        let unreadable = |why: &str| match LockFile::beside(&manifest) {
            Err(LockError::Unreadable { source, .. }) => assert_eq!(source.to_string(), why),
            other => panic!("{why}: {other:?}"),
        };
        std::fs::create_dir(&path).unwrap();
        unreadable("it is a directory");
        std::fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        unreadable("it is no file");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        unreadable("it is a link to what is no file");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, format!("version = 1\n{}", "#".repeat(LONGEST as usize))).unwrap();
        unreadable("it has more than 4 MiB");
        std::fs::write(&path, [0xff]).unwrap();
        unreadable("it is no text");
    }

    #[test]
    fn a_link_to_a_lock_file_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outport.lock");
        std::fs::write(directory.path().join("shared"), "version = 1\n").unwrap();
        std::os::unix::fs::symlink("shared", &path).unwrap();
        let mut lock = LockFile::beside(&directory.path().join("spin.toml")).unwrap();
        lock.set(&request("a:b", "^1.0"), pin("1.0.0"));
        lock.write().unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
        let shared = std::fs::read_to_string(directory.path().join("shared")).unwrap();
        assert!(shared.contains("1.0.0"), "{shared}");
    }

    #[test]
    fn what_is_damaged_has_its_place() {
        let whole = "version = 1\n[[package]]\nname = \"a:b\"\nregistry = \"r\"\nranges = [\"^1.0\"]\n\
                     version = \"1.0.0\"\n";
        let digest = format!("digest = \"sha256:{}\"\n", "ab".repeat(32));
        let rows = [
            ("version = 2\n".to_owned(), ":1:11"),
            ("version = 1\n[[package\n".to_owned(), ":2:"),
            (whole.to_owned(), ":2:1"),
            (format!("{whole}digest = \"sha256:../x\"\n"), ":7:10"),
            (
                format!("{}{digest}", whole.replace("\"1.0.0\"", "\"1\"")),
                ":6:11",
            ),
            (format!("{}{digest}", whole.replace("1.0.0", "2.0.0")), ":5:11"),
            (format!("{whole}{digest}other = 1\n"), ":8:1"),
        ];
        for (text, place) in rows {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("outport.lock"), &text).unwrap();
            let error = LockFile::beside(&directory.path().join("spin.toml")).unwrap_err();
            let location = error.location().unwrap().to_string();
            assert!(location.contains(place), "{text}\n{location}: {error}");
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("outport.lock"), whole.to_owned() + &digest).unwrap();
        assert!(LockFile::beside(&directory.path().join("spin.toml")).is_ok());
    }
}
