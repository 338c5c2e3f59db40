//! Copies of real files in a temporary directory.

use std::os::unix::fs::symlink;

use outport_manifest::{Manifest, SourceFile};
use tempfile::TempDir;

use super::*;

/// An app with some files, and more beside it.
fn app() -> TempDir {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("app");
    for (path, text) in [
        ("app/a.txt", "a"),
        ("app/img/1.png", "1"),
        ("app/img/2.jpg", "2"),
        ("app/img/deep/3.png", "3"),
        ("app/assets/x/y.txt", "y"),
        ("app/assets/key.secret", "k"),
        ("outside.txt", "not for guests"),
    ] {
        let path = outside.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("a.txt", root.join("inside.link")).unwrap();
    outside
}

fn copied(app: &TempDir, lines: &str) -> Result<Vec<String>, FilesError> {
    copied_within(DEFAULT_BYTES, app, lines)
}

fn copied_within(bytes: u64, app: &TempDir, lines: &str) -> Result<Vec<String>, FilesError> {
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"it\"\n[[trigger.command]]\ncomponent = \"it\"\n\
         [component.it]\nsource = \"it.wasm\"\n{lines}"
    );
    let file = SourceFile::new("spin.toml", manifest);
    let (manifest, _) = Manifest::parse(&file).complete().expect(lines);
    let root = app.path().join("app");
    let tree = FileTree::copy(
        &manifest.components[0],
        &root,
        &CacheDirectory::of_the_environment(None),
        bytes,
    );
    let looked = FileTree::look(&manifest.components[0], &root, bytes);
    let tree = tree.map_err(|mut problems| {
        let told = |problems: &[FilesProblem]| {
            let told = problems
                .iter()
                .map(|problem| (problem.error.to_string(), problem.span.clone()));
            told.collect::<Vec<_>>()
        };
        if !matches!(problems[0].error, FilesError::TooLarge { .. }) {
            assert_eq!(told(&looked), told(&problems), "{lines}");
        }
        problems.remove(0).error
    })?;
    assert!(looked.is_empty(), "{lines}");
    let Some(tree) = tree else { return Ok(Vec::new()) };
    let directories = tree.directories();
    let [root] = directories.list() else {
        panic!("{directories:?}")
    };
    assert_eq!(root.access, Access::Read);
    let copies = SourceTree::open(&root.host).unwrap();
    copies.below("", &Bounds::new(0))
}

#[test]
fn files_are_copied_to_where_the_manifest_wants_them() {
    let app = app();
    let rows: [(&str, &[&str]); 8] = [
        ("", &[]),
        ("files = [\"a.txt\"]", &["a.txt"]),
        ("files = [\"inside.link\"]", &["inside.link"]),
        ("files = [\"img/*.png\"]", &["img/1.png"]),
        (
            "files = [\"**/*.png\", \"none/*\"]",
            &["img/1.png", "img/deep/3.png"],
        ),
        (
            "files = [{ source = \"assets\", destination = \"/pub\" }]\nexclude_files = [\"**/*.secret\"]",
            &["pub/x/y.txt"],
        ),
        (
            "files = [{ source = \"./assets/\", destination = \"/\" }]",
            &["key.secret", "x/y.txt"],
        ),
        (
            "files = [{ source = \"a.txt\", destination = \"/b/c.txt\" }]",
            &["b/c.txt"],
        ),
    ];
    for (lines, expected) in rows {
        assert_eq!(copied(&app, lines).expect(lines), expected, "{lines}");
    }
}

#[test]
fn nothing_leads_out_of_the_manifests_directory() {
    let app = app();
    let root = app.path().join("app");
    symlink("../outside.txt", root.join("up.link")).unwrap();
    symlink(app.path().join("outside.txt"), root.join("absolute.link")).unwrap();
    symlink("..", root.join("dir.link")).unwrap();
    let rows = [
        "files = [\"up.link\"]",
        "files = [\"absolute.link\"]",
        "files = [\"dir.link/outside.txt\"]",
        "files = [\"*.link\"]",
        "files = [{ source = \"up.link\", destination = \"/x\" }]",
        "files = [{ source = \"dir.link\", destination = \"/x\" }]",
        "files = [{ source = \"..\", destination = \"/x\" }]",
        "files = [{ source = \"/etc\", destination = \"/x\" }]",
        "files = [\"../outside.txt\"]",
    ];
    for lines in rows {
        let error = copied(&app, lines).expect_err(lines);
        assert!(error.to_string().contains("leads out"), "{lines}: {error}");
    }
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let app = app();
    let rows = [
        "files = [\"none.txt\"]",
        "files = [{ source = \"none\", destination = \"/\" }]",
        "files = [\"a.txt/b\"]",
    ];
    for lines in rows {
        let error = copied(&app, lines).expect_err(lines);
        assert!(matches!(error, FilesError::Missing { .. }), "{lines}: {error}");
    }
}

