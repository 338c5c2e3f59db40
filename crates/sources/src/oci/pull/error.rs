//! The reasons why an artifact is not pulled.

use outport_manifest::Digest;

use super::super::artifact::ArtifactError;
use super::super::locked_app::LockedAppError;
use super::super::manifest::ManifestError;
use super::super::registry::RegistryError;
use super::super::tree::{MOST_BYTES, TreeError};
use crate::cache::CacheError;

/// The reason why nothing came of a reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The operator wants a digest.
    #[error("it names a tag, which its registry can move, and only digests are permitted")]
    NotPinned,
    /// It would have to be fetched.
    #[error("it is not in the cache, and nothing is fetched with `--offline`")]
    Offline,
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Its manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It is nothing to run.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Its description of an app.
    #[error(transparent)]
    App(#[from] LockedAppError),
    /// Its files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// An image that is for something else.
    #[error("it is an image without a `spin.toml`")]
    NoManifest,
    /// A manifest that names a file which did not come with it.
    #[error("its `spin.toml` names `{path}`, which is not a path below it")]
    LeadsOut {
        /// The path.
        path: String,
    },
    /// More than an app has.
    #[error("its layers have more than {} GiB", MOST_BYTES >> 30)]
    TooLarge,
    /// No key of the operator's has signed it.
    #[error("{digest} is not signed by a key of `--verify-key`")]
    NotSigned {
        /// The digest of what is not signed.
        digest: Digest,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The cache cannot be written or read.
    #[error("it cannot be kept in the cache: {0}")]
    Io(#[from] std::io::Error),
}
