//! Standard output, standard error and an audit log that nobody reads (ISO-6).
//!
//! Each is a pipe whose other end the test holds, so that it is full at some point and stays so until the test reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::binary;
use outport_e2e::process::{Process, free_port};
use outport_e2e::transcript::untimed;
use outport_e2e::until::{PATIENCE, until};
use outport_e2e::{guest, http};
use rustix::fs::{CWD, FileType, Mode};
use rustix::process::Signal;

/// Statements that print a line of 4 kB each, 3.2 MB together.
fn lines() -> Vec<String> {
    let line = |number| format!("print {number:04}{}", "x".repeat(1990));
    (0..800).map(line).collect()
}

/// What they print.
fn printed() -> String {
    let lines = lines().into_iter().enumerate();
    lines
        .map(|(number, line)| format!("{} {line} => {}\n", number + 1, &line["print ".len()..]))
        .collect()
}

fn outport(command: &str) -> Command {
    let mut outport = Command::new(binary());
    outport.arg(command).stdin(Stdio::null()).stderr(Stdio::null());
    outport
}

fn run(statements: impl IntoIterator<Item = String>) -> Command {
    let mut outport = outport("run");
    outport.arg(guest::script_guest()).args(statements);
    outport
}

/// Statements that begin with one that is refused, which standard error says before any is printed.
fn told(statements: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    ["tcp.connect 10.0.0.5:80".to_owned()]
        .into_iter()
        .chain(statements)
}

/// Starts what standard error says something of, and waits for that and a moment more.
fn start_until_it_writes(command: &mut Command) -> Process {
    let (error, writer) = pipe().unwrap();
    let process = start(command.stderr(writer));
    command.stderr(Stdio::null());
    let mut line = String::new();
    let mut error = BufReader::new(error);
    while !line.contains("denied: ") {
        line.clear();
        assert_ne!(error.read_line(&mut line).unwrap(), 0, "it ended");
    }
    // It may say more, which nobody has to read.
    thread::spawn(move || io::copy(&mut error, &mut io::sink()));
    thread::sleep(Duration::from_millis(500));
    process
}

fn start(command: &mut Command) -> Process {
    Process::start(command, Signal::KILL).unwrap()
}

/// A pipe that is full already.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&[b'-'; 64 << 10]).unwrap();
    (reader, writer)
}

/// Sends SIGTERM, and answers the exit code of a process that ends soon after.
fn stopped(mut process: Process) -> Option<i32> {
    let start = Instant::now();
    process.signal(Signal::TERM);
    let status = process.wait(PATIENCE).expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    status.code()
}

/// Waits until there is an answer.
fn answers(address: SocketAddr) {
    until(format_args!("an answer from {address}"), || {
        http::get(address, "/hello").is_ok()
    });
}

// proves: ISO-6
#[test]
fn a_command_loses_nothing_whose_reader_takes_his_time() {
    for guest in ["script-guest", "script-guest-p3"] {
        let (mut reader, writer) = pipe().unwrap();
        let mut command = outport("run");
        command.arg(guest::path(guest)).args(lines()).stdout(writer);
        let mut process = start(&mut command);
        drop(command);
        thread::sleep(Duration::from_millis(1500));
        assert!(
            process.wait(Duration::ZERO).is_none(),
            "it ends before its output is read"
        );
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        assert!(output == printed(), "{guest}: {} bytes", output.len());
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
    }
}

// proves: ISO-6
#[test]
fn output_and_error_that_go_the_same_way_stay_in_order() {
    let (mut reader, writer) = pipe().unwrap();
    let statements = (0..200).map(|number| format!("tcp.connect 10.0.0.{number}:{}", number + 1));
    let mut command = run(statements);
    command.stderr(writer.try_clone().unwrap()).stdout(writer);
    let mut process = start(&mut command);
    drop(command);
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    let output = untimed(&output);
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
    let results: Vec<&str> = output.lines().filter(|line| line.contains(" => ")).collect();
    assert_eq!(results.len(), 200, "{output}");
    assert!(
        output.lines().any(|line| line.starts_with("denied: component")),
        "{output}"
    );
    let whole = |line: &str| line.contains(" => access-denied") || line.contains("denied: component");
    assert!(
        output
            .lines()
            .all(|line| whole(line) || line.starts_with("warning")),
        "{output}"
    );
}

