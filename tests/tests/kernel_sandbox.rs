//! The second layer, in the kernel, as it is seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::slow_component::slow_component;
use outport_e2e::until::until;
use rustix::process::Signal;

const COMPLETE: &str = "Kernel sandbox: system calls, files and ports";

fn waiting() -> Outport {
    Outport::script_guest().args(["print ready", "wait 60000"])
}

fn started(run: Outport) -> Running {
    let run = run.start();
    run.wait_for_line("1 print ready");
    run
}

/// Whether this kernel has all of it; says so where it does not.
pub(crate) fn kernel_has_all() -> bool {
    let finished = Outport::script_guest()
        .option("--kernel-sandbox=required")
        .finish();
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
        component = \"web\"\n[component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n";
    for server in [
        Outport::up(manifest),
        Outport::serve(guest::path("http-script-guest")),
    ] {
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
        Outport::script_guest().option("--kernel-sandbox=off"),
        Outport::script_guest().variable("OUTPORT_KERNEL_SANDBOX", "off"),
    ];
    for run in options {
        let mut run = started(run.option("-v").args(["print ready", "wait 60000"]));
        assert_eq!(status(&mut run, "Seccomp"), HashSet::from(["0".into()]), "{run}");
        assert!(run.stderr().contains("Kernel sandbox: off"), "{run}");
    }
    let finished = Outport::script_guest()
        .option("--kernel-sandbox=perhaps")
        .finish()
        .expect_code(2);
    assert!(finished.stderr.contains("perhaps"), "{finished}");
}

#[test]
fn compiled_code_and_the_audit_log_are_written_from_inside() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let finished = Outport::script_guest()
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

/// The processes whose parents are these.
fn children(parents: &[u32]) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        parents.contains(&parent).then_some(id)
    });
    processes.collect()
}

/// Waits until there are so many, for a minute.
fn wait_for_children(parents: &[u32], count: usize) -> Vec<u32> {
    let start = Instant::now();
    loop {
        let found = children(parents);
        if found.len() == count {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{found:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

// proves: ISO-7
#[test]
fn nobody_who_compiles_is_left_when_a_guest_runs() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut run = started(waiting().variable("XDG_CACHE_HOME", folder.path()));
        assert_eq!(children(&[run.id()]), Vec::<u32>::new(), "{run}");
    }
}

// proves: ISO-7
#[test]
fn who_compiles_is_held_and_ends_with_who_started_it() {
    let has_all = kernel_has_all();
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let mut run = Outport::command("run")
            .file("slow.wasm", slow_component(500, 500))
            .args(["slow.wasm"])
            .start();
        let [keeper] = wait_for_children(&[run.id()], 1).try_into().expect("one");
        let [compiler] = wait_for_children(&[keeper], 1).try_into().expect("one");
        for process in [keeper, compiler] {
            // A process that was just forked still has what its parent has, until it is the compiler.
            until("it has nothing but what it talks by, and is held", || {
                let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
                let sockets = descriptors
                    .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
                    .filter(|link| link.to_string_lossy().starts_with("socket:"));
                let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
                sockets.count() <= 2 && (!has_all || status.contains("Seccomp:\t2"))
            });
        }
        run.signal(signal);
        run.finish();
        let start = Instant::now();
        for process in [keeper, compiler] {
            while fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
            {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "{process} goes on after {signal:?}"
                );
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
