//! `outport build` and `up --build`: the commands that components name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use outport_e2e::outport::{Finished, Outport};
use outport_e2e::until::until;
use rustix::process::{Pid, Signal, test_kill_process};

/// An app of one component that is built so.
fn app(build: &str) -> String {
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "built"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "web.wasm"
{build}
"#
    )
}

fn command(command: &str) -> String {
    app(&format!("[component.web.build]\ncommand = {command:?}\n")).replace("GUEST", "GUESTS/hello.wasm")
}

fn build(manifest: &str) -> Outport {
    Outport::command("build").manifest(manifest)
}

#[track_caller]
fn says(finished: &Finished, texts: &[&str]) {
    for text in texts {
        assert!(finished.stderr.contains(text), "no `{text}`\n{finished}");
    }
}

/// True as long as the process whose number stands in a file runs.
fn runs(file: &Path) -> bool {
    let number = fs::read_to_string(file).unwrap();
    let number = number.trim().parse().unwrap();
    test_kill_process(Pid::from_raw(number).unwrap()).is_ok() && !is_zombie(number)
}

fn is_zombie(number: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, state)| state.starts_with('Z'))
}

#[test]
fn commands_run_one_after_the_other_with_the_component_before_what_they_write() {
    let manifest = app(
        "[component.web.build]\ncommand = [\"pwd; echo one > steps\", \"echo two >> steps; echo to stderr >&2; cp GUESTS/hello.wasm ..; mv ../hello.wasm ../web.wasm\"]\nworkdir = \"source\"\n",
    );
    let outport = build(&manifest);
    fs::create_dir(outport.folder().join("source")).unwrap();
    let steps = outport.folder().join("source/steps");
    let running = outport.start();
    running.wait_for_error_text("Built web");
    assert_eq!(fs::read_to_string(steps).unwrap(), "one\ntwo\n");
    let finished = running.finish().expect_code(0);
    says(
        &finished,
        &[
            "Building web (1 of 2): pwd; echo one > steps (in source)\n",
            "/source\n",
            "[web] to stderr\n",
            "Built web: web.wasm, ",
            " KiB in ",
        ],
    );
    assert_eq!(finished.stdout, "", "it is for guests");
    assert!(finished.stderr.find("one > steps") < finished.stderr.find("two >> steps"));
}

#[test]
fn components_are_built_in_the_order_of_the_manifest_until_one_fails() {
    let manifest = r#"
spin_manifest_version = 2
application = { name = "several" }
[[trigger.http]]
route = "/z"
component = "zebra"
[[trigger.http]]
route = "/a"
component = "ant"
[[trigger.http]]
route = "/n"
component = "none"
[component.zebra]
source = "GUESTS/hello.wasm"
build = { command = "echo zebra >> $ORDER" }
[component.ant]
source = "GUESTS/hello.wasm"
build = { command = "echo ant >> $ORDER; exit $CODE" }
[component.none]
source = "GUESTS/hello.wasm"
[component.last]
source = "GUESTS/hello.wasm"
build = ["echo last >> $ORDER"]
"#;
    let rows: [(&str, &[&str], &str, i32); 4] = [
        ("0", &[], "zebra\nant\nlast\n", 0),
        ("3", &[], "zebra\nant\n", 1),
        (
            "0",
            &["--component=last", "--component=zebra"],
            "zebra\nlast\n",
            0,
        ),
        ("0", &["--component=nobody"], "", 2),
    ];
    let folder = tempfile::tempdir().unwrap();
    let order = folder.path().join("order");
    for (code, options, expected, status) in rows {
        fs::write(&order, "").unwrap();
        let command = build(manifest).variable("CODE", code).variable("ORDER", &order);
        let finished = command
            .options(options.iter().copied())
            .finish()
            .expect_code(status);
        assert_eq!(fs::read_to_string(&order).unwrap(), expected, "{finished}");
    }
    let finished = build(manifest)
        .variable("CODE", "3")
        .variable("ORDER", &order)
        .finish()
        .expect_code(1);
    says(
        &finished,
        &[
            "none has no `build.command`",
            "error: the build of `ant` failed: `echo ant >> $ORDER; exit $CODE` ended with exit code 3",
            "--> spin.toml:",
        ],
    );
}

