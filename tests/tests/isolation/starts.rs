//! What is hostile before anything is served: files that are none, patterns that take long (ISO-7; code that takes long to
//! compile has its tests in `bad_input.rs`, with a limit that is reached sooner than the default), names with
//! line breaks (RSN-4); and a guest that changes what another instance gets (ISO-4).

use std::fs;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::component::{Hostile, data, times};
use crate::table::alone;
use crate::watch::Watch;

/// How a start went.
struct Start {
    took: Duration,
    serves: bool,
    stderr: String,
}

fn start(name: &str, outport: Outport) -> Start {
    let begin = Instant::now();
    let mut running = outport.start();
    let watch = Watch::of(running.id());
    let (mut serves, mut peak) = (false, 0);
    while begin.elapsed() < LIMIT && !serves {
        peak = watch.peak().max(peak);
        if watch.ends_within(Duration::from_millis(20)).is_some() {
            break;
        }
        serves = running.stderr().contains("Serving http://");
    }
    let took = begin.elapsed();
    running.signal(Signal::TERM);
    if watch.ends_within(Duration::from_secs(10)).is_none() {
        running.signal(Signal::KILL);
    }
    let stderr = running.finish().stderr;
    println!(
        "{name:34} {} after {:.1} s, {} MiB: {:.100}",
        if serves { "serves" } else { "ends" },
        took.as_secs_f64(),
        peak >> 20,
        stderr
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or_default()
    );
    Start { took, serves, stderr }
}

/// How long a start may take here; the tests' own limit is far beyond it.
const LIMIT: Duration = Duration::from_secs(60);

fn app(component: &str) -> Outport {
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"start\"\n[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
         [component.web]\n{component}\n"
    ))
}

// proves: ISO-7
#[test]
fn iso_7_a_source_that_is_a_fifo_is_refused_before_it_is_opened() {
    alone("source that is a FIFO", || {
        let outport = app("source = \"web.wasm\"");
        let fifo = outport.folder().join("web.wasm");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a FIFO in a folder of our own");
        let start = start("source that is a FIFO", outport);
        assert!(
            !start.serves && start.took < Duration::from_secs(30),
            "{:?}",
            start.took
        );
        assert!(start.stderr.contains("web.wasm"), "{}", start.stderr);
    });
}

// proves: ISO-7
#[test]
fn iso_7_files_that_are_fifos_do_not_hang_a_start() {
    alone("files that are FIFOs", || {
        let outport = app("source = \"GUESTS/hello.wasm\"\nfiles = [\"a\", \"*\"]");
        let fifo = outport.folder().join("a");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a FIFO in a folder of our own");
        let start = start("files that are FIFOs", outport);
        assert!(start.took < Duration::from_secs(30), "{:?}", start.took);
    });
}

// proves: ISO-7
#[test]
fn iso_7_a_pattern_of_many_stars_is_matched_in_bounded_time() {
    alone("16 times **/", || {
        let pattern = "**/".repeat(16) + "a*a*a*a*a*b";
        let outport = app(&format!(
            "source = \"GUESTS/hello.wasm\"\nfiles = [\"{pattern}\"]"
        ));
        let deep = (0..24).fold(outport.folder().to_owned(), |folder, _| folder.join("aaaa"));
        fs::create_dir_all(&deep).expect("folders of our own");
        for number in 0..50 {
            fs::write(deep.join(format!("aaaaaaaaaaaaaaa{number}")), "").expect("a file of our own");
        }
        let start = start("16 times **/", outport);
        assert!(start.took < Duration::from_secs(30), "{:?}", start.took);
    });
}

// proves: RSN-4
#[test]
fn rsn_4_a_line_break_in_a_file_name_forges_no_line() {
    alone("line break in a file name", || {
        let name = "web.wasm\ndenied: forged to 10.0.0.5:80";
        let folder = tempfile::tempdir().expect("a temporary folder");
        for command in ["serve", "run"] {
            for code in [
                fs::read(guest::path("hello")).expect("a guest"),
                b"no component".to_vec(),
            ] {
                let path = folder.path().join(name);
                fs::write(&path, code).expect("a file of our own");
                let outport = Outport::command(command).args([&path]);
                let outport = if command == "serve" {
                    outport.option("--listen=127.0.0.1:0")
                } else {
                    outport
                };
                let start = start("line break in a file name", outport);
                let forged = start
                    .stderr
                    .lines()
                    .find(|line| line.starts_with("denied: forged"));
                assert_eq!(forged, None, "{}", start.stderr);
            }
        }
    });
}

/// The status that the hostile component answers with at `path`.
fn status(running: &Running) -> u16 {
    http::get(running.address(), "/").map_or(0, |response| response.status)
}

