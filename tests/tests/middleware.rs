//! Middleware: components before the handler of a trigger, each with permissions of its own.
//!
//! The guest `middleware` does what the header `do-N` of a request says if it is the Nth of its chain, and tells what
//! came of it in the header `did-N` of the response. So every part of one chain can be watched trying the same.

use std::fmt::Write as _;
use std::fs;

use outport_e2e::guest;
use outport_e2e::http::{self, Origin, Response};
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::schema;
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

/// The file of a guest whose imports of the network have a name that is made when parts are put together.
fn pretending(guest: &str, prefix: &str, version: &str) -> Vec<u8> {
    let code = fs::read(guest::path(guest)).expect("a guest of ours");
    let hosts = [
        "wasi:http/client@",
        "wasi:sockets/types@",
        "wasi:sockets/ip-name-lookup@",
    ];
    outport_components::rename(&code, |name| {
        let (interface, own) = name.split_once('@')?;
        let version = if version.is_empty() { own } else { version };
        hosts
            .iter()
            .any(|host| name.starts_with(host))
            .then(|| format!("{prefix}{interface}@{version}"))
    })
    .expect("a component of ours")
}

// proves: AL-11
#[test]
fn an_import_with_the_name_of_another_parts_own_gives_nobody_anything() {
    let peer = TcpPeer::echo();
    let lines = format!("allowed_outbound_hosts = [\"*://{}\"]", peer.address());
    let real = "{ path = \"GUESTS/middleware.wasm\", inherit_configuration = true, allowed_outbound_hosts = [\"*://*:*\"] }";
    for prefix in [
        "narrowed-d0-",
        "narrowed-d1-",
        "narrowed-d00-",
        "isolated-d0-",
        "isolated-d7-",
    ] {
        for version in ["", "0.3.1"] {
            // As a part, beside one whose gate it would like to have.
            let hostile = pretending("middleware", prefix, version);
            let refused = app(&format!("{real}, {{ path = \"hostile.wasm\" }}"), &lines)
                .file("hostile.wasm", hostile)
                .finish()
                .expect_code(2);
            assert!(
                refused.stderr.contains(&format!("imports `{prefix}wasi:")),
                "{prefix} {version}: {refused}"
            );
            // As the component that the parts are composed into.
            let hostile = pretending("http-script-guest-p3", prefix, version);
            let refused = Outport::up(&format!(
                "spin_manifest_version = 2\napplication.name = \"forged\"\n[[trigger.http]]\nroute = \"/...\"\n\
                 component = \"web\"\ndependencies.middleware = [{real}]\n[component.web]\n\
                 source = \"hostile.wasm\"\n{lines}\n"
            ))
            .file("hostile.wasm", &hostile)
            .finish()
            .expect_code(2);
            assert!(
                refused.stderr.contains(&format!("imports `{prefix}wasi:")),
                "{prefix} {version}: {refused}"
            );
            // Alone it is an import like any other that nobody provides.
            let checked = Outport::command("inspect")
                .file("hostile.wasm", &hostile)
                .args(["hostile.wasm"])
                .finish()
                .expect_code(0);
            assert!(
                checked.stdout.contains("not provided"),
                "{prefix} {version}: {checked}"
            );
            let app = Outport::up(&format!(
                "spin_manifest_version = 2\napplication.name = \"alone\"\n[[trigger.http]]\nroute = \"/...\"\n\
                 component = \"web\"\n[component.web]\nsource = \"hostile.wasm\"\n{lines}\n"
            ))
            .file("hostile.wasm", &hostile)
            .start();
            let statement = format!("tcp.connect {}", peer.address());
            assert_eq!(ask(&app, "/", &[], &statement).status, 500, "{app}");
            let ended = app.stop();
            assert!(ended.stderr.contains("which Outport does not provide"), "{ended}");
        }
    }
}

