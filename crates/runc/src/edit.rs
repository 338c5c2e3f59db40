//! How a container's configuration becomes that of an app under Outport.
//!
//! | what | becomes |
//! | --- | --- |
//! | the program | `/.outport/outport up -f MANIFEST`, the node's options, those of the pod's annotation, those of the arguments; of an artifact its name and `--oci-layout` |
//! | mounts | and the node's static `outport`, read-only; a cache for this container alone; what the app keeps, where nobody said where; the node's `outport.toml` |
//! | environment | and what SpinKube's shim has by default, where neither pod nor image says otherwise |
//! | user, capabilities, seccomp, namespaces, limits, root, hooks | left as they are |
//!
//! The cache and the app's state are file systems in memory, which count for the container's limit, belong to its user, and
//! go with it. So a read-only root works, and any user.
//!
//! Mount points are made by runc, below the container's root, after what is there was looked at: a link in that place is
//! refused, although runc would not follow it out either.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::app::AppManifest;
use crate::artifact::Artifact;
use crate::authority::RUNTIME_CONFIG;
use crate::container::Container;
use crate::image::{Entry, Image, MountPoint, cleaned};
use crate::report::Failure;
use crate::settings::Settings;

/// What Outport has of its own in a container.
const OWN: &str = "/.outport";
const PROGRAM: &str = "/.outport/outport";
const CACHE: &str = "/.outport/cache";
const CONFIG: &str = "/.outport/config";
const LAYOUT: &str = "/.outport/image";

/// Where an app keeps what it keeps, beside its manifest, as Spin has it.
const STATE: &str = ".spin";

/// The ids, with commas between them, of the components that are to be there.
const RETAINED: &str = "SPIN_COMPONENTS_TO_RETAIN";

/// Where SpinKube's apps are reached.
const LISTEN: &str = "0.0.0.0:80";

/// What is to be run.
#[derive(Debug)]
pub(crate) enum App {
    /// A manifest in the container.
    Manifest(AppManifest),
    /// An artifact that was brought to it.
    Artifact(Artifact),
}

/// What is changed.
#[derive(Debug)]
pub(crate) struct Edit {
    arguments: Vec<String>,
    environment: Vec<String>,
    mounts: Vec<Value>,
}

impl Edit {
    /// Decides what is changed.
    pub(crate) fn plan(
        container: &Container,
        image: &Image,
        app: &App,
        outport: &Path,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut edit = Self {
            arguments: [PROGRAM, "up", "-f"].map(str::to_owned).into(),
            environment: Vec::new(),
            mounts: vec![bind(outport, PROGRAM)],
        };
        match app {
            App::Manifest(manifest) => edit.arguments.push(manifest.path.to_string_lossy().into_owned()),
            App::Artifact(artifact) => {
                edit.mounts.push(bind(&artifact.layout, LAYOUT));
                let layout = format!("--oci-layout={LAYOUT}");
                edit.arguments.extend([artifact.reference.clone(), layout]);
            }
        }
        require_free(container, image, settings)?;
        if let Some(config) = &settings.config {
            // The option would be silently taken instead of the variable, and the pod's denials with it.
            if container.has_any(&["OUTPORT_CONFIG"]) {
                return Err(Failure::TwoConfigurations);
            }
            edit.mounts.push(bind(config, CONFIG));
            edit.arguments.push(format!("--config={CONFIG}/outport.toml"));
        }
        let options = [&settings.options, &container.pods_options];
        edit.arguments.extend(options.into_iter().flatten().cloned());
        edit.give_defaults(container, image)?;
        edit.give_cache(container, settings);
        if let App::Manifest(manifest) = app {
            edit.arguments.extend(manifest.options.iter().cloned());
            edit.give_state(container, image, manifest)?;
        }
        edit.retain_components(container);
        // The image brings its code. What it names elsewhere would be fetched by the host, which no list holds.
        if !container.is_trusted(settings) && !edit.arguments.iter().any(|argument| argument == "--offline") {
            edit.arguments.push("--offline".to_owned());
        }
        Ok(edit)
    }

    /// What SpinKube's shim has where nobody said otherwise.
    fn give_defaults(&mut self, container: &Container, image: &Image) -> Result<(), Failure> {
        if !container.has_any(&["OUTPORT_LISTEN", "SPIN_HTTP_LISTEN_ADDR"]) {
            self.environment.push(format!("SPIN_HTTP_LISTEN_ADDR={LISTEN}"));
        }
        let has_config = matches!(image.look(Path::new(RUNTIME_CONFIG))?, Entry::File(_));
        if has_config && !container.has_any(&["OUTPORT_RUNTIME_CONFIG_FILE", "RUNTIME_CONFIG_FILE"]) {
            self.environment
                .push(format!("RUNTIME_CONFIG_FILE={RUNTIME_CONFIG}"));
        }
        Ok(())
    }

