//! What an author of components does: makes an app with `outport new`, builds it with `outport build`, and runs it.
//!
//! ```text
//! outport new TEMPLATE my-app ──► files ──hash──► target/debug/outport-e2e/new/HASH, built if it is not there
//!                                       packages: the caches of npm and pip; compiled crates: one target folder for all
//! ```
//!
//! Building takes a minute for some languages, and fetches packages. So each app is built once, and kept without what the
//! build leaves beside the component. Debian's compiler stands in where the Rust of this machine lacks the target
//! ([`rust_toolchain`]).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, iter};

use serde_json::Value;
use tempfile::TempDir;

use crate::guest::sha256;
use crate::outport::{binary, shared_folder};
use crate::rust_toolchain;

/// The output of `outport ARGUMENTS` in `folder`, with nobody at a terminal.
///
/// # Panics
///
/// If the binary cannot be started.
pub fn outport(folder: &Path, arguments: &[&str]) -> Output {
    of_an_author(&mut Command::new(binary()), folder)
        .args(arguments)
        .output()
        .expect("the binary was found")
}

/// The output of the lines of a shell in `folder`, of which the first that fails is the last. `outport` is the binary, and
/// what takes five minutes is ended.
///
/// # Panics
///
/// If there is no shell.
pub fn shell(folder: &Path, lines: &str) -> Output {
    let others = env::var_os("PATH").unwrap_or_default();
    let own = binary().parent().expect("a program lies in a folder").to_owned();
    let path = env::join_paths(iter::once(own).chain(env::split_paths(&others)));
    of_an_author(&mut Command::new("timeout"), folder)
        .args(["300", "sh", "-ec", lines])
        .env("PATH", path.expect("folders of a PATH make a PATH"))
        .output()
        .expect("every system has a shell")
}

fn of_an_author<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    command
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("XDG_CACHE_HOME", shared_folder())
        .stdin(Stdio::null())
}

