//! The places whose files are watched: what the manifest names, and what is read beside it.
//!
//! | of | what | when it changes |
//! | --- | --- | --- |
//! | a component | `build.watch`, relative to `build.workdir` | it is built |
//! | a start | the manifest, `.env`, files of variables, the operator's files | the app is read and started anew |
//! | the app | `source`, `files`, dependencies from files | it is started anew |
//!
//! A pattern is one of `globset`, in which `*` stays in its directory and `**` does not; one without any sign of a pattern is a
//! file, or a directory with all that is below. Files that a build makes are no sources of any, whatever the patterns say, and
//! neither is what tools keep for themselves ([`is_left_out`]).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component as Step, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use outport_manifest::{Component, ComponentId, Implementation, Manifest, Mount, Source};

/// Whom a file is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    /// The start of the app: its manifest, and what is read beside it.
    Start,
    /// The app that runs.
    App,
    /// The build of a component.
    Build(ComponentId),
}

/// A pattern, and where to look for what it matches.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The file, or the directory that the search begins in. Absolute.
    pub(super) base: PathBuf,
    /// Directories below it that are searched too; none for all.
    pub(super) depth: Option<usize>,
    /// None where all that is at the base and below is meant.
    matcher: Option<GlobMatcher>,
}

/// All that is watched.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) all: Vec<(Owner, Place)>,
    /// Files that a build makes.
    made: BTreeSet<PathBuf>,
    /// What else is written while the app runs.
    logs: BTreeSet<PathBuf>,
    /// What is worth saying about them.
    pub(super) remarks: Vec<String>,
}

impl Place {
    /// All that is at a path, and below if it is a directory.
    pub(super) fn whole(path: &Path) -> Self {
        Self {
            base: absolute(path),
            depth: None,
            matcher: None,
        }
    }

    /// What matches a pattern, relative to a directory.
    pub(super) fn pattern(directory: &Path, pattern: &str) -> Result<Self, globset::Error> {
        let directory = if pattern.starts_with('/') {
            PathBuf::from("/")
        } else {
            absolute(directory)
        };
        let steps = pattern.split('/');
        let steps: Vec<&str> = steps.filter(|step| !matches!(*step, "" | ".")).collect();
        let literal = steps
            .iter()
            .take_while(|step| !step.contains(['*', '?', '[', '{', '\\']))
            .count();
        let base = plain(&directory.join(steps[..literal].join("/")));
        let rest = &steps[literal..];
        if rest.is_empty() {
            return Ok(Self::whole(&base));
        }
        let begin = globset::escape(&base.to_string_lossy());
        let whole = format!("{}/{}", begin.trim_end_matches('/'), rest.join("/"));
        let glob = GlobBuilder::new(&whole).literal_separator(true).build()?;
        // What is between braces may have separators, too.
        let is_bounded = !rest.iter().any(|step| step.contains("**") || step.contains('{'));
        Ok(Self {
            base,
            depth: is_bounded.then(|| rest.len() - 1),
            matcher: Some(glob.compile_matcher()),
        })
    }

    pub(super) fn matches(&self, path: &Path) -> bool {
        match &self.matcher {
            None => path.starts_with(&self.base),
            Some(matcher) => matcher.is_match(path),
        }
    }
}

impl Places {
    /// What is read before the manifest is known: it, and files beside it.
    pub(super) fn of_files(manifest: &Path, others: &[PathBuf], logs: &[PathBuf]) -> Self {
        let files = std::iter::once(manifest).chain(others.iter().map(PathBuf::as_path));
        Self {
            all: files.map(|path| (Owner::Start, Place::whole(path))).collect(),
            logs: logs.iter().map(|path| absolute(path)).collect(),
            ..Self::default()
        }
    }

