//! An image layout of the OCI: a directory that has what a registry has, for whoever has no network or no registry.
//!
//! ```text
//! oci-layout                  a directory without it is none
//! index.json                  descriptors of artifacts, which may say by annotations what they are called
//! blobs/sha256/HEX            everything by its digest
//! ```
//!
//! Like a registry it is trusted with nothing but the meaning of a tag: what is read from it is bounded, has to be a file,
//! and is compared with its digest. It may change while it is read, as what is handed on is verified again.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use outport_files::regular_file;
use outport_manifest::Digest;

use super::manifest::{Descriptor, Manifest};
use super::reference::{Reference, RegistryHost, Repository};
use super::registry::{FetchedManifest, RegistryError, Version};
use super::tree::digest_of;
use super::verified::Verified;
use crate::cache::CachedFile;
use crate::http::Reach;

/// A directory with artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    directory: PathBuf,
}

/// By which an index says what an artifact is called: the whole name (containerd), and the tag or whatever its maker
/// thought of (the specification).
const FULL_NAME: &str = "io.containerd.image.name";
const NAME: &str = "org.opencontainers.image.ref.name";

/// Bytes of the longest index or manifest, as of a registry.
const LONGEST_MANIFEST: u64 = 4 << 20;

impl Layout {
    /// The layout in a directory, which is not looked at yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// A manifest, whose digest is verified.
    pub(super) fn manifest(
        &self,
        host: &RegistryHost,
        repository: &Repository,
        version: &Version,
    ) -> Result<FetchedManifest, RegistryError> {
        let digest = match version {
            Version::Digest(digest) => digest.clone(),
            Version::Tag(tag) => {
                self.named(&Reference::new(host.clone(), repository.clone()).at_tag(tag.clone()))?
            }
        };
        let bytes = self.bytes(&digest, LONGEST_MANIFEST)?;
        Ok(FetchedManifest {
            manifest: Manifest::parse(&bytes, None)?,
            digest,
            bytes,
            // Nobody knows where it has been.
            reach: Reach::Outside,
        })
    }

