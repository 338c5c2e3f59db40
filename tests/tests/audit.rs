//! `outport audit`: what a real run wrote, read back; files of a rotated log; hostile and damaged ones; as it is written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::Origin;
use outport_e2e::outport::{Finished, Outport, binary};
use outport_e2e::tcp::{ClosedPort, TcpPeer};
use outport_e2e::{guest, schema};
use serde_json::Value;

/// A log of a run of the script guest, and what ran beside it.
struct Logged {
    folder: tempfile::TempDir,
}

impl Logged {
    fn run(dns: &DnsServer, allowed: &[&str], statements: &[String]) -> Self {
        let logged = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut run = Outport::command("run")
            .dns(dns)
            .option("--allow-loopback-answers");
        for entry in allowed {
            run = run.allow(entry);
        }
        let run = run.option("--audit-log").option(logged.path());
        run.option(guest::script_guest())
            .options(statements)
            .finish()
            .expect_code(0);
        logged
    }

    fn of(text: impl AsRef<[u8]>) -> Self {
        let logged = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(logged.path(), text).unwrap();
        logged
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn audit(&self, options: &[&str]) -> Finished {
        Outport::command("audit")
            .options(options)
            .option(self.path())
            .finish()
    }

    fn json(&self, options: &[&str]) -> Value {
        let finished = self.audit(&[&["--format=json"], options].concat()).expect_code(0);
        schema::valid("docs/schema/audit.json", &finished.stdout)
    }

    /// The decisions about attempts of a kind.
    fn decisions(&self, attempt: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).unwrap();
        let lines = text.lines().map(|line| {
            schema::valid("docs/schema/audit-log.json", line);
            serde_json::from_str::<Value>(line).unwrap()
        });
        lines
            .filter(|line| line["attempt"] == attempt && line.get("verdict").is_some())
            .collect()
    }
}

fn ts(line: &Value) -> &str {
    line["ts"].as_str().unwrap()
}

#[test]
fn a_run_is_told_by_name_with_what_was_refused_and_what_failed() {
    let dns = DnsServer::start();
    dns.answers("there.test", [Reply::addresses(["127.0.0.1"])]);
    let (echo, origin, closed) = (TcpPeer::echo(), Origin::start("hello"), ClosedPort::take());
    let (port, nobody) = (echo.address().port(), closed.number());
    let logged = Logged::run(
        &dns,
        &["*://there.test:*", "http://127.0.0.1:*"],
        &[
            "dns.lookup there.test".to_owned(),
            format!("tcp.connect 127.0.0.1:{port} as x"),
            "tcp.send x ping".to_owned(),
            "tcp.recv x".to_owned(),
            format!("tcp.connect 127.0.0.1:{nobody}"),
            "tcp.connect 10.0.0.5:80".to_owned(),
            "tcp.connect 10.0.0.5:80".to_owned(),
            format!("http.text GET http://{}/", origin.address()),
        ],
    );
    let document = logged.json(&[]);
    let component = &document["components"][0];
    let talked = |protocol: &str, port: u16| {
        let mut rows = component["talked"].as_array().unwrap().iter();
        let found = rows.find(|row| row["protocol"] == protocol && row["port"] == port);
        found
            .unwrap_or_else(|| panic!("{protocol} {port}: {document:#}"))
            .clone()
    };
    let row = talked("tcp", port);
    let members =
        ["host", "allowed", "succeeded", "ended", "sent", "received"].map(|name| row[name].to_string());
    assert_eq!(members, ["\"there.test\"", "1", "1", "1", "4", "4"]);
    assert!(
        row["rule"]
            .as_str()
            .unwrap()
            .ends_with("by look-up of there.test"),
        "{row}"
    );
    assert_eq!(talked("tcp", nobody)["failed"], 1);
    let row = talked("http", origin.address().port());
    assert_eq!(
        (&row["host"], &row["received"]),
        (&Value::from("127.0.0.1"), &Value::from(5))
    );
    assert_eq!(component["failed"][0]["error"], "connection-refused");
    assert_eq!(component["failed"][0]["host"], "there.test");
    let refused = &component["refused"][0];
    assert_eq!(
        (&refused["count"], &refused["destination"]),
        (&Value::from(2), &Value::from("10.0.0.5:80"))
    );

    let human = logged.audit(&["-v"]).expect_code(0).stdout;
    for words in [
        &format!("there.test:{port}"),
        &format!("tcp there.test:{nobody} [connection-refused] once"),
        &format!("[{}] 2 times", refused["reason"].as_str().unwrap()),
        refused["remedy"].as_str().unwrap(),
        "by look-up of there.test",
    ] {
        assert!(human.contains(words), "{words}\n{human}");
    }
    let csv = logged.audit(&["--format=csv"]).expect_code(0).stdout;
    assert!(csv.starts_with("component,kind,protocol,"), "{csv}");
    assert_eq!(
        csv.lines()
            .map(|line| line.matches(",tcp.connect,10.0.0.5:80,").count())
            .sum::<usize>(),
        1,
        "{csv}"
    );

    let rows = |options: &[&str]| {
        let document = logged.json(options);
        let of = |kind: &str| {
            let components = document["components"].as_array().unwrap().iter();
            components
                .map(|own| own[kind].as_array().unwrap().len())
                .sum::<usize>()
        };
        [of("talked"), of("refused"), of("failed")]
    };
    assert_eq!(rows(&["--verdict=deny"]), [0, 1, 0]);
    assert_eq!(rows(&["--code=allow.*"]), [0, 1, 0]);
    assert_eq!(rows(&["--destination=there.test", "--verdict=allow"]), [3, 0, 1]);
    assert_eq!(rows(&["--component=nobody"]), [0, 0, 0]);
    assert_eq!(rows(&["--until=1h"]), [0, 0, 0]);
    assert_eq!(rows(&["--since=1h", "--verdict=deny"]), [0, 1, 0]);
}