    /// Adds what the manifest names of the components that somebody `wants`. Where nothing is built, that is no matter of
    /// theirs.
    pub(super) fn add(&mut self, manifest: &Manifest, wants: impl Fn(&ComponentId) -> bool, builds: bool) {
        let wanted = manifest
            .components
            .iter()
            .filter(|component| wants(&component.id.value));
        for component in wanted {
            self.add_code(manifest, component, builds);
            if builds {
                self.add_sources(manifest, component);
            }
        }
    }

    /// True of a file that a build makes.
    pub(super) fn is_made(&self, path: &Path) -> bool {
        self.made.contains(path)
    }

    /// True of a file whose content counts for its owner.
    pub(super) fn counts(&self, owner: &Owner, path: &Path) -> bool {
        let is_another_ones = matches!(owner, Owner::Build(_)) && self.is_made(path);
        !is_another_ones && !self.logs.contains(path)
    }

    fn add_code(&mut self, manifest: &Manifest, component: &Component, builds: bool) {
        let folder = manifest.source.path().parent().unwrap_or(Path::new(""));
        let dependencies = component.dependencies.list.iter();
        let dependencies = dependencies.filter_map(|dependency| match &dependency.implementation.value {
            Implementation::Path(path) => Some(path.as_str()),
            _ => None,
        });
        let own = match &component.source.value {
            Source::Path(path) => Some(path.as_str()),
            _ => None,
        };
        for path in own.into_iter().chain(dependencies) {
            self.all.push((Owner::App, Place::whole(&folder.join(path))));
        }
        if let (Some(path), Some(_), true) = (own, &component.build, builds) {
            self.made.insert(absolute(&folder.join(path)));
        }
        for mount in &component.files {
            let place = match &mount.value {
                Mount::Placement { source, .. } => Ok(Place::whole(&folder.join(source))),
                Mount::Pattern(pattern) => Place::pattern(folder, pattern),
            };
            // Who reads them says what is wrong with one.
            self.all.extend(place.ok().map(|place| (Owner::App, place)));
        }
    }

    fn add_sources(&mut self, manifest: &Manifest, component: &Component) {
        let Some(build) = component
            .build
            .as_ref()
            .filter(|build| !build.commands.is_empty())
        else {
            return;
        };
        let id = &component.id.value;
        if build.watch.is_empty() {
            self.remarks.push(format!(
                "{id} has no `build.watch`, so nothing says when to build it: add such as `watch = [\"src/**/*\"]`"
            ));
        }
        let folder = manifest.source.path().parent().unwrap_or(Path::new(""));
        let workdir = build
            .workdir
            .as_ref()
            .map_or("", |workdir| workdir.value.as_str());
        for pattern in &build.watch {
            if pattern.value.trim().is_empty() {
                self.remarks.push(format!(
                    "`build.watch` of {id} has an empty pattern, which means no file: `.` is all of the directory"
                ));
                continue;
            }
            match Place::pattern(&folder.join(workdir), &pattern.value) {
                Ok(place) => self.all.push((Owner::Build(id.clone()), place)),
                Err(error) => self.remarks.push(format!(
                    "`build.watch` of {id} has a pattern that cannot be read: {error}"
                )),
            }
        }
    }
}

