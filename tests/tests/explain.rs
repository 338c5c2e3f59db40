//! `outport explain`: what would happen to a destination and why, and what a whole app may reach.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use outport_e2e::script::Script;

const APP: &str = r#"spin_manifest_version = 2
application.name = "shop"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "web.wasm"
allowed_outbound_hosts = [
  "*://db.example.com:5432",
  "https://api.example.com",
  "*://10.0.0.0/8:*",
]
"#;

const STORES: &str = r#"spin_manifest_version = 2
application.name = "shop"

[variables]
token = { required = true, secret = true }

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "web.wasm"
key_value_stores = ["default", "session", "sesion"]
sqlite_databases = ["orders"]
ai_models = ["llama2-chat"]
variables = { token = "{{ token }}" }
"#;

/// The code is not looked at, so there need be none.
fn explain(manifest: &str) -> Outport {
    Outport::command("explain").manifest(manifest)
}

#[track_caller]
fn fits_80_columns(finished: &Finished) {
    for line in finished.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}\n{finished}");
    }
}

#[test]
fn a_destination_is_explained_layer_by_layer() {
    let finished = explain(APP)
        .deny("*://10.9.0.0/16:*")
        .options(["--dns=db.example.com=10.9.0.5", "tcp://db.example.com:5432"])
        .finish()
        .expect_code(1);
    assert_eq!(
        finished.stdout,
        "tcp://db.example.com:5432 from `web`: denied (deny.network)

  look-up of db.example.com
    hard limits           passes
    operator's deny list  passes
    runtime limits        passes
    author's allow list   permits
                          by *://db.example.com:5432 (spin.toml:11:4)
    quotas                passes

  answer 10.9.0.5 for db.example.com
    hard limits           passes
    operator's deny list  refuses deny.network: the address lies in a network
                            that the operator denies
                          by *://10.9.0.0/16:* (--disallowed-outbound-hosts)
    runtime limits        passes
    author's allow list   permits
                          by *://db.example.com:5432 (spin.toml:11:4)
    quotas                passes

help: the operator denies `*://10.9.0.0/16:*` (--disallowed-outbound-hosts)
"
    );
    assert_eq!(finished.stderr, "");
}

