//! The counts that tools are shown, held against what clients and peers saw.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::{self, Origin};
use outport_e2e::outport::{Outport, Running};
use outport_e2e::prometheus::{Prometheus, promtool};
use outport_e2e::tcp::TcpPeer;
use outport_e2e::{guest, until::until};

const LISTEN: &str = "--admin-listen=127.0.0.1:0";

/// Where the tools of a process ask.
fn admin(run: &Running) -> SocketAddr {
    let line = run.wait_for_error_line("Admin listener: http://");
    let address = line.trim_start_matches("Admin listener: http://");
    address
        .parse()
        .unwrap_or_else(|_| panic!("`{line}` has no address"))
}

#[test]
fn files_of_the_examples_are_what_prometheus_takes() {
    let folder = guest::workspace().join("examples/observability");
    for (what, file) in [("config", "prometheus.yml"), ("rules", "rules.yml")] {
        let path = folder.join(file).display().to_string();
        let (content, said) = promtool(&["check", what, &path], "");
        assert!(content, "{file}: {said}");
    }
}

#[test]
fn promtool_is_content_and_prometheus_reads_both_texts() {
    let app = Outport::serve(guest::path("hello")).option(LISTEN).start();
    assert_eq!(app.get("/").status, 200);
    let admin = admin(&app);
    let text = http::get(admin, "/metrics").unwrap();
    let kind = text.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let (content, said) = promtool(&["check", "metrics"], &text.body);
    assert!(content, "{said}\n{}", text.body);

    let text = open_metrics(admin);
    assert_eq!(mistakes_in_open_metrics(&text), Vec::<String>::new(), "{text}");

    // It asks for OpenMetrics, and is strict about its syntax.
    let rules = guest::workspace().join("examples/observability/rules.yml");
    let prometheus = Prometheus::start(admin, &rules);
    until("a scrape", || prometheus.number("up{job=\"outport\"}").is_some());
    until(
        format_args!("a scrape without an error: {}", prometheus.scrape_error()),
        || prometheus.number("up{job=\"outport\"}") == Some(1.0),
    );
    assert_eq!(prometheus.number("count(outport_build_info)"), Some(1.0));
}

const APP: &str = r#"
spin_manifest_version = 2
application.name = "counted"

[[trigger.http]]
route = "/app/..."
component = "web"

[[trigger.http]]
route = "/hello/:name"
component = "hello"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["http://ORIGIN", "tcp://ECHO", "*://peer.test:*", "*://*.many.test:*"]

[component.hello]
source = "GUESTS/hello.wasm"
"#;

fn app(origin: &Origin, echo: &TcpPeer, dns: &DnsServer) -> Running {
    let manifest = APP
        .replace("ORIGIN", &origin.address().to_string())
        .replace("ECHO", &echo.address().to_string());
    Outport::up(&manifest)
        .dns(dns)
        .options([LISTEN, "--allow-loopback-answers"])
        .start()
}

/// Performs statements in the component `web`, and gives their results.
fn perform(app: &Running, script: &str) -> String {
    http::post(app.address(), "/app/", script).unwrap().body
}

