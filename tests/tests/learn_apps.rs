//! `outport learn` on apps: lists of several components, host interfaces, and the change of `spin.toml`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::tcp::{ClosedPort, TcpPeer};
use outport_e2e::{http, schema, stores};
use serde_json::Value;

/// `outport learn` of an app on a free port.
fn learn(manifest: &str) -> Outport {
    Outport::command("learn")
        .options(["--allow-any-host", "--listen=127.0.0.1:0", "--no-output-prefix"])
        .manifest(manifest)
}

/// The entries that are proposed for a component.
fn entries(told: &Value, component: &str) -> Vec<String> {
    let lists = told["lists"].as_array().unwrap();
    let list = lists.iter().find(|list| list["component"] == component).unwrap();
    let entries = list["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["entry"].as_str().unwrap().to_owned())
        .collect()
}

/// Programs of an app, each a component with what it does, what must be proposed for it, and what it gets without.
fn programs(closed: u16, peer: u16) -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let one = |statement: String, entry: String| (vec![statement], vec![entry]);
    let rows = [
        (
            "redis",
            one(
                format!("redis3.open redis://127.0.0.1:{closed}"),
                format!("redis://127.0.0.1:{closed}"),
            ),
        ),
        (
            "redis2",
            (
                vec![
                    format!("redis2.open redis://127.0.0.1:{closed}"),
                    format!("redis2.get k"),
                ],
                vec![format!("redis://127.0.0.1:{closed}")],
            ),
        ),
        (
            "postgres",
            one(
                format!("pg4.open postgres://user:pw@127.0.0.1:{closed}/db"),
                format!("postgres://127.0.0.1:{closed}"),
            ),
        ),
        (
            "mysql",
            one(
                format!("mysql2.open mysql://user:pw@127.0.0.1:{closed}/db"),
                format!("mysql://127.0.0.1:{closed}"),
            ),
        ),
        (
            "mqtt",
            one(
                format!("mqtt2.open mqtt://127.0.0.1:{closed}?client_id=x"),
                format!("mqtt://127.0.0.1:{closed}"),
            ),
        ),
        (
            "self",
            one("http GET http://self/nothing".into(), "http://self".into()),
        ),
        (
            "chain",
            one(
                "http POST http://other.spin.internal/other".into(),
                "http://other.spin.internal".into(),
            ),
        ),
        (
            "several",
            (
                vec![
                    format!("tcp.connect 127.0.0.1:{peer}"),
                    format!("redis3.open redis://localhost:{closed}"),
                    "kv3.open default".into(),
                ],
                vec![
                    format!("*://127.0.0.1:{peer}"),
                    format!("redis://localhost:{closed}"),
                ],
            ),
        ),
    ];
    let mut all: Vec<_> = rows
        .into_iter()
        .map(|(name, (statements, entries))| (name, statements, entries))
        .collect();
    all.push(("other", Vec::new(), Vec::new()));
    all
}

fn performed(app: &Running, component: &str, statements: &[String]) -> Vec<String> {
    if statements.is_empty() {
        return Vec::new();
    }
    stores::perform(app, component, statements)
}

#[test]
fn each_component_of_an_app_has_the_list_that_it_needs() {
    let (closed, peer) = (ClosedPort::take(), TcpPeer::echo());
    let programs = programs(closed.number(), peer.port());
    let lists = |list: &dyn Fn(&str) -> Vec<String>| {
        let components: Vec<(&str, String)> = programs
            .iter()
            .map(|(name, ..)| {
                let entries = list(name);
                (
                    *name,
                    format!("allowed_outbound_hosts = {entries:?}\nkey_value_stores = [\"default\"]"),
                )
            })
            .collect();
        let components: Vec<(&str, &str)> = components
            .iter()
            .map(|(name, lines)| (*name, lines.as_str()))
            .collect();
        stores::app(&components)
    };
    let learning = learn(&lists(&|_| Vec::new())).option("--format=json").start();
    let results: Vec<Vec<String>> = programs
        .iter()
        .map(|(name, statements, _)| performed(&learning, name, statements))
        .collect();
    let finished = learning.stop().expect_code(0);
    let told = schema::valid("docs/schema/learn.json", &finished.stdout);
    for (name, _, expected) in &programs {
        assert_eq!(entries(&told, name), *expected, "{name}\n{finished}");
    }

    let enough = Outport::up(&lists(&|name| entries(&told, name))).start();
    for ((name, statements, _), expected) in programs.iter().zip(&results) {
        assert_eq!(
            performed(&enough, name, statements),
            *expected,
            "{name}\n{enough}"
        );
    }
    assert_eq!(enough.denials(), 0, "{enough}");
    drop(enough);

    // Each round leaves out another entry of each component.
    for left_out in 0..2 {
        let without = |name: &str| {
            let mut entries = entries(&told, name);
            if left_out < entries.len() {
                entries.remove(left_out);
            }
            entries
        };
        let broken = Outport::up(&lists(&without)).start();
        for ((name, statements, list), expected) in programs.iter().zip(&results) {
            if left_out < list.len() {
                assert_ne!(
                    performed(&broken, name, statements),
                    *expected,
                    "{name} needs {}\n{broken}",
                    list[left_out]
                );
            }
        }
    }
}