// proves: RSN-2, RSN-5
#[test]
fn the_verdict_is_the_exit_code_and_the_remedy_is_told() {
    // (options, destination, exit code, what is said)
    let rows: &[(&[&str], &str, i32, &str)] = &[
        (&[], "tcp://db.example.com:5432", 0, "allowed"),
        (
            &["--dns=db.example.com=10.0.0.5,10.9.0.1"],
            "tcp://db.example.com:5432",
            0,
            "allowed",
        ),
        (
            &["--dns=db.example.com=127.0.0.1"],
            "tcp://db.example.com:5432",
            1,
            "dns.rebinding",
        ),
        (
            &["--dns=db.example.com=127.0.0.1", "--allow-loopback-answers"],
            "tcp://db.example.com:5432",
            0,
            "allowed",
        ),
        (
            &[],
            "tcp://db.example.com:5433",
            3,
            "add \"*://db.example.com:5433\"",
        ),
        (
            &["--dns=db.example.com=192.0.2.1"],
            "tcp://db.example.com:5433",
            1,
            "add \"*://db.example.com:5433\"",
        ),
        // A quota that leaves nothing refuses whatever is permitted, known address or not.
        (
            &["--max-sockets=0"],
            "tcp://db.example.com:5432",
            1,
            "quotas                refuses quota.sockets",
        ),
        (
            &["--max-sockets=0", "--dns=db.example.com=10.0.0.5"],
            "tcp://db.example.com:5432",
            1,
            "quotas                refuses quota.sockets",
        ),
        (
            &["--max-sockets-per-instance=0"],
            "tcp://10.0.0.5:1",
            1,
            "lift this with `--max-sockets-per-instance`",
        ),
        (
            &["--max-sockets=0"],
            "https://api.example.com",
            1,
            "quotas                refuses quota.connections",
        ),
        (
            &["--disallowed-outbound-hosts=*://172.16.0.0/12:*"],
            "https://api.example.com",
            3,
            "*://172.16.0.0/12:*",
        ),
        (
            &["--runtime-config-file=blocks.toml"],
            "tcp://db.example.com:5432",
            3,
            "private (blocks.toml:2:20)",
        ),
        (
            &[
                "--runtime-config-file=blocks.toml",
                "--dns=db.example.com=10.0.0.5",
            ],
            "tcp://db.example.com:5432",
            1,
            "deny.network",
        ),
        (&[], "amqp://localhost:5671", 1, "add \"*://localhost:5671\""),
        (&[], "amqp://localhost:5671", 1, "no interface that speaks `amqp`"),
        (&[], "redis://localhost", 1, "add \"redis://localhost\""),
        // A client inside the component is as likely.
        (&[], "redis://localhost", 1, "`tcp://localhost:6379`"),
        (
            &[],
            "redis://user:hunter2@localhost:6380/0",
            1,
            "redis://localhost:6380 from",
        ),
        (&[], "key-value:default", 1, "allow.label"),
        (&[], "key-value:default", 1, "add \"default\" to key_value_stores"),
        (&[], "sqlite:orders", 1, "add \"orders\" to sqlite_databases"),
        (&[], "llm:llama2-chat", 1, "add \"llama2-chat\" to ai_models"),
        (&[], "db.example.com", 0, "allowed"),
        (&[], "api.example.com", 1, "allow.scheme"),
        // Which port a look-up is for is not known, but for what an entry says and for a socket.
        (&[], "cache.example.com", 1, "add \"*://cache.example.com:PORT\""),
        (&[], "api.example.com", 1, "add \"*://api.example.com:443\""),
        (
            &[],
            "tcp://cache.example.com:6379",
            1,
            "add \"*://cache.example.com:6379\"",
        ),
        (
            &["--allow-udp"],
            "udp://cache.example.com:6379",
            1,
            "add \"udp://cache.example.com:6379\"",
        ),
        (&[], "https://api.example.com/v1?x", 0, "allowed"),
        (
            &[],
            "http://api.example.com/",
            1,
            "add \"http://api.example.com\"",
        ),
        (
            &["--dns=api.example.com=169.254.169.254"],
            "https://api.example.com",
            1,
            "runtime.link-local",
        ),
        (&[], "udp://10.0.0.5:53", 1, "`--allow-udp`"),
        (&[], "udp://10.0.0.5:53", 1, "udp 10.0.0.5:53"),
        (&["--allow-udp"], "udp://10.0.0.5:53", 0, "allowed"),
        (&[], "tcp://127.0.0.1:80", 1, "`--allow-loopback-ports 80`"),
        (&[], "tcp://192.0.2.1:1", 1, "allow.no-match"),
        (
            &["--disallowed-outbound-hosts=*://10.0.0.0/8:22"],
            "tcp://10.0.0.5:22",
            1,
            "deny.network",
        ),
        (
            &["--disallowed-outbound-hosts=*://10.0.0.0/8:22"],
            "tcp://10.0.0.5:23",
            0,
            "allowed",
        ),
        (&[], "tcp://[ff02::1]:1", 1, "hard.multicast"),
        // Names of TLS, by each mode of them.
        (&[], "tls://other.example:5432", 0, "(`--tls-names denied`)"),
        (
            &["--disallowed-outbound-hosts=https://*.bad.example:*"],
            "tls://A.bad.example.:5432",
            1,
            "deny.tls-name",
        ),
        (
            &[
                "--disallowed-outbound-hosts=https://*.bad.example:*",
                "--tls-names=off",
            ],
            "tls://a.bad.example:5432",
            0,
            "nothing of TLS is looked at",
        ),
        (
            &["--tls-names=allowed"],
            "tls://db.example.com:5432",
            0,
            "allowed",
        ),
        (
            &["--tls-names=allowed"],
            "tls://other.example:5432",
            1,
            "add \"tcp://other.example:5432\"",
        ),
        (
            &["--tls-names=allowed"],
            "tls://other.example:5432",
            1,
            "entry has itself the author",
        ),
        // An address that an entry has is held to no name, and another one is.
        (
            &["--tls-names=required", "--dns=other.example=10.0.0.5"],
            "tls://other.example:5432",
            0,
            "TLS with other.example at 10.0.0.5:5432",
        ),
        (
            &["--tls-names=required", "--dns=other.example=192.0.2.1"],
            "tls://other.example:5432",
            1,
            "allow.tls-name",
        ),
        (&["--tls-names=allowed"], "tls://:5432", 0, "allowed"),
        (
            &["--tls-names=required"],
            "tls://:5432",
            1,
            "lift this with `--tls-names allowed`",
        ),
        (
            &["--tls-names=required"],
            "tls://10.0.0.5:5432",
            0,
            "`tls://:5432`",
        ),
    ];
    let blocks = "[outbound_networking]\nblock_networks = [\"private\"]\n";
    for (options, destination, code, part) in rows {
        let explain = |manifest| explain(manifest).file("blocks.toml", blocks);
        let finished = explain(APP).options(*options).option(*destination).finish();
        assert_eq!(finished.code, Some(*code), "{finished}");
        assert!(finished.stdout.contains(part), "no `{part}`\n{finished}");
        fits_80_columns(&finished);
        let json = explain(APP)
            .options(*options)
            .options(["--format=json", destination]);
        let document = schema::valid(
            "docs/schema/explain.json",
            &json.finish().expect_code(*code).stdout,
        );
        let verdict = match code {
            0 => "allowed",
            1 => "denied",
            _ => "depends",
        };
        assert_eq!(document["verdict"], verdict, "{finished}");
    }
}

