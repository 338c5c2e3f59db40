//! `outport check` of an app with 10,000 entries under an operator who denies 10,000: every entry is held against every
//! other of its list and against the deny list. Each list is a third names, a third wildcards and a third networks, and
//! every tenth entry meets one of the other list.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::contestants::{OUTPORT, Programs};
use crate::samples::Unit;
use crate::table::Table;

const ENTRIES: usize = 10_000;

pub(crate) fn check(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("check", "`outport check`", OUTPORT);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (what, entries) in [
        ("1 entry, 1 denied", 1),
        ("10,000 entries, 10,000 denied", ENTRIES),
    ] {
        write(folder.path(), entries);
        for _ in 0..repetitions {
            let (time, memory) = run(&programs.outport, folder.path());
            let row = format!("{what}, time");
            table.add(&row, Unit::Milliseconds, OUTPORT, time.as_secs_f64() * 1e3);
            table.add(&format!("{what}, memory"), Unit::Mebibytes, OUTPORT, memory);
        }
    }
    table
}

/// The app and the operator's settings.
fn write(folder: &Path, entries: usize) {
    let list = |kind| {
        let entries: Vec<String> = (0..entries).map(|n| format!("\"{}\"", entry(n, kind))).collect();
        entries.join(", ")
    };
    let app = format!(
        "spin_manifest_version = 2\n[application]\nname = \"bench\"\n[[trigger.command]]\ncomponent = \"script-guest\"\n\
         [component.script-guest]\nsource = \"{}\"\nallowed_outbound_hosts = [{}]\n",
        outport_e2e::guest::path("script-guest").display(),
        list(Kind::Allowed)
    );
    let operator = format!(
        "[outbound_networking]\ndisallowed_outbound_hosts = [{}]\n",
        list(Kind::Denied)
    );
    fs::write(folder.join("spin.toml"), app).expect("a file in a folder of our own");
    fs::write(folder.join("operator.toml"), operator).expect("a file in a folder of our own");
}

#[derive(Clone, Copy)]
enum Kind {
    Allowed,
    Denied,
}

fn entry(n: usize, kind: Kind) -> String {
    let port = 1024 + n % 50_000;
    let (zone, networks) = match kind {
        _ if n.is_multiple_of(10) => ("shared", 0x0B00_0000),
        Kind::Allowed => ("allowed", 0x0B00_0000),
        Kind::Denied => ("denied", 0x4B00_0000),
    };
    match n % 3 {
        0 => format!("*://host{n}.{zone}.example:{port}"),
        1 => format!("*://*.host{n}.{zone}.example:{port}"),
        _ => format!("*://{}/24:{port}", Ipv4Addr::from(networks + ((n as u32) << 8))),
    }
}

/// How long it took, and the most mebibytes that were resident.
fn run(outport: &Path, folder: &Path) -> (Duration, f64) {
    let begun = Instant::now();
    let mut child = Command::new(outport)
        .args(["check", "-q", "--runtime-config-file"])
        .arg(folder.join("operator.toml"))
        .arg("-f")
        .arg(folder.join("spin.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", outport.display()));
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    // The kernel forgets the process with its end, so that is looked at until then.
    while child
        .try_wait()
        .expect("a child of ours can be waited for")
        .is_none()
    {
        most = most.max(peak(&status));
        thread::sleep(Duration::from_micros(500));
    }
    (begun.elapsed(), most)
}

/// The most mebibytes that were resident so far.
fn peak(status: &str) -> f64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kibibytes.unwrap_or_default() / 1024.0
}
