//! The command: what it prints where, with which status.

use outport_e2e::network::isolated;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::schema;
use serde_json::{Value, json};

use super::evaluated::parsed;
use super::prober::nft;

const APP: &str = r#"spin_manifest_version = 2
application.name = "Shop \"1\""

[variables]
store = { default = "10.0.0.5" }

[[trigger.http]]
route = "/..."
component = "web"

[[trigger.http]]
route = "/admin"
component = "admin"

[component.web]
source = "web.wasm"
allowed_outbound_hosts = [
  "https://*.example.com",
  "*://{{ store }}:5432",
]
key_value_stores = ["sessions"]

[component.admin]
source = "admin.wasm"
allowed_outbound_hosts = ["tcp://10.0.0.0/8:22", "http://self"]
"#;

const CONFIG: &str = r#"
[key_value_store.sessions]
type = "redis"
url = "redis://:secret@10.8.0.1:6380/0"
"#;

fn export(options: &[&str]) -> Outport {
    let app = Outport::command("export").manifest(APP);
    app.file("runtime.toml", CONFIG)
        .option("--runtime-config-file=runtime.toml")
        .option("--dns-server=10.0.0.2")
        .options(options.iter().copied())
}

/// The rules for networks of a policy, as `cidr ports`.
fn networks(policy: &Value) -> Vec<String> {
    let rules = policy["spec"]["egress"].as_array().unwrap().iter();
    let rules = rules.flat_map(|rule| {
        let blocks = rule["to"].as_array().into_iter().flatten();
        blocks.map(|to| {
            let except = to["ipBlock"]["except"].as_array().cloned().unwrap_or_default();
            let except: Vec<&str> = except.iter().filter_map(Value::as_str).collect();
            let ports = rule["ports"].as_array().unwrap().iter();
            let ports: Vec<String> = ports
                .map(|port| format!("{}/{}", port["protocol"].as_str().unwrap(), port["port"]))
                .collect();
            let cidr = to["ipBlock"]["cidr"].as_str().unwrap();
            format!("{cidr} but {except:?} {}", ports.join(","))
        })
    });
    rules.collect()
}