#[test]
fn what_cannot_be_built_is_told_with_what_to_do() {
    let rows: [(&str, i32, &[&str]); 8] = [
        (
            "frobnicate --all",
            1,
            &[
                "exit code 127",
                "`frobnicate` is not installed, or not on the `PATH`",
            ],
        ),
        (
            "PATH=/nowhere cargo build --target wasm32-wasip2",
            1,
            &["exit code 127", "https://rustup.rs"],
        ),
        (
            "echo 'error[E0463]: cannot find crate' >&2; echo '  = note: the `wasm32-wasip2` target may not be installed' >&2; exit 101",
            1,
            &["exit code 101", "`rustup target add wasm32-wasip2`"],
        ),
        ("kill -9 $$", 1, &["was ended by SIGKILL", "too little memory"]),
        ("./notes", 1, &["exit code 126", "`chmod +x`"]),
        (
            "true",
            1,
            &[
                "`web` was built, and `web.wasm` is not there",
                "spin.toml:11:11",
                "correct `source`",
            ],
        ),
        ("mkdir web.wasm", 1, &["`web.wasm` is not a file"]),
        // What an attacker can have printed is not obeyed where it is quoted.
        (
            "printf '\u{1b}[2J'; exit 1",
            1,
            &["failed: `printf '\\u{1b}[2J'; exit 1`"],
        ),
    ];
    for (text, code, expected) in rows {
        let manifest = app(&format!(
            "[component.web.build]\ncommand = {}\n",
            serde_json::to_string(text).unwrap()
        ));
        let outport = build(&manifest).file("notes", "text");
        let notes = outport.folder().join("notes");
        fs::set_permissions(notes, fs::Permissions::from_mode(0o644)).unwrap();
        says(&outport.finish().expect_code(code), expected);
    }
}

#[test]
fn a_workdir_stays_beside_the_manifest_and_nothing_runs_before_all_are_looked_at() {
    for (workdir, expected) in [
        ("..", "leads out of the directory of the manifest"),
        ("a/../../b", "leads out of the directory of the manifest"),
        ("/tmp", "leads out of the directory of the manifest"),
        ("absent", "cannot be entered: No such file"),
        ("spin.toml", "is not a directory"),
    ] {
        let manifest = format!(
            r#"
spin_manifest_version = 2
application = {{ name = "outside" }}
[[trigger.http]]
route = "/..."
component = "web"
[component.first]
source = "web.wasm"
build = {{ command = "touch began" }}
[component.web]
source = "web.wasm"
build = {{ command = "touch began", workdir = "{workdir}" }}
"#
        );
        let running = build(&manifest).start();
        let began = running.folder().join("began");
        running.wait_for_error_text(expected);
        assert!(!began.exists());
        says(&running.finish().expect_code(2), &["spin.toml:12:", "`workdir`"]);
    }
}

#[test]
fn a_mistake_in_the_manifest_is_told_as_by_up() {
    let manifest = command("true").replace("\"/...\"", "\"no slash\"");
    let of_build = build(&manifest).finish().expect_code(2);
    let of_up = Outport::command("up").manifest(&manifest).finish().expect_code(2);
    assert_eq!(of_build.stderr, of_up.stderr);
    let finished = Outport::command("build").finish().expect_code(2);
    says(&finished, &["spin.toml"]);
}

#[test]
fn an_app_without_commands_has_nothing_to_build() {
    let finished = build(&app("")).finish().expect_code(0);
    says(
        &finished,
        &["Nothing to build: no component has a `build.command`"],
    );
}

#[test]
fn quiet_shows_what_a_command_wrote_only_if_it_fails() {
    let fine = build(&command("echo much; cp GUEST web.wasm"))
        .option("-q")
        .finish();
    assert_eq!(fine.expect_code(0).stderr, "");
    let bad = build(&command("echo much; exit 1"))
        .option("-q")
        .finish()
        .expect_code(1);
    says(&bad, &["[web] much\n", "error: the build of `web` failed"]);
}

