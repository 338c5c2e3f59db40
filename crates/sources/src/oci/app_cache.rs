//! Artifacts that were fetched, as folders in the cache.
//!
//! ```text
//! CACHE/apps/HEX/app/            what the artifact with digest HEX holds: a `spin.toml` and what it names, or a component
//! CACHE/apps/HEX.signatures.json signatures of it that were verified
//! CACHE/apps/HEX.inside          it was last fetched from inside, so that what it names may be there, too
//! CACHE/apps/documents/HEX       a manifest, or the description of an app, by its own digest
//! CACHE/apps/tags/…              the digest that a tag last had
//! CACHE/apps/.new-…/             one that is being made: it is renamed when it is whole, or removed
//! ```
//!
//! Nothing here is believed. Each time a folder is used its manifest is hashed and has to be the one with the digest, its
//! layers have to be those of the manifest, and the folder has to be what they unpack to, file by file; one that differs is
//! made anew. So whoever fills a cache, as with one that is restored from an archive, cannot change what a digest or a
//! signature stands for. Nobody else may write to the directory meanwhile: it is this user's alone, or one of root's that
//! others only read.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outport_files::regular_file;
use outport_manifest::Digest;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::manifest::strict_digest;
use super::reference::{Reference, Tag};
use super::signature::Signature;
use super::tree::{Index, digest_of, is_as_it_was};
use crate::cache::{Cache, CacheError};
use crate::http::Reach;

/// The folders of a cache.
#[derive(Debug)]
pub(crate) struct AppCache {
    root: PathBuf,
    /// The reason why it is only read.
    unwritable: Option<String>,
}

/// A folder that is being made.
#[derive(Debug)]
pub(crate) struct NewFolder {
    folder: TempDir,
    /// Held for as long as it is made, so that nobody takes it for one that was left behind.
    _lock: File,
}

impl AppCache {
    /// The folders of a cache, which are only read if they are root's.
    pub(crate) fn of(cache: &Cache) -> Result<Self, CacheError> {
        match (cache.directory(APPS), cache.directory_of_root(APPS)) {
            (Ok(root), _) => Ok(Self::in_directory(root)),
            (Err(error), Some(root)) => Ok(Self {
                root,
                unwritable: Some(error.to_string()),
            }),
            (Err(error), None) => Err(error),
        }
    }

    /// The folders in a directory that is private and there.
    fn in_directory(root: PathBuf) -> Self {
        Self {
            root,
            unwritable: None,
        }
    }

