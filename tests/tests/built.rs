//! `outport --version --verbose`: what was built in, and how a build knows its commit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use outport_e2e::guest::workspace;
use outport_e2e::outport::Outport;

#[test]
fn the_version_is_a_line_and_with_verbose_all_that_was_built_in() {
    let short = Outport::command("--version").finish().expect_code(0);
    assert_eq!(short.stdout, concat!("outport ", env!("CARGO_PKG_VERSION"), "\n"));
    let long = Outport::command("--version")
        .option("--verbose")
        .finish()
        .expect_code(0);
    let names: Vec<&str> = long
        .stdout
        .lines()
        .skip(1)
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        names,
        [
            "commit",
            "target",
            "profile",
            "rustc",
            "wasmtime",
            "wasi",
            "interfaces",
            "crypto",
            "allocator"
        ],
        "{long}"
    );
    assert!(long.stdout.starts_with(&short.stdout), "{long}");
    for words in [&["-Vv"][..], &["-v", "-V"], &["-vV"], &["-v", "up", "--version"]] {
        let (command, options) = words.split_first().unwrap();
        let same = Outport::command(command)
            .options(options.iter().copied())
            .finish()
            .expect_code(0);
        assert_eq!(same.stdout, long.stdout, "{words:?}");
    }
}

fn git(folder: &Path, words: &[&str]) -> String {
    let identity = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@a.test",
        "-c",
        "commit.gpgsign=false",
    ];
    let mut git = Command::new("git");
    let output = git
        .arg("-C")
        .arg(folder)
        .args(identity)
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The build script by itself, in folders of a repository, of a package, and of neither.
#[test]
fn a_build_knows_the_commit_of_its_own_sources_and_of_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("build");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let source = workspace().join("crates/cli/build.rs");
    let built = Command::new(&rustc)
        .args(["--edition=2024", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    assert!(built.unwrap().success());
    let run = |sources: &Path, profile: &str| {
        let output = Command::new(&program)
            .env("CARGO_MANIFEST_DIR", sources)
            .env("PROFILE", profile)
            .env("TARGET", "x86_64-unknown-linux-gnu")
            .env("OUT_DIR", "/target/dist/build/outport-1/out")
            .env("RUSTC", &rustc)
            .env("GIT_CEILING_DIRECTORIES", folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let commit = |said: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("cargo:rustc-env=OUTPORT_BUILT_COMMIT="));
        line.unwrap().to_owned()
    };
    let sources = |root: &Path| {
        let sources = root.join("crates/cli");
        fs::create_dir_all(&sources).unwrap();
        sources
    };
    let own = folder.path().join("own");
    let of_own = sources(&own);
    fs::write(own.join("a"), "a").unwrap();
    git(&own, &["init", "--quiet"]);
    git(&own, &["add", "."]);
    git(&own, &["commit", "--quiet", "--message=a"]);
    let head = git(&own, &["rev-parse", "HEAD"]);
    let said = run(&of_own, "release");
    assert_eq!(commit(&said), head);
    assert!(said.contains("OUTPORT_BUILT_PROFILE=dist\n"), "{said}");
    assert!(said.contains("logs/HEAD\n"), "{said}");
    // Development is not slowed down by commits.
    let said = run(&of_own, "debug");
    assert_eq!(commit(&said), "");
    assert!(!said.contains("logs/HEAD"), "{said}");
    // Put into the repository of something else, and into none.
    let other = sources(&own.join("vendor/outport"));
    assert_eq!(commit(&run(&other, "release")), "");
    let none = sources(&folder.path().join("none"));
    assert_eq!(commit(&run(&none, "release")), "");
    // As cargo packs it.
    let noted = "0123456789012345678901234567890123456789";
    let note =
        format!("{{\n  \"git\": {{\n    \"sha1\": \"{noted}\"\n  }},\n  \"path_in_vcs\": \"crates/cli\"\n}}");
    fs::write(none.join(".cargo_vcs_info.json"), note).unwrap();
    assert_eq!(commit(&run(&none, "release")), noted);
}
