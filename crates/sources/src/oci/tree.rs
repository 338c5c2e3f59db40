//! Files from elsewhere, written under names from elsewhere: a tree below one directory that nothing in it leads out of.
//!
//! A name is read before it is a path ([`TreePath`]); files and directories are all that is made on disk, so no name can
//! lead through a link. A link is kept in memory, and becomes a second name of the file that it leads to when all is there;
//! one that leads to a directory or to nothing is left out. Entries, levels, bytes and names are bounded, and all that there
//! ever was counts: directories, links with the bytes that they lead to, and what was removed again.
//!
//! A tree without a directory is only counted and hashed: what it would be, to compare with what is there.

mod content;
mod error;
mod path;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use outport_files::regular_file;
use outport_manifest::Digest;
use outport_policy::text;

pub(crate) use self::content::{Content, Index, copy, digest_of, is_as_it_was};
pub use self::error::TreeError;
pub(crate) use self::path::TreePath;

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
            && !regular_file::is_missing(&error)
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

/// Files, links and directories of one tree at most.
const MOST_ENTRIES: usize = 100_000;

/// Bytes of all names of one tree at most.
const MOST_NAMES: usize = 64 << 20;

/// Bytes of all files of one tree at most.
pub(crate) const MOST_BYTES: u64 = 4 << 30;

/// See [`TreeError::Bomb`]; text and zeroes are packed a thousandfold, but not by the gigabyte.
pub(crate) const MOST_RATIO: u64 = 200;

/// Links that one link leads to, one after the other.
const MOST_LINKS: usize = 40;

#[cfg(test)]
mod tests;