    /// A small blob.
    pub(super) fn small_blob(&self, blob: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let bytes = self.bytes(&blob.digest, blob.size)?;
        self.has_size(blob, bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The file of a blob.
    pub(super) fn blob(&self, blob: &Descriptor) -> Result<CachedFile, RegistryError> {
        let path = self.path(&blob.digest);
        let unreadable = |error: &io::Error| self.unreadable(&blob.digest, error);
        let length = path.symlink_metadata().map_err(|error| unreadable(&error))?.len();
        self.has_size(blob, length)?;
        let verified = Verified::open(&path).and_then(|file| file.finish(&blob.digest));
        verified.map_err(|error| unreadable(&error))?;
        Ok(CachedFile {
            path,
            digest: blob.digest.clone(),
        })
    }

    /// The digest of the artifact with a name; one without any has every name, if it is the only one.
    fn named(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        let open = |name: &str| regular_file::open(&self.directory.join(name));
        open("oci-layout")
            .map_err(|error| self.failure(format_args!("cannot be used: its `oci-layout`: {error}")))?;
        let index = open("index.json").and_then(|file| read(file, LONGEST_MANIFEST));
        let index =
            index.map_err(|error| self.failure(format_args!("cannot be used: its `index.json`: {error}")))?;
        let Manifest::Index(index) = Manifest::parse(&index, None)? else {
            return Err(self.failure("cannot be used: its `index.json` is no index"));
        };
        let is_only_one = index.manifests.len() == 1;
        let mut found = index
            .manifests
            .iter()
            .filter(|entry| match called(entry, reference) {
                Some(is_called_so) => is_called_so,
                None => is_only_one,
            });
        let first = found
            .next()
            .ok_or_else(|| self.failure(format_args!("has no `{reference}`")))?;
        if found.any(|other| other.digest != first.digest) {
            return Err(self.failure(format_args!(
                "has several `{reference}`; write the digest behind it"
            )));
        }
        Ok(first.digest.clone())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn bytes(&self, digest: &Digest, most: u64) -> Result<Vec<u8>, RegistryError> {
        let read = regular_file::open(&self.path(digest)).and_then(|file| read(file, most));
        let bytes = read.map_err(|error| self.unreadable(digest, &error))?;
        let found = digest_of(&bytes);
        if found != *digest {
            return Err(self.failure(format_args!(
                "has other bytes at {digest}, whose digest is {found}"
            )));
        }
        Ok(bytes)
    }

    fn has_size(&self, blob: &Descriptor, length: u64) -> Result<(), RegistryError> {
        let Descriptor { digest, size, .. } = blob;
        if length == *size {
            return Ok(());
        }
        let problem = format!("has {length} bytes at {digest}, and its manifest says {size}");
        Err(self.failure(problem))
    }

    fn unreadable(&self, digest: &Digest, error: &io::Error) -> RegistryError {
        if error.kind() == io::ErrorKind::NotFound {
            return self.failure(format_args!("lacks {digest}"));
        }
        self.failure(format_args!("cannot be used: {digest}: {error}"))
    }

    fn failure(&self, problem: impl ToString) -> RegistryError {
        RegistryError::Layout {
            directory: self.directory.clone(),
            problem: problem.to_string(),
        }
    }
}

/// Is an entry of an index called so? None where it is called nothing.
fn called(entry: &Descriptor, reference: &Reference) -> Option<bool> {
    let annotation = |key: &str| entry.annotations.as_ref().and_then(|all| all.get(key));
    let names_it = |name: &str| {
        name.parse::<Reference>().is_ok_and(|name| {
            (name.host(), name.repository(), name.tag())
                == (reference.host(), reference.repository(), reference.tag())
        })
    };
    if let Some(name) = annotation(FULL_NAME) {
        return Some(names_it(name));
    }
    let name = annotation(NAME)?;
    let is_tag = reference.tag().is_some_and(|tag| tag.as_str() == name);
    Some(is_tag || names_it(name))
}

fn read(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.take(most + 1).read_to_end(&mut bytes)? as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has more than {most} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use serde_json::{Value, json};

    use super::super::{PullError, Pulled, PulledContent, Puller, Trust};
    use super::*;
    use crate::cache::Cache;
    use crate::http::{FetchOptions, Fetcher};
    use crate::progress::Quiet;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

    /// A layout with artifacts that are components.
    struct Made(tempfile::TempDir);

    impl Made {
        fn new(entries: &[Value]) -> Self {
            let made = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(made.path("blobs/sha256")).unwrap();
            fs::write(made.path("oci-layout"), "{}").unwrap();
            let index = json!({ "schemaVersion": 2, "manifests": entries });
            fs::write(made.path("index.json"), index.to_string()).unwrap();
            made.blob(b"\0asm");
            made.blob(&manifest());
            made
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn blob_path(&self, bytes: &[u8]) -> PathBuf {
            self.path("blobs/sha256").join(digest_of(bytes).hex())
        }

        fn blob(&self, bytes: &[u8]) {
            fs::write(self.blob_path(bytes), bytes).unwrap();
        }

        async fn pull(&self, reference: &str) -> Result<Pulled, String> {
            let cache = tempfile::tempdir().unwrap();
            // Whatever is asked of a registry fails.
            let fetcher = Fetcher::new(FetchOptions {
                offline: true,
                ..FetchOptions::default()
            });
            let trust = Trust {
                layout: Some(Layout::new(self.0.path())),
                ..Trust::default()
            };
            let cache = Cache::new(Some(cache.path()), None);
            let puller = Puller {
                fetcher: &fetcher,
                cache: &cache,
                progress: &Quiet,
                trust: &trust,
            };
            let pulled = puller.pull(&reference.parse().unwrap()).await;
            let pulled = pulled.map_err(|error: PullError| error.to_string())?;
            let PulledContent::Component(file) = &pulled.content else {
                panic!("{pulled:?}")
            };
            assert_eq!(fs::read(file).unwrap(), b"\0asm");
            Ok(pulled)
        }
    }

    fn manifest() -> Vec<u8> {
        let part = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "size": bytes.len(), "digest": digest_of(bytes).to_string() });
        let layers = [part("application/wasm", b"\0asm")];
        let all =
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": part("c", b"{}"), "layers": layers });
        all.to_string().into_bytes()
    }

    fn entry(annotations: &Value) -> Value {
        let digest = digest_of(&manifest()).to_string();
        json!({ "mediaType": IMAGE, "size": 1, "digest": digest, "annotations": annotations })
    }

    #[tokio::test]
    async fn what_a_layout_has_is_used_by_its_name_and_nothing_is_asked() {
        let of_containerd =
            json!({ "io.containerd.image.name": "a.test/app:1", "org.opencontainers.image.ref.name": "2" });
        let digest = digest_of(&manifest());
        let pinned = format!("a.test/x@{digest}");
        let other = format!("a.test/x@sha256:{}", "0".repeat(64));
        let rows = [
            (json!({}), "a.test/whatever:7", true),
            (
                json!({ "org.opencontainers.image.ref.name": "1" }),
                "a.test/app:1",
                true,
            ),
            (
                json!({ "org.opencontainers.image.ref.name": "a.test/app:1" }),
                "a.test/app:1",
                true,
            ),
            (
                json!({ "org.opencontainers.image.ref.name": "1" }),
                "a.test/app:2",
                false,
            ),
            (of_containerd.clone(), "a.test/app:1", true),
            (of_containerd.clone(), "A.test/app:1", true),
            (of_containerd.clone(), "a.test/app:2", false),
            (of_containerd.clone(), "b.test/app:1", false),
            (of_containerd.clone(), pinned.as_str(), true),
            (of_containerd, other.as_str(), false),
        ];
        for (annotations, reference, is_there) in rows {
            let made = Made::new(&[entry(&annotations)]);
            let pulled = made.pull(reference).await;
            assert_eq!(pulled.is_ok(), is_there, "{annotations} {reference}: {pulled:?}");
            if let Ok(pulled) = pulled {
                assert_eq!((pulled.digest, pulled.reach), (digest.clone(), Reach::Outside));
            }
        }
        // Of several without a name none is meant.
        let several = Made::new(&[entry(&json!({})), entry(&json!({}))]);
        assert!(
            several
                .pull("a.test/app:1")
                .await
                .unwrap_err()
                .contains("has no `a.test/app:1`")
        );
    }

    #[tokio::test]
    async fn what_is_not_what_it_should_be_is_not_used() {
        type Harm = fn(&Made);
        let rows: [(Harm, &str); 9] = [
            (
                |made| fs::remove_file(made.path("oci-layout")).unwrap(),
                "cannot be used: its `oci-layout`",
            ),
            (
                |made| fs::write(made.path("index.json"), "{").unwrap(),
                "its manifest cannot be read",
            ),
            (
                |made| fs::write(made.path("index.json"), vec![b' '; 5 << 20]).unwrap(),
                "it has more than 4194304 bytes",
            ),
            (
                |made| fs::remove_file(made.blob_path(b"\0asm")).unwrap(),
                "lacks sha256:",
            ),
            (
                |made| fs::remove_file(made.blob_path(&manifest())).unwrap(),
                "lacks sha256:",
            ),
            (
                |made| fs::write(made.blob_path(b"\0asm"), "\0asM").unwrap(),
                "cannot be used: sha256:",
            ),
            (
                |made| fs::write(made.blob_path(b"\0asm"), "longer").unwrap(),
                "has 6 bytes at sha256:",
            ),
            (
                |made| fs::write(made.blob_path(&manifest()), "{}").unwrap(),
                "has other bytes at sha256:",
            ),
            (
                |made| {
                    fs::remove_file(made.blob_path(b"\0asm")).unwrap();
                    symlink("/dev/zero", made.blob_path(b"\0asm")).unwrap();
                },
                "at sha256:",
            ),
        ];
        for (harm, expected) in rows {
            let made = Made::new(&[entry(&json!({}))]);
            harm(&made);
            let said = made.pull("a.test/app:1").await.expect_err(expected);
            assert!(said.contains(expected), "{said}");
        }
    }
}
