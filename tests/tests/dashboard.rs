//! The dashboard without a browser: where it is, who gets it, what is told by it, and that nobody waits for who reads it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, thread};

use outport_e2e::outport::{Outport, Running};
use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::turnstile::Turnstile;
use outport_e2e::until::{PATIENCE, until};
use outport_e2e::wrk::Wrk;
use outport_e2e::{guest, http};
use serde_json::Value;

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "shop"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://localhost:PORT"]
"#;

/// Where the page is: its address and its path.
pub(crate) fn dashboard(run: &Running) -> (SocketAddr, String) {
    let line = run.wait_for_error_line("Dashboard http://");
    let url = line.trim_start_matches("Dashboard http://");
    let (address, path) = url.split_once('/').unwrap();
    (address.parse().unwrap(), format!("/{path}"))
}

/// Has the guest do what the statements say.
pub(crate) fn attempt(run: &Running, statements: &str) -> String {
    http::post(run.address(), "/", statements).unwrap().body
}

/// What a page that reads the stream knows.
struct Follower {
    lines: BufReader<TcpStream>,
    edges: BTreeMap<u64, Value>,
    refusals: BTreeMap<u64, Value>,
    overview: Value,
}

impl Follower {
    fn of(run: &Running) -> Self {
        let (address, path) = dashboard(run);
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path}events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        Self {
            lines: BufReader::new(client),
            edges: BTreeMap::new(),
            refusals: BTreeMap::new(),
            overview: Value::Null,
        }
    }

    /// Reads on until what is known is as it should be.
    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?} {:?}",
                self.edges,
                self.overview
            );
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "{what}: the stream ends"
            );
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            let data: Value = serde_json::from_str(data).unwrap();
            if data.get("limits").is_some() {
                self.overview = data;
                continue;
            }
            for (key, known) in [("edges", &mut self.edges), ("refusals", &mut self.refusals)] {
                for one in data[key].as_array().unwrap() {
                    known.insert(one["id"].as_u64().unwrap(), one.clone());
                }
            }
        }
    }

    fn edge(&self, kind: &str, to: &str) -> Option<&Value> {
        let mut edges = self.edges.values();
        edges.find(|edge| edge["kind"] == kind && edge["to"] == to)
    }

    fn sum(&self, key: &str) -> u64 {
        self.edges.values().filter_map(|edge| edge[key].as_u64()).sum()
    }
}

#[test]
fn what_a_guest_does_is_told_while_it_does_it() {
    let peer = TcpPeer::echo();
    let port = peer.port();
    let at = Turnstile::closed();
    let entries = format!("{port}\", \"{}", at.entry());
    let app = Outport::up(&APP.replace("PORT", &entries))
        .option("--dashboard")
        .start();
    let mut page = Follower::of(&app);
    page.until("there is an overview", |page| page.overview["app"] == "shop");
    let script = format!(
        "dns.lookup localhost; tcp.connect 127.0.0.1:{port} as one; tcp.send one hello; tcp.recv one; \
         tcp.connect 127.0.0.1:{port} as other; tcp.connect 127.0.0.1:22; {}",
        at.wait()
    );
    thread::scope(|scope| {
        let client = scope.spawn(|| attempt(&app, &script));
        let name = format!("localhost:{port}");
        // While the guest waits: what is open has its bytes already, and what it looked up is a grant.
        page.until("two connections are open, by their name", |page| {
            page.edge("tcp", &name)
                .is_some_and(|edge| edge["open"] == 2 && edge["sent"] == 5 && edge["received"] == 5)
        });
        let edge = page.edge("tcp", &name).unwrap();
        assert_eq!(
            (&edge["allowed"], &edge["refused"]),
            (&2.into(), &0.into()),
            "{edge}"
        );
        assert!(edge["rule"].as_str().unwrap().contains("spin.toml:"), "{edge}");
        assert_eq!(edge["address"], format!("127.0.0.1:{port}"));
        page.until("the grant is alive", |page| {
            let grants = page.overview["grants"].as_array().unwrap();
            grants.iter().any(|grant| {
                grant["name"] == "localhost"
                    && grant["component"] == "web"
                    && grant["addresses"]
                        .as_array()
                        .unwrap()
                        .contains(&"127.0.0.1".into())
            })
        });
        at.open();
        assert!(client.join().unwrap().contains("ok"));
    });
    page.until("they are closed", |page| {
        page.edge("tcp", &format!("localhost:{port}"))
            .is_some_and(|edge| edge["open"] == 0)
    });
    page.until("an instance that has ended grants nothing", |page| {
        page.overview["grants"].as_array().unwrap().is_empty()
    });
    page.until("the refusal is told", |page| !page.refusals.is_empty());
    let refusal = page.refusals.values().next().unwrap();
    assert_eq!(refusal["to"], "127.0.0.1:22");
    let reasons = refusal["reasons"].as_array().unwrap();
    assert_eq!(reasons[0]["reason"], "runtime.loopback-port");
    assert!(
        reasons[0]["remedy"]
            .as_str()
            .unwrap()
            .contains("--allow-loopback-ports 22")
    );
    for limit in page.overview["limits"].as_array().unwrap() {
        assert!(limit["used"].as_f64() <= limit["limit"].as_f64(), "{limit}");
    }
}

