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

mod error;
mod on_disk;
mod written;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use outport_manifest::{Digest, PackageRequest, SourceFile};
use semver::Version;

pub use self::error::LockError;
use self::on_disk::{open, replace};
use self::written::{parse, sorted, written};

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
        let text = written(&self.entries);
        let unwritable = |source| LockError::Unwritable {
            path: self.path.clone(),
            source,
        };
        replace(&self.path, &text).map_err(unwritable)?;
        self.text = Some(text);
        Ok(())
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
}
