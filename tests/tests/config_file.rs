//! `outport.toml`, the environment, and `outport config`, which says what counts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use outport_e2e::until::until;
use serde_json::{Value, json};

fn config() -> Outport {
    Outport::command("config").option("--format=json")
}

fn with_file(outport: Outport, text: &str) -> Outport {
    outport.file("outport.toml", text).option("--config=outport.toml")
}

/// What `outport config` says of an option: its values, each with the place.
fn said(finished: &Finished, option: &str) -> Vec<(Value, String)> {
    let document = schema::valid("docs/schema/config.json", &finished.stdout);
    let options = document["options"].as_array().unwrap();
    let found = options.iter().find(|found| found["name"] == option);
    let found = found.unwrap_or_else(|| panic!("no option `{option}`"));
    let values = found["values"].as_array().unwrap().iter();
    values
        .map(|one| {
            let from = &one["from"];
            let place = match from["source"].as_str().unwrap() {
                "file" => format!(
                    "{}:{}:{}",
                    from["path"].as_str().unwrap(),
                    from["line"],
                    from["column"]
                ),
                "environment" => from["variable"].as_str().unwrap().to_owned(),
                source => source.to_owned(),
            };
            (one["value"].clone(), place)
        })
        .collect()
}

fn one(value: impl Into<Value>, place: &str) -> Vec<(Value, String)> {
    vec![(value.into(), place.to_owned())]
}

#[test]
fn a_value_comes_from_the_first_that_says_it_and_a_list_from_all() {
    let file = "max-memory = '64M'\nallow-udp = true\nmax-requests = 7\ndns-server = ['9.9.9.9']\n";
    let nothing = config().finish().expect_code(0);
    assert_eq!(said(&nothing, "max-memory"), one("512M", "default"));
    assert_eq!(said(&nothing, "allow-udp"), one(false, "default"));
    assert_eq!(said(&nothing, "max-requests"), one(1000, "default"));
    assert_eq!(said(&nothing, "dns-server"), []);

    let of_file = with_file(config(), file).finish().expect_code(0);
    assert_eq!(said(&of_file, "max-memory"), one("64M", "outport.toml:1:15"));
    assert_eq!(said(&of_file, "allow-udp"), one(true, "outport.toml:2:13"));
    assert_eq!(said(&of_file, "max-requests"), one(7, "outport.toml:3:16"));

    let with_variables = |outport: Outport| {
        let variables = [
            ("OUTPORT_MAX_MEMORY", "32M"),
            ("OUTPORT_ALLOW_UDP", "false"),
            ("OUTPORT_MAX_REQUESTS", "8"),
            ("OUTPORT_DNS_SERVER", "9.9.9.10\n9.9.9.12"),
        ];
        let all = variables.into_iter();
        all.fold(outport, |outport, (name, value)| outport.variable(name, value))
    };
    let of_both = with_variables(with_file(config(), file)).finish().expect_code(0);
    assert_eq!(said(&of_both, "max-memory"), one("32M", "OUTPORT_MAX_MEMORY"));
    assert_eq!(said(&of_both, "allow-udp"), one(false, "OUTPORT_ALLOW_UDP"));
    assert_eq!(said(&of_both, "max-requests"), one(8, "OUTPORT_MAX_REQUESTS"));

    let typed = [
        "--max-memory=16M",
        "--allow-udp",
        "--max-requests=9",
        "--dns-server=9.9.9.11",
    ];
    let of_all = with_variables(with_file(config().options(typed), file));
    let of_all = of_all.finish().expect_code(0);
    assert_eq!(said(&of_all, "max-memory"), one("16M", "command-line"));
    assert_eq!(said(&of_all, "allow-udp"), one(true, "command-line"));
    assert_eq!(said(&of_all, "max-requests"), one(9, "command-line"));
    let places: Vec<String> = said(&of_all, "dns-server")
        .into_iter()
        .map(|(_, place)| place)
        .collect();
    assert_eq!(
        places,
        [
            "outport.toml:4:16",
            "OUTPORT_DNS_SERVER",
            "OUTPORT_DNS_SERVER",
            "command-line"
        ]
    );
}

