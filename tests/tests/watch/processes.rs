//! The processes of a watcher: how they end, what they are handed, and how long a new one takes.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::Outport;
use outport_e2e::process::free_port;
use outport_e2e::service_manager::ServiceManager;
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::{Pid, Signal, kill_process};

use super::{PLAIN, Watched, children, copied, is, plain, runs};

#[test]
fn a_process_that_ends_by_itself_is_told_of_and_not_started_before_something_changes() {
    let manager = ServiceManager::default();
    let mut watched = Watched::start(plain().notifying(manager.path()));
    manager.wait_for("READY=1", 1);
    let address = watched.run.address();
    let [server] = children(watched.run.id())[..] else {
        panic!("one process serves\n{}", watched.run);
    };
    kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).unwrap();
    watched
        .run
        .wait_for_error_text("The app has ended (signal 9); waiting for a change\n");
    assert_eq!(children(watched.run.id()), [0; 0]);
    // Who comes meanwhile is not refused, and is answered in the end.
    let waiting = thread::spawn(move || http::get(address, "/").unwrap().status);
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    assert_eq!(waiting.join().unwrap(), 200);
    watched.answers("quickstart");
    assert_eq!(watched.run.address(), address);
    watched.run.stop().expect_code(0);
}

#[test]
fn a_watcher_that_is_killed_leaves_nobody_behind() {
    let mut watched = Watched::copied();
    watched.serves(1);
    watched.write(
        "source/build",
        "sh -c 'echo $$ > busy.new; mv busy.new busy; while :; do sleep 1; done'; true\n",
    );
    until("it builds", || watched.at("busy").exists());
    let busy: i32 = fs::read_to_string(watched.at("busy"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut started = children(watched.run.id());
    assert_eq!(started.len(), 2, "{}", watched.run);
    started.push(busy);
    watched.run.signal(Signal::KILL);
    until(format_args!("nobody is left of {started:?}"), || {
        started.iter().all(|id| !runs(*id))
    });
}

#[test]
fn who_interrupts_ends_everything_during_a_build_too() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let forever = "sh -c 'echo $$ > busy.new; mv busy.new busy; while :; do sleep 1; done'; true\n";
        let mut watched = Watched::start(copied().file("source/build", forever));
        until("it builds", || watched.at("busy").exists());
        let busy: i32 = fs::read_to_string(watched.at("busy"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let mut started = children(watched.run.id());
        started.push(busy);
        watched.run.signal(signal);
        watched.run.finish().expect_code(code);
        assert!(started.iter().all(|id| !runs(*id)), "{started:?}");
    }
}

#[test]
fn only_components_whose_sources_changed_are_built() {
    let manifest = r#"
spin_manifest_version = 2
application = { name = "two" }
[[trigger.http]]
route = "/one"
component = "one"
[[trigger.http]]
route = "/two"
component = "two"
[component.one]
source = "one.wasm"
build = { command = "echo one >> builds; cp GUESTS/hello.wasm one.wasm", watch = ["one/*.rs"] }
[component.two]
source = "two.wasm"
build = { command = "echo two >> ../builds; cp GUESTS/hello.wasm ../two.wasm", workdir = "two", watch = ["*.rs"] }
"#;
    let outport = Outport::command("watch")
        .option("--listen=127.0.0.1:0")
        .manifest(manifest);
    for folder in ["one", "two"] {
        fs::create_dir(outport.folder().join(folder)).unwrap();
    }
    let watched = Watched::start(outport);
    watched.serves(1);
    let builds = || fs::read_to_string(watched.at("builds")).unwrap();
    assert_eq!(builds(), "one\ntwo\n");
    watched.write("two/a.rs", "");
    until("it is built", || watched.said("Built two") == 2);
    // No pattern is about this.
    watched.write("one/notes.txt", "");
    watched.write("one/a.rs", "");
    until("it is built", || watched.said("Built one") == 2);
    assert_eq!(builds(), "one\ntwo\ntwo\none\n");
    watched.run.stop().expect_code(0);
}

#[test]
fn without_builds_what_others_build_is_run_anew() {
    let outport = copied().option("--skip-build");
    fs::create_dir(outport.folder().join("out")).unwrap();
    let hello = fs::read(guest::path("hello")).unwrap();
    let watched = Watched::start(outport.file("out/web.wasm", hello));
    watched.serves(1);
    watched.source("hello");
    watched.write("out/web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.answers("quickstart");
    assert_eq!(watched.builds(), 0);
    assert_eq!(watched.said("changed: out/web.wasm\n"), 1, "{}", watched.run);
    watched.run.stop().expect_code(0);
}

#[test]
fn tools_find_one_version_at_the_same_address_and_settings_are_read_again() {
    let admin = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], admin));
    let watched = Watched::start(
        plain()
            .option(format!("--admin-listen={address}"))
            .file("operator.toml", "")
            .options(["--audit-log=audit.jsonl", "--runtime-config-file=operator.toml"]),
    );
    watched.serves(1);
    until("it is ready", || {
        http::get(address, "/readyz").is_ok_and(|ready| ready.status == 200)
    });
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.answers("quickstart");
    until("it is ready", || {
        http::get(address, "/readyz").is_ok_and(|ready| ready.status == 200)
    });
    watched.run.signal(Signal::HUP);
    until("it has read them again", || {
        let metrics = http::get(address, "/metrics").unwrap().body;
        metrics
            .lines()
            .any(|line| line.starts_with("outport_reloads_total") && !line.ends_with(" 0"))
    });
    watched.run.stop().expect_code(0);
}

