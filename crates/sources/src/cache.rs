//! What was fetched, by its digest.
//!
//! ```text
//! CACHE/fetched/HEX         a file that is whole, whose SHA-256 was HEX when it got its name
//! CACHE/fetched/HEX.part    one that somebody writes, and has locked for as long; HEX-….part if there are several
//! CACHE/components/HEX.wasm a file that somebody put there by hand
//! SPIN/…/sha256:HEX         what Spin has fetched: read, never written
//! ```
//!
//! Nothing in a cache is believed: a file is hashed each time it is looked up, and compared once more by whoever compiles
//! it. So it does not matter who could write there, and a cache that can only be read serves as well. It is written to only
//! in a directory that is this user's alone.
//!
//! Whoever wants to write a file locks its `.part`, so that of several processes that start at once one fetches and the
//! others wait for what comes of it; a process that is killed loses the lock, and the next one begins anew. Nobody waits for
//! one that stands still, or for long: then a second one fetches, into a `.part` of its own. The file gets
//! its name when it is whole and written through to the disk. What others have left behind is removed.

mod directory;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outport_files::regular_file;
use outport_manifest::Digest;
use outport_policy::text;

pub use self::directory::UnsafeDirectory;
use self::directory::{Directory, Locked};
use crate::http::{FetchError, FetchErrorKind, Response};
use crate::progress::{Progress, Transfer};

/// The cache of what was fetched.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    own: Option<PathBuf>,
    spins: Option<PathBuf>,
    patience: Patience,
}

/// How long another process is waited for that fetches the same.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Until somebody is told.
    in_silence: Duration,
    /// While it gets no more bytes.
    at_a_standstill: Duration,
    /// In any case.
    at_most: Duration,
}

/// A file that has the digest it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it hashes to.
    pub digest: Digest,
}

/// What a look into the cache comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    There(CachedFile),
    /// It is not there.
    Missing,
    /// Something else is in its place.
    Damaged(PathBuf),
}

/// The right to put a file into the cache, or the file.
#[derive(Debug)]
pub enum Claim {
    /// It is there, perhaps since another process just fetched it.
    There(CachedFile),
    /// It is missing, and nobody else fetches it meanwhile, or gets anywhere with it.
    Vacant(Vacancy),
}

/// The right to put a file into the cache.
#[derive(Debug)]
pub struct Vacancy {
    directory: Directory,
    locked: Locked,
    digest: Digest,
    place: PathBuf,
    filled: bool,
}

