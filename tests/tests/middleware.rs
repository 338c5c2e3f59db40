//! Middleware: components before the handler of a trigger, each with permissions of its own.
//!
//! The guest `middleware` does what the header `do-N` of a request says if it is the Nth of its chain, and tells what
//! came of it in the header `did-N` of the response. So every part of one chain can be watched trying the same.

use std::fmt::Write as _;

use outport_e2e::http::{self, Origin, Response};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::tcp::TcpPeer;

/// An app with `chain` before the component `web`, of which `lines` are written too.
fn app(chain: &str, lines: &str) -> Outport {
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"chained\"\n\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\ndependencies.middleware = [{chain}]\n\n[component.web]\n\
         source = \"GUESTS/http-script-guest-p3.wasm\"\n{lines}\n"
    ))
}

fn chain_of(inheritances: &[&str]) -> String {
    let mut chain = String::new();
    for inheritance in inheritances {
        let comma = if inheritance.is_empty() { "" } else { ", " };
        write!(
            chain,
            "{{ path = \"GUESTS/middleware.wasm\"{comma}{inheritance} }}, "
        )
        .expect("a string takes all text");
    }
    chain
}

#[track_caller]
fn ask(app: &Running, path: &str, headers: &[(String, String)], body: &str) -> Response {
    let mut lines = String::new();
    for (name, value) in headers {
        write!(lines, "{name}: {value}\r\n").expect("a string takes all text");
    }
    let (address, length) = (app.address(), body.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    http::send(address, &request).unwrap_or_else(|error| panic!("{path}: {error}\n{app}"))
}

/// What a part answers to one statement: 0 is the component itself, 1 the outermost middleware.
#[track_caller]
fn perform(app: &Running, part: usize, statement: &str) -> String {
    let told = if part == 0 {
        ask(app, "/", &[], statement).body
    } else {
        let response = ask(app, "/hello", &[(format!("do-{part}"), statement.to_owned())], "");
        assert_eq!(response.body, "hello\n", "{app}");
        let told = response.header(&format!("did-{part}"));
        told.unwrap_or_else(|| panic!("{statement}: {part} did nothing\n{app}"))
            .to_owned()
    };
    let result = told.trim_end().rsplit(" => ").next();
    result.unwrap_or_default().to_owned()
}

#[test]
fn a_request_goes_through_the_chain_from_the_first_to_the_last_and_bodies_stream() {
    let app = app(&chain_of(&["", "", ""]), "").start();
    let seen = ask(&app, "/headers", &[], "").body;
    assert!(seen.contains("\npassed: 3\n"), "{seen}\n{app}");
    let all: Vec<(String, String)> = (1..=3)
        .map(|place| (format!("do-{place}"), format!("print {place}")))
        .collect();
    let response = ask(&app, "/hello", &all, "");
    for place in 1..=3 {
        let told = response.header(&format!("did-{place}"));
        assert_eq!(
            told,
            Some(format!("1 print {place} => {place}").as_str()),
            "{app}"
        );
    }
    let long = "x".repeat(3_000_000);
    assert_eq!(ask(&app, "/count", &[], &long).body, "3000000\n", "{app}");
    assert_eq!(
        ask(&app, "/zeroes?3000000", &[], "").body.len(),
        3_000_000,
        "{app}"
    );
    // The second answers: the third and the component are not asked.
    let answers = [
        ("do-2".to_owned(), "answer".to_owned()),
        ("do-3".to_owned(), "trap".to_owned()),
    ];
    assert_eq!(ask(&app, "/hello", &answers, "").status, 403, "{app}");
}

/// What is tried, and what comes of it with all rights and with none.
const RIGHTS: [(&str, &str, &str); 7] = [
    ("tcp.connect PEER", "ok", "access-denied"),
    ("dns.lookup localhost", "127.0.0.1,::1", "access-denied"),
    ("http.text GET http://ORIGIN/", "200 hello", "HTTP-request-denied"),
    ("http GET http://self/hello", "200", "HTTP-request-denied"),
    ("file.read a.txt", "a file", "no-directory"),
    ("env whoami", "web", "unset"),
    ("print still here", "still here", "still here"),
];

// proves: ORD-2, RSN-3
#[test]
fn each_middleware_has_what_it_inherits_and_nothing_else() {
    let (peer, origin) = (TcpPeer::echo(), Origin::start("hello"));
    let lines = format!(
        "files = [\"a.txt\"]\nenvironment = {{ whoami = \"web\" }}\n\
         allowed_outbound_hosts = [\"*://{}\", \"http://{}\", \"*://localhost:*\", \"http://self\"]",
        peer.address(),
        origin.address()
    );
    let chain = chain_of(&[
        "",
        "inherit_configuration = true",
        "inherit_configuration = [\"environment\"]",
    ]);
    let app = app(&chain, &lines).file("a.txt", "a file").start();
    let mut refused = 0;
    for (statement, with, without) in RIGHTS {
        let statement = statement
            .replace("PEER", &peer.address().to_string())
            .replace("ORIGIN", &origin.address().to_string());
        for part in 0..=3 {
            let has_it = match part {
                0 | 2 => true,
                3 => statement.starts_with("env"),
                _ => false,
            };
            let expected = if has_it { with } else { without };
            assert_eq!(
                perform(&app, part, &statement),
                expected,
                "{part}: {statement}\n{app}"
            );
            refused += usize::from(expected.contains("enied"));
        }
    }
    let finished = app.stop();
    assert_eq!(
        finished.reasons(),
        vec!["allow.not-inherited"; refused],
        "{finished}"
    );
    for denied in finished.audit.iter().filter(|line| line.denied()) {
        let component = denied.field("component");
        assert!(
            ["web/middleware-1", "web/middleware-3"].contains(&component.as_str()),
            "{component}\n{finished}"
        );
    }
}

#[test]
fn each_trigger_has_a_chain_of_its_own() {
    let app = Outport::up(
        "spin_manifest_version = 2\napplication.name = \"two\"\n\
         [[trigger.http]]\nroute = \"/open\"\ncomponent = \"web\"\n\
         [[trigger.http]]\nroute = \"/one/...\"\ncomponent = \"web\"\n\
         dependencies.middleware = [{ component = \"pass\" }]\n\
         [[trigger.http]]\nroute = \"/two/...\"\ncomponent = \"web\"\n\
         dependencies.middleware = [{ component = \"pass\" }, { component = \"pass\" }]\n\
         [component.web]\nsource = \"GUESTS/http-script-guest-p3.wasm\"\n\
         [component.pass]\nsource = \"GUESTS/middleware.wasm\"\n",
    )
    .start();
    for (path, passed) in [("/open", None), ("/one", Some("1")), ("/two", Some("2"))] {
        let path = if passed.is_none() {
            "/open".to_owned()
        } else {
            format!("{path}/headers")
        };
        let seen = if passed.is_none() {
            // The script of the component alone, behind nothing.
            ask(&app, &path, &[], "print here").body
        } else {
            ask(&app, &path, &[], "").body
        };
        match passed {
            None => assert_eq!(seen, "1 print here => here\n", "{app}"),
            Some(passed) => assert!(seen.contains(&format!("\npassed: {passed}\n")), "{seen}\n{app}"),
        }
    }
}

#[test]
fn a_trap_in_a_middleware_ends_the_instance_and_the_next_request_is_answered() {
    let app = app(&chain_of(&["", ""]), "").start();
    for place in ["do-1", "do-2"] {
        let response = ask(&app, "/hello", &[(place.to_owned(), "trap".to_owned())], "");
        assert_eq!(response.status, 500, "{app}");
        assert_eq!(ask(&app, "/hello", &[], "").body, "hello\n", "{app}");
    }
}

#[test]
fn what_cannot_stand_in_a_chain_is_an_error_at_its_place() {
    let pass = "{ path = \"GUESTS/middleware.wasm\" }";
    // (chain, lines of the component, message)
    let rows = [
        (
            "{ path = \"GUESTS/hello-p3.wasm\" }",
            "",
            "imports no `wasi:http/handler@0.3.0` to call what is behind it",
        ),
        (
            "{ path = \"GUESTS/http-script-guest.wasm\" }",
            "",
            "imports no `wasi:http/handler@0.3.0`",
        ),
        ("{ path = \"GUESTS/none.wasm\" }", "", "there is no file"),
        (
            "{ component = \"granted\" }",
            "[component.granted]\nsource = \"GUESTS/middleware.wasm\"\nallowed_outbound_hosts = [\"http://self\"]",
            "cannot be a dependency, since it has `allowed_outbound_hosts`",
        ),
        (
            "{ path = \"GUESTS/middleware.wasm\", export = \"a:b/c\" }",
            "",
            "middleware has no `export`",
        ),
    ];
    for (chain, lines, message) in rows {
        let finished = app(&format!("{chain}, {pass}"), lines).finish().expect_code(2);
        let flat = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [message, "spin.toml:7:"] {
            assert!(flat.contains(part), "no `{part}` for {chain}\n{finished}");
        }
    }
    let of_0_2 = "spin_manifest_version = 2\napplication.name = \"old\"\n[[trigger.http]]\nroute = \"/...\"\n\
                  component = { source = \"GUESTS/hello.wasm\" }\n\
                  dependencies.middleware = [{ path = \"GUESTS/middleware.wasm\" }]\n";
    let refused = Outport::up(of_0_2).finish().expect_code(2);
    let flat = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "there is no `wasi:http/handler@0.3.0` to call",
        "wasi:http/incoming-handler@0.2",
        "build it with a newer SDK",
    ] {
        assert!(flat.contains(part), "no `{part}`\n{refused}");
    }
}