/// True of the name of a file or directory that tools keep for themselves, and that no pattern means.
pub(super) fn is_left_out(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    LEFT_OUT.contains(&name)
        || name.ends_with('~')
        || name.starts_with(".#")
        || [".swp", ".swx", ".swo", ".tmp"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Directories of tools, and the file by which vim tries whether it may write.
const LEFT_OUT: [&str; 12] = [
    ".git",
    ".hg",
    ".jj",
    ".mypy_cache",
    ".pytest_cache",
    ".spin",
    ".svn",
    ".venv",
    "4913",
    "__pycache__",
    "node_modules",
    "target",
];

/// The path from the root, without `.` and `..`. An empty one, such as that of the directory of `spin.toml`, is this
/// directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// The path without `.` and `..`, by its text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for step in path.components() {
        match step {
            Step::CurDir => {}
            Step::ParentDir => {
                plain.pop();
            }
            _ => plain.push(step),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_looked_for_where_it_begins() {
        let rows = [
            ("src/**/*.rs", "/app/web/src", None, "src/a/b.rs", "src/a/b.txt"),
            ("src/*.rs", "/app/web/src", Some(0), "src/b.rs", "src/a/b.rs"),
            ("*/*.rs", "/app/web", Some(1), "src/b.rs", "b.rs"),
            (
                "Cargo.toml",
                "/app/web/Cargo.toml",
                None,
                "Cargo.toml",
                "Cargo.lock",
            ),
            ("src", "/app/web/src", None, "src/a/b/c", "srcs/a"),
            ("./src/../lib/**", "/app/web/lib", None, "lib/x/y", "src/x"),
            (
                "../shared/*.wit",
                "/app/shared",
                Some(0),
                "../shared/a.wit",
                "../shared/a.rs",
            ),
            ("**/*.{js,ts}", "/app/web", None, "a/b.ts", "a/b.css"),
            (
                "{src,lib/deep}/*.rs",
                "/app/web",
                None,
                "lib/deep/b.rs",
                "lib/b.rs",
            ),
            ("src//a?.rs", "/app/web/src", Some(0), "src/ab.rs", "src/a.rs"),
            (".", "/app/web", None, "a/b.ts", "../api/b.ts"),
            ("./*.py", "/app/web", Some(0), "a.py", "a/b.py"),
            ("**/./*.py", "/app/web", None, "a/b.py", "a/b.pyc"),
            (
                "/lib/shared/*.py",
                "/lib/shared",
                Some(0),
                "/lib/shared/a.py",
                "a.py",
            ),
            (
                "/lib/shared",
                "/lib/shared",
                None,
                "/lib/shared/a/b",
                "lib/shared/a",
            ),
            ("/*.py", "/", Some(0), "/a.py", "a.py"),
        ];
        for (pattern, base, depth, matched, other) in rows {
            let place = Place::pattern(Path::new("/app/web"), pattern).unwrap();
            assert_eq!(place.base, Path::new(base), "{pattern}");
            assert_eq!(place.depth, depth, "{pattern}");
            let at = |path: &str| plain(&Path::new("/app/web").join(path));
            assert!(place.matches(&at(matched)), "{pattern}: {matched}");
            assert!(!place.matches(&at(other)), "{pattern}: {other}");
        }
        assert!(Place::pattern(Path::new("/app"), "src/[a").is_err());
        let odd = Place::pattern(Path::new("/a[b]{c}"), "*.rs").unwrap();
        assert!(odd.matches(Path::new("/a[b]{c}/x.rs")));
    }

    #[test]
    fn a_pattern_of_this_directory_is_looked_for_in_it() {
        let here = std::env::current_dir().unwrap();
        for directory in ["", ".", "./"] {
            for (pattern, file) in [
                ("*.py", "a.py"),
                ("**/*.py", "a/b.py"),
                ("**", "c"),
                ("src", "src/d"),
            ] {
                let place = Place::pattern(Path::new(directory), pattern).unwrap();
                assert!(
                    place.base.starts_with(&here),
                    "{directory:?}, {pattern}: {place:?}"
                );
                assert!(
                    place.matches(&here.join(file)),
                    "{directory:?}, {pattern}: {place:?}"
                );
            }
        }
        assert_eq!(absolute(Path::new("build/out.wasm")), here.join("build/out.wasm"));
        assert_eq!(absolute(&Path::new("").join("")), here);
    }

    #[test]
    fn what_tools_keep_for_themselves_is_left_out() {
        for (name, expected) in [
            ("target", true),
            ("node_modules", true),
            ("lib.rs~", true),
            (".lib.rs.swp", true),
            (".#lib.rs", true),
            ("4913", true),
            ("targets", false),
            ("lib.rs", false),
            (".env", false),
        ] {
            assert_eq!(is_left_out(OsStr::new(name)), expected, "{name}");
        }
    }
}
