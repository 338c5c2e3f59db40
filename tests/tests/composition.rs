//! Components that are composed: a dependency has the rights of its component if it inherits them, and else none.
//!
//! The guest `caller` performs statements itself, or (behind `callee:`) has its dependency perform them, so the same
//! is tried from both sides in one run.

use std::fmt::Write as _;
use std::fs;

use outport_e2e::guest;
use outport_e2e::http::Origin;
use outport_e2e::mariadb::MariaDb;
use outport_e2e::models::ModelServer;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;
use outport_e2e::script::results;
use outport_e2e::stores;
use outport_e2e::tcp::TcpPeer;
use sha2::{Digest, Sha256};

/// What is tried, and what comes of it with all rights and with none.
const RIGHTS: [(&str, &str, &str); 9] = [
    ("tcp.connect PEER", "ok", "access-denied"),
    ("tcp.create ipv6", "ok", "access-denied"),
    ("udp.create ipv4", "ok", "access-denied"),
    ("dns.lookup localhost", "127.0.0.1,::1", "access-denied"),
    ("http.text GET http://ORIGIN/", "200 hello", "HTTP-request-denied"),
    (
        "http.length GET http://ORIGIN/",
        "200 5 bytes",
        "HTTP-request-denied",
    ),
    ("file.read a.txt", "a file", "no-directory"),
    ("env whoami", "caller", "unset"),
    ("print still here", "still here", "still here"),
];

struct World {
    peer: TcpPeer,
    origin: Origin,
}

impl World {
    fn start() -> Self {
        Self {
            peer: TcpPeer::echo(),
            origin: Origin::start("hello"),
        }
    }

    fn statement(&self, statement: &str) -> String {
        let origin = self.origin.address().to_string();
        statement
            .replace("PEER", &self.peer.address().to_string())
            .replace("ORIGIN", &origin)
    }

    /// An app whose component tries every statement itself and by its dependency, which `lines` describe.
    fn app(&self, lines: &str) -> Outport {
        let mut args = String::new();
        for (statement, ..) in RIGHTS {
            let statement = self.statement(statement);
            write!(args, "{statement:?}, \"callee: {statement}\", ").expect("a string takes all text");
        }
        let (peer, origin) = (self.peer.address(), self.origin.address());
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"composed\"\n\n[[trigger.command]]\ncomponent = \"main\"\n\
             args = [{args}]\n\n[component.main]\nsource = \"GUESTS/caller.wasm\"\nfiles = [\"a.txt\"]\n\
             environment = {{ whoami = \"caller\" }}\n\
             allowed_outbound_hosts = [\"*://{peer}\", \"http://{origin}\", \"*://localhost:*\"]\n{lines}\n"
        );
        Outport::up(&manifest)
            .option("--allow-udp")
            .file("a.txt", "a file")
    }
}

/// Asserts that the component had all rights, and the dependency those whose statements begin so.
#[track_caller]
fn assert_rights(finished: &Finished, inherited: &[&str]) {
    let results = results(&finished.stdout);
    assert_eq!(results.len(), 2 * RIGHTS.len(), "{finished}");
    for (pair, (statement, with, without)) in results.chunks(2).zip(RIGHTS) {
        let inherits = inherited.iter().any(|start| statement.starts_with(start));
        let expected = if inherits { with } else { without };
        assert_eq!(pair, [with, expected], "{statement}\n{finished}");
    }
}

const NETWORK: [&str; 4] = ["tcp.", "udp.", "dns.", "http."];
const NOTHING: [&str; 0] = [];

