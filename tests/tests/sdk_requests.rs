//! Requests of all kinds by an app that is asked to send them: each is answered what the server said, or what went
//! wrong.
//!
//! ```text
//! test ──GET /fetch?method=M&url=U&body=B──► app ──M U, B──► server
//!   └────────────────M U, B─────────────────────────────────►┘
//! ```
//!
//! The app says `STATUS BODY`, or its language's word for the error. What the server says is known from a client that is
//! no guest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http;
use outport_e2e::outport::{Outport, Running};

/// What is sent to an app, and what it must say.
pub(crate) type Row = (String, String);

/// How the app runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    workers: usize,
    /// The server has a name, which takes 150 ms to look up each time.
    far: bool,
    pooled: bool,
}

impl Setting {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for workers in [1, 4] {
            for (far, pooled) in [(false, false), (false, true), (true, false), (true, true)] {
                all.push(Self { workers, far, pooled });
            }
        }
        all
    }

    /// Two that have each of the six.
    pub(crate) fn few() -> Vec<Self> {
        let near = Self {
            workers: 1,
            far: false,
            pooled: true,
        };
        let far = Self {
            workers: 4,
            far: true,
            pooled: false,
        };
        vec![near, far]
    }
}

/// How many requests are on their way at a time.
const AT_A_TIME: usize = 8;

/// Where an app of an SDK answers with the status behind it, and the body `a body`.
pub(crate) const STATUS: &str = "/status?status=";

/// Sends the rows in each setting, again from the first one until there were so many requests at least. `rows` gets the
/// URL of the server, without a path.
///
/// # Panics
///
/// If one was not answered as it should be; when all were sent.
pub(crate) fn run(
    app: &Path,
    settings: &[Setting],
    requests: usize,
    rows: impl Fn(&str, &Server) -> Vec<Row>,
) {
    let server = Server::start();
    let mut wrong = Vec::new();
    let mut sent = 0;
    for setting in settings {
        let dns = DnsServer::start();
        let delay = Duration::from_millis(150);
        dns.answers("far.test", [Reply::addresses(["127.0.0.1"]).ttl(0).after(delay)]);
        let app = start(app, &server, &dns, *setting);
        let host = if setting.far { "far.test" } else { "127.0.0.1" };
        let rows = rows(&format!("http://{host}:{}", server.address.port()), &server);
        let count = requests.div_ceil(settings.len()).next_multiple_of(rows.len());
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        let (path, expected) = &rows[number % rows.len()];
                        let got = http::get(app.address(), path).map(|answer| answer.body);
                        if got.as_ref().ok() != Some(expected) {
                            let complaint = format!("{setting:?}: {path}: {got:?}, not {expected:?}");
                            found.lock().unwrap().push(complaint);
                        }
                    }
                });
            }
        });
        let found = found.into_inner().unwrap();
        let ended = app.stop();
        if !found.is_empty() {
            eprintln!("{ended}");
        }
        wrong.extend(found);
        sent += count;
    }
    eprintln!(
        "{sent} requests, {} of them not answered as they should be",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn start(app: &Path, server: &Server, dns: &DnsServer, setting: Setting) -> Running {
    let port = server.address.port();
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"requests\"\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"app\"\n[component.app]\nsource = {app:?}\n\
         allowed_outbound_hosts = [\"http://127.0.0.1:{{{port},1}}\", \"http://far.test:{port}\"]\n"
    );
    let config = format!("[outbound_http]\nconnection_pooling = {}\n", setting.pooled);
    Outport::up(&manifest)
        .file("runtime.toml", config)
        .option("--runtime-config-file=runtime.toml")
        .option(format!("--workers={}", setting.workers))
        .option("--allow-loopback-ports=1")
        .dns(dns)
        .start()
}