// proves: DNS-4, RSN-2
#[test]
fn why_says_by_which_look_up_and_entry_and_what_ended_it() {
    let dns = DnsServer::start();
    dns.answers(
        "there.test",
        [Reply::addresses(["127.0.0.1"]), Reply::addresses(["127.0.0.2"])],
    );
    let echo = TcpPeer::echo();
    let to = echo.address();
    let connect = format!("tcp.connect {to}");
    let look_up = "dns.lookup there.test".to_owned();
    let statements = [look_up.clone(), connect.clone(), look_up, connect];
    let logged = Logged::run(&dns, &["*://there.test:*"], &statements);
    let [allowed, denied] = &logged.decisions("tcp.connect")[..] else {
        panic!("two connects");
    };
    let lookups = logged.decisions("dns.lookup");
    let answers = logged.decisions("dns.answer");
    assert_eq!(answers[0]["lookup"], lookups[0]["id"]);
    assert_eq!(answers[1]["lookup"], lookups[1]["id"]);

    let why = |about: &str| logged.json(&["--why", about])["why"].clone();
    let document = why(&format!("{to}@{}", ts(allowed)));
    // Both may be in the same millisecond.
    let attempts = document["instances"][0]["attempts"].as_array().unwrap();
    let of = |id: &Value| attempts.iter().find(|attempt| attempt["id"] == *id);
    let attempt = of(&allowed["id"]).unwrap();
    assert_eq!(attempt["verdict"], "allow");
    assert_eq!(attempt["granted_by"][0]["lookup"]["id"], lookups[0]["id"]);
    assert_eq!(attempt["granted_by"][0]["lookup"]["granted"][0], "127.0.0.1");
    assert_eq!(attempt["granted_by"][0]["lookup"]["rule"], lookups[0]["rule"]);

    let about = format!("{to}@{}", ts(denied));
    let document = why(&about);
    let attempts = document["instances"][0]["attempts"].as_array().unwrap();
    let attempt = attempts
        .iter()
        .find(|attempt| attempt["id"] == denied["id"])
        .unwrap();
    assert_eq!(attempt["reason"], "grant.replaced");
    assert_eq!(attempt["ended"]["replaced_by"]["id"], lookups[1]["id"]);
    assert_eq!(document["unknown"], serde_json::json!([]));

    let human = logged.audit(&["--why", &about]).expect_code(0).stdout;
    for words in [
        "denied: tcp.connect",
        "[grant.replaced]",
        "there.test had granted it since",
        "127.0.0.2",
    ] {
        assert!(human.contains(words), "{words}\n{human}");
    }
    let human = logged
        .audit(&["--why", "there.test@2020-01-01T00:00:00Z"])
        .expect_code(0)
        .stdout;
    assert!(human.contains("nothing in the log is about it"), "{human}");
    assert!(human.contains("the log begins later"), "{human}");
    let finished = logged.audit(&["--why", "there.test"]).expect_code(2);
    assert!(finished.stderr.contains("write the time behind it"), "{finished}");
}

