//! `outport init` and `outport new` beside others of their kind, and what they keep of an app that is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use outport_e2e::author::{files_of, outport};
use outport_e2e::outport::binary;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = outport(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn begun(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn of_many_at_once_none_loses_what_another_added() {
    let root = folder();
    done(root.path(), &["new", "http-js", "shop"]);
    let app = root.path().join("shop");
    // Some of them know the app by another name.
    fs::create_dir(root.path().join("other")).unwrap();
    symlink("../shop", root.path().join("other/link")).unwrap();
    let link = root.path().join("other/link");
    let names: Vec<_> = (0..10).map(|number| format!("part-{number}")).collect();
    let children: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            begun(
                if index % 2 == 0 { &app } else { &link },
                &["init", "http-python", name],
            )
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let manifest = fs::read_to_string(app.join("spin.toml")).unwrap();
    let tests = fs::read_to_string(app.join("outport.test.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("[component.{name}]\n")), "{manifest}");
        assert!(
            manifest.contains(&format!("route = \"/{name}/...\"")),
            "{manifest}"
        );
        assert!(tests.contains(&format!("component = \"{name}\"")), "{tests}");
        assert!(app.join(name).join("app.py").exists());
    }
}

#[test]
fn of_many_that_want_the_same_place_one_gets_it_and_the_others_say_so() {
    let rows: [&[&str]; 3] = [
        &["new", "http-js", "shop"],
        &["new", "http-js", "shop", "--output", "empty"],
        &["init", "http-js"],
    ];
    for arguments in rows {
        let root = folder();
        fs::create_dir(root.path().join("empty")).unwrap();
        let children: Vec<_> = (0..8).map(|_| begun(root.path(), arguments)).collect();
        let mut made = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let told = said(&output);
            match output.status.code() {
                Some(0) => made += 1,
                Some(2) => assert!(told.contains("already") && !told.contains("os error"), "{told}"),
                other => panic!("{other:?}: {told}"),
            }
        }
        // A later `init` may find an app, and add a component with the template's name.
        let most = if arguments[0] == "init" { 2 } else { 1 };
        assert!((1..=most).contains(&made), "{arguments:?}: {made}");
        let left: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|one| one.unwrap().file_name())
            .collect();
        assert!(
            !left
                .iter()
                .any(|name| name.to_string_lossy().starts_with(".outport")),
            "{left:?}"
        );
    }
}

#[test]
fn a_folder_that_no_app_can_be_called_as_names_the_command_that_was_typed() {
    let root = folder();
    let place = root.path().join("123");
    fs::create_dir(&place).unwrap();
    let output = outport(&place, &["init", "http-js"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("`outport init http-js NAME`"),
        "{}",
        said(&output)
    );
    assert!(files_of(&place).is_empty());
}

#[test]
fn line_ends_and_the_byte_order_mark_stay() {
    let root = folder();
    done(root.path(), &["new", "http-js", "shop"]);
    let app = root.path().join("shop");
    let manifest = fs::read_to_string(app.join("spin.toml")).unwrap();
    let mixed = format!("\u{feff}# mine\r\n{manifest}");
    fs::write(app.join("spin.toml"), &mixed).unwrap();
    let tests = fs::read_to_string(app.join("outport.test.toml")).unwrap();
    fs::write(
        app.join("outport.test.toml"),
        format!("\u{feff}{}", tests.replace('\n', "\r\n")),
    )
    .unwrap();
    done(&app, &["init", "http-python", "web"]);

    let changed = fs::read_to_string(app.join("spin.toml")).unwrap();
    assert!(changed.starts_with("\u{feff}# mine\r\n"), "{changed:?}");
    assert_eq!(changed.matches('\r').count(), 1, "{changed:?}");
    assert_eq!(changed.matches('\u{feff}').count(), 1, "{changed:?}");
    assert!(changed.contains("[component.web]\n"), "{changed:?}");
    let changed = fs::read_to_string(app.join("outport.test.toml")).unwrap();
    assert!(
        changed.starts_with('\u{feff}') && changed.contains("component = \"web\"\r\n"),
        "{changed:?}"
    );
    assert_eq!(
        changed.matches('\n').count(),
        changed.matches("\r\n").count(),
        "{changed:?}"
    );
}

#[test]
fn a_folder_is_shown_as_it_is_typed_or_not_at_all() {
    let root = folder();
    for (place, line) in [
        (&b"it's here"[..], Some(r"  cd 'it'\''s here'")),
        (b"-a", Some("  cd ./-a")),
        (b"a\nb", None),
        (b"a\xff", None),
    ] {
        let output = Command::new(binary())
            .args(["new", "http-js", "shop"])
            .arg({
                let mut option = std::ffi::OsString::from("--output=");
                option.push(OsStr::from_bytes(place));
                option
            })
            .current_dir(root.path())
            .output()
            .unwrap();
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        let shown = told.lines().find(|line| line.trim_start().starts_with("cd "));
        assert_eq!(shown, line, "{told}");
        assert!(
            root.path()
                .join(OsStr::from_bytes(place))
                .join("spin.toml")
                .exists()
        );
    }
}