/// An app with a command that connects, with comments and lists that are not all needed.
const COMMAND: &str = r#"# The shop.
spin_manifest_version = 2
application.name = "shop"

[variables]
where = { default = "127.0.0.1" }

[[trigger.command]]
component = "job"

[component.job]
source = "GUESTS/caller.wasm"
# Who it talks to.
allowed_outbound_hosts = [
  "*://{{ where }}:PORT", # ours
  "https://never.example.com", # nobody remembers
]
"#;

fn job(peers: [u16; 2]) -> String {
    // A command of an app has its arguments in the manifest.
    let args = format!(
        "args = [\"tcp.connect 127.0.0.1:{}\", \"tcp.connect 127.0.0.1:{}\"]",
        peers[0], peers[1]
    );
    COMMAND
        .replace("PORT", &peers[0].to_string())
        .replace("caller.wasm", "script-guest.wasm")
        .replace(
            "component = \"job\"\n\n[component",
            &format!("component = \"job\"\n{args}\n\n[component"),
        )
}

fn again(finished_folder: &Path, options: &[&str]) -> Finished {
    let manifest = fs::read_to_string(finished_folder.join("spin.toml")).unwrap();
    learn(&manifest).options(options).finish()
}

#[test]
fn what_is_missing_is_written_and_everything_else_stays() {
    let (first, second) = (TcpPeer::echo(), TcpPeer::echo());
    let before = job([first.port(), second.port()]);
    let learning = learn(&before).option("--write");
    let path = learning.folder().join("spin.toml");
    let resolved = fs::read_to_string(&path).unwrap();
    let running = learning.start();
    let folder = running.folder().to_owned();
    let keep = tempfile::tempdir().unwrap();
    // The folder goes with the process.
    let finished = {
        running.wait_for_error_text("was changed");
        let written = fs::read_to_string(&path).unwrap();
        fs::write(keep.path().join("spin.toml"), &written).unwrap();
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        running.finish().expect_code(0)
    };
    let written = fs::read_to_string(keep.path().join("spin.toml")).unwrap();
    let added = format!("# nobody remembers\n  \"*://127.0.0.1:{}\",\n", second.port());
    assert_eq!(
        written,
        resolved.replace("# nobody remembers\n", &added),
        "{finished}"
    );
    assert!(
        finished.stderr.contains("any host, while it is learnt"),
        "{finished}"
    );
    assert!(
        finished.stdout.contains("Never used: https://never.example.com"),
        "{finished}"
    );
    assert!(finished.stdout.contains("`--prune` takes it out"), "{finished}");

    let twice = again(keep.path(), &["--write"]).expect_code(0);
    assert!(twice.stderr.contains("needs no change"), "{twice}");
    let check = Outport::command("check")
        .manifest(&written)
        .finish()
        .expect_code(0);
    assert!(!check.stdout.contains("warning"), "{check}");

    let diff = again(keep.path(), &["--diff", "--prune"]).expect_code(0);
    assert!(
        diff.stdout
            .contains("-  \"https://never.example.com\", # nobody remembers\n"),
        "{diff}"
    );
    assert!(!diff.stdout.contains("-  \"*://{{ where }}"), "{diff}");
    assert!(
        diff.stdout.contains("--- a/spin.toml\n+++ b/spin.toml\n"),
        "{diff}"
    );
}

