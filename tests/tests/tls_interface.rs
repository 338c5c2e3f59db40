//! `wasi:tls` on a guest's own connections, on WASI 0.2 and 0.3, with real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use outport_e2e::audit::AuditLine;
use outport_e2e::http;
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::redis::Redis;
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::{Authority, TlsPeer};
use outport_e2e::until::until;

/// `wasi:tls@0.2.0-draft` and `wasi:tls@0.3.0-draft`, as the guest calls them.
const VERSIONS: [&str; 2] = ["tls2", "tls3"];

const ANOTHER_NAME: &str = "the certificate is for another name";
const UNKNOWN_AUTHORITY: &str = "the certificate is not from an authority that is trusted";
const NOT_A_NAME: &str = "the server name is none that a certificate could be for";
const NOT_PERMITTED: &str = "it is not permitted to speak TLS with this server";
const TOO_MANY: &str = "there may be two TLS connections for each TCP connection that is open, and there are";

/// An app of two components, of which the first trusts the authority for these hosts.
fn app(authority: &Authority, hosts: &str) -> Outport {
    let component = |name: &str| {
        format!(
            "[[trigger.http]]\nroute = \"/{name}\"\ncomponent = \"{name}\"\n[component.{name}]\n\
             source = \"GUESTS/tls.wasm\"\nallowed_outbound_hosts = [\"tcp://127.0.0.1:*\"]\n"
        )
    };
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"tls\"\n{}{}",
        component("one"),
        component("two")
    );
    let config =
        format!("[[client_tls]]\ncomponent_ids = [\"one\"]\nhosts = [{hosts}]\nca_roots_file = \"ca.pem\"\n");
    Outport::up(&manifest)
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
        .file("ca.pem", authority.pem())
}

/// What a component says of these statements, `VERB WORDS` each.
#[track_caller]
fn said(app: &Running, component: &str, version: &str, statements: &[&str]) -> Vec<String> {
    let script: Vec<String> = statements
        .iter()
        .map(|statement| match statement.strip_prefix("repeat ") {
            None => format!("{version}.{statement}"),
            Some(rest) => {
                let (times, statement) = rest.split_once(' ').unwrap();
                format!("repeat {times} {version}.{statement}")
            }
        })
        .collect();
    let answer = http::post(app.address(), &format!("/{component}"), &script.join("\n")).unwrap();
    let results = results(&answer.body);
    assert_eq!(results.len(), statements.len(), "{}\n{app}", answer.body);
    results.into_iter().map(str::to_owned).collect()
}

/// The decisions about TLS.
fn of_tls(finished: &Finished) -> Vec<(String, String)> {
    let lines = finished.audit.iter();
    lines
        .filter(|line| line.field("attempt") == "tls.connect" && !line.field("verdict").is_empty())
        .map(|line| {
            let reason = if line.denied() {
                line.reason()
            } else {
                "allow".to_owned()
            };
            (line.field("destination"), reason)
        })
        .collect()
}