/// What an app for an SDK is asked, and what it must say; `word` is its word for an error of `wasi:http`.
pub(crate) fn of_an_sdk(
    host: &str,
    server: &Server,
    word: impl Fn(&'static str) -> &'static str,
) -> Vec<Row> {
    let (denied, nobody) = ("http://elsewhere.example", "http://127.0.0.1:1");
    // To whom, the method, the path, the body, the error.
    type Case<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Option<&'static str>);
    let rows: &[Case<'_>] = &[
        (host, "GET", "/echo", None, None),
        (host, "HEAD", "/echo", None, None),
        (host, "POST", "/echo", Some("abcdef"), None),
        (host, "POST", "/echo", None, None),
        (host, "PUT", "/chunked", Some("abcdef"), None),
        (host, "POST", "/early", Some("abcdef"), None),
        (host, "GET", "/early", None, None),
        (host, "GET", "/close", None, None),
        (host, "POST", "/close", Some("abcdef"), None),
        (host, "GET", "/old", None, None),
        (host, "POST", "/old", Some("abcdef"), None),
        (host, "GET", "/status/204", None, None),
        (host, "DELETE", "/status/204", None, None),
        (host, "GET", "/status/304", None, None),
        (host, "HEAD", "/status/304", None, None),
        (host, "POST", "/status/500", Some("abcdef"), None),
        (
            host,
            "GET",
            "/nothing",
            None,
            Some("ErrorCode_HttpResponseIncomplete"),
        ),
        (
            host,
            "POST",
            "/nothing",
            Some("abcdef"),
            Some("ErrorCode_HttpResponseIncomplete"),
        ),
        (denied, "GET", "/", None, Some("ErrorCode_HttpRequestDenied")),
        (
            denied,
            "POST",
            "/",
            Some("abcdef"),
            Some("ErrorCode_HttpRequestDenied"),
        ),
        (nobody, "GET", "/", None, Some("ErrorCode_ConnectionRefused")),
        (
            nobody,
            "POST",
            "/",
            Some("abcdef"),
            Some("ErrorCode_ConnectionRefused"),
        ),
    ];
    rows.iter()
        .map(|&(to, method, path, body, error)| {
            let asked = body.map(|body| format!("&body={body}")).unwrap_or_default();
            let expected = match error {
                Some(error) => word(error).to_owned(),
                None => server.ask(method, path, body.unwrap_or_default()),
            };
            (format!("/fetch?method={method}&url={to}{path}{asked}"), expected)
        })
        .collect()
}

/// HEAD, and responses that have no body, leave their connection in order, whatever the app writes for them. The app
/// answers `path`, behind which a status is put, with this status and the body `a body`.
///
/// # Panics
///
/// If they do not, or anything is said of it.
pub(crate) fn asked_without_a_body(app: &Path, path: &str) {
    let app = start(app, &Server::start(), &DnsServer::start(), Setting::few()[0]);
    let mut stream = TcpStream::connect(app.address()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let rows = [
        ("HEAD", 200),
        ("GET", 204),
        ("GET", 304),
        ("HEAD", 204),
        ("GET", 200),
    ];
    for (method, status) in rows.into_iter().cycle().take(20) {
        let request = format!(
            "{method} {path}{status} HTTP/1.1\r\nHost: {}\r\n\r\n",
            app.address()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let answer = http::read_response(&mut reader, &request);
        let answer = answer.unwrap_or_else(|error| panic!("{request}: {error}\n{app}"));
        let body = if (method, status) == ("GET", 200) {
            "a body"
        } else {
            ""
        };
        assert_eq!((answer.status, &*answer.body), (status, body), "{request}\n{app}");
    }
    let ended = app.stop();
    let (_, said) = ended.stderr.split_once("\nServing ").unwrap();
    assert_eq!(said.lines().count(), 1, "{ended}");
}

/// A server that answers each request with its own body, on connections that it keeps. The path says how:
/// `/early` before it reads the body, `/chunked` in chunks, `/close` and hangs up, `/old` in HTTP/1.0, `/nothing` not at
/// all, `/status/N` with that status.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || answer(&stream));
            }
        });
        Self { address }
    }

    /// What a client that is no guest gets.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: it\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = http::send(self.address, &request).expect("an answer");
        format!("{} {}", answer.status, answer.body)
    }
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let head = http::read_head(&mut reader)?;
        let mut words = head.first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if path == "/early" {
            let body = if method == "HEAD" { "" } else { "early" };
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}")?;
        }
        let body = http::read_request_body(&mut reader, &head)?;
        let length = body.len();
        let status = path.strip_prefix("/status/").unwrap_or("200");
        let begin = match path {
            "/early" => String::new(),
            "/nothing" => return Ok(()),
            "/old" => "HTTP/1.0 200 OK\r\n\r\n".to_owned(),
            "/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "/status/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "/close" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"),
            _ => format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n"),
        };
        stream.write_all(begin.as_bytes())?;
        match (method, path) {
            ("HEAD", _) | (_, "/early" | "/status/204" | "/status/304") => {}
            (_, "/chunked") => {
                for byte in body {
                    stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])?;
                }
                stream.write_all(b"0\r\n\r\n")?;
            }
            _ => stream.write_all(&body)?,
        }
        if matches!(path, "/close" | "/old") || head.value("connection") == Some("close") {
            return Ok(());
        }
    }
}