#[test]
fn a_wider_entry_stays_until_it_is_pruned() {
    let (first, second) = (TcpPeer::echo(), TcpPeer::echo());
    let manifest =
        job([first.port(), second.port()]).replace("\"*://{{ where }}:", "\"*://*:*\", \"http://x:");
    let shown = learn(&manifest).finish().expect_code(0);
    assert!(
        shown.stdout.contains("Wider than this run needs: *://*:*"),
        "{shown}"
    );
    let diff = learn(&manifest).option("--diff").finish().expect_code(0);
    assert_eq!(diff.stdout, "", "{diff}");
    let diff = learn(&manifest)
        .options(["--diff", "--prune"])
        .finish()
        .expect_code(0);
    for port in [first.port(), second.port()] {
        assert!(diff.stdout.contains(&port.to_string()), "{diff}");
    }
    assert!(diff.stdout.contains("-  \"*://*:*\""), "{diff}");
}

#[test]
fn a_manifest_that_was_changed_meanwhile_is_left_alone() {
    let peer = TcpPeer::echo();
    let manifest = stores::app(&[("web", "")]);
    let learning = learn(&manifest).option("--write");
    let folder = learning.folder().to_owned();
    // A link stays one, also where nothing is written.
    fs::rename(folder.join("spin.toml"), folder.join("real.toml")).unwrap();
    symlink("real.toml", folder.join("spin.toml")).unwrap();
    let running = learning.start();
    let statement = format!("tcp.connect 127.0.0.1:{}", peer.port());
    stores::perform(&running, "web", &[statement]);
    let text = fs::read_to_string(folder.join("real.toml")).unwrap();
    fs::write(folder.join("real.toml"), text + "# by hand\n").unwrap();
    let finished = running.stop().expect_code(2);
    assert!(finished.stderr.contains("it was changed meanwhile"), "{finished}");
    // What was learnt is not lost by it.
    assert!(finished.stdout.contains("*://127.0.0.1"), "{finished}");
}

#[test]
fn what_a_dependency_with_a_list_of_its_own_uses_both_lists_need() {
    let peer = TcpPeer::echo();
    let manifest = stores::app(&[(
        "web",
        "[component.web.dependencies]\n\"outport:callee/interpreter@1.0.0\" = { path = \"GUESTS/stores.wasm\", \
         inherit_configuration = [\"allowed_outbound_hosts\"], allowed_outbound_hosts = [] }",
    )]);
    let running = learn(&manifest).option("--format=json").start();
    let statement = format!("callee: tcp.connect 127.0.0.1:{}", peer.port());
    assert_eq!(
        stores::perform(&running, "web", &[statement]),
        ["ok"],
        "{running}"
    );
    let finished = running.stop().expect_code(0);
    let told: Value = serde_json::from_str(&finished.stdout).unwrap();
    let entry = [format!("*://127.0.0.1:{}", peer.port())];
    assert_eq!(entries(&told, "web"), entry, "{finished}");
    assert_eq!(
        entries(&told, "web/outport:callee/interpreter@1.0.0"),
        entry,
        "{finished}"
    );
}

#[test]
fn a_component_that_answers_http_is_served_until_somebody_asks_to_stop() {
    let peer = TcpPeer::echo();
    let running = Outport::command("learn")
        .options(["--allow-any-host", "--listen=127.0.0.1:0"])
        .option(outport_e2e::guest::path("stores"))
        .start();
    let body = format!("tcp.connect 127.0.0.1:{}", peer.port());
    let answer = http::post(running.address(), "/", &body).unwrap();
    assert!(answer.body.contains("=> ok"), "{running}");
    let finished = running.stop().expect_code(0);
    let option = format!("--allowed-outbound-hosts '*://127.0.0.1:{}'", peer.port());
    assert!(finished.stdout.contains(&option), "{finished}");
}

#[test]
fn nothing_is_pruned_by_a_run_that_failed() {
    let (first, second) = (TcpPeer::echo(), TcpPeer::echo());
    let manifest = job([first.port(), second.port()]).replace("args = [", "args = [\"exit 3\", ");
    let diff = learn(&manifest)
        .options(["--diff", "--prune"])
        .finish()
        .expect_code(3);
    assert_eq!(diff.stdout, "", "{diff}");
    assert!(diff.stderr.contains("nothing is taken out of a list"), "{diff}");
}