#[test]
fn a_variable_of_spins_counts_behind_outports_and_before_the_file() {
    let file = "listen = '127.0.0.1:1'\nstate-dir = 'a'\nmax-memory = '64M'\nruntime-config-file = 'b'\n";
    let spins = [
        (
            "listen",
            "SPIN_HTTP_LISTEN_ADDR",
            "127.0.0.1:2",
            "OUTPORT_LISTEN",
            "127.0.0.1:3",
        ),
        ("state-dir", "SPIN_STATE_DIR", "c", "OUTPORT_STATE_DIR", "d"),
        (
            "max-memory",
            "SPIN_MAX_INSTANCE_MEMORY",
            "67108864",
            "OUTPORT_MAX_MEMORY",
            "1M",
        ),
        (
            "runtime-config-file",
            "RUNTIME_CONFIG_FILE",
            "e",
            "OUTPORT_RUNTIME_CONFIG_FILE",
            "f",
        ),
    ];
    for (option, spins, value, own, own_value) in spins {
        let both = with_file(config(), file).variable(spins, value);
        assert_eq!(said(&both.finish(), option), one(value, spins));
        let all = with_file(config(), file)
            .variable(spins, value)
            .variable(own, own_value);
        assert_eq!(said(&all.finish(), option), one(own_value, own));
        // What is empty is not there.
        let empty = with_file(config(), file)
            .variable(spins, "")
            .variable(own, "")
            .finish();
        assert!(said(&empty, option)[0].1.starts_with("outport.toml:"), "{option}");
    }
}

/// A value that an option takes, as it is written in the file.
fn sample(name: &str, property: &Value) -> Value {
    match name {
        "admin-host" | "insecure-registry" => json!(["a.test"]),
        "admin-listen" | "dashboard" | "listen" => json!("127.0.0.1:0"),
        "key-value" => json!(["a=b"]),
        "max-compile-memory" | "max-memory-total" => json!("65M"),
        "max-sent" => json!("1M/1h"),
        "disallowed-outbound-hosts" => json!(["*://a.test:*"]),
        "dns-server" => json!(["9.9.9.9"]),
        "egress-proxy" => json!("http://a.test:3128"),
        _ => match (property["type"].as_str(), &property["items"]["type"]) {
            (Some("array"), items) if items.is_array() => json!([53]),
            (Some("array"), _) => json!(["a"]),
            (Some("boolean"), _) => json!(true),
            (Some("integer"), _) => json!(7),
            (Some("string"), _) if property["pattern"].is_string() => json!("7s"),
            (Some("string"), _) => json!("a"),
            (None, _) if property["enum"].is_array() => {
                property["enum"].as_array().unwrap().last().unwrap().clone()
            }
            (None, _) if property["anyOf"].is_array() => json!("64M"),
            _ => panic!("no value for `{name}`"),
        },
    }
}

/// Holds a file, as JSON, against the schema of files.
fn assert_in_schema(name: &str, value: &Value) {
    let document = json!({ name: value });
    schema::valid("docs/schema/outport.schema.json", &document.to_string());
}

