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
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    /// An entry without the checks of the library that writes it.
    fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let put = |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
        put(&mut header.as_old_mut().name, name);
        put(&mut header.as_old_mut().linkname, link);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }

    fn archive(entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, name, link, content) in entries {
            entry(&mut builder, *kind, name, link, content.as_bytes());
        }
        builder.into_inner().unwrap()
    }

    fn laid(layers: &[Vec<u8>]) -> Result<Vec<String>, TreeError> {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(folder.path().to_owned());
        for layer in layers {
            unpack(&**layer, Packing::Plain, layer.len() as u64, &mut tree)?;
        }
        let index = tree.finish()?;
        Ok(index.into_keys().collect())
    }

    use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink};

    #[test]
    fn layers_cover_each_other() {
        let lower = archive(&[
            (Directory, "./", "", ""),
            (Regular, "./spin.toml", "", "old"),
            (Regular, "a/one", "", "1"),
            (Regular, "a/two", "", "2"),
            (Regular, "b/one", "", "1"),
            (Regular, "c", "", "a file below"),
        ]);
        let upper = archive(&[
            (Regular, "spin.toml", "", "new"),
            (Regular, "a/.wh.two", "", ""),
            (Regular, "b/new", "", ""),
            (Regular, "b/.wh..wh..opq", "", ""),
            (Regular, ".wh.c", "", ""),
            (Regular, "c/now", "", "a directory above"),
            (Link, "d", "spin.toml", ""),
        ]);
        let names = laid(&[lower, upper]).unwrap();
        assert_eq!(names, ["a/one", "b/new", "c/now", "d", "spin.toml"]);
    }

    #[test]
    fn a_directory_covers_what_is_below_wherever_whiteouts_stand() {
        type Entries = &'static [(EntryType, &'static str, &'static str, &'static str)];
        let rows: &[(Entries, Entries, &[&str])] = &[
            // A file, a link.
            (
                &[(Regular, "x", "", "old")],
                &[(Directory, "x/", "", ""), (Regular, "x/y", "", "new")],
                &["x/y"],
            ),
            (
                &[(Symlink, "x", "z", "")],
                &[(Directory, "x/", "", ""), (Regular, "x/y", "", "new")],
                &["x/y"],
            ),
            (
                &[(Regular, "x", "", "old")],
                &[(Regular, "x/y", "", "")],
                &["x/y"],
            ),
            (&[(Regular, "x", "", "old")], &[(Directory, "x/", "", "")], &[]),
            // The other way round.
            (
                &[(Directory, "x/", "", ""), (Regular, "x/y", "", "old")],
                &[(Regular, "x", "", "new")],
                &["x"],
            ),
            (&[(Directory, "x/", "", "")], &[(Link, "x", "z", "")], &[]),
            // A whiteout behind what takes the place, or before it.
            (
                &[(Regular, "x", "", "old")],
                &[(Regular, "x", "", "new"), (Regular, ".wh.x", "", "")],
                &["x"],
            ),
            (
                &[(Regular, "x/old", "", ""), (Regular, "x/both", "", "old")],
                &[
                    (Regular, "x/new", "", ""),
                    (Regular, ".wh.x", "", ""),
                    (Regular, "x/both", "", "new"),
                ],
                &["x/both", "x/new"],
            ),
            (
                &[(Regular, "x/y/old", "", "")],
                &[
                    (Regular, "x/y/new", "", ""),
                    (Regular, ".wh..wh..opq", "", ""),
                    (Regular, ".wh..wh..opq", "", ""),
                ],
                &["x/y/new"],
            ),
        ];
        for (lower, upper, expected) in rows {
            let names = laid(&[archive(lower), archive(upper)]).unwrap();
            assert_eq!(names, *expected, "{lower:?} {upper:?}");
        }
    }

    #[test]
    fn what_leads_out_or_is_no_file_refuses_the_whole() {
        type Entries = &'static [(EntryType, &'static str, &'static str, &'static str)];
        let rows: &[(Entries, &str)] = &[
            (&[(Regular, "/etc/passwd", "", "")], "name"),
            (&[(Directory, "/", "", "")], "name"),
            (&[(Regular, "../x", "", "")], "name"),
            (&[(Regular, "a/../../x", "", "")], "name"),
            (&[(Directory, "a/..", "", "")], "name"),
            (&[(Regular, "a/.wh...", "", "")], "name"),
            (&[(Regular, ".wh..", "", "")], "name"),
            (&[(Symlink, "a", "../x", "")], "link"),
            (&[(Symlink, "a/b", "../../x", "")], "link"),
            (&[(Link, "a", "../x", "")], "name"),
            (&[(Link, "a", "/etc/passwd", "")], "name"),
            (&[(Symlink, "a", "b", ""), (Regular, "a/x", "", "")], "twice"),
            (&[(Regular, "a", "", ""), (Regular, "a/x", "", "")], "twice"),
            (&[(Regular, "a", "", "1"), (Regular, "a", "", "2")], "twice"),
            (&[(Regular, "a/x", "", ""), (Regular, "a", "", "")], "twice"),
            (&[(Directory, "a", "", ""), (Regular, "a", "", "")], "twice"),
            (&[(Symlink, "a", "b", ""), (Directory, "a", "", "")], "twice"),
            (&[(Char, "null", "", "")], "special"),
            (&[(Block, "sda", "", "")], "special"),
            (&[(Fifo, "pipe", "", "")], "special"),
            (&[(GNUSparse, "sparse", "", "")], "special"),
        ];
        for (entries, expected) in rows {
            let is = match laid(&[archive(entries)]) {
                Err(TreeError::Name { .. }) => "name",
                Err(TreeError::Link { .. }) => "link",
                Err(TreeError::Twice { .. }) => "twice",
                Err(TreeError::Special { .. }) => "special",
                other => panic!("{entries:?}: {other:?}"),
            };
            assert_eq!(is, *expected, "{entries:?}");
        }
    }

    #[test]
    fn a_bomb_ends_before_it_is_unpacked() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let mut header = Header::new_gnu();
        header.set_path("zeroes").unwrap();
        header.set_size(1 << 30);
        header.set_cksum();
        packed.write_all(header.as_bytes()).unwrap();
        for _ in 0..128 {
            packed.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let packed = packed.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(folder.path().to_owned());
        let size = 300_000;
        assert!((packed.len() as u64) > size);
        let outcome = unpack(&*packed, Packing::Gzip, size, &mut tree);
        assert!(matches!(outcome, Err(TreeError::Bomb)), "{outcome:?}");
    }

    #[test]
    fn long_names_are_read_and_bounded() {
        let long = format!("{}/x", "d".repeat(200));
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_cksum();
        builder.append_data(&mut header, &long, &b"1"[..]).unwrap();
        assert_eq!(laid(&[builder.into_inner().unwrap()]).unwrap(), [long]);

        let mut builder = Builder::new(Vec::new());
        let endless = "n".repeat(1 << 20);
        entry(
            &mut builder,
            EntryType::GNULongName,
            "././@LongLink",
            "",
            endless.as_bytes(),
        );
        entry(&mut builder, Regular, "x", "", b"");
        let outcome = laid(&[builder.into_inner().unwrap()]);
        assert!(matches!(outcome, Err(TreeError::Name { .. })), "{outcome:?}");

        let mut builder = Builder::new(Vec::new());
        entry(
            &mut builder,
            EntryType::XHeader,
            "pax",
            "",
            b"17 path=../../x\n\n",
        );
        entry(&mut builder, Regular, "x", "", b"");
        assert!(laid(&[builder.into_inner().unwrap()]).is_err());
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = archive(&[(Regular, "a", "", "content")]);
        assert!(laid(&[whole[..514].to_vec()]).is_err());
        assert!(laid(&[b"no archive at all".to_vec()]).is_err());
    }
}
