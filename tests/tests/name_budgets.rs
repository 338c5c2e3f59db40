//! The budgets of names: a wildcard is no pipe, whichever way a guest asks (BUD-1, BUD-2). What the DNS server was asked is
//! the proof.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Instant;

use outport_e2e::dns::{DnsServer, RecordType, Reply};
use outport_e2e::guest::{self, Wasi};
use outport_e2e::http::{self, Closing, Origin};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::script::{Script, results};
use outport_e2e::stores;
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::until;

/// The different names below `apex` that were asked for.
fn names_below(dns: &DnsServer, apex: &str) -> BTreeSet<String> {
    let names = dns.queries().into_iter().map(|query| query.name);
    names.filter(|name| name.ends_with(&format!(".{apex}"))).collect()
}

/// How often addresses of `name` were asked for.
fn asked(dns: &DnsServer, name: &str) -> usize {
    let queries = dns.queries_for(name).into_iter();
    queries.filter(|query| query.record_type == RecordType::A).count()
}

/// A file as it would leave: pieces that are labels.
fn pieces(file: &[u8]) -> Vec<String> {
    let piece = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    file.chunks(31).map(piece).collect()
}

/// What carries a name out of a component on WASI 0.3, by each way that it has.
fn carried(number: usize, name: &str) -> String {
    match number % 9 {
        0 => format!("dns.lookup {name}"),
        1 => format!("http GET http://{name}:8080/"),
        2 => format!("http1.GET http://{name}:8080/"),
        3 => format!("redis3.open redis://{name}"),
        4 => format!("redis1.open redis://{name}"),
        5 => format!("pg4.open postgres://me@{name}/db"),
        6 => format!("mysql3.open mysql://me@{name}/db"),
        7 => format!("mqtt3.open mqtt://{name}"),
        _ => format!("redis2.open redis://{name}"),
    }
}

// proves: BUD-2
#[test]
fn a_file_in_names_gets_no_further_than_the_bound_by_many_instances_and_all_ways_together() {
    let dns = DnsServer::start();
    let leaky = "allowed_outbound_hosts = [\"*://*.pipe.test:*\", \"http://*.pipe.test:8080\", \"*://known.pipe.test:*\"]";
    let neighbour = "allowed_outbound_hosts = [\"*://*.pipe.test:*\"]";
    let app = Outport::up(&stores::app(&[("leaky", leaky), ("neighbour", neighbour)]))
        .dns(&dns)
        .options(["--max-names-per-wildcard=50", "--max-lookups-per-minute=100000"])
        .option("--max-instance-reuse-count=1")
        .start();
    let file: Vec<u8> = (0..31 * 180_u32)
        .flat_map(u32::to_le_bytes)
        .take(31 * 180)
        .collect();
    let names: Vec<String> = pieces(&file)
        .into_iter()
        .map(|piece| format!("{piece}.pipe.test"))
        .collect();
    let names: BTreeSet<&String> = names.iter().collect();
    assert_eq!(names.len(), 180);
    let statements: Vec<String> = (0..)
        .zip(&names)
        .map(|(number, name)| carried(number, name))
        .collect();
    // Each request is answered by an instance of its own.
    thread::scope(|scope| {
        for some in statements.chunks(30) {
            scope.spawn(|| stores::perform(&app, "leaky", some));
        }
    });
    let arrived = names_below(&dns, "pipe.test");
    assert_eq!(arrived.len(), 50, "{app}");
    assert!(arrived.iter().all(|name| names.contains(name)), "{arrived:?}");
    until("every other one is refused", || app.denials() == 130);

    // A name that was asked for is asked for again, one that is listed costs nothing, and a neighbour has its own.
    let again = format!("dns.lookup {}", arrived.first().unwrap());
    let rest: Vec<String> = (0..9).map(|number| carried(number, "rest.pipe.test")).collect();
    stores::check(
        &app,
        "leaky",
        &[
            (&again, "name-unresolvable"),
            ("dns.lookup known.pipe.test", "name-unresolvable"),
        ],
    );
    let told = stores::perform(&app, "leaky", &rest);
    assert_eq!(told[0], "temporary-resolver-failure", "{told:?}");
    assert!(
        told[1].starts_with("DNS-timeout") || told[1].starts_with("DNS-error"),
        "{told:?}"
    );
    assert_eq!(asked(&dns, "rest.pipe.test"), 0);
    stores::check(
        &app,
        "neighbour",
        &[("dns.lookup rest.pipe.test", "name-unresolvable")],
    );
    assert_eq!(asked(&dns, "rest.pipe.test"), 1);
    let finished = app.stop().expect_code(0);
    let reasons: BTreeSet<String> = finished.reasons().into_iter().collect();
    assert_eq!(reasons, BTreeSet::from(["quota.names".to_owned()]), "{finished}");
}

