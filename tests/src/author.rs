//! What an author of components does: makes an app with `outport new`, builds it, and runs it.
//!
//! Building takes a minute for some languages, and fetches packages. So each app is built once, in a folder that is kept under
//! the hash of all that `outport new` wrote; of the packages themselves nothing is kept. What is done is what the manifest
//! says, the commands under `[component.ID.build]`, by a shell in the `workdir` there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
    Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("XDG_CACHE_HOME", shared_folder())
        .stdin(Stdio::null())
        .output()
        .expect("the binary was found")
}

/// The app `my-app` of a template, built: a folder that must not be changed. None where its language has no tools here, which is
/// said; under CI they have to be there.
///
/// # Panics
///
/// If it cannot be made or built.
pub fn built(template: &str) -> Option<PathBuf> {
    if let Some(missing) = missing_tool(template) {
        let reason = format!("SKIPPED: {template}: there is no `{missing}`\n");
        io::stderr()
            .write_all(reason.as_bytes())
            .expect("standard error is open");
        return None;
    }
    let made = TempDir::new().expect("a temporary folder");
    let output = outport(made.path(), &["new", template, "my-app"]);
    assert!(output.status.success(), "{template}: {output:?}");
    let app = made.path().join("my-app");
    let all = shared_folder().join("new");
    fs::create_dir_all(&all).expect("the target folder can be written to");
    let folder = all.join(hash_of(&app));
    let lock = File::create(folder.with_extension("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");
    let complete = folder.join("complete");
    if !complete.exists() {
        // What a build left that was killed.
        let _ = fs::remove_dir_all(&folder);
        copy(&app, &folder);
        build(&folder);
        for by_product in BY_PRODUCTS {
            let _ = fs::remove_dir_all(folder.join(by_product));
        }
        File::create(complete).expect("a file in a folder of our own");
    }
    Some(folder)
}

/// What a build leaves beside the component: hundreds of megabytes.
const BY_PRODUCTS: [&str; 5] = [
    "node_modules",
    ".venv",
    "target/release",
    "target/wasm32-wasip2/release/build",
    "target/wasm32-wasip2/release/deps",
];

/// Runs the build commands of the app's manifest, component by component.
///
/// # Panics
///
/// If one of them fails.
pub fn build(app: &Path) {
    let manifest = fs::read_to_string(app.join("spin.toml")).expect("the app has a manifest");
    let manifest: Value = toml::from_str(&manifest).expect("the manifest is TOML");
    let components = manifest["component"].as_object().expect("the app has components");
    for component in components.values() {
        let build = &component["build"];
        let folder = build["workdir"]
            .as_str()
            .map_or(app.to_owned(), |below| app.join(below));
        let commands = match &build["command"] {
            Value::Array(commands) => commands.clone(),
            command => vec![command.clone()],
        };
        for command in commands {
            run(command.as_str().expect("a command is text"), &folder);
        }
    }
}

fn run(line: &str, folder: &Path) {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder);
    if line.starts_with("cargo ") {
        rust_toolchain::with_cargo(&mut shell);
    }
    let output = shell.output().expect("there is a shell");
    assert!(
        output.status.success(),
        "{line}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The tool that the language of a template needs, if it is not there.
fn missing_tool(template: &str) -> Option<&'static str> {
    let needed: &[&str] = match template.rsplit('-').next() {
        Some("js") => &["node", "npm"],
        _ => &[],
    };
    needed.iter().copied().find(|tool| {
        let version = Command::new(tool).arg("--version").output();
        !version.is_ok_and(|output| output.status.success())
    })
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
        let path = to.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder of our own");
        fs::write(path, content).expect("a file in a folder of our own");
    }
}