/// A denial, as it stands in a log.
fn denial(second: u32, component: &str, destination: &str) -> String {
    let line = serde_json::json!({
        "ts": format!("2026-03-01T09:30:{second:02}.000Z"), "id": 1, "component": component, "instance": 1,
        "attempt": "tcp.connect", "destination": destination, "verdict": "deny", "reason": "allow.none",
        "detail": "the list is empty", "remedy": "add it", "process": 1_772_000_000_000_u64,
    });
    format!("{line}\n")
}

#[test]
fn a_rotated_log_is_one_and_what_cannot_be_read_hides_nothing() {
    let logged = Logged::of([denial(5, "web", "10.0.0.5:5"), "{\"ts\":\"20".to_owned()].concat());
    let folder = logged.folder.path();
    fs::write(folder.join("audit.jsonl.2"), denial(1, "web", "10.0.0.5:1")).unwrap();
    let gzip = Command::new("gzip")
        .arg(folder.join("audit.jsonl.2"))
        .status()
        .unwrap();
    assert!(gzip.success());
    let lost = "{\"ts\":\"2026-03-01T09:30:03.000Z\",\"lost\":1200}\n";
    fs::write(
        folder.join("audit.jsonl.1"),
        [&denial(2, "web", "10.0.0.5:2"), lost].concat(),
    )
    .unwrap();
    fs::write(folder.join("audit.jsonl.9.xz"), b"\xfd7zXZ\0\0\0").unwrap();
    let command = |names: &[&str]| {
        let paths = names.iter().map(|name| folder.join(name));
        Outport::command("audit")
            .option("--format=json")
            .options(paths)
            .finish()
    };
    let all = command(&["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2.gz", "audit.jsonl"]).expect_code(0);
    let document = schema::valid("docs/schema/audit.json", &all.stdout);
    let members = ["records", "denied", "lost", "damaged"].map(|name| document[name].as_u64().unwrap());
    assert_eq!(members, [4, 3, 1200, 1]);
    for words in [
        "1,200 lines were lost before they were written",
        "audit.jsonl:2: ",
        "1 of 5 lines are not records",
        "is a file that was named before",
    ] {
        assert!(all.stderr.contains(words), "{words}\n{all}");
    }
    let some = command(&["audit.jsonl.1", "no-such", "audit.jsonl.9.xz"]).expect_code(2);
    let document = schema::valid("docs/schema/audit.json", &some.stdout);
    assert_eq!(
        (
            document["denied"].as_u64(),
            document["unreadable"].as_array().unwrap().len()
        ),
        (Some(1), 2)
    );
    for words in [
        "no-such` cannot be read: No such file",
        "it is compressed with xz",
    ] {
        assert!(some.stderr.contains(words), "{words}\n{some}");
    }
    let none = command(&["no-such"]).expect_code(2);
    assert_eq!(none.stdout, "");
}