// proves: BUD-2, BUD-3, RSN-2
#[test]
fn what_a_budget_refuses_is_told_with_what_lifts_it_and_how_much_of_it_is_used() {
    let peer = TcpPeer::echo();
    let port = peer.port();
    let entries = format!("{port}\", \"*://*.pipe.test:443");
    let app = Outport::up(&APP.replace("PORT", &entries))
        .options(["--dashboard", "--max-sent=1000/1h", "--max-names-per-wildcard=0"])
        .start();
    let mut page = Follower::of(&app);
    attempt(
        &app,
        &format!(
            "dns.lookup a.pipe.test; dns.lookup localhost; tcp.connect 127.0.0.1:{port} as c; tcp.upload c 3000; \
             tcp.create ipv4"
        ),
    );
    page.until("both refusals are told", |page| page.refusals.len() == 2);
    let told: BTreeMap<String, String> = page
        .refusals
        .values()
        .map(|refusal| {
            let first = &refusal["reasons"][0];
            let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
            (text("reason"), text("remedy"))
        })
        .collect();
    let log = app.folder().join("audit.jsonl");
    let summary = Outport::command("audit").option(log).finish().expect_code(0);
    for (reason, option) in [
        ("quota.bytes", "--max-sent"),
        ("quota.names", "--max-names-per-wildcard"),
    ] {
        assert!(told[reason].contains(option), "{told:?}");
        let lifts = format!("the operator can lift this with `{option}`");
        assert!(summary.stdout.contains(&format!("[{reason}]")), "{summary}");
        assert!(summary.stdout.contains(&lifts), "{summary}");
    }
    page.until("all of the bytes are used", |page| {
        let limits = page.overview["limits"].as_array().into_iter().flatten();
        let mut sent = limits.filter(|limit| limit["option"] == "--max-sent");
        sent.any(|limit| limit["used"] == 1000.0 && limit["limit"] == 1000.0 && limit["is_bytes"] == true)
    });
}

#[test]
fn nothing_but_the_terminal_has_the_secret() {
    let app = Outport::up(&APP.replace("PORT", "7001"))
        .options(["--dashboard", "--access-log=access.log"])
        .option("--admin-listen=127.0.0.1:0")
        .start();
    app.address();
    let (address, path) = dashboard(&app);
    let secret = path.trim_matches('/').to_owned();
    assert!(secret.len() >= 32, "{secret}");
    assert_eq!(http::get(address, "/").unwrap().status, 404);
    let elsewhere = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(http::send(address, &elsewhere).unwrap().status, 404);
    assert_eq!(http::get(address, &path).unwrap().status, 200);
    attempt(&app, "dns.lookup localhost");
    // Said before what is served, which is the last line of a start.
    let said = app.stderr();
    let (dashboard, serving) = (
        said.find("Dashboard http://").unwrap(),
        said.find("Serving http://").unwrap(),
    );
    assert!(dashboard < serving, "{said}");
    let admin = app.wait_for_error_line("Admin listener: http://");
    let admin: SocketAddr = admin
        .trim_start_matches("Admin listener: http://")
        .parse()
        .unwrap();
    for page in ["/metrics", "/policy"] {
        let page = http::get(admin, page).unwrap().body;
        assert!(!page.contains(&secret), "{page}");
    }
    let folder = app.folder().to_owned();
    until("the access log has the request", || {
        fs::read_to_string(folder.join("access.log")).is_ok_and(|log| !log.is_empty())
    });
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap_or_default();
        let has_it = content
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        let is_the_terminal = path.file_name().unwrap().to_string_lossy().contains("stderr");
        assert!(!has_it || is_the_terminal, "{}", path.display());
    }
    let mut app = app;
    let id = app.id();
    for what in ["cmdline", "environ"] {
        let content = fs::read(format!("/proc/{id}/{what}")).unwrap();
        let has_it = content
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!has_it, "{what}");
    }
}

