//! The directory for what Outport can make again.
//!
//! | asked in this order | the directory |
//! | --- | --- |
//! | what the operator chose (`--cache-dir`) | that |
//! | `CACHE_DIRECTORY`, which systemd sets for a service with `CacheDirectory=` | the first one in it |
//! | `XDG_CACHE_HOME` | `outport` in it |
//! | `HOME` | `.cache/outport` in it |
//!
//! Paths of the environment that are not absolute do not count, as XDG has it. Nothing is made here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directories where compiled code, copies of files and fetched components lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDirectory {
    own: Option<PathBuf>,
    /// The cache directory that all programs of the user share, in which Spin has its own.
    users: Option<PathBuf>,
}

impl CacheDirectory {
    /// The directory that was chosen, or the one that the environment names.
    pub fn of_the_environment(chosen: Option<&Path>) -> Self {
        Self::from(chosen, |variable| std::env::var_os(variable))
    }

    fn from(chosen: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let users = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        let services = variable("CACHE_DIRECTORY").and_then(|list| {
            let first = std::env::split_paths(&list).next()?;
            first.is_absolute().then_some(first)
        });
        let chosen = chosen.map(|chosen| std::path::absolute(chosen).unwrap_or_else(|_| chosen.to_owned()));
        let own = chosen
            .or(services)
            .or_else(|| Some(users.as_ref()?.join("outport")));
        Self { own, users }
    }

    /// The directory where compiled code is kept, if anywhere.
    pub fn compiled(&self) -> Option<PathBuf> {
        Some(self.own.as_ref()?.join("compiled"))
    }

    /// The directory where the files of apps are copied to: the system's directory for temporary files if there is no
    /// cache.
    pub fn files(&self) -> PathBuf {
        match &self.own {
            Some(own) => own.join("files"),
            None => std::env::temp_dir(),
        }
    }

    /// True if that is a directory of this user's own.
    pub(crate) fn has_own_files(&self) -> bool {
        self.own.is_some()
    }

    /// The directory itself, if there is one.
    pub fn own(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    /// The cache directory that all programs of the user share, if there is one.
    pub fn users(&self) -> Option<&Path> {
        self.users.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_names_a_directory_is_taken() {
        type Variables = &'static [(&'static str, &'static str)];
        let rows: [(Option<&str>, Variables, Option<&str>); 8] = [
            (None, &[], None),
            (None, &[("HOME", "/h")], Some("/h/.cache/outport/compiled")),
            (
                None,
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                Some("/x/outport/compiled"),
            ),
            (None, &[("XDG_CACHE_HOME", "x"), ("HOME", "")], None),
            (
                None,
                &[
                    ("XDG_CACHE_HOME", "/x"),
                    ("CACHE_DIRECTORY", "/var/cache/a:/var/cache/b"),
                ],
                Some("/var/cache/a/compiled"),
            ),
            (
                None,
                &[("CACHE_DIRECTORY", "relative"), ("HOME", "/h")],
                Some("/h/.cache/outport/compiled"),
            ),
            (
                Some("/c"),
                &[("CACHE_DIRECTORY", "/s"), ("HOME", "/h")],
                Some("/c/compiled"),
            ),
            (Some("/c"), &[], Some("/c/compiled")),
        ];
        for (chosen, environment, expected) in rows {
            let variable = |name: &str| {
                let found = environment.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let cache = CacheDirectory::from(chosen.map(Path::new), variable);
            assert_eq!(
                cache.compiled(),
                expected.map(PathBuf::from),
                "{chosen:?} {environment:?}"
            );
            let files = expected.map(|compiled| Path::new(compiled).with_file_name("files"));
            assert_eq!(cache.files(), files.unwrap_or_else(std::env::temp_dir));
        }
    }
}
