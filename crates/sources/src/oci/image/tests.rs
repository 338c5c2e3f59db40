//! Layers that cover each other, lead out of the tree, or are bombs.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

/// An entry without the checks of the library that writes it.
fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let put = |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
    put(&mut header.as_old_mut().name, name);
    put(&mut header.as_old_mut().linkname, link);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

fn archive(entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, link, content) in entries {
        entry(&mut builder, *kind, name, link, content.as_bytes());
    }
    builder.into_inner().unwrap()
}

fn laid(layers: &[Vec<u8>]) -> Result<Vec<String>, TreeError> {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    for layer in layers {
        unpack(&**layer, Packing::Plain, layer.len() as u64, &mut tree)?;
    }
    let index = tree.finish()?;
    Ok(index.into_keys().collect())
}

use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink};

#[test]
fn layers_cover_each_other() {
    let lower = archive(&[
        (Directory, "./", "", ""),
        (Regular, "./spin.toml", "", "old"),
        (Regular, "a/one", "", "1"),
        (Regular, "a/two", "", "2"),
        (Regular, "b/one", "", "1"),
        (Regular, "c", "", "a file below"),
    ]);
    let upper = archive(&[
        (Regular, "spin.toml", "", "new"),
        (Regular, "a/.wh.two", "", ""),
        (Regular, "b/new", "", ""),
        (Regular, "b/.wh..wh..opq", "", ""),
        (Regular, ".wh.c", "", ""),
        (Regular, "c/now", "", "a directory above"),
        (Link, "d", "spin.toml", ""),
    ]);
    let names = laid(&[lower, upper]).unwrap();
    assert_eq!(names, ["a/one", "b/new", "c/now", "d", "spin.toml"]);
}

#[test]
fn a_directory_covers_what_is_below_wherever_whiteouts_stand() {
    type Entries = &'static [(EntryType, &'static str, &'static str, &'static str)];
    let rows: &[(Entries, Entries, &[&str])] = &[
        // A file, a link.
        (
            &[(Regular, "x", "", "old")],
            &[(Directory, "x/", "", ""), (Regular, "x/y", "", "new")],
            &["x/y"],
        ),
        (
            &[(Symlink, "x", "z", "")],
            &[(Directory, "x/", "", ""), (Regular, "x/y", "", "new")],
            &["x/y"],
        ),
        (
            &[(Regular, "x", "", "old")],
            &[(Regular, "x/y", "", "")],
            &["x/y"],
        ),
        (&[(Regular, "x", "", "old")], &[(Directory, "x/", "", "")], &[]),
        // The other way round.
        (
            &[(Directory, "x/", "", ""), (Regular, "x/y", "", "old")],
            &[(Regular, "x", "", "new")],
            &["x"],
        ),
        (&[(Directory, "x/", "", "")], &[(Link, "x", "z", "")], &[]),
        // A whiteout behind what takes the place, or before it.
        (
            &[(Regular, "x", "", "old")],
            &[(Regular, "x", "", "new"), (Regular, ".wh.x", "", "")],
            &["x"],
        ),
        (
            &[(Regular, "x/old", "", ""), (Regular, "x/both", "", "old")],
            &[
                (Regular, "x/new", "", ""),
                (Regular, ".wh.x", "", ""),
                (Regular, "x/both", "", "new"),
            ],
            &["x/both", "x/new"],
        ),
        (
            &[(Regular, "x/y/old", "", "")],
            &[
                (Regular, "x/y/new", "", ""),
                (Regular, ".wh..wh..opq", "", ""),
                (Regular, ".wh..wh..opq", "", ""),
            ],
            &["x/y/new"],
        ),
    ];
    for (lower, upper, expected) in rows {
        let names = laid(&[archive(lower), archive(upper)]).unwrap();
        assert_eq!(names, *expected, "{lower:?} {upper:?}");
    }
}

