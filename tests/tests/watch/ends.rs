//! What ends, or does not: an app that is started anew, a watcher that is told to stop whatever it is at, and builds that leave
//! something running.

use std::fs;

use outport_e2e::guest;
use outport_e2e::outport::Running;
use outport_e2e::until::until;
use rustix::process::{Pid, Signal, kill_process};

use super::patterns::in_its_own_directory;
use super::{Watched, children, copied, plain, runs};

impl Watched {
    /// Ends the process that serves, as if by itself.
    fn kill_the_app(&mut self, times: usize) {
        let [server] = children(self.run.id())[..] else {
            panic!("one process serves\n{}", self.run);
        };
        kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).unwrap();
        until("it is told of", || {
            self.said("The app has ended (signal 9); waiting for a change\n") == times
        });
    }
}

#[test]
fn an_app_that_has_ended_starts_anew_with_a_build_of_the_same_bytes_and_a_file_that_is_saved_as_it_was() {
    let mut watched = Watched::copied();
    watched.serves(1);
    watched.kill_the_app(1);
    // No other bytes come of this.
    watched.write("source/comment", "nothing of that matters");
    watched.serves(2);
    watched.answers("hello");
    watched.kill_the_app(2);
    watched.write("source/comment", "nothing of that matters");
    watched.serves(3);
    assert_eq!(watched.builds(), 2);
    watched.run.stop().expect_code(0);
    let mut watched = Watched::start(plain());
    watched.serves(1);
    watched.kill_the_app(1);
    watched.write("web.wasm", fs::read(guest::path("hello")).unwrap());
    watched.serves(2);
    watched.answers("hello");
    watched.run.stop().expect_code(0);
}

#[test]
fn who_interrupts_does_not_wait_for_what_is_read() {
    let outport = copied();
    for number in 0..4 {
        let large = outport.folder().join(format!("source/large{number}"));
        // A hole, which takes no room on the disk.
        fs::File::create(large).unwrap().set_len(64 << 20).unwrap();
    }
    let mut run = outport.start();
    let descriptors = format!("/proc/{}/fd", run.id());
    until("it reads the files", || {
        let links = fs::read_dir(&descriptors).into_iter().flatten().flatten();
        links
            .filter_map(|link| fs::read_link(link.path()).ok())
            .any(|path| path.to_string_lossy().contains("source/large"))
    });
    run.signal(Signal::TERM);
    let finished = run.finish().expect_code(143);
    assert!(!finished.stderr.contains("Watching"), "{finished}");
    assert!(!finished.stderr.contains("Building"), "{finished}");
}

#[test]
fn where_nobody_reads_standard_error_the_watcher_ends_all_the_same() {
    let much =
        "echo $$ > busy.new; mv busy.new busy; head -c 3000000 /dev/zero | tr '\\0' '\\n'; touch done\n";
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let outport = copied().file("source/build", much);
        let mut run = outport.after("exec 2>&1").unread_stdout().start();
        let busy = busy(&run);
        run.until_idle();
        let mut started = children(run.id());
        started.push(busy);
        assert!(runs(busy), "it waits for who reads");
        run.signal(signal);
        let folder = run.folder().join("done");
        assert!(!folder.exists());
        run.finish().expect_code(code);
        assert!(started.iter().all(|id| !runs(*id)), "{started:?}");
    }
}

/// The number that a build has put down.
fn busy(run: &Running) -> i32 {
    let file = run.folder().join("busy");
    until("it builds", || file.exists());
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[test]
fn what_the_watcher_says_is_no_change_where_it_stands_in_a_watched_file() {
    let run = in_its_own_directory("\"**\"", &[])
        .after("exec 2>watch.log")
        .start();
    let said = || fs::read_to_string(run.folder().join("watch.log")).unwrap_or_default();
    let times = |text: &str| said().matches(text).count();
    until("it serves", || times("Serving http") == 1);
    run.write("guest.py", guest::path("quickstart").display().to_string());
    until("it serves anew", || times("Serving http") == 2);
    assert_eq!(times("Built web"), 2, "{}", said());
    assert_eq!(times("changed: "), 1, "{}", said());
    assert_eq!(
        times("watch.log is what Outport itself writes to, and is not watched\n"),
        1,
        "{}",
        said()
    );
    run.stop().expect_code(0);
}

#[test]
fn what_a_build_leaves_running_is_named_and_does_not_have_it_built_without_end() {
    // It ends with the folder.
    let writer = "(sh -c 'echo $PPID' > writer; while date +%N > left.py; do sleep 0.2; done)";
    let left = format!("kill -0 $(cat writer) 2>&1 || {writer} > /dev/null 2>&1 & sleep 0.1");
    let outport = in_its_own_directory("\"*.py\"", &[]);
    let manifest = fs::read_to_string(outport.folder().join("spin.toml")).unwrap();
    let manifest = manifest.replace("mkdir -p build;", &format!("{left}; mkdir -p build;"));
    let watched = Watched::start(outport.file("spin.toml", manifest));
    watched.run.wait_for_error_text(
        "left.py changes again and again right after the build of web, as if that had left something running",
    );
    let builds = watched.said("Built web");
    // Seven rounds count, and a few before them, in which it wrote while the build ran, do not.
    assert!(builds <= 12, "{}", watched.run);
    // What somebody else changes is built at once.
    watched.write("guest.py", guest::path("quickstart").display().to_string());
    watched.answers("quickstart");
    watched.run.stop().expect_code(0);
}