#[test]
fn prometheus_knows_what_clients_and_peers_saw() {
    let (origin, echo, dns) = (Origin::start("text"), TcpPeer::echo(), DnsServer::start());
    dns.answers("peer.test", [Reply::addresses(["127.0.0.1"])]);
    let app = app(&origin, &echo, &dns);
    let admin = admin(&app);
    let rules = guest::workspace().join("examples/observability/rules.yml");
    let prometheus = Prometheus::start(admin, &rules);

    // Clients that count, next to the scrapes.
    let served = app.address();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            thread::spawn(move || {
                let answers =
                    (0..50).map(|number| http::get(served, &format!("/hello/{client}-{number}")).unwrap());
                answers.filter(|answer| answer.status == 200).count()
            })
        })
        .collect();
    let greeted: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(greeted, 200);
    for _ in 0..3 {
        let said = perform(&app, &format!("http GET http://{}/", origin.address()));
        assert!(said.contains("=> 200"), "{said}");
    }
    let said = perform(
        &app,
        &format!(
            "tcp.connect {} as e; tcp.send e 12345; tcp.recv e; drop e",
            echo.address()
        ),
    );
    assert!(said.contains("=> 12345"), "{said}");
    for _ in 0..5 {
        let said = perform(&app, "tcp.connect 10.0.0.5:80");
        assert!(said.contains("access-denied"), "{said}");
    }
    assert!(perform(&app, "dns.lookup peer.test").contains("127.0.0.1"));
    assert!(perform(&app, "dns.lookup other.test").contains("denied"));
    for _ in 0..2 {
        assert_eq!(http::get(served, "/app/?nonsense").unwrap().status, 400);
    }
    assert_eq!(http::get(served, "/nowhere").unwrap().status, 404);

    let denied = "outport_attempts_total{component=\"web\",verdict=\"deny\"";
    let rows = [
        ("sum(outport_http_requests_total{component=\"hello\",route=\"/hello/:name\",method=\"GET\",status_class=\"2xx\"})".to_owned(), 200),
        ("sum(outport_http_requests_total{component=\"web\",route=\"/app/...\",method=\"POST\"})".to_owned(), 11),
        ("sum(outport_http_requests_total{component=\"web\",method=\"GET\",status_class=\"4xx\"})".to_owned(), 2),
        ("sum(outport_http_request_duration_seconds_count{component=\"hello\"})".to_owned(), 200),
        ("sum(outport_http_requests_active)".to_owned(), 0),
        ("sum(outport_instances_started_total)".to_owned(), 213),
        ("sum(outport_instances_ended_total{outcome=\"completed\"})".to_owned(), 213),
        (format!("sum({denied},kind=\"tcp.connect\"}})"), 5),
        (format!("sum({denied},kind=\"dns.lookup\"}})"), 1),
        ("sum(outport_attempts_total{component=\"web\",kind=\"http.request\",verdict=\"allow\"})".to_owned(), 3),
        (
            "sum(outport_connections_total{component=\"web\",kind=\"http.dial\",outcome=\"succeeded\"})".to_owned(),
            origin.accepted(),
        ),
        ("sum(outport_connections_total{kind=\"tcp.connect\",outcome=\"succeeded\"})".to_owned(), echo.accepted()),
        ("sum(outport_connection_sent_bytes_total{kind=\"tcp.connect\"})".to_owned(), 5),
        ("sum(outport_connection_received_bytes_total{kind=\"tcp.connect\"})".to_owned(), 5),
        ("sum(outport_connection_duration_seconds_count{kind=\"tcp.connect\"})".to_owned(), 1),
        ("sum(outport_connections_open{kind=\"tcp.connect\"})".to_owned(), 0),
        ("sum(outport_dns_lookups_total{component=\"web\",outcome=\"answered\"})".to_owned(), 1),
    ];
    for (query, expected) in rows {
        let mut last = None;
        until(
            format_args!("{query} is {expected}; scraped: {}", prometheus.scrape_error()),
            || {
                let now = prometheus.number(&query);
                if now != last {
                    eprintln!("{query} is {now:?}");
                    last = now;
                }
                now == Some(expected as f64)
            },
        );
    }
    let cpu = prometheus.number("sum(outport_guest_cpu_seconds_total)").unwrap();
    assert!(cpu > 0.0 && cpu < 60.0, "{cpu}");
    let text = http::get(admin, "/metrics").unwrap().body;
    let (content, said) = promtool(&["check", "metrics"], &text);
    assert!(content, "{said}\n{text}");
    let text = open_metrics(admin);
    assert_eq!(mistakes_in_open_metrics(&text), Vec::<String>::new(), "{text}");
}

fn open_metrics(admin: SocketAddr) -> String {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n";
    let answer = http::send(admin, request).unwrap();
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.body
}

