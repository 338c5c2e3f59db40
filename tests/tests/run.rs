//! `outport run`: a component as a command.

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::{Script, results};
use outport_e2e::tcp::TcpPeer;

#[test]
fn the_exit_code_is_the_guests() {
    for code in [0, 1, 7, 255] {
        let finished = Outport::script_guest().args([format!("exit {code}")]).finish();
        assert_eq!(finished.code, Some(code), "{finished}");
    }
    let finished = Outport::script_guest()
        .args(["this is no statement"])
        .finish()
        .expect_code(1);
    assert!(
        finished.stderr.contains("this is no statement"),
        "the guest's own words\n{finished}"
    );
}

#[test]
fn standard_output_is_the_guests_alone() {
    let finished = Outport::script_guest()
        .args(["print one; print two", "tcp.listen ipv4"])
        .finish()
        .expect_code(0);
    assert_eq!(
        finished.stdout,
        "1 print one => one\n2 print two => two\n3 tcp.listen ipv4 => invalid-state\n"
    );
    let quiet = Outport::script_guest()
        .args(["print one"])
        .finish()
        .expect_code(0);
    assert_eq!(quiet.stderr, "", "nothing to say, nothing said");
}

// proves: VAL-1
#[test]
fn entries_that_permit_nothing_are_told_and_refused_where_no_warning_is_wanted() {
    let run = || {
        Outport::script_guest()
            .allow("*://a.test:80")
            .options([
                "--disallowed-outbound-hosts=*://a.test:*",
                "--no-resolve-disallowed",
            ])
            .args(["print one"])
    };
    let warned = run().finish().expect_code(0);
    assert!(warned.stderr.contains("entry.blocked"), "{warned}");
    let refused = run().option("--deny-warnings").finish().expect_code(1);
    assert_eq!(refused.stdout, "", "the guest does not run\n{refused}");
    assert!(refused.stderr.contains("--deny-warnings"), "{refused}");
    let content = run()
        .option("--deny-warnings")
        .allow("*://b.test:80")
        .finish()
        .expect_code(1);
    assert!(content.stderr.contains("1 warning(s)"), "{content}");
}

#[test]
fn a_log_that_cannot_be_opened_is_said_once_with_what_to_do() {
    let finished = Outport::command("run")
        .options(["--audit-log", "no/such/folder/log"])
        .option(guest::script_guest())
        .finish()
        .expect_code(2);
    assert_eq!(finished.stderr.matches("os error").count(), 1, "{finished}");
    assert!(finished.stderr.contains("name a file"), "{finished}");
}

#[test]
fn everything_after_the_component_belongs_to_the_guest() {
    let finished = Outport::script_guest()
        .args(["args", "print --allow-udp"])
        .finish()
        .expect_code(0);
    assert_eq!(
        results(&finished.stdout),
        ["script-guest.wasm args print --allow-udp", "--allow-udp"]
    );
    // What looks like an option of Outport's is no statement, and says so.
    let finished = Outport::script_guest()
        .args(["args", "--allow-udp"])
        .finish()
        .expect_code(1);
    assert!(finished.stderr.contains("--allow-udp"), "{finished}");
}

#[test]
fn a_guest_has_the_environment_it_is_given_and_no_other() {
    let run = Outport::script_guest().options([
        "--env=COLOUR=red",
        "--env",
        "EMPTY=",
        "--env=EQUALS=a=b",
        "--env=COLOUR=green",
    ]);
    let run = run.variable("SECRET", "of the host").args([
        "env COLOUR",
        "env EMPTY",
        "env EQUALS",
        "env SECRET",
        "env",
    ]);
    let finished = run.finish().expect_code(0);
    let results = results(&finished.stdout);
    assert_eq!(results[..4], ["green", "", "a=b", "unset"], "{finished}");
    assert_eq!(results[4], "COLOUR=green EMPTY= EQUALS=a=b", "{finished}");
}

#[test]
fn a_trap_names_component_export_and_function_and_no_inside_of_outport() {
    let finished = Outport::script_guest().args(["print before", "trap"]).finish();
    assert!(!matches!(finished.code, Some(0) | None), "{finished}");
    assert_eq!(finished.lines(), ["1 print before => before"]);
    for part in ["script-guest", "wasi:cli/run", "unreachable"] {
        assert!(finished.stderr.contains(part), "no `{part}`\n{finished}");
    }
    for part in ["RUST_BACKTRACE", "tokio", ".cargo", "panicked"] {
        assert!(
            !finished.stderr.contains(part),
            "`{part}` is of the inside\n{finished}"
        );
    }
}

#[test]
fn a_component_with_a_foreign_import_runs_until_it_calls_it() {
    let finished = Outport::run(guest::path("foreign")).finish().expect_code(0);
    assert_eq!(finished.stdout, "running\n");
    let finished = Outport::run(guest::path("foreign")).args(["call"]).finish();
    assert!(!matches!(finished.code, Some(0) | None), "{finished}");
    assert_eq!(finished.stdout, "running\n");
    assert!(
        finished.stderr.contains("acme:weather/forecast@1.0.0"),
        "{finished}"
    );
    let frames = |finished: &Finished| finished.stderr.matches("\n    at ").count();
    assert_eq!(frames(&finished), 0, "the reason says it all\n{finished}");
    let verbose = Outport::run(guest::path("foreign"))
        .option("-v")
        .args(["call"])
        .finish();
    assert!(frames(&verbose) > 0, "{verbose}");
}

// proves: DNS-10, AL-5
#[test]
fn a_name_is_reached_by_name_and_not_by_its_address() {
    let peer = TcpPeer::echo();
    let entry = format!("*://localhost:{}", peer.port());
    let script = Script::new()
        .denied(
            format!("tcp.connect {}", peer.address()),
            "allow.name-not-looked-up",
        )
        .gets("dns.lookup localhost", "127.0.0.1,::1")
        .ok(format!("tcp.connect {} as c", peer.address()))
        .ok("tcp.send c ping")
        .gets("tcp.recv c", "ping");
    script.run(Outport::script_guest().allow(entry));
    assert_eq!(peer.accepted(), 1);
}

// proves: ORD-3
#[test]
fn outgoing_http_is_judged_or_refused_and_never_let_through() {
    let origin = outport_e2e::http::Origin::start("hello");
    let run = Outport::script_guest().args([format!("http GET http://{}/", origin.address())]);
    let finished = run.finish().expect_code(0);
    assert_eq!(results(&finished.stdout), ["HTTP-request-denied"], "{finished}");
    assert_eq!(origin.requests(), []);
}

#[test]
fn a_folder_is_the_guests_if_it_is_given() {
    let run = Outport::script_guest()
        .option("--dir=given::/data")
        .args(["print fine"]);
    std::fs::create_dir(run.folder().join("given")).unwrap();
    assert_eq!(results(&run.finish().expect_code(0).stdout), ["fine"]);
    let run = Outport::script_guest()
        .option("--dir=nowhere::/data")
        .args(["print fine"]);
    let finished = run.finish().expect_code(2);
    assert!(finished.stderr.contains("nowhere"), "{finished}");
}
