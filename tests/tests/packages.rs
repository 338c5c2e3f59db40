//! What `scripts/dist` hands out: made of the binary that the tests have, installed into a clean root, used and removed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use outport_e2e::clean_root::CleanRoot;
use outport_e2e::guest::workspace;
use outport_e2e::outport::binary;
use outport_e2e::schema;
use outport_e2e::until::until;
use rustix::process::{Pid, Signal, kill_process};

/// `scripts/dist`, with the binary of the tests, into a folder.
fn dist(out: &Path, what: &[&str]) -> Command {
    let mut command = Command::new(workspace().join("scripts/dist"));
    command
        .args(what)
        .arg("--binary")
        .arg(binary())
        .arg("--out")
        .arg(out)
        // A package that is made and read once need not be small.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1")
        .env("SOURCE_DATE_EPOCH", "1767225600");
    command
}

#[track_caller]
fn succeeded(command: &mut Command) -> String {
    let output = command.output().expect("a program of the system");
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Names of the files in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn deb(out: &Path) -> std::path::PathBuf {
    let name = names(out).into_iter().find(|name| name.ends_with(".deb"));
    out.join(name.expect("a Debian package"))
}

#[test]
fn the_debian_package_serves_as_its_own_user_and_leaves_nothing_but_data() {
    let Some(root) = CleanRoot::new() else { return };
    let out = tempfile::tempdir().expect("a temporary folder");
    succeeded(&mut dist(out.path(), &["deb"]));
    let package = deb(out.path());
    let before = root.files();
    fs::copy(&package, root.path("/tmp/outport.deb")).expect("the package fits into the root");

    root.shell("dpkg --install /tmp/outport.deb");
    let user = root.shell("getent passwd outport");
    assert!(user.ends_with(":/var/lib/outport:/usr/sbin/nologin\n"), "{user}");
    let defaults = fs::metadata(root.path("/etc/default/outport")).expect("the file of variables");
    assert_eq!(
        defaults.permissions().mode() & 0o777,
        0o640,
        "it may hold passwords"
    );
    assert_eq!(
        root.shell("dpkg --verify outport"),
        "",
        "files are what the package says"
    );
    let verified = root.shell(
        "mkdir /etc/outport/apps/shop; systemd-analyze verify outport@shop.service outport@shop.socket",
    );
    assert_eq!(verified, "", "systemd has nothing to say about the units");
    assert_eq!(
        root.shell("man --warnings outport outport-trigger-cron outport-runc 2>&1 >/dev/null"),
        ""
    );
    // It becomes runc, which is not there.
    let runc = root.shell("outport-runc --version 2>&1 || true");
    assert!(runc.contains("runc"), "{runc}");
    assert!(
        root.shell("man outport-up | cat")
            .contains("--disallowed-outbound-hosts")
    );
    assert!(
        root.shell("bash -c '. /usr/share/bash-completion/completions/outport; complete -p outport'")
            .contains("outport")
    );

    let (allowed, denied) = serve_the_quickstart(&root);
    assert!(allowed.contains("connected to 127.0.0.1:3000"), "{allowed}");
    assert!(
        denied.contains("access-denied: no connection to 127.0.0.1:22"),
        "{denied}"
    );

    // Installed over itself, as by an upgrade: what the operator wrote stays.
    root.shell("echo '# mine' >>/etc/outport/outport.toml; dpkg --install /tmp/outport.deb");
    assert!(root.shell("cat /etc/outport/outport.toml").ends_with("# mine\n"));

    root.shell("touch /etc/outport/apps/shop/spin.toml; install -D -o outport /dev/null /var/lib/outport/shop/kept.db");
    root.shell("dpkg --remove outport; test -e /etc/outport/outport.toml");
    let purged = root.shell("dpkg --purge outport");
    for left in [
        "/etc/outport/apps is left",
        "/var/lib/outport is left",
        "the user outport is left",
    ] {
        assert!(purged.contains(left), "{left}: {purged}");
    }
    let data: Vec<_> = root
        .files()
        .into_iter()
        .filter(|file| !before.contains(file))
        .collect();
    let expected = [
        "./etc/outport",
        "./etc/outport/apps",
        "./etc/outport/apps/shop",
        "./etc/outport/apps/shop/spin.toml",
        "./var/lib/outport",
        "./var/lib/outport/shop",
        "./var/lib/outport/shop/kept.db",
    ];
    assert_eq!(data, expected);

    root.shell("dpkg --install /tmp/outport.deb; rm -r /etc/outport/apps/shop /var/lib/outport/shop; dpkg --purge outport");
    assert_eq!(root.files(), before, "without data nothing is left");
    assert!(
        !root.shell("cat /etc/passwd /etc/group").contains("outport"),
        "nor the user"
    );
}

/// What the quickstart answers about an address on its list and about one that is not, run by the user of the package as
/// its unit does, in a root that has no systemd to start it.
fn serve_the_quickstart(root: &CleanRoot) -> (String, String) {
    let script = r#"
        install -d -o outport -g outport -m 700 /var/cache/outport/quickstart
        as_outport="setpriv --reuid=outport --regid=outport --init-groups --inh-caps=-all --bounding-set=-all --no-new-privs"
        CACHE_DIRECTORY=/var/cache/outport/quickstart $as_outport outport up -f /usr/share/doc/outport/examples/quickstart 2>/tmp/said &
        server=$!
        for _ in $(seq 600); do
            if grep -q '^Serving' /tmp/said || ! kill -0 $server 2>/dev/null; then break; fi
            sleep 0.1
        done
        grep -q '^Serving http://127.0.0.1:3000' /tmp/said || { cat /tmp/said; exit 1; }
        ps_user=$(stat -c %U /proc/$server)
        [ "$ps_user" = outport ] || { echo "it runs as $ps_user"; exit 1; }
        ask() {
            bash -c 'exec 3<>/dev/tcp/127.0.0.1/3000; printf "GET /?to=%s HTTP/1.0\r\nHost: a\r\n\r\n" "$1" >&3; cat <&3' ask "$1"
        }
        ask 127.0.0.1:3000
        echo =====
        ask 127.0.0.1:22
        kill $server
        wait $server
        rm /tmp/said
    "#;
    let answers = root.shell(script);
    let (allowed, denied) = answers.split_once("=====\n").expect("two answers");
    (allowed.to_owned(), denied.to_owned())
}

#[test]
fn the_same_sources_give_the_same_bytes_with_their_checksums() {
    let (one, two) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    succeeded(&mut dist(one.path(), &["deb", "sbom"]));
    let mut elsewhere = Command::new("sh");
    let other = dist(two.path(), &["deb", "sbom"]);
    elsewhere
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(other.get_program())
        .args(other.get_args())
        .envs(other.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C");
    succeeded(&mut elsewhere);
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).expect("checksums");
    assert_eq!(sums(one.path()), sums(two.path()));
    assert_eq!(sums(one.path()).lines().count(), 2);
    succeeded(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(one.path()),
    );

    let bill = fs::read_to_string(
        one.path()
            .join(format!("outport-{}.cdx.json", env!("CARGO_PKG_VERSION"))),
    );
    let bill = schema::valid(
        "tests/schemas/cyclonedx/bom-1.5.schema.json",
        &bill.expect("a bill of materials"),
    );
    let names: Vec<_> = bill["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|part| &part["name"])
        .collect();
    for linked in ["outport-runc", "outport-policy", "wasmtime", "ring"] {
        assert!(names.iter().any(|name| *name == linked), "{linked}");
    }
    for other in ["outport-e2e", "proptest", "cc", "serde_derive"] {
        assert!(
            !names.iter().any(|name| *name == other),
            "{other} is not in the binary"
        );
    }
}

#[test]
fn the_tarball_has_what_is_needed_to_install_by_hand() {
    let out = tempfile::tempdir().expect("a temporary folder");
    succeeded(&mut dist(out.path(), &["tarball"]));
    let archive = names(out.path())
        .into_iter()
        .find(|name| name.ends_with(".tar.gz"))
        .expect("a tarball");
    succeeded(
        Command::new("tar")
            .args(["--extract", "--gzip", "--file"])
            .arg(&archive)
            .current_dir(out.path()),
    );
    let folder = out.path().join(archive.trim_end_matches(".tar.gz"));
    for file in [
        "bin/outport-runc",
        "LICENSE",
        "README.md",
        "THIRD-PARTY-LICENSES",
        "share/man/man1/outport.1",
        "share/man/man8/outport-runc.8",
        "share/bash-completion/completions/outport",
        "share/zsh/site-functions/_outport",
        "share/fish/vendor_completions.d/outport.fish",
        "systemd/outport@.service",
        "systemd/outport@.socket",
        "sysusers.d/outport.conf",
    ] {
        let size = fs::metadata(folder.join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .len();
        assert!(size > 0, "{file} is empty");
    }
    let checked = succeeded(
        Command::new(folder.join("bin/outport"))
            .arg("check")
            .arg(folder.join("examples/quickstart")),
    );
    assert_eq!(
        checked, "nothing found\n",
        "the example is where its manifest looks for it"
    );
}

#[test]
fn what_cannot_be_made_is_said_and_leaves_nothing() {
    let (out, nothing) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let stopped = |mut command: Command, expected: &str| {
        let output = command.output().expect("a shell");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}\n{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    };
    stopped(
        dist(out.path(), &["rpm"]),
        "`rpm` is neither an option nor one of: tarball deb image sbom",
    );
    stopped(
        dist(Path::new("/proc/nowhere"), &["sbom"]),
        "The folder /proc/nowhere cannot be made.",
    );
    let mut missing = dist(out.path(), &["sbom"]);
    missing.env("PATH", nothing.path());
    let mut missing_bash = Command::new("/bin/bash");
    missing_bash
        .arg(missing.get_program())
        .args(missing.get_args())
        .env("PATH", nothing.path());
    assert!(!missing_bash.output().expect("bash").status.success());
    stopped(
        dist(out.path(), &["image"]),
        "An image has nothing but the program",
    );
    let mut absent = dist(out.path(), &["sbom"]);
    absent.args(["--binary", "/nowhere/outport"]);
    stopped(absent, "There is no file /nowhere/outport to pack.");
    let mut wrong = dist(out.path(), &["deb"]);
    wrong.args(["--binary", "/bin/true"]);
    stopped(wrong, "and the sources are outport");
    assert!(names(out.path()).is_empty(), "{:?}", names(out.path()));

    for (mount, expected) in [
        ("-o size=1m", "cannot be copied without its symbols"),
        ("-o ro", "Nothing can be written to"),
    ] {
        let command = dist(out.path(), &["deb"]);
        let script = format!(
            "mount -t tmpfs {mount} tmpfs \"$0\" || exit 3; \"$@\"; status=$?; ls -A \"$0\"; exit $status"
        );
        let mut full = Command::new("unshare");
        full.args(["--mount", "--map-root-user", "sh", "-c", &script])
            .arg(out.path())
            .arg(command.get_program())
            .args(command.get_args());
        let output = full.output().expect("unshare");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
        assert!(output.stdout.is_empty(), "nothing is left: {}", said(&output));
    }
}

#[test]
fn one_that_is_interrupted_leaves_what_was_there() {
    let out = tempfile::tempdir().expect("a temporary folder");
    fs::write(out.path().join("SHA256SUMS"), "of an earlier run").expect("a file");
    let mut child = dist(out.path(), &["deb"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the script starts");
    until("something is being made", || names(out.path()).len() > 1);
    let id = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("an id");
    kill_process(id, Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert_eq!(names(out.path()), ["SHA256SUMS"]);
    assert_eq!(
        fs::read_to_string(out.path().join("SHA256SUMS")).expect("the file"),
        "of an earlier run"
    );
}
