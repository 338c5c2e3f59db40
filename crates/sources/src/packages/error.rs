//! The reasons why a package is not found or fetched, with advice for each.

use outport_manifest::{Digest, VersionRange};
use outport_policy::text;
use semver::Version;
use wasm_pkg_common::config::Config;

use crate::oci::RegistryError;

/// The reason why a package does not come from its registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The settings cannot be read.
    #[error("the settings of registries cannot be used: {0}")]
    Config(String),
    /// It is not the name of a package.
    #[error("`{0}` is not the name of a package")]
    Name(String),
    /// Nothing says which registry has the package.
    #[error("no registry is set for packages of `{namespace}`")]
    NoRegistry {
        /// The namespace.
        namespace: String,
    },
    /// The registry is asked in a way that is not known.
    #[error("the registry `{registry}` is set up for `{protocol}`, which is not known here")]
    Protocol {
        /// The registry.
        registry: String,
        /// The protocol.
        protocol: String,
    },
    /// What a registry says of itself cannot be used.
    #[error("what the registry `{registry}` says of itself cannot be used: {why}")]
    Metadata {
        /// The registry.
        registry: String,
        /// What is wrong.
        why: String,
    },
    /// It did not answer as it should.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A directory of packages cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Local {
        /// The file or directory.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The registry has no such package.
    #[error("the registry `{registry}` has no package `{name}`")]
    NoPackage {
        /// The registry.
        registry: String,
        /// The package.
        name: String,
    },
    /// It has the package, but in none of the versions.
    #[error("the registry `{registry}` has no version of `{name}` that is {range}{}", newest(.has))]
    NoVersion {
        /// The registry.
        registry: String,
        /// The package.
        name: String,
        /// The versions that would do.
        range: VersionRange,
        /// Those that it has, the newest first.
        has: Vec<Version>,
    },
    /// What it has is not a package of code.
    #[error("the registry `{registry}` has `{name}` {version} as something else than WebAssembly: {why}")]
    NoCode {
        /// The registry.
        registry: String,
        /// The package.
        name: String,
        /// The version.
        version: Version,
        /// What is wrong.
        why: String,
    },
    /// A version has other bytes now than when it was locked.
    #[error(
        "the registry `{registry}` now has other bytes for `{name}` {version} than when it was locked: \
         {found} instead of {expected}"
    )]
    Changed {
        /// The registry.
        registry: String,
        /// The package.
        name: String,
        /// The version.
        version: Version,
        /// The digest of the lock file.
        expected: Digest,
        /// The digest that it has now.
        found: Digest,
    },
    /// With `--offline` the registry is not asked.
    #[error("nothing is asked of the registry of `{name}` with `--offline`")]
    Offline {
        /// The package.
        name: String,
    },
}

impl PackageError {
    /// Advice on what to do about it, as a sentence without full stop.
    pub(crate) fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NoRegistry { namespace } => format!(
                "name one with `registry = \"…\"` beside the version, or in `{}`: `[namespace_registries]` with \
                 `{namespace} = \"registry.example.com\"`",
                Config::global_config_path().map_or_else(
                    || "wasm-pkg/config.toml".to_owned(),
                    |path| text::path(&path).to_string()
                ),
            ),
            Self::Changed { .. } => {
                "somebody has published it anew; ask why, and take it with `outport update` if that is right"
                    .to_owned()
            }
            Self::Offline { .. } => {
                "start once without `--offline`, and keep `outport.lock` with the app".to_owned()
            }
            _ => return None,
        })
    }
}

fn newest(has: &[Version]) -> String {
    match has {
        [] => String::new(),
        [only] => format!("; it has {only}"),
        [first, .., last] => format!("; it has {} from {last} to {first}", has.len()),
    }
}
