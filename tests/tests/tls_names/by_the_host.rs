//! TLS that the host speaks for guests (TLS-4): requests and host interfaces, directly and through an egress proxy, name the
//! server that was judged in their ClientHello, and are judged once, whatever `--tls-names` says.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::egress_proxy::{EgressProxy, Manner};
use outport_e2e::guest::{self, Wasi};
use outport_e2e::http;
use outport_e2e::outport::{Finished, Outport};
use outport_e2e::script::Script;
use outport_e2e::until::{PATIENCE, until};
use rustls::server::Acceptor;

use super::{closed, hello, text};

const MODES: [&str; 4] = ["off", "denied", "allowed", "required"];

/// What comes before TLS.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    /// An `SSLRequest`, and that there is TLS.
    Postgres,
    /// The greeting of the server, and the client's `SSLRequest`.
    MySql,
}

/// A server that notes the name in each ClientHello, and hangs up.
struct Named {
    address: SocketAddr,
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl Named {
    fn start(before: Before) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let names: Arc<Mutex<Vec<_>>> = Arc::default();
        let own = names.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if let Ok(name) = name_said(&mut stream, before) {
                    own.lock().unwrap().push(name);
                }
            }
        });
        Self { address, names }
    }

    /// The names since this was asked last, of at least one ClientHello.
    fn taken(&self) -> Vec<Option<String>> {
        until("a ClientHello came", || !self.names.lock().unwrap().is_empty());
        std::mem::take(&mut self.names.lock().unwrap())
    }
}

fn name_said(stream: &mut TcpStream, before: Before) -> io::Result<Option<String>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match before {
        Before::Nothing => {}
        Before::Postgres => {
            stream.read_exact(&mut [0; 8])?;
            stream.write_all(b"S")?;
        }
        Before::MySql => {
            stream.write_all(&mysql_greeting())?;
            stream.read_exact(&mut [0; 4 + 32])?;
        }
    }
    let mut acceptor = Acceptor::default();
    loop {
        if acceptor.read_tls(stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted.client_hello().server_name().map(str::to_owned)),
            Ok(None) => {}
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    }
}

/// The first packet of a server of version 10 of the protocol, which has TLS.
fn mysql_greeting() -> Vec<u8> {
    let capabilities: u32 = 0x0008_aa09;
    let [low, high] = [capabilities & 0xffff, capabilities >> 16].map(|half| (half as u16).to_le_bytes());
    let payload = [
        b"\x0a8.0.0\0\x01\0\0\0".as_slice(),
        b"12345678\0",
        &low,
        b"\x2d\x02\0",
        &high,
        b"\x15",
        &[0; 10],
        b"123456789012\0mysql_native_password\0",
    ]
    .concat();
    [&[payload.len() as u8, 0, 0, 0], payload.as_slice()].concat()
}

/// An interface: the scheme of its entries, what comes before TLS, and the statements that open a connection to `AT`.
const INTERFACES: [(&str, Before, &[&str]); 4] = [
    (
        "redis",
        Before::Nothing,
        &[
            "redis1.open rediss://AT",
            "redis2.open rediss://AT",
            "redis3.open rediss://AT",
        ],
    ),
    (
        "postgres",
        Before::Postgres,
        &[
            "pg1.open postgres://u:p@AT/db?sslmode=require",
            "pg2.open postgres://u:p@AT/db?sslmode=require",
            "pg3.open postgres://u:p@AT/db?sslmode=require",
            "pg4.open postgres://u:p@AT/db?sslmode=require",
        ],
    ),
    (
        "mysql",
        Before::MySql,
        &[
            "mysql1.open mysql://u:p@AT/db?ssl-mode=required",
            "mysql2.open mysql://u:p@AT/db?ssl-mode=required",
            "mysql3.open mysql://u:p@AT/db?ssl-mode=required",
        ],
    ),
    (
        "mqtt",
        Before::Nothing,
        &["mqtt2.open mqtts://AT", "mqtt3.open mqtts://AT"],
    ),
];

/// How many decisions there were of each attempt with each verdict.
fn decisions(finished: &Finished) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for line in &finished.audit {
        *counts
            .entry((line.field("attempt"), line.field("verdict")))
            .or_default() += 1;
    }
    counts
}

/// An app that lets the interfaces go to `shop.test` and to its address, where the operator denies other names on all ports.
fn interfaces(mode: &str, servers: &[Named], address: &str, dns: &DnsServer) -> Outport {
    let app = Outport::serve(guest::path("stores"))
        .dns(dns)
        .deny("*://bad.test:*")
        .option(format!("--tls-names={mode}"));
    let each = INTERFACES.iter().zip(servers);
    each.fold(app, |app, ((scheme, ..), server)| {
        let port = server.address.port();
        app.allow(format!("{scheme}://shop.test:{port}"))
            .allow(format!("{scheme}://{address}:{port}"))
    })
}

