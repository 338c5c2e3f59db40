//! The committed guests are what their sources say.
//!
//! Beside each `guests/wasm/NAME.wasm` lies a list of the SHA-256 of every file that it was made of and of itself.
//! Here the list is made anew and compared, so neither can change alone. `guests/build` brings them together again.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use outport_e2e::guest::workspace;
use sha2::{Digest, Sha256};

#[test]
fn every_guest_is_built_from_the_sources_beside_it() {
    let guests = guests();
    assert!(
        guests.contains(&"script-guest".to_owned()),
        "no guests in {}",
        folder().display()
    );
    for guest in guests {
        let list = format!("wasm/{guest}.sources.sha256");
        let committed = fs::read_to_string(folder().join(&list))
            .unwrap_or_else(|error| panic!("{list}: {error}; run `guests/build {guest}`"));
        assert_eq!(
            committed,
            sources_of(&guest),
            "{list} is out of date: run `guests/build {guest}`"
        );
    }
}

#[test]
fn every_built_component_belongs_to_a_guest() {
    let guests = guests();
    for file in files(&folder().join("wasm")) {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name in UTF-8");
        let Some(guest) = name.strip_suffix(".wasm") else {
            continue;
        };
        assert!(
            guests.iter().any(|known| known == guest),
            "{name} has no source in guests/{guest}"
        );
    }
}

/// The folders whose crate is a `cdylib` or a program for `wasm32-wasip2`, or that have a program in C of their name.
fn guests() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the folder of the guests")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| {
            let says = |file: &str, word: &str| {
                fs::read_to_string(path.join(file)).is_ok_and(|text| text.contains(word))
            };
            let is_rust = says("Cargo.toml", "cdylib") || says(".cargo/config.toml", "wasm32-wasip2");
            let name = path.file_name().unwrap_or_default();
            is_rust || path.join(name).with_extension("c").is_file()
        })
        .map(|path| {
            path.file_name()
                .expect("an entry has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// What `sha256sum` prints for the files that decide what a guest is, and for the guest, sorted by path.
fn sources_of(guest: &str) -> String {
    let mut paths = vec![
        folder().join("Cargo.toml"),
        folder().join("Cargo.lock"),
        folder().join(format!("wasm/{guest}.wasm")),
    ];
    for folder in [folder().join(guest), folder().join("shared")] {
        paths.extend(files(&folder).into_iter().filter(|path| is_source(path)));
    }
    // A guest with a lock file of its own is a workspace of its own.
    let own_lock = folder().join(guest).join("Cargo.lock");
    paths.extend(own_lock.exists().then_some(own_lock));
    let mut paths: Vec<String> = paths.iter().map(|path| relative(path)).collect();
    paths.sort();

    let mut list = String::new();
    for path in paths {
        let content = fs::read(folder().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        writeln!(list, "{:x}  {path}", Sha256::digest(content)).expect("a string takes all text");
    }
    list
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["rs", "toml", "wit", "c"]
            .iter()
            .any(|source| extension == *source)
    })
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(folder()).expect("a file of the guests");
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn folder() -> PathBuf {
    workspace().join("guests")
}
