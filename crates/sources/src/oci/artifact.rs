//! The kinds of artifacts that hold something to run, told apart by the types of their layers.
//!
//! | kind | layers |
//! | --- | --- |
//! | an app in Spin's layout | one `application/vnd.fermyon.spin.application.v1+config` (older: that is the config), code, files, bundles |
//! | a component, as `wkg` and others publish it | one `application/wasm` |
//! | an image | archives; what they unpack to has a `spin.toml` |

use super::image::Packing;
use super::manifest::{Descriptor, ImageManifest};

/// The app of Spin's layout, resolved.
pub(crate) const SPIN_APP: &str = "application/vnd.fermyon.spin.application.v1+config";

/// Code, in Spin's layout.
pub(crate) const SPIN_CODE: &str = "application/vnd.wasm.content.layer.v1+wasm";

/// A file, in Spin's layout.
pub(crate) const SPIN_FILE: &str = "application/vnd.wasm.content.layer.v1+data";

/// Many files, in Spin's layout.
pub(crate) const SPIN_BUNDLE: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";

/// A component.
const WASM: &str = "application/wasm";

/// What an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Artifact<'m> {
    /// An app in Spin's layout.
    SpinApp {
        /// The JSON.
        app: &'m Descriptor,
        /// Code and files.
        parts: Vec<&'m Descriptor>,
        /// Archives of files.
        bundles: Vec<&'m Descriptor>,
    },
    /// One component.
    Component(&'m Descriptor),
    /// Archives, the lowest first.
    Image(Vec<(&'m Descriptor, Packing)>),
}

/// The reason why an artifact is of no use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It has nothing in it.
    #[error("it has no layers")]
    Empty,
    /// It has layers of other kinds.
    #[error("it is neither an app nor a component: it has a layer of type `{kind}`")]
    Kind {
        /// The type of the layer.
        kind: String,
    },
    /// More than one description of an app.
    #[error("it describes more than one app")]
    ManyApps,
}

impl<'m> Artifact<'m> {
    pub(crate) fn of(manifest: &'m ImageManifest) -> Result<Self, ArtifactError> {
        let layers = &manifest.layers;
        let mut apps = layers.iter().filter(|layer| layer.media_type == SPIN_APP);
        let older = Some(&manifest.config).filter(|config| config.media_type == SPIN_APP);
        if let Some(app) = apps.next().or(older) {
            if apps.next().is_some() {
                return Err(ArtifactError::ManyApps);
            }
            let others = layers.iter().filter(|layer| layer.media_type != SPIN_APP);
            let (bundles, parts) = others.partition(|layer| layer.media_type == SPIN_BUNDLE);
            return Ok(Self::SpinApp { app, parts, bundles });
        }
        match layers.as_slice() {
            [] => Err(ArtifactError::Empty),
            [only] if [WASM, SPIN_CODE].contains(&only.media_type.as_str()) => Ok(Self::Component(only)),
            all => {
                let packed = all.iter().map(|layer| Some((layer, packing(&layer.media_type)?)));
                packed.collect::<Option<_>>().map(Self::Image).ok_or_else(|| {
                    let strange = all.iter().find(|layer| packing(&layer.media_type).is_none());
                    let kind = strange.map_or("", |layer| &layer.media_type);
                    ArtifactError::Kind {
                        kind: outport_policy::text::quote(kind).to_string(),
                    }
                })
            }
        }
    }
}

fn packing(kind: &str) -> Option<Packing> {
    match kind {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Some(Packing::Plain)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Some(Packing::Gzip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_say_what_an_artifact_is() {
        const IMAGE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
        let rows: &[(&str, &[&str], &str)] = &[
            ("c", &[SPIN_CODE, SPIN_FILE, SPIN_BUNDLE, SPIN_APP], "app 2 1"),
            (SPIN_APP, &[SPIN_CODE], "app 1 0"),
            ("c", &[SPIN_APP, SPIN_APP], "many"),
            ("application/vnd.wasm.config.v0+json", &[WASM], "component"),
            ("c", &[SPIN_CODE], "component"),
            ("c", &[IMAGE, IMAGE], "image 2"),
            (
                "c",
                &[IMAGE, "application/vnd.oci.image.layer.v1.tar+zstd"],
                "kind",
            ),
            ("c", &[WASM, WASM], "kind"),
            (
                "c",
                &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"],
                "kind",
            ),
            ("c", &[], "empty"),
        ];
        for (config, layers, expected) in rows {
            let descriptor = |kind: &&str| json!({ "mediaType": kind, "size": 1, "digest": format!("sha256:{}", "0".repeat(64)) });
            let layers: Vec<_> = layers.iter().map(descriptor).collect();
            let manifest = json!({ "schemaVersion": 2, "config": descriptor(config), "layers": layers });
            let manifest: ImageManifest = serde_json::from_value(manifest).unwrap();
            let is = match Artifact::of(&manifest) {
                Ok(Artifact::SpinApp { parts, bundles, .. }) => {
                    format!("app {} {}", parts.len(), bundles.len())
                }
                Ok(Artifact::Component(_)) => "component".to_owned(),
                Ok(Artifact::Image(layers)) => format!("image {}", layers.len()),
                Err(ArtifactError::ManyApps) => "many".to_owned(),
                Err(ArtifactError::Kind { .. }) => "kind".to_owned(),
                Err(ArtifactError::Empty) => "empty".to_owned(),
            };
            assert_eq!(is, *expected, "{config} {layers:?}");
        }
    }
}