/// The same question to the guest that tries it.
#[test]
fn the_explanation_is_what_happens() {
    let dns = DnsServer::start();
    dns.answers(
        "db.test",
        [Reply::addresses(["10.0.0.5"]), Reply::addresses(["127.0.0.1"])],
    );
    let entries = ["*://db.test:5432", "http://web.test"];
    let list = entries.map(|entry| format!("{entry:?}")).join(", ");
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"x\"\n[[trigger.command]]\ncomponent = \"script-guest\"\n\
         [component.script-guest]\nsource = \"x.wasm\"\nallowed_outbound_hosts = [{list}]\n"
    );
    let script = Script::new()
        .gets("dns.lookup db.test", "10.0.0.5")
        .denied("tcp.connect 10.0.0.5:5433", "allow.port")
        .denied("tcp.connect 10.0.0.6:5432", "allow.name-not-looked-up")
        .denied("dns.lookup web.test", "allow.scheme")
        .denied("dns.lookup db.test", "dns.rebinding");
    script.run(
        entries
            .iter()
            .fold(Outport::script_guest(), |script_guest, entry| {
                script_guest.allow(entry)
            })
            .dns(&dns),
    );
    for (dns, destination, reason) in [
        ("db.test=10.0.0.5", "tcp://db.test:5433", "allow.port"),
        (
            "db.test=10.0.0.5",
            "tcp://10.0.0.6:5432",
            "allow.name-not-looked-up",
        ),
        ("db.test=10.0.0.5", "web.test", "allow.scheme"),
        ("db.test=127.0.0.1", "tcp://db.test:5432", "dns.rebinding"),
    ] {
        let json = explain(&manifest).options([&format!("--dns={dns}"), "--format=json", destination]);
        let document = schema::valid("docs/schema/explain.json", &json.finish().expect_code(1).stdout);
        assert_eq!(document["reason"], reason, "{destination}");
    }
}

#[test]
fn a_whole_app_is_a_table_of_what_each_component_reaches() {
    let manifest = APP.to_owned() + "\n[component.job]\nsource = \"job.wasm\"\n";
    let finished = explain(&manifest)
        .deny("*://10.9.0.0/16:*")
        .deny("https://api.example.com")
        .finish()
        .expect_code(0);
    assert_eq!(
        finished.stdout,
        "web
  *://db.example.com:5432
  https://api.example.com  permits nothing
    the operator denies `https://api.example.com`
  *://10.0.0.0/8:*
    without `10.9.0.0/16`: the operator denies `*://10.9.0.0/16:*`

job
  reaches nothing: it has no entries

Denied to all: *://10.9.0.0/16:*, https://api.example.com
Shut for all: UDP, loopback ports below 1024, link-local and instance-metadata
  addresses
"
    );
    let json = explain(&manifest).option("--format=json").finish().expect_code(0);
    let document = schema::valid("docs/schema/effective-policy.json", &json.stdout);
    assert_eq!(document["components"][1]["id"], "job");
    let one = explain(&manifest)
        .option("--component=job")
        .finish()
        .expect_code(0);
    assert!(!one.stdout.contains("db.example.com"), "{one}");
}

