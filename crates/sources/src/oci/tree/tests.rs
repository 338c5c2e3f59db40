use super::*;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

#[test]
fn links_become_names_of_files_and_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    tree.add(&path("bin/busy"), &mut &b"code"[..]).unwrap();
    for (name, target) in [
        ("bin/sh", "busy"),
        ("up", "bin/sh"),
        ("abs", "/bin/busy"),
        ("dir", "bin"),
        ("gone", "nothing"),
    ] {
        tree.link(&path(name), target).unwrap();
    }
    for (name, target) in [("out", ".."), ("a/out", "../../etc/passwd"), ("zero", "a\0")] {
        let error = tree.link(&path(name), target).unwrap_err();
        assert!(matches!(error, TreeError::Link { .. }), "{name}");
    }
    assert!(matches!(
        tree.add(&path("dir/x"), &mut &b""[..]),
        Err(TreeError::Twice { .. })
    ));
    assert!(matches!(
        tree.add(&path("bin"), &mut &b""[..]),
        Err(TreeError::Twice { .. })
    ));
    let index = tree.finish().unwrap();
    let names: Vec<&str> = index.keys().map(String::as_str).collect();
    assert_eq!(names, ["abs", "bin/busy", "bin/sh", "up"]);
    assert_eq!(fs::read(folder.path().join("up")).unwrap(), b"code");
    assert!(is_as_it_was(folder.path(), &index).unwrap());
}

#[test]
fn directories_are_entries() {
    let folder = tempfile::tempdir().unwrap();
    let deep = |levels: usize| format!("{}x", "d/".repeat(levels));
    // Files of which each needs many directories.
    let mut tree = Tree::unwritten();
    let mut add = |number: usize| tree.add(&path(&format!("{number}/{}", deep(98))), &mut &b""[..]);
    let fine = (0..MOST_ENTRIES / 100).all(|number| add(number).is_ok());
    assert!(fine);
    assert!(matches!(add(MOST_ENTRIES), Err(TreeError::ManyEntries)));

    // What is removed has been made all the same.
    let mut tree = Tree::new(folder.path().to_owned());
    tree.spent.entries = MOST_ENTRIES - 2;
    tree.add(&path("a/b"), &mut &b""[..]).unwrap();
    tree.remove(&path("a")).unwrap();
    assert!(matches!(tree.directory(&path("c")), Err(TreeError::ManyEntries)));
}

#[test]
fn links_have_the_bytes_that_they_lead_to() {
    let mut tree = Tree::unwritten();
    tree.add(&path("large"), &mut &[0; 1 << 10][..]).unwrap();
    tree.link(&path("one"), "large").unwrap();
    tree.link(&path("two"), "one").unwrap();
    tree.spent.bytes = MOST_BYTES - (2 << 10);
    let mut more = Tree::after(None, tree.spent);
    assert!(tree.finish().is_ok());
    more.add(&path("large"), &mut &[0; 1 << 10][..]).unwrap();
    for name in ["one", "two"] {
        more.link(&path(name), "large").unwrap();
    }
    assert!(matches!(more.finish(), Err(TreeError::ManyBytes)));
}

#[test]
fn a_file_has_more_names_than_a_file_system_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    tree.add(&path("file"), &mut &b"content"[..]).unwrap();
    for number in 0..66_000 {
        tree.link(&path(&number.to_string()), "file").unwrap();
    }
    let index = tree.finish().unwrap();
    assert_eq!(index.len(), 66_001);
    assert_eq!(fs::read(folder.path().join("65999")).unwrap(), b"content");
}

#[test]
fn a_tree_that_is_not_written_is_what_it_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let indexes = [Tree::new(folder.path().to_owned()), Tree::unwritten()].map(|mut tree| {
        tree.add(&path("a/b"), &mut &b"one"[..]).unwrap();
        tree.add(&path("a/c/d"), &mut &b"two"[..]).unwrap();
        tree.directory(&path("empty")).unwrap();
        tree.link(&path("link"), "a/b").unwrap();
        tree.remove(&path("a/c/d")).unwrap();
        tree.finish().unwrap()
    });
    assert_eq!(indexes[0], indexes[1]);
    assert!(is_as_it_was(folder.path(), &indexes[1]).unwrap());
}

#[test]
fn links_in_a_circle_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    tree.link(&path("a"), "b").unwrap();
    tree.link(&path("b"), "a").unwrap();
    assert!(matches!(tree.finish(), Err(TreeError::Link { .. })));
}

#[test]
fn every_change_of_a_tree_is_noticed() {
    let made = || {
        let folder = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(folder.path().to_owned());
        tree.add(&path("a/b"), &mut &b"one"[..]).unwrap();
        tree.add(&path("c"), &mut &b"two"[..]).unwrap();
        let index = tree.finish().unwrap();
        (folder, index)
    };
    type Change = fn(&Path);
    let rows: [(&str, Change, bool); 6] = [
        (
            "a directory more",
            |root| fs::create_dir(root.join("a/empty")).unwrap(),
            false,
        ),
        ("nothing", |_| {}, true),
        (
            "other bytes",
            |root| fs::write(root.join("c"), "tw0").unwrap(),
            false,
        ),
        (
            "a file more",
            |root| fs::write(root.join("a/d"), "").unwrap(),
            false,
        ),
        (
            "a file less",
            |root| fs::remove_file(root.join("a/b")).unwrap(),
            false,
        ),
        (
            "a link",
            |root| {
                fs::rename(root.join("c"), root.join("../moved-c-of-test")).unwrap();
                std::os::unix::fs::symlink("../moved-c-of-test", root.join("c")).unwrap();
                let _ = fs::remove_file(root.join("../moved-c-of-test"));
            },
            false,
        ),
    ];
    for (what, change, expected) in rows {
        let (folder, index) = made();
        change(folder.path());
        assert_eq!(is_as_it_was(folder.path(), &index).unwrap(), expected, "{what}");
    }
}

#[test]
fn what_is_removed_is_gone_with_all_below() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    for name in ["a/b", "a/c/d", "ab"] {
        tree.add(&path(name), &mut &b"x"[..]).unwrap();
    }
    tree.remove(&path("a")).unwrap();
    tree.add(&path("a"), &mut &b"now a file"[..]).unwrap();
    let index = tree.finish().unwrap();
    assert_eq!(index.keys().collect::<Vec<_>>(), ["a", "ab"]);
    assert!(is_as_it_was(folder.path(), &index).unwrap());
}