    /// Of the components those that SpinKube's selective deployment names.
    fn retain_components(&mut self, container: &Container) {
        let named = container.variables().filter(|(name, _)| *name == RETAINED).last();
        let named = named.into_iter().flat_map(|(_, ids)| ids.split(','));
        let ids = named.map(str::trim).filter(|id| !id.is_empty());
        self.arguments.extend(ids.map(|id| format!("--component={id}")));
    }

    /// A cache, where the pod has not mounted one. That of the image is passed over, since code in it would be run as it is.
    fn give_cache(&mut self, container: &Container, settings: &Settings) {
        let is_trusted = container.is_trusted(settings);
        let is_settled = container.variables().any(|(name, _)| match name {
            // What it may say was looked at before.
            "OUTPORT_CACHE_DIR" => true,
            "CACHE_DIRECTORY" | "XDG_CACHE_HOME" => is_trusted,
            _ => false,
        });
        if !is_settled {
            self.mounts.push(in_memory(CACHE, container));
            self.environment.push(format!("OUTPORT_CACHE_DIR={CACHE}"));
        }
    }

    /// A directory for what the app keeps, where it would look for one by itself. The variable for it is not set: a runtime
    /// config file may say where, and would be overruled.
    fn give_state(
        &mut self,
        container: &Container,
        image: &Image,
        manifest: &AppManifest,
    ) -> Result<(), Failure> {
        let state = manifest.path.with_file_name(STATE);
        let is_settled =
            container.has_any(&["OUTPORT_STATE_DIR", "SPIN_STATE_DIR"]) || !image.is_in_image(&state);
        // In a volume nothing is made, and what the image has there stays.
        let is_possible = image.is_in_image(&manifest.path)
            && matches!(
                image.mount_point(&state)?,
                MountPoint::Free | MountPoint::EmptyDirectory
            );
        if !is_settled && is_possible {
            self.mounts.push(in_memory(&state.to_string_lossy(), container));
        }
        Ok(())
    }

    /// Changes a configuration.
    pub(crate) fn apply(self, configuration: &mut Value) {
        configuration["process"]["args"] = self.arguments.into();
        append(
            &mut configuration["process"]["env"],
            self.environment.into_iter().map(Value::from),
        );
        append(&mut configuration["mounts"], self.mounts);
    }
}

/// Is there nothing in the container where Outport's own is mounted? An earlier container may have left empty mount points
/// in the same root.
fn require_free(container: &Container, image: &Image, settings: &Settings) -> Result<(), Failure> {
    let taken = |path: &Path, what: &str| Failure::MountPoint {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let in_the_way = container.mounts.iter().map(|mount| cleaned(&mount.destination));
    if let Some(volume) = in_the_way.into_iter().find(|path| path.starts_with(OWN)) {
        return Err(taken(&volume, "a volume"));
    }
    let directories = [Some(CACHE), settings.config.as_ref().map(|_| CONFIG)];
    for path in directories.into_iter().flatten().map(PathBuf::from) {
        match image.mount_point(&path)? {
            MountPoint::Free | MountPoint::EmptyDirectory => {}
            MountPoint::EmptyFile => return Err(taken(&path, "a file")),
            MountPoint::Taken(what) => return Err(taken(&path, what)),
        }
    }
    match image.mount_point(Path::new(PROGRAM))? {
        MountPoint::Free | MountPoint::EmptyFile => Ok(()),
        MountPoint::EmptyDirectory => Err(taken(Path::new(PROGRAM), "a directory")),
        MountPoint::Taken(what) => Err(taken(Path::new(PROGRAM), what)),
    }
}

fn bind(source: &Path, destination: &str) -> Value {
    json!({
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["bind", "ro", "nosuid", "nodev"],
    })
}

/// A file system of its own, for the container's user alone. Compiled code in it is mapped to be executed.
fn in_memory(destination: &str, container: &Container) -> Value {
    json!({
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "mode=0700", format!("uid={}", container.user), format!("gid={}", container.group)],
    })
}

fn append(list: &mut Value, more: impl IntoIterator<Item = Value>) {
    match list.as_array_mut() {
        Some(list) => list.extend(more),
        None => *list = more.into_iter().collect(),
    }
}
