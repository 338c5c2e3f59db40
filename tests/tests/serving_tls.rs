//! HTTPS for clients (`--tls-cert`, `--tls-key`, `--tls-client-ca`): what is agreed on, what guests learn of it, whose
//! certificate is shown and asked for, files that are wrong or change, and clients who mean no good.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use outport_e2e::http2::{DATA, HEADERS, Http2};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::tls::{Authority, Identity};
use outport_e2e::tls_client::{TlsClient, shown};
use outport_e2e::until::{PATIENCE, until};
use outport_e2e::{guest, http};
use rustix::process::Signal;

const LOADED: &str = "The TLS certificates were loaded again";
const KEPT: &str = "warning: the TLS certificates stay as they were";

const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

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

    let variables = client.get(server, "/cgi/x?env").unwrap().body;
    for line in ["HTTPS=on".to_owned(), format!("SERVER_PORT={}", server.port())] {
        assert!(variables.lines().any(|own| own == line), "{line}\n{variables}");
    }
    let nameless = "GET /cgi/x?env HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
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
    app.wait_for_error_text("the client showed no certificate");
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

#[test]
fn files_that_cannot_be_used_keep_it_from_starting() {
    let (authority, own, other) = (Authority::new(), "own", "other");
    let (identity, another) = (authority.identity("localhost"), authority.identity("localhost"));
    let pkcs8 = &identity.key;
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let cut = &identity.certificate[..200];
    // (certificate, key, authorities, what is said)
    let rows: [(&str, &str, Option<&str>, &[&str]); 16] = [
        (
            "gone.pem",
            "own.key",
            None,
            &["there is no certificate `gone.pem`"],
        ),
        (
            "own.pem",
            "gone.key",
            None,
            &["there is no private key `gone.key`"],
        ),
        (".", "own.key", None, &["it is a directory, not a file"]),
        ("pipe", "own.key", None, &["it is a pipe, not a file"]),
        (
            "empty",
            "own.key",
            None,
            &["the certificate `empty` cannot be used: it is empty"],
        ),
        (
            "own.key",
            "own.pem",
            None,
            &[
                "a section `PRIVATE KEY`",
                "a section `CERTIFICATE`",
                "`--tls-key`",
            ],
        ),
        ("own.pem", "encrypted", None, &["is encrypted", "openssl pkey"]),
        ("own.pem", "two.key", None, &["there are 2 private keys"]),
        (
            "own.pem",
            "other.key",
            None,
            &["`other.key` is not that of the certificate `own.pem`"],
        ),
        (
            "turned.pem",
            "own.key",
            None,
            &["is that of certificate 2", "first"],
        ),
        ("cut.pem", "own.key", None, &["damaged or cut off"]),
        ("binary", "own.key", None, &["it is not PEM", "openssl x509"]),
        (
            "text",
            "own.key",
            None,
            &["there is no certificate in it", "-----BEGIN CERTIFICATE-----"],
        ),
        ("own.pem", "strange.key", None, &["not supported, or is damaged"]),
        (
            "own.pem",
            "own.key",
            Some("own.key"),
            &["the file of authorities `own.key` cannot be used"],
        ),
        (
            "own.pem",
            "own.key",
            Some("gone.pem"),
            &["there is no file of authorities `gone.pem`"],
        ),
    ];
    for (certificate, key, authorities, said) in rows {
        let mut outport = Outport::serve(guest::path("http-script-guest"))
            .file("empty", "")
            .file("encrypted", encrypted)
            .file("two.key", format!("{}{}", identity.key, another.key))
            .file(
                "turned.pem",
                format!("{}{}", another.certificate, identity.certificate),
            )
            .file("cut.pem", cut)
            .file("binary", identity.der())
            .file("text", "hello")
            .file(
                "strange.key",
                "-----BEGIN PRIVATE KEY-----\nMAAwADAA\n-----END PRIVATE KEY-----\n",
            )
            .option(format!("--tls-cert={certificate}"))
            .option(format!("--tls-key={key}"));
        put(outport.folder(), own, &identity);
        put(outport.folder(), other, &another);
        let pipe = outport.folder().join("pipe");
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        if let Some(authorities) = authorities {
            outport = outport.option(format!("--tls-client-ca={authorities}"));
        }
        let finished = outport.finish().expect_code(2);
        for part in said {
            assert!(
                finished.stderr.contains(part),
                "{certificate} {key}: no `{part}`\n{finished}"
            );
        }
        let secret = pkcs8.lines().nth(1).unwrap();
        assert!(!finished.stderr.contains(secret), "{finished}");
    }
    let half = Outport::serve(guest::path("http-script-guest")).option("--tls-cert=own.pem");
    let finished = half.finish().expect_code(2);
    assert!(finished.stderr.contains("no private key"), "{finished}");
}

