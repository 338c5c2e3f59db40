//! The JSON by which a registry says what an artifact consists of: image manifests and indexes of the OCI, and the second
//! schema of Docker's, which are the same but for the names of their types.
//!
//! It is the registry's word: sizes in it are claims, names in it are foreign text, and its own digest is verified before
//! it is read.

use std::collections::BTreeMap;

use outport_manifest::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is asked for when a manifest is.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// The type of an image manifest of the OCI.
pub(crate) const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Layers, and entries of an index, that one manifest may have. Registries have at most some hundred.
const MOST_PARTS: usize = 2_000;

/// Bytes, by their digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of what they are.
    pub media_type: String,
    /// Their digest.
    #[serde(deserialize_with = "read_digest", serialize_with = "write_digest")]
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// What else is said about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Of an entry of an index: where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// Where an image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `wasm`, `amd64`.
    pub architecture: String,
    /// `wasip1`, `linux`.
    #[serde(default)]
    pub os: String,
}

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// Its own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What is said about it as a whole.
    pub config: Descriptor,
    /// Its parts.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// What else is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Several artifacts, one for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    schema_version: u32,
    /// The artifacts.
    pub manifests: Vec<Descriptor>,
}

/// Either of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// An artifact.
    Image(ImageManifest),
    /// Several.
    Index(ImageIndex),
}

/// The reason why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not JSON, or lacks what it must have.
    #[error("its manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of an old schema, or of none.
    #[error("its manifest is of a kind that is not served: {kind}")]
    Kind {
        /// The type that it claims.
        kind: String,
    },
    /// It could be read as one or the other.
    #[error("its manifest is ambiguous: it has both `layers` and `manifests`, or two types")]
    Ambiguous,
    /// More parts than any registry has.
    #[error("its manifest has more than {MOST_PARTS} parts")]
    ManyParts,
    /// Nothing for this runtime.
    #[error("it has nothing for `wasm`, but for {platforms}")]
    NoPlatform {
        /// The platforms that it is for.
        platforms: String,
    },
    /// An index among what an index lists.
    #[error("its index lists another index")]
    Nested,
}

impl Manifest {
    /// Reads a manifest. `content_type` is what the registry calls it.
    ///
    /// # Errors
    ///
    /// When it is not JSON of one of the four types, or could be taken for two of them.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            schema_version: u32,
            media_type: Option<String>,
            layers: Option<serde::de::IgnoredAny>,
            config: Option<serde::de::IgnoredAny>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let shape: Shape = serde_json::from_slice(bytes)?;
        // Old registries send a type of their own choice for what has none; what has one must be called that.
        let sent = content_type.map(|sent| sent.split(';').next().unwrap_or(sent).trim());
        let sent =
            sent.filter(|sent| [IMAGE_MANIFEST, IMAGE_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(sent));
        let own = shape.media_type.as_deref();
        if let (Some(own), Some(sent)) = (own, sent)
            && own != sent
        {
            return Err(ManifestError::Ambiguous);
        }
        if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
            return Err(ManifestError::Ambiguous);
        }
        let is_index = match own.or(sent) {
            Some(IMAGE_MANIFEST | DOCKER_MANIFEST) => false,
            Some(IMAGE_INDEX | DOCKER_LIST) => true,
            Some(other) => {
                let kind = format!("`{}`", outport_policy::text::quote(other));
                return Err(ManifestError::Kind { kind });
            }
            None => shape.manifests.is_some(),
        };
        if shape.schema_version != 2 {
            let kind = format!("schema version {}", shape.schema_version);
            return Err(ManifestError::Kind { kind });
        }
        let read = if is_index {
            Self::Index(serde_json::from_slice(bytes)?)
        } else {
            Self::Image(serde_json::from_slice(bytes)?)
        };
        let parts = match &read {
            Self::Index(index) => index.manifests.len(),
            Self::Image(image) => image.layers.len(),
        };
        if parts > MOST_PARTS {
            return Err(ManifestError::ManyParts);
        }
        Ok(read)
    }
}

impl ImageIndex {
    /// The one for this runtime: for `wasm`, else the only one that there is.
    ///
    /// # Errors
    ///
    /// When there is none, or only several for machines.
    pub fn for_wasm(&self) -> Result<&Descriptor, ManifestError> {
        // Builders put what they know about an image beside it, as one for no platform.
        let is_image = |entry: &&Descriptor| {
            let unknown = |platform: &Platform| platform.architecture == "unknown";
            !entry.platform.as_ref().is_some_and(unknown)
        };
        let mut images = self.manifests.iter().filter(is_image);
        let for_wasm = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            platform.is_some_and(|platform| platform.architecture == "wasm")
        };
        let chosen = match self.manifests.iter().find(for_wasm) {
            Some(entry) => Some(entry),
            None => images.next().filter(|_| images.next().is_none()),
        };
        let Some(chosen) = chosen else {
            let platforms = self.manifests.iter().filter(is_image).take(8);
            let platforms: Vec<String> = platforms
                .map(|entry| match &entry.platform {
                    Some(platform) => format!(
                        "`{}/{}`",
                        outport_policy::text::quote(&platform.os),
                        outport_policy::text::quote(&platform.architecture)
                    ),
                    None => "no platform".to_owned(),
                })
                .collect();
            let platforms = if platforms.is_empty() {
                "nothing".to_owned()
            } else {
                platforms.join(", ")
            };
            return Err(ManifestError::NoPlatform { platforms });
        };
        if [IMAGE_INDEX, DOCKER_LIST].contains(&chosen.media_type.as_str()) {
            return Err(ManifestError::Nested);
        }
        Ok(chosen)
    }
}

