//! The Redis interface in both versions: apps of Spin's Python SDKs, unchanged, and a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;
use outport_e2e::redis::Redis;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::Authority;

/// A component of each version, by the number that its route begins with.
const APP: &str = r#"
spin_manifest_version = 2
application.name = "redis"

[[trigger.http]]
route = "/3/..."
component = "three"

[[trigger.http]]
route = "/2/..."
component = "two"

[component.three]
source = "THREE"
allowed_outbound_hosts = [ALLOWED]

[component.two]
source = "TWO"
allowed_outbound_hosts = [ALLOWED]
"#;

/// `spin:redis@3.0.0`, and `fermyon:spin/redis@2.0.0`.
const VERSIONS: [&str; 2] = ["3", "2"];

fn manifest(allowed: &str) -> String {
    let (three, two) = (
        python::spin_app("spin_redis"),
        python::spin_app_of_sdk_3("spin_redis_3"),
    );
    APP.replace("THREE", &three.display().to_string())
        .replace("TWO", &two.display().to_string())
        .replace("ALLOWED", allowed)
}

fn up(allowed: &str) -> Outport {
    Outport::up(&manifest(allowed))
}

/// The path by which the component of `version` is asked.
fn path(version: &str, (key, value): (&str, &str), statements: &str) -> String {
    let encoded = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    format!("/{version}/?{key}={}&do={}", encoded(value), encoded(statements))
}

/// What the component of `version` says to each of the statements, by one connection to `address`.
fn said(app: &Running, version: &str, address: &str, statements: &str) -> Vec<String> {
    answered(app, &path(version, ("address", address), statements))
}

fn answered(app: &Running, path: &str) -> Vec<String> {
    let answer = app.get(path);
    assert_eq!(answer.status, 200, "{path}\n{app}");
    answer.body.lines().map(str::to_owned).collect()
}

// proves: HI-1, HI-2, HI-4
#[test]
fn apps_of_both_versions_do_with_a_server_what_they_are_asked_to_and_share_a_connection() {
    let redis = Redis::start();
    let address = format!("redis://localhost:{}", redis.port());
    let app = up(&format!("\"{address}\"")).option("--workers=1").start();
    for version in VERSIONS {
        for (statements, expected) in [
            (
                "set colour green;get colour;get nothing",
                vec!["None", "green", "None"],
            ),
            (
                "incr n;incr n;incr colour;get n",
                vec!["1", "2", "type-error", "2"],
            ),
            (
                "sadd s a b a;sadd s b c;smembers s;srem s a x;smembers s;get s",
                vec!["2", "1", "['a', 'b', 'c']", "1", "['b', 'c']", "type-error"],
            ),
            ("del n colour nothing;get n", vec!["2", "None"]),
            ("publish channel message", vec!["None"]),
            (
                "execute rpush list #1 two;execute lrange list #0 #-1;execute ping;execute get nothing",
                vec!["[2]", "['1', 'two']", "['PONG']", "[None]"],
            ),
            ("fill large 1000000;length large", vec!["None", "1000000"]),
            (
                "execute no such;get large2",
                vec![
                    "other: ERR unknown command 'no', with args beginning with: 'such' ",
                    "None",
                ],
            ),
        ] {
            let found = said(&app, version, &address, statements);
            let found: Vec<&str> = found.iter().map(|line| line.trim_end()).collect();
            let expected: Vec<&str> = expected.iter().map(|line| line.trim_end()).collect();
            assert_eq!(found, expected, "{version}: {statements}\n{app}");
        }
        redis.ask("FLUSHALL").unwrap();
    }
    let clients = redis.ask("CLIENT LIST TYPE normal").unwrap();
    assert_eq!(
        clients.matches("id=").count(),
        3,
        "one of each component, and the test's: {clients}"
    );
    let ended = app.stop();
    let dials = ended
        .audit
        .iter()
        .filter(|line| line.field("attempt") == "redis.dial");
    assert!(dials.count() >= 16, "each use was judged: {ended}");
    assert!(ended.reasons().is_empty(), "{ended}");
}

