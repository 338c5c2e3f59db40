//! Apps of Spin's JavaScript SDK as components: SpiderMonkey, compiled to WebAssembly, with the app inside.
//!
//! ```text
//! tests/programs/NAME + packages of npm ──esbuild──► build/bundle.js ──j2w──► build/app.wasm
//! ```
//!
//! The packages take a minute to fetch and a component half a minute to build, so both are kept in the target folder,
//! the component under the hash of what went in. What is done in a build is the app's own: the script `build` of its
//! `package.json`. Where Node.js and npm are missing, or npm cannot reach its registry,
//! there is no component.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::guest::workspace;
use crate::outport::shared_folder;

/// Why there is no component.
#[derive(Debug)]
pub struct NoToolchain(String);

impl std::fmt::Display for NoToolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The app in the folder `tests/programs/NAME`, built as the SDK's documentation says, if need be.
///
/// # Errors
///
/// If the tools are not there and cannot be fetched.
///
/// # Panics
///
/// If the tools are there and the build fails.
pub fn spin_app(name: &str) -> Result<PathBuf, NoToolchain> {
    let sources = workspace().join("tests/programs").join(name);
    let folder = shared_folder().join("javascript").join(name);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = File::create(folder.join("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");

    let component = folder.join(format!("{}.wasm", hash(&sources)));
    if !component.exists() {
        for part in ["src", "wit"] {
            // An earlier build may have left what the program has no more.
            let _ = fs::remove_dir_all(folder.join(part));
        }
        for part in ["src", "wit/deps"] {
            fs::create_dir_all(folder.join(part)).expect("a folder in a folder of our own");
        }
        for file in files(&sources) {
            fs::copy(sources.join(file), folder.join(file)).expect("a file in a folder of our own");
        }
        fetch_packages(&folder)?;
        build(&folder, &component);
    }
    Ok(component)
}

/// What a program consists of: WIT where it imports more than its packages bring.
const FILES: [&str; 5] = [
    "package.json",
    "build.mjs",
    "src/index.js",
    "wit/spin.wit",
    "wit/deps/postgres.wit",
];

fn files(sources: &Path) -> impl Iterator<Item = &'static str> {
    FILES.into_iter().filter(|file| sources.join(file).exists())
}

fn hash(sources: &Path) -> String {
    let mut hash = Sha256::new();
    for file in files(sources) {
        let path = sources.join(file);
        let content = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    hash.finalize()
        .iter()
        .take(12)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Whether Node.js and npm are there.
///
/// # Errors
///
/// If one of them is not.
pub fn tools() -> Result<(), NoToolchain> {
    for tool in ["node", "npm"] {
        let version = Command::new(tool).arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            return Err(NoToolchain(format!("there is no `{tool}`")));
        }
    }
    Ok(())
}

fn fetch_packages(folder: &Path) -> Result<(), NoToolchain> {
    let wanted = fs::read(folder.join("package.json")).expect("a file of our own");
    let fetched = folder.join("node_modules/package.json.fetched");
    if fs::read(&fetched).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    tools()?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ])
    .current_dir(folder);
    let output = npm.output().expect("npm was there a moment ago");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(NoToolchain(format!("npm cannot install the packages: {said}")));
    }
    fs::write(fetched, wanted).expect("a file in a folder of our own");
    Ok(())
}

fn build(folder: &Path, component: &Path) {
    run(Command::new("npm")
        .args(["run", "build", "--silent"])
        .current_dir(folder));
    fs::rename(folder.join("build/app.wasm"), component).expect("two files in one folder");
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
