//! Artifacts that a containerd of these tests hands out: a program that writes what it is told to.

use std::io::Write;

use tar::{Builder, EntryType, Header};

use super::*;

const APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const CODE: &str = "application/vnd.wasm.content.layer.v1+wasm";
const REFERENCE: &str = "registry.example.com/shop:1";

/// An archive in the making.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, name: &str, kind: EntryType, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o444);
        // As it is, where `set_path` would refuse what leads out.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).expect("in memory");
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, content)
    }

    /// A layout of one manifest with these layers; digests are no digests of anything.
    fn of(layers: &[(&str, &[u8])]) -> Self {
        let digest = |number: usize| format!("{number:064x}");
        let described: Vec<Value> = layers
            .iter()
            .enumerate()
            .map(|(number, (kind, content))| {
                json!({ "mediaType": kind, "digest": format!("sha256:{}", digest(number)), "size": content.len() })
            })
            .collect();
        let manifest = json!({ "schemaVersion": 2, "layers": described }).to_string();
        let mut archive = Self::new().entry("blobs/", EntryType::Directory, b"").entry(
            "blobs/sha256/",
            EntryType::Directory,
            b"",
        );
        for (number, (_, content)) in layers.iter().enumerate() {
            archive = archive.file(&format!("blobs/sha256/{}", digest(number)), content);
        }
        archive = archive.file(&format!("blobs/sha256/{}", digest(77)), manifest.as_bytes());
        archive.index(&[&digest(77)])
    }

    fn index(self, digests: &[&str]) -> Self {
        let entries = digests
            .iter()
            .map(|digest| json!({ "digest": format!("sha256:{digest}"), "size": 1 }));
        let index = json!({ "schemaVersion": 2, "manifests": entries.collect::<Vec<_>>() });
        // Which nobody needs.
        let archive = self.file("manifest.json", b"[]");
        archive
            .file("index.json", index.to_string().as_bytes())
            .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("in memory")
    }
}