#[test]
fn what_clients_will_not_like_is_a_warning() {
    let authority = Authority::new();
    let soon = authority.identity_with(&["localhost"], |params| {
        params.not_after = (SystemTime::now() + THREE_DAYS).into();
    });
    let early = authority.identity_with(&["localhost"], |params| {
        params.not_before = (SystemTime::now() + THREE_DAYS).into();
    });
    let rows = [
        (
            authority.expired("localhost"),
            0o600,
            "has expired on 2002-01-01",
            true,
        ),
        (early, 0o600, "is not valid before", true),
        (
            authority.identity_with(&[], |_| {}),
            0o600,
            "is for no name",
            true,
        ),
        (
            authority.identity("localhost"),
            0o644,
            "can be read by every user",
            true,
        ),
        (
            authority.identity("localhost"),
            0o640,
            "can be read by others, of the group",
            true,
        ),
        (soon, 0o600, "expires on", false),
    ];
    for (identity, mode, said, is_warning) in rows {
        for deny in [false, true] {
            let mut outport = hello(&identity);
            let key = outport.folder().join("own.key");
            fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
            if deny {
                outport = outport.option("--deny-warnings");
            }
            let run = outport.start();
            run.wait_for_error_text(said);
            if deny && is_warning {
                run.finish().expect_code(1);
            } else {
                run.address();
                run.stop().expect_code(0);
            }
        }
    }
    // What the guest could write would be loaded.
    let run = hello(&authority.identity("localhost"))
        .option("--dir=.::/data")
        .start();
    run.wait_for_error_text("the guest can write to the private key `own.key`");
    run.stop();
}

#[test]
fn spins_variables_name_a_certificate_and_its_key() {
    let authority = Authority::new();
    let identity = authority.identity("localhost");
    for names in [
        ["SPIN_TLS_CERT", "SPIN_TLS_KEY"],
        ["OUTPORT_TLS_CERT", "OUTPORT_TLS_KEY"],
    ] {
        let outport = Outport::serve(guest::path("http-script-guest"))
            .variable(names[0], "own.pem")
            .variable(names[1], "own.key");
        put(outport.folder(), "own", &identity);
        let run = outport.start();
        let answer = TlsClient::trusting(&authority)
            .get(run.address(), "/hello")
            .unwrap();
        assert_eq!(answer.body, "hello\n");
        run.stop().expect_code(0);
    }
    let half = Outport::serve(guest::path("http-script-guest")).variable("SPIN_TLS_CERT", "own.pem");
    let finished = half.finish().expect_code(2);
    assert!(finished.stderr.contains("no private key"), "{finished}");
}

/// How an operator puts another certificate in the place of the one that is served.
#[derive(Clone, Copy, Debug)]
enum Change {
    InPlace,
    Renamed,
    /// A link leads to another directory, as in a volume of Kubernetes.
    Linked,
    Signalled,
}

impl Change {
    fn make(self, run: &Running, identity: &Identity, round: usize) {
        let folder = run.folder();
        let fresh = folder.join(format!("round-{round}"));
        match self {
            Self::InPlace | Self::Signalled => put(&folder.join("..data"), "own", identity),
            Self::Renamed => {
                fs::create_dir(&fresh).unwrap();
                put(&fresh, "own", identity);
                for name in ["own.pem", "own.key"] {
                    fs::rename(fresh.join(name), folder.join("..data").join(name)).unwrap();
                }
            }
            Self::Linked => {
                fs::create_dir(&fresh).unwrap();
                put(&fresh, "own", identity);
                symlink(&fresh, folder.join("..next")).unwrap();
                fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
            }
        }
        if matches!(self, Self::Signalled) {
            run.signal(Signal::HUP);
        }
    }
}

