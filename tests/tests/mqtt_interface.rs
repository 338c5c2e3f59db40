//! The MQTT interface in both versions: apps of Spin's Python SDKs, unchanged, and a real broker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::thread;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::{Outport, Running};
use outport_e2e::python;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::Authority;
use outport_e2e::until::until;

/// A component of each version, by the number that its route begins with.
const APP: &str = r#"
spin_manifest_version = 2
application.name = "mqtt"

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

/// `spin:mqtt@3.0.0`, and `fermyon:spin/mqtt@2.0.0`.
const VERSIONS: [&str; 2] = ["3", "2"];

fn up(allowed: &str) -> Outport {
    let (three, two) = (
        python::spin_app("spin_mqtt"),
        python::spin_app_of_sdk_3("spin_mqtt_3"),
    );
    let manifest = APP
        .replace("THREE", &three.display().to_string())
        .replace("TWO", &two.display().to_string())
        .replace("ALLOWED", allowed);
    Outport::up(&manifest)
}

/// The path by which the component of `version` is asked.
fn path(version: &str, asked: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    let pairs: Vec<String> = asked
        .iter()
        .map(|(key, value)| format!("{key}={}", encoded(value)))
        .collect();
    format!("/{version}/?{}", pairs.join("&"))
}

/// What the component of `version` says to each of the statements, by one connection.
fn said(app: &Running, version: &str, asked: &[(&str, &str)]) -> Vec<String> {
    let path = path(version, asked);
    let answer = app.get(&path);
    assert_eq!(answer.status, 200, "{path}\n{app}");
    answer.body.lines().map(str::to_owned).collect()
}

// proves: HI-1, HI-2, HI-4
#[test]
fn apps_of_both_versions_publish_to_a_broker_and_share_a_connection() {
    let mosquitto = Mosquitto::start();
    let address = format!("mqtt://localhost:{}", mosquitto.port());
    let mut subscriber = mosquitto.subscribe("telemetry/#");
    let app = up(&format!("\"{address}\"")).option("--workers=1").start();
    for version in VERSIONS {
        for qos in 0..=2 {
            let statement = format!("publish {qos} telemetry/{version} Eureka{qos}!");
            let found = said(&app, version, &[("address", &address), ("do", &statement)]);
            assert_eq!(found, ["None"], "{app}");
            let (topic, with, payload) = subscriber.next_message();
            assert_eq!(
                (topic, with, String::from_utf8(payload).unwrap()),
                (format!("telemetry/{version}"), qos, format!("Eureka{qos}!"))
            );
        }
        let found = said(
            &app,
            version,
            &[
                ("address", &address),
                (
                    "do",
                    "fill 2 telemetry/large 1000000;publish 1;publish 1 a/# x;publish 0 a+b x;long 1 65536;long 1 65535;\
                     publish 1 telemetry/ü x",
                ),
            ],
        );
        let wildcard = "other: the topic has a wildcard, `+` or `#`";
        let expected = [
            "None",
            "other: the topic is empty",
            wildcard,
            wildcard,
            "other: the topic is longer than 65,535 bytes",
            "None",
            "None",
        ];
        assert_eq!(found, expected, "{app}");
        assert_eq!(subscriber.next_message().2.len(), 1_000_000);
        assert_eq!(subscriber.next_message().0, "telemetry/ü");
    }
    let came = mosquitto.log_with("New client connected");
    let of_apps: Vec<&String> = came.iter().filter(|line| line.contains(" as outport")).collect();
    assert_eq!(of_apps.len(), 2, "one of each component: {came:?}");
    assert!(of_apps[0].contains(", c1, k30)"), "{of_apps:?}");
    let ended = app.stop();
    let dials = ended
        .audit
        .iter()
        .filter(|line| line.field("attempt") == "mqtt.dial");
    assert!(dials.count() >= 8, "each use was judged: {ended}");
    assert!(ended.reasons().is_empty(), "{ended}");
}