#[test]
fn every_option_is_set_by_the_file_and_by_the_environment() {
    let document = Outport::command("config")
        .option("--schema")
        .finish()
        .expect_code(0)
        .stdout;
    let path = guest::workspace().join("docs/schema/outport.schema.json");
    assert_eq!(document, fs::read_to_string(path).unwrap());
    let document: Value = serde_json::from_str(&document).unwrap();
    let properties = document["properties"].as_object().unwrap();
    assert!(properties.len() > 40, "{}", properties.len());
    // Those that say something of another one, or need it.
    let needed = "audit-log = 'audit.jsonl'\nadmin-listen = '127.0.0.1:1'\naccess-log = 'access.log'\n\
        tls-cert = ['a.pem']\ntls-key = ['a.key']\n";
    for (name, property) in properties {
        let value = sample(name, property);
        assert_in_schema(name, &value);
        let is_list = value.is_array();
        let item = if is_list { &value[0] } else { &value };
        let expected = match (name.as_str(), item) {
            ("key-value", _) => json!("a=****"),
            ("sqlite", _) => json!("****"),
            (_, item) => item.clone(),
        };
        let others: String = needed
            .lines()
            .filter(|line| {
                let other = line.split(' ').next().unwrap();
                other != name && properties.contains_key(other)
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let file = format!("{name} = {value}\n{others}");
        // What is no file is named so, and refused once all has been said.
        let by_file = with_file(config(), &file).finish();
        let (found, place) = said(&by_file, name).remove(0);
        assert!(place.starts_with("outport.toml:1:"), "{name}: {place}");
        let bare = |value: &Value| value.to_string().trim_matches('"').to_owned();
        assert_eq!(bare(&found), bare(&expected), "{name}");

        let variable = format!("OUTPORT_{}", name.replace('-', "_").to_uppercase());
        let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        let by_variable = with_file(config(), &others).variable(&variable, text);
        let (found, place) = said(&by_variable.finish(), name).remove(0);
        assert_eq!(place, variable, "{name}");
        assert_eq!(bare(&found), bare(&expected), "{name}");
    }
}

#[test]
fn what_is_secret_is_not_shown() {
    let file = "key-value = ['password=hunter2']\nsqlite = [\"INSERT INTO t VALUES ('hunter2')\"]\n";
    for format in ["human", "json"] {
        let shown = Outport::command("config")
            .option(format!("--format={format}"))
            .option("--disallowed-outbound-hosts=redis://me:hunter2@a.test");
        // An entry has no user, which a start would refuse.
        let shown = with_file(shown, file).finish().expect_code(2);
        assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
        assert!(!shown.stderr.contains("hunter2"), "{}", shown.stderr);
        assert!(shown.stdout.contains("password=****"), "{shown}");
        assert!(shown.stdout.contains("redis://****@a.test"), "{shown}");
    }
}

#[test]
fn what_is_printed_could_stand_in_the_file() {
    let file = "max-memory = '64M'\ndns-server = ['9.9.9.9']\nallow-udp = true\n";
    let first = with_file(Outport::command("config"), file)
        .finish()
        .expect_code(0);
    assert!(first.stdout.contains("max-memory = \"64M\""), "{first}");
    assert!(first.stdout.contains("# outport.toml:1:15"), "{first}");
    assert!(first.stdout.contains("# max-memory-total"), "{first}");
    let again = with_file(config(), &first.stdout).finish().expect_code(0);
    assert_eq!(said(&again, "max-memory")[0].0, "64M");
    assert_eq!(said(&again, "dns-server")[0].0, "9.9.9.9");
    let example = Outport::command("config")
        .option("--example")
        .finish()
        .expect_code(0);
    let example = with_file(config(), &example.stdout).finish().expect_code(0);
    assert_eq!(said(&example, "max-memory"), one("512M", "default"));
    let of_run = config().option("--command=run").finish().expect_code(0);
    assert!(!of_run.stdout.contains("\"listen\""), "{of_run}");
    let refused = config().option("--command=runs").finish().expect_code(2);
    assert!(refused.stderr.contains("`trigger cron`"), "{refused}");
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_process_does_not_start() {
    let serve = || Outport::serve(guest::path("hello"));
    let rows: [(&str, &[&str]); 7] = [
        (
            "max-memry = '64M'\nmax-requests = 0",
            &[
                "outport.toml:1:1",
                "^^^^^^^^^",
                "did you mean `max-memory`?",
                "outport.toml:2:16",
            ],
        ),
        (
            "disallowed-outbound-hosts = ['*://a.test:*', '*://127.1:80']",
            &["outport.toml:1:47", "127.0.0.1"],
        ),
        (
            "dns-server = ['dns.test']",
            &["outport.toml:1:16", "write an IP address"],
        ),
        ("allow-loopback-ports = ['1-']", &["outport.toml:1:26"]),
        (
            "runtime-config-file = 'none.toml'",
            &["outport.toml:1:24", "there is no runtime config file"],
        ),
        (
            "audit-log = '/none/audit.jsonl'",
            &["outport.toml:1:14", "/none/audit.jsonl"],
        ),
        (
            "audit-required = true\naudit-log = '-'",
            &["outport.toml:", "is standard error"],
        ),
    ];
    for (file, parts) in rows {
        let started = Outport::command("serve").option("--listen=127.0.0.1:0");
        let refused = started
            .option(guest::path("hello"))
            .file("outport.toml", file)
            .variable("OUTPORT_CONFIG", "outport.toml");
        let refused = refused.finish().expect_code(2);
        for part in parts {
            assert!(refused.stderr.contains(part), "{file}: no `{part}`\n{refused}");
        }
        assert!(!refused.stderr.contains("Serving"), "{refused}");
        assert!(!refused.stderr.contains("--disallowed"), "{refused}");
        // Who asks before learns the same, but for what is opened at start.
        if !file.contains("audit-log") {
            let asked = with_file(config(), file).finish().expect_code(2);
            for part in parts {
                assert!(asked.stderr.contains(part), "{file}: no `{part}`\n{asked}");
            }
        }
    }
    for (variable, value, part) in [
        (
            "OUTPORT_MAX_REQUESTS",
            "many",
            "write a whole number from 1 to 10000",
        ),
        ("OUTPORT_ALLOW_UDP", "maybe", "write `true` or `false`"),
        ("OUTPORT_DNS_SERVER", "dns.test", "write an IP address"),
        (
            "OUTPORT_CONFIG",
            "none.toml",
            "there is no configuration file `none.toml`",
        ),
    ] {
        let refused = serve().variable(variable, value).finish().expect_code(2);
        assert!(
            refused.stderr.contains(part) && refused.stderr.contains(variable),
            "{refused}"
        );
    }
    let warned = config()
        .variable("OUTPORT_MAX_MEMRY", "1M")
        .finish()
        .expect_code(0);
    assert_eq!(said(&warned, "max-memory"), one("512M", "default"));
    let warned = Outport::script_guest()
        .variable("OUTPORT_MAX_MEMRY", "1M")
        .finish();
    assert!(
        warned.stderr.contains("did you mean `OUTPORT_MAX_MEMORY`?"),
        "{warned}"
    );
}

#[test]
fn a_hostile_file_is_an_error() {
    let deep = format!("max-memory = {}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let long = format!("max-memory = '{}'", "1".repeat(10 << 20));
    let many = "[[".repeat(1000) + &"a.".repeat(100_000);
    let rows = [
        (deep.as_str(), "outport.toml:1:"),
        (long.as_str(), "it is longer than 1 MiB"),
        (many.as_str(), "outport.toml:1:"),
        ("\"a\\u001b[31m\\u202e\" = 1", "there is no option"),
        ("max-memory = \"\\u001b[31m\"", "outport.toml:1:"),
    ];
    for (text, part) in rows {
        let refused = with_file(config(), text).finish().expect_code(2);
        assert!(refused.stderr.contains(part), "{refused}");
        assert!(!refused.stderr.contains(['\u{1b}', '\u{202e}']), "{refused}");
        assert!(refused.stderr.len() < 100_000, "{}", refused.stderr.len());
    }
    let refused = config().option("--config=.").finish().expect_code(2);
    assert!(refused.stderr.contains("it is a directory"), "{refused}");
    let refused = config()
        .file("outport.toml", [0xff])
        .option("--config=outport.toml");
    let refused = refused.finish().expect_code(2);
    assert!(refused.stderr.contains("is not UTF-8 text"), "{refused}");
}

#[test]
fn a_file_in_the_working_directory_configures_nobody() {
    let run = Outport::script_guest()
        .file("outport.toml", "max-memry = 1")
        .args(["print hi"])
        .finish()
        .expect_code(0);
    assert!(!run.stderr.contains("outport.toml"), "{run}");
}

#[test]
fn a_path_in_the_file_starts_at_its_folder_and_a_typed_one_at_the_working_directory() {
    let run = Outport::command("run");
    fs::create_dir(run.folder().join("etc")).unwrap();
    let run = run
        .file("etc/outport.toml", "audit-log = 'audit.jsonl'\n")
        .options([
            "--config=etc/outport.toml",
            "--allowed-outbound-hosts=*://127.0.0.1:*",
        ])
        .option(guest::script_guest())
        .args(["tcp.connect 127.0.0.1:1"])
        .start();
    let folder = run.folder().to_owned();
    until("a decision in the log", || {
        fs::read_to_string(folder.join("etc/audit.jsonl")).is_ok_and(|log| log.contains("tcp.connect"))
    });
    run.finish();
}

#[test]
fn a_guest_that_can_write_the_file_is_warned_of() {
    let run = Outport::command("run");
    fs::create_dir(run.folder().join("shared")).unwrap();
    let run = run
        .file("shared/outport.toml", "")
        .options(["--config=shared/outport.toml", "--dir=shared::/data"])
        .option(guest::script_guest())
        .args(["print hi"])
        .finish()
        .expect_code(0);
    assert!(
        run.stderr
            .contains("the guest can write to the configuration file `shared/outport.toml`"),
        "{run}"
    );
}
