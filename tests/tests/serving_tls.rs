//! HTTPS for clients (`--tls-cert`, `--tls-key`, `--tls-client-ca`): what is agreed on, what guests learn of it, whose
//! certificate is shown and asked for, files that are wrong or change, and clients who mean no good.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod files;
mod strangers;

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use outport_e2e::http2::{DATA, HEADERS, Http2};
use outport_e2e::outport::Outport;
use outport_e2e::tls::{Authority, Identity};
use outport_e2e::tls_client::{TlsClient, shown};
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::Signal;

const LOADED: &str = "The TLS certificates were loaded again";

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "secure"

[[trigger.http]]
route = "/..."
component = "web"
[[trigger.http]]
route = "/p3/..."
component = "web-p3"
[[trigger.http]]
route = "/echo"
component = "first"
[[trigger.http]]
route = "/cgi/..."
component = "cgi"
executor = { type = "wagi" }
[[trigger.http]]
route = "/fixed"
static_response = { body = "fixed" }

[component.web]
source = "GUESTS/http-script-guest.wasm"
[component.web-p3]
source = "GUESTS/http-script-guest-p3.wasm"
[component.first]
source = "GUESTS/wasi-2023-10.wasm"
[component.cgi]
source = "GUESTS/cgi.wasm"
"#;