#[test]
fn what_is_folded_says_what_else_it_lets_in() {
    let closed = ClosedPort::take();
    let port = closed.number();
    let requests = ["a", "b", "c"].map(|name| format!("\"http GET http://{name}.example.com:{port}/\""));
    let sockets = [4, 7].map(|last| format!("\"tcp.connect 10.255.0.{last}:{port}\""));
    let args = [requests.as_slice(), &sockets].concat().join(", ");
    let manifest = job([port, port]).replace("args = [", &format!("args = [{args}, "));
    // Nothing leaves the machine: names have no address here, and these networks are denied for all that.
    let dns = outport_e2e::dns::DnsServer::start();
    let folded = learn(&manifest)
        .dns(&dns)
        .options(["--fold=names", "--fold=networks"])
        .deny("*://10.255.0.0/24:*")
        .finish()
        .expect_code(0);
    assert!(
        folded.stdout.contains(&format!("http://*.example.com:{port}")),
        "{folded}"
    );
    let also = format!("it also lets in every other name below `example.com`, on port {port}");
    assert!(folded.stdout.contains(&also), "{folded}");
    assert!(!folded.stdout.contains("+ *://10.255.0"), "{folded}");
    let plain = learn(&manifest)
        .dns(&dns)
        .deny("*://10.255.0.0/24:*")
        .finish()
        .expect_code(0);
    assert!(!plain.stdout.contains("*.example.com"), "{plain}");
}

#[test]
fn line_ends_and_a_link_stay_what_they_were() {
    let (first, second) = (TcpPeer::echo(), TcpPeer::echo());
    let manifest = job([first.port(), second.port()]).replace('\n', "\r\n");
    let learning = learn(&manifest).options(["--write", "--prune"]);
    let folder = learning.folder().to_owned();
    fs::rename(folder.join("spin.toml"), folder.join("real.toml")).unwrap();
    symlink("real.toml", folder.join("spin.toml")).unwrap();
    let running = learning.start();
    running.wait_for_error_text("was changed");
    let written = fs::read_to_string(folder.join("real.toml")).unwrap();
    assert!(
        fs::symlink_metadata(folder.join("spin.toml"))
            .unwrap()
            .is_symlink()
    );
    running.finish().expect_code(0);
    assert_eq!(
        written.matches('\n').count(),
        written.matches("\r\n").count(),
        "{written}"
    );
    assert!(!written.contains("never.example.com"), "{written}");
    assert!(
        written.contains(&format!("\"*://127.0.0.1:{}\",\r\n", second.port())),
        "{written}"
    );
    assert!(written.contains("{{ where }}"), "{written}");
}

#[test]
fn logs_are_read_as_one_whether_compressed_or_rotated() {
    let peer = TcpPeer::echo();
    let running = Outport::up(&stores::app(&[("web", "")])).start();
    let statements = [
        format!("tcp.connect 127.0.0.1:{}", peer.port()),
        "redis3.open redis://10.0.0.1".to_owned(),
    ];
    stores::perform(&running, "web", &statements);
    let finished = running.stop();
    let lines: Vec<String> = finished.audit.iter().map(ToString::to_string).collect();
    let wanted = [
        "redis://10.0.0.1".to_owned(),
        format!("*://127.0.0.1:{}", peer.port()),
    ];
    let learning = Outport::command("learn")
        .options(["--from=new", "--from=old.gz", "--format=json", "--app=spin.toml"])
        .manifest(&stores::app(&[("web", "")]));
    let (old, new) = lines.split_at(lines.len() / 2);
    let folder = learning.folder().to_owned();
    fs::write(folder.join("new"), new.join("\n") + "\n").unwrap();
    fs::write(folder.join("old"), old.join("\n") + "\n").unwrap();
    let zipped = std::process::Command::new("gzip")
        .arg(folder.join("old"))
        .status();
    assert!(zipped.unwrap().success());
    let learnt = learning.finish().expect_code(0);
    let told = schema::valid("docs/schema/learn.json", &learnt.stdout);
    assert_eq!(entries(&told, "web"), wanted, "{learnt}");
    // A file that is no log says nothing of what is never used.
    for text in ["", "no log\n"] {
        let other = Outport::command("learn")
            .options(["--from=other", "--diff", "--prune"])
            .file("other", text)
            .manifest(&stores::app(&[(
                "web",
                "allowed_outbound_hosts = [\"http://a.test\"]",
            )]))
            .finish()
            .expect_code(0);
        assert_eq!(other.stdout, "", "{other}");
        assert!(other.stderr.contains("nothing is taken out"), "{other}");
    }
    let missing = Outport::command("learn")
        .option("--from=none")
        .finish()
        .expect_code(2);
    assert!(
        missing.stderr.contains("cannot read the audit log `none`"),
        "{missing}"
    );
}
