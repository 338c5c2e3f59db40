//! `files` and `exclude_files`: a guest reads the files that its manifest names, changes none, and sees no others.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::results;

/// An app that runs `statements`, with some files in its folder.
fn app(guest: &str, lines: &str, statements: &[&str]) -> Outport {
    let app = Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"files\"\n[[trigger.command]]\ncomponent = \"it\"\n\
         args = {statements:?}\n[component.it]\nsource = \"GUESTS/{guest}.wasm\"\n{lines}\n"
    ));
    let folder = app.folder();
    for (path, content) in [
        ("a.txt", "first"),
        ("pages/one.html", "one"),
        ("pages/deep/two.html", "two"),
        ("pages/key.secret", "hidden"),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder of our own");
        fs::write(path, content).expect("a file of our own");
    }
    app
}

#[test]
fn a_guest_reads_the_files_that_its_manifest_names_and_no_others() {
    // (files of the manifest, statement, result)
    let rows = [
        ("files = [\"a.txt\"]", "file.read a.txt", "first"),
        ("files = [\"a.txt\"]", "file.read pages/one.html", "no-entry"),
        ("files = [\"a.txt\"]", "file.read spin.toml", "no-entry"),
        ("files = [\"a.txt\"]", "file.read ../a.txt", "not-permitted"),
        ("files = [\"pages/*.html\"]", "file.read pages/one.html", "one"),
        (
            "files = [\"pages/*.html\"]",
            "file.read pages/deep/two.html",
            "no-entry",
        ),
        ("files = [\"**/*\"]", "file.read pages/deep/two.html", "two"),
        (
            "files = [{ source = \"pages\", destination = \"/www\" }]",
            "file.read www/deep/two.html",
            "two",
        ),
        (
            "files = [{ source = \"a.txt\", destination = \"/b/c.txt\" }]",
            "file.read b/c.txt",
            "first",
        ),
        (
            "files = [\"pages/**/*\"]\nexclude_files = [\"pages/*.secret\"]",
            "file.read pages/key.secret",
            "no-entry",
        ),
        ("", "file.read a.txt", "no-directory"),
    ];
    for (lines, statement, result) in rows {
        for guest in ["script-guest", "script-guest-p3"] {
            let finished = app(guest, lines, &[statement]).finish().expect_code(0);
            assert_eq!(
                results(&finished.stdout),
                [result],
                "{lines} {statement}\n{finished}"
            );
        }
    }
}

#[test]
fn a_guest_changes_no_file() {
    for guest in ["script-guest", "script-guest-p3"] {
        let statements = [
            "file.write a.txt changed",
            "file.write new.txt text",
            "file.read a.txt",
        ];
        let app = app(guest, "files = [\"a.txt\"]", &statements);
        let original = app.folder().join("a.txt");
        let running = app.start();
        running.wait_for_line("3 file.read");
        let content = fs::read_to_string(original).expect("the file of our own");
        let finished = running.finish().expect_code(0);
        let [first, second, read] = results(&finished.stdout)[..] else {
            panic!("{finished}")
        };
        for refused in [first, second] {
            assert!(["read-only", "not-permitted"].contains(&refused), "{finished}");
        }
        assert_eq!((read, content.as_str()), ("first", "first"), "{finished}");
    }
}

#[test]
fn a_link_that_leads_out_of_the_app_keeps_it_from_starting() {
    let lines = [
        "files = [\"out.txt\"]",
        "files = [\"*.txt\"]",
        "files = [{ source = \"out.txt\", destination = \"/x\" }]",
        "files = [{ source = \"out\", destination = \"/x\" }]",
        "files = [{ source = \"..\", destination = \"/x\" }]",
    ];
    for lines in lines {
        let app = app("script-guest", lines, &["file.read x"]);
        let folder = app.folder();
        symlink("/etc/hostname", folder.join("out.txt")).expect("a link of our own");
        symlink("/etc", folder.join("out")).expect("a link of our own");
        let finished = app.finish().expect_code(2);
        assert!(finished.stderr.contains("leads out"), "{lines}\n{finished}");
        assert!(
            finished.stderr.contains("spin.toml:"),
            "with its place\n{finished}"
        );
    }
}