#[test]
fn a_user_and_a_client_identifier_are_those_of_the_app() {
    let mosquitto = Mosquitto::start_for("shop", "hunter2");
    let plain = format!("mqtt://127.0.0.1:{}", mosquitto.port());
    let address = format!("{plain}?client_id=client001");
    let app = up("\"mqtt://127.0.0.1:*\"").start();
    let ask = |version, password, statements| {
        said(
            &app,
            version,
            &[
                ("address", &address),
                ("user", "shop"),
                ("password", password),
                ("do", statements),
            ],
        )
    };
    let refused = |why| format!("connection-failed: the broker does not let this client in: perhaps {why}");
    let wrong = refused("the user or the password is wrong");
    let wants = refused("it wants a user and a password");
    for version in VERSIONS {
        // An instance may open what it has open already.
        let found = ask(version, "hunter2", "publish 1 a b;again 2 a b;publish 2 a b");
        assert_eq!(found, ["None"; 3], "{version}\n{app}");
        assert_eq!(
            ask(version, "hunter3", "publish 1 a b"),
            [wrong.as_str()],
            "{app}"
        );
        let nobody = said(&app, version, &[("address", &plain), ("do", "publish 1 a b")]);
        assert_eq!(nobody, [wants.as_str()], "{app}");
    }
    let came = mosquitto.log_with("as client001 (p2, c1, k30, u'shop')");
    assert!(came.len() >= 2, "{came:?}");
    let ended = app.stop();
    assert!(!format!("{ended}").contains("hunter"), "{ended}");
    let line = "[server-refused] it is allowed, but the broker does not let this client in";
    assert!(ended.stderr.contains(line), "{ended}");
}

#[test]
fn requests_by_one_client_identifier_wait_for_each_other_and_none_fails() {
    let mosquitto = Mosquitto::start();
    let address = format!("mqtt://127.0.0.1:{}?client_id=only", mosquitto.port());
    let app = up("\"mqtt://127.0.0.1:*\"").option("--workers=1").start();
    let server = app.address();
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let path = path(
                "2",
                &[("address", &address), ("do", "publish 2 a b;publish 1 a b")],
            );
            thread::spawn(move || http::get(server, &path).unwrap().body)
        })
        .collect();
    for one in asking {
        assert_eq!(one.join().unwrap(), "None\nNone", "{app}");
    }
    let taken_over = mosquitto.log_with("already connected");
    assert!(taken_over.is_empty(), "{taken_over:?}");
}

#[test]
fn a_connection_is_kept_alive_while_a_guest_holds_it() {
    let mosquitto = Mosquitto::start();
    let address = format!("mqtt://127.0.0.1:{}", mosquitto.port());
    let app = up("\"mqtt://127.0.0.1:*\"").start();
    let found = said(
        &app,
        "2",
        &[
            ("address", &address),
            ("keep", "1"),
            ("do", "sleep 4;publish 1 a b"),
        ],
    );
    assert_eq!(found, ["None", "None"], "{app}");
    assert!(mosquitto.log_with("Received PINGREQ from outport").len() >= 2);
}

// proves: HI-1, HI-2, HI-3, HI-8
#[test]
fn what_may_not_be_reached_is_a_failed_connection_and_the_log_says_why() {
    let peer = TcpPeer::start(Manner::Echo);
    let at = peer.address();
    let everything = || "\"*://*:*\"".to_owned();
    for (allowed, denied, address, reason) in [
        (
            format!("\"tcp://{at}\""),
            String::new(),
            format!("mqtt://{at}"),
            "allow.scheme",
        ),
        (
            format!("\"redis://{at}\""),
            String::new(),
            format!("mqtts://{at}"),
            "allow.scheme",
        ),
        (
            format!("\"mqtt://localhost:{}\"", at.port()),
            String::new(),
            format!("mqtt://{at}"),
            "allow.no-match",
        ),
        (
            "\"mqtt://127.0.0.1:1\"".to_owned(),
            String::new(),
            format!("mqtt://{at}"),
            "allow.port",
        ),
        (String::new(), String::new(), format!("mqtt://{at}"), "allow.none"),
        (
            everything(),
            format!("mqtt://{at}"),
            format!("mqtt://{at}"),
            "deny.host",
        ),
        (
            everything(),
            format!("tcp://{at}"),
            format!("mqtt://{at}?client_id=a"),
            "deny.host",
        ),
        (
            everything(),
            format!("*://localhost:{}", at.port()),
            format!("mqtt://localhost:{}", at.port()),
            "deny.host",
        ),
        (
            everything(),
            String::new(),
            "mqtt://127.0.0.1:80".to_owned(),
            "runtime.loopback-port",
        ),
        (
            everything(),
            String::new(),
            format!("mqtt://{at},{at}"),
            "address.invalid",
        ),
        (
            everything(),
            String::new(),
            format!("mqtt://me:hunter2@{at}"),
            "address.invalid",
        ),
        (
            everything(),
            String::new(),
            format!("mqtt://{at}?clean=no"),
            "address.invalid",
        ),
        (
            everything(),
            String::new(),
            format!("ws://{at}/mqtt"),
            "address.invalid",
        ),
        (
            everything(),
            String::new(),
            "mqtt://127.0.0.1:0".to_owned(),
            "address.invalid",
        ),
    ] {
        let mut app = up(&allowed);
        if !denied.is_empty() {
            app = app.deny(&denied);
        }
        let app = app.start();
        let shown = format!("{address} {allowed} {denied}");
        let expected = match reason {
            "address.invalid" => "invalid-address",
            _ => "connection-failed: it is not permitted",
        };
        for version in VERSIONS {
            let found = said(&app, version, &[("address", &address), ("do", "publish 1 a b")]);
            assert_eq!(found, [expected], "{version}: {shown}\n{app}");
        }
        let ended = app.stop();
        // One of each version, at least.
        assert!(ended.reasons().len() >= 2, "{shown}\n{ended}");
        assert!(
            ended.reasons().iter().all(|found| found == reason),
            "{shown}\n{ended}"
        );
        assert!(!format!("{ended}").contains("hunter2"), "{ended}");
    }
    assert_eq!(peer.accepted(), 0);
}

