//! What `outport --version --verbose` says of how the program was built, as far as only a build knows.
//!
//! | variable | value |
//! | --- | --- |
//! | `OUTPORT_BUILT_COMMIT` | the last commit of the sources, or nothing |
//! | `OUTPORT_BUILT_TARGET` | `x86_64-unknown-linux-gnu` |
//! | `OUTPORT_BUILT_PROFILE` | `dist`, `release`, `dev` |
//! | `OUTPORT_BUILT_RUSTC` | `1.95.0 (59807616e 2026-04-14)` |
//!
//! There is no time in it, nor anything of the machine: the same sources give the same program. The commit is that of the
//! package from which it is built, or of the repository that the sources are in, if it is this project's. A program for
//! development has none, so that a commit builds nothing anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let commit = match variable("PROFILE").as_str() {
        "release" => commit(&folder).unwrap_or_default(),
        _ => String::new(),
    };
    let rustc = said(Command::new(variable("RUSTC")).arg("--version")).unwrap_or_default();
    for (name, value) in [
        ("COMMIT", commit.as_str()),
        ("TARGET", &variable("TARGET")),
        ("PROFILE", &profile(Path::new(&variable("OUT_DIR")))),
        ("RUSTC", rustc.trim_start_matches("rustc ")),
    ] {
        println!("cargo:rustc-env=OUTPORT_BUILT_{name}={value}");
    }
}

/// The last commit: of a package as cargo notes it there, of a repository as git knows it.
fn commit(folder: &Path) -> Option<String> {
    if let Ok(noted) = fs::read_to_string(folder.join(".cargo_vcs_info.json")) {
        let (_, behind) = noted.split_once("\"sha1\":")?;
        return behind
            .split('"')
            .nth(1)
            .map(str::to_owned)
            .filter(|text| is_commit(text));
    }
    let git = |words: &[&str]| said(Command::new("git").arg("-C").arg(folder).args(words));
    let root = folder.join("../..").canonicalize().ok()?;
    // Sources that were put into the repository of something else have no commit of their own.
    if Path::new(&git(&["rev-parse", "--show-toplevel"])?)
        .canonicalize()
        .ok()?
        != root
    {
        return None;
    }
    // Each commit, checkout and reset writes a line there.
    for path in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", path])?;
        println!("cargo:rerun-if-changed={}", folder.join(path).display());
    }
    git(&["rev-parse", "HEAD"]).filter(|text| is_commit(text))
}

fn is_commit(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The line that a program prints, if it is there and has nothing to complain about.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

/// The name of the profile, which cargo tells by the folder alone: `TARGET/PROFILE/build/outport-…/out`.
fn profile(out: &Path) -> String {
    let folder = out.ancestors().nth(3).and_then(Path::file_name);
    let name = folder.map(|name| name.to_string_lossy().into_owned());
    match name.as_deref() {
        // As `--profile` calls it.
        Some("debug") => "dev".to_owned(),
        _ => name.unwrap_or_default(),
    }
}