// proves: AL-7
#[test]
fn nobody_gets_past_middleware_from_inside_whatever_stands_first() {
    let plain = "[[trigger.http]]\nroute = \"/plain\"\ncomponent = \"back\"\n";
    let guarded = "[[trigger.http]]\nroute = \"/guarded\"\ncomponent = \"back\"\n\
                   dependencies.middleware = [{ path = \"GUESTS/middleware.wasm\" }]\n";
    for (first, second) in [(plain, guarded), (guarded, plain)] {
        let app = Outport::up(&format!(
            "spin_manifest_version = 2\napplication.name = \"inside\"\n[[trigger.http]]\nroute = \"/front\"\n\
             component = \"front\"\n{first}{second}[component.front]\nsource = \"GUESTS/http-script-guest-p3.wasm\"\n\
             allowed_outbound_hosts = [\"http://back.spin.internal\"]\n[component.back]\n\
             source = \"GUESTS/http-script-guest-p3.wasm\"\n"
        ))
        .start();
        let told = ask(
            &app,
            "/front",
            &[],
            "http.text GET http://back.spin.internal/headers",
        )
        .body;
        assert!(told.contains("passed: 1"), "{told}\n{app}");
    }
}

// proves: AL-11, ORD-2, ORD-3, DNS-7, RSN-2
#[test]
fn a_chain_that_was_written_against_each_others_permissions_gets_nothing_beyond_its_own() {
    let (one, two, origin) = (TcpPeer::echo(), TcpPeer::echo(), Origin::start("hello"));
    let (at_one, at_two) = (one.address(), two.address());
    let (by_name, at_origin) = (format!("*://localhost:{}", at_two.port()), origin.address());
    let lines = format!(
        "files = [\"a.txt\"]\nenvironment = {{ whoami = \"web\" }}\n\
         allowed_outbound_hosts = [\"*://{at_one}\", \"{by_name}\", \"http://{at_origin}\", \"http://self\"]"
    );
    let narrowed = |list: &str| {
        format!("inherit_configuration = [\"allowed_outbound_hosts\"], allowed_outbound_hosts = [{list}]")
    };
    let chain = chain_of(&[
        // What only it may; what the component may not; what the second may, by another way.
        &narrowed(&format!("\"{by_name}\", \"*://127.0.0.9:*\"")),
        &narrowed(&format!("\"*://{at_one}\", \"{by_name}\"")),
        "inherit_configuration = [\"environment\"]",
    ]);
    let start = || app(&chain, &lines).file("a.txt", "a file").start();
    let app = start();
    let (one, two) = (format!("tcp.connect {at_one}"), format!("tcp.connect {at_two}"));
    let (text, own) = (
        format!("http.text GET http://{at_origin}/"),
        "http GET http://self/hello",
    );
    let rows: [(&str, [&str; 4]); 9] = [
        (&one, ["ok", DENIED, "ok", DENIED]),
        // By a name that nobody has looked up.
        (&two, [DENIED; 4]),
        ("tcp.connect 127.0.0.9:8080", [DENIED, DENIED, DENIED, DENIED]),
        ("dns.lookup localhost", [BOTH, BOTH, BOTH, DENIED]),
        ("dns.lookup example.com", [DENIED; 4]),
        (&text, ["200 hello", NO_REQUEST, NO_REQUEST, NO_REQUEST]),
        (own, ["200", NO_REQUEST, NO_REQUEST, NO_REQUEST]),
        (
            "file.read a.txt",
            ["a file", "no-directory", "no-directory", "no-directory"],
        ),
        ("env whoami", ["web", "unset", "unset", "web"]),
    ];
    for (statement, expected) in rows {
        for (part, expected) in expected.into_iter().enumerate() {
            assert_eq!(
                perform(&app, part, statement),
                expected,
                "{part}: {statement}\n{app}"
            );
        }
    }
    let finished = app.stop();
    // Its own list has it, and the component's has not: that is the one to change.
    let line = "127.0.0.9:8080\" to allowed_outbound_hosts, of the component itself";
    assert!(finished.stderr.contains(line), "{finished}");
    for component in ["web", "web/middleware-1", "web/middleware-2", "web/middleware-3"] {
        let denied = finished.audit.iter().filter(|line| line.denied());
        let of_it = denied.filter(|line| line.field("component") == component);
        assert!(of_it.count() > 1, "{component}\n{finished}");
    }

    // What one of them looks up permits nothing to the others, whose lists have the name too: not in the same instance,
    // and not at the same time.
    let app = start();
    let looks_up = [
        ("do-1".to_owned(), format!("dns.lookup localhost; {two}")),
        ("do-2".to_owned(), two.clone()),
        ("do-3".to_owned(), two.clone()),
    ];
    let response = ask(&app, "/", &looks_up, &two);
    let told = |place: usize| {
        let told = response.header(&format!("did-{place}"));
        told.unwrap_or_default().to_owned()
    };
    assert!(told(1).ends_with(" => ok"), "{}\n{app}", told(1));
    for denied in [told(2), told(3), response.body.trim_end().to_owned()] {
        assert!(denied.ends_with(" => access-denied"), "{denied}\n{app}");
    }
}

