//! Layers of images: archives that are laid over each other.
//!
//! Every entry is looked at as it is written, the extensions for long names too, so that no name and no number is taken
//! from an archive unseen: a name or link that leads out, a device, a sparse file, and more bytes than the layer can
//! honestly stand for are refused, and nothing of the artifact is used. `.wh.NAME` removes what lower layers have.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use outport_policy::text;
use tar::{Archive, EntryType};

use super::tree::{MOST_BYTES, MOST_RATIO, Tree, TreeError, TreePath};

/// How the bytes of a layer are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As they are.
    Plain,
    /// With gzip.
    Gzip,
}

/// Lays an archive of `size` bytes over a tree.
pub(crate) fn unpack(
    layer: impl Read,
    packing: Packing,
    size: u64,
    tree: &mut Tree,
) -> Result<(), TreeError> {
    let most = size
        .saturating_mul(MOST_RATIO)
        .clamp(ALWAYS_FINE, MOST_BYTES + HEADERS);
    let unpacked: Box<dyn Read> = match packing {
        Packing::Plain => Box::new(layer),
        Packing::Gzip => Box::new(MultiGzDecoder::new(layer)),
    };
    let bounded = Bounded {
        inner: unpacked,
        left: most,
    };
    let mut layer = Layer {
        tree,
        own: HashMap::new(),
        hidden: HashSet::new(),
    };
    let outcome = layer.lay(bounded);
    match outcome {
        Err(TreeError::Io(error)) if error.get_ref().is_some_and(|inner| inner.is::<Exhausted>()) => {
            Err(TreeError::Bomb)
        }
        outcome => outcome,
    }
}

/// Bytes that any layer may unpack to.
const ALWAYS_FINE: u64 = 64 << 20;

/// Bytes of headers of all files.
const HEADERS: u64 = 256 << 20;

/// Bytes of the longest extension with a name in it.
const LONGEST_EXTENSION: u64 = 64 << 10;

struct Layer<'t> {
    tree: &'t mut Tree,
    /// What this layer has, which its own whiteouts leave alone, wherever they stand.
    own: HashMap<TreePath, Is>,
    /// What whiteouts of this layer have removed: once is enough, and a thousand times would take long.
    hidden: HashSet<(Option<TreePath>, Hidden)>,
}

/// The one meaning that a name has within a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// A file or a link.
    Leaf,
    Directory,
}

/// What a whiteout is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Hidden {
    /// What has the name, and what is below it.
    All,
    /// What is below it.
    Below,
}

/// What is said about the next entry by those before it.
#[derive(Default)]
struct Extension {
    name: Option<String>,
    link: Option<String>,
}

