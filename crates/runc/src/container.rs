//! What a bundle's configuration says of its container, as far as it counts here.
//!
//! Fields are those of the [runtime specification](https://github.com/opencontainers/runtime-spec/blob/main/config.md).
//! What is missing counts as the specification has it; what is of another type than it has to be is a failure, since
//! something would be decided by what runc understands otherwise.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authority::{ANNOTATION, TRUSTED};
use crate::bundle::Bundle;
use crate::report::Failure;
use crate::settings::Settings;

/// Annotations by which a container says that it is the one that holds a pod's namespaces, and runs no image of a user's:
/// those of containerd and of CRI-O.
const SANDBOX: [&str; 2] = [
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri-o.ContainerType",
];

/// The annotation by which containerd says of which image a container is.
const IMAGE_NAME: &str = "io.kubernetes.cri.image-name";

/// A container that is to be made.
#[derive(Debug)]
pub(crate) struct Container {
    /// True for a pod's sandbox.
    pub(crate) is_sandbox: bool,
    /// The name of its image, where containerd says it.
    pub(crate) image_name: Option<String>,
    /// The directory that becomes its root.
    pub(crate) root: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where it starts.
    pub(crate) directory: PathBuf,
    /// Names and values; the last one counts.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) mounts: Vec<Mount>,
    /// What the pod says by [`ANNOTATION`].
    pub(crate) pods_options: Vec<String>,
    /// True if the pod answers for its image by [`TRUSTED`].
    pub(crate) pod_trusts_image: bool,
}

/// Something that is mounted into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) destination: PathBuf,
    /// The directory or file of the node that is there; none for a file system of its own.
    pub(crate) bound: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default)]
    annotations: Map<String, Value>,
    root: Option<Root>,
    process: Option<Process>,
    #[serde(default)]
    mounts: Vec<WrittenMount>,
}

#[derive(Debug, Deserialize)]
struct Root {
    path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Process {
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    cwd: PathBuf,
    #[serde(default)]
    user: User,
}

#[derive(Debug, Default, Deserialize)]
struct User {
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

#[derive(Debug, Deserialize)]
struct WrittenMount {
    destination: PathBuf,
    source: Option<PathBuf>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    options: Option<Vec<String>>,
}

impl Container {
    /// Reads what the configuration of a bundle says.
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, Failure> {
        let failure = |problem: &dyn std::fmt::Display| {
            Failure::bundle(
                bundle.file(),
                format_args!("is no configuration of a container: {problem}"),
            )
        };
        let read = Configuration::deserialize(bundle.configuration()).map_err(|error| failure(&error))?;
        let root = read.root.ok_or_else(|| failure(&"it has no `root`"))?;
        let process = read.process.ok_or_else(|| failure(&"it has no `process`"))?;
        Ok(Self {
            // Where one has said it, the key of the other is nobody's but a pod's.
            is_sandbox: SANDBOX
                .iter()
                .find_map(|name| read.annotations.get(*name))
                .is_some_and(|is| is == "sandbox"),
            image_name: read
                .annotations
                .get(IMAGE_NAME)
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            root: bundle.directory().join(root.path),
            arguments: process.args,
            directory: Path::new("/").join(process.cwd),
            environment: process.env.iter().filter_map(|line| pair(line)).collect(),
            user: process.user.uid,
            group: process.user.gid,
            mounts: read.mounts.into_iter().map(Mount::from).collect(),
            pods_options: match read.annotations.get(ANNOTATION) {
                None => Vec::new(),
                Some(Value::String(options)) => options.split_whitespace().map(str::to_owned).collect(),
                Some(_) => return Err(failure(&format_args!("the annotation `{ANNOTATION}` is no text"))),
            },
            pod_trusts_image: match read.annotations.get(TRUSTED) {
                None => false,
                Some(value) if value == "false" => false,
                Some(value) if value == "true" => true,
                Some(_) => {
                    return Err(failure(&format_args!(
                        "the annotation `{TRUSTED}` is neither `true` nor `false`"
                    )));
                }
            },
        })
    }

    /// True if what its image says is as good as what its pod says.
    pub(crate) fn is_trusted(&self, settings: &Settings) -> bool {
        settings.trusted_containers || self.pod_trusts_image
    }

    /// The variables of its environment that have a value.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(_, value)| !value.is_empty())
    }

    /// True if its environment has one of these variables, and a value for it.
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| {
            let values = self.environment.iter().rev();
            values
                .clone()
                .find(|(own, _)| own == name)
                .is_some_and(|(_, value)| !value.is_empty())
        })
    }
}

impl Mount {
    /// True of a volume that an image asks for (`VOLUME`): containerd fills it with what the image has there, in a directory of
    /// its own.
    pub(crate) fn is_of_image(&self) -> bool {
        self.place_in_containerd().is_some_and(|place| place != SANDBOXES)
    }

    /// True of a file or directory that the pod has mounted. What is below the system's own directories leads anywhere
    /// (`/proc/self/root`).
    pub(crate) fn is_of_pod(&self) -> bool {
        let is_systems = ["/proc", "/sys", "/dev"]
            .iter()
            .any(|own| self.destination.starts_with(own));
        self.bound.is_some() && self.place_in_containerd().is_none() && !is_systems
    }

    /// The directory of containerd's own in which what is bound lies, if it does: `…/io.containerd.grpc.v1.cri/containers/…`.
    fn place_in_containerd(&self) -> Option<&OsStr> {
        let mut parts = self.bound.as_ref()?.components().map(Component::as_os_str);
        parts.find(|part| part.as_encoded_bytes().starts_with(b"io.containerd."))?;
        Some(parts.next().unwrap_or_default())
    }
}

/// Where containerd has what it makes for a pod itself: `/etc/hosts`, `/etc/resolv.conf`, `/dev/shm`.
const SANDBOXES: &str = "sandboxes";

impl From<WrittenMount> for Mount {
    fn from(written: WrittenMount) -> Self {
        let options = written.options.unwrap_or_default();
        let is_bound = written.kind.as_deref() == Some("bind")
            || options.iter().any(|option| option == "bind" || option == "rbind");
        Self {
            destination: Path::new("/").join(written.destination),
            bound: written.source.filter(|_| is_bound),
        }
    }
}

fn pair(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}
