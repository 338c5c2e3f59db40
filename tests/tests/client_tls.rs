//! `[[client_tls]]` of the runtime config file: whom a component trusts and who it is, for the hosts that are named.

use std::fs;

use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::results;
use outport_e2e::tls::{Authority, TlsOrigin};

/// An app of two components that send the same request, and a runtime config file that is about the first.
fn app(origin: &TlsOrigin, authority: &Authority, config: &str) -> Outport {
    let url = format!("https://localhost:{}", origin.address().port());
    let component = |name: &str, guest: &str| {
        format!(
            "[[trigger.command]]\ncomponent = \"{name}\"\nargs = [\"print {name}; http.text GET {url}/\"]\n\
             [component.{name}]\nsource = \"GUESTS/{guest}.wasm\"\nallowed_outbound_hosts = [\"{url}\"]\n"
        )
    };
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"tls\"\n{}{}{}",
        component("one", "script-guest"),
        component("three", "script-guest-p3"),
        component("other", "script-guest")
    );
    let client = authority.identity("client");
    Outport::up(&manifest)
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
        .file("ca.pem", authority.pem())
        .file("client.pem", client.certificate)
        .file("client.key", client.key)
}

/// The server hung up on a client without a certificate. In TLS 1.3 it does so after the client has seen its own side
/// of the handshake end well, so that the alert and the end of the connection race.
const NOT_LET_IN: &str = "not let in";

/// What the component got.
fn result_of<'f>(finished: &'f Finished, component: &str) -> &'f str {
    match results(&finished.stdout)[..] {
        [printed, result] if printed == component => result,
        _ => panic!("not the two lines of {component}\n{finished}"),
    }
}

#[test]
fn a_component_shows_its_certificate_and_trusts_the_roots_that_are_given_to_it() {
    let authority = Authority::new();
    let origin = TlsOrigin::start(&authority);
    let profile = |ids: &str, hosts: &str, lines: &str| {
        format!("[[client_tls]]\ncomponent_ids = [{ids}]\nhosts = [{hosts}]\n{lines}\n")
    };
    let roots = "ca_roots_file = \"ca.pem\"";
    let all = "ca_roots_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\nclient_private_key_file = \"client.key\"";
    let ours = "\"one\", \"three\"";
    let rows = [
        (profile(ours, "\"localhost\"", all), "200 hello"),
        (
            profile(ours, "\"elsewhere.example\"", all),
            "TLS-certificate-error",
        ),
        (
            profile("\"nobody\"", "\"localhost\"", all),
            "TLS-certificate-error",
        ),
        (profile(ours, "\"localhost\"", roots), NOT_LET_IN),
        (
            profile(ours, "\"localhost\"", "ca_use_webpki_roots = true"),
            "TLS-certificate-error",
        ),
        (
            profile(
                ours,
                "\"localhost\"",
                &format!("ca_use_webpki_roots = true\n{all}"),
            ),
            "200 hello",
        ),
        (
            profile(ours, "\"localhost\"", roots) + &profile(ours, "\"localhost\"", all),
            NOT_LET_IN,
        ),
        (
            profile(ours, "\"elsewhere.example\"", roots) + &profile(ours, "\"localhost\"", all),
            "200 hello",
        ),
        (String::new(), "TLS-certificate-error"),
    ];
    for (config, expected) in rows {
        for (component, expected) in [
            ("one", expected),
            ("three", expected),
            ("other", "TLS-certificate-error"),
        ] {
            let finished = app(&origin, &authority, &config)
                .option(format!("--component={component}"))
                .finish()
                .expect_code(0);
            let result = match result_of(&finished, component) {
                "TLS-alert-received" | "connection-terminated" => NOT_LET_IN,
                other => other,
            };
            assert_eq!(result, expected, "{component}\n{config}\n{finished}");
            assert!(!finished.stderr.contains("PRIVATE KEY"), "{finished}");
        }
    }
}

#[test]
fn files_that_hold_no_certificate_are_named_and_never_quoted() {
    let authority = Authority::new();
    let origin = TlsOrigin::start(&authority);
    let rows = [
        ("ca_roots_file = \"none.pem\"", "there is no PEM file `"),
        ("ca_roots_file = \"client.key\"", "no certificate was found"),
        (
            "client_cert_file = \"client.pem\"\nclient_private_key_file = \"ca.pem\"",
            "no private key was found",
        ),
    ];
    for (lines, message) in rows {
        let config = format!("[[client_tls]]\ncomponent_ids = [\"one\"]\nhosts = [\"localhost\"]\n{lines}\n");
        let app = app(&origin, &authority, &config);
        let key = fs::read_to_string(app.folder().join("client.key")).expect("the key of our own");
        let secret = key.lines().nth(1).expect("a line of the key").to_owned();
        let finished = app.finish().expect_code(2);
        let flat = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(message), "no `{message}`\n{finished}");
        assert!(flat.contains("runtime.toml:"), "no place\n{finished}");
        assert!(!finished.stderr.contains(&secret), "the key is in a message");
    }
}

#[test]
fn a_profile_for_a_component_that_is_not_there_is_a_warning() {
    let config = "[[client_tls]]\ncomponent_ids = [\"script-gest\"]\nhosts = [\"a.test\"]\nca_use_webpki_roots = true\n";
    let run = |config: &str| {
        let run = Outport::script_guest()
            .file("operator.toml", config)
            .args(["print hi"]);
        run.option("--runtime-config-file=operator.toml")
            .finish()
            .expect_code(0)
    };
    let warned = run(config);
    assert!(
        warned
            .stderr
            .contains("for a component `script-gest`, and not for this one, which is called `script-guest`"),
        "{warned}"
    );
    let fine = run(&config.replace("script-gest", "script-guest"));
    assert!(!fine.stderr.contains("warning"), "{fine}");
}