// proves: BUD-2, RSN-2
#[test]
fn a_thousand_names_below_a_wildcard_are_enough_for_an_hour() {
    let dns = DnsServer::start();
    let finished = Outport::script_guest()
        .allow("*://*.pipe.test:443")
        .dns(&dns)
        .option("--max-lookups-per-minute=100000")
        .args(["repeat 1100 dns.lookup n{}.pipe.test", "dns.lookup n7.pipe.test"])
        .finish()
        .expect_code(0);
    assert_eq!(
        results(&finished.stdout),
        [
            "name-unresolvable x1000, temporary-resolver-failure x100",
            "name-unresolvable"
        ],
        "{finished}"
    );
    assert_eq!(names_below(&dns, "pipe.test").len(), 1000);
    assert_eq!(asked(&dns, "n7.pipe.test"), 2);
    let told = "the operator can lift this with `--max-names-per-wildcard`";
    assert!(
        finished.stderr.contains("[quota.names]") && finished.stderr.contains(told),
        "{finished}"
    );
}

// proves: BUD-1
#[test]
fn six_hundred_lookups_leave_the_machine_in_a_minute_and_what_the_cache_knows_is_none() {
    let dns = DnsServer::start();
    dns.answers("fresh.test", [Reply::addresses(["10.0.0.5"])]);
    dns.answers("kept.test", [Reply::addresses(["10.0.0.6"]).ttl(3600)]);
    let begun = Instant::now();
    let finished = Outport::script_guest()
        .allow("*://fresh.test:443")
        .allow("*://kept.test:443")
        .allow("*://localhost:443")
        .dns(&dns)
        .args([
            "repeat 700 dns.lookup kept.test",
            "repeat 700 dns.lookup localhost",
            "repeat 700 dns.lookup fresh.test",
            "dns.lookup kept.test",
        ])
        .finish()
        .expect_code(0);
    assert!(begun.elapsed().as_secs() < 60, "too slow to tell: {finished}");
    assert_eq!(
        results(&finished.stdout),
        [
            "10.0.0.6 x700",
            "127.0.0.1,::1 x700",
            "10.0.0.5 x599, temporary-resolver-failure x101",
            "10.0.0.6"
        ],
        "{finished}"
    );
    assert_eq!((asked(&dns, "kept.test"), asked(&dns, "fresh.test")), (1, 599));
    let reasons = finished.reasons();
    assert!(reasons.len() == 101 && reasons.iter().all(|reason| reason == "quota.lookup-rate"));
}

/// An app with a component of the version of WASI that is under test, behind `/script`.
fn scripted(allowed: &str) -> Outport {
    let guest = match Wasi::under_test() {
        Wasi::V0_2 => "http-script-guest",
        Wasi::V0_3 => "http-script-guest-p3",
    };
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"scripted\"\n\
         [[trigger.http]]\nroute = \"/script\"\ncomponent = \"web\"\n\
         [component.web]\nsource = \"GUESTS/{guest}.wasm\"\nallowed_outbound_hosts = [{allowed}]\n"
    ))
}

fn told(app: &Running, script: &str) -> Vec<String> {
    let answer = http::post(app.address(), "/script", script).unwrap();
    results(&answer.body).into_iter().map(str::to_owned).collect()
}