    fn folder(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.hex())
    }

    /// True if there is something where the folder of an artifact would be.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.folder(digest).join(APP).is_dir()
    }

    /// The folder of an artifact, if it is there and has these files.
    pub(crate) fn find(&self, digest: &Digest, index: &Index) -> Option<PathBuf> {
        let app = self.folder(digest).join(APP);
        // Links are not followed.
        let is_there = fs::symlink_metadata(&app).is_ok_and(|metadata| metadata.is_dir());
        (is_there && is_as_it_was(&app, index).unwrap_or(false)).then_some(app)
    }

    fn writable(&self) -> io::Result<()> {
        match &self.unwritable {
            Some(why) => Err(io::Error::other(why.clone())),
            None => Ok(()),
        }
    }

    /// A folder to make one in.
    pub(crate) fn begin(&self) -> io::Result<NewFolder> {
        self.writable()?;
        self.remove_abandoned();
        let folder = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.root)?;
        let lock = File::create(folder.path().join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::create_dir(folder.path().join(APP))?;
        Ok(NewFolder { folder, _lock: lock })
    }

    /// Gives a folder that is whole its name. If another process was first, that one stays.
    pub(crate) fn finish(&self, new: NewFolder, digest: &Digest, index: &Index) -> io::Result<PathBuf> {
        fs::remove_file(new.folder.path().join(LOCK))?;
        let place = self.folder(digest);
        let mut renamed = fs::rename(new.folder.path(), &place);
        if renamed.is_err() {
            if let Some(there) = self.find(digest, index) {
                return Ok(there);
            }
            // What is there is damaged. It gets out of the way in one step.
            let away = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.root)?;
            fs::rename(&place, away.path().join(APP))?;
            renamed = fs::rename(new.folder.path(), &place);
        }
        renamed?;
        Ok(place.join(APP))
    }

    fn remove_abandoned(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(NEW) {
                continue;
            }
            let is_abandoned = match regular_file::find(&entry.path().join(LOCK)) {
                Ok(Some(lock)) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
                // About to be locked, or to get its name.
                Ok(None) | Err(_) => entry.metadata().is_ok_and(|metadata| {
                    let changed = metadata.modified().ok();
                    changed
                        .and_then(|changed| changed.elapsed().ok())
                        .is_some_and(|age| age > OLD)
                }),
            };
            if is_abandoned {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The digest that a tag last had.
    pub(crate) fn digest_of_tag(&self, reference: &Reference, tag: &Tag) -> Option<Digest> {
        let bytes = read(&self.tag_file(reference, tag))?;
        strict_digest(std::str::from_utf8(&bytes).ok()?.trim_end())
    }

    /// Remembers the digest of a tag.
    pub(crate) fn remember_tag(&self, reference: &Reference, tag: &Tag, digest: &Digest) -> io::Result<()> {
        let file = self.tag_file(reference, tag);
        self.write(&file, format!("{digest}\n").as_bytes())
    }

    /// Its name is foreign text, so it is hashed.
    fn tag_file(&self, reference: &Reference, tag: &Tag) -> PathBuf {
        let name = format!("{}/{}:{tag}", reference.host(), reference.repository());
        self.root.join("tags").join(digest_of(name.as_bytes()).hex())
    }

    /// The signatures of an artifact that were fetched with it.
    pub(crate) fn signatures(&self, digest: &Digest) -> Vec<Signature> {
        let kept: Vec<Kept> = read(&self.signature_file(digest))
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let decoded = kept.into_iter().filter_map(|Kept { payload, signature }| {
            Some(Signature {
                payload: STANDARD.decode(payload).ok()?,
                signature: STANDARD.decode(signature).ok()?,
            })
        });
        decoded.collect()
    }

    /// Keeps signatures, to verify them without a network.
    pub(crate) fn keep_signatures(&self, digest: &Digest, signatures: &[Signature]) -> io::Result<()> {
        let kept = signatures.iter().map(|one| Kept {
            payload: STANDARD.encode(&one.payload),
            signature: STANDARD.encode(&one.signature),
        });
        let kept: Vec<Kept> = kept.collect();
        self.write(&self.signature_file(digest), &serde_json::to_vec(&kept)?)
    }

    fn signature_file(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{}.signatures.json", digest.hex()))
    }

    /// Where requests for what an artifact names may lead.
    pub(crate) fn reach(&self, digest: &Digest) -> Reach {
        match fs::symlink_metadata(self.reach_file(digest)) {
            Ok(file) if file.is_file() => Reach::Anywhere,
            _ => Reach::Outside,
        }
    }

    /// Remembers that, for when nothing is asked of its registry.
    pub(crate) fn keep_reach(&self, digest: &Digest, reach: Reach) -> io::Result<()> {
        let file = self.reach_file(digest);
        match (reach, self.reach(digest)) {
            (Reach::Anywhere, Reach::Outside) => {
                // In a cache that is only read it counts as from outside, and that is all.
                if let Err(error) = self.write(&file, b"") {
                    tracing::debug!(%error, "it is not remembered where an artifact is from");
                }
                Ok(())
            }
            (Reach::Outside, Reach::Anywhere) => fs::remove_file(&file),
            _ => Ok(()),
        }
    }

    fn reach_file(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{}.inside", digest.hex()))
    }

    /// Bytes with this digest.
    pub(crate) fn document(&self, digest: &Digest) -> Option<Vec<u8>> {
        read(&self.document_file(digest)).filter(|bytes| digest_of(bytes) == *digest)
    }

    /// Keeps bytes, to be found by their digest. What cannot be kept is fetched again.
    pub(crate) fn keep_document(&self, digest: &Digest, bytes: &[u8]) {
        if let Err(error) = self.write(&self.document_file(digest), bytes) {
            tracing::debug!(%error, "a manifest is not kept");
        }
    }

    fn document_file(&self, digest: &Digest) -> PathBuf {
        self.root.join("documents").join(digest.hex())
    }

    /// A directory for what is only needed meanwhile: in the cache, or where it cannot be written to with all that is.
    pub(crate) fn aside(&self) -> io::Result<TempDir> {
        let in_cache = self
            .writable()
            .and_then(|()| tempfile::Builder::new().prefix(NEW).tempdir_in(&self.root));
        in_cache.or_else(|_| tempfile::tempdir())
    }

    fn write(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        self.writable()?;
        let directory = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)?;
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
        new.write_all(content)?;
        new.persist(file).map_err(|error| error.error)?;
        Ok(())
    }
}

impl NewFolder {
    /// The directory for what the artifact holds.
    pub(crate) fn app(&self) -> PathBuf {
        self.folder.path().join(APP)
    }
}

/// A file that is short enough, if it is there. Should it be a pipe, nobody waits.
fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = regular_file::find(file).ok()??;
    file.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LONGEST).then_some(bytes)
}

#[derive(Serialize, Deserialize)]
struct Kept {
    payload: String,
    signature: String,
}

const APP: &str = "app";

/// The directory for all this in a cache.
const APPS: &str = "apps";

/// Bytes of the longest file that is read as a whole: a description of an app.
const LONGEST: u64 = 16 << 20;

const LOCK: &str = "lock";

const NEW: &str = ".new-";