#[test]
fn certificates_are_replaced_under_load_and_no_request_fails() {
    let authority = Authority::new();
    let outport = Outport::serve(guest::path("http-script-guest"))
        .options(["--tls-cert=..data/own.pem", "--tls-key=..data/own.key"]);
    fs::create_dir(outport.folder().join("first")).unwrap();
    symlink("first", outport.folder().join("..data")).unwrap();
    put(
        &outport.folder().join("first"),
        "own",
        &authority.identity("localhost"),
    );
    let run = outport.start();
    let server = run.address();
    let client = TlsClient::trusting(&authority);
    let mut open = client.connect(server).unwrap();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let load: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let response = client.get(server, "/hello").expect("no request fails");
                        assert_eq!(response.body, "hello\n");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let changes = [
            Change::InPlace,
            Change::Renamed,
            Change::Linked,
            Change::Signalled,
            Change::Linked,
        ];
        for (round, change) in changes.into_iter().enumerate() {
            let identity = authority.identity("localhost");
            change.make(&run, &identity, round);
            until(format_args!("{change:?} is served\n{run}"), || {
                shown(&client.connect(server).unwrap()) == identity.der()
            });
        }
        over.store(true, Ordering::SeqCst);
        load.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(answered.load(Ordering::SeqCst) > 0);
    // A connection that was open all the while is as it was.
    let request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    open.write_all(request.as_bytes()).unwrap();
    let response = http::read_response(&mut BufReader::new(open), request).unwrap();
    assert_eq!(response.body, "hello\n");
    run.stop().expect_code(0);
}

#[test]
fn a_pair_that_does_not_fit_is_told_once_and_the_old_one_stays() {
    let authority = Authority::new();
    let first = authority.identity("localhost");
    let run = hello(&first).start();
    let server = run.address();
    let client = TlsClient::trusting(&authority);
    let next = authority.identity("localhost");
    run.write("own.pem", &next.certificate);
    run.wait_for_error_text(KEPT);
    assert!(
        run.stderr()
            .contains("`own.key` is not that of the certificate `own.pem`"),
        "{run}"
    );
    assert!(shown(&client.connect(server).unwrap()) == first.der());
    // The other half comes.
    run.write("own.key", &next.key);
    run.wait_for_error_text(LOADED);
    until("it is served", || {
        shown(&client.connect(server).unwrap()) == next.der()
    });
    assert_eq!(run.stderr().matches(KEPT).count(), 1, "{run}");
    // A file that is gone, and a signal about it.
    fs::remove_file(run.folder().join("own.key")).unwrap();
    run.signal(Signal::HUP);
    run.wait_for_error_text("there is no private key `own.key`");
    assert!(shown(&client.connect(server).unwrap()) == next.der());
    run.write("own.key", &next.key);
    run.wait_for_error_text("say again what is in force");
    // One that has expired is put in force, since the operator has put it there, and warned of.
    let old = authority.expired("localhost");
    put(run.folder(), "own", &old);
    run.wait_for_error_text("has expired on 2002-01-01");
    run.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_clients_who_never_finish_a_handshake_are_in_nobodys_way() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .options([
            "--max-connections=400",
            "--admin-listen=127.0.0.1:0",
            "--workers=2",
        ])
        .start();
    let server = run.address();
    let start = Instant::now();
    // A record of 512 bytes begins, and so does a ClientHello in it.
    let half = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 40]].concat();
    let manners: [&[u8]; 3] = [b"", &half[..5], &half];
    let mut silent: Vec<TcpStream> = (0..300)
        .filter_map(|number| {
            let from = std::net::Ipv4Addr::new(127, 0, 1, (number % 3) as u8 + 1);
            let mut stream = http::connect_from(from, server).ok()?;
            stream.write_all(manners[number % 3]).ok()?;
            Some(stream)
        })
        .collect();
    let client = TlsClient::trusting(&authority);
    while start.elapsed() < Duration::from_secs(3) {
        let began = Instant::now();
        assert_eq!(client.get(server, "/hello").unwrap().body, "hello\n");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    // All of them are let go.
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let took = start.elapsed();
    assert!(took > Duration::from_secs(8) && took < PATIENCE, "{took:?}");
    until("all of them are counted", || {
        counts(&run).contains("outport_tls_handshakes_total{outcome=\"timed-out\"} 300")
    });
    run.stop().expect_code(0);
}