#[test]
fn what_leads_out_or_is_no_file_refuses_the_whole() {
    type Entries = &'static [(EntryType, &'static str, &'static str, &'static str)];
    let rows: &[(Entries, &str)] = &[
        (&[(Regular, "/etc/passwd", "", "")], "name"),
        (&[(Directory, "/", "", "")], "name"),
        (&[(Regular, "../x", "", "")], "name"),
        (&[(Regular, "a/../../x", "", "")], "name"),
        (&[(Directory, "a/..", "", "")], "name"),
        (&[(Regular, "a/.wh...", "", "")], "name"),
        (&[(Regular, ".wh..", "", "")], "name"),
        (&[(Symlink, "a", "../x", "")], "link"),
        (&[(Symlink, "a/b", "../../x", "")], "link"),
        (&[(Link, "a", "../x", "")], "name"),
        (&[(Link, "a", "/etc/passwd", "")], "name"),
        (&[(Symlink, "a", "b", ""), (Regular, "a/x", "", "")], "twice"),
        (&[(Regular, "a", "", ""), (Regular, "a/x", "", "")], "twice"),
        (&[(Regular, "a", "", "1"), (Regular, "a", "", "2")], "twice"),
        (&[(Regular, "a/x", "", ""), (Regular, "a", "", "")], "twice"),
        (&[(Directory, "a", "", ""), (Regular, "a", "", "")], "twice"),
        (&[(Symlink, "a", "b", ""), (Directory, "a", "", "")], "twice"),
        (&[(Char, "null", "", "")], "special"),
        (&[(Block, "sda", "", "")], "special"),
        (&[(Fifo, "pipe", "", "")], "special"),
        (&[(GNUSparse, "sparse", "", "")], "special"),
    ];
    for (entries, expected) in rows {
        let is = match laid(&[archive(entries)]) {
            Err(TreeError::Name { .. }) => "name",
            Err(TreeError::Link { .. }) => "link",
            Err(TreeError::Twice { .. }) => "twice",
            Err(TreeError::Special { .. }) => "special",
            other => panic!("{entries:?}: {other:?}"),
        };
        assert_eq!(is, *expected, "{entries:?}");
    }
}

#[test]
fn a_bomb_ends_before_it_is_unpacked() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let mut header = Header::new_gnu();
    header.set_path("zeroes").unwrap();
    header.set_size(1 << 30);
    header.set_cksum();
    packed.write_all(header.as_bytes()).unwrap();
    for _ in 0..128 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(folder.path().to_owned());
    let size = 300_000;
    assert!((packed.len() as u64) > size);
    let outcome = unpack(&*packed, Packing::Gzip, size, &mut tree);
    assert!(matches!(outcome, Err(TreeError::Bomb)), "{outcome:?}");
}

#[test]
fn long_names_are_read_and_bounded() {
    let long = format!("{}/x", "d".repeat(200));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_cksum();
    builder.append_data(&mut header, &long, &b"1"[..]).unwrap();
    assert_eq!(laid(&[builder.into_inner().unwrap()]).unwrap(), [long]);

    let mut builder = Builder::new(Vec::new());
    let endless = "n".repeat(1 << 20);
    entry(
        &mut builder,
        EntryType::GNULongName,
        "././@LongLink",
        "",
        endless.as_bytes(),
    );
    entry(&mut builder, Regular, "x", "", b"");
    let outcome = laid(&[builder.into_inner().unwrap()]);
    assert!(matches!(outcome, Err(TreeError::Name { .. })), "{outcome:?}");

    let mut builder = Builder::new(Vec::new());
    entry(
        &mut builder,
        EntryType::XHeader,
        "pax",
        "",
        b"17 path=../../x\n\n",
    );
    entry(&mut builder, Regular, "x", "", b"");
    assert!(laid(&[builder.into_inner().unwrap()]).is_err());
}

#[test]
fn what_is_cut_off_is_an_error() {
    let whole = archive(&[(Regular, "a", "", "content")]);
    assert!(laid(&[whole[..514].to_vec()]).is_err());
    assert!(laid(&[b"no archive at all".to_vec()]).is_err());
}
