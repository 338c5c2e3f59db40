//! Runtime config files with and without mistakes.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary has no users")]

mod marked;

use marked::{Marked, note_codes, problem_codes, problem_places};
use outport_manifest::{Database, ModelApi, RuntimeConfig, Service, SourceFile, SqliteBackend, StateDir};

fn networking(lines: &str) -> String {
    format!("[outbound_networking]\n{lines}\n")
}

fn client_tls(lines: &str) -> String {
    format!("[[client_tls]]\ncomponent_ids = [\"web\"]\nhosts = [\"a.example.com\"]\n{lines}\n")
}

fn key_value(lines: &str) -> String {
    format!("[key_value_store.x]\n{lines}\n")
}

fn models(lines: &str) -> String {
    format!("[llm_compute]\ntype = \"remote_http\"\nurl = \"https://x\"\nauth_token = \"t\"\n{lines}\n")
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
                key_value("type = \"spin\"\n«pth» = \"x\""),
                key_value("type = \"redis\"\nurl = \"redis://x\"\n«path» = \"x\""),
                models("«model» = \"x\""),
                "[outbound_pg]\n«max_conections» = 5".into(),
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
                "state_dir = «5»\nkey_value_store = «true»".into(),
                "[key_value_store]\nx = «5»".into(),
                key_value("type = «5»"),
                "[sqlite_database.x]\ntype = \"libsql\"\nurl = \"https://x\"\ntoken = «123456»".into(),
                "[sqlite_database.x]\ntype = \"spin\"\nallow_attach_file = «1»".into(),
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
                key_value("type = \"«azure_cosmos»\"\nkey = 1\ndatabase = \"x\""),
                key_value("type = \"«aws_dynamo»\""),
                key_value("type = \"spin\"\npath = \"«»\""),
                key_value("type = \"redis\"\nurl = \"«http://cache»\""),
                key_value("type = \"redis\"\nurl = \"«redis+unix:///run/x»\""),
                key_value("type = \"redis\"\nurl = \"«redis://:hunter2@cache:0»\""),
                "[sqlite_database.x]\ntype = \"«turso»\"".into(),
                "[sqlite_database.x]\ntype = \"libsql\"\nurl = \"«libsql://x»\"\ntoken = \"\"".into(),
                "[llm_compute]\ntype = \"«spin»\"".into(),
                models("").replace("https://x", "«https://u:p@x»"),
                models("").replace("https://x", "«https://x/?key=k»"),
                models("").replace("\"t\"", "\"«t\u{e4}»\""),
                models("api_type = \"«openai»\""),
                "[outbound_redis]\nmax_connections = «-1»".into(),
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
                key_value("").replace("[key_value_store.x]", "«[key_value_store.x]»"),
                key_value("type = \"redis\"").replace("[key_value_store.x]", "«[key_value_store.x]»"),
                "«[llm_compute]»\ntype = \"remote_http\"\nurl = \"https://x\"".into(),
            ],
        ),
        (
            "runtime-config.label",
            vec![key_value("type = \"spin\"").replace(".x]", ".\"«not ok»\"]")],
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
tls_names = "required"
dns_servers = ["9.9.9.9", "127.0.0.1:5353"]
resolve_disallowed = false
max_sockets = 4_096
max_sockets_per_instance = 0x100
max_lookups_per_minute = 60
max_names_per_wildcard = 12

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
        (&networking.max_lookups_per_minute, 60),
        (&networking.max_names_per_wildcard, 12),
        (&config.http.max_connections, 7),
    ];
    for (limit, expected) in limits {
        assert_eq!(limit.as_ref().unwrap().value, expected);
    }
    assert_eq!(networking.tls_names.as_ref().unwrap().value.as_str(), "required");
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
fn what_the_operator_defines_for_components_reads() {
    let text = r#"
state_dir = "/var/lib/shop"

[key_value_store.default]
type = "redis"
url = "rediss://:hunter2@cache.internal:6380/2"

[key_value_store.near]
type = "spin"
path = "near.db"

[key_value_store.gone]
type = "spin"

[sqlite_database.default]
type = "spin"
path = "tables.db"
allow_attach_file = false

[sqlite_database.far]
type = "libsql"
url = "https://db.example.com"
token = "hunter2"

[llm_compute]
type = "remote_http"
url = "http://models.internal:8080/v1"
auth_token = "hunter2"
api_type = "open_ai"

[outbound_redis]
max_connections = 3
[outbound_pg]
max_connections = 4
[outbound_mysql]
max_connections = 5
[outbound_mqtt]
"#;
    let source = SourceFile::new("etc/runtime.toml", text);
    let (config, _) = RuntimeConfig::parse(&source).complete().unwrap();
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let shown: Vec<String> = config
        .key_value_stores
        .iter()
        .map(|store| format!("{} {:?}", store.label.value, store.backend))
        .collect();
    assert_eq!(shown.len(), 3);
    assert!(shown[0].starts_with("default Redis(") && shown[0].contains("rediss://cache.internal:6380"));
    assert_eq!(
        shown[1], "near Local(File(\"etc/near.db\"))",
        "relative to the file"
    );
    assert_eq!(shown[2], "gone Local(Memory)");
    let [local, far] = config.sqlite_databases.as_slice() else {
        panic!("{:?}", config.sqlite_databases)
    };
    let here = Database::File("tables.db".into());
    assert_eq!(
        local.backend,
        SqliteBackend::Local(here),
        "relative to the working directory"
    );
    let SqliteBackend::LibSql { url, token } = &far.backend else {
        panic!("{far:?}")
    };
    assert_eq!((url.port(), token.expose()), (443, "hunter2"));
    let models = config.model_server.unwrap();
    assert_eq!(models.url.to_string(), "http://models.internal:8080");
    assert_eq!(
        (models.api, models.auth_token.expose()),
        (ModelApi::OpenAi, "hunter2")
    );
    let limits = &config.client_connections;
    let limits = [&limits.redis, &limits.postgres, &limits.mysql, &limits.mqtt];
    let limits = limits.map(|limit| limit.as_ref().map(|limit| limit.value));
    assert_eq!(limits, [Some(3), Some(4), Some(5), None]);
    assert_eq!(config.state_dir.unwrap().value, StateDir::at("/var/lib/shop"));
}

