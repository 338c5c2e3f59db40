//! The deny list of `outport.toml`: in force at start, and again when the file changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::symlink;

use outport_e2e::guest;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::until::until;
use rustix::process::Signal;

const LOADED: &str = "The operator's list was loaded again";

fn with_file(outport: Outport, text: &str) -> Outport {
    outport.file("outport.toml", text).option("--config=outport.toml")
}

/// Asks a server of the HTTP script guest to connect.
fn connect(run: &Running, peer: &TcpPeer) -> String {
    let script = format!("tcp.connect {}", peer.address());
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{script}",
        script.len()
    );
    let response = outport_e2e::http::send(run.address(), &request).unwrap();
    results(&response.body)[0].to_owned()
}

fn denying(peer: &TcpPeer) -> String {
    format!("disallowed-outbound-hosts = ['*://{}']\n", peer.address())
}

// proves: DL-1
#[test]
fn what_the_file_denies_is_denied_and_the_log_says_where() {
    let peer = TcpPeer::start(Manner::Stall);
    let run = with_file(Outport::script_guest().allow("*://*:*"), &denying(&peer));
    let run = run
        .args([format!("tcp.connect {}", peer.address())])
        .finish()
        .expect_code(0);
    assert_eq!(run.reasons(), ["deny.host"], "{run}");
    assert!(run.stderr.contains("outport.toml:1:31"), "{run}");
}

// proves: DL-9
#[test]
fn dl_9_a_changed_file_is_loaded_again_and_a_wrong_one_changes_nothing() {
    let peer = TcpPeer::start(Manner::Stall);
    let serve = Outport::serve(guest::path("http-script-guest")).allow("*://127.0.0.1:*");
    let serve = serve
        .file("first.toml", "max-memory = '64M'\n")
        .file("second.toml", denying(&peer) + "max-memory = '65M'\n")
        .option("--config=outport.toml");
    symlink("first.toml", serve.folder().join("outport.toml")).unwrap();
    let run = serve.start();
    assert_eq!(connect(&run, &peer), "ok");

    symlink("second.toml", run.folder().join("next")).unwrap();
    fs::rename(run.folder().join("next"), run.folder().join("outport.toml")).unwrap();
    run.wait_for_error_line(LOADED);
    assert_eq!(connect(&run, &peer), "access-denied");
    run.wait_for_error_text("warning: `max-memory` has changed, which takes a restart");

    run.write("second.toml", "max-memry = 1\n");
    run.signal(Signal::HUP);
    run.wait_for_error_line("warning: the operator's list stays as it was");
    run.wait_for_error_text("outport.toml:1:1");
    assert_eq!(connect(&run, &peer), "access-denied");

    run.write("second.toml", "max-memory = '64M'\n");
    until("the last change is seen", || connect(&run, &peer) == "ok");
    run.stop().expect_code(0);
}

// proves: DL-9
#[test]
fn dl_9_both_files_are_loaded_again() {
    let (first, second) = (TcpPeer::start(Manner::Stall), TcpPeer::start(Manner::Stall));
    let of_spin = |peer: &TcpPeer| format!("[outbound_networking]\n{}", denying(peer).replace('-', "_"));
    let serve = Outport::serve(guest::path("http-script-guest")).allow("*://127.0.0.1:*");
    let run = with_file(serve, "runtime-config-file = 'runtime.toml'\n")
        .file("runtime.toml", "")
        .start();
    assert_eq!(connect(&run, &first), "ok");
    run.write("runtime.toml", of_spin(&first));
    until("the first is denied", || connect(&run, &first) == "access-denied");
    let both = format!("runtime-config-file = 'runtime.toml'\n{}", denying(&second));
    run.write("outport.toml", both);
    until("the second is denied", || {
        connect(&run, &second) == "access-denied"
    });
    assert_eq!(connect(&run, &first), "access-denied");
    run.stop().expect_code(0);
}

// proves: DL-9
#[test]
fn dl_9_a_corrected_list_is_in_force_whatever_the_file_said_before() {
    let peer = TcpPeer::start(Manner::Stall);
    let serve = Outport::serve(guest::path("http-script-guest")).allow("*://127.0.0.1:*");
    let run = with_file(serve, "").start();
    assert_eq!(connect(&run, &peer), "ok");
    let long = "hunter2".repeat(20_000);
    let many = "max-memry = 1\n".repeat(20_000);
    for wrong in [
        format!("key-value = ['a={long}', 7]\n"),
        format!("key-value = ['a={long}\n"),
        format!("egress-proxy = 'http://me:{long}@a.test' 7\n"),
        format!(
            "disallowed-outbound-hosts = [{}]\n",
            "'*://127.1:80',".repeat(3000)
        ),
        many,
    ] {
        let told = || {
            run.stderr()
                .matches("the operator's list stays as it was")
                .count()
        };
        let before = told();
        run.write("outport.toml", &wrong);
        let start: String = wrong.chars().take(40).collect();
        until(format_args!("{start}… is told\n{run}"), || told() > before);
        run.write("outport.toml", denying(&peer));
        until(format_args!("{start}… is corrected"), || {
            connect(&run, &peer) == "access-denied"
        });
        run.write("outport.toml", "");
        until("all is permitted", || connect(&run, &peer) == "ok");
    }
    let ended = run.stop().expect_code(0);
    assert!(!ended.stderr.contains("hunter2"), "a secret was told");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}