// proves: ORD-2, RSN-3
#[test]
fn a_dependency_that_inherits_nothing_reaches_nothing_that_its_component_reaches() {
    let world = World::start();
    for callee in ["callee", "callee-p3"] {
        let lines = format!(
            "[component.main.dependencies]\n\"outport:callee/interpreter@1.0.0\" = {{ path = \"GUESTS/{callee}.wasm\" }}"
        );
        let finished = world.app(&lines).finish().expect_code(0);
        assert_rights(&finished, &NOTHING);
        assert_eq!(finished.reasons(), ["allow.not-inherited"; 6], "{finished}");
        let line = "add \"allowed_outbound_hosts\" to `inherit_configuration` of the dependency";
        assert!(finished.stderr.contains(line), "{finished}");
        let request = format!("http://{}", world.origin.address());
        let told = finished
            .audit
            .iter()
            .filter(|line| line.field("destination") == request && line.field("verdict") == "deny");
        assert_eq!(told.count(), 2, "{finished}");
        for denied in finished
            .audit
            .iter()
            .filter(|line| !line.field("reason").is_empty())
        {
            let component = denied.field("component");
            assert_eq!(component, "main/outport:callee/interpreter@1.0.0", "{finished}");
        }
    }
    assert_eq!(world.origin.requests().len(), 4, "the component's own two, twice");
}

#[test]
fn a_dependency_that_inherits_everything_has_the_rights_of_its_component() {
    let world = World::start();
    let forms = [
        ("dependencies_inherit_configuration = true", ""),
        ("", ", inherit_configuration = true"),
    ];
    for (callee, (before, inside)) in ["callee", "callee-p3"].into_iter().zip(forms) {
        let lines = format!(
            "{before}\n[component.main.dependencies]\n\
             \"outport:callee\" = {{ path = \"GUESTS/{callee}.wasm\"{inside} }}"
        );
        let finished = world.app(&lines).finish().expect_code(0);
        assert_rights(&finished, &["tcp.", "udp.", "dns.", "http.", "file.", "env "]);
        assert!(finished.reasons().is_empty(), "{finished}");
    }
}

#[test]
fn a_dependency_inherits_single_keys() {
    let world = World::start();
    let rows: [(&str, &[&str]); 4] = [
        ("\"allowed_outbound_hosts\"", &NETWORK),
        ("\"files\"", &["file."]),
        ("\"environment\"", &["env "]),
        ("\"variables\"", &NOTHING),
    ];
    for (keys, inherited) in rows {
        for callee in ["callee", "callee-p3"] {
            let lines = format!(
                "[component.main.dependencies]\n\"outport:callee/interpreter\" = \
                 {{ path = \"GUESTS/{callee}.wasm\", inherit_configuration = [{keys}] }}"
            );
            let finished = world.app(&lines).finish().expect_code(0);
            assert_rights(&finished, inherited);
        }
    }
}

#[test]
fn a_dependency_is_a_component_of_the_app_or_a_file_that_was_fetched() {
    let world = World::start();
    let of_the_app = "[component.main.dependencies]\n\"outport:callee/interpreter\" = { component = \"part\" }\n\
                      [component.part]\nsource = \"GUESTS/callee.wasm\"";
    let finished = world.app(of_the_app).finish().expect_code(0);
    assert_rights(&finished, &NOTHING);

    let callee = fs::read(guest::path("callee")).expect("a committed guest");
    let digest = format!("{:x}", Sha256::digest(&callee));
    let fetched = |digest: &str| {
        format!(
            "[component.main.dependencies]\n\"outport:callee/interpreter\" = \
             {{ url = \"https://example.com/callee.wasm\", digest = \"sha256:{digest}\" }}"
        )
    };
    let app = world.app(&fetched(&digest));
    let cache = app.folder().join("cache");
    let kept = cache.join("outport/components");
    fs::create_dir_all(&kept).expect("a folder in a folder of our own");
    fs::write(kept.join(format!("{digest}.wasm")), &callee).expect("a file in a folder of our own");
    let finished = app.variable("XDG_CACHE_HOME", &cache).finish().expect_code(0);
    assert_rights(&finished, &NOTHING);

    let missing = world
        .app(&fetched(&"0".repeat(64)))
        .option("--offline")
        .finish()
        .expect_code(2);
    assert!(missing.stderr.contains("is not in the cache"), "{missing}");
}