#[test]
fn a_change_of_what_an_app_reaches_is_told_by_the_exit_code() {
    let old = explain(APP)
        .option("--format=json")
        .finish()
        .expect_code(0)
        .stdout;
    let diff = |manifest: &str| explain(manifest).file("old.json", &old).option("--diff=old.json");

    let same = diff(APP).finish().expect_code(0);
    assert_eq!(same.stdout, "reaches the same as before\n");

    let wider = APP.replace(":5432", ":5432-5433");
    let more = diff(&wider).finish().expect_code(1);
    assert_eq!(
        more.stdout,
        "+ web *://db.example.com:5432-5433\n    now reaches tcp://db.example.com:5433\n"
    );

    let narrower = APP.replace("10.0.0.0/8", "10.0.0.0/9");
    let less = diff(&narrower).finish().expect_code(0);
    assert!(
        less.stdout
            .starts_with("- web *://10.0.0.0/8:*\n    no longer reaches tcp://10.128.0.1:"),
        "{less}"
    );

    // What the operator lifts reaches more too, and what is denied less.
    diff(APP).option("--allow-udp").finish().expect_code(1);
    diff(APP).deny("*://10.0.0.0/8:*").finish().expect_code(0);

    for manifest in [APP, &wider, &narrower] {
        let json = diff(manifest).option("--format=json").finish();
        let document = schema::valid("docs/schema/difference.json", &json.stdout);
        assert_eq!(
            document["gained"].as_array().unwrap().is_empty(),
            json.code == Some(0),
            "{json}"
        );
    }
}

#[test]
fn an_entry_with_a_secret_is_compared_as_it_is_written() {
    let variables = "[variables]\nhost = { default = \"hunter2.test\", secret = true }\n";
    let with = |entry: &str| APP.replace("*://db.example.com:5432", entry) + variables;
    let old = explain(&with("*://{{ host }}:1"))
        .option("--format=json")
        .finish()
        .expect_code(0);
    assert!(!old.stdout.contains("hunter2"), "{old}");
    schema::valid("docs/schema/effective-policy.json", &old.stdout);
    let diff = |entry: &str| {
        let new = explain(&with(entry))
            .file("old.json", &old.stdout)
            .option("--diff=old.json");
        new.finish()
    };
    diff("*://{{ host }}:1").expect_code(0);
    let changed = diff("*://{{ host }}:2").expect_code(1);
    assert!(changed.stdout.contains("+ web *://{{ host }}:2"), "{changed}");
    assert!(!changed.stdout.contains("hunter2"), "{changed}");
}

#[test]
fn what_cannot_be_asked_is_exit_code_2() {
    let two = APP.to_owned() + "\n[component.job]\nsource = \"job.wasm\"\n";
    let rows: &[(&str, &[&str], &str)] = &[
        (APP, &["10.0.0.5:80"], "tcp://10.0.0.5:80"),
        (APP, &["tcp://db.example.com"], "needs a port"),
        (APP, &["tls://db.example.com"], "needs a port"),
        (APP, &["--dns=nonsense", "db.example.com"], "NAME=ADDRESS"),
        (APP, &["--component=nobody", "db.example.com"], "`web`"),
        (&two, &["db.example.com"], "`--component web`, `--component job`"),
        (APP, &["--diff=none.json"], "none.json"),
        (APP, &["--diff=spin.toml"], "not an effective policy"),
        (
            APP,
            &["--disallowed-outbound-hosts=example.com"],
            "*://example.com:*",
        ),
        ("spin_manifest_version = 1\n", &[], "write it as version 2"),
    ];
    for (manifest, options, part) in rows {
        let finished = explain(manifest).options(*options).finish().expect_code(2);
        assert_eq!(finished.stdout, "", "{finished}");
        assert!(finished.stderr.contains(part), "no `{part}`\n{finished}");
    }
}

