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
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"it\"\n[[trigger.command]]\ncomponent = \"it\"\n\
         [component.it]\nsource = \"it.wasm\"\n{lines}"
    );
    let file = SourceFile::new("spin.toml", manifest);
    let (manifest, _) = Manifest::parse(&file).complete().expect(lines);
    let root = app.path().join("app");
    let tree = FileTree::copy(&manifest.components[0], &root).map_err(|problem| problem.error)?;
    let Some(tree) = tree else { return Ok(Vec::new()) };
    assert_eq!(tree.directory().access, Access::Read);
    let copies = SourceTree::open(tree.folder.path()).unwrap();
    copies.below("")
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
fn copies_are_removed_with_the_last_tree() {
    let app = app();
    let folder = {
        let file = SourceFile::new(
            "spin.toml",
            "spin_manifest_version = 2\napplication.name = \"it\"\n[[trigger.command]]\ncomponent = \"it\"\n\
             [component.it]\nsource = \"it.wasm\"\nfiles = [\"a.txt\"]\n",
        );
        let (manifest, _) = Manifest::parse(&file).complete().unwrap();
        let tree = FileTree::copy(&manifest.components[0], &app.path().join("app"));
        let tree = tree.ok().flatten().expect("there are files");
        assert!(tree.folder.path().join("a.txt").exists());
        tree.folder.path().to_owned()
    };
    assert!(!folder.exists());
}
