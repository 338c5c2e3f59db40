//! Many connections held, many requests, and peers that fail meanwhile: nothing is lost, nothing leaks.
//!
//! The short form runs with all other tests. The full one is for a machine that has nothing else to do:
//!
//! ```console
//! $ cargo test -p outport-e2e --test load -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::outport::{Outport, Running};
use outport_e2e::process::free_port;
use outport_e2e::script::results;
use outport_e2e::tcp::{Manner, TcpPeer};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

const APP: &str = r#"
spin_manifest_version = 2
[application]
name = "load"

[[trigger.http]]
route = "/..."
component = "web"

[component.web]
source = "GUESTS/http-script-guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
"#;

/// How much of everything.
struct Load {
    held: usize,
    requests: usize,
}

#[test]
fn nothing_is_lost_and_nothing_leaks_in_short() {
    let load = Load {
        held: 500,
        requests: 4000,
    };
    load.run();
}

#[test]
#[ignore = "takes minutes, and the machine for itself"]
fn nothing_is_lost_and_nothing_leaks() {
    let load = Load {
        held: 5000,
        requests: 100_000,
    };
    load.run();
}

/// Connections that one instance holds.
const HELD_BY_ONE: usize = 250;

/// Clients at a time.
const CLIENTS: usize = 16;

impl Load {
    fn run(&self) {
        raise_limit();
        let (holder, faults) = (Holder::start(), Faults::start());
        let mut app = Outport::up(APP)
            .file("config.toml", "")
            .option("--runtime-config-file=config.toml")
            .options(["--max-sockets=8000", "--response-timeout=15m", "--max-time=none"])
            .within(Duration::from_secs(60))
            .start();
        let address = app.address();
        for number in 0..200 {
            let mut client = Client::connect(address).unwrap();
            client.ask(number, &faults).unwrap();
        }
        let mut calm = Usage::of(&mut app);
        // Until the connections of those are gone.
        loop {
            thread::sleep(Duration::from_millis(200));
            let now = Usage::of(&mut app);
            if now.descriptors >= calm.descriptors {
                break;
            }
            calm = now;
        }

        thread::scope(|scope| {
            let instances = self.held / HELD_BY_ONE;
            let holding: Vec<_> = (0..instances)
                .map(|_| scope.spawn(|| hold(address, holder.address)))
                .collect();
            holder.wait_for(self.held);
            let start = Instant::now();
            let tenth = self.answer(self.requests / 10, address, &faults, &mut app);
            let end = self.answer(self.requests - self.requests / 10, address, &faults, &mut app);
            let took = start.elapsed();
            eprintln!(
                "{} connections held, {} requests in {took:.1?} ({:.0}/s), peers failed {} times; \
                 memory {} MiB idle, {} MiB after a tenth, {} MiB at the end; descriptors {} idle, {} at the end",
                self.held,
                self.requests,
                self.requests as f64 / took.as_secs_f64(),
                faults.asked.load(Ordering::Relaxed),
                calm.memory >> 20,
                tenth.memory >> 20,
                end.memory >> 20,
                calm.descriptors,
                end.descriptors,
            );
            assert!(
                end.descriptors >= calm.descriptors + self.held,
                "all are still held"
            );
            let grown = end.memory.saturating_sub(tenth.memory);
            assert!(
                grown <= tenth.memory / 20 + (8 << 20),
                "{grown} bytes after the first tenth"
            );
            // In the end the operator denies the peer that holds them all.
            let denied = Instant::now();
            let config = format!(
                "[outbound_networking]\ndisallowed_outbound_hosts = [\"*://{}\"]\n",
                holder.address
            );
            app.write("config.toml", config);
            app.signal(Signal::HUP);
            holder.wait_for_the_end();
            let closed = denied.elapsed();
            eprintln!(
                "{} connections closed {closed:.2?} after they were denied",
                self.held
            );
            assert!(closed < Duration::from_secs(15), "{closed:?}");
            for instance in holding {
                let results = instance.join().unwrap();
                assert_eq!(
                    results,
                    [format!("ok x{HELD_BY_ONE}"), "eof".into()],
                    "a connection that was held"
                );
            }
        });

        let deadline = Instant::now() + Duration::from_secs(60);
        let mut left = Usage::of(&mut app);
        while left.descriptors > calm.descriptors + 4 {
            assert!(
                Instant::now() < deadline,
                "{} descriptors, {} before",
                left.descriptors,
                calm.descriptors
            );
            thread::sleep(Duration::from_millis(100));
            left = Usage::of(&mut app);
        }
        eprintln!(
            "{} descriptors, {} MiB when all is over",
            left.descriptors,
            left.memory >> 20
        );
        app.stop().expect_code(0);
    }

    /// Has `requests` answered, and says what the process uses then.
    fn answer(&self, requests: usize, address: SocketAddr, faults: &Faults, app: &mut Running) -> Usage {
        let next = AtomicUsize::new(0);
        let lost = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = Client::connect(address).unwrap();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= requests {
                            return;
                        }
                        if let Err(error) = client.ask(number, faults) {
                            lost.lock().unwrap().push((number, error));
                            client = Client::connect(address).unwrap();
                        }
                    }
                });
            }
        });
        let lost = lost.into_inner().unwrap();
        assert!(
            lost.is_empty(),
            "{} of {requests} lost: {:?}\n{app}",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        Usage::of(app)
    }
}

