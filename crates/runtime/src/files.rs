//! The files that the author gives a component: `files` and `exclude_files` of the manifest.
//!
//! ```text
//! manifest's directory ── opened once, nothing above it can be reached from here
//!   │ "images/*.png"                                    ▶ the same paths in the guest
//!   │ { source = "assets", destination = "/public" }    ▶ all files below, under /public
//!   │ minus what `exclude_files` matches
//!   ▼
//! a directory of the process's own, which no one else can enter ── the guest's `/`, for reading
//! ```
//!
//! Files are copied at start, as Spin does it: what changes later the guest does not see, and what it sees is never
//! the file itself. Every file is opened relative to the manifest's directory in one step that cannot leave it
//! (`openat2` with `RESOLVE_BENEATH`), so neither `..` nor a symbolic link leads out, and nobody can exchange a link
//! between a check and its use. Links to files within the directory are followed; links to directories are not
//! searched by patterns. What is neither a file nor a directory is refused before it is opened.
//!
//! How many entries are looked at, how much work patterns make, and how many bytes are copied is [bounded](bounds), for
//! each component.
//!
//! The copies lie in [a directory of the cache](CacheDirectory::files), and are removed when the last [`FileTree`] is
//! dropped; what a process that was killed left there, by the next one that copies.

mod bounds;
mod copies;
mod pattern;
mod source;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_manifest::{Component, Located, Mount, Span};
use outport_policy::text;

use self::bounds::Bounds;
use self::copies::OwnCopy;
use self::pattern::Pattern;
pub use self::pattern::PatternError;
use self::source::SourceTree;
use crate::cache::CacheDirectory;
use crate::guest_env::{Access, Directory, OpenDirectories};

/// Bytes of files that are copied for one component, unless something else is wanted: 4 GiB.
pub const DEFAULT_BYTES: u64 = bounds::BYTES;

/// The files of one component, copied. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileTree {
    // INVARIANT: what is in it stays as long as it can be read.
    folder: Arc<OwnCopy>,
    directories: OpenDirectories,
    unmatched: Arc<[Located<String>]>,
}

/// Files that cannot be given to a guest, and the item of the manifest that names them.
#[derive(Debug)]
pub struct FilesProblem {
    /// The error.
    pub error: FilesError,
    /// The place in the manifest.
    pub span: Span,
}

/// The reason why files cannot be given to a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A pattern cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// There is nothing of that name.
    #[error("there is no file `{path}`")]
    Missing {
        /// The path as it is written.
        path: String,
    },
    /// A path that is not below the manifest's directory, or a link that does not stay there.
    #[error("`{path}` leads out of the directory of the manifest")]
    LeadsOut {
        /// The path.
        path: String,
    },
    /// A pipe, a socket, a device.
    #[error("`{path}` is neither a file nor a directory")]
    NeitherFileNorDirectory {
        /// The path.
        path: String,
    },
    /// More files and directories than are looked at.
    #[error(
        "there are more than {most} files and directories, or 256 MiB of paths, to look at for one component"
    )]
    TooMany {
        /// The greatest number.
        most: u64,
    },
    /// Patterns that compare too much.
    #[error("comparing the patterns with all the files is too much work")]
    TooLaborious,
    /// More than is copied.
    #[error("the files of one component have more than {most} bytes together")]
    TooLarge {
        /// The greatest number.
        most: u64,
    },
    /// There is no place for the copies.
    #[error("the files cannot be copied to `{directory}`, where the guest would find them: {reason}")]
    NoDirectory {
        /// The directory that cannot be made or written to.
        directory: String,
        /// The system's error.
        reason: io::Error,
    },
    /// Two files with one path in the guest, one of them as a directory.
    #[error("`{path}` cannot be copied for the guest: {reason}")]
    Unusable {
        /// The path.
        path: String,
        /// The system's error.
        reason: io::Error,
    },
}

