//! Programs without shared libraries, which run in a container that has nothing else.
//!
//! Each is the program of the tests, linked once more: of what it is made of only the crate with `main` is compiled again, by
//! Cargo, into a folder beside that one. Should the dependencies be built for the whole workspace, they are these.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::guest::workspace;
use crate::outport::profile_folder;

/// The path of the program. It is made when it is first asked for.
///
/// # Panics
///
/// If it cannot be made.
pub fn static_outport() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| static_program("outport", "outport"))
}

/// Makes a program of a package of the workspace, and answers its path.
///
/// # Panics
///
/// If it cannot be made.
pub fn static_program(package: &str, program: &str) -> PathBuf {
    let profile = profile_folder();
    let target = profile.parent().expect("the target folder");
    let name = profile
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a profile");
    let folder = target.join("static");
    let mut cargo = Command::new(env!("CARGO"));
    // What Cargo has told this program of its own package would be a change to those that build `ring`, and so to nearly all of
    // what is linked.
    let of_this_package = std::env::vars_os().map(|(name, _)| name);
    for name in of_this_package.filter(|name| is_of_a_package(name)) {
        cargo.env_remove(name);
    }
    cargo
        .current_dir(workspace())
        // Dependencies have the features that the whole workspace asks for, as where the tests were built; with those of
        // this crate alone all of them would be built again. Cargo can be asked for that, not yet in stable releases.
        .env("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly")
        .args([
            "-Zfeature-unification",
            "--config",
            "resolver.feature-unification=\"workspace\"",
        ])
        .arg("--config")
        .arg(format!("build.build-dir='{}'", target.display()))
        .args(["rustc", "--profile", if name == "debug" { "dev" } else { name }])
        .args(["--quiet", "--package", package, "--bin", program, "--target-dir"])
        .arg(&folder)
        .args(["--", "-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    let output = cargo.output().expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{cargo:?}\n{said}");
    folder.join(name).join(program)
}

fn is_of_a_package(name: &OsStr) -> bool {
    let kinds = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
    kinds
        .iter()
        .any(|kind| name.as_encoded_bytes().starts_with(kind.as_bytes()))
}
