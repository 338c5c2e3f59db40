//! Why something was refused: what the operator is told, and what the guest is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::TcpListener;

use outport_e2e::audit::AuditLine;
use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::{Script, results};
use outport_e2e::tcp::{ClosedPort, Manner, TcpPeer};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;
use rustix::process::Signal;

fn denied_line(finished: &Finished) -> String {
    let line = finished.stderr.lines().find(|line| line.contains("denied"));
    line.unwrap_or_else(|| panic!("no line about a denial\n{finished}"))
        .to_owned()
}

// proves: RSN-1, RSN-2
#[test]
fn rsn_2_a_denial_names_destination_closest_entry_and_the_line_to_add() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    let script = Script::new()
        .gets("dns.lookup db.test", "10.0.0.5")
        .denied("tcp.connect 10.0.0.5:5433", "allow.port");
    let finished = script.run(
        Outport::script_guest()
            .allow("*://db.test:5432")
            .allow("*://else.test:80")
            .dns(&dns),
    );
    let line = denied_line(&finished);
    for part in [
        "script-guest",
        "10.0.0.5:5433",
        "db.test",
        "allow.port",
        "*://db.test:5433",
    ] {
        assert!(line.contains(part), "no `{part}` in `{line}`");
    }
    let denial = finished.audit.iter().find(|line| line.denied()).unwrap();
    assert_eq!(denial.field("attempt"), "tcp.connect");
    assert_eq!(denial.field("destination"), "10.0.0.5:5433");
    assert_eq!(denial.field("name"), "db.test");
    assert!(denial.field("closest").contains("*://db.test:5432"), "{denial}");
    assert!(denial.field("remedy").contains("*://db.test:5433"), "{denial}");
}

// proves: RSN-2
#[test]
fn rsn_2_the_remedy_of_each_layer_permits_the_attempt() {
    for (options, statement, remedy) in [
        (vec![], "tcp.connect 127.0.0.1:8080", "*://127.0.0.1:8080"),
        (vec![], "dns.lookup localhost", "*://localhost:"),
        (
            vec!["--allowed-outbound-hosts=*://*:*"],
            "tcp.connect 127.0.0.1:80",
            "--allow-loopback-ports",
        ),
        (
            vec!["--allowed-outbound-hosts=*://*:*"],
            "udp.create ipv4",
            "--allow-udp",
        ),
        (
            vec!["--allowed-outbound-hosts=*://*:*"],
            "tcp.connect 169.254.169.254:80",
            "--allow-link-local",
        ),
        (
            vec!["--allowed-outbound-hosts=http://127.0.0.1:8080"],
            "tcp.connect 127.0.0.1:8080",
            "*://127.0.0.1:8080",
        ),
        (
            vec!["--disallowed-outbound-hosts=*://127.0.0.1:8080"],
            "tcp.connect 127.0.0.1:8080",
            "*://127.0.0.1:8080",
        ),
    ] {
        let finished = Outport::script_guest()
            .options(options)
            .args([statement])
            .finish()
            .expect_code(0);
        assert_eq!(results(&finished.stdout), ["access-denied"], "{finished}");
        assert!(
            denied_line(&finished).contains(remedy),
            "no `{remedy}`\n{finished}"
        );
    }
}

