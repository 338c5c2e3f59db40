//! Apps and components in registries that speak the distribution protocol of the OCI, which Docker's speak as well.
//!
//! ```text
//! text ─► Reference ─► Registry ─► manifest, whose digest is verified ─► artifact: an app of Spin's, an image, a component
//!                      │  Credentials: Docker's file and helpers         │
//!                      └─ signatures, where the operator has keys        └─► a folder in the cache, with a `spin.toml`
//! ```
//!
//! A registry is not trusted with anything but the meaning of a tag: what it answers is bounded, every byte is compared
//! with a digest, and names in it are read before they become paths. Whoever wants not even the meaning of tags from it
//! pins digests or verifies signatures.

mod app_cache;
mod artifact;
mod credentials;
mod image;
mod layout;
mod locked_app;
mod manifest;
mod pull;
mod push;
mod reference;
mod registry;
mod signature;
mod tree;
mod verified;

pub use self::artifact::ArtifactError;
pub use self::credentials::{CredentialError, Credentials};
pub use self::layout::Layout;
pub use self::locked_app::LockedAppError;
pub use self::manifest::{Descriptor, ImageIndex, ImageManifest, Manifest, ManifestError, Platform};
pub use self::pull::{PullError, Pulled, PulledContent, Puller, Trust};
pub use self::push::{PushError, Pushed, PushedComponent, push};
pub use self::reference::{Reference, ReferenceError, RegistryHost, Repository, Tag};
pub use self::registry::{FetchedManifest, Registry, RegistryError, RegistryOptions, Version};
pub use self::signature::{VerifyKey, VerifyKeyError};
pub use self::tree::TreeError;