// proves: BUD-1, BUD-2
#[test]
fn requests_over_a_connection_that_is_open_ask_for_no_name() {
    let origin = Origin::start_on(("127.0.0.1", 0), "hello", Closing::OnRequest);
    let port = origin.address().port();
    let dns = DnsServer::start();
    dns.answers("a.pipe.test", [Reply::addresses(["127.0.0.1"])]);
    let app = scripted("\"http://*.pipe.test:*\"")
        .dns(&dns)
        .options(["--allow-loopback-answers", "--workers=1"])
        .options(["--max-names-per-wildcard=1", "--max-lookups-per-minute=30"])
        .start();
    for _ in 0..5 {
        let get = format!("repeat 20 http.text GET http://a.pipe.test:{port}/");
        assert_eq!(told(&app, &get), ["200 hello x20"], "{app}");
    }
    assert_eq!(origin.requests().len(), 100);
    assert_eq!(
        asked(&dns, "a.pipe.test"),
        origin.accepted(),
        "one for each connection"
    );
    let other = told(&app, &format!("http GET http://b.pipe.test:{port}/"));
    assert_eq!(other, ["DNS-timeout"]);
    assert_eq!(asked(&dns, "b.pipe.test"), 0);
    let finished = app.stop().expect_code(0);
    assert_eq!(finished.reasons(), ["quota.names"], "{finished}");
}

// proves: BUD-2
#[test]
fn a_bound_that_is_loaded_again_holds_for_what_was_asked_before() {
    let dns = DnsServer::start();
    let config = |names: u32| format!("[outbound_networking]\nmax_names_per_wildcard = {names}\n");
    let app = scripted("\"*://*.pipe.test:*\"")
        .dns(&dns)
        .file("config.toml", config(2))
        .option("--runtime-config-file=config.toml")
        .start();
    let (there, lacking) = ("name-unresolvable", "temporary-resolver-failure");
    let three = "dns.lookup a.pipe.test;dns.lookup b.pipe.test;dns.lookup c.pipe.test";
    assert_eq!(told(&app, three), [there, there, lacking]);
    app.write("config.toml", config(3));
    app.wait_for_error_text("The operator's list was loaded again");
    assert_eq!(
        told(&app, "dns.lookup d.pipe.test;dns.lookup e.pipe.test"),
        [there, lacking]
    );
    assert_eq!(names_below(&dns, "pipe.test").len(), 3);
    app.stop().expect_code(0);
}