#[test]
fn an_app_becomes_a_network_policy_with_what_it_cannot_say() {
    let finished: Finished = export(&[
        "--to=networkpolicy",
        "--pod-label=app=shop",
        "--pod-label=tier=web",
    ])
    .deny("*://10.9.0.0/16:*")
    .finish()
    .expect_code(0);
    let policy = parsed(&finished.stdout);
    assert_eq!(policy["kind"], "NetworkPolicy");
    // Not the app's own name, nor for the pods of its name alone.
    let name = policy["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("shop--1-") && name.len() == 18, "{name}");
    assert_eq!(
        policy["spec"]["podSelector"],
        json!({ "matchLabels": { "app": "shop", "tier": "web" } })
    );
    assert_eq!(policy["spec"]["policyTypes"], json!(["Egress"]));
    assert_eq!(
        networks(&policy),
        [
            "10.0.0.2/32 but [] UDP/53,TCP/53",
            "10.8.0.1/32 but [] TCP/6380",
            "10.0.0.0/8 but [\"10.9.0.0/16\"] TCP/22",
            "10.0.0.5/32 but [] TCP/22,TCP/5432",
        ],
        "{finished}"
    );
    for text in [
        "narrower: https://*.example.com (spin.toml:",
        "wider: the name server 10.0.0.2:53 (--dns-server)",
        "wider: the server of the key-value store `sessions` (runtime config file)",
        "wider: the lists of `web`, `admin`",
        "wider: loopback",
    ] {
        assert!(
            finished.stderr.replace("\n      ", " ").contains(text),
            "{text}\n{finished}"
        );
        assert!(finished.stdout.contains(text), "{text}\n{finished}");
    }
    assert!(!finished.stdout.contains("secret"), "{finished}");
}

#[test]
fn what_is_listed_fails_where_that_is_asked_for_and_is_json_where_that_is() {
    let listed = export(&["--to=cilium", "--pod-label=app=shop", "--strict", "--format=json"])
        .finish()
        .expect_code(1);
    let document = schema::valid("docs/schema/export.json", &listed.stdout);
    assert_eq!(document["target"], "cilium");
    let notes = document["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note["differs"] == "narrower"), "{listed}");
    assert!(
        notes.iter().any(|note| note["destinations"][0]["ports"] == "53"),
        "{listed}"
    );
    let policy = parsed(document["document"].as_str().unwrap());
    assert_eq!(policy["kind"], "CiliumNetworkPolicy");
    // An app whose policy is all addresses and sockets is said to the last.
    let plain = r#"spin_manifest_version = 2
application.name = "plain"
[[trigger.http]]
route = "/..."
component = "web"
[component.web]
source = "web.wasm"
allowed_outbound_hosts = ["tcp://10.0.0.0/8:5432"]
"#;
    let exact = Outport::command("export").manifest(plain);
    let exact = exact
        .options(["--to=nftables", "--strict"])
        .finish()
        .expect_code(0);
    assert!(
        exact
            .stdout
            .contains("By address and port it says just what Outport permits."),
        "{exact}"
    );
    // What no target has is listed, and no failure.
    for text in ["wider: --max-sockets 4096", "narrower: --attach user=outport"] {
        assert!(exact.stderr.contains(text), "{exact}");
    }
    assert_eq!(exact.stderr.matches("wider").count(), 1, "{exact}");
}

#[test]
fn one_component_and_a_file_and_what_cannot_be_used() {
    let one = export(&[
        "--to=networkpolicy",
        "--pod-label=app=shop",
        "--component=admin",
        "--output=policy.yaml",
    ]);
    let path = one.folder().join("policy.yaml");
    let keep = std::fs::File::create(&path).unwrap();
    drop(keep);
    let finished = one.finish().expect_code(0);
    assert_eq!(finished.stdout, "", "{finished}");
    assert!(!finished.stderr.contains("the lists of"), "{finished}");
    for (options, message) in [
        (&["--to=networkpolicy", "--component=shop"][..], "shop"),
        (
            &["--to=nftables", "--attach=user=a\" accept"],
            "is not `namespace`",
        ),
        (
            &["--to=networkpolicy", "--pod-label=a b=c"],
            "is no key of a label",
        ),
        (&["--to=networkpolicy"], "cannot be the value of a label"),
        (
            &["--to=cilium", "--pod-label=a=b", "--pod-label=a=c"],
            "is given twice",
        ),
        (
            &["--to=networkpolicy", "--pod-label=a=b", "--attach=namespace"],
            "`--attach` is for nftables",
        ),
        (
            &["--to=nftables", "--pod-label=a=b"],
            "`--pod-label` selects pods",
        ),
        (&["--to=nftables", "--name=A_b"], "--name"),
        (&["--to=iptables"], "iptables"),
        (&[], "--to"),
    ] {
        let refused = export(options).finish().expect_code(2);
        assert!(refused.stderr.contains(message), "{message}\n{refused}");
        assert_eq!(refused.stdout, "", "{refused}");
    }
}

#[test]
fn what_is_printed_for_nftables_can_be_loaded_and_behind_a_proxy_lets_only_that_pass() {
    isolated(|| {
        for attach in ["--attach=namespace", "--attach=user=0"] {
            let finished = export(&["--to=nftables", attach]).finish().expect_code(0);
            nft(&["-c", "-f", "-"], &finished.stdout);
        }
        let proxied = export(&["--to=nftables", "--egress-proxy=http://10.0.0.9:3128"]);
        let proxied = proxied.finish().expect_code(0);
        assert!(
            proxied.stdout.contains("ip daddr 10.0.0.9 tcp dport 3128 accept"),
            "{proxied}"
        );
        let accepted = proxied
            .stdout
            .lines()
            .filter(|line| line.contains("@permitted"))
            .count();
        assert_eq!(accepted, 0, "{proxied}");
        assert!(proxied.stderr.contains("narrower: --egress-proxy"), "{proxied}");
    });
}