#[test]
fn what_does_not_fit_is_an_error_with_its_place() {
    // (dependencies, place in them, message)
    let rows = [
        (
            "\"outport:callee/other\" = { path = \"GUESTS/callee.wasm\" }",
            "1:2",
            "imports nothing called `outport:callee/other`",
        ),
        (
            "\"outport:callee/interpreter@2.0.0\" = { path = \"GUESTS/callee.wasm\" }",
            "1:2",
            "it imports `outport:callee/interpreter@1.0.0`",
        ),
        (
            "\"outport:callee/interpreter\" = { path = \"GUESTS/script-guest.wasm\" }",
            "1:2",
            "exports no `outport:callee/interpreter@1.0.0`; it exports `wasi:cli/run@0.2",
        ),
        (
            "\"outport:callee/interpreter\" = { path = \"GUESTS/callee.wasm\", export = \"wasi:cli/run\" }",
            "1:2",
            "exports no `wasi:cli/run`",
        ),
        (
            "\"outport:callee/interpreter\" = { path = \"GUESTS/script-guest.wasm\", export = \"wasi:cli/run\" }",
            "1:2",
            "does not fit the import `outport:callee/interpreter@1.0.0`",
        ),
        (
            "\"outport:callee/interpreter\" = { path = \"none.wasm\" }",
            "1:2",
            "there is no file",
        ),
        (
            "\"outport:callee/interpreter\" = { path = \"spin.toml\" }",
            "1:2",
            "is not WebAssembly",
        ),
        (
            "\"outport:callee/interpreter\" = { component = \"none\" }",
            "1:47",
            "no component `none`",
        ),
        (
            "\"outport:callee/interpreter\" = { component = \"main\" }",
            "1:47",
            "cannot be a dependency",
        ),
    ];
    let world = World::start();
    for (lines, place, message) in rows {
        let header = "[component.main.dependencies]\n";
        let app = world.app(&format!("{header}{lines}"));
        let manifest = fs::read_to_string(app.folder().join("spin.toml")).expect("the manifest of our own");
        let above = manifest.find(header).expect("the header") + header.len();
        let line = manifest[..above].lines().count() + 1;
        let column = place.trim_start_matches("1:");
        let finished = app.finish().expect_code(2);
        for part in [message, &format!("spin.toml:{line}:{column}")] {
            let flat = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(part), "no `{part}` for {lines}\n{finished}");
        }
    }
}

#[test]
fn an_import_that_no_dependency_satisfies_traps_with_its_name() {
    let world = World::start();
    let finished = world.app("").finish();
    assert_eq!(finished.code, Some(134), "{finished}");
    assert!(
        finished
            .stderr
            .contains("called `perform` of `outport:callee/interpreter@1.0.0`"),
        "{finished}"
    );
}

#[test]
fn every_file_that_is_missing_is_told_at_once_with_how_it_is_built() {
    let world = World::start();
    let lines = "build = { command = [\"make main\", \"make all\"], workdir = \"src\" }\n\
                 [component.main.dependencies]\n\"outport:callee/interpreter\" = { path = \"dep.wasm\" }\n\
                 \"outport:other/interpreter\" = { component = \"part\" }\n\
                 [component.part]\nsource = \"part.wasm\"\nbuild = [\"make part\"]";
    let app = world.app(lines);
    let manifest = app.folder().join("spin.toml");
    let text = fs::read_to_string(&manifest).expect("the app has a manifest");
    let source = text
        .lines()
        .find(|line| line.starts_with("source"))
        .expect("the first component's");
    fs::write(&manifest, text.replacen(source, "source = \"main.wasm\"", 1)).expect("a folder of our own");
    let refused = app.finish().expect_code(2);
    for part in [
        "no file `main.wasm`",
        "`make main && make all` in `src`",
        "no file `dep.wasm`",
        "no file `part.wasm`",
        "build it with `outport build`, which runs `make part`",
    ] {
        assert!(refused.stderr.contains(part), "no `{part}`\n{refused}");
    }
}

