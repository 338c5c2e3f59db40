//! Packages of registries, as `wkg` and Spin have them.
//!
//! ```text
//! package ─► registry: of the manifest, else of ~/.config/wasm-pkg/config.toml
//!            (package_registry_overrides, namespace_registries, default_registry), else `wasi` and `ba` have one
//! registry ─► how it is asked: as that file says, else as https://REGISTRY/.well-known/wasm-pkg/registry.json says, else
//!            as an OCI registry on the same host
//! local    ─► ROOT/namespace/name/VERSION.wasm
//! oci      ─► PREFIXnamespace/name, the version as its tag, and the one layer that is WebAssembly
//! ```
//!
//! The metadata of a registry is foreign: it may name another host for its packages, but never a directory of this
//! machine. Tags that are no versions are none.

mod error;
mod local;
mod oci;

use outport_manifest::{Digest, PackageRequest, VersionRange};
use outport_policy::text;
use semver::Version;
use serde::Deserialize;
use wasm_pkg_common::config::{Config, CustomConfig, RegistryMapping};
use wasm_pkg_common::metadata::{LOCAL_PROTOCOL, OCI_PROTOCOL, REGISTRY_METADATA_PATH, RegistryMetadata};
use wasm_pkg_common::package::PackageRef;
use wasm_pkg_common::registry::Registry;

pub use self::error::PackageError;
use self::local::LocalRegistry;
use self::oci::{OciPlace, OciRegistry};
use crate::cache::{Cache, CachedFile, Found};
use crate::http::{Fetcher, Reach, Request, StatusCode};
use crate::lock::Pin;
use crate::oci::RegistryError;
use crate::progress::Progress;

/// The registries of packages, by the settings of this user.
#[derive(Debug, Default)]
pub struct Registries {
    config: Config,
}

/// A registry, and how it is asked.
enum Backend<'f> {
    Local(LocalRegistry),
    Oci(Box<OciRegistry<'f>>),
}

impl Registries {
    /// The registries of the user's settings, `~/.config/wasm-pkg/config.toml` or where `XDG_CONFIG_HOME` has it.
    ///
    /// # Errors
    ///
    /// The settings are there, and cannot be read.
    pub async fn of_the_user() -> Result<Self, PackageError> {
        let config = Config::global_defaults().await;
        let config = config.map_err(|error| {
            let path = Config::global_config_path().unwrap_or_default();
            let told = without_lines(&error.to_string());
            PackageError::Config(format!("{}: {}", text::path(&path), text::quote(&told)))
        })?;
        Ok(Self { config })
    }