#[test]
fn a_command_is_run_anew_and_never_beside_itself() {
    let manifest = r#"
spin_manifest_version = 2
application = { name = "commands" }
[[trigger.command]]
component = "once"
[component.once]
source = "once.wasm"
environment = { WORD = "one" }
"#;
    let script = fs::read(guest::script_guest()).unwrap();
    let outport = Outport::command("watch")
        .manifest(manifest)
        .file("once.wasm", script);
    let watched = Watched::start(outport);
    watched.run.wait_for_error_text("; waiting for a change\n");
    watched.write("spin.toml", manifest.replace("one\"", "two\""));
    until("it has ended again", || {
        watched.said("The app has ended (exit code ") == 2
    });
    watched.run.stop();
}

#[test]
fn a_service_manager_hears_of_the_watcher_and_its_socket_is_handed_on() {
    let manager = ServiceManager::default();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let hello = fs::read(guest::path("hello")).unwrap();
    let outport = Outport::command("watch")
        .manifest(PLAIN)
        .file("web.wasm", hello)
        .inheriting(&socket)
        .notifying(manager.path());
    let mut watched = Watched::start(outport);
    watched.serves(1);
    assert_eq!(watched.run.address(), address);
    manager.wait_for("READY=1", 1);
    manager.wait_for(&format!("MAINPID={}", watched.run.id()), 1);
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.answers("quickstart");
    watched.run.stop().expect_code(0);
    manager.wait_for("STOPPING=1", 1);
    assert_eq!(manager.count("READY=1"), 1, "of one process");
}

#[test]
fn a_new_version_answers_within_half_a_second_beside_the_build() {
    let watched = Watched::start(plain());
    watched.answers("hello");
    let (hello, quickstart) = (
        fs::read(guest::path("hello")).unwrap(),
        fs::read(guest::path("quickstart")).unwrap(),
    );
    let address = watched.run.address();
    // Both are compiled by now.
    watched.write("web.wasm", &quickstart);
    watched.answers("quickstart");
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..6 {
        let (name, code) = if round % 2 == 0 {
            ("hello", &hello)
        } else {
            ("quickstart", &quickstart)
        };
        // The one before has answered its last request.
        let old = if round % 2 == 0 { "quickstart" } else { "hello" };
        until("the old one is gone", || (0..20).all(|_| is(old, address)));
        let begun = Instant::now();
        watched.write("web.wasm", code);
        until("it is the new one", || is(name, address));
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!("from the change to the answer of the new version: {times:?}");
    // Far from what it takes, since others have the processor too.
    assert!(times[times.len() / 2] < Duration::from_secs(5), "{times:?}");
    watched.run.stop().expect_code(0);
}

#[test]
fn where_the_system_watches_no_more_outport_looks_by_itself() {
    // In a user namespace of its own a limit of inotify can be set for this process alone.
    let script = "unshare -r sh -c 'echo 0 > /proc/sys/user/max_inotify_instances'";
    if !Command::new("sh")
        .args(["-c", script])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return;
    }
    let outport = plain().after("true");
    let folder: &Path = outport.folder();
    assert!(folder.exists());
    let mut watched = Watched::start(outport.mounts("echo 0 > /proc/sys/user/max_inotify_instances"));
    watched
        .run
        .wait_for_error_text("the system does not tell of all changes");
    watched.serves(1);
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.serves(2);
    watched.answers("quickstart");
    // Until the one before has gone, the status of a stop is not yet that of the new one.
    until("the new one is alone", || children(watched.run.id()).len() == 1);
    watched.run.stop().expect_code(0);
}