/// A client who stays on one connection.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Asks for something that depends on the number: of ten requests six for a word, one for an upstream's answer,
    /// and three for what fails on the way.
    fn ask(&mut self, number: usize, faults: &Faults) -> io::Result<()> {
        let script = match number % 10 {
            0..=5 => return self.expect("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", |body| body == "hello\n"),
            6 => faults.upstream(),
            _ => faults.next(),
        };
        let length = script.len();
        let request = format!("POST /script HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{script}");
        let upstream = number % 10 == 6;
        self.expect(&request, |body| {
            results(body).len() == script.split(';').count() && (!upstream || body.contains("=> 200 up\n"))
        })
    }

    fn expect(&mut self, request: &str, right: impl Fn(&str) -> bool) -> io::Result<()> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        let body = self.response()?;
        if right(&body) {
            Ok(())
        } else {
            Err(io::Error::other(format!("`{request}` was answered by `{body}`")))
        }
    }

    fn response(&mut self) -> io::Result<String> {
        let (mut length, mut chunked, mut status) = (0, false, String::new());
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                None if line.is_empty() => break,
                None => status = line,
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
            }
        }
        let mut body = Vec::new();
        while chunked {
            let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            let begun = body.len();
            body.resize(begun + size, 0);
            self.stream.read_exact(&mut body[begun..])?;
            self.line()?;
            chunked = size > 0;
        }
        let begun = body.len();
        body.resize(begun + length, 0);
        self.stream.read_exact(&mut body[begun..])?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.contains(" 200 ") {
            Ok(body)
        } else {
            Err(io::Error::other(format!("{status}: {body}")))
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// Holds connections by one instance until the peer ends them.
fn hold(address: SocketAddr, holder: SocketAddr) -> Vec<String> {
    let script = format!("repeat {HELD_BY_ONE} tcp.connect {holder} as c{{}}; tcp.recv c1 900000");
    let length = script.len();
    let request = format!("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{script}");
    let mut client = Client::connect(address).unwrap();
    client
        .stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(900)))
        .unwrap();
    client.stream.get_mut().write_all(request.as_bytes()).unwrap();
    let body = client.response().unwrap();
    results(&body).into_iter().map(str::to_owned).collect()
}

/// A peer that keeps every connection open until it is told otherwise.
struct Holder {
    address: SocketAddr,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Holder {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let held: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&held);
        thread::spawn(move || {
            for stream in listener.incoming() {
                kept.lock().unwrap().push(stream.unwrap());
            }
        });
        Self { address, held }
    }

    fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.held.lock().unwrap().len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count}",
                self.held.lock().unwrap().len()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the other side has ended every connection.
    fn wait_for_the_end(&self) {
        for stream in self.held.lock().unwrap().drain(..) {
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let end = (&stream).read(&mut [0; 1]);
            assert!(
                matches!(&end, Ok(0))
                    || end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
            );
        }
    }
}

/// Peers that fail, each in its way, and an upstream that does not.
struct Faults {
    peers: Vec<TcpPeer>,
    broken: Upstream,
    upstream: Upstream,
    asked: AtomicUsize,
}

impl Faults {
    fn start() -> Self {
        Self {
            peers: [Manner::Reset, Manner::Close, Manner::Greet("no HTTP")]
                .map(TcpPeer::start)
                .into(),
            broken: Upstream::start("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun"),
            upstream: Upstream::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nup"),
            asked: AtomicUsize::new(0),
        }
    }

    fn upstream(&self) -> String {
        format!("http.text GET http://{}/", self.upstream.address)
    }

    /// The next fault: a script that runs into it.
    fn next(&self) -> String {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let peer = |index: usize| self.peers[index].address();
        match number % 8 {
            0 => format!("http.text GET http://{}/", peer(0)),
            1 => format!("http.text GET http://{}/", peer(1)),
            2 => format!("http.text GET http://{}/", peer(2)),
            3 => format!("http.text GET http://{}/", self.broken.address),
            4 => format!("http.text GET http://127.0.0.1:{}/", free_port()),
            5 => format!("tcp.connect {} as c;tcp.send c more;tcp.recv c 50", peer(0)),
            // Accepted and never answered.
            6 => format!(
                "tcp.connect {} as c;tcp.send c more;tcp.recv c 20",
                self.upstream.address
            ),
            _ => format!("tcp.connect 127.0.0.1:{} as c", free_port()),
        }
    }
}

/// Answers whoever asks with the same bytes, and closes.
struct Upstream {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Upstream {
    fn start(response: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                thread::spawn(move || respond(stream, response));
            }
        });
        Self { address, ended }
    }
}

fn respond(mut stream: TcpStream, response: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    stream.write_all(response.as_bytes())
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// What a process uses.
struct Usage {
    /// Resident, in bytes.
    memory: u64,
    descriptors: usize,
}

impl Usage {
    fn of(run: &mut Running) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        Self {
            memory: kilobytes * 1024,
            descriptors: fs::read_dir(format!("/proc/{}/fd", run.id())).unwrap().count(),
        }
    }
}

/// This process has the other end of each connection.
fn raise_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}