/// Opens a connection by every function there is, to a name and to an address. What was decided, in the end.
fn open_all(app: Outport, servers: &[Named], address: &str) -> BTreeMap<(String, String), usize> {
    let app = app.start();
    for ((scheme, _, statements), server) in INTERFACES.iter().zip(servers) {
        for statement in *statements {
            for (host, sent) in [("SHOP.test", Some("shop.test")), (address, None)] {
                let at = format!("{host}:{}", server.address.port());
                let answer = http::post(app.address(), "/script", &statement.replace("AT", &at)).unwrap();
                assert_eq!(answer.status, 200, "{statement}\n{}\n{app}", answer.body);
                // No client names an address (RFC 6066, 3).
                let names = server.taken();
                assert!(
                    names.iter().all(|name| name.as_deref() == sent),
                    "{scheme} {statement} {at}: {names:?}\n{app}"
                );
            }
        }
    }
    let finished = app.stop();
    for line in &finished.audit {
        assert!(!line.denied(), "{line:?}\n{finished}");
        assert_ne!(line.field("attempt"), "tls.hello", "{finished}");
    }
    decisions(&finished)
}

// proves: TLS-4, HI-1
#[test]
fn tls_4_every_host_interface_sends_the_name_that_was_judged_and_is_judged_once() {
    let dns = super::shop();
    let servers = INTERFACES.map(|(_, before, _)| Named::start(before));
    let each = MODES.map(|mode| {
        let app = interfaces(mode, &servers, "127.0.0.1", &dns).option("--allow-loopback-answers");
        open_all(app, &servers, "127.0.0.1")
    });
    assert!(!each[0].is_empty());
    assert!(each.iter().all(|decided| *decided == each[0]), "{each:?}");
}

/// A proxy that takes the ports of these servers for theirs, wherever it is to go.
fn relay<'s>(servers: impl IntoIterator<Item = &'s Named>) -> EgressProxy {
    let places = servers
        .into_iter()
        .map(|server| (server.address.port(), server.address));
    EgressProxy::start(Manner::Relay(places.collect::<HashMap<_, _>>()))
}

fn elsewhere() -> DnsServer {
    let dns = DnsServer::start();
    dns.answers("shop.test", [Reply::addresses(["192.0.2.3"])]);
    dns
}

// proves: TLS-4, PX-1
#[test]
fn tls_4_it_is_so_through_an_egress_proxy() {
    let dns = elsewhere();
    let servers = INTERFACES.map(|(_, before, _)| Named::start(before));
    let proxy = relay(&servers);
    for scheme in ["http", "socks5"] {
        let each = MODES.map(|mode| {
            let app = interfaces(mode, &servers, "192.0.2.3", &dns)
                .option(format!("--egress-proxy={}", proxy.url(scheme)));
            open_all(app, &servers, "192.0.2.3")
        });
        assert!(each.iter().all(|decided| *decided == each[0]), "{each:?}");
    }
    let asked = proxy.asked();
    assert!(
        asked.iter().all(|asked| asked.starts_with("192.0.2.3:")),
        "{asked:?}"
    );
}

// proves: TLS-4, PX-1
#[test]
fn tls_4_a_request_sends_the_name_that_was_judged() {
    let (near, far) = (super::shop(), elsewhere());
    let server = Named::start(Before::Nothing);
    let proxy = relay([&server]);
    let port = server.address.port();
    let url = format!("http GET https://SHOP.test:{port}/");
    for (way, dns) in [
        ("--allow-loopback-answers".to_owned(), &near),
        (format!("--egress-proxy={}", proxy.url("http")), &far),
        (format!("--egress-proxy={}", proxy.url("socks5")), &far),
    ] {
        let each = MODES.map(|mode| {
            let app = Outport::script_guest()
                .dns(dns)
                .option(&way)
                .allow(format!("https://shop.test:{port}"))
                .deny("*://bad.test:*")
                .option(format!("--tls-names={mode}"));
            let finished = Script::new().any(&url).run(app);
            let names = server.taken();
            assert!(
                names.iter().all(|name| name.as_deref() == Some("shop.test")),
                "{way} {mode}: {names:?}"
            );
            decisions(&finished)
        });
        assert!(each.iter().all(|decided| *decided == each[0]), "{each:?}");
        let hellos = each[0].keys().filter(|(attempt, _)| attempt == "tls.hello");
        assert_eq!(hellos.count(), 0, "{each:?}");
    }
}

/// What the host says to the proxy is no ClientHello, and what the guest says behind that is one.
// proves: TLS-1, TLS-3, PX-1
#[test]
fn tls_1_a_guests_own_tls_is_judged_through_an_egress_proxy() {
    let dns = elsewhere();
    let server = Named::start(Before::Nothing);
    let port = server.address.port();
    let [good, bad] = ["shop.test", "bad.test"].map(hello);
    for scheme in ["http", "socks5"] {
        let proxy = relay([&server]);
        let script = Script::new()
            .gets("dns.lookup shop.test", "192.0.2.3")
            .ok(format_args!("tcp.connect 192.0.2.3:{port} as c"))
            .refused(
                format_args!("tcp.send c {}", text(&bad)),
                closed(),
                "deny.tls-name",
            )
            .ok(format_args!("tcp.connect 192.0.2.3:{port} as c"))
            .ok(format_args!("tcp.send c {}", text(&good)))
            .any("tcp.recv c");
        let app = Outport::script_guest()
            .dns(&dns)
            .option(format!("--egress-proxy={}", proxy.url(scheme)))
            .allow(format!("*://shop.test:{port}"))
            .deny("*://bad.test:*")
            .option("--tls-names=required");
        script.run(app);
        assert_eq!(server.taken(), [Some("shop.test".to_owned())], "{scheme}");
        let at = format!("192.0.2.3:{port}");
        assert_eq!(
            proxy.asked(),
            [at.clone(), at],
            "{scheme} {:?}",
            Wasi::under_test()
        );
    }
}