/// A container without files whose image containerd hands out so: what it writes, and the lines of a shell behind it.
fn container(archive: &[u8], script: &str) -> Made {
    let mut made = Made::new(&["/"]);
    made.configuration["annotations"]["io.kubernetes.cri.image-name"] = json!(REFERENCE);
    let folder = made.folder.path().to_owned();
    fs::write(folder.join("archive"), archive).expect("a file of our own");
    let ctr = folder.join("ctr");
    let mut file = fs::File::create(&ctr).expect("a file of our own");
    let words = folder.join("words");
    write!(
        file,
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{}\ncat {}\n{script}\n",
        words.display(),
        folder.join("archive").display()
    )
    .expect("written");
    drop(file);
    fs::set_permissions(&ctr, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    made.settings.artifacts.ctr = Some(ctr);
    made.settings.artifacts.address = "/run/c.sock".into();
    made
}

#[test]
fn an_app_in_spins_layout_is_brought_and_mounted() {
    let archive = Archive::of(&[(APP, b"{}"), (CODE, b"\0asm")]).bytes();
    let made = container(&archive, "");
    let aside = tempfile::tempdir().expect("a folder");
    symlink(aside.path(), made.folder.path().join("work")).expect("a link");
    let edited = made.prepared().expect("an app");
    let expected = json!([
        "/.outport/outport",
        "up",
        "-f",
        REFERENCE,
        "--oci-layout=/.outport/image",
        "--offline"
    ]);
    assert_eq!(edited["process"]["args"], expected);
    let layout = aside.path().canonicalize().expect("there").join("outport-image");
    let mount = json!({ "destination": "/.outport/image", "type": "bind", "source": layout,
                        "options": ["bind", "ro", "nosuid", "nodev"] });
    assert!(
        edited["mounts"].as_array().expect("mounts").contains(&mount),
        "{edited}"
    );
    let code = layout.join(format!("blobs/sha256/{:064x}", 1));
    assert_eq!(fs::read(&code).expect("there"), b"\0asm");
    assert_eq!(
        fs::metadata(&code).expect("there").permissions().mode() & 0o777,
        0o644
    );
    let words = fs::read_to_string(made.folder.path().join("words")).expect("asked");
    let words: Vec<&str> = words.lines().collect();
    let expected = [
        "--address",
        "/run/c.sock",
        "--namespace",
        "k8s.io",
        "images",
        "export",
        "--all-platforms",
        "--skip-manifest-json",
        "-",
        REFERENCE,
    ];
    assert_eq!(words, expected);
}

#[test]
fn an_image_that_has_files_is_nothing_that_is_asked_for() {
    let archive = Archive::of(&[(APP, b"{}")]).bytes();
    let made = container(&archive, "").file("readme", "x");
    let said = made.prepared().expect_err("no app");
    assert!(said.starts_with("the image is no app for Outport"), "{said}");
    assert!(!made.folder.path().join("words").exists());
    let mut made = container(&archive, "");
    made.configuration["annotations"] = json!({});
    let said = made.prepared().expect_err("no name");
    assert!(said.starts_with("the image is no app for Outport"), "{said}");
}

#[test]
fn what_is_made_to_do_harm_is_refused_and_nothing_of_it_stays() {
    let blob = |number: usize| format!("blobs/sha256/{number:064x}");
    let whole = || Archive::of(&[(APP, b"{}")]);
    let other = "its archive has something else than a layout: ";
    let rows = [
        (Archive::new().file("../../outside", b"x").bytes(), other),
        (Archive::new().file("/etc/cron.d/x", b"x").bytes(), other),
        (Archive::new().file("blobs/sha256/../../x", b"x").bytes(), other),
        (Archive::new().file("blobs/sha256/ABC", b"x").bytes(), other),
        (
            Archive::new().entry(&blob(1), EntryType::Symlink, b"").bytes(),
            other,
        ),
        (
            Archive::new().entry(&blob(1), EntryType::Link, b"").bytes(),
            other,
        ),
        (
            Archive::new().entry(&blob(1), EntryType::Fifo, b"").bytes(),
            other,
        ),
        (
            Archive::new().entry("etc/", EntryType::Directory, b"").bytes(),
            other,
        ),
        (
            Archive::new().file(&blob(1), b"x").file(&blob(1), b"y").bytes(),
            "it cannot be written: File exists",
        ),
        (
            Archive::new().file(&blob(1), &vec![0; (2 << 20) + 1]).bytes(),
            "it has more than 2 MiB, which is the most that this node has for one",
        ),
        (Archive::new().bytes(), "its index cannot be read: No such file"),
        (
            b"no archive at all".to_vec(),
            "its index cannot be read: No such file",
        ),
        (
            Archive::new().file("index.json", b"{").bytes(),
            "its index cannot be read: EOF",
        ),
        (Archive::new().index(&[]).bytes(), "it is not one artifact"),
        (
            Archive::new().index(&["../../../etc/passwd"]).bytes(),
            "`sha256:../../../etc/passwd` is no digest",
        ),
        (
            Archive::new().index(&[&"a".repeat(64)]).bytes(),
            "its manifest cannot be read: No such file",
        ),
        (
            Archive::of(&[("application/vnd.oci.image.layer.v1.tar", b"x")]).bytes(),
            "has no files, and is no app in Spin's layout either, but has application/vnd.oci.image.layer.v1.tar; push",
        ),
        (
            Archive::of(&[("application/wasm\u{1b}[31m\n", b"x")]).bytes(),
            "but has application/wasm\\u{1b}[31m\\n",
        ),
    ];
    for (number, (archive, expected)) in rows.into_iter().enumerate() {
        let mut made = container(&archive, "");
        made.settings.artifacts.max_bytes = 2 << 20;
        let said = made.prepared().expect_err("it is wrong");
        let is_one_line = said.len() < 700 && !said.contains(['\n', '\u{1b}']);
        assert!(
            is_one_line && said.contains(expected) && said.contains(REFERENCE),
            "{number}: {said}"
        );
        assert!(!made.folder.path().join("outport-image").exists(), "{number}");
    }
    // A layer that is not there, or not all of it.
    let cut = whole().bytes();
    let made = container(&cut[..cut.len() - 3_000], "");
    assert!(made.prepared().is_err());
}

#[test]
fn what_containerd_says_is_in_the_event() {
    let whole = Archive::of(&[(APP, b"{}")]).bytes();
    let rows = [
        (
            "echo 'ctr: image \"x\": not found' >&2; exit 1",
            "`ctr` says: image \"x\": not found",
        ),
        ("exit 3", "`ctr` says: nothing"),
        ("sleep 60", "containerd takes longer than 2 s"),
    ];
    for (script, expected) in rows {
        let said = container(&whole, script).prepared().expect_err("it fails");
        let expected = format!("the image `{REFERENCE}` cannot be taken out of containerd: {expected}");
        assert_eq!(said, expected);
    }
    for name in ["--help", "a b", "$(x)", "x\ny", &"a".repeat(2_000)] {
        let mut made = container(&whole, "");
        made.configuration["annotations"]["io.kubernetes.cri.image-name"] = json!(name);
        let said = made.prepared().expect_err("no name");
        assert!(said.ends_with("this is no name of an image"), "{said}");
        assert!(!made.folder.path().join("words").exists());
    }
}