// proves: RSN-5
#[test]
fn rsn_5_all_remedies_of_a_denial_together_permit_the_attempt_and_one_alone_does_not() {
    let rows: &[(&[&str], &str, &[&str])] = &[
        (
            &[],
            "tcp.connect 127.0.0.1:7",
            &["runtime.loopback-port", "allow.none"],
        ),
        (
            &["--allowed-outbound-hosts=*://127.0.0.1:1"],
            "tcp.connect 127.0.0.1:7",
            &["runtime.loopback-port", "allow.port"],
        ),
        (
            &["--allowed-outbound-hosts=http://other.test"],
            "http GET http://127.0.0.1:7/",
            &["runtime.loopback-port", "allow.no-match"],
        ),
        (&[], "dns.lookup localhost", &["allow.none"]),
        (
            &["--allowed-outbound-hosts=postgres://localhost"],
            "dns.lookup localhost",
            &["allow.scheme"],
        ),
    ];
    for (options, statement, reasons) in rows {
        let run_with = |more: &[String]| {
            let run = Outport::script_guest().options(*options).options(more);
            run.args([statement]).finish().expect_code(0)
        };
        let refused = run_with(&[]);
        let (told, changes) = remedies(&refused);
        assert_eq!(told, *reasons, "{refused}");
        assert!(!changes.iter().any(|change| change.contains(":*")), "{refused}");
        assert!(run_with(&changes).reasons().is_empty(), "{changes:?}\n{refused}");
        for (left_out, reason) in reasons.iter().enumerate() {
            let others = changes
                .iter()
                .enumerate()
                .filter(|(number, _)| *number != left_out);
            let others: Vec<String> = others.map(|(_, change)| change.clone()).collect();
            assert_eq!(run_with(&others).reasons(), [*reason], "{others:?}\n{refused}");
        }
    }
}

