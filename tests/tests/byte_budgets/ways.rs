//! Budgets of bytes on connections that are not the guest's own from end to end: those of a host interface, and those that go
//! through an egress proxy.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::egress_proxy::{EgressProxy, Manner};
use outport_e2e::guest;
use outport_e2e::outport::Outport;
use outport_e2e::redis::Redis;
use outport_e2e::stores;
use outport_e2e::until::until;

use super::Sink;

/// What stands between a client and a server on this machine, and counts what passes to the server.
struct Between {
    address: SocketAddr,
    to_server: Arc<AtomicU64>,
}

impl Between {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to_server = Arc::<AtomicU64>::default();
        let counted = to_server.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(server).unwrap();
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let counted = counted.clone();
                thread::spawn(move || pass(client, server, &counted));
                thread::spawn(move || pass(back, forth, &AtomicU64::new(0)));
            }
        });
        Self { address, to_server }
    }

    fn total(&self) -> u64 {
        self.to_server.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; 1 << 16];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) | Err(_) => return to.shutdown(Shutdown::Write),
            Ok(length) => length,
        };
        counted.fetch_add(length as u64, Ordering::SeqCst);
        to.write_all(&buffer[..length])?;
    }
}

fn redis_app(lines: &str) -> Outport {
    Outport::up(&stores::app(&[(
        "web",
        "allowed_outbound_hosts = [\"redis://127.0.0.1:*\"]",
    )]))
    .file("runtime.toml", lines)
    .option("--runtime-config-file=runtime.toml")
}

// proves: BUD-3, HI-1, RSN-2
#[test]
fn bud_3_what_the_host_sends_to_a_redis_for_a_guest_is_its_own() {
    let redis = Redis::start();
    for version in ["redis2", "redis3"] {
        let between = Between::start(SocketAddr::from(([127, 0, 0, 1], redis.port())));
        let at = between.address;
        let app = redis_app("[component.web]\nmax_sent = \"20000/1h\"\n").start();
        let mut statements = vec![format!("{version}.open redis://{at}")];
        statements.extend((0..30).map(|number| format!("{version}.set k{number} {}", "x".repeat(1000))));
        let told = stores::perform(&app, "web", &statements);
        assert_eq!(told[..15], vec!["ok"; 15][..], "{told:?}\n{app}");
        assert_ne!(told[30], "ok", "{told:?}\n{app}");
        until("the bound has left", || between.total() == 20_000);
        // Another instance, and another connection.
        let again = stores::perform(&app, "web", &[format!("{version}.open redis://{at}")]);
        assert_ne!(again[0], "ok", "{app}");
        let finished = app.stop();
        assert_eq!(between.total(), 20_000, "exactly the bound");
        let denied: Vec<_> = finished.audit.iter().filter(|line| line.denied()).collect();
        assert!(!denied.is_empty(), "{finished}");
        for line in denied {
            assert_eq!(line.reason(), "quota.bytes", "{finished}");
            let remedy = line.field("remedy");
            assert!(
                remedy.contains("`max_sent` of the component's own `[component.ID]`"),
                "{remedy}\n{finished}"
            );
        }
        assert!(
            finished
                .stderr
                .contains("bounds the bytes of `web`: it sends no more than 20000B/1h"),
            "{finished}"
        );
    }
}

// proves: BUD-3, HI-1
#[test]
fn bud_3_rates_hold_for_what_the_host_exchanges_with_a_redis() {
    const RATE: u64 = 50_000;
    const VALUE: u64 = 150_000;
    let redis = Redis::start();
    let between = Between::start(SocketAddr::from(([127, 0, 0, 1], redis.port())));
    let at = between.address;
    for (option, timed) in [
        (
            "--max-send-rate",
            format!("redis3.set k {}", "x".repeat(VALUE as usize)),
        ),
        ("--max-receive-rate", "redis3.get k".to_owned()),
    ] {
        let app = redis_app("").option(format!("{option}={RATE}")).start();
        let begun = Instant::now();
        let told = stores::perform(&app, "web", &[format!("redis3.open redis://{at}"), timed]);
        let took = begun.elapsed();
        assert_eq!(told[0], "ok", "{app}");
        // A tenth of a second's worth passes at once.
        let least = Duration::from_secs_f64((VALUE - RATE / 10) as f64 / RATE as f64 / 1.05);
        assert!(took >= least, "{option}: {took:?} is less than {least:?}");
        assert!(app.stop().reasons().is_empty());
    }
    assert!(between.total() > VALUE);
}

// proves: BUD-3, PX-1
#[test]
fn bud_3_through_an_egress_proxy_what_is_said_to_the_proxy_is_nobodys() {
    for (scheme, guest) in [
        ("http", "script-guest"),
        ("http", "script-guest-p3"),
        ("socks5", "script-guest"),
        ("socks5", "script-guest-p3"),
    ] {
        let sink = Sink::start();
        let port = sink.address.port();
        let proxy = EgressProxy::start(Manner::Relay(HashMap::from([(port, sink.address)])));
        let through = |options: &[&str], bytes: u64| {
            Outport::run(guest::path(guest))
                .allow(format!("*://192.0.2.3:{port}"))
                .option(format!("--egress-proxy={}", proxy.url(scheme)))
                .options(options.iter().copied())
                .args([
                    format!("tcp.connect 192.0.2.3:{port} as c"),
                    format!("tcp.upload c {bytes}"),
                    "tcp.create ipv4".to_owned(),
                ])
                .finish()
        };
        let cut = through(&["--max-sent=10000/1h"], 20_000);
        assert_eq!(cut.reasons(), ["quota.bytes"], "{scheme} {guest}\n{cut}");
        until("the bound has come", || sink.total() == 10_000);

        let begun = Instant::now();
        let slow = through(&["--max-send-rate=50000"], 105_000);
        assert!(slow.reasons().is_empty(), "{scheme} {guest}\n{slow}");
        assert!(
            begun.elapsed() >= Duration::from_millis(1900),
            "{:?}",
            begun.elapsed()
        );
        until("all has come", || sink.total() == 115_000);
    }
}
