//! The app of an artifact in Spin's layout: JSON that names every part by its digest, and the `spin.toml` that says the same.
//!
//! | in the JSON | in `spin.toml` |
//! | --- | --- |
//! | `metadata` of the app, `triggers`, `variables` | `[application]`, `[[trigger.KIND]]`, `[variables]` |
//! | `components[].source`, `.dependencies[].source` | `source = "components/0.wasm"`, `path = "components/1.wasm"` |
//! | `components[].files[]` | `files = [{ source = "files/0", destination = "/" }]`, each where `path` says |
//! | `components[].config`, `.env`, `.metadata` | `variables`, `environment`, and the lists of what is granted |
//!
//! It is the author's word, as any manifest is: what is wrong with it is found where every manifest is read. What Spin
//! must understand and this runtime does not is refused here, since no manifest can say it.

mod spin_toml;

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use outport_manifest::Digest;
use outport_policy::text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use self::spin_toml::Writer;
use super::tree::{Tree, TreeError, TreePath, digest_of};

/// An app that is resolved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedApp {
    pub(crate) spin_lock_version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) must_understand: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) host_requirements: Map<String, Json>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, LockedVariable>,
    pub(crate) triggers: Vec<LockedTrigger>,
    pub(crate) components: Vec<LockedComponent>,
}

/// A variable of the app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedVariable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret: bool,
}

/// A trigger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedTrigger {
    pub(crate) id: String,
    pub(crate) trigger_type: String,
    pub(crate) trigger_config: Json,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) trigger_dependencies: BTreeMap<String, Json>,
}

/// A component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedComponent {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) metadata: Map<String, Json>,
    pub(crate) source: LockedSource,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<LockedFile>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) config: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) dependencies: BTreeMap<String, LockedDependency>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) trigger_dependencies: BTreeMap<String, Json>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) host_requirements: Map<String, Json>,
}

/// A part of a component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedDependency {
    pub(crate) source: LockedSource,
    pub(crate) export: Option<String>,
    #[serde(default, skip_serializing_if = "LockedInheritance::is_nothing")]
    pub(crate) inherit: LockedInheritance,
}

/// What a part inherits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LockedInheritance {
    All,
    Some(Vec<String>),
}

/// Code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedSource {
    pub(crate) content_type: String,
    #[serde(flatten)]
    pub(crate) content: LockedContent,
}

/// A file for a guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockedFile {
    #[serde(flatten)]
    pub(crate) content: LockedContent,
    pub(crate) path: String,
}

/// Bytes: these, or those with this digest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LockedContent {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

/// The reason why an app in Spin's layout cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockedAppError {
    /// It is not the JSON of an app.
    #[error("its description of the app cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It wants what only a later Spin has.
    #[error("it needs `{0}`, which Outport does not have")]
    Requirement(String),
    /// Bytes of which neither digest nor content is said, or both and they differ.
    #[error("{what} has no content, or not the one that its digest says")]
    Content {
        /// The part.
        what: String,
    },
    /// A digest of nothing that came along.
    #[error("{what} is not among the layers: {digest}")]
    Missing {
        /// The part.
        what: String,
        /// Its digest.
        digest: Digest,
    },
    /// Files cannot be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Default for LockedInheritance {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl LockedInheritance {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Some(keys) if keys.is_empty())
    }
}

/// The one requirement that is met: components that answer each other.
const SERVICE_CHAINING: &str = "local_service_chaining";

/// As Spin writes it, and without being strict about padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl LockedContent {
    /// As many bytes as Spin puts into the JSON.
    pub(crate) const MOST_INLINE: u64 = 128;

    /// Bytes that are kept by their digest; few of them are in the JSON too, as registries do not take tiny blobs.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            inline: (bytes.len() as u64 <= Self::MOST_INLINE).then(|| BASE64.encode(bytes)),
            digest: Some(digest_of(bytes).to_string()),
        }
    }
}

/// Gives bytes by their digest; nothing if they did not come along.
pub(crate) type Find<'f> = &'f dyn Fn(&Digest) -> Option<std::io::Result<Box<dyn Read>>>;

impl LockedApp {
    /// Reads the JSON.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, LockedAppError> {
        let app: Self = serde_json::from_slice(bytes)?;
        if app.spin_lock_version > 1 {
            let version = format!("version {} of the format", app.spin_lock_version);
            return Err(LockedAppError::Requirement(version));
        }
        let understood = ["host_requirements", "component_host_requirements"];
        let strange = app
            .must_understand
            .iter()
            .find(|key| !understood.contains(&key.as_str()));
        let of_components = app
            .components
            .iter()
            .flat_map(|component| &component.host_requirements);
        let mut requirements = app.host_requirements.iter().chain(of_components);
        let unmet = requirements
            .find(|(key, value)| value.as_str() != Some("optional") && key.as_str() != SERVICE_CHAINING);
        match strange.or(unmet.map(|(key, _)| key)) {
            Some(key) => Err(LockedAppError::Requirement(text::quote(key).to_string())),
            None => Ok(app),
        }
    }

    /// Writes the parts of the app and its `spin.toml` to a tree.
    pub(crate) fn write(&self, find: Find<'_>, tree: &mut Tree) -> Result<(), LockedAppError> {
        let mut writer = Writer {
            find,
            tree,
            components: BTreeMap::new(),
        };
        let manifest = writer.manifest(self)?;
        let path = TreePath::parse("spin.toml").expect("INVARIANT: a name");
        tree.add(&path, &mut manifest.to_string().as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