/// The lines of the metrics about handshakes.
fn counts(run: &Running) -> String {
    let text = text_of_metrics(run);
    let lines = text.lines().filter(|line| line.starts_with("outport_tls_"));
    lines.collect::<Vec<_>>().join("\n")
}

fn text_of_metrics(run: &Running) -> String {
    let line = run.wait_for_error_line("Admin listener: http://");
    let admin: SocketAddr = line
        .trim_start_matches("Admin listener: http://")
        .parse()
        .unwrap();
    http::get(admin, "/metrics").unwrap().body
}

#[test]
fn who_speaks_something_else_is_told_and_counted() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .option("--admin-listen=127.0.0.1:0")
        .start();
    let server = run.address();
    let answer = http::get(server, "/hello").unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{}", answer.body);
    let large = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n{}",
        "a".repeat(30_000)
    );
    assert_eq!(http::send(server, &large).unwrap().status, 400);
    run.wait_for_error_text("sent plain HTTP where HTTPS is spoken");

    for (sent, is_alert) in [
        (&b"\x16\x03\x01\xff\xff\xff\xff\xff\xff"[..], true),
        (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10 an old hello", true),
        (b"\0\0\0\0\0\0\0\0", true),
        (b"hello, is anybody there?\r\n", true),
    ] {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(sent).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got.first() == Some(&0x15), is_alert, "{sent:?}: {got:?}");
    }
    run.wait_for_error_text("that is not TLS");
    drop(TcpStream::connect(server).unwrap());
    let client = TlsClient::trusting(&authority);
    assert_eq!(client.get(server, "/hello").unwrap().body, "hello\n");
    until("all are counted", || {
        let counted = counts(&run);
        let has =
            |outcome: &str| counted.contains(&format!("outport_tls_handshakes_total{{outcome={outcome}"));
        has("\"plain-http\"} 2") && has("\"failed\"} 4") && has("\"abandoned\"} 1") && has("\"succeeded\"} 1")
    });
    run.stop().expect_code(0);
}

// proves: ISO-5
#[test]
fn iso_5_a_client_who_reads_no_more_is_let_go_within_tls_too() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .options(["--client-timeout=1s", "--admin-listen=127.0.0.1:0"])
        .start();
    let client = TlsClient::trusting(&authority);
    let mut stream = client.connect(run.address()).unwrap();
    stream
        .write_all(b"GET /zeroes?100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let start = Instant::now();
    // Nothing is read: the server gives up, and what is still read after that breaks off.
    until(format_args!("the client is let go\n{run}"), || {
        text_of_metrics(&run).contains("\noutport_client_connections_open 0\n")
    });
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let read = io::copy(&mut stream, &mut io::sink());
    assert!(!matches!(read, Ok(100_000_000..)), "{read:?}");
    run.stop().expect_code(0);
}

// proves: ISO-8
#[test]
fn iso_8_a_response_that_ends_with_its_connection_is_whole_only_with_an_end_of_tls() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost"))
        .option("--max-time=2s")
        .start();
    let client = TlsClient::trusting(&authority);
    let ask = |path: &str| {
        let mut stream = client.connect(run.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        io::copy(&mut stream, &mut io::sink())
    };
    assert!(ask("/hello").unwrap() > 0);
    // The guest is ended in the middle of its body, by its time.
    let end = ask("/zeroes?100000000000").unwrap_err();
    assert!(
        matches!(
            end.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        ),
        "{end:?}"
    );
    run.wait_for_error_text("broke off");
    run.stop().expect_code(0);
}

#[test]
fn idle_connections_end_in_order_when_the_server_stops() {
    let authority = Authority::new();
    let run = hello(&authority.identity("localhost")).start();
    let client = TlsClient::trusting(&authority);
    let mut stream = client.connect(run.address()).unwrap();
    let request = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    assert_eq!(http::read_response(&mut stream, request).unwrap().body, "hello\n");
    let start = Instant::now();
    let finished = run.stop().expect_code(0);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?} {finished}",
        start.elapsed()
    );
    // An end of TLS, without which this would be an error.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