// proves: HI-1, HI-2
#[test]
fn a_name_that_leads_elsewhere_is_refused_by_where_it_leads() {
    let dns = DnsServer::start();
    dns.answers(
        "broker.test",
        [Reply::addresses(["10.0.0.5"]).via(["edge.evil.test"])],
    );
    dns.answers("local.test", [Reply::addresses(["127.0.0.1"])]);
    let app = up("\"mqtt://*.test:*\"")
        .deny("*://*.evil.test:*")
        .dns(&dns)
        .start();
    for version in VERSIONS {
        for name in ["broker.test", "local.test"] {
            let address = format!("mqtt://{name}");
            let found = said(&app, version, &[("address", &address), ("do", "publish 1 a b")]);
            assert_eq!(found, ["connection-failed: it is not permitted"], "{name}\n{app}");
        }
    }
    let ended = app.stop();
    for reason in ["deny.cname", "dns.rebinding"] {
        assert!(ended.reasons().contains(&reason.to_owned()), "{reason}\n{ended}");
    }
}

// proves: HI-4
#[test]
fn a_reload_that_forbids_a_broker_closes_the_connections_to_it() {
    let mosquitto = Mosquitto::start();
    let at = format!("127.0.0.1:{}", mosquitto.port());
    let address = format!("mqtt://{at}?client_id=kept");
    let app = up("\"mqtt://127.0.0.1:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file(
            "runtime.toml",
            "[outbound_networking]\ndisallowed_outbound_hosts = []\n",
        )
        .start();
    let publish = |version| said(&app, version, &[("address", &address), ("do", "publish 1 a b")]);
    for version in VERSIONS {
        assert_eq!(publish(version), ["None"], "{app}");
    }
    let denying = format!("[outbound_networking]\ndisallowed_outbound_hosts = [\"mqtt://{at}\"]\n");
    app.write("runtime.toml", denying);
    until("the connection that waited is closed", || {
        !mosquitto.log_with("Client kept closed its connection").is_empty()
            || !mosquitto.log_with("Client kept disconnected").is_empty()
    });
    for version in VERSIONS {
        assert_eq!(
            publish(version),
            ["connection-failed: it is not permitted"],
            "{app}"
        );
    }
}