impl FilesError {
    fn of(path: &str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            io::ErrorKind::CrossesDevices => Self::LeadsOut { path },
            _ => Self::Unusable { path, reason: error },
        }
    }

    /// True if it is one of all files together, so that further items have it as well.
    fn is_of_all_files(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. } | Self::TooLaborious | Self::TooLarge { .. }
        )
    }

    /// Advice on what to do about it, as a sentence without full stop.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::LeadsOut { .. } => {
                Some("a guest gets files of its app alone: copy them into the app's directory")
            }
            Self::TooMany { .. } => Some("name the directories that the guest needs, instead of all"),
            Self::TooLaborious => Some("use fewer patterns, with fewer `*`"),
            Self::TooLarge { .. } => Some("permit more with `--max-files-size SIZE`"),
            Self::NoDirectory { .. } => Some("name a directory that you may write to with `--cache-dir DIR`"),
            _ => None,
        }
    }
}

impl FileTree {
    /// Copies the files of `component` from `root`, the directory of its manifest, to `cache`; nothing where it asks
    /// for none.
    ///
    /// # Errors
    ///
    /// Every pattern that cannot be read, every file that is missing or leads out of `root`; more than `bytes` bytes or
    /// than one component may have otherwise, or what the system says.
    pub fn copy(
        component: &Component,
        root: &Path,
        cache: &CacheDirectory,
        bytes: u64,
    ) -> Result<Option<Self>, Vec<FilesProblem>> {
        let Some(first) = component.files.first() else {
            return Ok(None);
        };
        let at_first = |error| vec![at(&first.span)(error)];
        // Before anything is made: where what is excluded is not known nothing is copied.
        let source = Source::of(component, root, bytes)?;
        let copies = cache.files();
        if cache.has_own_files() {
            // Only in a directory of its own: in that for temporary files others have theirs.
            copies::remove_abandoned(&copies);
        }
        let folder = fs::create_dir_all(&copies)
            .and_then(|()| OwnCopy::make(&copies))
            .map_err(|reason| {
                let directory = text::path(&copies).to_string();
                at_first(FilesError::NoDirectory { directory, reason })
            })?;
        let unmatched = source.take(component, Some(folder.path()))?;
        let root = Directory {
            host: folder.path().to_owned(),
            guest: "/".to_owned(),
            access: Access::Read,
        };
        let directories = OpenDirectories::open(vec![root]).map_err(|error| {
            let path = folder.path().display().to_string();
            let reason = io::Error::other(error);
            at_first(FilesError::Unusable { path, reason })
        })?;
        Ok(Some(Self {
            folder: Arc::new(folder),
            directories,
            unmatched: unmatched.into(),
        }))
    }

    /// The problems that [`copy`](FileTree::copy) would find with the files themselves, without a copy.
    pub fn look(component: &Component, root: &Path, bytes: u64) -> Vec<FilesProblem> {
        if component.files.is_empty() {
            return Vec::new();
        }
        match Source::of(component, root, bytes) {
            Ok(source) => source.take(component, None).err().unwrap_or_default(),
            Err(problems) => problems,
        }
    }

    /// The patterns of `files` that no file matches, which is most likely not what was meant.
    pub fn unmatched(&self) -> &[Located<String>] {
        &self.unmatched
    }

    /// The directory with the copies, which is there as long as this is.
    pub fn directory(&self) -> &Path {
        self.folder.path()
    }

    /// The files as the guest's `/`, open.
    pub(crate) fn directories(&self) -> OpenDirectories {
        self.directories.clone()
    }
}

fn at(span: &Span) -> impl Fn(FilesError) -> FilesProblem {
    let span = span.clone();
    move |error| FilesProblem {
        error,
        span: span.clone(),
    }
}

/// The directory that files are taken from, and the bounds on that.
struct Source {
    tree: SourceTree,
    excluded: Vec<Pattern>,
    bounds: Bounds,
}

impl Source {
    fn of(component: &Component, root: &Path, bytes: u64) -> Result<Self, Vec<FilesProblem>> {
        let mut problems = Vec::new();
        let mut excluded = Vec::new();
        for text in &component.exclude_files {
            match Pattern::parse(&text.value) {
                Ok(pattern) => excluded.push(pattern),
                Err(error) => problems.push(at(&text.span)(error.into())),
            }
        }
        if !problems.is_empty() {
            // What is left out is not known, so nothing is looked at.
            let patterns = component.files.iter().filter_map(|mount| match &mount.value {
                Mount::Pattern(text) => Some((text, &mount.span)),
                Mount::Placement { .. } => None,
            });
            let unreadable =
                patterns.filter_map(|(text, span)| Some(at(span)(Pattern::parse(text).err()?.into())));
            problems.extend(unreadable);
            return Err(problems);
        }
        let tree = SourceTree::open(root).map_err(|reason| {
            let error = FilesError::of(&text::path(root).to_string(), reason);
            let first = component.files.first().map_or(0..0, |first| first.span.clone());
            vec![at(&first)(error)]
        })?;
        Ok(Self {
            tree,
            excluded,
            bounds: Bounds::new(bytes),
        })
    }