/// What a strict reader of OpenMetrics finds wrong with families: each has one block of lines, a type, a unit that its name
/// ends with, samples of its type alone, and a name that no other family and no other family's samples have.
fn mistakes_in_open_metrics(text: &str) -> Vec<String> {
    let suffixes = |kind: &str| -> &[&str] {
        match kind {
            "counter" => &["_total", "_created"],
            "histogram" => &["_bucket", "_count", "_sum", "_created"],
            _ => &[""],
        }
    };
    let mut mistakes = Vec::new();
    let (mut taken, mut all) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut kind) = ("", "");
    let Some(text) = text.strip_suffix("# EOF\n") else {
        return vec!["there is no end".to_owned()];
    };
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, of] => {
                (family, kind) = (name, of);
                for suffix in [""].iter().chain(suffixes(of)).collect::<BTreeSet<_>>() {
                    if !taken.insert(format!("{name}{suffix}")) {
                        mistakes.push(format!("{name}{suffix} is there twice"));
                    }
                }
            }
            ["#", "UNIT", name, unit] if name == family && name.ends_with(&format!("_{unit}")) => {}
            ["#", "HELP", ..] => {}
            ["#", ..] => mistakes.push(line.to_owned()),
            _ => {
                let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
                let name = series.split('{').next().unwrap_or_default();
                let is_of_family = suffixes(kind)
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(family));
                if !is_of_family || !all.insert(series) {
                    mistakes.push(line.to_owned());
                }
            }
        }
    }
    mistakes
}

#[test]
fn a_strict_reader_finds_what_tolerant_ones_overlook() {
    let fine = "# HELP a_b help\n# TYPE a_b counter\na_b_total 1\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 1\n# EOF\n";
    assert_eq!(mistakes_in_open_metrics(fine), Vec::<String>::new());
    for wrong in [
        "# TYPE a counter\na_total 1\n# TYPE a gauge\na 1\n# EOF\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\na 1\n# EOF\n",
        "# TYPE a histogram\na_count 1\n# TYPE a_count gauge\na_count 1\n# EOF\n",
        "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a gauge\na 1\n",
    ] {
        assert!(!mistakes_in_open_metrics(wrong).is_empty(), "{wrong}");
    }
}

/// The names and labels of all series.
fn series(admin: SocketAddr) -> BTreeSet<String> {
    let text = http::get(admin, "/metrics").unwrap().body;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

#[test]
fn series_do_not_grow_with_what_clients_guests_and_peers_choose() {
    let (origin, echo, dns) = (Origin::start("text"), TcpPeer::echo(), DnsServer::start());
    dns.answers("peer.test", [Reply::addresses(["127.0.0.1"])]);
    let app = app(&origin, &echo, &dns);
    let (served, admin) = (app.address(), admin(&app));
    let round = |from: usize, to: usize| {
        let mut script = String::new();
        for number in from..to {
            let request = format!(
                "METHOD-{number} /hello/path-{number}?query-{number} HTTP/1.1\r\nHost: host-{number}.test\r\n\
                 User-Agent: agent-{number}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            http::send(served, &request).unwrap();
            http::get(served, &format!("/nowhere-{number}")).unwrap();
            script += &format!(
                "dns.lookup name-{number}.many.test; dns.lookup name-{number}.test; tcp.connect 10.0.{}.{}:{}; http METHOD-{number} http://name-{number}.test/; ",
                number / 250,
                number % 250 + 1,
                number + 1
            );
        }
        let said = perform(&app, &script);
        assert_eq!(said.lines().count(), 4 * (to - from), "{said}");
    };
    round(0, 2);
    let before = series(admin);
    assert!(
        before.iter().any(|series| series.contains("method=\"_OTHER\"")),
        "{before:?}"
    );
    round(2, 200);
    let grown: Vec<_> = series(admin).difference(&before).cloned().collect();
    assert!(grown.is_empty(), "{grown:?}");
}