/// A digest as registries write them: in lower case, so that there is one text for each.
pub(crate) fn strict_digest(text: &str) -> Option<Digest> {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    Digest::parse(text).ok().filter(|_| is_lower)
}

fn read_digest<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(from)?;
    strict_digest(&text).ok_or_else(|| {
        let shown = outport_policy::text::quote(&text);
        serde::de::Error::custom(format!(
            "`{shown}` is not a digest: `sha256:` and 64 hexadecimal digits"
        ))
    })
}

fn write_digest<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(kind: &str) -> Value {
        json!({ "mediaType": kind, "size": 2, "digest": format!("sha256:{}", "ab".repeat(32)) })
    }

    fn read(value: &Value, sent: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::parse(value.to_string().as_bytes(), sent)
    }

    #[test]
    fn a_manifest_is_what_it_calls_itself() {
        let image = json!({ "schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("l")] });
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor(IMAGE_MANIFEST)] });
        let with = |value: &Value, key: &str, new: Value| {
            let mut value = value.clone();
            value[key] = new;
            value
        };
        let rows = [
            (image.clone(), None, "image"),
            (image.clone(), Some(DOCKER_MANIFEST), "image"),
            (image.clone(), Some("text/plain"), "image"),
            (
                with(&image, "mediaType", json!(IMAGE_MANIFEST)),
                Some(IMAGE_MANIFEST),
                "image",
            ),
            (index.clone(), None, "index"),
            (with(&index, "mediaType", json!(DOCKER_LIST)), None, "index"),
            (
                with(&image, "mediaType", json!(IMAGE_MANIFEST)),
                Some(IMAGE_INDEX),
                "ambiguous",
            ),
            (with(&image, "manifests", json!([])), None, "ambiguous"),
            (
                with(&index, "config", descriptor("c")),
                Some(IMAGE_INDEX),
                "ambiguous",
            ),
            (with(&image, "schemaVersion", json!(1)), None, "kind"),
            (with(&image, "mediaType", json!("application/json")), None, "kind"),
            (image.clone(), Some(IMAGE_INDEX), "json"),
            (json!({ "schemaVersion": 2 }), None, "json"),
            (json!([]), None, "json"),
            (
                with(
                    &image,
                    "config",
                    json!({ "mediaType": "c", "size": -1, "digest": "x" }),
                ),
                None,
                "json",
            ),
            (
                with(
                    &image,
                    "config",
                    json!({ "mediaType": "c", "size": 1, "digest": "sha256:../.." }),
                ),
                None,
                "json",
            ),
            (
                with(&image, "layers", json!(vec![descriptor("l"); MOST_PARTS + 1])),
                None,
                "many",
            ),
        ];
        for (value, sent, expected) in rows {
            let is = match read(&value, sent) {
                Ok(Manifest::Image(_)) => "image",
                Ok(Manifest::Index(_)) => "index",
                Err(ManifestError::Ambiguous) => "ambiguous",
                Err(ManifestError::Kind { .. }) => "kind",
                Err(ManifestError::Json(_)) => "json",
                Err(ManifestError::ManyParts) => "many",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(is, expected, "{value} {sent:?}");
        }
    }

    #[test]
    fn of_an_index_the_part_for_wasm_is_taken() {
        let entry = |platform: &str, kind: &str, digit: &str| {
            let mut entry = descriptor(kind);
            entry["digest"] = json!(format!("sha256:{}", digit.repeat(64)));
            if let Some((os, architecture)) = platform.split_once('/') {
                entry["platform"] = json!({ "os": os, "architecture": architecture });
            }
            entry
        };
        let rows = [
            (
                vec![("linux/amd64", IMAGE_MANIFEST), ("wasip1/wasm", IMAGE_MANIFEST)],
                "1",
            ),
            (
                vec![
                    ("linux/amd64", IMAGE_MANIFEST),
                    ("unknown/unknown", IMAGE_MANIFEST),
                ],
                "0",
            ),
            (vec![("", IMAGE_MANIFEST)], "0"),
            (
                vec![("linux/amd64", IMAGE_MANIFEST), ("linux/arm64", IMAGE_MANIFEST)],
                "none",
            ),
            (vec![], "none"),
            (vec![("wasi/wasm", IMAGE_INDEX)], "nested"),
            (vec![("", DOCKER_LIST)], "nested"),
        ];
        for (entries, expected) in rows {
            let listed: Vec<Value> = entries
                .iter()
                .enumerate()
                .map(|(at, (platform, kind))| entry(platform, kind, &at.to_string()))
                .collect();
            let value = json!({ "schemaVersion": 2, "manifests": listed });
            let Ok(Manifest::Index(index)) = read(&value, None) else {
                panic!("{value}");
            };
            let chosen = match index.for_wasm() {
                Ok(entry) => entry.digest.hex()[..1].to_owned(),
                Err(ManifestError::NoPlatform { .. }) => "none".to_owned(),
                Err(ManifestError::Nested) => "nested".to_owned(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(chosen, expected, "{entries:?}");
        }
    }
}