    /// Settings in the form of that file, and nothing else.
    ///
    /// # Errors
    ///
    /// `text` is not in that form.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let config = Config::from_toml(text).map_err(|error| PackageError::Config(error.to_string()))?;
        Ok(Self { config })
    }

    /// The highest version that will do, by what its registry has now.
    ///
    /// # Errors
    ///
    /// There is none, or the registry does not say.
    pub async fn resolve(&self, request: &PackageRequest, fetcher: &Fetcher) -> Result<Pin, PackageError> {
        let package = package_of(request)?;
        let (registry, backend) = self.backend(&package, request, fetcher).await?;
        let version = match &request.versions {
            VersionRange::Exact(version) => version.clone(),
            VersionRange::Range(_) => {
                let mut has = backend.versions(&package).await?;
                has.sort_by(|a, b| b.cmp(a));
                let highest = has
                    .iter()
                    .find(|version| request.versions.includes(version))
                    .cloned();
                highest.ok_or_else(|| PackageError::NoVersion {
                    registry: registry.clone(),
                    name: request.name.clone(),
                    range: request.versions.clone(),
                    has,
                })?
            }
        };
        let digest = match backend.digest(&package, &version).await {
            Err(PackageError::NoVersion {
                registry,
                name,
                range,
                ..
            }) => {
                return Err(match backend.versions(&package).await {
                    Ok(mut has) => {
                        has.sort_by(|a, b| b.cmp(a));
                        PackageError::NoVersion {
                            registry,
                            name,
                            range,
                            has,
                        }
                    }
                    // Neither this version nor any other.
                    Err(error @ (PackageError::NoPackage { .. } | PackageError::Local { .. })) => error,
                    Err(_) => PackageError::NoVersion {
                        registry,
                        name,
                        range,
                        has: Vec::new(),
                    },
                });
            }
            other => other?,
        };
        Ok(Pin {
            registry,
            version,
            digest,
        })
    }

    /// The code of a package that is known, from the cache or its registry.
    ///
    /// # Errors
    ///
    /// It is in neither, or the registry has something else now.
    pub async fn fetch(
        &self,
        request: &PackageRequest,
        pin: &Pin,
        fetcher: &Fetcher,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<CachedFile, PackageError> {
        if let Found::There(file) = cache.find(&pin.digest).map_err(RegistryError::from)? {
            return Ok(file);
        }
        let package = package_of(request)?;
        let (registry, backend) = self.backend(&package, request, fetcher).await?;
        let found = match &backend {
            Backend::Local(local) => {
                let file = local.file(&package, &pin.version)?;
                if file.digest == pin.digest {
                    return Ok(file);
                }
                file.digest
            }
            Backend::Oci(oci) => {
                let layer = oci.layer(&package, &pin.version).await?;
                if layer.digest == pin.digest {
                    return oci.fetch(&package, &layer, cache, progress).await;
                }
                layer.digest
            }
        };
        Err(PackageError::Changed {
            registry,
            name: request.name.clone(),
            version: pin.version.clone(),
            expected: pin.digest.clone(),
            found,
        })
    }

    async fn backend<'f>(
        &self,
        package: &PackageRef,
        request: &PackageRequest,
        fetcher: &'f Fetcher,
    ) -> Result<(String, Backend<'f>), PackageError> {
        let registry = self.registry(package, request)?;
        let name = registry.to_string();
        let settings = self
            .config
            .registry_config(&registry)
            .cloned()
            .unwrap_or_default();
        let unusable = |error: wasm_pkg_common::Error| {
            let told = without_lines(&error.to_string());
            PackageError::Config(format!("`[registry.\"{name}\"]`: {}", text::quote(&told)))
        };
        if settings.default_backend() == Some(LOCAL_PROTOCOL) {
            let local = settings.backend_config(LOCAL_PROTOCOL).map_err(unusable)?;
            let local = local.ok_or_else(|| PackageError::Config(format!("`{name}` has no `root`")))?;
            return Ok((name.clone(), Backend::Local(LocalRegistry::new(name, local))));
        }
        if fetcher.options().offline {
            return Err(PackageError::Offline {
                name: request.name.clone(),
            });
        }
        // What the user's settings name may be inside, also for an app that is from outside.
        let reach = match self.config.resolve_registry(package) {
            Some(own) if *own == registry => Reach::Anywhere,
            _ => fetcher.options().reach,
        };
        let (metadata, led) = match self.custom_metadata(package, &registry) {
            Some(metadata) => (metadata, Reach::Anywhere),
            None => metadata_of(&registry, fetcher, reach).await?,
        };
        // Only the settings of this user can name a directory.
        let protocol = settings.default_backend().or(metadata.preferred_protocol());
        match protocol.unwrap_or(OCI_PROTOCOL) {
            OCI_PROTOCOL => {
                let at = metadata
                    .protocol_config(OCI_PROTOCOL)
                    .map_err(|error| PackageError::Metadata {
                        registry: name.clone(),
                        why: text::quote(&error.to_string()).to_string(),
                    })?;
                let options = settings.backend_config(OCI_PROTOCOL).map_err(unusable)?;
                let at: OciPlace = at.unwrap_or_default();
                let reach = if at.is_elsewhere() { led } else { reach };
                let oci = OciRegistry::new(name.clone(), at, options.unwrap_or_default(), fetcher, reach)?;
                Ok((name, Backend::Oci(Box::new(oci))))
            }
            other => Err(PackageError::Protocol {
                registry: name,
                protocol: text::quote(other).to_string(),
            }),
        }
    }

    fn registry(&self, package: &PackageRef, request: &PackageRequest) -> Result<Registry, PackageError> {
        match &request.registry {
            Some(named) => named
                .parse()
                .map_err(|_| PackageError::Config(format!("`{}` is not a registry", text::quote(named)))),
            None => self
                .config
                .resolve_registry(package)
                .cloned()
                .ok_or_else(|| PackageError::NoRegistry {
                    namespace: package.namespace().to_string(),
                }),
        }
    }

    /// What the settings themselves say of a registry, instead of it.
    fn custom_metadata(&self, package: &PackageRef, registry: &Registry) -> Option<RegistryMetadata> {
        let of = |mapping: Option<&RegistryMapping>| match mapping {
            Some(RegistryMapping::Custom(CustomConfig {
                registry: own,
                metadata,
            })) if own == registry => Some(metadata.clone()),
            _ => None,
        };
        of(self.config.package_registry_override(package))
            .or_else(|| of(self.config.namespace_registry(package.namespace())))
    }
}