    /// Copies the files to `folder`. After a problem the others are looked for, and no more is copied; so it is without
    /// a folder. A bound that is reached is the last problem: it is one of all files together. Answers the patterns
    /// that match nothing.
    fn take(
        self,
        component: &Component,
        folder: Option<&Path>,
    ) -> Result<Vec<Located<String>>, Vec<FilesProblem>> {
        let mut copy = Copy { source: self, folder };
        let mut unmatched = Vec::new();
        let mut problems = Vec::new();
        for mount in &component.files {
            let error = match (copy.mount(&mount.value), &mount.value) {
                (Ok(Matched::Nothing), Mount::Pattern(text)) => {
                    unmatched.push(Located::new(text.clone(), mount.span.clone()));
                    continue;
                }
                (Ok(_), _) => continue,
                (Err(error), _) => error,
            };
            let is_last = error.is_of_all_files();
            problems.push(at(&mount.span)(error));
            copy.folder = None;
            if is_last {
                break;
            }
        }
        if problems.is_empty() {
            Ok(unmatched)
        } else {
            Err(problems)
        }
    }
}

/// The result of an item of `files`.
enum Matched {
    Something,
    /// A pattern, and no file.
    Nothing,
}

/// A copy in the making.
struct Copy<'a> {
    source: Source,
    /// None where files are only looked at.
    folder: Option<&'a Path>,
}

impl Copy<'_> {
    fn mount(&self, mount: &Mount) -> Result<Matched, FilesError> {
        match mount {
            Mount::Pattern(text) => self.pattern(text),
            Mount::Placement { source, destination } => {
                self.placement(source, destination).map(|()| Matched::Something)
            }
        }
    }

    fn pattern(&self, text: &str) -> Result<Matched, FilesError> {
        let pattern = Pattern::parse(text)?;
        let found = self.source.tree.matching(&pattern, &self.source.bounds)?;
        if found.is_empty() && pattern.is_literal() {
            return Err(FilesError::Missing {
                path: text.to_owned(),
            });
        }
        if found.is_empty() {
            return Ok(Matched::Nothing);
        }
        found.iter().try_for_each(|path| self.file(path, path))?;
        Ok(Matched::Something)
    }

    /// A file, or everything below a directory.
    fn placement(&self, source: &str, destination: &str) -> Result<(), FilesError> {
        let source = source.trim_start_matches("./").trim_end_matches('/');
        let destination = destination.trim_matches('/');
        if !self.source.tree.is_directory(source)? {
            return self.file(source, destination);
        }
        for path in self.source.tree.below(source, &self.source.bounds)? {
            let rest = path.strip_prefix(source).unwrap_or(&path).trim_start_matches('/');
            self.file(&path, &format!("{destination}/{rest}"))?;
        }
        Ok(())
    }

    fn file(&self, path: &str, destination: &str) -> Result<(), FilesError> {
        let Bounds { effort, .. } = &self.source.bounds;
        let is_excluded = self
            .source
            .excluded
            .iter()
            .any(|pattern| pattern.excludes(path, effort));
        self.source.bounds.compared()?;
        if is_excluded {
            return Ok(());
        }
        self.source.bounds.entry(path)?;
        // Opened also where nothing is copied, so that `check` finds what a start would.
        let from = self.source.tree.open_file(path)?;
        let Some(folder) = self.folder else {
            return Ok(());
        };
        // One that is larger, or grows meanwhile, is noticed by its next byte.
        let most = self.source.bounds.bytes().saturating_add(1);
        let to: PathBuf = folder.join(destination.trim_start_matches('/'));
        let copied = to
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::create(&to))
            .and_then(|mut to| io::copy(&mut from.take(most), &mut to));
        match copied {
            Ok(bytes) => self.source.bounds.copied(bytes),
            Err(reason) => Err(FilesError::Unusable {
                path: path.to_owned(),
                reason,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
