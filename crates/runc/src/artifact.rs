//! An app in Spin's OCI layout, which is no container image: what lies in containerd has to be brought to the container.
//!
//! containerd (1.7 and later) makes a container of such an image whose root is empty, since none of its layers is an archive
//! of files. The bundle says by an annotation which image it was:
//!
//! ```text
//! io.kubernetes.cri.image-name ─► ctr images export ─► an archive, as a stream ─► BUNDLE/work/outport-image/
//!                                 within a time        within a size,             index.json, blobs/sha256/HEX
//!                                                      three kinds of names
//! ```
//!
//! The directory is an [image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md). It is mounted
//! read-only, and `outport up` in the container compares everything in it with its digests and unpacks it there. Here nobody
//! looks into layers; of the manifest only which types they have, so that what is no app has an event that says so.
//!
//! `work` of a bundle leads to a disk, and containerd removes it together with the bundle.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use tar::EntryType;

use crate::container::Container;
use crate::image::Image;
use crate::programs;
use crate::report::Failure;
use crate::settings::Settings;

/// How long containerd may take.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 60 });

/// Files of an archive. `outport up` reads no more than 2,000 layers.
const MOST_FILES: usize = 4_000;

/// Bytes of an index or a manifest, as `outport up` has it.
const LONGEST: u64 = 4 << 20;

/// What Docker has in the place of an index; some versions of `ctr` write it whether or not it is wanted.
const OF_DOCKER: &str = "manifest.json";

/// The type of the layer that makes an artifact an app.
const SPIN_APP: &str = "application/vnd.fermyon.spin.application.v1+config";

/// An artifact that was brought to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Its name, as containerd has it.
    pub(crate) reference: String,
    /// The directory with its layout.
    pub(crate) layout: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
}

/// Brings an artifact to a container that has no files; none if it has some, or if its image is not known.
pub(crate) fn bring(
    container: &Container,
    image: &Image,
    bundle: &Path,
    settings: &Settings,
) -> Result<Option<Artifact>, Failure> {
    let Some(reference) = container.image_name.clone() else {
        return Ok(None);
    };
    if !image.is_empty()? {
        return Ok(None);
    }
    if !is_a_name(&reference) {
        return Err(Failure::artifact(&reference, "this is no name of an image"));
    }
    let layout = place(bundle)
        .map_err(|error| Failure::artifact(&reference, format_args!("there is no place for it: {error}")))?;
    let brought = export(&reference, &layout, settings).and_then(|()| look_at(&layout, &reference));
    if let Err(error) = brought {
        let _ = fs::remove_dir_all(&layout);
        return Err(error);
    }
    Ok(Some(Artifact { reference, layout }))
}

/// It becomes an argument of other programs, and part of messages.
fn is_a_name(reference: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@_-[]+".contains(&byte);
    reference.len() <= 1_024
        && reference.starts_with(|first: char| first != '-')
        && reference.bytes().all(is_plain)
}

/// A directory that goes with the bundle.
fn place(bundle: &Path) -> io::Result<PathBuf> {
    let work = bundle.join("work");
    let parent = if work.is_dir() {
        work.canonicalize()?
    } else {
        bundle.canonicalize()?
    };
    let layout = parent.join("outport-image");
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o755);
    builder.create(&layout)?;
    builder.recursive(true).create(layout.join("blobs/sha256"))?;
    Ok(layout)
}

/// Has containerd write an image into a directory.
fn export(reference: &str, layout: &Path, settings: &Settings) -> Result<(), Failure> {
    let artifacts = &settings.artifacts;
    let mut child = Command::new(programs::ctr(settings)?)
        .arg("--address")
        .arg(&artifacts.address)
        .arg("--namespace")
        .arg(&artifacts.namespace)
        .args([
            "images",
            "export",
            "--all-platforms",
            "--skip-manifest-json",
            "-",
            reference,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::artifact(reference, format_args!("`ctr` cannot be started: {error}")))?;
    let unpacked = unpack_in_time(&mut child, layout, artifacts.max_bytes);
    if unpacked.is_err() {
        // Nothing more is wanted of it.
        let _ = child.kill();
    }
    let is_done = child.wait().is_ok_and(|status| status.success());
    let problem = match unpacked {
        Ok(_) if is_done => return Ok(()),
        Ok(said) => format!("`ctr` says: {}", last_words(&said)),
        Err(why) => why,
    };
    Err(Failure::artifact(reference, problem))
}

/// `ctr: image "x": not found`, without its own name.
fn last_words(said: &str) -> String {
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.unwrap_or("nothing");
    outport_policy::text::begin(format_args!("{}", last.strip_prefix("ctr: ").unwrap_or(last)))
}

/// Unpacks what a program writes, and answers what it said until its end.
fn unpack_in_time(child: &mut Child, layout: &Path, most: u64) -> Result<String, String> {
    let (Some(stream), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("`ctr` has no output".to_owned());
    };
    let (answer, answered) = channel();
    let layout = layout.to_owned();
    thread::spawn(move || {
        let unpacked = unpack(stream, &layout, most);
        // What it says fits into a pipe while its output is read. One that was refused is not waited for.
        let mut said = Vec::new();
        if unpacked.is_ok() {
            let _ = errors.take(4_096).read_to_end(&mut said);
        }
        let _ = answer.send(unpacked.map(|()| String::from_utf8_lossy(&said).into_owned()));
    });
    answered.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let seconds = PATIENCE.as_secs();
        Err(format!("containerd takes longer than {seconds} s"))
    })
}