const DENIED: &str = "access-denied";
const NO_REQUEST: &str = "HTTP-request-denied";
const BOTH: &str = "127.0.0.1,::1";

// proves: Q-3, ISO-1
#[test]
fn a_chain_counts_as_one_guest() {
    let peer = TcpPeer::echo();
    let hosts = "inherit_configuration = [\"allowed_outbound_hosts\"]";
    let narrowed = format!("{hosts}, allowed_outbound_hosts = [\"*://{}\"]", peer.address());
    let lines = format!("allowed_outbound_hosts = [\"*://{}\"]", peer.address());
    let app = app(&chain_of(&[&narrowed, hosts, &narrowed]), &lines)
        .options(["--max-memory=64MiB", "--max-cpu-time=2s"])
        .start();
    let all = |statement: &str| -> Vec<(String, String)> {
        (1..=3)
            .map(|place| (format!("do-{place}"), statement.to_owned()))
            .collect()
    };
    // One may have what three may not.
    let results = |response: &Response| -> Vec<bool> {
        let told = (1..=3).map(|place| {
            response
                .header(&format!("did-{place}"))
                .unwrap_or_default()
                .to_owned()
        });
        told.map(|told| told.ends_with(" => ok")).collect()
    };
    let response = ask(&app, "/hello", &all("alloc 24000000"), "");
    assert_eq!(results(&response), [true, true, false], "{response:?}\n{app}");
    assert_eq!(
        ask(&app, "/hello", &all("spin 500")[..1], "").status,
        200,
        "{app}"
    );
    // They look at the clock, and may get a part of a processor only: by far long enough for three.
    let response = ask(&app, "/hello", &all("spin 5000"), "");
    assert_eq!(response.status, 500, "{app}");
}

const PARTS: &str = "spin_manifest_version = 2\napplication.name = \"parts\"\n[[trigger.http]]\nroute = \"/...\"\n\
    component = \"web\"\ndependencies.middleware = [\n\
    { path = \"GUESTS/middleware.wasm\" },\n\
    { path = \"GUESTS/middleware.wasm\", inherit_configuration = [\"allowed_outbound_hosts\", \"key_value_stores\"], \
    allowed_outbound_hosts = [\"*://10.0.0.5:*\", \"https://other.test\"] },\n\
    { path = \"GUESTS/middleware.wasm\", allowed_outbound_hosts = [\"https://api.test\"] }]\n\
    [component.web]\nsource = \"GUESTS/http-script-guest-p3.wasm\"\nkey_value_stores = [\"default\"]\n\
    allowed_outbound_hosts = [\"*://10.0.0.0/8:5432\", \"https://api.test\"]\n";

fn command(command: &'static str, options: &[&str]) -> Finished {
    Outport::command(command)
        .manifest(PARTS)
        .options(options)
        .finish()
}