// proves: TLS-5
#[test]
fn a_guest_speaks_with_a_real_server_over_tls_of_the_hosts() {
    let authority = Authority::new();
    let redis = Redis::start_with_tls(&authority.identity("localhost"));
    let port = redis.tls_port().unwrap();
    let app = app(&authority, "\"localhost\", \"other.example\", \"127.0.0.1\"").start();
    let connect = format!("connect 127.0.0.1:{port}");
    for version in VERSIONS {
        assert_eq!(
            said(
                &app,
                "one",
                version,
                &[
                    &connect,
                    "secure localhost",
                    r"send PING\r\n",
                    "receive",
                    r"send SET k v\r\n",
                    "receive",
                    r"send QUIT\r\n",
                    "receive",
                    "receive",
                    "close",
                ]
            )[..9],
            [
                "ok",
                "ok",
                "ok",
                r"+PONG\r\n",
                "ok",
                r"+OK\r\n",
                "ok",
                r"+OK\r\n",
                "end"
            ],
            "{version}\n{app}"
        );
        for (component, name, expected) in [
            ("one", "LocalHost", "ok"),
            ("one", "localhost.", "ok"),
            ("one", "other.example", ANOTHER_NAME),
            ("one", "127.0.0.1", ANOTHER_NAME),
            ("one", "2130706433", ANOTHER_NAME),
            ("one", "elsewhere.example", UNKNOWN_AUTHORITY),
            ("two", "localhost", UNKNOWN_AUTHORITY),
            ("one", "", NOT_A_NAME),
            ("one", "a..example", NOT_A_NAME),
            ("one", "*.example", NOT_A_NAME),
            ("one", "local host", NOT_A_NAME),
            ("one", "localhost:1", NOT_A_NAME),
            ("one", &"a.".repeat(150), NOT_A_NAME),
            ("one", "1.2.3.4.5", NOT_A_NAME),
        ] {
            let found = said(&app, component, version, &[&connect, &format!("secure {name}")]);
            assert_eq!(found, ["ok", expected], "{version} {component} {name}\n{app}");
        }
    }
    assert!(redis.ask("GET k").unwrap().contains('v'));
    let failed = app
        .outcomes()
        .into_iter()
        .filter(|outcome| outcome["attempt"] == "tls.connect");
    let errors: Vec<_> = failed
        .filter_map(|outcome| outcome["error"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(
        errors,
        vec!["tls-certificate-error"; 10],
        "five of each version\n{app}"
    );
    let ended = app.stop();
    let decisions = of_tls(&ended);
    let at = |host: &str| (format!("{host}:{port}"), "allow".to_owned());
    assert!(decisions.contains(&at("localhost")), "{decisions:?}");
    assert!(decisions.contains(&at("elsewhere.example")), "{decisions:?}");
    let refused = decisions.iter().filter(|(_, reason)| reason != "allow");
    assert!(
        refused
            .clone()
            .all(|(server, reason)| server == "the server name" && reason == "address.invalid"),
        "{decisions:?}"
    );
    assert_eq!(refused.count(), 14, "seven of each version: {decisions:?}");
    assert!(!ended.stderr.contains("wasi:tls"), "it is known: {ended}");
}

// proves: TLS-5, AL-1
#[test]
fn the_deny_list_names_servers_on_the_port_that_is_connected_to() {
    let authority = Authority::new();
    let peer = TlsPeer::start(authority.identity("localhost"), |mut client| {
        client.read_exact(&mut [0]).map(drop)
    });
    let (at, port) = (peer.address(), peer.address().port());
    let on_port = |entry: &str| entry.replace("PORT", &port.to_string());
    // (deny list, server name, reason)
    let rows = [
        ("*://bad.example:*", "bad.example", "deny.tls-name"),
        ("*://bad.example:*", "BAD.Example", "deny.tls-name"),
        ("*://bad.example:*", "bad.example.", "deny.tls-name"),
        ("*://bad.example:*", "notbad.example", "allow"),
        ("*://bad.example:*", "www.bad.example", "allow"),
        ("*://*.bad.example:*", "www.bad.example", "deny.tls-name"),
        ("*://bücher.example:*", "BÜCHER.example", "deny.tls-name"),
        ("*://bücher.example:*", "xn--bcher-kva.example", "deny.tls-name"),
        ("*://bad.example:PORT", "bad.example", "deny.tls-name"),
        ("tcp://bad.example:PORT", "bad.example", "deny.tls-name"),
        ("redis://bad.example:PORT", "bad.example", "deny.tls-name"),
        ("*://bad.example:1", "bad.example", "allow"),
        ("http://bad.example", "bad.example", "allow"),
        ("udp://bad.example:*", "bad.example", "allow"),
        ("*://10.0.0.0/8:*", "10.1.2.3", "deny.tls-name"),
        ("*://10.0.0.0/8:*", "0x0a010203", "deny.tls-name"),
        ("*://10.0.0.0/8:*", "::ffff:10.1.2.3", "deny.tls-name"),
        ("*://10.0.0.0/8:*", "11.1.2.3", "allow"),
        ("*://bad.example:*", "224.0.0.1", "hard.multicast"),
        ("*://bad.example:*", "0.0.0.0", "hard.unspecified"),
    ];
    let mut entries: Vec<&str> = rows.iter().map(|(entry, ..)| *entry).collect();
    entries.dedup();
    for entry in entries {
        let app = app(&authority, "\"localhost\"").deny(on_port(entry)).start();
        let own: Vec<_> = rows.iter().filter(|(of, ..)| *of == entry).collect();
        for version in VERSIONS {
            for (_, name, reason) in &own {
                let secure = format!("secure {name}");
                let found = said(&app, "one", version, &[&format!("connect {at}"), &secure]);
                let expected = if *reason == "allow" {
                    UNKNOWN_AUTHORITY
                } else {
                    NOT_PERMITTED
                };
                assert_eq!(found, ["ok", expected], "{version} {entry} {name}\n{app}");
            }
        }
        let ended = app.stop();
        let mut expected: Vec<&str> = own.iter().map(|(.., reason)| *reason).collect();
        expected.extend(expected.clone());
        let decisions = of_tls(&ended);
        let found: Vec<&str> = decisions.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(found, expected, "{entry}\n{ended}");
        let by_name = |line: &&AuditLine| line.denied() && line.reason() == "deny.tls-name";
        let entry = on_port(entry);
        for line in ended.audit.iter().filter(by_name).filter(|_| entry.is_ascii()) {
            assert!(line.field("rule").starts_with(&entry), "{line:?}");
            assert!(line.field("remedy").contains(&format!("`{entry}`")), "{line:?}");
        }
    }
}

// proves: TLS-5
#[test]
fn a_name_is_denied_where_it_is_on_one_of_the_ports_that_the_guest_has_connections_to() {
    let authority = Authority::new();
    let serve = || {
        TlsPeer::start(authority.identity("localhost"), |mut client| {
            client.read_exact(&mut [0]).map(drop)
        })
    };
    let (one, other) = (serve(), serve());
    let app = app(&authority, "\"localhost\"")
        .deny(format!("*://localhost:{}", other.address().port()))
        .option("--allow-loopback-ports=1")
        .start();
    for version in VERSIONS {
        let connect = format!("connect {}", one.address());
        assert_eq!(
            said(&app, "one", version, &[&connect, "secure localhost"]),
            ["ok", "ok"],
            "{app}"
        );
        // The deny list of localhost covers its addresses, so the other connection is not even made.
        let elsewhere = format!("connect {}", other.address());
        assert_eq!(
            said(&app, "one", version, &[&elsewhere]),
            ["access-denied"],
            "{app}"
        );
    }
    drop(app);
    let app = self::app(&authority, "\"localhost\"")
        .deny(format!("*://bad.example:{}", other.address().port()))
        .start();
    for version in VERSIONS {
        let [connect, elsewhere] = [&one, &other].map(|peer| format!("connect {}", peer.address()));
        assert_eq!(
            said(
                &app,
                "one",
                version,
                &[
                    &connect,
                    "secure bad.example",
                    &elsewhere,
                    "hold",
                    &connect,
                    "secure bad.example"
                ]
            ),
            ["ok", UNKNOWN_AUTHORITY, "ok", "ok", "ok", NOT_PERMITTED],
            "{version}\n{app}"
        );
    }
}

#[test]
fn what_goes_wrong_is_an_error_in_words_and_the_same_in_both_versions() {
    let authority = Authority::new();
    let [close, greet, stall] = [Manner::Close, Manner::Greet("hello\n"), Manner::Stall].map(TcpPeer::start);
    let expired = TlsPeer::start(authority.expired("localhost"), |mut client| {
        client.read_exact(&mut [0]).map(drop)
    });
    // Hangs up without an end of TLS.
    let rude = TlsPeer::start(authority.identity("localhost"), |mut client| {
        client.write_all(b"hello")?;
        client.flush()
    });
    let polite = TlsPeer::start(authority.identity("localhost"), |mut client| {
        client.read_exact(&mut [0; 5])?;
        client.write_all(b"world")?;
        client.conn.send_close_notify();
        client.flush()?;
        client.read_to_end(&mut Vec::new()).map(drop)
    });
    let app = app(&authority, "\"localhost\"").start();
    for version in VERSIONS {
        for (address, statements, expected) in [
            (
                close.address(),
                &["secure localhost"][..],
                &["the connection ended during the TLS handshake"][..],
            ),
            (
                greet.address(),
                &["secure localhost"],
                &["the server does not speak TLS as it should"],
            ),
            (
                stall.address(),
                &["secure localhost"],
                &["the TLS handshake took more than 10 seconds"],
            ),
            (
                expired.address(),
                &["secure localhost"],
                &["the certificate has expired"],
            ),
            (
                rude.address(),
                &["secure localhost", "receive", "receive"],
                &["ok", "hello", "the connection ended without an end of TLS"],
            ),
            (
                polite.address(),
                &["secure localhost", "send hello", "receive", "receive", "close"],
                &["ok", "ok", "world", "end", "ok"],
            ),
        ] {
            let connect = format!("connect {address}");
            let all: Vec<&str> = [connect.as_str()]
                .into_iter()
                .chain(statements.iter().copied())
                .collect();
            let found = said(&app, "one", version, &all);
            assert_eq!(&found[1..], expected, "{version} {statements:?}\n{app}");
        }
    }
}

#[test]
fn all_that_was_written_is_sent_whether_or_not_more_follows() {
    let authority = Authority::new();
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let peer = TlsPeer::start(authority.identity("localhost"), move |mut client| {
        let mut buffer = [0; 4096];
        loop {
            let length = client.read(&mut buffer)?;
            if counted.fetch_add(length, Ordering::SeqCst) + length >= WRITTEN {
                client.write_all(b"all")?;
                client.flush()?;
            }
            if length == 0 {
                return Ok(());
            }
        }
    });
    let app = app(&authority, "\"localhost\"").start();
    for version in VERSIONS {
        received.store(0, Ordering::SeqCst);
        let connect = format!("connect {}", peer.address());
        let fill = format!("fill {WRITTEN}");
        assert_eq!(
            said(
                &app,
                "one",
                version,
                &[&connect, "secure localhost", &fill, "receive"]
            ),
            ["ok", "ok", &format!("{WRITTEN} bytes"), "all"],
            "{version}\n{app}"
        );
        until("all has come", || received.load(Ordering::SeqCst) == WRITTEN);
    }
}

/// More than the host keeps at any place on the way.
const WRITTEN: usize = 500_000;

// proves: ISO-3
#[test]
fn there_are_two_handshakes_for_each_connection_and_none_without() {
    let authority = Authority::new();
    let peer = TcpPeer::start(Manner::Stall);
    let app = app(&authority, "\"localhost\"").start();
    for version in VERSIONS {
        let connect = format!("connect {}", peer.address());
        let found = said(
            &app,
            "one",
            version,
            &[
                "flood 10 localhost",
                &connect,
                "flood 10 localhost",
                "hold",
                &connect,
                "flood 10 localhost",
            ],
        );
        // Standard input has ended, so on 0.2 a handshake on it does, too.
        let two = match version {
            "tls2" => "the connection ended during the TLS handshake x10".to_owned(),
            _ => format!("{TOO_MANY} x8, pending x2"),
        };
        let none = format!("{TOO_MANY} x10");
        assert_eq!(found, [&none, "ok", &two, "ok", "ok", &two], "{version}\n{app}");
    }
    let ended = app.stop();
    assert!(
        ended.reasons().iter().all(|reason| reason == "quota.connections"),
        "{ended}"
    );
}

// proves: TLS-5
#[test]
fn a_dependency_that_inherits_nothing_hears_that_it_is_not_permitted() {
    let manifest = "spin_manifest_version = 2\napplication.name = \"tls\"\n\
                    [[trigger.command]]\ncomponent = \"main\"\n\
                    args = [\"callee: tls2.flood 1 localhost\", \"callee: tls3.flood 1 localhost\", \
                    \"callee: tls2.flood 1 a..b\", \"callee: tls3.flood 1 a..b\"]\n\
                    [component.main]\nsource = \"GUESTS/caller.wasm\"\n\
                    allowed_outbound_hosts = [\"*://*:*\"]\n\
                    [component.main.dependencies]\n\
                    \"outport:callee/interpreter@1.0.0\" = { path = \"GUESTS/tls.wasm\" }\n";
    let ended = Outport::up(manifest).finish();
    assert_eq!(results(&ended.stdout), [NOT_PERMITTED; 4], "{ended}");
    let decisions = of_tls(&ended);
    let refused = |server: &str, reason: &str| (server.to_owned(), reason.to_owned());
    assert_eq!(
        decisions,
        [
            refused("localhost", "allow.not-inherited"),
            refused("localhost", "allow.not-inherited"),
            refused("the server name", "address.invalid"),
            refused("the server name", "address.invalid"),
        ],
        "{ended}"
    );
}