// proves: ISO-3
#[test]
fn iso_3_a_directory_is_listed_at_the_cost_of_who_lists_it() {
    alone("a directory that is listed", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let long = "n".repeat(200);
        for number in 0..3000 {
            fs::write(folder.path().join(format!("{long}{number}")), "").expect("a file of our own");
        }
        // Counts the entries of /d whose type is that of a file and whose name is long, drops them, and answers with 200
        // and a thousandth of their number.
        let directory = "(i32.load (i32.load (i32.const 1024)))";
        let counts = Hostile::new(format!(
            "(call $directories (i32.const 1024))
             (call $descriptor.read-directory {directory} (i32.const 1040))
             (local.set $i (i32.load (i32.const 1044)))
             (block $done (loop $on
               (call $entries.next (local.get $i) (i32.const 1056))
               (br_if $done (i32.or (i32.load8_u (i32.const 1056)) (i32.eqz (i32.load8_u (i32.const 1060)))))
               (local.set $j (i32.add (local.get $j) (i32.and
                 (i32.eq (i32.load8_u (i32.const 1064)) (i32.const 6))
                 (i32.gt_u (i32.load (i32.const 1072)) (i32.const 200)))))
               (br $on)))
             (call $drop.entries (local.get $i))
             (local.set $i (call $outgoing-response.new (call $fields.new)))
             (drop (call $outgoing-response.set-status (local.get $i)
               (i32.add (i32.const 200) (i32.div_u (local.get $j) (i32.const 1000)))))
             (call $response-outparam.set (local.get $out) (i32.const 0) (local.get $i) (i32.const 0) (i64.const 0)
               (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
        ))
        .pages(40);
        let keeps = Hostile::new(format!(
            "(call $directories (i32.const 1024)) {} (call $hold (i64.const 20000))",
            times(
                "i",
                200,
                &format!("(call $descriptor.read-directory {directory} (i32.const 1040))")
            )
        ));
        for (hostile, expected) in [(counts, 203), (keeps, 500)] {
            let component = folder.path().with_extension("wasm");
            fs::write(&component, hostile.build()).expect("a file of our own");
            let running = Outport::serve(&component)
                .option(format!("--dir={}::/d", folder.path().display()))
                .option("--max-memory=64M")
                .start();
            assert_eq!(status(&running), expected, "{running}");
            let finished = running.stop();
            let ended = finished.stderr.contains("needs more memory than it may have");
            assert_eq!(ended, expected == 500, "{finished}");
            fs::remove_file(component).expect("a file of our own");
        }
    });
}

// proves: ISO-4
#[test]
fn iso_4_what_one_instance_renames_changes_no_directory_of_the_next() {
    alone("a directory that is renamed", || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["data/pub", "secret"] {
            fs::create_dir_all(folder.path().join(name)).expect("folders of our own");
        }
        fs::write(folder.path().join("secret/key"), "secret").expect("a file of our own");
        // The first request renames `pub` and plants a link in its place; each says whether `/pub/key` is there: 200
        // if it is, 404 if not. Directories are /data (first) and /pub (second).
        let (first, second) = (
            "(i32.load (i32.load (i32.const 1024)))",
            "(i32.load (i32.add (i32.load (i32.const 1024)) (i32.const 12)))",
        );
        let body = format!(
            "(call $directories (i32.const 1024))
             (call $descriptor.rename-at {first} (i32.const 64) (i32.const 3) {first} (i32.const 70) (i32.const 3) (i32.const 1040))
             (call $descriptor.symlink-at {first} (i32.const 80) (i32.const 9) (i32.const 64) (i32.const 3) (i32.const 1040))
             (call $descriptor.open-at {second} (i32.const 1) (i32.const 96) (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 1040))
             (local.set $i (call $outgoing-response.new (call $fields.new)))
             (drop (call $outgoing-response.set-status (local.get $i)
               (select (i32.const 404) (i32.const 200) (i32.load8_u (i32.const 1040)))))
             (call $response-outparam.set (local.get $out) (i32.const 0) (local.get $i) (i32.const 0) (i64.const 0)
               (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
        );
        let hostile = Hostile::new(body)
            .items(data(64, "pub") + &data(70, "old") + &data(80, "../secret") + &data(96, "key"));
        let component = folder.path().join("hostile.wasm");
        fs::write(&component, hostile.build()).expect("a file of our own");
        let dir = |path: &str, guest: &str| format!("--dir={}::{guest}", folder.path().join(path).display());
        let running = Outport::serve(component)
            .option(dir("data", "/data"))
            .option(dir("data/pub", "/pub"))
            .start();
        let statuses = [(); 3].map(|()| status(&running));
        println!(
            "{:34} /pub/key answers {statuses:?}; link planted: {}",
            "a directory that is renamed",
            folder.path().join("data/pub").is_symlink()
        );
        running.stop();
        assert_eq!(statuses, [404; 3], "the host's files are read through /pub");
    });
}
