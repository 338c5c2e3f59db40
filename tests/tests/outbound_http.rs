//! `[outbound_http]` of the runtime config file: whether connections are used again, and how many there may be.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outport_e2e::guest;
use outport_e2e::http;
use outport_e2e::outport::Outport;
use outport_e2e::script::results;

/// An origin that keeps connections open, and counts.
struct Origin {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    /// Requests that are being answered. Connections would be told too late: what the client has closed, this side
    /// still has for a moment.
    busy: AtomicUsize,
    most: AtomicUsize,
}

impl Origin {
    /// Each answer takes this long.
    fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&counted);
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || answer(stream, pause, &counts));
            }
        });
        Self { address, counts }
    }
}

/// Answers until the client hangs up.
fn answer(mut stream: TcpStream, pause: Duration, counts: &Counts) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        let busy = counts.busy.fetch_add(1, Ordering::SeqCst) + 1;
        counts.most.fetch_max(busy, Ordering::SeqCst);
        thread::sleep(pause);
        counts.busy.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
}

/// An app of so many commands, each of which sends the same request three times.
fn app(origin: &Origin, commands: usize, config: &str) -> Outport {
    let url = format!("http://{}", origin.address);
    let mut manifest = "spin_manifest_version = 2\napplication.name = \"outbound\"\n".to_owned();
    for number in 1..=commands {
        manifest += &format!(
            "[[trigger.command]]\ncomponent = \"c{number}\"\nargs = [\"http GET {url}/\", \"http GET {url}/\", \
             \"http GET {url}/\"]\n[component.c{number}]\nsource = \"GUESTS/script-guest.wasm\"\n\
             allowed_outbound_hosts = [\"{url}\"]\n"
        );
    }
    Outport::up(&manifest)
        .option("--runtime-config-file=runtime.toml")
        .file("runtime.toml", config)
}

#[test]
fn connections_are_used_again_unless_the_operator_does_not_want_it() {
    let rows = [
        ("", 1),
        ("[outbound_http]\nconnection_pooling = true", 1),
        ("[outbound_http]\nconnection_pooling = false", 3),
    ];
    for (config, connections) in rows {
        let origin = Origin::start(Duration::ZERO);
        let finished = app(&origin, 1, config).finish().expect_code(0);
        assert_eq!(results(&finished.stdout), ["200"; 3], "{config}\n{finished}");
        let accepted = origin.counts.accepted.load(Ordering::SeqCst);
        assert_eq!(accepted, connections, "{config}\n{finished}");
    }
}

/// What an origin does instead of answering the second request on a connection, which it has read.
#[derive(Clone, Copy, Debug)]
enum Instead {
    Close,
    /// Closes with a RST.
    Reset,
    BeginToAnswer,
    SayHint,
}

/// Where an origin is that answers one request on each connection, and how many it accepted.
fn once_each(instead: Instead) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || answer_once(&stream, instead));
        }
    });
    (address, accepted)
}

fn answer_once(mut stream: &TcpStream, instead: Instead) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let head = http::read_head(&mut reader)?;
    http::read_request_body(&mut reader, &head)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    let head = http::read_head(&mut reader)?;
    http::read_request_body(&mut reader, &head)?;
    match instead {
        Instead::Close => Ok(()),
        Instead::Reset => Ok(rustix::net::sockopt::set_socket_linger(
            stream,
            Some(Duration::ZERO),
        )?),
        Instead::BeginToAnswer => stream.write_all(b"HTTP/1.1 2"),
        Instead::SayHint => stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    }
}

// proves: DNS-13
#[test]
fn a_request_that_a_pooled_connection_lost_is_sent_once_more_if_nobody_can_have_acted_on_it() {
    // (what is sent a second time, what the server does instead of answering that, whether it is answered in the end)
    let rows = [
        ("http GET", Instead::Close, true),
        ("http GET", Instead::Reset, true),
        ("http HEAD", Instead::Close, true),
        ("http PUT", Instead::Close, true),
        ("http DELETE", Instead::Reset, true),
        ("http OPTIONS", Instead::Close, true),
        ("http GET", Instead::BeginToAnswer, false),
        ("http GET", Instead::SayHint, false),
        ("http POST", Instead::Close, false),
        ("http PATCH", Instead::Close, false),
        ("http.upload 10", Instead::Close, false),
    ];
    for (statement, instead, answered) in rows {
        for script_guest in ["script-guest", "script-guest-p3"] {
            let (address, accepted) = once_each(instead);
            let url = format!("http://{address}");
            let finished = Outport::run(guest::path(script_guest))
                .allow(&url)
                .args([format!("http GET {url}/"), format!("{statement} {url}/")])
                .finish();
            let row = format!("{statement} {instead:?} {script_guest}\n{finished}");
            let results = results(&finished.stdout);
            assert_eq!(results[0], "200", "{row}");
            assert_eq!(results[1].starts_with("200"), answered, "{row}");
            let connections = if answered { 2 } else { 1 };
            assert_eq!(accepted.load(Ordering::SeqCst), connections, "{row}");
        }
    }
}

#[test]
fn no_more_connections_are_open_than_the_operator_permits() {
    for (config, expected) in [("", 3..=4), ("[outbound_http]\nmax_connections = 2", 1..=2)] {
        let origin = Origin::start(Duration::from_millis(500));
        let finished = app(&origin, 4, config).finish().expect_code(0);
        assert_eq!(
            results(&finished.stdout),
            ["200"; 12],
            "those that wait get their turn\n{finished}"
        );
        let most = origin.counts.most.load(Ordering::SeqCst);
        assert!(expected.contains(&most), "{config}: {most} at a time\n{finished}");
    }
}
