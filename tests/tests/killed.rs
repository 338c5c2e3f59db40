//! Killed at any moment (SIGKILL): what is left behind, and the next start.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::audit::AuditLine;
use outport_e2e::guest;
use outport_e2e::outport::Outport;
use outport_e2e::tcp::{Manner, TcpPeer};
use rustix::process::Signal;

/// As `docs/operating.md` says: a decision that is older than this is in the log.
const FLUSHED: Duration = Duration::from_millis(100);

/// A run that writes to a log of the test's own, which outlives it. The guest is its first argument.
fn script_guest(log: &Path) -> Outport {
    Outport::command("run").option(format!("--audit-log={}", log.display()))
}

fn lines(log: &Path, attempt: &str) -> usize {
    let lines = AuditLine::read(log);
    lines
        .iter()
        .filter(|line| line.field("attempt") == attempt)
        .count()
}

#[test]
fn a_killed_process_leaves_whole_lines_with_every_decision_but_the_last_moments() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let mut before = 0;
    for round in 0..12 {
        // On a busy machine who writes may not have had a turn by then, so one try of five is enough.
        let mut tries = Vec::new();
        let kept = (0..5).any(|_| {
            let peer = TcpPeer::start(Manner::Close);
            let flood = format!("repeat 1000000 tcp.connect {}", peer.address());
            let run = script_guest(&log)
                .allow("tcp://127.0.0.1:*")
                .args([guest::path("script-guest")])
                .args([flood])
                .start();
            peer.wait_for(1);
            thread::sleep(Duration::from_millis(37 * round));
            let decided = peer.accepted();
            thread::sleep(FLUSHED);
            run.signal(Signal::KILL);
            assert_eq!(run.finish().code, None, "killed");

            let text = fs::read_to_string(&log).unwrap();
            assert!(text.ends_with('\n'), "round {round}: the last line is whole");
            let written = lines(&log, "tcp.connect") - before;
            before += written;
            tries.push((decided, written));
            written >= decided
        });
        assert!(kept, "round {round}: (decisions, lines) {tries:?}");
    }
}

#[test]
fn a_start_after_a_kill_is_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let cached = |cache: &Path| {
        script_guest(&log)
            .variable("XDG_CACHE_HOME", cache)
            .args([guest::path("script-guest")])
            .args(["tcp.connect 10.0.0.5:80"])
    };
    // How long a start takes that has to compile, so that kills come at all of its moments.
    let empty = tempfile::tempdir().unwrap();
    let start = Instant::now();
    cached(empty.path()).finish().expect_code(0);
    let whole = start.elapsed();

    let cache = tempfile::tempdir().unwrap();
    for moment in 1..=10 {
        let run = cached(cache.path()).start();
        thread::sleep(whole * moment / 10);
        run.signal(Signal::KILL);
        drop(run);
    }
    // A line that was cut off, as by a disk that was full.
    let mut text = fs::read_to_string(&log).unwrap();
    text.push_str("{\"ts\":\"2026-");
    fs::write(&log, text).unwrap();
    for _ in 0..2 {
        let finished = cached(cache.path()).finish().expect_code(0);
        assert!(!finished.stderr.contains("warning"), "{finished}");
        assert!(!finished.stderr.contains("error"), "{finished}");
    }
    let text = fs::read_to_string(&log).unwrap();
    let (whole, cut): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.trim_end().ends_with('}'));
    assert_eq!(cut, ["{\"ts\":\"2026-"]);
    assert!(whole.len() >= 3);
    let code = fs::read_dir(cache.path().join("outport/compiled")).unwrap();
    let code = code.filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "cwasm")
    });
    assert_eq!(code.count(), 1);
}

/// An app with a file, which it shows.
const WITH_FILES: &str = r#"
spin_manifest_version = 2
application.name = "filed"
[[trigger.http]]
route = "/..."
component = "it"
[component.it]
source = "GUESTS/http-script-guest.wasm"
files = ["note.txt"]
"#;

#[test]
fn copies_of_a_killed_process_are_removed_by_the_next_and_those_of_a_live_one_stay() {
    let cache = tempfile::tempdir().unwrap();
    let copies = || {
        let folder = fs::read_dir(cache.path().join("outport/files")).unwrap();
        let mut copies: Vec<_> = folder.map(|copy| copy.unwrap().path()).collect();
        copies.sort();
        copies
    };
    let start = |text: &str| {
        let app = Outport::up(WITH_FILES)
            .file("note.txt", text)
            .variable("XDG_CACHE_HOME", cache.path())
            .start();
        app.address();
        app
    };
    let live = start("live");
    let of_live = copies();
    assert_eq!(of_live.len(), 1);

    let killed = start("killed");
    assert_eq!(copies().len(), 2);
    killed.signal(Signal::KILL);
    killed.finish();
    assert_eq!(copies().len(), 2, "nobody could remove its copy");
    let of_killed: Vec<_> = copies()
        .into_iter()
        .filter(|copy| !of_live.contains(copy))
        .collect();

    let next = start("next");
    assert_eq!(copies().len(), 2, "{next}");
    assert!(of_live.iter().all(|copy| copy.exists()), "{next}");
    assert!(!of_killed.iter().any(|copy| copy.exists()), "{next}");
    for (app, text) in [(&live, "live"), (&next, "next")] {
        let answer = app.get("/script?file.read%20note.txt").body;
        assert!(answer.contains(&format!("=> {text}")), "{answer}\n{app}");
    }
    live.stop().expect_code(0);
    next.stop().expect_code(0);
    assert_eq!(copies().len(), 0);
}
