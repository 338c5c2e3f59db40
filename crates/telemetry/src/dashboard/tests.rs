//! The listener over a socket of its own: whom it answers, and what it takes from others.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use outport_egress::{Destination, Egress};
use outport_policy::Scheme;
use serde_json::Value;

use super::*;

struct Running {
    dashboard: Dashboard,
    server: DashboardServer,
    address: SocketAddr,
    secret: String,
}

fn running() -> Running {
    let listener = DashboardListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, secret) = (listener.address, listener.secret.as_str().to_owned());
    let dashboard = Dashboard::new(Registry::new(crate::METRICS), Some("shop"), Bounds::default());
    let server = listener.start(&dashboard).unwrap();
    Running {
        dashboard,
        server,
        address,
        secret,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client
    }

    fn send(&self, head: &str) -> String {
        let mut client = self.connect();
        client.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
        let mut response = String::new();
        let _ = client.read_to_string(&mut response);
        response
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let (address, secret) = (self.address, &self.secret);
        self.send(&format!(
            "GET /{secret}{path} HTTP/1.1\r\nHost: {address}{headers}"
        ))
    }

    /// A stream, and the beginning of what it sent.
    fn stream(&self) -> (TcpStream, String) {
        let (address, secret) = (self.address, &self.secret);
        let mut client = self.connect();
        let request = format!("GET /{secret}/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut begin = String::new();
        let mut piece = [0; 1024];
        while !begin.contains("\r\n\r\n") {
            let read = client.read(&mut piece).unwrap();
            assert!(read > 0, "{begin}");
            begin.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        (client, begin)
    }
}

fn is_nothing(response: &str) -> bool {
    response.starts_with("HTTP/1.1 404 ") && response.ends_with("\r\n\r\n")
}

#[test]
fn no_other_machine_is_listened_to() {
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
        let error = DashboardListener::bind(address.parse().unwrap()).unwrap_err();
        assert!(
            matches!(error, DashboardError::NotLoopback(_)),
            "{address}: {error}"
        );
    }
}

#[test]
fn who_knows_the_secret_gets_the_page_and_what_it_is_made_of() {
    let running = running();
    assert_eq!(
        running.server.url(),
        format!("http://{}/{}/", running.address, running.secret)
    );
    let page = running.get("/", "");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self';",
        "frame-ancestors 'none'",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(page.contains(header), "no `{header}`: {page}");
    }
    // Everything that the page names is there, and nothing of it is inline.
    let (_, html) = page.split_once("\r\n\r\n").unwrap();
    for asset in ["page.css", "page.js", "icon.svg"] {
        assert!(html.contains(&format!("\"{asset}\"")), "{asset}");
    }
    assert!(!html.contains("style=") && !html.contains("<style") && !html.contains("onclick"));
    for asset in [
        "page.css",
        "page.js",
        "picture.js",
        "tables.js",
        "words.js",
        "icon.svg",
    ] {
        let response = running.get(&format!("/{asset}"), "");
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{asset}: {response}");
    }
    assert!(is_nothing(&running.get("/other", "")));
    let beside = running.get("", "");
    assert!(beside.starts_with("HTTP/1.1 308 "), "{beside}");
    assert!(
        beside.contains(&format!("location: /{}/\r\n", running.secret)),
        "{beside}"
    );
    let (address, secret) = (running.address, &running.secret);
    let head = running.send(&format!(
        "HEAD /{secret}/ HTTP/1.1\r\nHost: localhost:{}",
        address.port()
    ));
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let post = running.send(&format!(
        "POST /{secret}/ HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0"
    ));
    assert!(
        post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD"),
        "{post}"
    );
}