// proves: ISO-6
#[test]
fn a_command_whose_output_nobody_reads_ends_when_it_is_asked_to() {
    let (_reader, writer) = full_pipe();
    for statements in [
        vec!["print a".to_owned()],
        lines(),
        vec!["print a".to_owned(), "wait 60000".to_owned()],
    ] {
        let process = start_until_it_writes(run(told(statements)).stdout(writer.try_clone().unwrap()));
        assert_eq!(stopped(process), Some(143));
    }
}

#[test]
fn a_command_whose_output_cannot_be_written_is_no_success() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = run(["print a".to_owned()])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    // Either the guest got to know, or Outport says so.
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
}

// proves: ISO-6
#[test]
fn an_app_goes_on_whose_output_nobody_reads_and_says_what_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let guests = guest::workspace().join("guests/wasm");
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"loud\"\n[[trigger.command]]\ncomponent = \"loud\"\n\
         args = {:?}\n[component.loud]\nsource = \"{guests}/script-guest.wasm\"\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\n[component.web]\nsource = \"{guests}/http-script-guest.wasm\"\n",
        lines(),
        guests = guests.display(),
    );
    fs::write(folder.path().join("spin.toml"), manifest).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (mut reader, writer) = pipe().unwrap();
    let mut command = outport("up");
    command.current_dir(folder.path()).args([
        "--workers=1",
        "--no-output-prefix",
        "--listen",
        &address.to_string(),
    ]);
    command
        .stdout(writer)
        .stderr(fs::File::create(folder.path().join("error")).unwrap());
    let process = start(&mut command);
    drop(command);
    let said = || fs::read_to_string(folder.path().join("error")).unwrap();
    answers(address);
    let dropped =
        |said: &str| said.contains(" bytes for standard output were dropped, since nobody reads it");
    until("it says what it dropped", || dropped(&said()));
    let start = Instant::now();
    assert_eq!(http::get(address, "/hello").unwrap().status, 200);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // Reading begins again; what arrives is whole lines in their order.
    let reading = thread::spawn(move || {
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        output
    });
    assert_eq!(stopped(process), Some(0));
    let output = reading.join().unwrap();
    assert!(output.len() >= 1 << 20, "{} bytes", output.len());
    let printed = printed();
    let mut all = printed.lines();
    assert!(
        output.lines().all(|line| all.any(|next| next == line)),
        "lines are torn"
    );
}

// proves: ISO-6
#[test]
fn a_server_answers_whose_log_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let pipe_of = |name: &str| {
        let path = folder.path().join(name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    };
    let logs = ["-".into(), pipe_of("audit"), Path::new("/dev/full").to_owned()];
    for audit in logs {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (_reader, writer) = pipe().unwrap();
        let mut command = outport("serve");
        command
            .args(["--workers=1", "--listen", &address.to_string(), "--audit-log"])
            .arg(&audit);
        command
            .arg(guest::path("http-script-guest"))
            .env("OUTPORT_LOG", "trace");
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let process = start(&mut command);
        answers(address);
        for port in 0..20 {
            let script = format!("/?repeat%20100%20tcp.connect%2010.0.{port}.1:{{}}");
            let start = Instant::now();
            assert_eq!(http::get(address, &script).unwrap().status, 200, "{audit:?}");
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{audit:?}: {:?}",
                start.elapsed()
            );
        }
        assert_eq!(stopped(process), Some(0), "{audit:?}");
    }
}

// proves: ISO-6
#[test]
fn a_second_signal_ends_it_at_once() {
    let (_reader, writer) = full_pipe();
    // Without the second one it ends a second after the first. What else the machine is doing should not count, so one
    // quick end of ten is enough.
    let mut took = Vec::new();
    let at_once = (0..10).any(|_| {
        let run = &mut run(told(["print a".to_owned()]));
        let mut process = start_until_it_writes(run.stdout(writer.try_clone().unwrap()));
        let start = Instant::now();
        process.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(200));
        process.signal(Signal::TERM);
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(143));
        took.push(start.elapsed());
        start.elapsed() < Duration::from_millis(800)
    });
    assert!(at_once, "{took:?}");
}
