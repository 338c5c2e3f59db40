//! Rust programs as components: `cargo build --target wasm32-wasip2 --release`, the very command that users type.
//!
//! ```text
//! rustup's target there? ── yes ──► the compiler that everything is built with
//!                        └─ no ───► guests/toolchain, once: Debian's compiler, with std and linker for the target
//! ```
//!
//! Debian's takes 140 MB and some minutes the first time, and is kept in the target folder, or in the folder that
//! `OUTPORT_GUEST_TOOLCHAIN` names. Programs have a target folder in common, so what two of them depend on is built once.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, str};

use crate::guest::workspace;
use crate::outport::shared_folder;

/// The triple of a component of WASI 0.2 with the standard library.
pub const TARGET: &str = "wasm32-wasip2";

/// Cargo, with a compiler that has [`TARGET`]: what a user has after `rustup target add wasm32-wasip2`. Where it runs is the
/// caller's business, and so is its target folder (`target` in the package, unless said otherwise).
///
/// # Panics
///
/// If there is no such compiler and none can be had.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    of_a_terminal(&mut cargo);
    if let Some(rustc) = DEBIANS_COMPILER.as_ref() {
        cargo.env("RUSTC", rustc);
    }
    cargo
}

/// Gives `command`, which will run `cargo` itself (a build command of a manifest, a script), the environment of [`cargo`].
///
/// # Panics
///
/// If there is no such compiler and none can be had.
pub fn with_cargo(command: &mut Command) -> &mut Command {
    of_a_terminal(command);
    if let Some(rustc) = DEBIANS_COMPILER.as_ref() {
        command.env("RUSTC", rustc);
    }
    let cargo = Path::new(env!("CARGO"))
        .parent()
        .expect("a program lies in a folder");
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([cargo.to_owned()].into_iter().chain(env::split_paths(&others)));
    command.env("PATH", path.expect("folders of a PATH make a PATH"))
}

/// The component `NAME.wasm` that the package in `folder` makes, built if need be.
///
/// # Panics
///
/// If the build fails.
pub fn component(folder: &Path, name: &str) -> PathBuf {
    let target = target_folder();
    run(cargo()
        .args(["build", "--quiet", "--locked", "--target", TARGET, "--release"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target));
    target
        .join(TARGET)
        .join("release")
        .join(name)
        .with_extension("wasm")
}

/// The same package as a program of this machine: what a component is compared with. In the same profile, so that macros and
/// build scripts are those that the component was built with.
///
/// # Panics
///
/// If the build fails.
pub fn native(folder: &Path, name: &str) -> PathBuf {
    let target = target_folder();
    let mut cargo = Command::new(env!("CARGO"));
    run(of_a_terminal(&mut cargo)
        .args(["build", "--quiet", "--locked", "--release"])
        .current_dir(folder)
        // Not by rustup, which heeds a `rust-toolchain` file in the folder of a package.
        .env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc"))
        .env("CARGO_TARGET_DIR", &target));
    target.join("release").join(name)
}

/// The target folder of all programs.
pub(crate) fn target_folder() -> PathBuf {
    shared_folder().join("rust")
}

/// None where the compiler has the target. Else the toolchain is made, by one process for all.
static DEBIANS_COMPILER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    if has_target() {
        return None;
    }
    let folder = env::var_os("OUTPORT_GUEST_TOOLCHAIN")
        .map_or_else(|| shared_folder().join("rust-toolchain"), PathBuf::from);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = File::create(folder.join("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");
    let mut toolchain = Command::new(workspace().join("guests/toolchain"));
    run(of_a_terminal(&mut toolchain).arg(&folder).current_dir(&folder));
    Some(folder.join("bin/rustc"))
});

fn has_target() -> bool {
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    output.is_ok_and(|output| {
        output.status.success()
            && str::from_utf8(&output.stdout).is_ok_and(|path| Path::new(path.trim()).is_dir())
    })
}

/// Takes what the cargo that runs the tests has set for them out of the environment.
fn of_a_terminal(command: &mut Command) -> &mut Command {
    const KEPT: [&str; 2] = ["CARGO_HOME", "CARGO_NET_OFFLINE"];
    for (name, _) in env::vars_os() {
        let is_cargos = name.to_str().is_some_and(|name| {
            ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS"]
                .iter()
                .any(|word| name.starts_with(word))
        });
        if is_cargos && !KEPT.map(OsStr::new).contains(&name.as_os_str()) {
            command.env_remove(name);
        }
    }
    command
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