/// The commands that a page in Markdown shows as typed, in their order.
pub fn typed_lines(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// The app `my-app` of a template, built: a folder that must not be changed. None where its language has no tools here, which is
/// said; under `CI=true`, where nobody reads along, they have to be there.
///
/// # Panics
///
/// If it cannot be made or built.
pub fn built(template: &str) -> Option<PathBuf> {
    has_tools(template).then(|| {
        let made = TempDir::new().expect("a temporary folder");
        let output = outport(made.path(), &["new", template, "my-app"]);
        assert!(output.status.success(), "{template}: {output:?}");
        built_once(&made.path().join("my-app"))
    })
}

/// The same files, built, in a folder that is kept and must not be changed.
///
/// # Panics
///
/// If they cannot be built.
pub fn built_once(app: &Path) -> PathBuf {
    let all = shared_folder().join("new");
    fs::create_dir_all(&all).expect("the target folder can be written to");
    let folder = all.join(hash_of(app));
    let lock = File::create(folder.with_extension("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");
    let complete = folder.join("complete");
    if !complete.exists() {
        // What a build left that was killed.
        let _ = fs::remove_dir_all(&folder);
        copy(app, &folder);
        build(&folder);
        File::create(complete).expect("a file in a folder of our own");
    }
    folder
}

/// What a build leaves beside the component: hundreds of megabytes.
const BY_PRODUCTS: [&str; 2] = ["node_modules", ".venv"];

/// `outport build`.
fn build(app: &Path) {
    let parts = fs::read_dir(app).expect("a folder of our own").flatten();
    let parts: Vec<PathBuf> = iter::once(app.to_owned())
        .chain(parts.map(|entry| entry.path()))
        .collect();
    let packages = parts.iter().filter(|part| part.join("Cargo.toml").exists());
    let target = SharedTarget::of(packages);
    let mut command = Command::new(binary());
    if target.is_some() {
        rust_toolchain::with_cargo(&mut command);
    }
    let output = of_an_author(&mut command, app).arg("build").output();
    let output = output.expect("the binary was found");
    assert!(
        output.status.success(),
        "{}\n{}{}",
        app.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if let Some(target) = target {
        target.keep(&sources(app));
    }
    for part in &parts {
        for by_product in BY_PRODUCTS {
            let _ = fs::remove_dir_all(part.join(by_product));
        }
    }
}

/// The components that an app is made of.
fn sources(app: &Path) -> Vec<PathBuf> {
    let manifest = fs::read_to_string(app.join("spin.toml")).expect("the app has a manifest");
    let manifest: Value = toml::from_str(&manifest).expect("the manifest is TOML");
    let components = manifest["component"].as_object().expect("the app has components");
    let sources = components.values().map(|component| &component["source"]);
    sources
        .map(|source| app.join(source.as_str().expect("it is a path")))
        .collect()
}

/// The `target` of packages in Rust, which is one folder for all while they are built: what two of them depend on is built
/// once.
struct SharedTarget {
    links: Vec<PathBuf>,
    // Packages have names in common, and so have their components.
    _locked: File,
}

impl SharedTarget {
    /// None, if there are no packages.
    fn of<'p>(packages: impl Iterator<Item = &'p PathBuf>) -> Option<Self> {
        let links: Vec<PathBuf> = packages.map(|package| package.join("target")).collect();
        if links.is_empty() {
            return None;
        }
        let shared = rust_toolchain::target_folder();
        fs::create_dir_all(&shared).expect("the target folder can be written to");
        let lock = File::create(shared.join("new.lock")).expect("a file in a folder of our own");
        lock.lock().expect("a file of our own can be locked");
        for link in &links {
            symlink(&shared, link).expect("a folder of our own");
        }
        Some(Self { links, _locked: lock })
    }

    /// Puts folders with these components alone in the places of the links.
    fn keep(self, components: &[PathBuf]) {
        let is_linked = |path: &&PathBuf| self.links.iter().any(|link| path.starts_with(link));
        let built = components.iter().filter(is_linked);
        let built: Vec<_> = built
            .map(|path| (path, fs::read(path).expect("it was built")))
            .collect();
        for link in &self.links {
            fs::remove_file(link).expect("a link of our own");
        }
        for (path, component) in built {
            write(path, &component);
        }
    }
}

/// True if the tools are there that the language of a template needs. If not, that is said.
///
/// # Panics
///
/// If they are not there under `CI=true`.
pub fn has_tools(template: &str) -> bool {
    let needed: &[&str] = match template.rsplit('-').next() {
        Some("js") => &["node", "npm"],
        _ => &[],
    };
    let missing = needed.iter().find(|tool| {
        let version = Command::new(tool).arg("--version").output();
        !version.is_ok_and(|output| output.status.success())
    });
    let Some(missing) = missing else { return true };
    let nobody_reads_along = env::var("CI").as_deref() == Ok("true");
    assert!(!nobody_reads_along, "{template}: there is no `{missing}`");
    let reason = format!("SKIPPED: {template}: there is no `{missing}`\n");
    io::stderr()
        .write_all(reason.as_bytes())
        .expect("standard error is open");
    false
}

/// The files of a folder by their paths in it.
///
/// # Panics
///
/// If they cannot be read.
pub fn files_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder of the test's own") {
        let path = entry.expect("a folder of the test's own").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("it lies in there").to_owned();
            files.insert(name, fs::read(&path).expect("a file of the test's own"));
        }
    }
}

fn hash_of(app: &Path) -> String {
    let mut all = Vec::new();
    for (path, content) in files_of(app) {
        all.extend_from_slice(path.as_os_str().as_encoded_bytes());
        all.push(0);
        all.extend_from_slice(&content.len().to_le_bytes());
        all.extend_from_slice(&content);
    }
    sha256(&all)
}

fn copy(from: &Path, to: &Path) {
    for (path, content) in files_of(from) {
        write(&to.join(path), &content);
    }
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder of our own");
    fs::write(path, content).expect("a file in a folder of our own");
}