#[test]
fn a_filter_that_lets_nothing_pass_says_so() {
    let log = Logged::of(denial(1, "web", "10.0.0.5:80"));
    let rows: [(&[&str], &[&str]); 4] = [
        (&["--component", "wbe"], &["no record is of a component `wbe`"]),
        (
            &["--component", "web", "--code", "allow.prot"],
            &["there is no code `allow.prot`", "`allow.port`"],
        ),
        (&["--component", "web", "--code", "allow.*"], &[]),
        (&["--code", "allow.port", "--since", "7d"], &[]),
    ];
    for (options, expected) in rows {
        let told = log.audit(options).stderr;
        assert_eq!(told.is_empty(), expected.is_empty(), "{options:?}: {told}");
        for part in expected {
            assert!(told.contains(part), "{options:?}: {told}");
        }
    }
}

// proves: RSN-4
#[test]
fn nothing_in_a_log_is_obeyed_by_a_terminal_or_a_spreadsheet() {
    let hostile = "=cmd|' /C calc'!A0\u{1b}[2J\u{9b}31m\u{202e}\n<img src=x>";
    let logged = Logged::of([denial(1, hostile, hostile), hostile.to_owned()].concat());
    let why = "x.test@2026-03-01T09:30:01Z\u{1b}";
    for options in [
        &["--format=human"][..],
        &["--format=json"],
        &["--format=csv"],
        &["--why", "10.0.0.5@2026-03-01T09:30:01Z"],
        &["--why", why],
    ] {
        let finished = logged.audit(options);
        let bad = |text: &str| text.contains(['\u{1b}', '\u{9b}', '\u{202e}']);
        assert!(
            !bad(&finished.stdout) && !bad(&finished.stderr),
            "{options:?} {finished:?}"
        );
    }
    let csv = logged.audit(&["--format=csv"]).expect_code(0).stdout;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let row = csv.lines().nth(1).unwrap();
    assert!(row.starts_with("\"'=cmd|") && row.contains(",\"'=cmd|"), "{row}");
}

#[test]
fn a_log_is_followed_through_its_rotation() {
    let old: String = (0..15)
        .map(|second| denial(second, "web", &format!("10.0.0.5:{second}")))
        .collect();
    let logged = Logged::of(&old);
    let path = logged.path();
    let append = |text: &str| {
        let mut file = fs::File::options().append(true).create(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let start = |options: &[&str]| Outport::command("audit").options(options).option(&path).start();
    // The kit takes the time away that a line begins with.
    let told = |second: u32| format!("denied: component `web` #1 tcp.connect 10.0.0.5:{second} [allow.none]");
    let human = start(&["--follow", "--component=web"]);
    human.wait_for_line(&told(14));
    assert_eq!(human.stdout().lines().count(), 10, "the last ten");
    let json = start(&["-F", "--since=2026-03-01T09:30:14Z", "--format=json"]);
    json.wait_for_line(denial(14, "web", "10.0.0.5:14").trim_end());

    append(&[denial(20, "api", "10.0.0.5:20"), denial(21, "web", "10.0.0.5:21")].concat());
    human.wait_for_line(&told(21));
    json.wait_for_line(denial(21, "web", "10.0.0.5:21").trim_end());
    fs::rename(&path, logged.folder.path().join("audit.jsonl.1")).unwrap();
    append(&denial(22, "web", "10.0.0.5:22"));
    human.wait_for_line(&told(22));
    assert!(!human.stdout().contains("api"), "{human}");
    let finished = json.stop();
    assert!(finished.stdout.contains("10.0.0.5:20"), "{finished}");
    human.stop();

    let two = Outport::command("audit")
        .options(["--follow", "a", "b"])
        .finish()
        .expect_code(2);
    assert!(two.stderr.contains("reads one file"), "{two}");
}

#[test]
fn whoever_stops_reading_gets_no_error() {
    let many: String = (0..900)
        .map(|number| denial(1, "web", &format!("{}.{number}", "x".repeat(250))))
        .collect();
    let logged = Logged::of(many);
    for options in [
        "--format=json",
        "--format=csv",
        "--follow --since=2026-01-01T00:00:00Z",
    ] {
        let script = format!("{{ \"$0\" audit {options} \"$1\"; echo status $? >&2; }} | head -c 1");
        let output = Command::new("timeout")
            .args(["120", "sh", "-c", &script])
            .args([&binary(), Path::new(&logged.path())])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "status 0\n", "{options}");
    }
}