// proves: HI-1, HI-2, HI-3, HI-8
#[test]
fn what_may_not_be_reached_is_an_invalid_address_and_the_log_says_why() {
    let peer = TcpPeer::start(Manner::Echo);
    let at = peer.address();
    for (allowed, denied, address, reason) in [
        (
            format!("\"tcp://{at}\""),
            String::new(),
            format!("redis://{at}"),
            "allow.scheme",
        ),
        (
            format!("\"http://{at}\""),
            String::new(),
            format!("redis://{at}"),
            "allow.scheme",
        ),
        (
            format!("\"mysql://{at}\""),
            String::new(),
            format!("rediss://{at}"),
            "allow.scheme",
        ),
        (
            format!("\"redis://localhost:{}\"", at.port()),
            String::new(),
            format!("redis://{at}"),
            "allow.no-match",
        ),
        (
            "\"redis://127.0.0.1:1\"".to_owned(),
            String::new(),
            format!("redis://{at}"),
            "allow.port",
        ),
        (
            String::new(),
            String::new(),
            format!("redis://{at}"),
            "allow.none",
        ),
        (
            format!("\"*://{at}\""),
            format!("redis://{at}"),
            format!("redis://{at}"),
            "deny.host",
        ),
        (
            format!("\"*://{at}\""),
            format!("tcp://{at}"),
            format!("redis://{at}"),
            "deny.host",
        ),
        (
            "\"*://*:*\"".to_owned(),
            format!("redis://localhost:{}", at.port()),
            format!("redis://localhost:{}", at.port()),
            "deny.host",
        ),
        (
            "\"*://*:*\"".to_owned(),
            String::new(),
            "redis://127.0.0.1:80".to_owned(),
            "runtime.loopback-port",
        ),
        (
            "\"*://*:*\"".to_owned(),
            String::new(),
            format!("redis://{at},{at}"),
            "address.invalid",
        ),
        (
            "\"*://*:*\"".to_owned(),
            String::new(),
            format!("redis://x@{at}?db=1"),
            "address.invalid",
        ),
        (
            "\"*://*:*\"".to_owned(),
            String::new(),
            "redis+unix:///run/redis.sock".to_owned(),
            "address.invalid",
        ),
        (
            "\"*://*:*\"".to_owned(),
            String::new(),
            "redis://127.0.0.1:0".to_owned(),
            "address.invalid",
        ),
    ] {
        let mut app = up(&allowed);
        if !denied.is_empty() {
            app = app.deny(&denied);
        }
        let app = app.start();
        let shown = format!("{address} {allowed} {denied}");
        for version in VERSIONS {
            let found = said(&app, version, &address, "get a");
            assert_eq!(found, ["invalid-address"], "{version}: {shown}\n{app}");
        }
        let ended = app.stop();
        // One of each version, at least.
        assert!(ended.reasons().len() >= 2, "{shown}\n{ended}");
        assert!(
            ended.reasons().iter().all(|found| found == reason),
            "{shown}\n{ended}"
        );
    }
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_server_is_spoken_to_over_tls_if_its_certificate_is_for_its_name() {
    let authority = Authority::new();
    let redis = Redis::start_with_tls(&authority.identity("localhost"));
    let config = "[[client_tls]]\ncomponent_ids = [\"three\"]\nhosts = [\"localhost\", \"127.0.0.1\"]\nca_roots_file = \"ca.pem\"\n";
    let app = up("\"rediss://*:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
        .file("ca.pem", authority.pem())
        .start();
    let address = |host: &str| format!("rediss://{host}:{}", redis.tls_port().unwrap());
    assert_eq!(
        said(&app, "3", &address("localhost"), "set a b;get a"),
        ["None", "b"]
    );
    let other = said(&app, "3", &address("127.0.0.1"), "get a");
    assert!(
        other[0].starts_with("other: TLS cannot be agreed on"),
        "{other:?}"
    );
}

#[test]
fn a_component_has_as_many_connections_as_the_operator_permits() {
    let redis = Redis::start();
    let address = format!("redis://127.0.0.1:{}", redis.port());
    let app = up(&format!("\"{address}\""))
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", "[outbound_redis]\nmax_connections = 1\n")
        .start();
    let (server, waits) = (
        app.address(),
        path("3", ("address", &address), "execute blpop queue #30"),
    );
    let waiting = thread::spawn(move || http::get(server, &waits).unwrap().body);
    while !redis
        .ask("CLIENT LIST TYPE normal")
        .unwrap()
        .contains("cmd=blpop")
    {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(said(&app, "3", &address, "get a"), ["too-many-connections"]);
    redis.ask("RPUSH queue x").unwrap();
    assert_eq!(waiting.join().unwrap(), "['queue', 'x']");
    assert_eq!(said(&app, "3", &address, "get a"), ["None"]);
    let ended = app.stop();
    assert_eq!(ended.reasons(), ["quota.connections"], "{ended}");
    let line = format!("redis {address} [quota.connections] too many connections are open");
    assert!(ended.stderr.contains(&line), "{ended}");
}

// proves: HI-6
#[test]
fn a_key_value_store_is_on_the_operators_server_wherever_guests_may_go() {
    let redis = Redis::start();
    let config = format!(
        "[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://:hunter2@127.0.0.1:{}/0\"\n",
        redis.port()
    );
    redis.ask("CONFIG SET requirepass hunter2").unwrap();
    let manifest = manifest("").replace("allowed_outbound_hosts = []", "key_value_stores = [\"default\"]");
    let app = Outport::up(&manifest)
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", &config)
        .deny("*://*:*")
        .start();
    let expected = ["None", "b'green'", "True", "False", "None", "None"];
    let statements = "set colour green;get colour;exists colour;exists nothing;delete colour;get colour";
    assert_eq!(
        answered(&app, &path("3", ("store", "default"), statements)),
        expected
    );
    answered(&app, &path("3", ("store", "default"), "set shape round"));
    let at = format!("redis://127.0.0.1:{}", redis.port());
    assert_eq!(
        said(&app, "3", &at, "get shape"),
        ["invalid-address"],
        "by itself it may not go there"
    );
    let ended = app.stop();
    let whose: BTreeSet<String> = ended.audit.iter().map(|line| line.field("component")).collect();
    assert!(whose.contains("key_value_store.default (operator)"), "{whose:?}");
    assert!(!format!("{ended}").contains("hunter2"), "{ended}");
}