#[test]
fn a_guest_that_may_reach_its_port_gets_nothing_there() {
    let app = Outport::up(&APP.replace("*://localhost:PORT", "*://127.0.0.1:*"))
        .option("--dashboard")
        .start();
    app.address();
    let (address, _) = dashboard(&app);
    let said = attempt(
        &app,
        &format!(
            "http.text GET http://{address}/; http.text GET http://{address}/events; http GET http://{address}/page.js"
        ),
    );
    let answers: Vec<_> = said.lines().filter_map(|line| line.split_once(" => ")).collect();
    assert_eq!(answers.len(), 3, "{said}");
    for (statement, answer) in answers {
        assert_eq!(answer.trim(), "404", "{statement}");
    }
}

#[test]
fn only_this_machine_may_have_it_and_an_address_that_is_taken_is_said() {
    let refused = |option: &str| Outport::serve(guest::path("hello")).option(option).finish();
    let elsewhere = refused("--dashboard=0.0.0.0:9000").expect_code(2);
    assert!(
        elsewhere.stderr.contains("ssh -L 9000:127.0.0.1:9000"),
        "{elsewhere}"
    );
    let taken = TcpPeer::start(Manner::Echo);
    let taken = refused(&format!("--dashboard={}", taken.address())).expect_code(1);
    assert!(
        taken
            .stderr
            .contains("choose another address with `--dashboard=`"),
        "{taken}"
    );
    let by_variable = Outport::serve(guest::path("hello"))
        .variable("OUTPORT_DASHBOARD", "127.0.0.1:0")
        .start();
    by_variable.address();
    dashboard(&by_variable);
}

// proves: ISO-5
#[test]
fn a_flood_of_events_and_a_reader_who_does_not_read_hold_nobody_up() {
    let app = Outport::up(&APP.replace("PORT", "7001"))
        .options(["--dashboard", "--quiet"])
        .start();
    let address = app.address();
    let (dashboard, path) = dashboard(&app);
    // One that asks and never reads, beside one that does.
    let mut deaf = TcpStream::connect(dashboard).unwrap();
    let request = format!("GET {path}events HTTP/1.1\r\nHost: {dashboard}\r\n\r\n");
    deaf.write_all(request.as_bytes()).unwrap();
    let mut page = Follower::of(&app);
    // Many edges first, and then many events.
    let scan: Vec<_> = (0..500)
        .map(|port| format!("tcp.connect 127.0.0.1:{}", 10_000 + port))
        .collect();
    let first = http::post(address, "/", &scan.join(";")).unwrap();
    assert_eq!(first.status, 200, "{}", first.body);
    page.until("the scan is told", |page| page.sum("refused") == 500);
    let before = page.sum("refused");
    let began = Instant::now();
    let load = Wrk::start(&format!("http://{address}/script?{}", small_scan()), 8);
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        assert_eq!(http::get(address, "/hello").unwrap().status, 200);
        slowest = slowest.max(asked.elapsed());
        page.until("the page goes on", |page| page.overview != Value::Null);
        page.overview = Value::Null;
    }
    let load = load.stop();
    assert!(load.errors.is_empty(), "{load:?}");
    page.until("all is told in the end", |page| {
        page.sum("refused") + page.sum("allowed") >= before + load.requests * SCANNED
    });
    let a_second = load.requests * SCANNED / began.elapsed().as_secs().max(1);
    eprintln!(
        "{a_second} events a second, slowest neighbour {slowest:?}, {} edges",
        page.edges.len()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(page.edges.len() <= 2_000);
}

/// Destinations of one request of the load.
const SCANNED: u64 = 60;

fn small_scan() -> String {
    let one = |port: u64| format!("tcp.connect%20127.0.0.1:{}", 20_000 + port);
    (0..SCANNED).map(one).collect::<Vec<_>>().join(";")
}