/// How each service of the host is asked, what comes of it with its right, and what without.
const SERVICES: [(&str, &str, &str); 21] = [
    ("kv2.open default", "ok", "access-denied"),
    ("kv3.open default", "ok", "access-denied"),
    ("wasi.open default", "ok", "access-denied"),
    ("sqlite2.open default", "ok", "access-denied"),
    ("sqlite3.open default", "ok", "access-denied"),
    ("sqlite3.open-async default", "ok", "access-denied"),
    ("mqtt2.open MQTT", "ok", NOT_PERMITTED),
    ("mqtt3.open MQTT", "ok", NOT_PERMITTED),
    ("mysql2.open MYSQL", "ok", NOT_PERMITTED),
    ("mysql3.open MYSQL", "ok", NOT_PERMITTED),
    ("redis2.open REDIS", "ok", "invalid-address"),
    ("redis3.open REDIS", "ok", "invalid-address"),
    ("pg2.open POSTGRES", "ok", NOT_PERMITTED),
    ("pg3.open POSTGRES", "ok", NOT_PERMITTED),
    ("pg4.open POSTGRES", "ok", NOT_PERMITTED),
    ("pg4.open-async POSTGRES", "ok", NOT_PERMITTED),
    ("pg4.build POSTGRES", "ok", NOT_PERMITTED),
    ("pg4.build-async POSTGRES", "ok", NOT_PERMITTED),
    (
        "llm2.infer llama2-chat hello",
        "llama2-chat was asked: hello",
        "model-not-supported",
    ),
    ("llm2.embed llama2-chat a b", "2 vectors", "model-not-supported"),
    ("print still here", "still here", "still here"),
];

const NOT_PERMITTED: &str = "connection-failed(\"it is not permitted\")";

// proves: HI-5, HI-8
#[test]
fn a_dependency_that_inherits_nothing_is_refused_every_service_of_the_host() {
    let (redis, postgres, models) = (Redis::start(), Postgres::start(), ModelServer::start(None));
    let (mosquitto, mariadb) = (Mosquitto::start(), MariaDb::start());
    let at_mqtt = format!("mqtt://localhost:{}", mosquitto.port());
    let at_mysql = format!("mysql://guest:secret@localhost:{}/shop", mariadb.port());
    let at_redis = format!("redis://localhost:{}", redis.port());
    let at_postgres = format!(
        "postgres://postgres:secret@localhost:{}/postgres",
        postgres.port()
    );
    let services = [
        "key_value_stores",
        "sqlite_databases",
        "ai_models",
        "allowed_outbound_hosts",
    ];
    let all = format!("inherit_configuration = {services:?}");
    let hosts = format!(
        "\"mqtt://localhost:{}\", \"mysql://localhost:{}\", \"redis://localhost:{}\", \"postgres://localhost:{}\"",
        mosquitto.port(),
        mariadb.port(),
        redis.port(),
        postgres.port()
    );
    let as_all = format!("{all}, allowed_outbound_hosts = [{hosts}]");
    let no_hosts = format!("{all}, allowed_outbound_hosts = []");
    // (inherited, whether it has servers, and stores)
    for (inheritance, servers, labels) in [
        ("", false, false),
        ("inherit_configuration = [\"variables\"]", false, false),
        (&all, true, true),
        (&as_all, true, true),
        (&no_hosts, false, true),
    ] {
        let comma = if inheritance.is_empty() { "" } else { ", " };
        let lines = format!(
            "key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\nai_models = [\"llama2-chat\"]\n\
             allowed_outbound_hosts = [{hosts}]\n\
             [component.one.dependencies]\n\
             \"outport:callee/interpreter@1.0.0\" = {{ path = \"GUESTS/stores.wasm\"{comma}{inheritance} }}"
        );
        let config = format!(
            "[llm_compute]\ntype = \"remote_http\"\nurl = \"http://{}\"\nauth_token = \"\"\n",
            models.address()
        );
        let app = Outport::up(&stores::app(&[("one", &lines)]))
            .file("runtime.toml", config)
            .option("--runtime-config-file=runtime.toml")
            .start();
        let mut refused = 0;
        for (statement, with, without) in SERVICES {
            let statement = statement
                .replace("MQTT", &at_mqtt)
                .replace("MYSQL", &at_mysql)
                .replace("REDIS", &at_redis)
                .replace("POSTGRES", &at_postgres);
            let got = stores::perform(&app, "one", &[statement.clone(), format!("callee: {statement}")]);
            let is_server = ["mqtt", "mysql", "redis", "pg"]
                .iter()
                .any(|server| statement.starts_with(server));
            let has_it = if is_server { servers } else { labels };
            let expected = if has_it { with } else { without };
            assert_eq!(got, [with, expected], "{statement} {inheritance}\n{app}");
            refused += usize::from(with != expected);
        }
        let finished = app.stop();
        let reason = if labels {
            "allow.none"
        } else {
            "allow.not-inherited"
        };
        assert_eq!(finished.reasons(), vec![reason; refused], "{finished}");
        for denied in finished.audit.iter().filter(|line| line.denied()) {
            let component = denied.field("component");
            assert_eq!(component, "one/outport:callee/interpreter@1.0.0", "{finished}");
        }
    }
}