/// The reasons of the first denial, those of other layers too, and the options that their remedies stand for.
fn remedies(finished: &Finished) -> (Vec<String>, Vec<String>) {
    let denial = finished.audit.iter().find(|line| line.denied()).unwrap();
    let also = match denial.field("also").as_str() {
        "" => Vec::new(),
        text => serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap(),
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (mut reasons, mut told) = (vec![denial.reason()], vec![denial.field("remedy")]);
    reasons.extend(also.iter().map(|other| text(&other["reason"])));
    told.extend(also.iter().map(|other| text(&other["remedy"])));
    let options = told.iter().map(|remedy| {
        let entry = remedy.split('"').nth(1);
        let switch = || remedy.split('`').nth(1).unwrap().replace(' ', "=");
        // The port is for the author to know.
        entry.map_or_else(switch, |entry| {
            format!("--allowed-outbound-hosts={}", entry.replace("PORT", "7"))
        })
    });
    (reasons, options.collect())
}

// proves: RSN-2
#[test]
fn rsn_2_what_nobody_can_permit_has_no_remedy() {
    let finished = Outport::script_guest()
        .args(["tcp.bind 127.0.0.1:80"])
        .finish()
        .expect_code(0);
    let denial = finished.audit.iter().find(|line| line.denied()).unwrap();
    assert_eq!(
        (denial.reason().as_str(), denial.field("remedy").as_str()),
        ("hard.bind", "")
    );
}

// proves: ORD-3
#[test]
fn an_allow_carries_the_rule_that_decided() {
    let peer = outport_e2e::tcp::TcpPeer::echo();
    let entry = format!("*://127.0.0.1:{}", peer.port());
    let finished = Script::new()
        .ok(format!("tcp.connect {}", peer.address()))
        .run(Outport::script_guest().allow("*://10.0.0.5:*").allow(&entry));
    let allowed = finished
        .audit
        .iter()
        .find(|line| line.field("attempt") == "tcp.connect")
        .unwrap();
    assert!(
        !allowed.denied() && allowed.field("rule").contains(&entry),
        "{allowed}"
    );
}

#[test]
fn the_same_denial_is_told_once_and_then_counted() {
    let finished = Outport::script_guest()
        .args(["repeat 500 tcp.connect 10.0.0.5:80"])
        .finish()
        .expect_code(0);
    assert_eq!(results(&finished.stdout), ["access-denied x500"]);
    let lines: Vec<_> = finished
        .stderr
        .lines()
        .filter(|line| line.contains("10.0.0.5:80"))
        .collect();
    assert_eq!(lines.len(), 2, "{finished}");
    assert!(lines[1].contains("499"), "{finished}");
    assert_eq!(finished.reasons().len(), 500, "the log has each of them");
}

#[test]
fn a_guest_that_scans_does_not_flood_the_terminal() {
    let finished = Outport::script_guest()
        .args(["repeat 900 tcp.connect 10.0.0.5:{}"])
        .finish()
        .expect_code(0);
    assert!(finished.stderr.lines().count() < 40, "{finished}");
    assert_eq!(finished.reasons().len(), 900);
}

#[test]
fn quiet_says_nothing_of_denials_and_the_log_to_standard_error_has_them() {
    let quiet = Outport::script_guest()
        .option("-q")
        .args(["tcp.connect 10.0.0.5:80"])
        .finish()
        .expect_code(0);
    assert_eq!(quiet.stderr, "");
    let run = Outport::command("run").options([
        "-q".into(),
        "--audit-log=-".into(),
        outport_e2e::guest::path("script-guest").into_os_string(),
    ]);
    let finished = run.args(["tcp.connect 10.0.0.5:80"]).finish().expect_code(0);
    assert!(
        finished.stderr.contains("\"reason\":\"allow.none\""),
        "{finished}"
    );
}

// proves: RSN-3
#[test]
fn rsn_3_a_guest_cannot_tell_a_refused_open_port_from_a_refused_closed_one() {
    let open = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (open, closed) = (open.local_addr().unwrap(), outport_e2e::process::free_port());
    // In turn, and the least of each: whatever else the machine does comes and goes, a difference would stay.
    let median = |address: String| format!("median 400 tcp.connect {address}");
    let both = [median(open.to_string()), median(format!("127.0.0.1:{closed}"))];
    let mut statements = vec!["repeat 100 tcp.create ipv4".to_owned()];
    for _ in 0..5 {
        statements.extend(both.clone());
    }
    let finished = Outport::script_guest().args(statements).finish().expect_code(0);
    let mut least = [f64::INFINITY; 2];
    for (number, result) in results(&finished.stdout)[1..].iter().enumerate() {
        let time = result.strip_prefix("access-denied, median ").unwrap();
        let time: f64 = time.split_once("us").unwrap().0.parse().unwrap();
        least[number % 2] = least[number % 2].min(time);
    }
    assert!(
        least[0] < 2.0 * least[1] && least[1] < 2.0 * least[0],
        "{least:?} µs\n{finished}"
    );
}

// proves: RSN-4
#[test]
fn rsn_4_what_others_wrote_is_escaped_before_a_terminal_sees_it() {
    let dns = DnsServer::start();
    dns.answers(
        "www.test",
        [Reply::addresses(["10.0.0.5"]).via(["\u{1b}[31mred.\u{7}bell\n.test"])],
    );
    dns.answers(
        "evil.test",
        [Reply::addresses(["127.0.0.1"]).via(["a\u{1b}]0;title\u{7}.test"])],
    );
    let statements = [
        "dns.lookup www.test",
        "dns.lookup evil.test",
        "dns.lookup \u{1b}[31m.test",
        "dns.lookup a\u{202e}b.test",
        "tcp.connect 10.0.0.6:80",
    ];
    let finished = Outport::script_guest()
        .allow("*://*.test:5432")
        .dns(&dns)
        .option("-v")
        .args(statements)
        .finish();
    let finished = finished.expect_code(0);
    let audit: String = finished.audit.iter().map(|line| line.to_string()).collect();
    for (what, text) in [("standard error", &finished.stderr), ("the audit log", &audit)] {
        let odd = text
            .chars()
            .find(|letter| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}');
        assert_eq!(odd, None, "in {what}\n{finished}");
    }
}

#[test]
fn what_is_allowed_and_fails_is_one_line_and_then_a_count() {
    let closed = ClosedPort::take();
    let nobody = format!("127.0.0.1:{}", closed.number());
    let finished = Outport::script_guest()
        .allow("*://127.0.0.1:*")
        .args([
            format!("repeat 5 tcp.connect {nobody}"),
            format!("http GET http://{nobody}/"),
        ])
        .finish()
        .expect_code(0);
    let failed: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.contains("failed:"))
        .collect();
    assert_eq!(
        failed,
        [
            format!(
                "failed: component `script-guest` tcp {nobody} [connection-refused] it is allowed, but nobody listens there"
            ),
            format!(
                "failed: component `script-guest` http http://{nobody} [connection-refused] it is allowed, but nobody listens there"
            ),
            format!("failed: component `script-guest` tcp {nobody} [connection-refused] 4 more times"),
        ],
        "{finished}"
    );
}