#[test]
fn long_lines_and_much_output_are_bounded_and_what_stays_behind_holds_nobody_up() {
    let text = "head -c 3000000 /dev/zero | tr '\\0' x; sleep 600 & echo $! > left; cp GUEST web.wasm";
    let running = build(&command(text)).within(Duration::from_secs(60)).start();
    running.wait_for_error_text("Built web");
    let left: i32 = fs::read_to_string(running.folder().join("left"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let finished = running.finish().expect_code(0);
    let longest = finished.stderr.lines().map(str::len).max().unwrap();
    assert!(longest < 9000, "{longest}");
    let _ = rustix::process::kill_process(Pid::from_raw(left).unwrap(), Signal::KILL);
}

#[test]
fn who_interrupts_a_build_leaves_nothing_behind() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        // The second one does not listen.
        let text = "sh -c 'trap \"\" TERM INT HUP; echo $$ > deaf; while :; do sleep 1; done' & echo $$ > shell; sleep 600";
        let running = build(&command(text)).start();
        let (deaf, shell) = (running.folder().join("deaf"), running.folder().join("shell"));
        until("both run", || {
            let is_there = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'));
            is_there(&deaf) && is_there(&shell)
        });
        running.signal(signal);
        until("nothing is left", || !runs(&deaf) && !runs(&shell));
        running.finish().expect_code(code);
    }
}

#[test]
fn who_interrupts_a_build_need_not_read_what_it_writes() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let text = "echo $$ > shell; head -c 3000000 /dev/zero | tr '\\0' '\\n'; touch done";
        let outport = build(&command(text)).after("exec 2>&1").unread_stdout();
        let mut running = outport.start();
        let shell = running.folder().join("shell");
        until("it runs", || {
            fs::read_to_string(&shell).is_ok_and(|text| text.ends_with('\n'))
        });
        running.until_idle();
        assert!(runs(&shell), "it waits for who reads");
        running.signal(signal);
        until("nothing is left", || !runs(&shell));
        assert!(!running.folder().join("done").exists());
        running.finish().expect_code(code);
    }
}

#[test]
fn a_workdir_that_is_empty_is_beside_the_manifest() {
    let manifest = command("cp GUEST web.wasm").replace("command =", "workdir = \"\"\ncommand =");
    let finished = build(&manifest).finish().expect_code(0);
    says(&finished, &["Built web: web.wasm, "]);
    assert!(!finished.stderr.contains("(in "), "{finished}");
}

#[test]
fn up_builds_first_if_that_is_asked_for() {
    let manifest = command("echo building; cp GUEST web.wasm");
    let run = Outport::up(&manifest).option("--build").start();
    run.wait_for_error_text("[web] building\n");
    assert_eq!(run.get("/").status, 200);
    run.stop().expect_code(0);
    // Without it nothing is run, and the command is quoted.
    let run = Outport::up(&manifest).finish().expect_code(2);
    says(
        &run,
        &["build it with `outport build`, which runs `echo building;"],
    );
    assert!(!run.stderr.contains("[web]"), "{run}");
    let run = Outport::up(&command("exit 9"))
        .option("--build")
        .finish()
        .expect_code(1);
    says(&run, &["ended with exit code 9"]);
    assert!(!run.stderr.contains("Serving"), "{run}");
    // What is not wanted is not built.
    let run = Outport::up(&manifest)
        .options(["--build", "--component=nobody"])
        .finish();
    says(&run.expect_code(2), &["the app has no component `nobody`"]);
}

#[test]
fn code_from_elsewhere_is_never_built() {
    let run = Outport::command("up")
        .options(["--build", "localhost:1/me/app:1.0"])
        .finish()
        .expect_code(2);
    says(
        &run,
        &[
            "`--build` would run commands of `localhost:1/me/app:1.0`",
            "leave `--build` out",
        ],
    );
}
