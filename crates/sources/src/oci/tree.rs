//! Files from elsewhere, written under names from elsewhere: a tree below one directory that nothing in it leads out of.
//!
//! A name is read before it is a path ([`TreePath`]); files and directories are all that is made on disk, so no name can
//! lead through a link. A link is kept in memory, and becomes a second name of the file that it leads to when all is there;
//! one that leads to a directory or to nothing is left out. Entries, levels, bytes and names are bounded, and all that there
//! ever was counts: directories, links with the bytes that they lead to, and what was removed again.
//!
//! A tree without a directory is only counted and hashed: what it would be, to compare with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use outport_manifest::Digest;
use outport_policy::text;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cache::open;

/// A path below a directory: parts between slashes, none of which is empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TreePath(String);

/// The reason why files cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A name that is not one below a directory.
    #[error("it has a file with the name `{name}`, which {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A link out of the tree, or from link to link without end.
    #[error("it has a link `{name}` to `{target}`, which leads out of it or nowhere")]
    Link {
        /// The name of the link.
        name: String,
        /// What it leads to.
        target: String,
    },
    /// A device, a pipe, a socket, a sparse file.
    #[error("it has `{name}`, which is neither a file nor a directory nor a link")]
    Special {
        /// Its name.
        name: String,
    },
    /// One name for a file and for a directory, or for two files.
    #[error("it has two different things with the name `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// More files, links and directories than an app has.
    #[error("it has more than {MOST_ENTRIES} files and directories, or {} MiB of names", MOST_NAMES >> 20)]
    ManyEntries,
    /// More bytes than an app has.
    #[error("its files have more than {} GiB", MOST_BYTES >> 30)]
    ManyBytes,
    /// More bytes than so few can honestly stand for.
    #[error("it unpacks to more than {MOST_RATIO} times its size")]
    Bomb,
    /// The disk, or what is read.
    #[error("its files cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Files, links and directories of one tree at most.
const MOST_ENTRIES: usize = 100_000;

/// Directories in each other at most.
const MOST_LEVELS: usize = 128;

/// Bytes of all names of one tree at most.
const MOST_NAMES: usize = 64 << 20;

/// Bytes of all files of one tree at most.
pub(crate) const MOST_BYTES: u64 = 4 << 30;

/// See [`TreeError::Bomb`]; text and zeroes are packed a thousandfold, but not by the gigabyte.
pub(crate) const MOST_RATIO: u64 = 200;

/// Bytes of one name at most, as on Linux.
const LONGEST: usize = 4095;

/// Links that one link leads to, one after the other.
const MOST_LINKS: usize = 40;

impl TreePath {
    /// Reads a name. Parts that are `.` are left out, as they stand at the beginning of names in archives.
    pub(crate) fn parse(name: &str) -> Result<Self, TreeError> {
        let wrong = |why| TreeError::Name {
            name: text::quote(name).to_string(),
            why,
        };
        if name.starts_with('/') {
            return Err(wrong("is absolute"));
        }
        if name.len() > LONGEST {
            return Err(wrong("is too long"));
        }
        if name.contains(['\0', '\\']) {
            return Err(wrong("has a character in it that names of files may not have"));
        }
        let mut parts = Vec::new();
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(wrong("leads out of its directory")),
                part if part.len() > 255 => return Err(wrong("is too long")),
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(wrong("is empty"));
        }
        if parts.len() > MOST_LEVELS {
            return Err(wrong("is in too many directories"));
        }
        Ok(Self(parts.join("/")))
    }

    /// The place of a link's target: from the link's directory, or from the root of the tree if it is absolute.
    fn target(&self, target: &str) -> Option<Self> {
        let mut parts: Vec<&str> = match target.strip_prefix('/') {
            Some(_) => Vec::new(),
            None => {
                let mut parts: Vec<&str> = self.0.split('/').collect();
                parts.pop();
                parts
            }
        };
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        Self::parse(&parts.join("/")).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that it is in, and its last part.
    pub(crate) fn split(&self) -> (Option<Self>, &str) {
        match self.0.rsplit_once('/') {
            Some((directory, last)) => (Some(Self(directory.to_owned())), last),
            None => (None, &self.0),
        }
    }

    /// The directories that it is in, the innermost first.
    pub(crate) fn above(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.split().0, |directory| directory.split().0)
    }

    pub(crate) fn join(&self, name: &str) -> Result<Self, TreeError> {
        Self::parse(&format!("{}/{name}", self.0))
    }
}

/// What is in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// 64 digits.
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

/// The files of a tree, by their paths.
pub(crate) type Index = BTreeMap<String, Content>;

/// What was made so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    entries: usize,
    names: usize,
    bytes: u64,
}

