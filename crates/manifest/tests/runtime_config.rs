//! Runtime config files with and without mistakes.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary has no users")]

mod marked;

use marked::{Marked, note_codes, problem_codes, problem_places};
use outport_manifest::{RuntimeConfig, SourceFile};

fn networking(lines: &str) -> String {
    format!("[outbound_networking]\n{lines}\n")
}

fn client_tls(lines: &str) -> String {
    format!("[[client_tls]]\ncomponent_ids = [\"web\"]\nhosts = [\"a.example.com\"]\n{lines}\n")
}

#[test]
fn every_mistake_has_its_code_and_its_place() {
    let rows: Vec<(&str, Vec<String>)> = vec![
        ("runtime-config.syntax", vec![networking("allow_udp = «yes»")]),
        (
            "runtime-config.duplicate-key",
            vec![networking("allow_udp = true\n«allow_udp» = false")],
        ),
        (
            "runtime-config.unknown-key",
            vec![
                networking("«alow_udp» = true"),
                "[«outbound_networkin»]\n".into(),
                "[outbound_http]\n«pool» = true".into(),
                client_tls("«ca_roots» = \"x.pem\""),
            ],
        ),
        (
            "runtime-config.wrong-type",
            vec![
                networking("allow_udp = «\"true\"»\nmax_sockets = «true»\nblock_networks = «\"private\"»"),
                networking("dns_servers = [\"9.9.9.9\", «53»]"),
                networking("allow_loopback_ports = [53, «true»]"),
                "outbound_networking = «true»".into(),
                "«[client_tls]»\nhosts = []".into(),
            ],
        ),
        (
            "runtime-config.value",
            vec![
                networking("max_sockets = «-1»\nmax_total_connections = «4294967296»"),
                client_tls("").replace("[\"web\"]", "«[]»"),
                client_tls("").replace(
                    "\"a.example.com\"",
                    "\"«a.example.com:443»\", \"[::1]\", \"«*.example.com»\"",
                ),
                client_tls("ca_use_platform_roots = false").replace("[[client_tls]]", "«[[client_tls]]»"),
                "[outbound_http]\nmax_connections = 5\nmax_concurrent_requests = «5»".into(),
            ],
        ),
        (
            "runtime-config.missing-key",
            vec![
                "«[[client_tls]]»\nhosts = [\"a.example.com\"]".into(),
                "«[[client_tls]]»\ncomponent_ids = [\"web\"]".into(),
                client_tls("client_cert_file = \"a.pem\"").replace("[[client_tls]]", "«[[client_tls]]»"),
                client_tls("client_private_key_file = \"a.key\"")
                    .replace("[[client_tls]]", "«[[client_tls]]»"),
            ],
        ),
        (
            "runtime-config.component-id",
            vec![client_tls("").replace("\"web\"", "\"«my_app»\"")],
        ),
        (
            "runtime-config.network",
            vec![networking("block_networks = [\"private\", \"«publik»\"]")],
        ),
        (
            "runtime-config.entry",
            vec![networking(
                "disallowed_outbound_hosts = [\"*://a.example.com:*\", \"*://a.example.com:«0»\"]",
            )],
        ),
        (
            "runtime-config.ports",
            vec![networking("allow_loopback_ports = [53, \"«x»\", \"80-90\"]")],
        ),
        (
            "runtime-config.dns-server",
            vec![networking("dns_servers = [\"«dns.example.com»\", \"9.9.9.9\"]")],
        ),
    ];
    for (code, texts) in rows {
        for marked in texts
            .iter()
            .flat_map(|text| [text.clone(), text.replace('\n', "\r\n")])
        {
            let marked = Marked::new(&marked);
            let reading = RuntimeConfig::parse(&marked.file());
            let codes = problem_codes(reading.problems());
            assert_eq!(
                codes,
                vec![code; marked.spans.len()],
                "{}\n{:#?}",
                marked.text,
                reading.problems()
            );
            assert_eq!(
                problem_places(reading.problems()),
                marked.locations(),
                "{}",
                marked.text
            );
        }
    }
}