/// Writes an archive into a directory: the files of a layout, and nothing else. One that ends too early is none of its
/// concern, since whoever wrote it says why.
fn unpack(stream: impl Read, layout: &Path, most: u64) -> Result<(), String> {
    let too_large = || {
        format!(
            "it has more than {} MiB, which is the most that this node has for one",
            most >> 20
        )
    };
    let mut archive = tar::Archive::new(BufReader::new(stream));
    let mut left = most;
    let Ok(entries) = archive.entries() else {
        return Ok(());
    };
    for (number, entry) in entries.enumerate() {
        let Ok(entry) = entry else { break };
        if number >= MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = entry.header().entry_type() == EntryType::Regular;
        let is_directory = entry.header().entry_type() == EntryType::Directory;
        if is_directory && matches!(name.trim_end_matches('/'), "blobs" | "blobs/sha256") {
            continue;
        }
        if !is_file || !(is_of_a_layout(&name) || name == OF_DOCKER) {
            let name = outport_policy::text::quote(&name).to_string();
            return Err(format!("its archive has something else than a layout: `{name}`"));
        }
        left = left.checked_sub(entry.size()).ok_or_else(too_large)?;
        if name == OF_DOCKER {
            continue;
        }
        write(entry, &layout.join(&name)).map_err(|error| format!("it cannot be written: {error}"))?;
    }
    let _ = io::copy(&mut archive.into_inner().take(LONGEST), &mut io::sink());
    Ok(())
}

/// Writes a file that everybody may read: the container's user is nobody in particular.
fn write(mut content: impl Read, path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    io::copy(&mut content, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

fn is_of_a_layout(name: &str) -> bool {
    let blob = name.strip_prefix("blobs/sha256/");
    matches!(name, "index.json" | "oci-layout") || blob.is_some_and(is_hex)
}

fn is_hex(digits: &str) -> bool {
    digits.len() == 64
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Is it an app, with all its parts? Digests are compared by who uses it.
fn look_at(layout: &Path, reference: &str) -> Result<(), Failure> {
    let failure = |problem: &str| Failure::artifact(reference, problem);
    let index: Index =
        read(&layout.join("index.json")).map_err(|why| failure(&format!("its index {why}")))?;
    let [first] = index.manifests.as_slice() else {
        return Err(failure("it is not one artifact"));
    };
    let manifest: Manifest = read(&blob(layout, first).map_err(|why| failure(&why))?)
        .map_err(|why| failure(&format!("its manifest {why}")))?;
    let types = manifest
        .layers
        .iter()
        .chain(&manifest.config)
        .map(|part| part.media_type.as_str());
    if !types.clone().any(|kind| kind == SPIN_APP) {
        let mut types: Vec<&str> = types.collect();
        types.sort_unstable();
        types.dedup();
        return Err(Failure::NoAppArtifact {
            reference: reference.to_owned(),
            types: types.join(", "),
        });
    }
    for part in &manifest.layers {
        let there = fs::metadata(blob(layout, part).map_err(|why| failure(&why))?);
        if !there.is_ok_and(|there| there.len() == part.size) {
            let digest = outport_policy::text::quote(&part.digest).to_string();
            return Err(failure(&format!(
                "its layer {digest} is missing, or has another size than its manifest says"
            )));
        }
    }
    Ok(())
}

fn blob(layout: &Path, part: &Descriptor) -> Result<PathBuf, String> {
    let hex = part.digest.strip_prefix("sha256:").filter(|hex| is_hex(hex));
    let hex = hex.ok_or_else(|| {
        format!(
            "`{}` is no digest that is known",
            outport_policy::text::quote(&part.digest)
        )
    })?;
    Ok(layout.join("blobs/sha256").join(hex))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot be read: {error}");
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("is longer than {} MiB", LONGEST >> 20));
    }
    serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))
}
