//! Real Python programs as components: CPython itself, compiled to WebAssembly by [componentize-py], with the
//! program and its packages inside.
//!
//! ```text
//! program.py + packages from PyPI + WIT of the wasmtime-wasi crate ──componentize-py──► HASH.wasm
//! ```
//!
//! A build takes about twenty seconds and 36 MB, so it is kept in the target folder under the hash of what went
//! in. The environment with componentize-py is kept there too.
//!
//! A program implements the world `wasi:cli/command`: a class `Run` with a method `run`; or it is a
//! [handler](http_handler) of HTTP, or an app of Spin's SDK, which brings its WIT. Modules are frozen at
//! build time, so everything that it uses must be imported at the top, `encodings.idna` among them.
//!
//! [componentize-py]: https://github.com/bytecodealliance/componentize-py

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::guest::workspace;
use crate::outport::shared_folder;

const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const SPIN_SDK: &str = "spin-sdk==5.0.0";
/// Has pip take packages that run on the CPython of componentize-py, which are those without machine code.
pub const PURE: [&str; 5] = [
    "--only-binary=:all:",
    "--platform=any",
    "--implementation=py",
    "--abi=none",
    "--python-version=3.14",
];

/// A version whose apps are of WASI 0.2 alone, and a componentize-py that can build them.
const SPIN_SDK_3: (&str, &str) = ("spin-sdk==3.2.1", "componentize-py==0.13.3");

/// A version whose apps are of a release candidate of WASI 0.3, and a componentize-py that can build them.
const SPIN_SDK_4: (&str, &str) = ("spin-sdk==4.0.0", "componentize-py==0.22.1");

/// The component of the program `tests/programs/NAME.py` with `packages` (`redis==8.1.0`), built if need be.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn component(name: &str, packages: &[&str]) -> PathBuf {
    build(name, COMPONENTIZE_PY, packages, &Wit::of_wasmtime())
}

/// The component of the program `tests/programs/NAME.py` that answers HTTP on WASI 0.2, built if need be: a class
/// `IncomingHandler` with a method `handle`.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn http_handler(name: &str) -> PathBuf {
    build(name, COMPONENTIZE_PY, &[], &Wit::of_wasi_http())
}

/// The app `tests/programs/NAME.py` for Spin's Python SDK, built as its documentation says, if need be.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn spin_app(name: &str) -> PathBuf {
    build(
        name,
        COMPONENTIZE_PY,
        &[SPIN_SDK],
        &Wit::of_spins_sdk("spin:up/http-trigger@4.1.0"),
    )
}

/// Like [`spin_app`], for version 3 of the SDK.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn spin_app_of_sdk_3(name: &str) -> PathBuf {
    let (sdk, componentize) = SPIN_SDK_3;
    build(name, componentize, &[sdk], &Wit::of_spins_sdk("spin-http"))
}

/// Like [`spin_app`], for version 4 of the SDK.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn spin_app_of_sdk_4(name: &str) -> PathBuf {
    let (sdk, componentize) = SPIN_SDK_4;
    build(
        name,
        componentize,
        &[sdk],
        &Wit::of_spins_sdk("spin:up/http-trigger@4.0.0"),
    )
}

/// The component of `docs/guests/python/NAME.py`, or of `tests/programs/NAME.py`, with the guide's modules beside it, built as
/// `docs/guests/python.md` says, if need be: with the guide's WIT, and packages without machine code.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the build fails.
pub fn guide_component(program: &str, packages: &[&str]) -> PathBuf {
    let guide = workspace().join("docs/guests/python");
    let files = [
        workspace().join(program),
        guide.join("guest_loop.py"),
        guide.join("no_tls.py"),
        guide.join("wit/world.wit"),
    ];
    let read = |file: &PathBuf| fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let source: Vec<u8> = files.iter().flat_map(read).collect();
    let (folder, _lock) = locked_folder();
    let component = folder.join(format!(
        "{}.wasm",
        hash(&source, COMPONENTIZE_PY, packages, "guide")
    ));
    if !component.exists() {
        let python = Environment::set_up(&folder, COMPONENTIZE_PY, &[COMPONENTIZE_PY]);
        python.build_guide(&files, packages, &component);
    }
    component
}

