use super::*;

fn of(path: &Path) -> Followed<'_> {
    Followed::open(path, true)
        .map_err(|_| "it cannot be opened")
        .unwrap()
}

/// What is new since the last time.
fn news(followed: &mut Followed<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut buffer = [0; 7];
        let read = followed.file.read(&mut buffer).unwrap();
        followed.position += read as u64;
        let mut each = |line: &[u8]| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        };
        followed.lines(&buffer[..read], &mut each).unwrap();
        if read == 0 && !followed.go_on().unwrap() {
            return lines;
        }
    }
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_log_is_followed_through_rotation_removal_and_cutting_off() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
    append(&path, "one, which is long\ntw");
    let mut followed = of(&path);
    assert_eq!(news(&mut followed), ["one, which is long"]);
    append(&path, "o\n");
    assert_eq!(news(&mut followed), ["two"]);

    // The writer goes on in the old file until it has noticed.
    std::fs::rename(&path, &old).unwrap();
    append(&old, "three\n");
    assert_eq!(news(&mut followed), ["three"]);
    append(&old, "four\n");
    append(&path, "five\n");
    assert_eq!(news(&mut followed), ["four", "five"]);

    std::fs::remove_file(&path).unwrap();
    assert_eq!(news(&mut followed), [] as [&str; 0]);
    append(&path, "six\n");
    assert_eq!(news(&mut followed), ["six"]);

    std::fs::write(&path, "").unwrap();
    assert_eq!(news(&mut followed), [] as [&str; 0]);
    append(&path, "7\n");
    assert_eq!(news(&mut followed), ["7"]);
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    append(&path, &"x".repeat(3 * LONGEST_LINE));
    let mut followed = of(&path);
    assert_eq!(news(&mut followed), [] as [&str; 0]);
    assert!(followed.begun.capacity() <= 4 * LONGEST_LINE);
    append(&path, "x\nnext\n");
    assert_eq!(news(&mut followed), ["next"]);
}

#[test]
fn what_does_not_grow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.gz");
    std::fs::write(&path, b"\x1f\x8b\x08").unwrap();
    for path in [&path, folder.path(), &folder.path().join("no")] {
        assert!(Followed::open(path, true).is_err(), "{}", path.display());
    }
}

#[test]
fn an_outcome_passes_by_the_name_that_its_decision_has() {
    let line = |rest: &str| {
        format!(
            r#"{{"ts":"2026-03-01T09:30:00.000Z","process":1772357400000,"component":"web","instance":3,"attempt":"tcp.connect","destination":"10.0.0.5:5432"{rest}}}"#
        )
    };
    let filter = Filter {
        destinations: vec![outport_records::Destination::written("db.example.com")],
        ..Filter::default()
    };
    let mut printer = Printer {
        format: Format::Json,
        filter: &filter,
        runs: Runs::default(),
        names: Names::default(),
    };
    let rows = [
        (r#","id":7,"name":"db.example.com","verdict":"allow""#, true),
        (r#","decision":7,"outcome":"succeeded""#, true),
        (r#","decision":8,"outcome":"succeeded""#, false),
        (r#","decision":7,"outcome":"ended""#, true),
        // It is over, and nobody knows it any more.
        (r#","decision":7,"outcome":"ended""#, false),
    ];
    for (rest, passes) in rows {
        let shown = printer.shown(line(rest).as_bytes());
        assert_eq!(shown.is_some(), passes, "{rest}");
    }
}
