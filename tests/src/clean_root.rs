//! A Debian system with next to nothing on it, to install a package into.
//!
//! [`CleanRoot::new`] unpacks one into a folder of the test's own. It comes from the mirror that mmdebstrap(1) asks, once:
//! after that it lies in the target folder, since what is on a stable release hardly changes. It is of the release that
//! this machine runs, so that a program that was built here finds the C library that it wants.
//!
//! What runs in it, by [`CleanRoot::shell`], sees no process, mount or network but its own. There is no init: what a
//! maintainer script does where systemd runs is not done. Only root can make all this; others get none, which fails where
//! nobody reads along.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::outport::shared_folder;

/// What is on it beside what every Debian system must have.
const PACKAGES: &str = "systemd,procps,man-db";

/// The system. It goes when this is dropped.
#[derive(Debug)]
pub struct CleanRoot {
    folder: TempDir,
}

impl CleanRoot {
    /// A new one; none, after it said why, for whoever is not root.
    ///
    /// # Panics
    ///
    /// If it cannot be made, or under `CI=true` if nobody but root could.
    pub fn new() -> Option<Self> {
        if !geteuid().is_root() {
            let nobody_reads_along = env::var("CI").as_deref() == Ok("true");
            assert!(!nobody_reads_along, "a clean root needs root");
            eprintln!("SKIPPED, since a clean root needs root");
            return None;
        }
        let archive = archive();
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(Command::new("tar")
            .args(["--extract", "--numeric-owner", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(folder.path()));
        Some(Self { folder })
    }

    /// A path in it, as others see it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    /// What a script of sh(1) wrote to both outputs, if it succeeded.
    ///
    /// # Panics
    ///
    /// If it failed.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let outside = "set -e; ip link set lo up; mount -t proc proc \"$1/proc\"; mount -t tmpfs tmpfs \"$1/run\"; \
                       exec chroot \"$1\" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 sh -ec \"$2\" 2>&1";
        run(Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                outside,
                "sh",
            ])
            .arg(self.folder.path())
            .arg(script))
    }

    /// The paths of all files and folders but those that the system writes for itself.
    pub fn files(&self) -> Vec<String> {
        let own = "-path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./var/cache/man \
                   -o -path ./var/lib/dpkg -o -path ./var/log -o -name '*-' -path './etc/*'";
        let found = self.shell(&format!("cd /; find . \\( {own} \\) -prune -o -print | sort"));
        found.lines().map(str::to_owned).collect()
    }
}

/// The file that the system is unpacked from.
fn archive() -> PathBuf {
    let release = fs::read_to_string("/etc/os-release").expect("/etc/os-release");
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.expect("the name of the release").trim_matches('"');
    let archive = shared_folder().join(format!("clean-root-{suite}-{}.tar", PACKAGES.replace(',', "-")));
    if !archive.exists() {
        provide(suite, &archive);
    }
    archive
}

/// Makes the file from the mirror.
fn provide(suite: &str, archive: &Path) {
    let unfinished = archive.with_extension(format!("{}.tar", std::process::id()));
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase", "--include", PACKAGES, suite])
        .arg(&unfinished));
    fs::rename(&unfinished, archive).expect("a file in the target folder can get another name");
}

/// What a program wrote to standard output.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{said}\n{complained}");
    said.into_owned()
}