/// Writes a certificate and its key, which only its owner may read.
fn put(folder: &std::path::Path, name: &str, identity: &Identity) {
    fs::write(folder.join(format!("{name}.pem")), &identity.certificate).unwrap();
    let key = folder.join(format!("{name}.key"));
    fs::write(&key, &identity.key).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The same command with HTTPS by the files of these names.
fn with_tls(outport: Outport, identities: &[(&str, &Identity)]) -> Outport {
    identities.iter().fold(outport, |outport, (name, identity)| {
        put(outport.folder(), name, identity);
        outport
            .option(format!("--tls-cert={name}.pem"))
            .option(format!("--tls-key={name}.key"))
    })
}

/// `outport serve` of a guest that says hello.
fn hello(identity: &Identity) -> Outport {
    with_tls(
        Outport::serve(guest::path("http-script-guest")),
        &[("own", identity)],
    )
}

#[test]
fn guests_logs_and_the_terminal_know_that_it_is_https() {
    let authority = Authority::new();
    let app = with_tls(Outport::up(APP), &[("own", &authority.identity("localhost"))])
        .options(["--access-log=access.jsonl", "--access-log-format=json"])
        .start();
    let server = app.address();
    let client = TlsClient::trusting(&authority);
    app.wait_for_error_text(&format!("Serving https://{server}"));
    app.wait_for_error_text(&format!("  https://{server}/fixed"));

    for path in ["/headers?x=1", "/p3/headers?x=1"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nspin-client-cert: :AAEC:\r\nConnection: close\r\n\r\n"
        );
        let headers = client.send(server, &request).unwrap().body;
        let url = format!("spin-full-url: https://{server}{path}");
        assert!(headers.lines().any(|line| line == url), "{url}\n{headers}");
        assert!(!headers.contains("spin-client-cert"), "{headers}");
    }
    // What a client claims by an absolute URL changes nothing.
    let claim =
        format!("GET http://{server}/headers HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    let headers = client.send(server, &claim).unwrap().body;
    assert!(
        headers.contains(&format!("spin-full-url: https://{server}/headers")),
        "{headers}"
    );
    // The guest's own view of the scheme.
    let echoed = client.get(server, "/echo").unwrap().body;
    assert!(
        echoed.lines().next().is_some_and(|line| line.contains("Https")),
        "{echoed}"
    );

    let variables = client.get(server, "/cgi/x?head&env").unwrap().body;
    for line in ["HTTPS=on".to_owned(), format!("SERVER_PORT={}", server.port())] {
        assert!(variables.lines().any(|own| own == line), "{line}\n{variables}");
    }
    let nameless = "GET /cgi/x?head&env HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let variables = client.send(server, nameless).unwrap().body;
    assert!(
        variables.lines().any(|own| own == "SERVER_PORT=443"),
        "{variables}"
    );

    assert_eq!(client.get(server, "/fixed").unwrap().body, "fixed");
    assert_eq!(client.get(server, "/.well-known/spin/health").unwrap().body, "OK");
    let log = app.folder().join("access.jsonl");
    until("every request has its line", || {
        fs::read_to_string(&log).unwrap_or_default().lines().count() == 8
    });
    for line in fs::read_to_string(&log).unwrap().lines() {
        assert!(line.contains("\"scheme\":\"https\""), "{line}");
    }
    app.stop().expect_code(0);
}

#[test]
fn http_2_is_agreed_on_by_alpn_and_else_http_1_is_spoken() {
    let authority = Authority::new();
    let app = hello(&authority.identity("localhost")).start();
    let server = app.address();
    let client = TlsClient::trusting(&authority);
    let rows: [(&[&str], Option<&str>); 4] = [
        (&[], None),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h3", "h2"], Some("h2")),
    ];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, agreed) in rows {
            let client = TlsClient::of_versions(&authority, &[version]).offering(offered);
            let mut stream = client.connect(server).unwrap();
            let row = format!("{version:?} {offered:?}");
            let alpn = stream
                .conn
                .alpn_protocol()
                .map(|name| String::from_utf8_lossy(name).into_owned());
            assert_eq!(alpn.as_deref(), agreed, "{row}");
            if agreed == Some("h2") {
                let mut http2 = Http2::begin_on(stream, 65535).unwrap();
                // The client says `:scheme: http`, which is not believed.
                http2.ask(1, "GET", "/headers").unwrap();
                assert!(http2.next_of(HEADERS).is_some(), "{row}");
                let body = http2.next_of(DATA).unwrap();
                let body = String::from_utf8_lossy(&body.payload).into_owned();
                assert!(body.contains("spin-full-url: https://x/headers"), "{row}: {body}");
            } else {
                let request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
                stream.write_all(request.as_bytes()).unwrap();
                let response = http::read_response(&mut BufReader::new(stream), request).unwrap();
                assert_eq!(response.body, "hello\n", "{row}");
            }
        }
    }
    // Neither is offered: there is nothing to speak.
    let none = client
        .clone()
        .offering(&["h3"])
        .get(server, "/hello")
        .unwrap_err();
    assert!(none.to_string().contains("NoApplicationProtocol"), "{none}");
    app.wait_for_error_text("neither HTTP/2 nor HTTP/1.1");
    // HTTP/2 that was not agreed on is not spoken.
    let mut http2 = Http2::begin_on(client.connect(server).unwrap(), 65535).unwrap();
    let _ = http2.ask(1, "GET", "/hello");
    assert!(http2.next_of(DATA).is_none());
    app.stop().expect_code(0);
}

#[test]
fn curl_is_served_by_each_version() {
    let authority = Authority::new();
    let app = hello(&authority.identity("localhost"))
        .file("root.pem", authority.pem())
        .start();
    let url = format!("https://localhost:{}/hello", app.address().port());
    for (options, expected) in [
        (["--tlsv1.2", "--tls-max", "1.2", "--http1.1"], "hello\n1.1 0"),
        (["--tlsv1.3", "--tls-max", "1.3", "--http2"], "hello\n2 0"),
    ] {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "60",
                "--cacert",
            ])
            .arg(app.folder().join("root.pem"))
            .args(["--write-out", "%{http_version} %{ssl_verify_result}"])
            .args(options)
            .arg(&url)
            .output()
            .expect("curl is installed");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, expected, "{options:?} {output:?}");
    }
    app.stop().expect_code(0);
}

