//! Requests of an app's components to each other: judged like any other, answered without a network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::http;
use outport_e2e::outport::Outport;

const APP: &str = r#"
spin_manifest_version = 2
application.name = "chained"

[[trigger.http]]
route = "/front/..."
component = "front"

[[trigger.http]]
route = { private = true }
component = "back"

[[trigger.http]]
route = "/alone/..."
component = "alone"

[component.front]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://back.spin.internal", "http://missing.spin.internal", "http://self", "http://spin.internal"]

[component.back]
source = "GUESTS/http-script-guest.wasm"
environment = { whoami = "back" }

[component.alone]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://localhost:*", "http://front.spin.internal"]
"#;

/// A statement as the query of a URL.
fn in_query(statement: &str) -> String {
    statement.replace('%', "%25").replace(' ', "%20")
}

// proves: AL-7
#[test]
fn components_call_each_other_by_name_private_routes_included() {
    let app = Outport::up(APP).start();
    let rows = [
        (
            "front",
            "http.text GET http://back.spin.internal/hello",
            "200 hello",
        ),
        (
            "front",
            "http.text GET http://back.spin.internal/env",
            "200 whoami=back",
        ),
        (
            "front",
            "http.text GET http://BACK.spin.internal.:80/hello",
            "200 hello",
        ),
        (
            "front",
            "http.upload 100000 http://back.spin.internal/count",
            "200 100000",
        ),
        (
            "front",
            "http.length GET http://back.spin.internal/zeroes?3000000",
            "200 3000000 bytes",
        ),
        ("front", "http.text GET http://self/alone/hello", "200 hello"),
        ("front", "http GET http://self/nowhere", "404"),
        // What Spin's SDKs make of a URL without a host.
        ("front", "http.parts GET http :80 /alone/hello", "200"),
        (
            "alone",
            "http.parts GET http :80 /front/hello",
            "HTTP-request-denied",
        ),
        (
            "front",
            "http GET http://missing.spin.internal/",
            "destination-not-found",
        ),
        ("front", "http GET http://spin.internal/", "destination-not-found"),
        (
            "front",
            "http GET http://front.spin.internal/hello",
            "HTTP-request-denied",
        ),
        (
            "front",
            "http CONNECT http://back.spin.internal/hello",
            "HTTP-request-denied",
        ),
        (
            "alone",
            "http.text GET http://front.spin.internal/front/hello",
            "200 hello",
        ),
        (
            "alone",
            "http GET http://back.spin.internal/hello",
            "HTTP-request-denied",
        ),
        ("alone", "http GET http://self/front/hello", "HTTP-request-denied"),
        ("front", "dns.lookup back.spin.internal", "access-denied"),
        ("alone", "dns.lookup back.spin.internal", "access-denied"),
    ];
    for (component, statement, result) in rows {
        let answer = app.get(&format!("/{component}/script?{}", in_query(statement)));
        let (_, got) = answer
            .body
            .trim_end()
            .split_once(" => ")
            .unwrap_or_else(|| panic!("{}", answer.body));
        let got = got.trim_end_matches("\\n");
        assert_eq!(got, result, "{component}: {statement}\n{app}");
    }
    assert_eq!(
        app.get("/back/hello").status,
        404,
        "a private route is for components only"
    );
    app.stop();
}

/// One app on WASI 0.2 and one on 0.3, each with a component that may call the app and one that may not.
const ITSELF: &str = r#"
spin_manifest_version = 2
application.name = "itself"

[[trigger.http]]
route = "/p2/..."
component = "p2"

[[trigger.http]]
route = "/p3/..."
component = "p3"

[[trigger.http]]
route = "/p2-everywhere/..."
component = "p2-everywhere"

[[trigger.http]]
route = "/p3-nowhere/..."
component = "p3-nowhere"

[component.p2]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://self"]

[component.p3]
source = "GUESTS/http-script-guest-p3.wasm"
allowed_outbound_hosts = ["https://self.alt"]

[component.p2-everywhere]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://*"]

[component.p3-nowhere]
source = "GUESTS/http-script-guest-p3.wasm"
allowed_outbound_hosts = ["http://other.example", "*://*.alt:*"]
"#;

// proves: AL-10
#[test]
fn the_app_itself_is_one_destination_for_every_spelling_and_both_lists_hold_for_it() {
    let spellings = [
        "http.parts GET http self /p2/hello",
        "http.parts GET http SELF. /p2/hello",
        "http.parts GET https self /p2/hello",
        "http.parts GET http self:8080 /p2/hello",
        "http.parts GET http self.alt /p2/hello",
        "http.parts GET https Self.Alt:443 /p2/hello",
        // What Spin's SDKs make of a path alone.
        "http.parts GET http :80 /p2/hello",
        "http.parts GET https :443 /p2/hello",
        "http.parts GET http - /p2/hello",
        "http.parts GET - - /p2/hello",
    ];
    let rows: [(&[&str], [&str; 4]); 6] = [
        (&[], ["200", "200", "200", "HTTP-request-denied"]),
        (&["*://self:*"], ["HTTP-request-denied"; 4]),
        (&["https://{a.example,self.alt}"], ["HTTP-request-denied"; 4]),
        (&["http://*"], ["HTTP-request-denied"; 4]),
        (&["*://*:*"], ["HTTP-request-denied"; 4]),
        (
            &["*://*:5432", "*://localhost:*"],
            ["200", "200", "200", "HTTP-request-denied"],
        ),
    ];
    for (denied, expected) in rows {
        let mut app = Outport::up(ITSELF);
        for entry in denied {
            app = app.option(format!("--disallowed-outbound-hosts={entry}"));
        }
        let app = app.start();
        for (component, expected) in ["p2", "p3", "p2-everywhere", "p3-nowhere"].iter().zip(expected) {
            for spelling in spellings {
                let answer = app
                    .get(&format!("/{component}/script?{}", in_query(spelling)))
                    .body;
                let (_, got) = answer.trim_end().split_once(" => ").unwrap_or(("", &answer));
                assert_eq!(got, expected, "{component}: {spelling}, denied {denied:?}\n{app}");
            }
        }
        app.stop();
    }
}