// proves: BUD-2
#[test]
fn names_without_number_take_no_memory() {
    let dns = DnsServer::start();
    // The guest keeps what it is told of each, which takes memory of its own: so both ask for as many.
    let [none, many] = ["--max-names-per-wildcard=0", "--max-names-per-wildcard=1000"].map(|bound| {
        let turnstile = Turnstile::closed();
        // Without an audit log, which as many lines would be written to.
        let mut app = Outport::command("run")
            .allow("*://*.pipe.test:443")
            .allow(turnstile.entry())
            .dns(&dns)
            .options(["--max-lookups-per-minute=100000", bound])
            .args([guest::script_guest()])
            .args(["repeat 100000 dns.lookup n{}.pipe.test"])
            .args([turnstile.wait()])
            .start();
        turnstile.has(1);
        let status = fs::read_to_string(format!("/proc/{}/status", app.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let memory = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        turnstile.open();
        app.finish().expect_code(0);
        memory
    });
    assert!(
        many < none + (16 << 10),
        "{none} kB where no name may be asked for, {many} kB where 1,000 may"
    );
    assert_eq!(names_below(&dns, "pipe.test").len(), 1000);
}

// proves: BUD-1, BUD-2
#[test]
fn with_a_bound_of_none_nothing_leaves() {
    let dns = DnsServer::start();
    dns.answers("db.test", [Reply::addresses(["10.0.0.5"])]);
    let run = || {
        Outport::script_guest()
            .allow("*://db.test:1")
            .allow("*://*.pipe.test:1")
            .dns(&dns)
    };
    let failure = "temporary-resolver-failure";
    Script::new()
        .refused("dns.lookup db.test", failure, "quota.lookup-rate")
        .refused("dns.lookup a.pipe.test", failure, "quota.lookup-rate")
        .gets("dns.lookup 10.0.0.5", "10.0.0.5")
        .run(run().option("--max-lookups-per-minute=0"));
    assert_eq!(dns.queries().len(), 0);
    Script::new()
        .refused("dns.lookup a.pipe.test", failure, "quota.names")
        .gets("dns.lookup db.test", "10.0.0.5")
        .run(run().option("--max-names-per-wildcard=0"));
    assert_eq!(names_below(&dns, "pipe.test").len(), 0);
}

// proves: BUD-1, BUD-2
#[test]
fn one_component_may_be_given_less_than_all_and_a_slip_of_its_name_is_told() {
    let dns = DnsServer::start();
    let config = "[component.web]\nmax_names_per_wildcard = 1\n[component.wbe]\nmax_lookups_per_minute = 0\n";
    let app = scripted("\"*://*.pipe.test:*\"")
        .dns(&dns)
        .file("config.toml", config)
        .option("--runtime-config-file=config.toml")
        .start();
    let two = told(&app, "dns.lookup a.pipe.test;dns.lookup b.pipe.test");
    assert_eq!(two, ["name-unresolvable", "temporary-resolver-failure"]);
    let finished = app.stop().expect_code(0);
    for part in [
        "`[component.wbe]` is for a component that there is not, so it bounds nothing",
        "did you mean `web`?",
    ] {
        assert!(finished.stderr.contains(part), "{finished}");
    }
}

/// An app whose code nobody looks at.
const LISTED: &str = "spin_manifest_version = 2\napplication.name = \"listed\"\n\
     [[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n\
     [component.web]\nsource = \"GUESTS/http-script-guest.wasm\"\n\
     allowed_outbound_hosts = [\"*://*.pipe.test:443\", \"*://exact.pipe.test:443\"]\n";

// proves: BUD-1, BUD-2, BUD-3
#[test]
fn check_names_what_is_given_to_one_component_and_is_more_than_all_have() {
    let wider = "[component.web]\nmax_names_per_wildcard = 5000\nmax_lookups_per_minute = 601\n\
                 max_send_rate = \"2M\"\nmax_receive_rate = \"2M\"\nmax_sent = \"2G/1h\"\n";
    // No more, or bounded in another way.
    let narrower = "[component.web]\nmax_names_per_wildcard = 1000\nmax_lookups_per_minute = 1\n\
                    max_send_rate = \"1M\"\nmax_receive_rate = \"1K\"\nmax_sent = \"2G/2h\"\n";
    let check = |config: &str| {
        Outport::command("check")
            .manifest(LISTED)
            .file("config.toml", config)
            .options(["--runtime-config-file=config.toml", "--format=json"])
            .options(["--max-send-rate=1M", "--max-receive-rate=1M", "--max-sent=1G/1h"])
            .finish()
    };
    let told = |config: &str| {
        let finished = check(config);
        let all: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        let findings = all["findings"].as_array().unwrap().iter();
        let budgets = findings.filter(|finding| finding["code"] == "operator.budget");
        let keys = budgets.map(|finding| {
            let message = finding["message"].as_str().unwrap();
            assert!(message.ends_with("so it changes nothing"), "{finished}");
            message.split('`').nth(1).unwrap().to_owned()
        });
        keys.collect::<BTreeSet<_>>()
    };
    let all = [
        "max_lookups_per_minute",
        "max_names_per_wildcard",
        "max_receive_rate",
        "max_send_rate",
        "max_sent",
    ];
    assert_eq!(told(wider), all.map(str::to_owned).into());
    assert_eq!(told(narrower), BTreeSet::new());
}

// proves: BUD-1, BUD-2
#[test]
fn explain_says_the_budget_and_check_that_there_is_none() {
    let explain = |options: &[&str]| {
        let explain = Outport::command("explain").manifest(LISTED);
        explain.options(options.iter().copied()).finish()
    };
    let said = |finished: &outport_e2e::outport::Finished| {
        finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let budget = "of the names below `*.pipe.test` the component may ask for 1000 different ones in an hour";
    let wildcard = explain(&["tcp://a.pipe.test:443"]);
    assert!(said(&wildcard).contains(budget), "{wildcard}");
    let exact = explain(&["tcp://exact.pipe.test:443"]);
    assert!(!said(&exact).contains("in an hour"), "{exact}");
    for (option, denied) in [
        ("--max-names-per-wildcard=0", "denied (quota.names)"),
        ("--max-lookups-per-minute=0", "denied (quota.lookup-rate)"),
    ] {
        let finished = explain(&[option, "tcp://a.pipe.test:443"]);
        assert!(said(&finished).contains(denied), "{finished}");
        let check = Outport::command("check").manifest(LISTED).option(option).finish();
        assert!(
            check.stdout.contains("entry.no-names") || check.stderr.contains("entry.no-names"),
            "{check}"
        );
    }
}