/// The age at which a folder that nobody has locked is not going to be.
const OLD: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::super::tree::{Tree, TreePath};
    use super::*;

    fn made(cache: &AppCache, digest: &Digest, content: &[u8]) -> (PathBuf, Index) {
        let new = cache.begin().unwrap();
        let mut tree = Tree::new(new.app());
        let path = TreePath::parse("spin.toml").unwrap();
        tree.add(&path, &mut &*content).unwrap();
        let index = tree.finish().unwrap();
        (cache.finish(new, digest, &index).unwrap(), index)
    }

    #[test]
    fn a_folder_is_found_until_it_is_changed_and_then_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let digest = digest_of(b"manifest");
        assert!(!cache.has(&digest));
        let (app, index) = made(&cache, &digest, b"one");
        assert_eq!(cache.find(&digest, &index), Some(app.clone()));
        // Another process was first.
        assert_eq!(made(&cache, &digest, b"one").0, app);
        fs::write(app.join("spin.toml"), b"two").unwrap();
        assert_eq!(cache.find(&digest, &index), None);
        assert_eq!(made(&cache, &digest, b"one").0, app);
        assert_eq!(fs::read(app.join("spin.toml")).unwrap(), b"one");
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nobody() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let digest = digest_of(b"manifest");
        let reference: Reference = "a.example/b:c".parse().unwrap();
        let tag = reference.tag().unwrap();
        let (app, index) = made(&cache, &digest, b"one");
        cache.remember_tag(&reference, &tag, &digest).unwrap();
        cache.keep_signatures(&digest, &[]).unwrap();
        let begun = root.path().join(".new-begun");
        fs::create_dir(&begun).unwrap();
        for file in [
            app.join("spin.toml"),
            cache.tag_file(&reference, &tag),
            cache.signature_file(&digest),
            begun.join(LOCK),
        ] {
            let _ = fs::remove_file(&file);
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
            rustix::fs::mknodat(rustix::fs::CWD, &file, kind, mode, 0).unwrap();
        }
        assert_eq!(cache.find(&digest, &index), None);
        assert_eq!(cache.digest_of_tag(&reference, &tag), None);
        assert!(cache.signatures(&digest).is_empty());
        assert_eq!(made(&cache, &digest, b"one").0, app);
        assert_eq!(cache.find(&digest, &index), Some(app));
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_one_makes_is_not() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let left = root.path().join(".new-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let being_made = cache.begin().unwrap();
        assert!(!left.exists());
        let _another = cache.begin().unwrap();
        assert!(being_made.app().exists());
    }

    #[test]
    fn an_artifact_is_from_outside_unless_it_was_last_seen_inside() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let digest = digest_of(b"manifest");
        assert_eq!(cache.reach(&digest), Reach::Outside);
        for reach in [Reach::Outside, Reach::Anywhere, Reach::Anywhere, Reach::Outside] {
            cache.keep_reach(&digest, reach).unwrap();
            assert_eq!(cache.reach(&digest), reach);
        }
    }

    #[test]
    fn documents_are_what_their_digests_say() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let digest = digest_of(b"{}");
        assert_eq!(cache.document(&digest), None);
        cache.keep_document(&digest, b"{}");
        assert_eq!(cache.document(&digest).as_deref(), Some(&b"{}"[..]));
        fs::write(cache.document_file(&digest), b"[]").unwrap();
        assert_eq!(cache.document(&digest), None);
        fs::remove_file(cache.document_file(&digest)).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(
            rustix::fs::CWD,
            cache.document_file(&digest),
            pipe,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(cache.document(&digest), None);
    }

    #[test]
    fn a_cache_that_is_only_read_finds_and_makes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let digest = digest_of(b"manifest");
        let (app, index) = made(&cache, &digest, b"one");
        let cache = AppCache {
            unwritable: Some("it is root's".to_owned()),
            ..cache
        };
        assert_eq!(cache.find(&digest, &index), Some(app));
        assert!(cache.begin().is_err());
        cache.keep_document(&digest, b"manifest");
        assert_eq!(cache.document(&digest), None);
        assert!(!cache.aside().unwrap().path().starts_with(root.path()));
    }

    #[test]
    fn tags_and_signatures_are_remembered() {
        let root = tempfile::tempdir().unwrap();
        let cache = AppCache::in_directory(root.path().to_owned());
        let reference: Reference = "a.example/b:c".parse().unwrap();
        let tag = reference.tag().unwrap();
        let digest = digest_of(b"manifest");
        assert_eq!(cache.digest_of_tag(&reference, &tag), None);
        cache.remember_tag(&reference, &tag, &digest).unwrap();
        assert_eq!(cache.digest_of_tag(&reference, &tag), Some(digest.clone()));
        let signature = Signature {
            payload: b"{}".to_vec(),
            signature: vec![0, 255],
        };
        cache.keep_signatures(&digest, &[signature]).unwrap();
        assert_eq!(cache.signatures(&digest)[0].signature, [0, 255]);
        assert!(cache.signatures(&digest_of(b"other")).is_empty());
    }
}
