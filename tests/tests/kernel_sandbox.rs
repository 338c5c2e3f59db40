//! The second layer, in the kernel, as it is seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;

use outport_e2e::guest;
use outport_e2e::outport::{Outport, Running};

const COMPLETE: &str = "Kernel sandbox: system calls, files and ports";

fn waiting() -> Outport {
    Outport::player().args(["print ready", "wait 60000"])
}

fn started(run: Outport) -> Running {
    let run = run.start();
    run.wait_for_line("1 print ready");
    run
}

/// Whether this kernel has all of it; says so where it does not.
fn kernel_has_all() -> bool {
    let finished = Outport::player().option("--kernel-sandbox=required").finish();
    let has_all = finished.code == Some(0);
    if !has_all {
        let must = std::env::var("OUTPORT_REQUIRE_SANDBOX").as_deref() == Ok("1");
        assert!(
            !must && finished.stderr.contains("this kernel does not have"),
            "{finished}"
        );
        eprintln!("SKIPPED, since this kernel does not have all of the sandbox: {finished}");
    }
    has_all
}

/// The values of a field of `/proc/PID/status`, over all threads.
fn status(run: &mut Running, field: &str) -> HashSet<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", run.id())).unwrap();
    // A thread may end while it is looked at.
    let values = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    });
    values.collect()
}

/// How many TCP sockets of the process listen.
fn listeners(run: &mut Running) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", run.id())).unwrap();
    let sockets: HashSet<String> = descriptors
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{}/net/{table}", run.id())).unwrap());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines
        .filter(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            columns[3] == "0A" && sockets.contains(columns[9])
        })
        .count()
}

// proves: HL-1
#[test]
fn every_thread_of_a_process_that_runs_guests_is_held() {
    if !kernel_has_all() {
        return;
    }
    let mut run = started(waiting().option("-v"));
    assert_eq!(status(&mut run, "Seccomp"), HashSet::from(["2".into()]), "{run}");
    assert_eq!(
        status(&mut run, "NoNewPrivs"),
        HashSet::from(["1".into()]),
        "{run}"
    );
    assert!(run.stderr().lines().any(|line| line == COMPLETE), "{run}");
    assert_eq!(listeners(&mut run), 0, "{run}");

    let manifest = "spin_manifest_version = 2\n[application]\nname = \"web\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"web\"\n[component.web]\nsource = \"GUESTS/http-player.wasm\"\n";
    for server in [Outport::up(manifest), Outport::serve(guest::path("http-player"))] {
        let mut server = server.option("--workers=2").start();
        let address: SocketAddr = server.address();
        assert!(address.ip().is_loopback());
        assert_eq!(server.get("/hello").status, 200);
        assert_eq!(
            status(&mut server, "Seccomp"),
            HashSet::from(["2".into()]),
            "{server}"
        );
        assert!(server.stderr().lines().any(|line| line == COMPLETE), "{server}");
        assert_eq!(listeners(&mut server), 2, "the operator's own\n{server}");
    }
}

#[test]
fn the_operator_can_do_without() {
    let options = [
        Outport::player().option("--kernel-sandbox=off"),
        Outport::player().variable("OUTPORT_KERNEL_SANDBOX", "off"),
    ];
    for run in options {
        let mut run = started(run.option("-v").args(["print ready", "wait 60000"]));
        assert_eq!(status(&mut run, "Seccomp"), HashSet::from(["0".into()]), "{run}");
        assert!(run.stderr().contains("Kernel sandbox: off"), "{run}");
    }
    let finished = Outport::player()
        .option("--kernel-sandbox=perhaps")
        .finish()
        .expect_code(2);
    assert!(finished.stderr.contains("perhaps"), "{finished}");
}

#[test]
fn compiled_code_and_the_audit_log_are_written_from_inside() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let finished = Outport::player()
            .variable("XDG_CACHE_HOME", folder.path())
            .args(["tcp.connect 10.0.0.5:80"])
            .finish()
            .expect_code(0);
        assert_eq!(finished.reasons(), ["allow.none"], "{finished}");
        assert!(!finished.stderr.contains("warning"), "{finished}");
    }
    let compiled = fs::read_dir(folder.path().join("outport/compiled"))
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension() == Some("cwasm".as_ref()));
    assert_eq!(compiled.count(), 1);
}
