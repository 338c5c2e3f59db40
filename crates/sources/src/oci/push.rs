//! An app of this machine, given to a registry in Spin's layout.
//!
//! Everything gets into the artifact as it is: components are not composed, files are the copies that a guest would see.
//! Two pushes of the same app have the same digest. What the layout has no place for is refused, since it would be lost,
//! and an app that lost a narrower list of hosts reaches more.
//!
//! Many files of a component become one archive, since registries have a bound on layers ([`MOST_LAYERS`]).

mod app;
mod layers;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use outport_manifest::{ComponentId, Manifest as SpinToml};
use serde_json::json;

use self::app::locked_app;
use self::layers::{Content, Layers, Packing};
use super::artifact::SPIN_APP;
use super::manifest::{Descriptor, IMAGE_MANIFEST, ImageManifest};
use super::reference::Reference;
use super::registry::upload::BlobContent;
use super::registry::{Registry, RegistryError, RegistryOptions, Version};
use super::tree::digest_of;
use crate::http::Fetcher;
use crate::progress::Progress;

/// The files of a component on this machine.
#[derive(Debug, Clone, Default)]
pub struct PushedComponent {
    /// Its code.
    pub code: PathBuf,
    /// The code of its dependencies, in their order.
    pub dependencies: Vec<PathBuf>,
    /// The directory that it sees as its `/`, if it has one.
    pub files: Option<PathBuf>,
}

/// What a registry was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the artifact.
    pub digest: outport_manifest::Digest,
    /// Layers.
    pub layers: usize,
    /// Layers that it did not have.
    pub sent: usize,
    /// Bytes of all layers.
    pub bytes: u64,
}

/// The reason why an app was not given to a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// A tag is where it is put.
    #[error("it has a digest, which is what comes of a push: name a tag")]
    Pinned,
    /// The layout has no place for something.
    #[error("Spin's layout has no place for {what}, and without it the app would be another one")]
    NoPlace {
        /// What it is.
        what: String,
    },
    /// A file of the app cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// A name of a file that is not UTF-8.
    #[error("the file `{path}` has a name that is not UTF-8")]
    Name {
        /// The file.
        path: String,
    },
    /// More layers than registries take.
    #[error("it has more than {MOST_LAYERS} layers")]
    ManyLayers,
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Layers of one artifact; the lowest bound of those that large registries have.
const MOST_LAYERS: usize = 500;

/// Gives an app to a registry. `components` has the files of every component of the manifest, which is sound.
///
/// # Errors
///
/// The app cannot be said in Spin's layout, a file cannot be read, or the registry does not take it.
pub async fn push(
    reference: &Reference,
    manifest: &SpinToml,
    components: &HashMap<ComponentId, PushedComponent>,
    (fetcher, options): (&Fetcher, RegistryOptions),
    progress: &dyn Progress,
) -> Result<Pushed, PushError> {
    if reference.digest().is_some() {
        return Err(PushError::Pinned);
    }
    let tag = reference
        .tag()
        .expect("INVARIANT: a tag where there is no digest");
    let folder = tempfile::tempdir().map_err(|error| unreadable(&std::env::temp_dir(), error))?;
    let mut layers = Layers::new(folder.path(), Packing::Single);
    let mut app = locked_app(manifest, components, &mut layers)?;
    if layers.list.len() >= MOST_LAYERS {
        layers = Layers::new(folder.path(), Packing::Archives);
        app = locked_app(manifest, components, &mut layers)?;
    }
    if layers.list.len() >= MOST_LAYERS {
        return Err(PushError::ManyLayers);
    }
    let json = serde_json::to_vec(&app).expect("INVARIANT: its keys are text");
    layers
        .list
        .push((descriptor(SPIN_APP, &json), Content::Bytes(json.clone())));
    let config = config(&digest_of(&json).to_string());
    let config_layer = descriptor("application/vnd.oci.image.config.v1+json", &config);
    let image = ImageManifest {
        schema_version: 2,
        media_type: Some(IMAGE_MANIFEST.to_owned()),
        config: config_layer.clone(),
        layers: layers.list.iter().map(|(layer, _)| layer.clone()).collect(),
        annotations: annotations(manifest),
    };
    let registry = Registry::new(fetcher, reference.host().clone(), options);
    let repository = reference.repository();
    let mut sent = 0;
    for (layer, content) in &layers.list {
        let content = match content {
            Content::Bytes(bytes) => BlobContent::Bytes(bytes),
            Content::File(path) => BlobContent::File(path),
        };
        sent += usize::from(registry.push_blob(repository, layer, content, progress).await?);
    }
    registry
        .push_blob(repository, &config_layer, BlobContent::Bytes(&config), progress)
        .await?;
    let bytes = serde_json::to_vec(&image).expect("INVARIANT: its keys are text");
    let digest = registry
        .push_manifest(repository, &Version::Tag(tag), bytes)
        .await?;
    Ok(Pushed {
        digest,
        layers: image.layers.len(),
        sent,
        bytes: image.layers.iter().map(|layer| layer.size).sum(),
    })
}

fn unreadable(path: &Path, source: io::Error) -> PushError {
    let path = outport_policy::text::path(path).to_string();
    PushError::File { path, source }
}

fn descriptor(kind: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: kind.to_owned(),
        digest: digest_of(bytes),
        size: bytes.len() as u64,
        annotations: None,
        platform: None,
    }
}

/// As Spin has it: the digest of the app in it makes two apps two images for container runtimes.
fn config(app: &str) -> Vec<u8> {
    let config = json!({
        "architecture": "wasm",
        "os": "Wasip1",
        "config": { "Labels": { "com.fermyon.spin.lockedAppDigest": app } },
        "rootfs": { "type": "layers", "diff_ids": [] },
        "history": [],
    });
    config.to_string().into_bytes()
}

fn annotations(manifest: &SpinToml) -> Option<BTreeMap<String, String>> {
    let application = &manifest.application;
    let text = |located: &Option<outport_manifest::Located<String>>| {
        located.as_ref().map(|located| located.value.clone())
    };
    let authors: Vec<&str> = application
        .authors
        .iter()
        .map(|author| author.value.as_str())
        .collect();
    let all = [
        ("title", Some(application.name.value.clone())),
        ("version", text(&application.version)),
        ("description", text(&application.description)),
        (
            "authors",
            Some(authors.join(", ")).filter(|authors| !authors.is_empty()),
        ),
    ];
    let all = all
        .into_iter()
        .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)));
    Some(all.collect())
}