// proves: RSN-2, RSN-5
#[test]
fn explain_says_of_each_part_what_it_reaches_and_whose_list_keeps_it_from_more() {
    let rows = [
        ("web", "tcp://10.0.0.6:5432", 0, "allowed"),
        (
            "web/middleware-1",
            "tcp://10.0.0.5:5432",
            1,
            "allow.not-inherited",
        ),
        ("web/middleware-2", "tcp://10.0.0.5:5432", 0, "allowed"),
        (
            "web/middleware-2",
            "tcp://10.0.0.6:5432",
            1,
            "add \"*://10.0.0.6:5432\" to allowed_outbound_hosts, of the part itself",
        ),
        (
            "web/middleware-2",
            "tcp://10.0.0.5:80",
            1,
            "to allowed_outbound_hosts, of the component itself",
        ),
        ("web/middleware-2", "key-value:default", 0, "allowed"),
        ("web/middleware-1", "key-value:default", 1, "allow.not-inherited"),
        ("web/middleware-3", "https://api.test/", 1, "allow.not-inherited"),
    ];
    for (component, destination, code, part) in rows {
        let told = command("explain", &["--component", component, destination]).expect_code(code);
        let flat = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains(part),
            "{component} {destination}: no `{part}`\n{told}"
        );
    }
    // Without a component that one is meant which there is one of.
    let told = command("explain", &["tcp://10.0.0.6:5432"]).expect_code(0);
    for part in 1..=3 {
        let note = format!("another one for its part `web/middleware-{part}`");
        let flat = told.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&note), "no `{note}`\n{told}");
    }
    // Where the answer is the same nothing is said of a part.
    let told = command("explain", &["tcp://10.0.0.5:5432"]).expect_code(0);
    assert!(!told.stderr.contains("`web/middleware-2`"), "{told}");
    let unknown = command("explain", &["--component", "web/middleware-4"]).expect_code(2);
    assert!(unknown.stderr.contains("`web/middleware-3`"), "{unknown}");
    let all = command("explain", &[]).expect_code(0).stdout;
    for lines in [
        "web/middleware-1\n  reaches nothing: it inherits no hosts\n",
        "web/middleware-2\n  of what `web` reaches:\n  *://10.0.0.5:*\n    only what `web` has of it: *://10.0.0.0/8:5432\n  https://other.test  permits nothing\n    the entries of web have nothing of it\n",
        "web/middleware-3\n  reaches nothing: it inherits no hosts\n",
    ] {
        assert!(all.contains(lines), "no `{lines}` in\n{all}");
    }
    let json = command("explain", &["--format=json"]).expect_code(0).stdout;
    let told = schema::valid("docs/schema/effective-policy.json", &json);
    assert_eq!(told["components"][2]["id"], "web/middleware-2", "{json}");
    assert_eq!(told["components"][2]["within"], "web", "{json}");
}

/// A component that is used as middleware is no component of its own: nothing keeps a right app from starting, and at start
/// stands what each part may reach.
#[test]
fn up_says_what_parts_may_reach_and_warns_of_nothing_that_is_right() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"parts\"\n[[trigger.http]]\nroute = \"/...\"\n\
        component = \"web\"\ndependencies.middleware = [\n\
        { component = \"mid\", inherit_configuration = [\"allowed_outbound_hosts\"] },\n\
        { component = \"mid\" },\n\
        { component = \"mid\", inherit_configuration = true, allowed_outbound_hosts = [] },\n\
        { component = \"mid\", inherit_configuration = true, allowed_outbound_hosts = [\"*://10.0.0.5:5432\"] }]\n\
        [component.web]\nsource = \"GUESTS/http-script-guest-p3.wasm\"\n\
        allowed_outbound_hosts = [\"*://10.0.0.0/8:5432\"]\n\
        [component.mid]\nsource = \"GUESTS/middleware.wasm\"\n";
    let up = Outport::up(manifest).option("--deny-warnings").start();
    up.address();
    let said = up.stderr();
    for line in [
        "web               *://10.0.0.0/8:5432\n",
        "web/middleware-1  what `web` may\n",
        "web/middleware-2  nothing\n",
        "web/middleware-3  nothing\n",
        "web/middleware-4  of what `web` may: *://10.0.0.5:5432\n",
    ] {
        assert!(said.contains(line), "no `{line}`\n{said}");
    }
    for none in ["  mid  ", "warning", "does not provide"] {
        assert!(!said.contains(none), "`{none}`\n{said}");
    }
    up.stop().expect_code(0);
}

// proves: VAL-1
#[test]
fn check_says_which_entries_of_a_part_permit_nothing() {
    let told = command("check", &[]).expect_code(0);
    let found = told.stdout.matches("entry.not-inherited").count()
        + told.stderr.matches("entry.not-inherited").count();
    assert_eq!(found, 2, "{told}");
}

#[test]
fn inspect_lists_the_parts_of_a_component_and_whom_they_call() {
    let told = command("inspect", &[]).expect_code(0).stdout;
    for number in 1..=3 {
        assert!(
            told.contains(&format!("component `web/middleware-{number}`")),
            "{told}"
        );
    }
    let behind = told.matches("(from what it stands before)").count();
    assert_eq!((behind, told.matches("not provided").count()), (3, 0), "{told}");
}
