//! The way from a reference to a folder with what it names.
//!
//! ```text
//! reference ─ pinned ─────────────────────────────┐
//!      └──── tag ─ registry, or offline the cache ─┴─► digest ─► signature, if there are keys ─► manifest ─► layers ─► folder
//!                                                                                              each from the cache or fetched
//! ```
//!
//! Nothing gets a name in the cache before all of it was verified, and what is found there is verified in the same way: the
//! manifest by the digest, the layers by the manifest, the folder by what the layers unpack to.

mod error;
mod paths;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use futures::stream::{self, StreamExt, TryStreamExt};
use outport_manifest::Digest;

pub use self::error::PullError;
use self::paths::check_paths;
use super::app_cache::AppCache;
use super::artifact::Artifact;
use super::image::{Packing, unpack};
use super::layout::Layout;
use super::locked_app::LockedApp;
use super::manifest::{Descriptor, ImageManifest, Manifest, ManifestError};
use super::reference::{Reference, RegistryHost, Tag};
use super::registry::{FetchedManifest, Registry, RegistryError, RegistryOptions, Version};
use super::signature::{LONGEST_PAYLOAD, Signature, VerifyKey, is_signed, layers};
use super::tree::{Index, MOST_BYTES, Spent, Tree, TreePath};
use super::verified::Verified;
use crate::cache::{Cache, Found};
use crate::http::{Fetcher, Reach};
use crate::progress::Progress;

/// Fetches artifacts.
pub struct Puller<'p> {
    /// The operator's client.
    pub fetcher: &'p Fetcher,
    /// Where everything is kept.
    pub cache: &'p Cache,
    /// Who is told of transfers.
    pub progress: &'p dyn Progress,
    /// What artifacts have to be.
    pub trust: &'p Trust,
}

/// What the operator wants of artifacts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys of which one must have signed; with none, nobody has to.
    pub keys: Vec<VerifyKey>,
    /// Only references with a digest are fetched.
    pub require_digest: bool,
    /// Registries, other than those on this machine, that may be asked over plain HTTP.
    pub insecure: Vec<RegistryHost>,
    /// A directory that has what registries would be asked for.
    pub layout: Option<Layout>,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The digest of the artifact.
    pub digest: Digest,
    /// What it holds.
    pub content: PulledContent,
    /// The tag was not asked for, since nothing is fetched: this is the digest that it last had.
    pub is_last_known: bool,
    /// One of the operator's keys has signed it.
    pub is_signed: bool,
    /// Where requests for what it names may lead: to the outside only, unless its registry was seen to be inside.
    pub reach: Reach,
}

/// What an artifact holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PulledContent {
    /// An app: the directory of its `spin.toml`.
    App(PathBuf),
    /// A component: its file.
    Component(PathBuf),
}

/// Layers that are fetched at the same time.
const AT_ONCE: usize = 4;

/// The file of an artifact that is a component.
const COMPONENT: &str = "component.wasm";

/// Bytes of the longest description of an app.
const LONGEST_APP: u64 = 16 << 20;