#[test]
fn an_assumption_that_no_question_uses_is_told() {
    let unused = "the assumption about `db.exmple.com` is not used";
    let rows: &[(&[&str], bool)] = &[
        (&["--dns=db.exmple.com=192.0.2.1", "tcp://10.0.0.5:5432"], true),
        (&["--dns=db.exmple.com=192.0.2.1"], true),
        (&["--dns=db.exmple.com=192.0.2.1", "tcp://db.exmple.com:1"], false),
        (
            &[
                "--dns=db.exmple.com=192.0.2.1",
                "--disallowed-outbound-hosts=*://db.exmple.com:*",
                "tcp://10.0.0.5:5432",
            ],
            false,
        ),
    ];
    for (options, told) in rows {
        let finished = explain(APP).options(*options).finish();
        assert_eq!(finished.stderr.contains(unused), *told, "{finished}");
    }
}

#[test]
fn the_whole_policy_says_what_permits_nothing_and_does_not_speak_of_components_for_every_host() {
    let entries = "[\"amqp://localhost:5671\", \"*://*:443\"]";
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"x\"\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\n[component.web]\nsource = \"x.wasm\"\nallowed_outbound_hosts = {entries}\n"
    );
    let finished = explain(&manifest).finish().expect_code(0);
    assert!(
        finished.stdout.contains("amqp://localhost:5671  permits nothing"),
        "{finished}"
    );
    assert!(!finished.stdout.contains("spin.internal"), "{finished}");
    fits_80_columns(&finished);
}

#[test]
fn a_component_that_the_app_has_not_is_told_beside_what_would_permit_it() {
    // (the destination, whether there is a component)
    for (destination, is_there) in [
        ("http://web.spin.internal/", true),
        ("http://wbe.spin.internal/", false),
        ("http://self/", true),
    ] {
        let finished = explain(APP).option(destination).finish();
        let warned = finished.stderr.contains("the app has no component `wbe`");
        assert_eq!(warned, !is_there, "{destination}\n{finished}");
        assert_eq!(finished.stderr.is_empty(), is_there, "{destination}\n{finished}");
    }
}

// proves: HI-5
#[test]
fn a_label_that_nothing_defines_is_denied_since_the_app_does_not_start() {
    let defined = "[key_value_store.session]\ntype = \"spin\"\n[sqlite_database.orders]\ntype = \"spin\"\n\
        [llm_compute]\ntype = \"remote_http\"\nurl = \"https://models.internal\"\nauth_token = \"\"\n";
    let other = "[key_value_store.other]\ntype = \"spin\"\n";
    // (the runtime config file, destination, what is said if it is denied)
    for (config, destination, parts) in [
        ("", "key-value:default", [].as_slice()),
        (
            "",
            "key-value:session",
            &[
                "note: nothing defines `session` of `key_value_stores`, so the app does",
                "help: `default` is the only label: write it, or `[key_value_store.session]`",
            ],
        ),
        (other, "key-value:session", &["the labels are `default`, `other`"]),
        (
            other,
            "sqlite:orders",
            &["`[sqlite_database.orders]` with its `type`"],
        ),
        (other, "llm:llama2-chat", &["help: write `[llm_compute]`"]),
        (defined, "key-value:session", &[]),
        (defined, "sqlite:orders", &[]),
        (defined, "llm:llama2-chat", &[]),
        (defined, "key-value:sesion", &["help: did you mean `session`?"]),
    ] {
        let explain = || {
            explain(STORES)
                .file("rc.toml", config)
                .option("--runtime-config-file=rc.toml")
        };
        let code = i32::from(!parts.is_empty());
        let finished = explain().option(destination).finish().expect_code(code);
        for part in parts {
            assert!(on_one_line(&finished).contains(part), "no `{part}`\n{finished}");
        }
        fits_80_columns(&finished);
        let json = explain()
            .options(["--format=json", destination])
            .finish()
            .expect_code(code);
        let document = schema::valid("docs/schema/explain.json", &json.stdout);
        let reason = document["reason"].as_str();
        assert_eq!(
            reason,
            (code == 1).then_some("manifest.undefined-label"),
            "{json}"
        );
    }
    // Neither listed nor defined: both are needed.
    let finished = explain(STORES).option("sqlite:other").finish().expect_code(1);
    for part in [
        "denied (allow.label)",
        "help: add \"other\" to sqlite_databases",
        "`[sqlite_database.other]` with its `type`",
    ] {
        assert!(on_one_line(&finished).contains(part), "no `{part}`\n{finished}");
    }
}

fn on_one_line(finished: &Finished) -> String {
    finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}