// proves: RSN-6
#[test]
fn rsn_6_nothing_new_is_done_that_cannot_be_recorded_where_that_is_required() {
    let peer = TcpPeer::echo();
    let statements = [
        format!("tcp.connect {}", peer.address()),
        "dns.lookup localhost".to_owned(),
        format!("http GET http://{}/", peer.address()),
    ];
    let run = || {
        Outport::command("run")
            .allow("*://127.0.0.1:*")
            .allow("*://localhost:1")
    };
    let script_guest = guest::path("script-guest").into_os_string();
    let finished = run()
        .options(["--audit-required", "--audit-log=/dev/full"])
        .args([script_guest.clone()])
        .args(&statements)
        .finish()
        .expect_code(0);
    assert_eq!(
        results(&finished.stdout),
        ["access-denied", "access-denied", "HTTP-request-denied"],
        "{finished}"
    );
    assert_eq!(peer.accepted(), 0);
    assert_eq!(
        finished.stderr.matches("cannot be written").count(),
        4,
        "{finished}"
    );
    assert!(finished.stderr.contains("[audit.unavailable]"), "{finished}");

    let finished = run()
        .options(["--audit-required", "--audit-log=log"])
        .args([script_guest])
        .args(&statements[..2])
        .finish();
    assert_eq!(results(&finished.stdout), ["ok", "127.0.0.1,::1"], "{finished}");
    let accepted = peer.accepted();
    for options in [&["--audit-required"][..], &["--audit-required", "--audit-log=-"]] {
        run()
            .options(options.iter().copied())
            .args([guest::path("script-guest").into_os_string()])
            .args(&statements)
            .finish()
            .expect_code(2);
        assert_eq!(peer.accepted(), accepted);
    }
}

// proves: RSN-6
#[test]
fn rsn_6_a_log_that_nobody_would_find_is_none() {
    let peer = TcpPeer::echo();
    let connect = format!("tcp.connect {}", peer.address());
    for sandbox in ["off", "on"] {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("log");
        std::fs::create_dir(&directory).unwrap();
        let log = directory.join("audit.jsonl");
        // Each is come to while the log is written, since coming is a decision, too.
        let stops = [(); 3].map(|()| TcpPeer::start(Manner::Stall));
        let come = |number: usize| format!("tcp.connect {} as stop{number}", stops[number].address());
        let run = Outport::command("run")
            .allow("*://127.0.0.1:*")
            .option("--audit-required")
            .option(format!("--kernel-sandbox={sandbox}"))
            .option(format!("--audit-log={}", log.display()))
            .args([guest::path("script-guest").display().to_string(), connect.clone()])
            .args([come(0), come(1), come(2)])
            .args(["print remove", "tcp.recv stop0 60000", &connect])
            .args(["tcp.recv stop1 60000", &connect])
            .args(["print make", "tcp.recv stop2 60000", &connect])
            .start();
        let [remove, look, make] = stops;
        run.wait_for_line("5 print remove");
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::remove_dir_all(&directory).unwrap();
        drop(remove);
        until("the writer finds out", || {
            run.stderr().contains("No such file or directory")
        });
        drop(look);
        run.wait_for_line("10 print make");
        std::fs::create_dir(&directory).unwrap();
        run.signal(Signal::HUP);
        let closed = "stays closed to the kernel sandbox until a restart";
        until("the writer tries again", || {
            let said = run.stderr();
            said.contains("the audit log is written again") || said.contains(closed)
        });
        drop(make);
        let finished = run.finish();
        let told = results(&finished.stdout);
        // The one that was under way when the writer found out is permitted, and its lines wait.
        assert_eq!(told.get(8), Some(&"access-denied"), "{finished}");
        assert!(
            finished.stderr.contains("No such file or directory"),
            "{finished}"
        );
        assert!(finished.stderr.contains("[audit.unavailable]"), "{finished}");
        let shut = finished.stderr.contains(closed);
        match told.last().copied() {
            Some("ok") => {
                assert!(
                    !shut && finished.stderr.contains("the audit log is written again"),
                    "{finished}"
                );
                assert!(
                    finished
                        .stderr
                        .contains("note: the audit log goes on in the same file"),
                    "{finished}"
                );
                assert_eq!(
                    AuditLine::read(&log).iter().filter(|line| line.denied()).count(),
                    1,
                    "{finished}"
                );
            }
            other => {
                assert!(
                    sandbox == "on" && shut && other == Some("access-denied"),
                    "{finished}"
                );
                assert!(
                    finished
                        .stderr
                        .contains("lines of the audit log were not written: it could not"),
                    "{finished}"
                );
            }
        }
    }
}

