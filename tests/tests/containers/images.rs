//! Images made by hand: files in one layer, a configuration, and an OCI archive of several of them.
//!
//! What a builder would refuse to make can be in these, as in an image of somebody who means harm: links to anywhere, pipes,
//! files with holes, and architectures that are not this machine's.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// An image in the making: `FROM scratch`.
#[derive(Debug)]
pub(super) struct Image {
    name: String,
    layer: Vec<Entry>,
    entrypoint: Vec<String>,
    environment: Vec<String>,
    user: String,
    directory: String,
    volumes: Vec<String>,
    architecture: &'static str,
}

#[derive(Debug)]
struct Entry {
    path: String,
    kind: EntryType,
    mode: u32,
    content: Vec<u8>,
    /// Zero bytes behind the content.
    zeroes: u64,
    link: Option<String>,
}

impl Image {
    /// `outport.test/NAME:1`.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: reference(name),
            layer: Vec::new(),
            entrypoint: vec!["/spin.toml".to_owned()],
            environment: Vec::new(),
            user: String::new(),
            directory: "/".to_owned(),
            volumes: Vec::new(),
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
        }
    }

    /// An app: `/spin.toml`, and a guest beside it.
    pub(super) fn app(name: &str, manifest: &str, guest: &str) -> Self {
        let component = std::fs::read(outport_e2e::guest::path(guest)).expect("a committed guest");
        Self::new(name)
            .file("spin.toml", manifest)
            .file(&format!("{guest}.wasm"), component)
    }

    /// The name by which it is found.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name that it was made with.
    pub(super) fn short_name(&self) -> &str {
        let name = self.name.strip_suffix(":1");
        name.and_then(|name| name.rsplit('/').next()).unwrap_or_default()
    }

    pub(super) fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, EntryType::Regular, 0o644, content.into(), None)
    }

    pub(super) fn program(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.entry(path, EntryType::Regular, 0o755, content.into(), None)
    }

    /// A file of so many zero bytes.
    pub(super) fn zeroes(mut self, path: &str, length: u64) -> Self {
        self = self.file(path, "");
        self.layer.last_mut().expect("the file").zeroes = length;
        self
    }

    pub(super) fn directory(self, path: &str) -> Self {
        self.entry(path, EntryType::Directory, 0o755, Vec::new(), None)
    }

    pub(super) fn link(self, path: &str, to: &str) -> Self {
        self.entry(path, EntryType::Symlink, 0o777, Vec::new(), Some(to.to_owned()))
    }

    pub(super) fn pipe(self, path: &str) -> Self {
        self.entry(path, EntryType::Fifo, 0o644, Vec::new(), None)
    }

    pub(super) fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(super) fn variable(mut self, line: &str) -> Self {
        self.environment.push(line.to_owned());
        self
    }

    pub(super) fn user(mut self, user: &str) -> Self {
        self.user = user.to_owned();
        self
    }

    pub(super) fn starting_in(mut self, directory: &str) -> Self {
        self.directory = directory.to_owned();
        self
    }

    /// A directory that is to be a volume, filled with what the image has there.
    pub(super) fn volume(mut self, directory: &str) -> Self {
        self.volumes.push(directory.to_owned());
        self
    }

    /// What the image says that it is for.
    pub(super) fn for_architecture(mut self, architecture: &'static str) -> Self {
        self.architecture = architecture;
        self
    }

    fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        content: Vec<u8>,
        link: Option<String>,
    ) -> Self {
        self.layer.push(Entry {
            path: path.to_owned(),
            kind,
            mode,
            content,
            zeroes: 0,
            link,
        });
        self
    }

    fn layer(&self) -> Vec<u8> {
        let mut layer = Builder::new(Vec::new());
        for entry in &self.layer {
            let mut header = Header::new_gnu();
            header.set_entry_type(entry.kind);
            header.set_mode(entry.mode);
            header.set_size(entry.content.len() as u64 + entry.zeroes);
            header.set_mtime(1_767_225_600);
            if let Some(link) = &entry.link {
                header.set_link_name_literal(link).expect("a short link");
            }
            let content = entry
                .content
                .as_slice()
                .chain(std::io::repeat(0).take(entry.zeroes));
            layer
                .append_data(&mut header, &entry.path, content)
                .expect("in memory");
        }
        layer.into_inner().expect("in memory")
    }
}

/// The name by which an image is found.
pub(super) fn reference(name: &str) -> String {
    format!("outport.test/{name}:1")
}

/// Writes an OCI archive of images.
pub(super) fn write_archive(path: &Path, images: &[Image]) {
    let file = std::fs::File::create(path).expect("a file of our own");
    let mut archive = Archive(Builder::new(file));
    let images = images.iter().map(|image| archive.add(image)).collect();
    archive.finish(images);
}

/// Writes an OCI archive of an artifact that is no container image: layers by their types, and a config as Spin has it.
pub(super) fn write_artifact(path: &Path, name: &str, layers: &[(&str, &[u8])]) {
    let file = std::fs::File::create(path).expect("a file of our own");
    let mut archive = Archive(Builder::new(file));
    let described: Vec<Value> = layers
        .iter()
        .map(|(kind, content)| archive.blob(kind, content))
        .collect();
    let digests: Vec<&Value> = described.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({ "architecture": "wasm", "os": "Wasip1", "config": {},
                         "rootfs": { "type": "layers", "diff_ids": digests } });
    let config = archive.blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    archive.finish(vec![(reference(name), config, described)]);
}

struct Archive(Builder<std::fs::File>);

impl Archive {
    /// The name, the configuration and the layers of an image.
    fn add(&mut self, image: &Image) -> (String, Value, Vec<Value>) {
        let layer = image.layer();
        let volumes: Value = image
            .volumes
            .iter()
            .map(|volume| (volume.clone(), json!({})))
            .collect();
        let configuration = json!({
            "architecture": image.architecture,
            "os": "linux",
            "config": {
                "Entrypoint": image.entrypoint,
                "Env": image.environment,
                "User": image.user,
                "WorkingDir": image.directory,
                "Volumes": volumes,
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", &layer);
        let configuration = self.blob(
            "application/vnd.oci.image.config.v1+json",
            configuration.to_string().as_bytes(),
        );
        (image.name.clone(), configuration, vec![layer])
    }

    /// Writes the manifests, and what says which there are.
    fn finish(mut self, images: Vec<(String, Value, Vec<Value>)>) {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifests: Vec<Value> = images
            .into_iter()
            .map(|(name, config, layers)| {
                let manifest =
                    json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
                let mut entry = self.blob(kind, manifest.to_string().as_bytes());
                entry["annotations"] = json!({ "io.containerd.image.name": name });
                entry
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.put("index.json", index.to_string().as_bytes());
        self.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        self.0.finish().expect("written");
    }

    fn blob(&mut self, kind: &str, content: &[u8]) -> Value {
        let digest = digest(content);
        self.put(&format!("blobs/{}", digest.replace(':', "/")), content);
        json!({ "mediaType": kind, "digest": digest, "size": content.len() })
    }

    fn put(&mut self, path: &str, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, path, content).expect("written");
    }
}

/// As registries write it.
pub(super) fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