impl Puller<'_> {
    /// Fetches what a reference names, unless it is in the cache.
    ///
    /// # Errors
    ///
    /// It is not what the operator wants, is not there, or is not what it should be. Nothing of it is used then.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, PullError> {
        let options = RegistryOptions {
            plain_http: self.trust.insecure.contains(reference.host()),
            layout: self.trust.layout.clone(),
            ..RegistryOptions::default()
        };
        let registry = Registry::new(self.fetcher, reference.host().clone(), options);
        let apps = AppCache::of(self.cache)?;
        let (digest, fetched, is_last_known) = self.resolve(reference, &registry, &apps).await?;
        let is_signed = !self.trust.keys.is_empty();
        if is_signed {
            self.verify(reference, &digest, &registry, &apps).await?;
        }
        let (folder, seen) = self.folder(reference, &digest, fetched, &registry, &apps).await?;
        let reach = match seen {
            Some(reach) => {
                apps.keep_reach(&digest, reach)?;
                reach
            }
            None => apps.reach(&digest),
        };
        let component = folder.join(COMPONENT);
        let manifest = folder.join("spin.toml");
        let content = if manifest.is_file() {
            check_paths(&manifest)?;
            PulledContent::App(folder)
        } else {
            PulledContent::Component(component)
        };
        Ok(Pulled {
            digest,
            content,
            is_last_known,
            is_signed,
            reach,
        })
    }

    /// True if what is not in the cache is nowhere. A layout is on this machine.
    fn is_offline(&self) -> bool {
        self.fetcher.options().offline && self.trust.layout.is_none()
    }

    /// The digest of what a reference names, and its manifest where that had to be asked for.
    async fn resolve(
        &self,
        reference: &Reference,
        registry: &Registry<'_>,
        apps: &AppCache,
    ) -> Result<(Digest, Option<FetchedManifest>, bool), PullError> {
        if let Some(digest) = reference.digest() {
            return Ok((digest.clone(), None, false));
        }
        if self.trust.require_digest {
            return Err(PullError::NotPinned);
        }
        let tag = reference
            .tag()
            .expect("INVARIANT: a tag where there is no digest");
        if self.is_offline() {
            let known = apps.digest_of_tag(reference, &tag);
            return Ok((known.ok_or(PullError::Offline)?, None, true));
        }
        let version = Version::Tag(tag.clone());
        let fetched = registry.manifest(reference.repository(), &version).await?;
        // What cannot be remembered cannot be used offline, and that is all.
        if let Err(error) = apps.remember_tag(reference, &tag, &fetched.digest) {
            tracing::debug!(%error, "the digest of a tag is not remembered");
        }
        Ok((fetched.digest.clone(), Some(fetched), false))
    }

    /// Goes on only if a key of the operator's has signed.
    async fn verify(
        &self,
        reference: &Reference,
        digest: &Digest,
        registry: &Registry<'_>,
        apps: &AppCache,
    ) -> Result<(), PullError> {
        let keys = &self.trust.keys;
        if is_signed(digest, &apps.signatures(digest), keys) {
            return Ok(());
        }
        let not_signed = || PullError::NotSigned {
            digest: digest.clone(),
        };
        if self.is_offline() {
            return Err(not_signed());
        }
        let repository = reference.repository();
        let version = Version::Tag(Tag::of_signatures(digest));
        let fetched = match registry.manifest(repository, &version).await {
            Err(RegistryError::Missing { .. } | RegistryError::Layout { .. }) => return Err(not_signed()),
            fetched => fetched?,
        };
        let Manifest::Image(manifest) = fetched.manifest else {
            return Err(not_signed());
        };
        let mut signatures = Vec::new();
        for (layer, signature) in layers(&manifest) {
            let payload = registry.small_blob(repository, layer, LONGEST_PAYLOAD).await?;
            signatures.push(Signature { payload, signature });
        }
        if !is_signed(digest, &signatures, keys) {
            return Err(not_signed());
        }
        if let Err(error) = apps.keep_signatures(digest, &signatures) {
            tracing::debug!(%error, "signatures are not kept");
        }
        Ok(())
    }

    /// The folder of an artifact: the one in the cache if it is what the layers say, or a new one.
    async fn folder(
        &self,
        reference: &Reference,
        digest: &Digest,
        fetched: Option<FetchedManifest>,
        registry: &Registry<'_>,
        apps: &AppCache,
    ) -> Result<(PathBuf, Option<Reach>), PullError> {
        let (manifest, seen) = match fetched {
            Some(FetchedManifest {
                bytes,
                manifest,
                reach,
                ..
            }) => {
                apps.keep_document(digest, &bytes);
                (manifest, Some(reach))
            }
            None => self.manifest(reference, digest, registry, apps).await?,
        };
        let manifest = match manifest {
            Manifest::Image(manifest) => manifest,
            Manifest::Index(index) => {
                let of_index = index.for_wasm()?.digest.clone();
                match self.manifest(reference, &of_index, registry, apps).await?.0 {
                    Manifest::Image(manifest) => manifest,
                    Manifest::Index(_) => return Err(ManifestError::Nested.into()),
                }
            }
        };
        if apps.has(digest) {
            let index = self
                .write(reference, &manifest, registry, apps, Tree::unwritten())
                .await?;
            if let Some(folder) = apps.find(digest, &index) {
                return Ok((folder, seen));
            }
            tracing::warn!(%digest, "an app in the cache is not what it was, and is made anew");
        }
        let new = apps.begin()?;
        let tree = Tree::new(new.app());
        let index = self.write(reference, &manifest, registry, apps, tree).await?;
        Ok((apps.finish(new, digest, &index)?, seen))
    }

    /// A manifest, from the cache or fetched; and then where what it names may lead.
    async fn manifest(
        &self,
        reference: &Reference,
        digest: &Digest,
        registry: &Registry<'_>,
        apps: &AppCache,
    ) -> Result<(Manifest, Option<Reach>), PullError> {
        if let Some(bytes) = apps.document(digest) {
            return Ok((Manifest::parse(&bytes, None)?, None));
        }
        if self.is_offline() {
            return Err(PullError::Offline);
        }
        let version = Version::Digest(digest.clone());
        let fetched = registry.manifest(reference.repository(), &version).await?;
        apps.keep_document(digest, &fetched.bytes);
        Ok((fetched.manifest, Some(fetched.reach)))
    }

    /// The description of an app, from the cache or fetched.
    async fn description(
        &self,
        reference: &Reference,
        app: &Descriptor,
        registry: &Registry<'_>,
        apps: &AppCache,
    ) -> Result<Vec<u8>, PullError> {
        if let Some(bytes) = apps.document(&app.digest) {
            return Ok(bytes);
        }
        if self.is_offline() {
            return Err(PullError::Offline);
        }
        let repository = reference.repository();
        let bytes = registry.small_blob(repository, app, LONGEST_APP).await?;
        apps.keep_document(&app.digest, &bytes);
        Ok(bytes)
    }

    /// Writes what an artifact holds, and answers what that is.
    async fn write(
        &self,
        reference: &Reference,
        manifest: &ImageManifest,
        registry: &Registry<'_>,
        apps: &AppCache,
        mut tree: Tree,
    ) -> Result<Index, PullError> {
        let artifact = Artifact::of(manifest)?;
        let all = manifest.layers.iter().map(|layer| layer.size);
        if all.fold(0, u64::saturating_add) > MOST_BYTES {
            return Err(PullError::TooLarge);
        }
        match artifact {
            Artifact::Component(layer) => {
                let files = self.blobs(reference, &[layer], registry).await?;
                let path = TreePath::parse(COMPONENT)?;
                for file in files.values() {
                    let mut file = Verified::open(file)?;
                    tree.add(&path, &mut file)?;
                    file.finish(&layer.digest)?;
                }
            }
            Artifact::Image(layers) => {
                let wanted: Vec<&Descriptor> = layers.iter().map(|(layer, _)| *layer).collect();
                let files = self.blobs(reference, &wanted, registry).await?;
                for (layer, packing) in layers {
                    let mut file = Verified::open(&files[layer.digest.hex()])?;
                    unpack(&mut file, packing, layer.size, &mut tree)?;
                    file.finish(&layer.digest)?;
                }
            }
            Artifact::SpinApp { app, parts, bundles } => {
                let json = self.description(reference, app, registry, apps).await?;
                let app = LockedApp::parse(&json)?;
                let mut files = self.blobs(reference, &parts, registry).await?;
                let packed = self.blobs(reference, &bundles, registry).await?;
                let aside = apps.aside()?;
                let mut spent = Spent::default();
                for bundle in bundles {
                    let root = aside.path().join(bundle.digest.hex());
                    if std::fs::create_dir(&root).is_err() {
                        // The same one twice.
                        continue;
                    }
                    let mut files_of_it = Tree::after(Some(root.clone()), spent);
                    let mut file = Verified::open(&packed[bundle.digest.hex()])?;
                    unpack(&mut file, Packing::Gzip, bundle.size, &mut files_of_it)?;
                    file.finish(&bundle.digest)?;
                    let (index, all) = files_of_it.finish_counted()?;
                    spent = all;
                    for (path, content) in index {
                        files.insert(content.sha256, root.join(path));
                    }
                }
                let find = |digest: &Digest| {
                    let path = files.get(digest.hex())?;
                    Some(File::open(path).map(|file| Box::new(file) as Box<dyn Read>))
                };
                app.write(&find, &mut tree)?;
            }
        }
        let index = tree.finish()?;
        if index.contains_key("spin.toml") || index.contains_key(COMPONENT) {
            Ok(index)
        } else {
            Err(PullError::NoManifest)
        }
    }

    /// Blobs in the cache, by the digits of their digests.
    async fn blobs(
        &self,
        reference: &Reference,
        wanted: &[&Descriptor],
        registry: &Registry<'_>,
    ) -> Result<HashMap<String, PathBuf>, PullError> {
        let repository = reference.repository();
        let is_offline = self.is_offline();
        let fetched = stream::iter(wanted).map(|blob| async move {
            if is_offline && !matches!(self.cache.find(&blob.digest)?, Found::There(_)) {
                return Err(PullError::Offline);
            }
            let file = registry.blob(repository, blob, self.cache, self.progress).await?;
            Ok::<_, PullError>((blob.digest.hex().to_owned(), file.path))
        });
        fetched.buffer_unordered(AT_ONCE).try_collect().await
    }
}

#[cfg(test)]
mod tests;