#[test]
fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let authority = Authority::new();
    let identities = [
        authority.identity("localhost"),
        authority.identity_with(&["wild.test", "*.wild.test"], |_| {}),
        authority.identity("a.wild.test"),
    ];
    let [first, wild, exact] = &identities;
    let app = with_tls(
        Outport::serve(guest::path("http-script-guest")),
        &[("first", first), ("wild", wild), ("exact", exact)],
    )
    .start();
    let server = app.address();
    for (name, expected) in [
        ("localhost", first),
        ("wild.test", wild),
        ("b.wild.test", wild),
        ("B.WILD.test", wild),
        ("a.wild.test", exact),
    ] {
        let client = TlsClient::trusting(&authority).naming(name);
        let stream = client
            .connect(server)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(shown(&stream) == expected.der(), "{name}");
    }
    // Nobody's name, and none at all: the first, which the client does not accept for them.
    for name in ["nobody.test", "c.b.wild.test", "127.0.0.1"] {
        let refused = TlsClient::trusting(&authority)
            .naming(name)
            .connect(server)
            .unwrap_err();
        assert!(
            refused.to_string().contains("not valid for name"),
            "{name}: {refused}"
        );
    }
    app.wait_for_error_text("the client gave it up (alert `");
    app.stop().expect_code(0);
}

#[test]
fn clients_who_have_to_show_a_certificate_are_known_to_the_guest() {
    let (authority, other) = (Authority::new(), Authority::new());
    let app = hello(&authority.identity("localhost"))
        .file("clients.pem", authority.pem())
        .option("--tls-client-ca=clients.pem")
        .start();
    let server = app.address();
    let known = authority.identity("ann");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::of_versions(&authority, &[version]);
        // With TLS 1.3 a client learns only when it reads that it is not let in.
        let refused = client.get(server, "/hello").unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("CertificateRequired") || text.contains("HandshakeFailure"),
            "{version:?}: {text}"
        );
        // Before the next one fails: of failures that come together only the first is told.
        app.wait_for_error_text("the client showed no certificate");
        for stranger in [other.identity("ann"), authority.expired("ann")] {
            let refused = client
                .clone()
                .showing(&stranger)
                .get(server, "/hello")
                .unwrap_err();
            assert!(
                refused.to_string().contains("received fatal alert"),
                "{version:?}: {refused}"
            );
        }
        let client = client.showing(&known).resuming();
        for _ in 0..2 {
            let request = format!(
                "GET /headers HTTP/1.1\r\nHost: {server}\r\nspin-client-cert: :AAEC:\r\n\
                 Spin_Client_Cert: :AAEC:\r\nConnection: close\r\n\r\n"
            );
            let mut stream = client.connect(server).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Full));
            let headers = http::read_response(&mut BufReader::new(stream), &request)
                .unwrap()
                .body;
            let told: Vec<&str> = headers
                .lines()
                .filter(|line| line.contains("client-cert"))
                .collect();
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, known.der());
            assert_eq!(told, [format!("spin-client-cert: :{encoded}:")], "{headers}");
        }
    }
    app.stop().expect_code(0);
}

#[test]
fn a_session_is_resumed_until_the_certificates_are_loaded_again() {
    let authority = Authority::new();
    let app = hello(&authority.identity("localhost")).start();
    let server = app.address();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = TlsClient::of_versions(&authority, &[version]).resuming();
        let kind = || {
            let mut stream = client.connect(server).unwrap();
            let request = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            let kind = stream.conn.handshake_kind();
            http::read_response(&mut BufReader::new(stream), request).unwrap();
            kind
        };
        assert_eq!(kind(), Some(rustls::HandshakeKind::Full), "{version:?}");
        assert_eq!(kind(), Some(rustls::HandshakeKind::Resumed), "{version:?}");
        let loads = app.stderr().matches(LOADED).count();
        app.signal(Signal::HUP);
        until("they are loaded again", || {
            app.stderr().matches(LOADED).count() > loads
        });
        assert_eq!(kind(), Some(rustls::HandshakeKind::Full), "{version:?}");
    }
    app.stop().expect_code(0);
}