/// The reason why something cannot be kept in the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no directory for it.
    #[error("there is no directory to keep it in: name one with `--cache-dir`")]
    NoDirectory,
    /// The directory cannot be written to safely.
    #[error("it cannot be kept: {0}")]
    Unsafe(#[from] UnsafeDirectory),
    /// The file cannot be written.
    #[error("it cannot be kept in `{}`: {source}", text::path(.path))]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Something is in the way of a file.
    #[error("`{}` is in the way of a file in the cache, and is none itself: remove it", text::path(.path))]
    InTheWay {
        /// What it is.
        path: PathBuf,
    },
    /// A file of the cache cannot be read.
    #[error("`{}` in the cache cannot be read: {source}", text::path(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The reason why a file did not get into the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// It did not come as it should.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Cache {
    /// A cache in `own`, the directory for all that Outport can make again. `users` is the directory for caches of all
    /// programs of this user, in which Spin has its own.
    pub fn new(own: Option<&Path>, users: Option<&Path>) -> Self {
        Self {
            own: own.map(Path::to_owned),
            spins: users.map(|users| users.join("spin/registry")),
            patience: Patience::default(),
        }
    }

    /// A directory of this name in the cache, private and there.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, CacheError> {
        let path = self.own.as_ref().ok_or(CacheError::NoDirectory)?.join(name);
        Directory::open(&path)?;
        Ok(path)
    }

    /// A directory of this name in the cache that is root's, if nobody else can write to it: it can be read as safely as
    /// the system's own files.
    pub(crate) fn directory_of_root(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::MetadataExt;
        let path = self.own.as_ref()?.join(name);
        let metadata = path.symlink_metadata().ok()?;
        let is_safe = metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
        is_safe.then_some(path)
    }

    /// Looks for a file, and hashes it.
    ///
    /// # Errors
    ///
    /// A file is there and cannot be read.
    pub fn find(&self, digest: &Digest) -> Result<Found, CacheError> {
        let mut damaged = None;
        for place in self.places(digest) {
            match hash_of(&place) {
                Ok(Some(found)) if found == digest.hex() => {
                    return Ok(Found::There(CachedFile {
                        path: place,
                        digest: digest.clone(),
                    }));
                }
                Ok(Some(_)) => {
                    tracing::warn!(path = %text::path(&place), "a file in the cache does not have the digest in its name");
                    damaged = damaged.or(Some(place));
                }
                Ok(None) => {}
                Err(source) => return Err(CacheError::Unreadable { path: place, source }),
            }
        }
        Ok(damaged.map_or(Found::Missing, Found::Damaged))
    }

    /// The places where a file is looked for, in this order.
    pub fn places(&self, digest: &Digest) -> Vec<PathBuf> {
        let hex = digest.hex();
        let own = self.own.iter().flat_map(|own| {
            [
                own.join(FETCHED).join(hex),
                own.join("components").join(format!("{hex}.wasm")),
            ]
        });
        let spins = self.spins.iter().flat_map(|spins| {
            let name = format!("sha256:{hex}");
            [spins.join("wasm").join(&name), spins.join("data").join(name)]
        });
        own.chain(spins).collect()
    }

    /// Looks for a file, and if it is missing waits until nobody else fetches it, or does so without getting anywhere.
    /// `name` is what `progress` is told that is waited for.
    ///
    /// # Errors
    ///
    /// It is missing, and there is no directory to put it into.
    pub async fn claim(
        &self,
        digest: &Digest,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Claim, CacheError> {
        if let Found::There(file) = self.find(digest)? {
            return Ok(Claim::There(file));
        }
        let own = self.own.as_ref().ok_or(CacheError::NoDirectory)?;
        let path = own.join(FETCHED);
        let directory = Directory::open(&path)?;
        let unwritable = |source| CacheError::Unwritable {
            path: path.clone(),
            source,
        };
        let mut part = part_of(digest);
        let kind_of = |name: &str| std::fs::symlink_metadata(path.join(name)).map(|found| found.file_type());
        // All but a directory is replaced by the file.
        if kind_of(digest.hex()).is_ok_and(|kind| kind.is_dir()) {
            let path = path.join(digest.hex());
            return Err(CacheError::InTheWay { path });
        }
        if kind_of(&part).is_ok_and(|kind| !kind.is_file()) {
            let path = path.join(part);
            return Err(CacheError::InTheWay { path });
        }
        directory.remove_abandoned(&part);
        let mut waiting = Waiting::default();
        loop {
            let locked = directory.try_lock(&part).map_err(unwritable)?;
            let found = self.find(digest)?;
            if let Some(locked) = locked {
                // Dropped, it takes away what was made for the lock.
                let vacancy = Vacancy {
                    directory,
                    locked,
                    digest: digest.clone(),
                    place: path,
                    filled: false,
                };
                return Ok(match found {
                    Found::There(file) => Claim::There(file),
                    _ => Claim::Vacant(vacancy),
                });
            }
            if let Found::There(file) = found {
                return Ok(Claim::There(file));
            }
            if waiting.is_over(&path.join(&part), &self.patience) {
                // Whoever is done first has the file.
                part = own_part(digest).map_err(unwritable)?;
                waiting = Waiting::default();
                continue;
            }
            if waiting.is_worth_saying(&self.patience) {
                progress.wait(name);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Vacancy {
    /// Writes the body of an answer, and keeps it if it has the digest. Of an answer that broke off nothing stays, and
    /// another one may be tried. Larger than the answer may be it does not get.
    ///
    /// # Errors
    ///
    /// It did not come whole, is not what it should be, or cannot be written.
    pub async fn fill(
        &mut self,
        response: &mut Response,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<CachedFile, FillError> {
        let mut transfer = progress.begin(name, response.length());
        let filled = self.write(response, &mut *transfer).await;
        if filled.is_err() {
            self.locked.clear();
        }
        filled
    }

    async fn write(
        &mut self,
        response: &mut Response,
        transfer: &mut dyn Transfer,
    ) -> Result<CachedFile, FillError> {
        self.locked.start().map_err(|error| self.unwritable(error))?;
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        while let Some(chunk) = response.chunk().await? {
            hash.update(&chunk);
            self.locked
                .file()
                .write_all(&chunk)
                .map_err(|error| self.unwritable(error))?;
            transfer.advance(chunk.len() as u64);
        }
        let found = hex(hash.finish().as_ref());
        if found != self.digest.hex() {
            let expected = self.digest.hex().to_owned();
            return Err(response
                .fail(FetchErrorKind::WrongDigest { expected, found })
                .into());
        }
        self.directory
            .finish(&self.locked, self.digest.hex())
            .map_err(|error| self.unwritable(error))?;
        self.filled = true;
        Ok(CachedFile {
            path: self.place.join(self.digest.hex()),
            digest: self.digest.clone(),
        })
    }

    fn unwritable(&self, source: io::Error) -> FillError {
        let path = self.place.clone();
        CacheError::Unwritable { path, source }.into()
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        if !self.filled {
            self.directory.remove(&self.locked);
        }
    }
}

/// The SHA-256 of a file, in hexadecimal digits; none if it is not there or no file.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn hash_of(path: &Path) -> io::Result<Option<String>> {
    let Some(mut file) = regular_file::find(path)? else {
        return Ok(None);
    };
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hex(hash.finish().as_ref()))),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn part_of(digest: &Digest) -> String {
    format!("{}{PART}", digest.hex())
}

/// The name of a file that no other process writes.
fn own_part(digest: &Digest) -> io::Result<String> {
    let mut own = [0; 8];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut own)
        .map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(format!("{}-{}{PART}", digest.hex(), hex(&own)))
}

/// The wait for another process.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// The bytes that the other one has, and since when.
    seen: (Option<u64>, Instant),
    is_told: bool,
}

impl Waiting {
    /// True if the other one got no further for long, or still is not done.
    fn is_over(&mut self, part: &Path, patience: &Patience) -> bool {
        let bytes = std::fs::symlink_metadata(part).ok().map(|part| part.len());
        if bytes != self.seen.0 {
            self.seen = (bytes, Instant::now());
        }
        self.seen.1.elapsed() > patience.at_a_standstill || self.since.elapsed() > patience.at_most
    }

    /// True once, when it has taken a while.
    fn is_worth_saying(&mut self, patience: &Patience) -> bool {
        let is_due = !self.is_told && self.since.elapsed() > patience.in_silence;
        self.is_told |= is_due;
        is_due
    }
}

impl Default for Waiting {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            seen: (None, now),
            is_told: false,
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            in_silence: Duration::from_secs(1),
            at_a_standstill: Duration::from_secs(30),
            at_most: Duration::from_secs(120),
        }
    }
}

const FETCHED: &str = "fetched";

/// The ending of a file that is being written.
const PART: &str = ".part";

/// The time between two looks at what another process fetches.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
