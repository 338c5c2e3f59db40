//! `outport watch`: an app is built and run anew when something changes, and clients notice nothing.
//!
//! The builds copy a guest, so that a change of what the app answers is the copy of another one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod ends;
mod patterns;
mod processes;

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use outport_e2e::outport::{Outport, Running};
use outport_e2e::until::until;
use outport_e2e::wrk::Wrk;
use outport_e2e::{guest, http};
use rustix::process::{Pid, test_kill_process};

/// An app of one component that is made of what is in `source`, with a count of its builds.
const COPIED: &str = r#"
spin_manifest_version = 2
[application]
name = "watched"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "out/web.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
[component.web.build]
command = "sh source/build"
watch = ["source/**/*"]
"#;

const BUILD: &str = "echo build >> builds; mkdir -p out; cp \"$(cat source/guest)\" out/web.wasm\n";

/// The same without anything to build.
const PLAIN: &str = r#"
spin_manifest_version = 2
[application]
name = "watched"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "web.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

/// A watched app.
struct Watched {
    run: Running,
}

impl Watched {
    fn copied() -> Self {
        Self::start(copied())
    }

    fn start(outport: Outport) -> Self {
        Self { run: outport.start() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.run.folder().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.run.write(name, text);
    }

    fn source(&self, guest: &str) {
        self.write("source/guest", guest::path(guest).display().to_string());
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.at("builds"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// How often something of it was said.
    fn said(&self, text: &str) -> usize {
        self.run.stderr().matches(text).count()
    }

    /// How many versions were ready.
    fn served(&self) -> usize {
        self.said("Serving http")
    }

    fn serves(&self, number: usize) {
        until(format_args!("version {number} serves\n{}", self.run), || {
            self.served() >= number
        });
    }

    /// Waits until the app is this guest.
    fn answers(&self, guest: &str) {
        let address = self.run.address();
        until(format_args!("it is `{guest}`\n{}", self.run), || {
            is(guest, address)
        });
    }
}

/// An app that is built by copying `hello`.
fn copied() -> Outport {
    let outport = Outport::command("watch")
        .option("--listen=127.0.0.1:0")
        .manifest(COPIED);
    fs::create_dir(outport.folder().join("source")).unwrap();
    outport
        .file("source/build", BUILD)
        .file("source/guest", guest::path("hello").display().to_string())
}

fn plain() -> Outport {
    let hello = fs::read(guest::path("hello")).unwrap();
    Outport::command("watch")
        .option("--listen=127.0.0.1:0")
        .manifest(PLAIN)
        .file("web.wasm", hello)
}

/// Which of the guests it is: one answers every path, the other has a page of its own.
fn is(guest: &str, address: SocketAddr) -> bool {
    let Ok(response) = http::get(address, "/") else {
        return false;
    };
    let is_quickstart = response.body.contains("to=");
    is_quickstart == (guest == "quickstart")
}

/// The processes that a process has started.
fn children(id: u32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    listed.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn runs(id: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let is_zombie = stat
        .rsplit_once(") ")
        .is_none_or(|(_, state)| state.starts_with('Z'));
    test_kill_process(Pid::from_raw(id).unwrap()).is_ok() && !is_zombie
}

#[test]
fn what_changes_is_built_and_run_and_the_port_stays() {
    let watched = Watched::copied();
    let address = watched.run.address();
    watched.answers("hello");
    assert_eq!(watched.builds(), 1);
    watched.source("quickstart");
    watched.serves(2);
    watched.answers("quickstart");
    assert_eq!((watched.builds(), watched.served()), (2, 2));
    assert_eq!(
        watched.said(&format!("Serving http://{address}\n")),
        2,
        "{}",
        watched.run
    );
    assert_eq!(watched.said("changed: source/guest\n"), 1, "{}", watched.run);
    // An editor that writes beside the file, and puts the one in the place of the other.
    watched.write("source/.guest.swp", guest::path("hello").display().to_string());
    fs::rename(watched.at("source/.guest.swp"), watched.at("source/guest")).unwrap();
    // Until the first process is gone that is answered as well: what says so is the line.
    watched.serves(3);
    watched.answers("hello");
    assert_eq!((watched.builds(), watched.served()), (3, 3));
    // What makes no other component starts nothing anew.
    watched.write("source/comment", "nothing of that matters");
    until("it is built", || watched.said("Built web") == 4);
    watched.write("source/build", format!("# a comment\n{BUILD}"));
    until("it is built", || watched.said("Built web") == 5);
    assert_eq!(watched.served(), 3);
    // The same once more is no change at all: it is looked at before the change that comes after it.
    watched.write("source/comment", "nothing of that matters");
    watched.source("quickstart");
    watched.answers("quickstart");
    assert_eq!((watched.builds(), watched.said("changed: ")), (6, 5));
    assert_eq!(watched.run.address(), address);
    watched.run.stop().expect_code(0);
}

#[test]
fn two_hundred_files_at_once_are_one_build() {
    // As long a pause as a busy machine makes between two of them.
    let outport = copied().option("--debounce=1s");
    fs::create_dir(outport.folder().join("source/many")).unwrap();
    let watched = Watched::start(outport);
    watched.serves(1);
    for number in 0..200 {
        watched.write(&format!("source/many/{number}"), "new");
    }
    watched.source("quickstart");
    watched.answers("quickstart");
    assert_eq!(watched.builds(), 2, "{}", watched.run);
    assert_eq!(watched.said(", +200\n"), 1, "{}", watched.run);
    watched.run.stop().expect_code(0);
}

#[test]
fn folders_that_come_later_and_again_are_watched_and_so_is_what_is_behind_a_link() {
    let outport = copied().file("elsewhere", "a");
    symlink("../elsewhere", outport.folder().join("source/link")).unwrap();
    let watched = Watched::start(outport);
    watched.serves(1);
    let builds = Cell::new(1);
    let built = |what: &str| {
        builds.set(builds.get() + 1);
        until(
            format_args!("{what}: build {}\n{}", builds.get(), watched.run),
            || watched.said("Built web") == builds.get(),
        );
    };
    fs::create_dir_all(watched.at("source/deep/er")).unwrap();
    watched.write("source/deep/er/file", "1");
    built("a folder is created");
    watched.write("source/deep/er/file", "2");
    built("a file in it changes");
    fs::remove_dir_all(watched.at("source/deep")).unwrap();
    built("it is deleted");
    fs::create_dir_all(watched.at("source/deep/er")).unwrap();
    watched.write("source/deep/er/file", "3");
    built("it is there again");
    watched.write("source/deep/er/file", "4");
    built("a file in it changes again");
    fs::rename(watched.at("source/deep"), watched.at("source/moved")).unwrap();
    built("it is moved");
    watched.write("source/moved/er/file", "5");
    built("a file in it changes where it is now");
    watched.write("elsewhere", "b");
    built("what a link leads to changes");
    assert_eq!(watched.builds(), builds.get());
    // Nothing of a build is its own source.
    fs::create_dir_all(watched.at("source/target")).unwrap();
    watched.write("source/target/x", "1");
    watched.source("quickstart");
    built("the guest is another one");
    assert_eq!(watched.said("changed: source/guest\n"), 1, "{}", watched.run);
    watched.run.stop().expect_code(0);
}

#[test]
fn a_build_that_fails_leaves_the_last_good_version_serving_until_it_is_mended() {
    let watched = Watched::copied();
    watched.serves(1);
    watched.write(
        "source/build",
        "echo build >> builds; echo no such thing >&2; exit 7\n",
    );
    watched
        .run
        .wait_for_error_text("build failed: web; the last good version goes on serving\n");
    watched.run.wait_for_error_text("ended with exit code 7\n");
    watched.answers("hello");
    assert_eq!((watched.builds(), watched.served()), (2, 1), "it is tried once");
    watched.source("quickstart");
    until("it is tried again, since something has changed", || {
        watched.said("build failed: ") == 2
    });
    watched.write("source/build", BUILD);
    watched.answers("quickstart");
    assert_eq!(watched.builds(), 4);
    watched.run.stop().expect_code(0);
}

#[test]
fn the_first_build_may_fail_too() {
    let watched = Watched::start(copied().file("source/build", "exit 1"));
    watched
        .run
        .wait_for_error_text("build failed: web; waiting for a change\n");
    watched.write("source/build", BUILD);
    watched.answers("hello");
    watched.run.stop().expect_code(0);
}

#[test]
fn a_build_that_never_ends_is_replaced_with_all_that_it_has_started() {
    let watched = Watched::copied();
    watched.serves(1);
    for round in 0..3 {
        let forever = format!(
            "sh -c 'trap \"\" TERM; echo $$ > deaf{round}.new; mv deaf{round}.new deaf{round}; while :; do sleep 1; done'\n"
        );
        watched.write("source/build", forever);
        let deaf = watched.at(&format!("deaf{round}"));
        until(format_args!("it builds\n{}", watched.run), || deaf.exists());
        watched.answers("hello");
    }
    watched.write("source/build", BUILD);
    watched.source("quickstart");
    watched.answers("quickstart");
    for round in 0..3 {
        let id = fs::read_to_string(watched.at(&format!("deaf{round}"))).unwrap();
        let id = id.trim().parse().unwrap();
        until("nothing of it is left", || !runs(id));
    }
    watched.run.stop().expect_code(0);
}

#[test]
fn a_build_that_writes_what_it_watches_comes_to_an_end() {
    let generating = format!("date +%N%s > source/generated; {BUILD}");
    let watched = Watched::start(copied().file("source/build", generating));
    watched
        .run
        .wait_for_error_text("the build of web writes what it watches itself (source/generated)");
    watched.serves(1);
    watched.answers("hello");
    let builds = watched.builds();
    assert!(builds <= 4, "{}", watched.run);
    // From then on each change is one build.
    watched.source("quickstart");
    watched.answers("quickstart");
    assert_eq!(watched.builds(), builds + 1);
    assert_eq!(watched.said("writes what it watches"), 1, "{}", watched.run);
    watched.run.stop().expect_code(0);
}

#[test]
fn a_manifest_with_a_mistake_changes_nothing_until_it_is_mended() {
    let watched = Watched::copied();
    watched.serves(1);
    let manifest = fs::read_to_string(watched.at("spin.toml")).unwrap();
    watched.write("spin.toml", manifest.replace("\"/...\"", "\"no slash\""));
    watched
        .run
        .wait_for_error_text("the app cannot be read; the last good version goes on serving\n");
    watched.run.wait_for_error_text("--> spin.toml:7:10");
    watched.answers("hello");
    watched.write("spin.toml", "");
    until("it is told again", || watched.said("the app cannot be read") == 2);
    fs::remove_file(watched.at("spin.toml")).unwrap();
    until("it is told again", || watched.said("the app cannot be read") == 3);
    watched.answers("hello");
    watched.write("spin.toml", manifest.replace("\"/...\"", "\"/there\""));
    watched.serves(2);
    let address = watched.run.address();
    until("the old one is gone", || {
        http::get(address, "/").unwrap().status == 404
    });
    assert_eq!(http::get(address, "/there").unwrap().status, 200);
    // Another pattern is followed from now on.
    watched.write(
        "spin.toml",
        manifest
            .replace("source/**/*", "other/*")
            .replace("sh source/build", "sh other/build"),
    );
    watched.run.wait_for_error_text("build failed: web");
    fs::create_dir(watched.at("other")).unwrap();
    watched.write("other/build", BUILD);
    watched.serves(3);
    until("the one before is gone", || {
        http::get(address, "/").unwrap().status == 200
    });
    watched.run.stop().expect_code(0);
}

#[test]
fn a_mistake_at_the_start_is_waited_for_and_a_manifest_that_is_not_there_is_not() {
    let watched = Watched::start(plain().file("spin.toml", "spin_manifest_version = 3"));
    watched
        .run
        .wait_for_error_text("the app cannot be read; waiting for a change\n");
    watched.write("spin.toml", PLAIN);
    watched.answers("hello");
    watched.run.stop().expect_code(0);
    let finished = Outport::command("watch").finish().expect_code(2);
    assert!(finished.stderr.contains("spin.toml"), "{finished}");
    let finished = Outport::command("watch")
        .option("localhost:1/me/app:1")
        .finish()
        .expect_code(2);
    assert!(finished.stderr.contains("an app in a registry"), "{finished}");
    let finished = plain().option("--upgrade-socket=x").finish().expect_code(2);
    assert!(finished.stderr.contains("is of no use here"), "{finished}");
    let finished = plain().option("--no-such").finish().expect_code(2);
    assert!(
        finished.stderr.contains("Usage: outport watch [OPTIONS]"),
        "{finished}"
    );
}

#[test]
fn values_of_variables_and_files_of_guests_are_watched_without_a_build() {
    let manifest = format!(
        "{PLAIN}files = [{{ source = \"assets\", destination = \"/\" }}]\n[variables]\nword = {{ default = \"x\" }}\n"
    );
    let outport = plain()
        .manifest(&manifest)
        .file("value", "a")
        .option("--variable=word=@value");
    fs::create_dir(outport.folder().join("assets")).unwrap();
    let watched = Watched::start(outport.file("assets/page", "1"));
    watched.serves(1);
    watched.write(".env", "SPIN_VARIABLE_WORD=one\n");
    watched.serves(2);
    watched.write(".env", "SPIN_VARIABLE_WORD=two\n");
    watched.serves(3);
    watched.write("value", "b");
    watched.serves(4);
    watched.write("assets/page", "2");
    watched.serves(5);
    watched.write("assets/other", "3");
    watched.serves(6);
    fs::remove_file(watched.at(".env")).unwrap();
    watched.serves(7);
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.answers("quickstart");
    assert_eq!(watched.said("changed: "), 7, "{}", watched.run);
    watched.run.stop().expect_code(0);
}

#[test]
fn a_version_that_does_not_start_leaves_the_last_good_one_serving() {
    let watched = Watched::start(plain());
    watched.serves(1);
    watched.write("web.wasm", "this is no component");
    watched.run.wait_for_error_text(
        "the new version did not start (exit code 2); the last good version goes on serving\n",
    );
    watched.answers("hello");
    fs::remove_file(watched.at("web.wasm")).unwrap();
    until("it is tried once more", || watched.said("did not start") == 2);
    watched.answers("hello");
    // What serves already is not started anew.
    watched.write("web.wasm", fs::read(guest::path("hello")).unwrap());
    watched.write("web.wasm", fs::read(guest::path("quickstart")).unwrap());
    watched.answers("quickstart");
    watched.run.stop().expect_code(0);
}

#[test]
fn under_load_no_connection_is_refused_and_no_request_fails() {
    let watched = Watched::copied();
    let address = watched.run.address();
    let load = Wrk::start(&format!("http://{address}/hello"), 64);
    for round in 0..5 {
        let good = if round % 2 == 0 { "quickstart" } else { "hello" };
        watched.source(good);
        watched.serves(2 + round);
        // A build that fails in between.
        watched.write("source/build", format!("exit {}\n", round + 1));
        until("it has failed", || watched.said("build failed: ") == 1 + round);
        watched.write("source/build", format!("# {round}\n{BUILD}"));
        until("it is built", || watched.said("Built web") == 3 + 2 * round);
    }
    let load = load.stop();
    assert_eq!(
        load.errors,
        Vec::<String>::new(),
        "of {} requests\n{}",
        load.requests,
        watched.run
    );
    assert!(load.requests > 64 * 5, "{load:?}");
    watched.run.stop().expect_code(0);
}
