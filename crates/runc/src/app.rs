//! Is this container an app, and where is its manifest?
//!
//! | looked at, in this order | then |
//! | --- | --- |
//! | the first argument, if it ends in `.toml` or is a directory with a `spin.toml` | that is the manifest; arguments behind it are options of `outport up` |
//! | `/spin.toml` | that is the manifest; arguments are not looked at, as SpinKube's images have all kinds |
//! | the first argument, if it is a file, or one of the PATH | an ordinary container: a sidecar, which is runc's alone |
//! | `spin.toml` in the working directory | that is the manifest |
//! | nothing of this | a failure: the image is neither |
//!
//! A pod's sandbox was left alone before. What lies at these paths and is no file, a pipe or a link to the outside, is never
//! opened, and a manifest that is none is a failure and no sidecar.

use std::fs;
use std::path::{Path, PathBuf};

use crate::container::Container;
use crate::image::{Entry, Image, cleaned};
use crate::report::Failure;

/// The name of a manifest.
const NAME: &str = "spin.toml";

/// Manifests are kilobytes. One that is longer is not read, since this is done as root.
const LONGEST: u64 = 1 << 20;

/// Directories of a PATH.
const MOST_FOLDERS: usize = 200;

/// What a container is.
#[derive(Debug)]
pub(crate) enum Found {
    App(AppManifest),
    /// One with a program of its own.
    Program(String),
}

/// A manifest in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppManifest {
    /// Its path in the container.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Options of `outport up` that the pod has.
    pub(crate) options: Vec<String>,
}

/// Finds out what a container is.
pub(crate) fn find(container: &Container, image: &Image) -> Result<Found, Failure> {
    let first = container.arguments.first().map(String::as_str);
    if let Some(named) = first.filter(|first| !first.is_empty()) {
        let named = container.directory.join(named);
        let candidate = match image.look(&named)? {
            Entry::Directory => Some(named.join(NAME)),
            _ if named.extension().is_some_and(|extension| extension == "toml") => Some(named),
            _ => None,
        };
        if let Some(mut app) = candidate.map(|path| read(&path, image)).transpose()?.flatten() {
            app.options = container.arguments[1..].to_vec();
            return Ok(Found::App(app));
        }
    }
    if let Some(app) = read(&Path::new("/").join(NAME), image)? {
        return Ok(Found::App(app));
    }
    if let Some(program) = program(container, image)? {
        return Ok(Found::Program(program));
    }
    let beside = container.directory.join(NAME);
    match read(&beside, image)? {
        Some(app) => Ok(Found::App(app)),
        None => Err(Failure::NoManifest {
            looked_at: if beside == Path::new("/").join(NAME) {
                "`/spin.toml`".to_owned()
            } else {
                format!("`/spin.toml` or `{}`", outport_policy::text::path(&beside))
            },
            program: first.unwrap_or_default().to_owned(),
        }),
    }
}

/// Reads a manifest, if there is something at its path.
fn read(path: &Path, image: &Image) -> Result<Option<AppManifest>, Failure> {
    let path = cleaned(path);
    let failure = |problem: String| Failure::UnreadableManifest {
        path: path.clone(),
        problem,
    };
    let content = match image.look(&path)? {
        Entry::Missing => return Ok(None),
        Entry::Directory => return Err(failure("it is a directory".to_owned())),
        Entry::Other(what) => return Err(failure(format!("it is {what}"))),
        Entry::File(content) => content
            .within(LONGEST)
            .map_err(|error| failure(error.to_string()))?,
    };
    let content = content.ok_or_else(|| failure(format!("it is longer than {} MiB", LONGEST >> 20)))?;
    let text = String::from_utf8(content).map_err(|_| failure("it is not UTF-8 text".to_owned()))?;
    Ok(Some(AppManifest {
        path,
        text,
        options: Vec::new(),
    }))
}

/// The first argument, if it is a program of the image that this node can run.
fn program(container: &Container, image: &Image) -> Result<Option<String>, Failure> {
    let Some(first) = container.arguments.first().filter(|first| !first.is_empty()) else {
        return Ok(None);
    };
    let candidates: Vec<PathBuf> = if first.contains('/') {
        vec![container.directory.join(first)]
    } else {
        let path = container
            .environment
            .iter()
            .rev()
            .find(|(name, _)| name == "PATH");
        let path = path.map_or(
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            |(_, value)| value,
        );
        path.split(':')
            .take(MOST_FOLDERS)
            .map(|folder| container.directory.join(folder).join(first))
            .collect()
    };
    for candidate in candidates {
        if let Entry::File(content) = image.look(&candidate)? {
            let beginning = content.beginning(20).map_err(|error| Failure::Image {
                path: candidate,
                error,
            })?;
            if beginning.starts_with(b"\0asm") {
                return Err(Failure::WasmCommand {
                    program: first.clone(),
                });
            }
            return match machine(&beginning).filter(|machine| !runs_here(*machine)) {
                Some(machine) => Err(Failure::ForeignProgram {
                    program: first.clone(),
                    machine: machine_name(machine),
                    node: std::env::consts::ARCH,
                }),
                None => Ok(Some(first.clone())),
            };
        }
    }
    Ok(None)
}

/// The machine that an ELF file is for, by its header.
pub(crate) fn machine(header: &[u8]) -> Option<u16> {
    let bytes = [*header.get(18)?, *header.get(19)?];
    let is_big_endian = header[5] == 2;
    header.starts_with(b"\x7fELF").then(|| {
        if is_big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    })
}

/// A name for a machine of ELF, of those that images are made for.
pub(crate) fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "i386",
        21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}

/// True if the node can run programs for a machine, or may be able to: by its processor, or by an emulator that is
/// registered (binfmt_misc).
fn runs_here(machine: u16) -> bool {
    let own: &[u16] = match std::env::consts::ARCH {
        "x86_64" => &[62, 3],
        "aarch64" => &[183, 40],
        _ => return true,
    };
    own.contains(&machine) || has_emulators()
}

fn has_emulators() -> bool {
    fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|entries| {
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names
            .into_iter()
            .any(|name| name != "register" && name != "status")
    })
}