/// What a dependency with a list of its own tries, and what comes of it: for the component, and for the dependency where
/// its list has the peer, the origin, or neither.
const NARROWED: [(&str, &str, [&str; 3]); 5] = [
    ("tcp.connect PEER", "ok", ["ok", DENIED, DENIED]),
    ("tcp.connect OTHER", DENIED, [DENIED, DENIED, DENIED]),
    ("dns.lookup localhost", "127.0.0.1,::1", [DENIED, DENIED, DENIED]),
    (
        "http.text GET http://ORIGIN/",
        "200 hello",
        [NO_REQUEST, "200 hello", NO_REQUEST],
    ),
    (
        "http GET http://self/",
        NO_REQUEST,
        [NO_REQUEST, NO_REQUEST, NO_REQUEST],
    ),
];

const DENIED: &str = "access-denied";
const NO_REQUEST: &str = "HTTP-request-denied";

// proves: AL-11, ORD-2, ORD-3, RSN-2
#[test]
fn a_dependency_with_hosts_of_its_own_reaches_those_of_them_that_its_component_reaches() {
    let world = World::start();
    let other = TcpPeer::echo();
    let lists = [
        format!("\"*://{}\", \"*://{}\"", world.peer.address(), other.address()),
        format!("\"http://{}\", \"http://self\"", world.origin.address()),
        String::new(),
    ];
    for callee in ["callee", "callee-p3"] {
        for (number, list) in lists.iter().enumerate() {
            let mut args = String::new();
            for (statement, ..) in NARROWED {
                let statement = world
                    .statement(statement)
                    .replace("OTHER", &other.address().to_string());
                write!(args, "{statement:?}, \"callee: {statement}\", ").expect("a string takes all text");
            }
            let (peer, origin) = (world.peer.address(), world.origin.address());
            let finished = Outport::up(&format!(
                "spin_manifest_version = 2\napplication.name = \"narrowed\"\n\n[[trigger.command]]\n\
                 component = \"main\"\nargs = [{args}]\n\n[component.main]\nsource = \"GUESTS/caller.wasm\"\n\
                 allowed_outbound_hosts = [\"*://{peer}\", \"http://{origin}\", \"*://localhost:*\"]\n\
                 [component.main.dependencies]\n\"outport:callee/interpreter\" = {{ path = \"GUESTS/{callee}.wasm\", \
                 inherit_configuration = [\"allowed_outbound_hosts\"], allowed_outbound_hosts = [{list}] }}\n"
            ))
            .finish()
            .expect_code(0);
            let results = results(&finished.stdout);
            assert_eq!(results.len(), 2 * NARROWED.len(), "{finished}");
            for (pair, (statement, of_component, of_lists)) in results.chunks(2).zip(NARROWED) {
                assert_eq!(
                    pair,
                    [of_component, of_lists[number]],
                    "{statement} [{list}]\n{finished}"
                );
            }
            let by_part = |component: &str| {
                let denied = finished.audit.iter().filter(|line| line.denied());
                denied.filter(|line| line.field("component") == component).count()
            };
            let refused = NARROWED.iter().filter(|(.., by)| by[number].contains("enied"));
            assert_eq!(
                by_part("main/outport:callee/interpreter"),
                refused.count(),
                "{finished}"
            );
            assert_eq!(by_part("main"), 2, "{finished}");
        }
    }
}
