//! The layers of an artifact: code, and files one by one or in archives.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use outport_files::regular_file;

use super::super::artifact::{SPIN_BUNDLE, SPIN_CODE, SPIN_FILE};
use super::super::locked_app::{LockedContent, LockedFile, LockedSource};
use super::super::manifest::Descriptor;
use super::super::tree::copy;
use super::{PushError, unreadable};

/// How files become layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// A layer for each.
    Single,
    /// A layer for all of a component.
    Archives,
}

pub(super) enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

pub(super) struct Layers<'f> {
    /// For archives.
    folder: &'f Path,
    packing: Packing,
    pub(super) list: Vec<(Descriptor, Content)>,
    known: HashSet<String>,
}

impl<'f> Layers<'f> {
    pub(super) fn new(folder: &'f Path, packing: Packing) -> Self {
        Self {
            folder,
            packing,
            list: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Adds a file, unless it is there, and answers what names it.
    fn add_file(&mut self, kind: &str, path: &Path) -> Result<LockedContent, PushError> {
        let (content, digest) = regular_file::open(path)
            .and_then(|mut file| copy(&mut file, &mut io::sink()))
            .map_err(|error| unreadable(path, error))?;
        if self.known.insert(digest.hex().to_owned()) {
            let layer = Descriptor {
                media_type: kind.to_owned(),
                digest: digest.clone(),
                size: content.size,
                annotations: None,
                platform: None,
            };
            self.list.push((layer, Content::File(path.to_owned())));
        }
        Ok(LockedContent {
            inline: None,
            digest: Some(digest.to_string()),
        })
    }

    pub(super) fn add_code(&mut self, path: &Path) -> Result<LockedSource, PushError> {
        Ok(LockedSource {
            content_type: "application/wasm".to_owned(),
            content: self.add_file(SPIN_CODE, path)?,
        })
    }

    /// Adds all files of a directory.
    pub(super) fn add_files(&mut self, root: &Path) -> Result<Vec<LockedFile>, PushError> {
        let mut files = Vec::new();
        let archive = self.folder.join(format!("{}.tar.gz", self.list.len()));
        let mut packed = match self.packing {
            Packing::Single => None,
            Packing::Archives => {
                let file = File::create(&archive).map_err(|error| unreadable(&archive, error))?;
                Some(tar::Builder::new(GzEncoder::new(file, Compression::default())))
            }
        };
        for (name, path) in files_below(root)? {
            let small =
                fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= LockedContent::MOST_INLINE);
            let content = if small {
                let bytes = fs::read(&path).map_err(|error| unreadable(&path, error))?;
                LockedContent::of(&bytes)
            } else if let Some(packed) = &mut packed {
                append(packed, &name, &path).map_err(|error| unreadable(&path, error))?
            } else {
                self.add_file(SPIN_FILE, &path)?
            };
            files.push(LockedFile { content, path: name });
        }
        if let Some(packed) = packed {
            packed
                .into_inner()
                .and_then(GzEncoder::finish)
                .map_err(|error| unreadable(&archive, error))?;
            self.add_file(SPIN_BUNDLE, &archive)?;
        }
        Ok(files)
    }
}

/// Appends a file without what differs from machine to machine.
fn append(to: &mut tar::Builder<GzEncoder<File>>, name: &str, path: &Path) -> io::Result<LockedContent> {
    let (content, digest) = copy(&mut File::open(path)?, &mut io::sink())?;
    let mut header = tar::Header::new_gnu();
    header.set_size(content.size);
    header.set_mode(0o644);
    header.set_cksum();
    to.append_data(&mut header, name, File::open(path)?)?;
    Ok(LockedContent {
        inline: None,
        digest: Some(digest.to_string()),
    })
}

/// The files below a directory, with their paths in it, in order. There are no links: they are copies.
fn files_below(root: &Path) -> Result<BTreeMap<String, PathBuf>, PushError> {
    let mut files = BTreeMap::new();
    let mut directories = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = directories.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| unreadable(&directory, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&directory, error))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let path = outport_policy::text::path(&path).to_string();
                return Err(PushError::Name { path });
            };
            let name = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
            if kind.is_dir() {
                directories.push((path, format!("{name}/")));
            } else if kind.is_file() {
                files.insert(name, path);
            }
        }
    }
    Ok(files)
}