#[test]
fn a_broker_is_spoken_to_over_tls_if_its_certificate_is_for_its_name() {
    let authority = Authority::new();
    let mosquitto = Mosquitto::start_with_tls(&authority.identity("localhost"));
    let mut subscriber = mosquitto.subscribe("#");
    let config = "[[client_tls]]\ncomponent_ids = [\"three\"]\nhosts = [\"localhost\", \"127.0.0.1\"]\nca_roots_file = \"ca.pem\"\n";
    let app = up("\"mqtts://*:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
        .file("ca.pem", authority.pem())
        .start();
    let ask = |version, host: &str| {
        let address = format!("mqtts://{host}:{}", mosquitto.tls_port().unwrap());
        let statements = "publish 0 a b;publish 1 a b;publish 2 a b;fill 1 a 500000";
        said(&app, version, &[("address", &address), ("do", statements)])
    };
    assert_eq!(ask("3", "localhost"), ["None"; 4], "{app}");
    for length in [1, 1, 1, 500_000] {
        assert_eq!(subscriber.next_message().2.len(), length);
    }
    for (version, host) in [("3", "127.0.0.1"), ("2", "localhost")] {
        let found = ask(version, host);
        assert!(
            found[0].starts_with("connection-failed: TLS cannot be agreed on: invalid peer certificate"),
            "{version} {host} {found:?}\n{app}"
        );
    }
}

#[test]
fn a_component_has_as_many_connections_as_the_operator_permits() {
    let mosquitto = Mosquitto::start();
    let address = format!("mqtt://127.0.0.1:{}", mosquitto.port());
    let app = up("\"mqtt://127.0.0.1:*\"")
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", "[outbound_mqtt]\nmax_connections = 1\n")
        .start();
    for version in VERSIONS {
        let found = said(
            &app,
            version,
            &[
                ("address", &address),
                ("do", "publish 1 a b;again 1 a b;publish 1 a b"),
            ],
        );
        assert_eq!(found, ["None", "too-many-connections", "None"], "{app}");
    }
}

/// Its function `ask` opens a connection, and answers 0 if it has one, and else which error it gets, from 1 on.
const ASKER: &str = r#"(component
  (import "fermyon:spin/mqtt@2.0.0" (instance $mqtt
    (type $of-error (variant
      (case "invalid-address") (case "too-many-connections") (case "connection-failed" string) (case "other" string)))
    (export "error" (type $error (eq $of-error)))
    (export "connection" (type $connection (sub resource)))
    (export "[static]connection.open" (func
      (param "address" string) (param "username" string) (param "password" string)
      (param "keep-alive-interval-in-secs" u64)
      (result (result (own $connection) (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 0) "ADDRESS")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      global.get $free
      (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $open (canon lower (func $mqtt "[static]connection.open") (memory $mem) (realloc $realloc)))
  (core module $ask
    (import "host" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32 i64 i32)))
    (func (export "ask") (result i32)
      (call $open (i32.const 0) (i32.const LENGTH) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i64.const 30) (i32.const 512))
      (if (result i32) (i32.load8_u (i32.const 512))
        (then (i32.add (i32.const 1) (i32.load8_u (i32.const 516))))
        (else (i32.const 0)))))
  (core instance $ask (instantiate $ask (with "host" (instance
    (export "memory" (memory $mem)) (export "open" (func $open))))))
  (func $ask (result u32) (canon lift (core func $ask "ask")))
  (instance $exported (export "ask" (func $ask)))
  (export "outport:test/asker@1.0.0" (instance $exported)))"#;

/// Ends well if what it is composed with answers as it is to.
const COMMAND: &str = r#"(component
  (import "outport:test/asker@1.0.0" (instance $asker (export "ask" (func (result u32)))))
  (core func $ask (canon lower (func $asker "ask")))
  (core module $run
    (import "asker" "ask" (func $ask (result i32)))
    (func (export "run") (result i32) (i32.ne (call $ask) (i32.const ANSWER))))
  (core instance $run (instantiate $run (with "asker" (instance (export "ask" (func $ask))))))
  (func $run (result (result)) (canon lift (core func $run "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))"#;

// proves: HI-2, HI-8
#[test]
fn a_dependency_connects_where_its_component_may_only_if_it_inherits_that() {
    let mosquitto = Mosquitto::start();
    let address = format!("mqtt://127.0.0.1:{}", mosquitto.port());
    let refused = ("3", vec!["allow.not-inherited".to_owned()]);
    for (inheritance, (answer, reasons)) in [
        ("", refused.clone()),
        (", inherit_configuration = [\"key_value_stores\"]", refused),
        (
            ", inherit_configuration = [\"allowed_outbound_hosts\"]",
            ("0", Vec::new()),
        ),
        (", inherit_configuration = true", ("0", Vec::new())),
    ] {
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"mqtt\"\n\
             [[trigger.command]]\ncomponent = \"main\"\n\
             [component.main]\nsource = \"command.wasm\"\nallowed_outbound_hosts = [\"{address}\"]\n\
             [component.main.dependencies]\n\
             \"outport:test/asker@1.0.0\" = {{ path = \"asker.wasm\"{inheritance} }}\n"
        );
        let asker = ASKER
            .replace("ADDRESS", &address)
            .replace("LENGTH", &address.len().to_string());
        let finished = Outport::up(&manifest)
            .file(
                "command.wasm",
                wat::parse_str(COMMAND.replace("ANSWER", answer)).unwrap(),
            )
            .file("asker.wasm", wat::parse_str(asker).unwrap())
            .finish()
            .expect_code(0);
        assert_eq!(finished.reasons(), reasons, "{inheritance}\n{finished}");
    }
    let came = mosquitto.log_with(" as outport");
    assert_eq!(came.len(), 2, "{came:?}");
}
