//! A real registry, and `skopeo` as another client of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::process::{Process, free_port, wait_until_listening};

/// Debian's registry on a free port of 127.0.0.1. Stopped when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    port: u16,
    credentials: Option<(String, String)>,
    _folder: TempDir,
    _process: Process,
}

/// An artifact in the making, whose parts have any type.
#[derive(Debug, Default)]
pub struct RawArtifact {
    config: (String, Vec<u8>),
    layers: Vec<(String, Vec<u8>, Value)>,
}

impl DockerRegistry {
    /// Starts a registry for everybody.
    ///
    /// # Panics
    ///
    /// If `docker-registry` is not installed, or does not listen within 20 seconds.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// The same for one user, with this password.
    ///
    /// # Panics
    ///
    /// As [`start`](DockerRegistry::start) does, or if `htpasswd` is not installed.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self::start_as(Some((user.to_owned(), password.to_owned())))
    }

    fn start_as(credentials: Option<(String, String)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let port = free_port();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            at("data").display()
        );
        if let Some((user, password)) = &credentials {
            let hashed = Command::new("htpasswd")
                .args(["-Bbn", user, password])
                .output()
                .expect("htpasswd (Debian: apache2-utils)");
            fs::write(at("htpasswd"), hashed.stdout).expect("a file of our own");
            config += &format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                at("htpasswd").display()
            );
        }
        fs::write(at("config.yml"), config).expect("a file of our own");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(at("config.yml"));
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let process = Process::start(&mut command, Signal::KILL).expect("docker-registry is installed");
        wait_until_listening("docker-registry", port);
        Self {
            port,
            credentials,
            _folder: folder,
            _process: process,
        }
    }

    /// Its host, as references have it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The reference to something in it.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host())
    }

    /// Runs `skopeo`, and answers its output.
    ///
    /// # Panics
    ///
    /// If it is not installed or fails.
    #[track_caller]
    pub fn skopeo(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", arguments[0]]);
        if arguments[0] == "copy" {
            command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        } else {
            command.arg("--tls-verify=false");
        }
        if let Some((user, password)) = &self.credentials {
            let option = if arguments[0] == "copy" {
                "--dest-creds"
            } else {
                "--creds"
            };
            command.arg(option).arg(format!("{user}:{password}"));
        }
        let output = command
            .args(&arguments[1..])
            .output()
            .expect("skopeo is installed");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "skopeo {arguments:?}: {told}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Has `skopeo` put an artifact there, and answers its digest.
    #[track_caller]
    pub fn put(&self, name: &str, artifact: &RawArtifact) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let digest = artifact.write(folder.path());
        let source = format!("oci:{}:it", folder.path().display());
        let target = format!("docker://{}", self.reference(name));
        self.skopeo(&["copy", &source, &target]);
        digest
    }
}

impl RawArtifact {
    /// An artifact with this configuration.
    pub fn new(kind: &str, config: &Value) -> Self {
        Self {
            config: (kind.to_owned(), config.to_string().into_bytes()),
            layers: Vec::new(),
        }
    }

    /// An image of one archive.
    pub fn image(files: &[(&str, &[u8])]) -> Self {
        let archive = archive(files);
        let config = json!({
            "architecture": "wasm", "os": "wasip1", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest_of(&archive)] },
        });
        Self::new("application/vnd.oci.image.config.v1+json", &config)
            .layer("application/vnd.oci.image.layer.v1.tar", &archive)
    }

    /// Another part.
    #[must_use]
    pub fn layer(self, kind: &str, content: &[u8]) -> Self {
        self.annotated(kind, content, &Value::Null)
    }

    /// The same, about which something is said.
    #[must_use]
    pub fn annotated(mut self, kind: &str, content: &[u8], annotations: &Value) -> Self {
        self.layers
            .push((kind.to_owned(), content.to_vec(), annotations.clone()));
        self
    }

    /// Writes an image layout, and answers the digest of the manifest.
    fn write(&self, folder: &Path) -> String {
        fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder of our own");
        let keep = |bytes: &[u8]| {
            let digest = digest_of(bytes);
            let path = folder.join("blobs").join(digest.replace(':', "/"));
            fs::write(path, bytes).expect("a file of our own");
            digest
        };
        let describe = |kind: &str, bytes: &[u8], annotations: &Value| {
            let mut described = json!({ "mediaType": kind, "digest": keep(bytes), "size": bytes.len() });
            if !annotations.is_null() {
                described["annotations"] = annotations.clone();
            }
            described
        };
        const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
        let layers = self.layers.iter();
        let layers: Vec<Value> = layers
            .map(|(kind, bytes, annotations)| describe(kind, bytes, annotations))
            .collect();
        let config = describe(&self.config.0, &self.config.1, &Value::Null);
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })
                .to_string();
        let name = json!({ "org.opencontainers.image.ref.name": "it" });
        let listed = describe(MANIFEST, manifest.as_bytes(), &name);
        let index = json!({ "schemaVersion": 2, "manifests": [listed] });
        let write = |name: &str, value: &Value| {
            fs::write(folder.join(name), value.to_string()).expect("a file of our own");
        };
        write("index.json", &index);
        write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }));
        digest_of(manifest.as_bytes())
    }
}

/// `sha256:` and the digits.
pub fn digest_of(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

/// A tar archive, by hand: names are written as they are.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
