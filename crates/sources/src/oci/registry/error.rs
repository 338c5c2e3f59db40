//! The reasons why a registry did not give or take something.

use std::path::PathBuf;

use outport_manifest::Digest;
use outport_policy::text;

use super::super::credentials::CredentialError;
use super::super::manifest::ManifestError;
use super::super::reference::{RegistryHost, Repository};
use crate::cache::{CacheError, FillError};
use crate::http::{FetchError, StatusCode};

/// The reason why a registry did not give or take something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There was no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not known what to say of who asks.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// What came could not be kept.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It refuses, whoever asks.
    #[error("{host} denies access to `{repository}`{}", if *.with_credentials { ": these credentials do not permit it" } else { ": there are no credentials for it" })]
    Denied {
        /// The registry.
        host: RegistryHost,
        /// The repository.
        repository: Repository,
        /// Credentials were sent.
        with_credentials: bool,
    },
    /// It is not there.
    #[error("{host} has no {what}")]
    Missing {
        /// The registry.
        host: RegistryHost,
        /// What was asked for.
        what: String,
    },
    /// Another answer than one could do something with.
    #[error("{host} answers {status}{said}")]
    Status {
        /// The registry.
        host: RegistryHost,
        /// The status.
        status: StatusCode,
        /// What it says about it.
        said: String,
    },
    /// It does not say how to ask, or what it says leads where no credentials go.
    #[error("{host} cannot be asked: {why}")]
    Challenge {
        /// The registry.
        host: RegistryHost,
        /// What is wrong.
        why: String,
    },
    /// An answer that is not what the specification says.
    #[error("{host} answers with something else than {what}")]
    Answer {
        /// The registry.
        host: RegistryHost,
        /// What was expected.
        what: &'static str,
    },
    /// The bytes of a manifest are not those that were asked for.
    #[error("{host} sent a manifest with the digest {found}, not {expected}")]
    Digest {
        /// The registry.
        host: RegistryHost,
        /// The digest that it should have.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// A blob is not as long as it should be.
    #[error("{host} sent a blob that does not have the {size} bytes that its manifest says: {digest}")]
    Size {
        /// The registry.
        host: RegistryHost,
        /// The digest of the blob.
        digest: Digest,
        /// The size that it should have.
        size: u64,
    },
    /// A directory in the place of the registry.
    #[error("the OCI layout `{}` {problem}", text::path(directory))]
    Layout {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file that is to be sent cannot be read.
    #[error("what is to be sent cannot be read: {0}")]
    File(#[from] std::io::Error),
}