#[test]
fn a_file_that_is_missing_keeps_the_app_from_starting() {
    let finished = app("script-guest", "files = [\"none.txt\"]", &["wait 1"])
        .finish()
        .expect_code(2);
    assert!(
        finished.stderr.contains("there is no file `none.txt`"),
        "{finished}"
    );
}

// proves: ISO-7
#[test]
fn hostile_patterns_neither_hold_up_the_start_nor_fill_the_disk() {
    // (files of the manifest, what is said of it; none where it starts)
    let rows = [
        (format!("files = [\"{}x\"]", "**/".repeat(16)), None),
        (format!("files = [\"{}x\"]", "**/*a*/".repeat(100)), None),
        (
            format!("files = [\"**/*\"]\nexclude_files = [\"{}x\"]", "**/".repeat(16)),
            None,
        ),
        (
            format!("files = [\"{}\"]", "a".repeat(5000)),
            Some("more than 4096 bytes"),
        ),
        ("files = [\"huge\"]".into(), Some("--max-files-size SIZE")),
    ];
    for (lines, said) in rows {
        let app = app("script-guest", &lines, &["print ready"]).option("--max-files-size=1M");
        let deep = app.folder().join(vec!["a"; 40].join("/"));
        fs::create_dir_all(&deep).expect("folders of our own");
        fs::write(deep.join("file"), "deep").expect("a file of our own");
        if said.is_some() {
            let huge = fs::File::create(app.folder().join("huge")).expect("a file of our own");
            huge.set_len(1 << 40).expect("it has holes");
        }
        let start = Instant::now();
        let finished = app.finish().expect_code(if said.is_some() { 2 } else { 0 });
        assert!(start.elapsed() < Duration::from_secs(60), "{lines}");
        assert!(
            finished.stderr.contains(said.unwrap_or_default()),
            "{lines}\n{finished}"
        );
    }
}

fn run_script(app: &Running, script: &str) -> String {
    let address: SocketAddr = app.address();
    let length = script.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{script}"
    );
    let response = http::send(address, &request).expect("an answer");
    results(&response.body).join(" ")
}

/// `serve` of the script guest with these directories, and those beside it that each test is about.
fn serving(guest: &str, folder: &Path, directories: &[&str]) -> Running {
    for (path, content) in [("a/pub/f", "pub"), ("a/f", "a"), ("secret/f", "secret")] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder of our own");
        fs::write(path, content).expect("a file of our own");
    }
    let shown = directories.iter().flat_map(|directory| {
        let (host, guest) = directory.split_once("::").expect("both names");
        [
            "--dir".into(),
            format!("{}::{guest}", folder.join(host).display()),
        ]
    });
    Outport::serve(guest::path(guest)).options(shown).start()
}

/// What a guest with the directory above could do, done by the test.
type Change = fn(&Path) -> std::io::Result<()>;

