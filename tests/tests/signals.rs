//! Being asked to stop.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::{Outport, Running};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::Signal;

/// Sooner than the time that requests have to end in, 30 s, is over.
const AT_ONCE: Duration = Duration::from_secs(15);

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "stopping"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

/// A request whose guest waits there.
fn wait_at(turnstile: &Turnstile) -> String {
    let script = turnstile.wait();
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{script}",
        script.len()
    )
}

#[test]
fn a_server_that_is_asked_to_stop_ends_at_once_and_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let app = Outport::up(APP).start();
        assert_eq!(app.get("/hello").status, 200);
        let start = Instant::now();
        app.signal(signal);
        app.finish().expect_code(0);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    }
}

#[test]
fn a_running_request_is_answered_and_no_new_one_begins() {
    let app = Outport::up(APP).start();
    let address = app.address();
    app.get("/hello");
    let turnstile = Turnstile::closed();
    let request = wait_at(&turnstile);
    let running = thread::spawn(move || http::send(address, &request));
    turnstile.has(1);
    app.signal(Signal::TERM);
    until("no new client is let in", || {
        TcpStream::connect(address).is_err() || http::get(address, "/hello").is_err()
    });
    turnstile.open();
    app.finish().expect_code(0);
    let response = running.join().ok().and_then(Result::ok);
    assert_eq!(response.map(|response| response.status), Some(200));
}

#[test]
fn a_request_that_takes_longer_than_the_grace_period_is_cut_off() {
    let app = Outport::up(APP).option("--grace=500ms").start();
    let address = app.address();
    app.get("/hello");
    let turnstile = Turnstile::closed();
    let request = wait_at(&turnstile);
    let running = thread::spawn(move || http::send(address, &request));
    turnstile.has(1);
    let start = Instant::now();
    app.stop().expect_code(0);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert!(running.join().is_ok_and(|response| response.is_err()));
}

#[test]
fn a_second_signal_does_not_wait() {
    let app = Outport::up(APP).start();
    let address = app.address();
    app.get("/hello");
    let turnstile = Turnstile::closed();
    let request = wait_at(&turnstile);
    let running = thread::spawn(move || http::send(address, &request));
    turnstile.has(1);
    let start = Instant::now();
    app.signal(Signal::INT);
    // Two signals at a time are one.
    app.wait_for_error_line("Stopping; ");
    app.signal(Signal::INT);
    app.finish();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert!(running.join().is_ok_and(|response| response.is_err()));
}

#[test]
fn a_command_ends_as_others_do_and_its_log_is_whole() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let run = Outport::script_guest()
            .args(["tcp.connect 10.0.0.5:80", "wait 60000"])
            .start();
        run.wait_for_line("1 tcp.connect");
        run.signal(signal);
        let finished = run.finish().expect_code(code);
        assert_eq!(finished.reasons(), ["allow.none"], "{finished}");
        assert!(finished.stderr.contains("10.0.0.5:80"), "{finished}");
    }
}

/// Starts it with a runtime config file that it has to wait for, and sends it a signal while it waits.
fn signal_while_it_starts(command: Outport, signal: Signal) -> Running {
    let (reader, mut pipe) = io::pipe().expect("a pipe");
    let command = command.option("--runtime-config-file=/dev/stdin").reading(reader);
    let started = command.start();
    // More than a pipe holds: it is written once it is read, and what reads it waits for more then.
    pipe.write_all(&[b'#'; 65536 + 1]).expect("it is read");
    started.signal(signal);
    thread::sleep(Duration::from_millis(200));
    // It may have ended.
    let _ = pipe.write_all(b"\n[outbound_networking]\n");
    started
}

// proves: DL-9
#[test]
fn a_list_that_is_to_be_loaded_again_while_it_is_loaded_ends_nothing() {
    let served = [Outport::up(APP), Outport::serve(guest::path("http-script-guest"))];
    for command in served {
        let app = signal_while_it_starts(command, Signal::HUP);
        assert_eq!(app.get("/hello").status, 200);
        app.stop().expect_code(0);
    }
    let run = Outport::script_guest().args(["print here", "wait 100"]);
    let finished = signal_while_it_starts(run, Signal::HUP).finish().expect_code(0);
    assert!(finished.stdout.contains("here"), "{finished}");
}

#[test]
fn a_start_that_is_asked_to_stop_ends_at_once() {
    for signal in [Signal::INT, Signal::TERM] {
        let finished = signal_while_it_starts(Outport::script_guest().args(["print here"]), signal).finish();
        assert_eq!(
            (finished.code, finished.stdout.as_str()),
            (None, ""),
            "{finished}"
        );
    }
}