impl Layer<'_> {
    fn lay(&mut self, archive: impl Read) -> Result<(), TreeError> {
        let mut archive = Archive::new(archive);
        let mut extension = Extension::default();
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            let kind = entry.header().entry_type();
            match kind {
                EntryType::GNULongName => extension.name = Some(long_name(&mut entry)?),
                EntryType::GNULongLink => extension.link = Some(long_name(&mut entry)?),
                EntryType::XHeader => read_pax(&mut entry, &mut extension)?,
                EntryType::XGlobalHeader => {}
                _ => {
                    let Extension { name, link } = std::mem::take(&mut extension);
                    let name = match name {
                        Some(name) => name,
                        None => utf8(&entry.header().path_bytes())?,
                    };
                    let link = match (link, entry.header().link_name_bytes()) {
                        (Some(link), _) => Some(link),
                        (None, Some(bytes)) => Some(utf8(&bytes)?),
                        (None, None) => None,
                    };
                    self.lay_entry(kind, &name, link.as_deref(), &mut entry)?;
                }
            }
        }
        Ok(())
    }

    fn lay_entry(
        &mut self,
        kind: EntryType,
        name: &str,
        link: Option<&str>,
        content: &mut dyn Read,
    ) -> Result<(), TreeError> {
        // The root itself, as most archives begin.
        if kind.is_dir()
            && name.split('/').all(|part| part.is_empty() || part == ".")
            && !name.starts_with('/')
        {
            return Ok(());
        }
        let path = TreePath::parse(name)?;
        let (directory, last) = path.split();
        if last == OPAQUE {
            return self.hide(directory, Hidden::Below);
        }
        if let Some(hidden) = last.strip_prefix(WHITEOUT) {
            let hidden = match &directory {
                Some(directory) => directory.join(hidden)?,
                None => TreePath::parse(hidden)?,
            };
            return self.hide(Some(hidden), Hidden::All);
        }
        match kind {
            EntryType::Directory => {
                self.make_room(&path, Is::Directory)?;
                self.tree.directory(&path)
            }
            EntryType::Regular | EntryType::Continuous => {
                self.make_room(&path, Is::Leaf)?;
                self.tree.add(&path, content)?;
                Ok(())
            }
            EntryType::Symlink | EntryType::Link => {
                self.make_room(&path, Is::Leaf)?;
                let target = link.unwrap_or_default();
                // A hard link names its file from the root of the archive.
                let target = match kind {
                    EntryType::Link => format!("/{}", TreePath::parse(target)?.as_str()),
                    _ => target.to_owned(),
                };
                self.tree.link(&path, &target)
            }
            _ => Err(TreeError::Special {
                name: text::quote(name).to_string(),
            }),
        }
    }

    /// What a lower layer has there is covered, also a file or a link where this one has a directory. Within one layer a
    /// name has one meaning.
    fn make_room(&mut self, path: &TreePath, is: Is) -> Result<(), TreeError> {
        let twice = |path: &TreePath| TreeError::Twice {
            name: text::quote(path.as_str()).to_string(),
        };
        for directory in path.above() {
            match self.own.get(&directory) {
                Some(Is::Directory) => break,
                Some(Is::Leaf) => return Err(twice(&directory)),
                None => {}
            }
            if self.tree.has_leaf(&directory) {
                self.tree.remove(&directory)?;
            }
            self.own.insert(directory, Is::Directory);
        }
        match (self.own.get(path), is) {
            // Archives may say what is known of a directory more than once.
            (Some(Is::Directory), Is::Directory) => return Ok(()),
            (Some(_), _) => return Err(twice(path)),
            (None, Is::Leaf) if self.tree.has(path) => self.tree.remove(path)?,
            (None, Is::Directory) if self.tree.has_leaf(path) => self.tree.remove(path)?,
            (None, _) => {}
        }
        self.own.insert(path.clone(), is);
        Ok(())
    }

    /// Removes what lower layers have.
    fn hide(&mut self, path: Option<TreePath>, what: Hidden) -> Result<(), TreeError> {
        if let Some(path) = &path {
            self.tree.spend(path)?;
        }
        if !self.hidden.insert((path.clone(), what)) {
            return Ok(());
        }
        let mut gone = self.tree.below(path.as_ref());
        if what == Hidden::All {
            gone.extend(path);
        }
        for path in gone {
            if !self.own.contains_key(&path) {
                self.tree.remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Begins the name of what a layer removes.
const WHITEOUT: &str = ".wh.";

/// Removes all that lower layers have in a directory.
const OPAQUE: &str = ".wh..wh..opq";

fn utf8(bytes: &[u8]) -> Result<String, TreeError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| TreeError::Name {
        name: text::quote(&String::from_utf8_lossy(bytes)).to_string(),
        why: "is not UTF-8",
    })
}

fn extension(entry: &mut impl Read) -> Result<Vec<u8>, TreeError> {
    let mut bytes = Vec::new();
    entry.take(LONGEST_EXTENSION + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_EXTENSION {
        return Err(TreeError::Name {
            name: "…".to_owned(),
            why: "is too long",
        });
    }
    Ok(bytes)
}

fn long_name(entry: &mut impl Read) -> Result<String, TreeError> {
    let mut bytes = extension(entry)?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    utf8(&bytes)
}

fn read_pax(entry: &mut impl Read, to: &mut Extension) -> Result<(), TreeError> {
    let bytes = extension(entry)?;
    for field in tar::PaxExtensions::new(&bytes) {
        let field = field?;
        match field.key_bytes() {
            b"path" => to.name = Some(utf8(field.value_bytes())?),
            b"linkpath" => to.link = Some(utf8(field.value_bytes())?),
            // The size of the header counts: files of more than 8 GiB do not fit anyway. Sparse files are not unpacked.
            key if key == b"size" || key.starts_with(b"GNU.sparse.") => {
                return Err(TreeError::Special {
                    name: text::quote(to.name.as_deref().unwrap_or("a sparse file")).to_string(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A reader that ends with an error where too much comes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("more comes than may")]
struct Exhausted;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(Exhausted)),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