/// A tree that is being written.
#[derive(Debug)]
pub(crate) struct Tree {
    /// None for a tree that is only hashed.
    root: Option<PathBuf>,
    files: BTreeMap<TreePath, Content>,
    links: BTreeMap<TreePath, String>,
    /// With or without something in them; on disk are only those with files.
    directories: BTreeSet<TreePath>,
    spent: Spent,
}

impl Tree {
    /// A tree in a directory that is there, is empty, and is written to by nobody else.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self::after(Some(root), Spent::default())
    }

    /// A tree that is not written.
    pub(crate) fn unwritten() -> Self {
        Self::after(None, Spent::default())
    }

    /// A tree that shares its bounds with others, which were made before.
    pub(crate) fn after(root: Option<PathBuf>, spent: Spent) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            directories: BTreeSet::new(),
            spent,
        }
    }

    fn on_disk(&self, path: &TreePath) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(&path.0))
    }

    /// Writes a file, and answers its digest.
    pub(crate) fn add(&mut self, path: &TreePath, content: &mut dyn Read) -> Result<Digest, TreeError> {
        if self.has(path) {
            return Err(twice(path));
        }
        self.begin(path)?;
        let mut to: Box<dyn Write> = match self.on_disk(path) {
            None => Box::new(io::sink()),
            Some(on_disk) => {
                make_parent(&on_disk)?;
                let mut options = OpenOptions::new();
                Box::new(options.write(true).create_new(true).mode(0o600).open(&on_disk)?)
            }
        };
        let room = MOST_BYTES - self.spent.bytes;
        let (content, digest) = copy(&mut content.take(room + 1), &mut *to)?;
        self.spend_bytes(content.size)?;
        self.files.insert(path.clone(), content);
        Ok(digest)
    }

    /// Notes a link.
    pub(crate) fn link(&mut self, path: &TreePath, target: &str) -> Result<(), TreeError> {
        if self.has(path) {
            return Err(twice(path));
        }
        self.begin(path)?;
        self.spent.names += target.len();
        if path.target(target).is_none() {
            return Err(link_error(path, target));
        }
        self.links.insert(path.clone(), target.to_owned());
        Ok(())
    }

    /// Notes a directory, perhaps once more.
    pub(crate) fn directory(&mut self, path: &TreePath) -> Result<(), TreeError> {
        if self.has_leaf(path) {
            return Err(twice(path));
        }
        for directory in std::iter::once(path.clone()).chain(path.above()) {
            if self.has_leaf(&directory) {
                return Err(twice(&directory));
            }
            if self.directories.contains(&directory) {
                break;
            }
            self.spend(&directory)?;
            self.directories.insert(directory);
        }
        Ok(())
    }

    fn begin(&mut self, path: &TreePath) -> Result<(), TreeError> {
        self.spend(path)?;
        match path.split().0 {
            Some(directory) => self.directory(&directory),
            None => Ok(()),
        }
    }

    /// Counts an entry.
    pub(crate) fn spend(&mut self, path: &TreePath) -> Result<(), TreeError> {
        self.spent.entries += 1;
        self.spent.names += path.0.len();
        if self.spent.entries > MOST_ENTRIES || self.spent.names > MOST_NAMES {
            return Err(TreeError::ManyEntries);
        }
        Ok(())
    }

    fn spend_bytes(&mut self, bytes: u64) -> Result<(), TreeError> {
        match self.spent.bytes.checked_add(bytes) {
            Some(all) if all <= MOST_BYTES => self.spent.bytes = all,
            _ => return Err(TreeError::ManyBytes),
        }
        Ok(())
    }

    /// True if there is something of this name.
    pub(crate) fn has(&self, path: &TreePath) -> bool {
        self.has_leaf(path) || self.directories.contains(path)
    }

    /// True if there is a file or a link of this name.
    pub(crate) fn has_leaf(&self, path: &TreePath) -> bool {
        self.files.contains_key(path) || self.links.contains_key(path)
    }

    /// All files and links below a directory, or all if none is named.
    pub(crate) fn below(&self, directory: Option<&TreePath>) -> Vec<TreePath> {
        match directory {
            None => self.files.keys().chain(self.links.keys()).cloned().collect(),
            Some(directory) => {
                let files = below(&self.files, directory).map(|(path, _)| path);
                let links = below(&self.links, directory).map(|(path, _)| path);
                files.chain(links).cloned().collect()
            }
        }
    }

    /// Removes what has this name, and what is below it. Directories that nothing is left in go from the disk, too.
    pub(crate) fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        for gone in self.below(Some(path)) {
            self.files.remove(&gone);
            self.links.remove(&gone);
        }
        self.files.remove(path);
        self.links.remove(path);
        let from = TreePath(format!("{}/", path.0));
        let directories = self.directories.range(from.clone()..);
        let directories = directories.take_while(|directory| directory.0.starts_with(&from.0));
        for gone in directories.cloned().collect::<Vec<_>>() {
            self.directories.remove(&gone);
        }
        self.directories.remove(path);
        let Some(on_disk) = self.on_disk(path) else {
            return Ok(());
        };
        let removed = match fs::symlink_metadata(&on_disk) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&on_disk),
            Ok(_) => fs::remove_file(&on_disk),
            Err(error) => Err(error),
        };
        if let Err(error) = removed
            && !is_missing(&error)
        {
            return Err(error);
        }
        for directory in path.above() {
            let removed = self.on_disk(&directory).map(fs::remove_dir);
            if removed.is_none_or(|removed| removed.is_err()) {
                break;
            }
        }
        Ok(())
    }

    /// Ends links, and answers what is there.
    pub(crate) fn finish(self) -> Result<Index, TreeError> {
        self.finish_counted().map(|(index, _)| index)
    }

    /// As [`finish`](Self::finish), and answers what it took.
    pub(crate) fn finish_counted(mut self) -> Result<(Index, Spent), TreeError> {
        let mut made = Vec::new();
        for (path, target) in &self.links {
            let Some((found, content)) = self.follow(path, target)? else {
                continue;
            };
            made.push((path.clone(), found, content));
        }
        for (path, found, content) in made {
            // Whoever hashes or copies the tree reads them once for each name.
            self.spend_bytes(content.size)?;
            if let (Some(found), Some(on_disk)) = (self.on_disk(&found), self.on_disk(&path)) {
                make_parent(&on_disk)?;
                name_once_more(&found, &on_disk)?;
            }
            self.files.insert(path, content);
        }
        let files = self.files.into_iter();
        let index = files.map(|(path, content)| (path.0, content)).collect();
        Ok((index, self.spent))
    }

    /// The file that a link leads to, if it leads to one.
    fn follow(&self, link: &TreePath, target: &str) -> Result<Option<(TreePath, Content)>, TreeError> {
        let (mut at, mut to) = (link.clone(), target.to_owned());
        for _ in 0..MOST_LINKS {
            let next = at.target(&to).ok_or_else(|| link_error(link, target))?;
            if let Some(content) = self.files.get(&next) {
                return Ok(Some((next, content.clone())));
            }
            match self.links.get(&next) {
                Some(further) => (at, to) = (next, further.clone()),
                None => return Ok(None),
            }
        }
        Err(link_error(link, target))
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A file has only so many names, on some file systems one; then a copy does as well.
fn name_once_more(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => fs::copy(file, name).map(|_| ()),
        Ok(()) => Ok(()),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn below<'m, V>(
    map: &'m BTreeMap<TreePath, V>,
    directory: &TreePath,
) -> impl Iterator<Item = (&'m TreePath, &'m V)> {
    let prefix = format!("{}/", directory.0);
    let from = Bound::Included(TreePath(prefix.clone()));
    map.range((from, Bound::Unbounded))
        .take_while(move |(path, _)| path.0.starts_with(&prefix))
}

fn twice(path: &TreePath) -> TreeError {
    TreeError::Twice {
        name: text::quote(&path.0).to_string(),
    }
}

fn link_error(path: &TreePath, target: &str) -> TreeError {
    TreeError::Link {
        name: text::quote(&path.0).to_string(),
        target: text::quote(target).to_string(),
    }
}

/// Copies to the end, and answers what was copied.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(Content, Digest)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = Digest::parse(&format!("sha256:{sha256}")).expect("INVARIANT: 64 digits");
    Ok((Content { sha256, size }, digest))
}

/// The digest of bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let (_, digest) = copy(&mut &*bytes, &mut io::sink()).expect("INVARIANT: bytes can be read");
    digest
}

/// True if the directory has these files, and nothing else, and each is what it was.
pub(crate) fn is_as_it_was(root: &Path, index: &Index) -> io::Result<bool> {
    let mut seen = 0;
    let mut directories = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                return Ok(false);
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let prefix = format!("{path}/");
                let mut following = index.range(prefix.clone()..);
                if !following
                    .next()
                    .is_some_and(|(file, _)| file.starts_with(&prefix))
                {
                    return Ok(false);
                }
                directories.push((entry.path(), prefix));
                continue;
            }
            let Some(expected) = index.get(&path).filter(|_| kind.is_file()) else {
                return Ok(false);
            };
            let Some(mut file) = open(&entry.path())? else {
                return Ok(false);
            };
            if file.metadata()?.len() != expected.size {
                return Ok(false);
            }
            let (content, _) = copy(&mut file, &mut io::sink())?;
            if content != *expected {
                return Ok(false);
            }
            seen += 1;
        }
    }
    Ok(seen == index.len())
}

#[cfg(test)]
mod tests;