// proves: AL-7, AL-10
#[test]
fn a_denied_component_is_reached_by_no_other_port_or_scheme() {
    let manifest = ITSELF.replace("[\"http://*\"]", "[\"*://*:*\"]");
    for (denied, expected) in [
        ("http://p2.spin.internal", "HTTP-request-denied"),
        ("*://*.spin.internal:80", "HTTP-request-denied"),
        ("*://*:80", "HTTP-request-denied"),
        ("http://p3.spin.internal", "200"),
    ] {
        let app = Outport::up(&manifest).option(format!("--disallowed-outbound-hosts={denied}"));
        let app = app.start();
        for url in [
            "http://p2.spin.internal",
            "http://p2.spin.internal:81",
            "https://P2.spin.internal.",
        ] {
            let answer = app
                .get(&format!(
                    "/p2-everywhere/script?{}",
                    in_query(&format!("http GET {url}/p2/hello"))
                ))
                .body;
            let (_, got) = answer.trim_end().split_once(" => ").unwrap_or(("", &answer));
            assert_eq!(got, expected, "{url} without {denied}\n{app}");
        }
        app.stop();
    }
}

// proves: AL-7
#[test]
fn a_callee_is_told_that_it_was_called_in_the_process() {
    let app = Outport::up(APP).start();
    let call = in_query("http.text GET http://back.spin.internal/headers spin-client-addr=6.6.6.6:6");
    let answer = app.get(&format!("/front/script?{call}")).body;
    let (_, answer) = answer.split_once(" => ").expect("a result");
    for told in [
        "spin-client-addr: 127.0.0.1:0",
        "spin-full-url: http://back.spin.internal/headers",
    ] {
        assert!(answer.contains(told), "no `{told}` in {answer}");
    }
    assert!(!answer.contains("6.6.6.6"), "{answer}");
    app.stop();
}

// proves: AL-7, RSN-1
#[test]
fn calls_are_in_the_audit_log_with_their_verdicts() {
    let app = Outport::up(APP).start();
    app.get(&format!(
        "/front/script?{}",
        in_query("http GET http://back.spin.internal/hello")
    ));
    app.get(&format!(
        "/alone/script?{}",
        in_query("http GET http://back.spin.internal/hello")
    ));
    assert_eq!(app.stop().reasons(), ["allow.no-match"]);
}

/// A component that may call itself.
const ENDLESS: &str = r#"
spin_manifest_version = 2
application.name = "endless"
[[trigger.http]]
route = "/..."
component = "it"
[component.it]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://self"]
"#;

/// The path of a client's request that leads to `calls` calls, each made by the one before.
fn nested(calls: usize) -> String {
    let innermost = "http GET http://self/hello".to_owned();
    let call = (1..calls).fold(innermost, |call, _| {
        format!("http GET http://self/script?{}", in_query(&call))
    });
    format!("/script?{}", in_query(&call))
}

// proves: Q-3
#[test]
fn q_3_a_component_that_calls_itself_leaves_places_to_clients() {
    let app = Outport::up(ENDLESS).option("--max-requests=4").start();
    let address = app.address();
    thread::scope(|scope| {
        // Holds its own place and those for calls, and waits for one more until that is refused.
        let greedy = scope.spawn(|| http::get(address, &nested(6)).unwrap().status);
        thread::sleep(Duration::from_secs(2));
        for _ in 0..5 {
            assert_eq!(app.get("/hello").body, "hello\n");
        }
        // It is refused after ten seconds.
        assert!(
            !greedy.is_finished(),
            "it holds no places, or a client waited for them\n{app}"
        );
        assert_eq!(greedy.join().unwrap(), 200, "it was answered in the end\n{app}");
    });
    assert_eq!(app.get("/hello").body, "hello\n");
    app.stop();
}

// proves: Q-3
#[test]
fn q_3_calls_are_nested_sixteen_deep_at_most() {
    let app = Outport::up(ENDLESS).start();
    let told = || app.stderr().matches("calls are nested 16 deep at most").count();
    assert_eq!(app.get(&nested(16)).status, 200, "{app}");
    assert_eq!(told(), 0, "{app}");
    for _ in 0..3 {
        assert_eq!(app.get(&nested(20)).status, 200, "{app}");
    }
    app.wait_for_error_line("warning: component `it` was not called");
    assert_eq!(told(), 1, "{app}");
    let start = Instant::now();
    app.stop();
    assert!(start.elapsed() < Duration::from_secs(15), "nothing goes on");
}