// proves: DL-1, DL-7, DNS-11
#[test]
fn a_runtime_config_with_all_its_parts_reads() {
    let text = r#"
[outbound_networking]
block_networks = ["10.0.0.0/8", "private"]
max_socket_connections = 100
max_total_connections = 500
disallowed_outbound_hosts = ["*://internal.example.com:*"]
allow_udp = true
allow_loopback_ports = [53, "80-90"]
allow_link_local = false
allow_loopback_answers = true
dns_servers = ["9.9.9.9", "127.0.0.1:5353"]
resolve_disallowed = false
max_sockets = 4_096
max_sockets_per_instance = 0x100

[outbound_http]
connection_pooling = false
max_connections = 7

[[client_tls]]
component_ids = ["web"]
hosts = ["a.example.com", "[::1]"]
ca_roots_file = "roots.pem"
client_cert_file = "client.pem"
client_private_key_file = "client.key"

[[client_tls]]
component_ids = ["web", "api"]
hosts = ["b.example.com"]
"#;
    let (config, notes) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text))
        .complete()
        .unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let networking = &config.networking;
    assert_eq!(networking.block_networks.len(), 2);
    assert_eq!(
        networking.disallowed_outbound_hosts[0].text(),
        "*://internal.example.com:*"
    );
    assert_eq!(
        networking.disallowed_outbound_hosts[0].location().to_string(),
        "runtime.toml:6:31"
    );
    let flags = [
        (&networking.allow_udp, true),
        (&networking.allow_link_local, false),
        (&networking.allow_loopback_answers, true),
        (&networking.resolve_disallowed, false),
        (&config.http.connection_pooling, false),
    ];
    for (flag, expected) in flags {
        assert_eq!(flag.as_ref().unwrap().value, expected);
    }
    let limits = [
        (&networking.max_socket_connections, 100),
        (&networking.max_total_connections, 500),
        (&networking.max_sockets, 4096),
        (&networking.max_sockets_per_instance, 256),
        (&config.http.max_connections, 7),
    ];
    for (limit, expected) in limits {
        assert_eq!(limit.as_ref().unwrap().value, expected);
    }
    let servers: Vec<_> = networking
        .dns_servers
        .iter()
        .map(|server| server.value.to_string())
        .collect();
    assert_eq!(servers, ["9.9.9.9:53", "127.0.0.1:5353"]);

    let [own, platform] = config.client_tls.as_slice() else {
        panic!("{:?}", config.client_tls)
    };
    assert!(!own.roots.platform && !own.roots.webpki && own.roots.file.is_some());
    assert_eq!(own.client.as_ref().unwrap().private_key.value, "client.key");
    assert!(platform.roots.platform && !platform.roots.webpki && platform.client.is_none());
    assert_eq!(platform.component_ids[1].value.as_str(), "api");
}

#[test]
fn a_file_that_says_nothing_changes_nothing() {
    let (config, notes) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", "# empty\n"))
        .complete()
        .unwrap();
    assert!(notes.is_empty());
    assert!(config.networking.block_networks.is_empty());
    assert!(config.networking.disallowed_outbound_hosts.is_empty());
    assert!(config.networking.allow_udp.is_none());
    assert!(config.networking.allow_loopback_ports.is_none());
    assert!(config.client_tls.is_empty());
}

#[test]
fn spins_other_sections_are_accepted_and_named_in_a_note() {
    let rows = [
        ("state_dir = \".spin\"", vec!["runtime-config.not-used"]),
        (
            "[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://x\"",
            vec!["runtime-config.not-used"],
        ),
        (
            "[sqlite_database.default]\ntype = \"spin\"",
            vec!["runtime-config.not-used"],
        ),
        ("[llm_compute]\ntype = \"spin\"", vec!["runtime-config.not-used"]),
        (
            "[[variables_provider]]\ntype = \"vault\"\n[[config_provider]]\ntype = \"env\"",
            vec!["runtime-config.not-used"; 2],
        ),
        (
            "[outbound_pg]\nmax_connections = 5",
            vec!["runtime-config.not-used"],
        ),
        (
            "[outbound_http]\nmax_concurrent_requests = 5",
            vec!["runtime-config.deprecated"],
        ),
    ];
    for (text, codes) in rows {
        let (_, notes) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text))
            .complete()
            .expect(text);
        assert_eq!(note_codes(&notes), codes, "{text}");
    }
}

#[test]
fn spins_old_request_limit_lets_one_more_through() {
    let text = "[outbound_http]\nmax_concurrent_requests = 5";
    let (config, _) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text))
        .complete()
        .unwrap();
    assert_eq!(config.http.max_connections.unwrap().value, 6);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn parsing_any_text_never_panics(text in "(\\[outbound_networking\\]\n)?[a-z_ =\\[\\]\"'0-9.\n/-]*") {
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        let _ = reading.complete();
    }
}