#[test]
fn no_message_about_a_secret_shows_it() {
    for text in [
        "[key_value_store.x]\ntype = \"redis\"\nurl = \"redis://:hunter2@cache:0\"",
        "[key_value_store.x]\ntype = \"redis\"\nurl = \"https://:hunter2@cache\"",
        "[key_value_store.x]\ntype = \"redis\"\nurl = \"redis://a:hunter2@\"",
        "[key_value_store.x]\ntype = \"redis\"\nurl = \"redis://cache:70000/?p=hunter2\"",
        "[sqlite_database.x]\ntype = \"libsql\"\nurl = 5\ntoken = [\"hunter2\"]",
        "[llm_compute]\ntype = \"remote_http\"\nurl = \"x://hunter2@y\"\nauth_token = { hunter2 = 1 }",
    ] {
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        assert!(!reading.problems().is_empty(), "{text}");
        for problem in reading.problems() {
            let told = format!(
                "{problem} {} {:?}",
                problem.help().unwrap_or_default(),
                problem.mistake
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn what_is_not_served_is_accepted_and_named_in_a_note() {
    let section = |service: Service| match service {
        Service::KeyValue => "[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://x\"".to_owned(),
        Service::Sqlite => "[sqlite_database.default]\ntype = \"spin\"".to_owned(),
        Service::Models => models(""),
        Service::Redis => "[outbound_redis]\nmax_connections = 5".to_owned(),
        Service::Postgres => "[outbound_pg]\nmax_connections = 5".to_owned(),
        Service::Mysql => "[outbound_mysql]\nmax_connections = 5".to_owned(),
        Service::Mqtt => "[outbound_mqtt]\nmax_connections = 5".to_owned(),
    };
    let services = Service::ALL.map(|service| {
        let codes = if service.is_served() {
            vec![]
        } else {
            vec!["runtime-config.not-used"]
        };
        (section(service), codes)
    });
    let others = [
        ("state_dir = \".spin\"", vec![]),
        (
            "[sqlite_database.x]\ntype = \"spin\"\nallow_attach_file = true",
            vec!["runtime-config.not-used"],
        ),
        (
            "[[variables_provider]]\ntype = \"vault\"\n[[config_provider]]\ntype = \"env\"",
            vec!["runtime-config.not-used"; 2],
        ),
        (
            "[blob_store.x]\ntype = \"file_system\"",
            vec!["runtime-config.not-used"],
        ),
        (
            "[outbound_http]\nmax_concurrent_requests = 5",
            vec!["runtime-config.deprecated"],
        ),
    ];
    let others = others.map(|(text, codes)| (text.to_owned(), codes));
    for (text, codes) in services.into_iter().chain(others) {
        let (_, notes) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text.as_str()))
            .complete()
            .expect(&text);
        assert_eq!(note_codes(&notes), codes, "{text}");
    }
}

#[test]
fn the_servers_of_triggers_are_the_operators_where_he_says_so() {
    let text = r#"
        [trigger.redis]
        address = "redis://:hunter2@cache.internal/1"
        [trigger.mqtt]
        address = "mqtts://broker.internal"
        client_id = "shop"
        [trigger.sqs]
        endpoint = "http://127.0.0.1:4566"
        region = "eu-west-1"
    "#;
    let (config, _) = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text))
        .complete()
        .unwrap();
    let servers: Vec<_> = config
        .brokers
        .servers()
        .map(|(table, url)| format!("{table} {}", url.value))
        .collect();
    assert_eq!(
        servers,
        [
            "trigger.redis redis://cache.internal:6379",
            "trigger.mqtt mqtts://broker.internal:8883",
            "trigger.sqs http://127.0.0.1:4566"
        ]
    );
    let id = config.brokers.mqtt_client_id.as_ref();
    assert_eq!(id.map(|id| id.value.as_str()), Some("shop"));
    assert!(!format!("{:?}", config.brokers).contains("hunter2"));
    for (text, code) in [
        ("[trigger.redis]\naddress = \"mqtt://x\"", "runtime-config.value"),
        (
            "[trigger.redis]\nurl = \"redis://x\"",
            "runtime-config.unknown-key",
        ),
        ("[trigger.kafka]\naddress = \"x\"", "runtime-config.unknown-key"),
        ("[trigger.mqtt]\nclient_id = \"a\\u0000\"", "runtime-config.value"),
        (
            "[trigger.sqs]\nendpoint = \"https://me:secret@x\"",
            "runtime-config.value",
        ),
        (
            "[trigger.sqs]\nendpoint = \"https://x?y\"",
            "runtime-config.value",
        ),
        ("trigger = 1", "runtime-config.wrong-type"),
    ] {
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        let codes: Vec<_> = reading
            .problems()
            .iter()
            .map(|one| one.code().to_string())
            .collect();
        assert_eq!(codes, [code], "{text}");
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
    fn parsing_any_text_never_panics(text in "(\\[(outbound_networking|key_value_store.x|llm_compute)\\]\n)?[a-z_ =\\[\\]\"'0-9.\n/-]*") {
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        let _ = reading.complete();
    }
}

#[test]
fn a_token_that_is_not_written_is_asked_for_with_what_to_write_if_there_is_none() {
    for (text, help) in [
        (
            "[llm_compute]\ntype = \"remote_http\"\nurl = \"https://x\"\n",
            "write `auth_token = \"\"` if the server needs none",
        ),
        (
            "[sqlite_database.y]\ntype = \"libsql\"\nurl = \"https://x\"\n",
            "write `token = \"\"` if the server needs none",
        ),
    ] {
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        let told: Vec<_> = reading.problems().iter().map(|problem| problem.help()).collect();
        assert_eq!(told, [Some(help.to_owned())], "{text}");
        let filled = format!("{text}{}\n", help.split('`').nth(1).unwrap());
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", filled));
        assert!(reading.problems().is_empty(), "{:?}", reading.problems());
    }
}
