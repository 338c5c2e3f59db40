//! The directory of an app's stores and databases that the operator did not configure.
//!
//! | | with Spin's names |
//! | --- | --- |
//! | a directory | `sqlite_key_value.db` and `sqlite_db.db` in it |
//! | none | in memory |
//!
//! The first of these that is there counts: the option, its environment variable, `state_dir` of the runtime config file.
//! Each of them empty means that there is no directory. By default the directory is `.spin` beside the manifest; what has
//! no manifest has no directory.

use std::path::{Path, PathBuf};

use crate::reading::definitions::{Database, KeyValueBackend, SqliteBackend};

/// The directory of what is not configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateDir {
    /// Nowhere: it is gone when the process ends.
    None,
    /// In this directory. A relative path starts at the working directory.
    Directory(PathBuf),
}

impl StateDir {
    /// The meaning of a path that somebody gave: no directory if it is empty, as with Spin.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path.as_os_str().is_empty() {
            Self::None
        } else {
            Self::Directory(path)
        }
    }

    /// That of an app for which nobody gave one: `.spin` beside its manifest.
    pub fn beside(manifest: &Path) -> Self {
        Self::Directory(manifest.with_file_name(".spin"))
    }

    /// The key-value store `default`, where nobody defines it.
    pub fn default_key_value_store(&self) -> KeyValueBackend {
        KeyValueBackend::Local(self.database("sqlite_key_value.db"))
    }

    /// The database `default`, where nobody defines it.
    pub fn default_sqlite_database(&self) -> SqliteBackend {
        SqliteBackend::Local(self.database("sqlite_db.db"))
    }

    fn database(&self, file: &str) -> Database {
        match self {
            Self::None => Database::Memory,
            Self::Directory(directory) => Database::File(directory.join(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_a_directory_are_spins() {
        let file = |path: &str| Database::File(path.into());
        for (state, key_value, sqlite) in [
            (StateDir::at(""), Database::Memory, Database::Memory),
            (
                StateDir::at("/var/lib/shop"),
                file("/var/lib/shop/sqlite_key_value.db"),
                file("/var/lib/shop/sqlite_db.db"),
            ),
            (
                StateDir::beside(Path::new("spin.toml")),
                file(".spin/sqlite_key_value.db"),
                file(".spin/sqlite_db.db"),
            ),
            (
                StateDir::beside(Path::new("apps/shop/spin.toml")),
                file("apps/shop/.spin/sqlite_key_value.db"),
                file("apps/shop/.spin/sqlite_db.db"),
            ),
        ] {
            assert_eq!(
                state.default_key_value_store(),
                KeyValueBackend::Local(key_value),
                "{state:?}"
            );
            assert_eq!(
                state.default_sqlite_database(),
                SqliteBackend::Local(sqlite),
                "{state:?}"
            );
        }
    }
}