#[test]
fn all_files_that_cannot_be_given_are_told_at_once() {
    let app = app();
    // (the lines, the number of problems)
    let rows = [
        (
            "files = [\"none\", \"img/[\", \"../x\", { source = \"no\", destination = \"/\" }, \"a.txt\"]",
            4,
        ),
        (
            "files = [\"none\", \"img/[\"]\nexclude_files = [\"[\", \"a.txt\", \"b[\"]",
            3,
        ),
        ("files = [\"**/*.png\", \"a.txt\"]", 0),
    ];
    for (lines, expected) in rows {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"it\"\n[[trigger.command]]\ncomponent = \"it\"\n\
             [component.it]\nsource = \"it.wasm\"\n{lines}"
        );
        let (manifest, _) = Manifest::parse(&SourceFile::new("spin.toml", manifest))
            .complete()
            .expect(lines);
        let component = &manifest.components[0];
        let (root, cache) = (app.path().join("app"), CacheDirectory::of_the_environment(None));
        let found = match FileTree::copy(component, &root, &cache, DEFAULT_BYTES) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        assert_eq!(found.len(), expected, "{lines} {found:?}");
        let mut places: Vec<usize> = found.iter().map(|problem| problem.span.start).collect();
        places.dedup();
        assert_eq!(places.len(), expected, "{lines} {found:?}");
    }
}

// proves: ISO-7
#[test]
fn what_is_neither_a_file_nor_a_directory_is_refused_and_nobody_waits() {
    let app = app();
    let root = app.path().join("app");
    let owner = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("img/pipe"), pipe, owner, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("assets/socket")).unwrap();
    symlink("img/pipe", root.join("link")).unwrap();
    let rows = [
        "files = [\"img/pipe\"]",
        "files = [\"img/*\"]",
        "files = [\"**/*\"]",
        "files = [\"link\"]",
        "files = [\"l*\"]",
        "files = [{ source = \"img/pipe\", destination = \"/x\" }]",
        "files = [{ source = \"assets\", destination = \"/x\" }]",
    ];
    for lines in rows {
        let error = copied(&app, lines).expect_err(lines);
        let is_refused = matches!(error, FilesError::NeitherFileNorDirectory { .. });
        assert!(is_refused, "{lines}: {error}");
    }
    let around = "files = [\"img/*\"]\nexclude_files = [\"img/pipe\"]";
    assert_eq!(copied(&app, around).unwrap(), ["img/1.png", "img/2.jpg"]);
}

// proves: ISO-7
#[test]
fn what_is_copied_and_looked_at_is_bounded() {
    let app = app();
    let huge = File::create(app.path().join("app/huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let rows = [
        "files = [\"huge\"]",
        "files = [\"a.txt\", \"a.txt\", \"a.txt\"]",
        "files = [\"**/*.png\", \"a.txt\"]",
    ];
    for lines in rows {
        let error = copied_within(2, &app, lines).expect_err(lines);
        assert!(
            matches!(error, FilesError::TooLarge { most: 2 }),
            "{lines}: {error}"
        );
    }
    assert_eq!(copied_within(1, &app, "files = [\"a.txt\"]").unwrap(), ["a.txt"]);

    let bounds = Bounds::new(0);
    let tree = SourceTree::open(&app.path().join("app")).unwrap();
    let ended = std::iter::repeat_with(|| tree.below("img", &bounds))
        .take(1_000_000)
        .find_map(Result::err);
    assert!(matches!(ended, Some(FilesError::TooMany { .. })), "{ended:?}");
}

#[test]
fn copies_are_removed_with_the_last_tree() {
    let app = app();
    let folder = {
        let file = SourceFile::new(
            "spin.toml",
            "spin_manifest_version = 2\napplication.name = \"it\"\n[[trigger.command]]\ncomponent = \"it\"\n\
             [component.it]\nsource = \"it.wasm\"\nfiles = [\"a.txt\"]\n",
        );
        let (manifest, _) = Manifest::parse(&file).complete().unwrap();
        let tree = FileTree::copy(
            &manifest.components[0],
            &app.path().join("app"),
            &CacheDirectory::of_the_environment(None),
            DEFAULT_BYTES,
        );
        let tree = tree.ok().flatten().expect("there are files");
        let folder = tree.directories().list()[0].host.clone();
        assert!(folder.join("a.txt").exists());
        folder
    };
    assert!(!folder.exists());
}
