//! Packages in an OCI registry, as `wkg` puts them there.

use outport_manifest::VersionRange;
use outport_policy::text;
use semver::Version;
use serde::Deserialize;
use wasm_pkg_common::package::PackageRef;

use super::PackageError;
use crate::cache::{Cache, CachedFile};
use crate::http::{Fetcher, Reach};
use crate::oci::{
    Credentials, Descriptor, Registry, RegistryError, RegistryOptions, Repository, Tag, Version as Named,
};
use crate::progress::Progress;

pub(super) struct OciRegistry<'f> {
    /// As the manifest or the settings call it.
    name: String,
    prefix: String,
    registry: Registry<'f>,
}

/// What a registry says of where its packages are.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OciPlace {
    registry: Option<String>,
    namespace_prefix: Option<String>,
}

impl OciPlace {
    /// True if it names another host than that of the registry.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.registry.is_some()
    }
}

/// What the settings say of a registry.
#[derive(Default, Deserialize)]
pub(super) struct OciSettings {
    auth: Option<Auth>,
    protocol: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Auth {
    Base64(String),
    Pair { username: String, password: String },
}

impl<'f> OciRegistry<'f> {
    pub(super) fn new(
        name: String,
        place: OciPlace,
        settings: OciSettings,
        fetcher: &'f Fetcher,
        reach: Reach,
    ) -> Result<Self, PackageError> {
        let host = place.registry.as_deref().unwrap_or(&name);
        let host = host.parse().map_err(|_| PackageError::Metadata {
            registry: name.clone(),
            why: format!("`{}` is not the host of a registry", text::quote(host)),
        })?;
        let plain_http = match settings.protocol.as_deref() {
            None | Some("https") => false,
            Some("http") => true,
            Some(other) => {
                let protocol = text::quote(other).to_string();
                return Err(PackageError::Protocol {
                    registry: name,
                    protocol,
                });
            }
        };
        let options = RegistryOptions {
            credentials: settings.auth.map(|auth| auth.credentials(&name)).transpose()?,
            plain_http,
            reach: Some(reach),
            ..RegistryOptions::default()
        };
        Ok(Self {
            registry: Registry::new(fetcher, host, options),
            prefix: place.namespace_prefix.unwrap_or_default(),
            name,
        })
    }

    pub(super) async fn versions(&self, package: &PackageRef) -> Result<Vec<Version>, PackageError> {
        let tags = self.registry.tags(&self.repository(package)?).await;
        let tags = tags.map_err(|error| match error {
            RegistryError::Missing { .. } => PackageError::NoPackage {
                registry: self.name.clone(),
                name: package.to_string(),
            },
            error => error.into(),
        })?;
        // What is no version has another use, as the tags of signatures.
        let versions = tags.iter().filter_map(|tag| Version::parse(tag.as_str()).ok());
        Ok(versions.collect())
    }

    /// The code of a version.
    pub(super) async fn layer(
        &self,
        package: &PackageRef,
        version: &Version,
    ) -> Result<Descriptor, PackageError> {
        let no_version = || PackageError::NoVersion {
            registry: self.name.clone(),
            name: package.to_string(),
            range: VersionRange::Exact(version.clone()),
            has: Vec::new(),
        };
        // A version with build metadata (`+…`) cannot be a tag.
        let tag: Tag = version.to_string().parse().map_err(|_| no_version())?;
        let found = self
            .registry
            .manifest(&self.repository(package)?, &Named::Tag(tag))
            .await
            .map_err(|error| match error {
                RegistryError::Missing { .. } => no_version(),
                error => error.into(),
            })?;
        let no_code = |why: String| PackageError::NoCode {
            registry: self.name.clone(),
            name: package.to_string(),
            version: version.clone(),
            why,
        };
        let crate::oci::Manifest::Image(image) = found.manifest else {
            return Err(no_code("it is a list of artifacts".to_owned()));
        };
        match image.layers.as_slice() {
            [layer] => Ok(layer.clone()),
            layers => Err(no_code(format!("it has {} layers", layers.len()))),
        }
    }

    pub(super) async fn fetch(
        &self,
        package: &PackageRef,
        layer: &Descriptor,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<CachedFile, PackageError> {
        let repository = self.repository(package)?;
        Ok(self.registry.blob(&repository, layer, cache, progress).await?)
    }

    fn repository(&self, package: &PackageRef) -> Result<Repository, PackageError> {
        let path = format!("{}{}/{}", self.prefix, package.namespace(), package.name());
        path.parse().map_err(|_| PackageError::Metadata {
            registry: self.name.clone(),
            why: format!("`{}` is not the name of a repository", text::quote(&path)),
        })
    }
}

impl Auth {
    fn credentials(self, registry: &str) -> Result<Credentials, PackageError> {
        use base64::Engine as _;
        use base64::alphabet::STANDARD;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let pair = match self {
            Self::Pair { username, password } => Some((username, password)),
            Self::Base64(text) => GeneralPurpose::new(&STANDARD, lenient)
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| {
                    text.split_once(':')
                        .map(|(user, password)| (user.to_owned(), password.to_owned()))
                }),
        };
        let (user, password) = pair.ok_or_else(|| {
            PackageError::Config(format!(
                "`auth` of the registry `{registry}` is not `user:password` in base64"
            ))
        })?;
        Ok(Credentials::basic(user, &password))
    }
}