#[test]
fn who_does_not_learns_nothing() {
    let running = running();
    let (address, secret) = (running.address, running.secret.as_str());
    let wrong = secret.replace(|digit: char| digit == secret.chars().next().unwrap(), "g");
    let own = format!("/{secret}/");
    let rows = [
        ("no secret", "GET", "/".to_owned(), address.to_string()),
        ("a wrong one", "GET", format!("/{wrong}/"), address.to_string()),
        ("a longer one", "GET", format!("/{secret}0/"), address.to_string()),
        (
            "half of it",
            "GET",
            format!("/{}/", &secret[..24]),
            address.to_string(),
        ),
        (
            "a wrong one, by POST",
            "POST",
            format!("/{wrong}/"),
            address.to_string(),
        ),
        (
            "a name that leads here",
            "GET",
            own.clone(),
            format!("evil.example:{}", address.port()),
        ),
        (
            "a name that begins so",
            "GET",
            own.clone(),
            format!("localhost.evil.example:{}", address.port()),
        ),
        ("another port", "GET", own.clone(), "localhost:1".to_owned()),
        ("no port", "GET", own.clone(), "localhost".to_owned()),
        (
            "another address",
            "GET",
            own.clone(),
            format!("127.0.0.2:{}", address.port()),
        ),
        ("nobody", "GET", own.clone(), String::new()),
    ];
    for (what, method, path, host) in rows {
        let response = running.send(&format!("{method} {path} HTTP/1.1\r\nHost: {host}"));
        assert!(is_nothing(&response), "{what}: {response}");
    }
    let absolute = running.send(&format!(
        "GET http://evil.example{own} HTTP/1.1\r\nHost: {address}"
    ));
    assert!(is_nothing(&absolute), "{absolute}");
    let none = running.send(&format!("GET {own} HTTP/1.0"));
    assert!(none.contains(" 404 ") && none.ends_with("\r\n\r\n"), "{none}");
    let two = running.send(&format!(
        "GET {own} HTTP/1.1\r\nHost: {address}\r\nHost: {address}"
    ));
    assert!(!two.contains(" 200 "), "{two}");
}

#[test]
fn other_pages_get_nothing_of_it() {
    let running = running();
    let port = running.address.port();
    for header in [
        "Origin: http://evil.example".to_owned(),
        "Origin: null".to_owned(),
        format!("Origin: https://127.0.0.1:{port}"),
        "Origin: http://127.0.0.1:3000".to_owned(),
        "Sec-Fetch-Site: cross-site".to_owned(),
        "Sec-Fetch-Site: same-site".to_owned(),
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site".to_owned(),
    ] {
        for path in ["/", "/events", "/page.js"] {
            let response = running.get(path, &format!("\r\n{header}"));
            assert!(is_nothing(&response), "{header}: {response}");
        }
    }
    for header in [
        format!("Origin: http://127.0.0.1:{port}"),
        "Sec-Fetch-Site: none".to_owned(),
        "Sec-Fetch-Site: same-origin".to_owned(),
    ] {
        let response = running.get("/", &format!("\r\n{header}"));
        assert!(response.starts_with("HTTP/1.1 200 "), "{header}: {response}");
    }
}

// proves: ISO-5
#[test]
fn a_long_request_and_many_silent_ones_keep_nobody_away() {
    let running = running();
    let long = running.get(&format!("/{}", "x".repeat(64 * 1024)), "");
    assert!(!long.contains(" 200 "), "{}", &long[..long.len().min(80)]);
    let silent: Vec<TcpStream> = (0..3 * CONNECTIONS).map(|_| running.connect()).collect();
    let began = Instant::now();
    assert!(running.get("/", "").starts_with("HTTP/1.1 200 "));
    assert!(began.elapsed() < connections::TIME, "{:?}", began.elapsed());
    drop(silent);
}

// proves: ISO-5
#[test]
fn there_are_so_many_streams_and_one_that_ends_makes_place() {
    let running = running();
    let mut streams: Vec<_> = (0..STREAMS).map(|_| running.stream()).collect();
    for (_, begin) in &streams {
        assert!(
            begin.starts_with("HTTP/1.1 200 ") && begin.contains("text/event-stream"),
            "{begin}"
        );
    }
    let (_, refused) = running.stream();
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after"),
        "{refused}"
    );
    // Those that are there do not keep the page away.
    assert!(running.get("/", "").starts_with("HTTP/1.1 200 "));
    streams.pop();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !running.stream().1.starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "no place");
    }
}