impl Backend<'_> {
    async fn versions(&self, package: &PackageRef) -> Result<Vec<Version>, PackageError> {
        match self {
            Self::Local(local) => local.versions(package),
            Self::Oci(oci) => oci.versions(package).await,
        }
    }

    async fn digest(&self, package: &PackageRef, version: &Version) -> Result<Digest, PackageError> {
        match self {
            Self::Local(local) => Ok(local.file(package, version)?.digest),
            Self::Oci(oci) => Ok(oci.layer(package, version).await?.digest),
        }
    }
}

/// What a registry says of itself, and where a request for what it names may lead. One that says nothing, or cannot be
/// asked, is what it looks like.
async fn metadata_of(
    registry: &Registry,
    fetcher: &Fetcher,
    reach: Reach,
) -> Result<(RegistryMetadata, Reach), PackageError> {
    let scheme = match registry.host() {
        "localhost" | "127.0.0.1" | "[::1]" => "http",
        _ => "https",
    };
    let url = format!("{scheme}://{registry}{REGISTRY_METADATA_PATH}");
    let unusable = |why: String| PackageError::Metadata {
        registry: registry.to_string(),
        why: text::quote(&why).to_string(),
    };
    let asked = match Request::get(&url) {
        Ok(request) => fetcher.send(&request.within(reach)).await,
        Err(error) => Err(error),
    };
    let response = match asked {
        Ok(response) if response.status() == StatusCode::OK => response,
        Ok(response) => {
            tracing::debug!(%registry, status = %response.status(), "the registry says nothing of itself");
            return Ok((RegistryMetadata::default(), reach));
        }
        Err(error) => {
            tracing::debug!(%registry, %error, "the registry says nothing of itself");
            return Ok((RegistryMetadata::default(), reach));
        }
    };
    let led = response.reach();
    let bytes = response
        .bytes(LONGEST_METADATA)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    let metadata: RegistryMetadata =
        serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
    match metadata.preferred_protocol() {
        Some(LOCAL_PROTOCOL) => Err(unusable("it names a directory of this machine".to_owned())),
        _ => Ok((metadata, led)),
    }
}

fn package_of(request: &PackageRequest) -> Result<PackageRef, PackageError> {
    let parsed = request.name.parse();
    parsed.map_err(|_| PackageError::Name(text::quote(&request.name).to_string()))
}

/// What a parser says of the settings: where, and why. Between the two it shows the line, in which there may be a
/// password, and the reason is left out where it could quote a value.
fn without_lines(told: &str) -> String {
    let mut lines = told.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let quotes_a_value =
        |why: &&str| why.contains('"') || why.starts_with("invalid ") || why.contains("variant `");
    match lines.next_back().filter(|why| !quotes_a_value(why)) {
        Some(why) if !why.starts_with('|') => format!("{first}: {why}"),
        _ => first.to_owned(),
    }
}

/// Bytes of what a registry says of itself.
const LONGEST_METADATA: u64 = 64 << 10;

/// The settings of a directory of packages.
#[derive(Debug, Deserialize)]
struct LocalSettings {
    root: std::path::PathBuf,
}

#[cfg(test)]
mod tests {
    use super::without_lines;

    #[test]
    fn what_is_wrong_with_settings_is_told_without_their_values() {
        for (told, shown) in [
            ("missing field `root`\n", "missing field `root`"),
            (
                "bad: at line 1\n  |\n1 | [x\n  | ^\nunclosed table, expected `]`\n",
                "bad: at line 1: unclosed table, expected `]`",
            ),
            (
                "bad: at line 1\n  |\n1 | a = \"hunter2\"\n  | ^\ninvalid type: string \"hunter2\", expected a map\n",
                "bad: at line 1",
            ),
            (
                "at line 1\n  |\n1 | a\n  | ^\nunknown variant `hunter2`",
                "at line 1",
            ),
            ("at line 1\n  |\n1 | a\n  | ^", "at line 1"),
            ("", ""),
        ] {
            assert_eq!(without_lines(told), shown, "{told}");
        }
    }
}