fn build(name: &str, componentize: &str, packages: &[&str], wit: &Wit) -> PathBuf {
    let program = workspace().join("tests/programs").join(name).with_extension("py");
    let source = fs::read(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let (folder, _lock) = locked_folder();
    let component = folder.join(format!(
        "{}.wasm",
        hash(&source, componentize, packages, &wit.world)
    ));
    if !component.exists() {
        let python = Environment::set_up(&folder, componentize, &[componentize]);
        python.build(&program, packages, wit, &component);
    }
    component
}

fn hash(source: &[u8], componentize: &str, packages: &[&str], world: &str) -> String {
    let mut hash = Sha256::new();
    for part in [
        source,
        packages.join(" ").as_bytes(),
        componentize.as_bytes(),
        world.as_bytes(),
    ] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(12)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The interfaces that a program is built for.
struct Wit {
    /// None where a package brings them.
    folder: Option<PathBuf>,
    world: String,
}

impl Wit {
    fn of_spins_sdk(world: &str) -> Self {
        Self {
            folder: None,
            world: world.to_owned(),
        }
    }

    /// Those that the wasmtime in our lock file brings.
    fn of_wasmtime() -> Self {
        Self::of(source_of("wasmtime-wasi").join("src/p2/wit"), "cli", "command")
    }

    /// Those of `wasi:http` that it brings.
    fn of_wasi_http() -> Self {
        Self::of(source_of("wasmtime-wasi-http").join("wit"), "http", "proxy")
    }

    fn of(folder: PathBuf, package: &str, world: &str) -> Self {
        let file = folder.join("deps").join(package).with_extension("wit");
        let text = fs::read_to_string(file).expect("wasmtime brings the WIT of WASI");
        let begin = format!("package wasi:{package}@");
        let version = text.lines().find_map(|line| line.strip_prefix(&begin));
        let version = version.expect("the WIT names its package").trim_end_matches(';');
        Self {
            folder: Some(folder),
            world: format!("wasi:{package}/{world}@{version}"),
        }
    }
}

/// Where cargo keeps the sources of a dependency.
fn source_of(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(workspace());
    let metadata: Value = serde_json::from_slice(&run(&mut cargo)).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .expect("a dependency of Outport");
    let manifest = Path::new(
        package["manifest_path"]
            .as_str()
            .expect("a package has a manifest"),
    );
    manifest.parent().expect("a manifest lies in a folder").to_owned()
}

/// A Python interpreter of the machine's own, with `packages` from PyPI. It is kept by `name`.
///
/// # Panics
///
/// If Python 3 with `venv` is missing, or the packages cannot be had.
pub fn interpreter(name: &str, packages: &[&str]) -> PathBuf {
    let (folder, _lock) = locked_folder();
    Environment::set_up(&folder, name, packages).program("python")
}

/// The folder of what is kept, which nobody else writes to meanwhile.
fn locked_folder() -> (PathBuf, File) {
    let folder = shared_folder().join("python");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = File::create(folder.join("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");
    (folder, lock)
}

/// A Python environment.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// That of `packages`, kept in `folder` by its name.
    fn set_up(folder: &Path, name: &str, packages: &[&str]) -> Self {
        let environment = Self {
            folder: folder.join(name),
        };
        let complete = environment.folder.join("complete");
        if !complete.exists() {
            let mut venv = Command::new("python3");
            let missing = "a Python 3 that makes environments: install the package `python3-venv`";
            let status = venv
                .args(["-m", "venv"])
                .arg(&environment.folder)
                .status()
                .expect(missing);
            assert!(status.success(), "no environment without {missing}");
            run(environment.pip().arg("install").args(packages));
            File::create(complete).expect("a file in a folder of our own");
        }
        environment
    }

    fn build(&self, program: &Path, packages: &[&str], wit: &Wit, component: &Path) {
        let work = tempfile::tempdir().expect("a temporary folder");
        let site = work.path().join("site");
        fs::create_dir(&site).expect("a folder in a folder of our own");
        if !packages.is_empty() {
            run(self.pip().args(["install", "--target"]).arg(&site).args(packages));
        }
        fs::copy(program, site.join("program.py")).expect("a file in a folder of our own");
        let built = component.with_extension("part");
        // By the interpreter, since the first line of the script names where the target folder was when it was written.
        let mut componentize = Command::new(self.program("python"));
        componentize.arg(self.program("componentize-py"));
        if let Some(folder) = &wit.folder {
            componentize.arg("-d").arg(folder);
        }
        componentize.args(["-w", &wit.world, "componentize", "program", "-p"]);
        run(componentize
            .arg(&site)
            .arg("-o")
            .arg(&built)
            .current_dir(work.path()));
        fs::rename(built, component).expect("two files in one folder");
    }

    fn build_guide(&self, files: &[PathBuf; 4], packages: &[&str], component: &Path) {
        let [program, event_loop, stand_in, world] = files;
        let work = tempfile::tempdir().expect("a temporary folder");
        for (file, name) in [
            (program, "program.py"),
            (event_loop, "guest_loop.py"),
            (stand_in, "no_tls.py"),
        ] {
            fs::copy(file, work.path().join(name)).expect("a file in a folder of our own");
        }
        let mut pip = self.pip();
        pip.args(["install", "--target", "packages"])
            .args(PURE)
            .args(packages);
        run(pip.current_dir(work.path()));
        let built = component.with_extension("part");
        let mut componentize = Command::new(self.program("python"));
        componentize
            .arg(self.program("componentize-py"))
            .arg("-d")
            .arg(world);
        componentize.args([
            "-w",
            "app",
            "componentize",
            "program",
            "-p",
            ".",
            "-p",
            "packages",
            "-o",
        ]);
        run(componentize.arg(&built).current_dir(work.path()));
        fs::rename(built, component).expect("two files in one folder");
    }

    fn pip(&self) -> Command {
        let mut pip = Command::new(self.program("python"));
        pip.args([
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]);
        pip
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
