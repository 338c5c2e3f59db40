//! A directory of packages: `ROOT/namespace/name/VERSION.wasm`.

use std::io;
use std::path::{Path, PathBuf};

use outport_manifest::Digest;
use outport_policy::text;
use semver::Version;
use wasm_pkg_common::package::PackageRef;

use super::{LocalSettings, PackageError};
use crate::cache::{CachedFile, hash_of};

pub(super) struct LocalRegistry {
    name: String,
    root: PathBuf,
}

impl LocalRegistry {
    pub(super) fn new(name: String, settings: LocalSettings) -> Self {
        let root = settings.root;
        Self { name, root }
    }

    pub(super) fn versions(&self, package: &PackageRef) -> Result<Vec<Version>, PackageError> {
        let directory = self.directory(package);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.root.is_dir() => {
                return Err(unreadable(&self.root, error));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PackageError::NoPackage {
                    registry: self.name.clone(),
                    name: package.to_string(),
                });
            }
            Err(error) => return Err(unreadable(&directory, error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| unreadable(&directory, error))?.file_name();
            let version = name.to_str().and_then(|name| name.strip_suffix(".wasm"));
            versions.extend(version.and_then(|version| Version::parse(version).ok()));
        }
        Ok(versions)
    }

    /// The file of a version, as it is now. It is compiled where it is.
    pub(super) fn file(&self, package: &PackageRef, version: &Version) -> Result<CachedFile, PackageError> {
        let path = self.directory(package).join(format!("{version}.wasm"));
        let hash = hash_of(&path).map_err(|error| unreadable(&path, error))?;
        let digest = hash.and_then(|hex| Digest::parse(&format!("sha256:{hex}")).ok());
        match digest {
            Some(digest) => Ok(CachedFile { path, digest }),
            None => Err(PackageError::NoVersion {
                registry: self.name.clone(),
                name: package.to_string(),
                range: outport_manifest::VersionRange::Exact(version.clone()),
                has: Vec::new(),
            }),
        }
    }

    /// INVARIANT: names of packages are words of letters, digits and hyphens, so that no path leaves the root.
    fn directory(&self, package: &PackageRef) -> PathBuf {
        self.root
            .join(package.namespace().as_ref())
            .join(package.name().as_ref())
    }
}

fn unreadable(path: &Path, source: io::Error) -> PackageError {
    let path = text::path(path).to_string();
    PackageError::Local { path, source }
}