// proves: ISO-4
#[test]
fn no_rename_link_or_removal_changes_what_the_next_instance_gets() {
    // (what is done, what the next instance reads)
    let rows: [(Change, &str); 5] = [
        (|root| fs::rename(root.join("a/pub"), root.join("a/moved")), "pub"),
        (
            |root| {
                fs::rename(root.join("a/pub"), root.join("a/moved"))?;
                symlink("../secret", root.join("a/pub"))
            },
            "pub",
        ),
        (
            |root| {
                fs::rename(root.join("a"), root.join("b"))?;
                fs::create_dir_all(root.join("a"))?;
                symlink("../secret", root.join("a/pub"))
            },
            "pub",
        ),
        (
            |root| {
                fs::remove_dir_all(root.join("a/pub"))?;
                symlink("../secret", root.join("a/pub"))
            },
            "no-entry",
        ),
        (
            |root| {
                fs::remove_dir_all(root.join("a/pub"))?;
                fs::create_dir(root.join("a/pub"))?;
                fs::write(root.join("a/pub/f"), "made anew")
            },
            "no-entry",
        ),
    ];
    for guest in ["http-script-guest", "http-script-guest-p3"] {
        for (number, (change, expected)) in rows.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let app = serving(guest, folder.path(), &["a/pub::/pub", "a::/data"]);
            assert_eq!(run_script(&app, "file.read f"), "pub", "{guest} {number}\n{app}");
            change(folder.path()).expect("folders of our own");
            assert_eq!(
                run_script(&app, "file.read f"),
                *expected,
                "{guest} {number}\n{app}"
            );
            // It is the same directory for writing, too.
            let written = run_script(&app, "file.write new text");
            assert_eq!(
                written == "ok",
                *expected == "pub",
                "{guest} {number}: {written}\n{app}"
            );
            assert!(!folder.path().join("secret/new").exists(), "{guest} {number}");
            app.stop().expect_code(0);
        }
    }
}

// proves: ISO-4
#[test]
fn links_in_a_directory_lead_nowhere_outside_of_it() {
    for guest in ["http-script-guest", "http-script-guest-p3"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let app = serving(guest, folder.path(), &["a/pub::/pub"]);
        let shown = folder.path().join("a/pub");
        symlink("../../secret", shown.join("up")).expect("a link of our own");
        symlink(folder.path().join("secret"), shown.join("absolute")).expect("a link of our own");
        symlink("/proc/self/cwd", shown.join("magic")).expect("a link of our own");
        symlink("f", shown.join("inside")).expect("a link of our own");
        for path in [
            "up/f",
            "absolute/f",
            "magic/f",
            "../f",
            "../../secret/f",
            "up/../f",
        ] {
            let read = run_script(&app, &format!("file.read {path}"));
            assert!(
                ["not-permitted", "access"].contains(&&*read),
                "{guest} {path}: {read}\n{app}"
            );
            let written = run_script(&app, &format!("file.write {path} text"));
            assert!(
                ["not-permitted", "access"].contains(&&*written),
                "{guest} {path}: {written}\n{app}"
            );
        }
        assert_eq!(run_script(&app, "file.read inside"), "pub", "{guest}\n{app}");
        let secret = fs::read_to_string(folder.path().join("secret/f")).expect("a file of our own");
        assert_eq!(secret, "secret");
    }
}

// proves: ISO-4
#[test]
fn a_directory_that_is_missing_is_told_before_anything_runs() {
    let commands = [
        Outport::serve(guest::path("http-script-guest")),
        Outport::script_guest().args(["print ran"]),
    ];
    for command in commands {
        let finished = command.option("--dir=none::/x").finish().expect_code(2);
        assert!(
            finished.stderr.contains("cannot open the directory `none`"),
            "{finished}"
        );
        assert!(!finished.stdout.contains("ran"), "{finished}");
    }
}

// proves: ISO-7
#[test]
fn code_that_a_guest_could_write_is_not_kept() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let places = [cache.path().to_owned(), cache.path().join("outport/compiled")];
    fs::create_dir_all(&places[1]).expect("a folder of our own");
    fs::set_permissions(&places[1], std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    for place in places {
        let finished = Outport::script_guest()
            .variable("XDG_CACHE_HOME", cache.path())
            .option(format!("--dir={}::/x", place.display()))
            .args(["print ran"])
            .finish()
            .expect_code(0);
        assert!(
            finished
                .stderr
                .contains("compiled code is not kept: the guest can write"),
            "{finished}"
        );
    }
    let kept = fs::read_dir(cache.path().join("outport/compiled")).expect("a folder of our own");
    assert_eq!(kept.count(), 0);
}
