//! The files of certificates and keys: wrong ones, odd ones, and others in their place while they are served.

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use outport_e2e::outport::{Outport, Running};
use outport_e2e::tls::{Authority, Identity};
use outport_e2e::tls_client::{TlsClient, shown};
use outport_e2e::until::until;
use outport_e2e::{guest, http};
use rustix::process::Signal;

use super::{LOADED, hello, put};

const KEPT: &str = "warning: the TLS certificates stay as they were";

const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

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
