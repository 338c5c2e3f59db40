//! `files` and `exclude_files`: a guest reads the files that its manifest names, changes none, and sees no others.

use std::fs;
use std::os::unix::fs::symlink;

use outport_e2e::outport::Outport;
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
        for guest in ["player", "player-p3"] {
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
    for guest in ["player", "player-p3"] {
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
        let app = app("player", lines, &["file.read x"]);
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
    let finished = app("player", "files = [\"none.txt\"]", &["wait 1"])
        .finish()
        .expect_code(2);
    assert!(
        finished.stderr.contains("there is no file `none.txt`"),
        "{finished}"
    );
}