#[test]
fn a_stream_begins_with_all_there_is_and_goes_on_where_it_was() {
    let running = running();
    let (mut client, mut sent) = running.stream();
    let mut piece = [0; 4096];
    while !sent.contains("event: overview") {
        let read = client.read(&mut piece).unwrap();
        sent.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(sent.contains("id: 0\nevent: activity\ndata: {"), "{sent}");
    assert!(
        sent.contains("\"components\":[]") && sent.contains("\"app\":\"shop\""),
        "{sent}"
    );
    let (address, secret) = (running.address, &running.secret);
    for (query, header) in [("", "\r\nLast-Event-ID: 0"), ("?since=0", "")] {
        let mut again = running.connect();
        let request = format!("GET /{secret}/events{query} HTTP/1.1\r\nHost: {address}{header}\r\n\r\n");
        again.write_all(request.as_bytes()).unwrap();
        let mut sent = String::new();
        while !sent.contains("event: overview") {
            let read = again.read(&mut piece).unwrap();
            sent.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        assert!(!sent.contains("event: activity"), "nothing has changed: {sent}");
    }
}

#[test]
fn a_number_from_the_future_gets_all_there_is() {
    let running = running();
    let (address, secret) = (running.address, &running.secret);
    for since in ["1", "18446744073709551615"] {
        let mut client = running.connect();
        let request = format!("GET /{secret}/events?since={since} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let (mut sent, mut piece) = (String::new(), [0; 4096]);
        while !sent.contains("event: overview") {
            let read = client.read(&mut piece).unwrap();
            assert!(read > 0, "{sent}");
            sent.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        assert!(sent.contains("\"components\":[]"), "{since}: {sent}");
    }
    assert!(running.dashboard.activity.since(u64::MAX, 7).refusals.is_empty());
}

// proves: ISO-5
#[test]
fn ten_thousand_events_a_second_make_a_few_messages_of_a_bounded_size() {
    let running = running();
    let egress = Egress::builder().sink(running.dashboard.sink()).build().unwrap();
    let gate = egress.gate("shop", Arc::default());
    let (mut client, mut sent) = running.stream();
    let began = Instant::now();
    let guests = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (instance, scheme) = (gate.open(), Scheme::parse("redis").unwrap());
        for number in 0..EVENTS {
            // More destinations than there are edges and refusals.
            let host = format!("host-{}.example.com", number % 5_000);
            let destination = Destination::new(scheme.clone(), &host, 6379).unwrap();
            let refused = runtime.block_on(instance.dialer().connect(&destination));
            assert!(refused.is_err());
        }
        began.elapsed()
    });
    let mut piece = vec![0; 64 * 1024];
    let mut looked = Instant::now();
    while looked.elapsed() < Duration::from_millis(500) || refused_in(&sent) < EVENTS {
        if looked.elapsed() >= Duration::from_millis(500) {
            looked = Instant::now();
        }
        let read = client.read(&mut piece).unwrap();
        assert!(read > 0, "the stream goes on");
        sent.push_str(&String::from_utf8_lossy(&piece[..read]));
        let told = began.elapsed() < Duration::from_secs(120);
        assert!(told, "{} events are told", refused_in(&sent));
    }
    eprintln!("{EVENTS} events in {:?}", guests.join().unwrap());
    let messages: Vec<_> = sent.split("\n\n").collect();
    // Four a second, and one with what there is.
    let most = 5 * (began.elapsed().as_secs() + 2);
    assert!(messages.len() as u64 <= most, "{} messages", messages.len());
    let largest = messages.iter().map(|message| message.len()).max();
    assert!(largest < Some(512 * 1024), "{largest:?} bytes");
}

/// More than the work of a second.
const EVENTS: u64 = 20_000;

/// The refusals that a page counts that was sent this.
fn refused_in(sent: &str) -> u64 {
    let mut edges = BTreeMap::new();
    for data in sent.lines().filter_map(|line| line.strip_prefix("data: ")) {
        // The last line may not have come to its end.
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        for edge in data["edges"].as_array().into_iter().flatten() {
            edges.insert(edge["id"].as_u64(), edge["refused"].as_u64().unwrap_or(0));
        }
    }
    edges.values().sum()
}