#[test]
fn a_log_of_denials_has_nothing_else() {
    let peer = TcpPeer::echo();
    let finished = Outport::script_guest()
        .allow("*://127.0.0.1:*")
        .option("--audit-denials")
        .args([
            format!("tcp.connect {}", peer.address()),
            "tcp.connect 10.0.0.5:80".into(),
        ])
        .finish();
    assert_eq!(
        (finished.audit.len(), finished.outcomes.len()),
        (1, 0),
        "{finished}"
    );
    assert_eq!(finished.reasons(), ["allow.no-match"]);
}

#[test]
fn a_log_goes_on_in_a_new_file_when_it_was_moved() {
    for hang_up in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let log = folder.join("audit.jsonl");
        let turnstile = Turnstile::closed();
        let run = Outport::command("run")
            .allow(turnstile.entry())
            .option(format!("--audit-log={}", log.display()))
            .args([guest::path("script-guest").display().to_string()])
            .args(["tcp.connect 10.0.0.5:1".to_owned(), turnstile.wait()])
            .args(["tcp.connect 10.0.0.5:2"])
            .start();
        turnstile.has(1);
        until("the log has what was decided", || {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains(&turnstile.entry()["*://".len()..]))
        });
        std::fs::rename(&log, folder.join("audit.jsonl.1")).unwrap();
        if hang_up {
            run.signal(Signal::HUP);
            until("it is made anew at the signal", || log.exists());
        } else {
            // It looks now and then.
            std::thread::sleep(std::time::Duration::from_millis(1500));
        }
        turnstile.open();
        let finished = run.finish().expect_code(0);
        let destinations = |name: &str| {
            let lines = AuditLine::read(&folder.join(name));
            lines
                .iter()
                .map(|line| line.field("destination"))
                .filter(|destination| destination.starts_with("10."))
                .collect::<Vec<_>>()
        };
        assert_eq!(destinations("audit.jsonl.1"), ["10.0.0.5:1"], "{finished}");
        assert_eq!(destinations("audit.jsonl"), ["10.0.0.5:2"], "{finished}");
    }
    let finished = Outport::command("run")
        .file("notes", "something else\n")
        .option("--audit-log=notes")
        .args([guest::path("script-guest")])
        .finish()
        .expect_code(2);
    assert!(finished.stderr.contains("is not an audit log"), "{finished}");
}

#[test]
fn a_denial_begins_with_the_time_where_nobody_looks_on() {
    let folder = tempfile::tempdir().unwrap();
    let error = folder.path().join("error");
    let mut command = std::process::Command::new(outport_e2e::outport::binary());
    command
        .arg("run")
        .arg(guest::path("script-guest"))
        .arg("tcp.connect 10.0.0.5:80");
    command.env("XDG_CACHE_HOME", folder.path());
    command.stderr(std::fs::File::create(&error).unwrap());
    assert!(command.status().unwrap().success());
    let said = std::fs::read_to_string(&error).unwrap();
    let line = said.lines().find(|line| line.contains("denied: ")).unwrap();
    let rest = outport_e2e::transcript::without_time(line).unwrap_or_else(|| panic!("no time in `{line}`"));
    assert!(
        rest.starts_with("denied: component `script-guest` tcp 10.0.0.5:80"),
        "{line}"
    );
}
