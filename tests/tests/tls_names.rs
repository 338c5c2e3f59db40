//! Names held to TLS (TLS-1 to TLS-4): what real clients send, byte by byte and otherwise, on WASI 0.2 and 0.3.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::guest::Wasi;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::script::Script;
use outport_e2e::tcp::TcpPeer;
use outport_e2e::tls::{Authority, TlsPeer};
use outport_e2e::until::{PATIENCE, until};

/// What `openssl s_client` sends first, with these options and no server.
fn opened_by_openssl(options: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-cipher", "ALL:@SECLEVEL=0"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is there");
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).unwrap();
    hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
    stream.read_exact(&mut hello[5..]).unwrap();
    drop(stream);
    client.wait().unwrap();
    hello
}

fn hello(name: &str) -> Vec<u8> {
    opened_by_openssl(&["-servername", name])
}

/// The same content in two records.
fn in_two_records(hello: &[u8]) -> Vec<u8> {
    let (first, rest) = hello[5..].split_at(20);
    let record = |content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&hello[..3], &length, content].concat()
    };
    [record(first), record(rest)].concat()
}

/// The same with one more extension, of an encrypted ClientHello (draft-ietf-tls-esni): which name is in that only its
/// server knows.
fn with_encrypted_hello(hello: &[u8]) -> Vec<u8> {
    let mut hello = hello.to_vec();
    let extension = [&[0xfe, 0x0d, 0, 64][..], &[0x5a; 64]].concat();
    // The lengths of the record, of the message, and of the extensions.
    let sessions = 5 + 4 + 2 + 32;
    let suites = sessions + 1 + usize::from(hello[sessions]);
    let compression = suites + 2 + usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    let extensions = compression + 1 + usize::from(hello[compression]);
    for at in [3, 7, extensions] {
        let length = u16::from_be_bytes([hello[at], hello[at + 1]]) + 68;
        hello[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    hello.extend(extension);
    hello
}

/// Bytes as a script has them.
fn text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

/// A server that notes what it gets of each connection, and says how much that was when its client is done.
struct Recorder {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let own = got.clone();
        thread::spawn(move || {
            // One after the other, as the script does it.
            for mut stream in listener.incoming().flatten() {
                let mut read = Vec::new();
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.read_to_end(&mut read);
                let _ = stream.write_all(format!("got {}", read.len()).as_bytes());
                own.lock().unwrap().push(read);
            }
        });
        Self { address, got }
    }

    fn got(&self) -> Vec<Vec<u8>> {
        self.got.lock().unwrap().clone()
    }
}

fn closed() -> &'static str {
    match Wasi::under_test() {
        Wasi::V0_2 => "closed",
        Wasi::V0_3 => "connection-reset",
    }
}

/// The statements of connections to a server that a look-up of `shop.test` leads to.
struct Connections {
    script: Script,
    remote: SocketAddr,
}

impl Connections {
    fn to(remote: SocketAddr) -> Self {
        let script = Script::new().gets("dns.lookup shop.test", "127.0.0.1");
        Self { script, remote }
    }

    fn begin(self) -> Self {
        let Self { script, remote } = self;
        let script = script.ok(format_args!("tcp.connect {remote} as c"));
        Self { script, remote }
    }

    fn then(self, change: impl FnOnce(Script) -> Script) -> Self {
        Self {
            script: change(self.script),
            ..self
        }
    }

    /// One that opens with `bytes`, in pieces of `piece`, and is let through.
    fn passes(self, bytes: &[u8], piece: usize) -> Self {
        let length = bytes.len();
        self.begin().then(|mut script| {
            for piece in bytes.chunks(piece) {
                script = script.ok(format_args!("tcp.send c {}", text(piece)));
            }
            script
                .ok("tcp.shutdown c send")
                .gets("tcp.recv c", format_args!("got {length}"))
        })
    }

    /// One that is refused at its last piece.
    fn refused(self, bytes: &[u8], piece: usize, reason: &str) -> Self {
        self.begin().then(|mut script| {
            let last = bytes.chunks(piece).count() - 1;
            for (index, piece) in bytes.chunks(piece).enumerate() {
                let send = format!("tcp.send c {}", text(piece));
                script = if index == last {
                    script.refused(send, closed(), reason)
                } else {
                    script.ok(send)
                };
            }
            script.gets("tcp.recv c", closed())
        })
    }
}

fn guest(dns: &DnsServer) -> Outport {
    Outport::script_guest()
        .dns(dns)
        .option("--allow-loopback-answers")
}

fn shop() -> DnsServer {
    let dns = DnsServer::start();
    dns.answers("shop.test", [Reply::addresses(["127.0.0.1"])]);
    dns
}

// proves: TLS-1, TLS-3
#[test]
fn tls_1_a_denied_name_is_refused_in_every_version_of_tls_over_whatever_address() {
    let (dns, server) = (shop(), Recorder::start());
    let mut connections = Connections::to(server.address);
    let mut passed = Vec::new();
    for version in ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"] {
        let good = opened_by_openssl(&[version, "-servername", "other.test"]);
        let bad = opened_by_openssl(&[version, "-servername", "BAD.test"]);
        let nameless = opened_by_openssl(&[version, "-noservername"]);
        connections = connections
            .passes(&good, usize::MAX)
            .refused(&bad, usize::MAX, "deny.tls-name")
            .passes(&nameless, usize::MAX);
        passed.extend([good, Vec::new(), nameless]);
    }
    let finished = connections.script.run(
        guest(&dns)
            .allow(format!("*://shop.test:{}", server.address.port()))
            .deny("https://bad.test:*"),
    );
    assert!(server.got() == passed, "nothing of what is refused arrives");
    let denied: Vec<_> = finished.audit.iter().filter(|line| line.denied()).collect();
    for line in &denied {
        assert_eq!(line.field("attempt"), "tls.hello", "{line:?}");
        assert_eq!(line.field("destination"), server.address.to_string(), "{line:?}");
        assert_eq!(line.field("name"), "bad.test", "{line:?}");
        assert!(line.field("rule").starts_with("https://bad.test:*"), "{line:?}");
        assert!(line.field("remedy").contains("`https://bad.test:*`"), "{line:?}");
    }
    let ended = finished
        .outcomes
        .iter()
        .filter(|line| line["ended_by"] == "policy");
    assert_eq!(ended.count(), denied.len(), "{finished}");
}

// proves: TLS-1, TLS-3, RSN-2
#[test]
fn tls_1_a_connection_that_a_name_opened_is_for_permitted_names_where_the_operator_says_so() {
    let (dns, server) = (shop(), Recorder::start());
    let port = server.address.port();
    let (own, other) = (hello("SHOP.test"), hello("other.test"));
    let (below, nameless) = (hello("a.cdn.test"), opened_by_openssl(&["-noservername"]));
    let cut = other[..40].to_vec();
    let old = [0x80, 0x2e, 1, 3, 1, 0, 0x15];
    for mode in ["allowed", "required"] {
        let connections = Connections::to(server.address)
            .passes(&own, usize::MAX)
            .passes(&below, usize::MAX)
            .refused(&other, usize::MAX, "allow.tls-name");
        let connections = if mode == "required" {
            connections
                .refused(&nameless, usize::MAX, "allow.tls-name")
                .refused(&old, usize::MAX, "allow.tls-name")
        } else {
            connections.passes(&nameless, usize::MAX).passes(&old, usize::MAX)
        };
        let connections = connections.begin().then(|script| {
            script
                .ok(format_args!("tcp.send c {}", text(&cut)))
                .ok("tcp.shutdown c send")
                .logging("allow.tls-name")
        });
        let finished = connections.script.run(
            guest(&dns)
                .allow(format!("*://shop.test:{port}"))
                .allow(format!("tcp://*.cdn.test:{port}"))
                .option(format!("--tls-names={mode}")),
        );
        let denied: Vec<_> = finished.audit.iter().filter(|line| line.denied()).collect();
        assert_eq!(denied[0].field("name"), "other.test");
        assert!(
            denied[0]
                .field("remedy")
                .contains(&format!("\"tcp://other.test:{port}\"")),
            "{:?}",
            denied[0]
        );
        let lifted =
            |line: &str| line.contains("`--tls-names denied`") || line.contains("`--tls-names allowed`");
        assert!(
            denied[1..].iter().all(|line| lifted(&line.field("remedy"))),
            "{finished}"
        );
    }
    // An entry for the address, or for every host, holds it to no names; and it can all be switched off.
    for (entry, option) in [
        (format!("*://127.0.0.1:{port}"), "--tls-names=required"),
        (format!("*://*:{port}"), "--tls-names=required"),
        (format!("*://shop.test:{port}"), "--tls-names=off"),
    ] {
        let connections = Connections::to(server.address)
            .passes(&other, usize::MAX)
            .passes(&nameless, usize::MAX);
        let app = guest(&dns)
            .allow(entry)
            .allow(format!("*://shop.test:{port}"))
            .deny("*://third.test:*")
            .option(option);
        connections.script.run(app);
    }
}

// proves: TLS-2
#[test]
fn tls_2_a_client_hello_is_judged_however_it_is_written() {
    let (dns, server) = (shop(), Recorder::start());
    let (good, bad) = (hello("other.test"), hello("bad.test"));
    let mut connections = Connections::to(server.address);
    let request = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    for write in [
        |hello: &[u8]| hello.to_vec(),
        in_two_records,
        with_encrypted_hello,
        |hello: &[u8]| [&[22, 3, 1, 0, 0][..], hello].concat(),
        |hello: &[u8]| [&[21, 3, 1, 0, 2, 1, 90][..], hello].concat(),
        // OpenSSL reads past a change of cipher without content, and Java takes any version.
        |hello: &[u8]| [&[20, 3, 1, 0, 0][..], hello].concat(),
        |hello: &[u8]| [&[22, 0x10, 0][..], &hello[3..]].concat(),
    ] {
        let (good, bad) = (write(&good), write(&bad));
        connections = connections
            .passes(&good, 1)
            .refused(&bad, 1, "deny.tls-name")
            .passes(&good, 100)
            .refused(&bad, usize::MAX, "deny.tls-name");
    }
    connections = connections.passes(&[&request[..], &good].concat(), 3).refused(
        &[&request[..], &bad].concat(),
        3,
        "deny.tls-name",
    );
    // The second one, as after a HelloRetryRequest.
    for change in [&[][..], &[20, 3, 3, 0, 1, 1]] {
        let both = |second: &[u8]| [&good[..], change, second].concat();
        connections =
            connections
                .passes(&both(&good), good.len())
                .refused(&both(&bad), good.len(), "deny.tls-name");
    }
    // What is no name, which a server may take for one.
    for name in ["xn--a.bad.test", "bad.test:443", "\u{200d}.bad.test"] {
        connections = connections.refused(&hello(name), usize::MAX, "deny.tls-name");
    }
    connections.script.run(
        guest(&dns)
            .allow(format!("*://shop.test:{}", server.address.port()))
            .deny("*://bad.test:*"),
    );
    let got = server.got();
    let bare = |got: &[u8]| !got.windows(8).any(|part| part == b"bad.test");
    assert!(got.iter().all(|got| bare(got)), "no denied name leaves");
}

// proves: TLS-2, ISO-1, ISO-3
#[test]
fn tls_2_half_a_client_hello_is_kept_in_its_guests_own_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let peers: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let accepted = peers.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            accepted.lock().unwrap().push(stream);
        }
    });
    let guest = match Wasi::under_test() {
        Wasi::V0_2 => "http-script-guest",
        Wasi::V0_3 => "http-script-guest-p3",
    };
    let component = |name: &str, hosts: &str| {
        format!(
            "[[trigger.http]]\nroute = \"/{name}/...\"\ncomponent = \"{name}\"\n\
             [component.{name}]\nsource = \"GUESTS/{guest}.wasm\"\nallowed_outbound_hosts = [{hosts}]\n"
        )
    };
    let manifest = format!(
        "spin_manifest_version = 2\napplication.name = \"halves\"\n{}{}",
        component("holds", "\"*://127.0.0.1:*\""),
        component("neighbour", "")
    );
    // A record of 16 KiB that begins a ClientHello, but for its end: 240 of them are nearly 4 MB.
    let begins = text(&[0x16, 3, 1, 0x40, 0, 1, 0, 0x40, 0]);
    let holds = |time: u32| {
        let statements = format!(
            "repeat 240 tcp.connect {remote} as c{{}};repeat 240 tcp.send c{{}} {begins};\
             repeat 240 tcp.upload c{{}} 16370;tcp.recv c1 {time}"
        );
        let encoded = [(" ", "%20"), ("\\", "%5C"), ("{", "%7B"), ("}", "%7D")];
        let fold = |text: String, (from, to): (&str, &str)| text.replace(from, to);
        format!("/holds/?{}", encoded.into_iter().fold(statements, fold))
    };
    let serving = |memory: &str| {
        Outport::up(&manifest)
            .options([
                "--workers=1",
                "--disallowed-outbound-hosts=*://bad.test:*",
                memory,
            ])
            .start()
    };

    let roomy = serving("--max-memory=16M");
    thread::scope(|scope| {
        let held = scope.spawn(|| roomy.get(&holds(2000)));
        until("all are open", || peers.lock().unwrap().len() == 240);
        while !held.is_finished() {
            assert_eq!(roomy.get("/neighbour/?print%20here").status, 200, "{roomy}");
        }
        let held = held.join().unwrap();
        assert_eq!(held.status, 200, "{roomy}");
        assert!(held.body.contains("timeout"), "{}", held.body);
    });
    for peer in peers.lock().unwrap().drain(..) {
        // What never becomes whole is refused, since nobody knows whose name it is for.
        let got = (&peer).read(&mut [0; 1]);
        assert!(!matches!(got, Ok(1..)), "{got:?}");
    }

    let narrow = serving("--max-memory=4M");
    let ended = narrow.get(&holds(60_000));
    assert_eq!(ended.status, 500, "{narrow}");
    narrow.wait_for_error_text("needs more memory than it may have");
    assert_eq!(narrow.get("/neighbour/?print%20here").status, 200, "{narrow}");
}

// proves: TLS-2
#[test]
fn tls_2_what_only_looks_like_a_client_hello_goes_on_at_once() {
    let (dns, echo) = (shop(), TcpPeer::echo());
    let mut connections = Connections::to(echo.address());
    // A start of PostgreSQL; SSL 2; another protocol.
    for bytes in [&b"\x00\x00\x00\x08\x00\x03"[..], b"\x80\x2e\x01", b"PING\r\n"] {
        connections = connections.begin().then(|script| {
            script
                .ok(format_args!("tcp.send c {}", text(bytes)))
                .any("tcp.recv c 10000")
        });
    }
    // What may still become one waits. What began like one, and is none, could be one to its server.
    connections = connections.begin().then(|script| {
        script
            .ok(r"tcp.send c \x16\x03\x01\x00\x04")
            .gets("tcp.recv c 100", "timeout")
            .refused("tcp.send c no", closed(), "deny.tls-name")
    });
    for bytes in [
        &b"\x16\x03\x01\xff\xff"[..],
        b"\x16\x03\x01\x00\x04\x02",
        b"\x17\x03\x03",
    ] {
        connections = connections.refused(bytes, usize::MAX, "deny.tls-name");
    }
    let finished = connections.script.run(
        guest(&dns)
            .allow(format!("*://shop.test:{}", echo.port()))
            .deny("*://bad.test:*"),
    );
    let timeouts = finished.stdout.matches("=> timeout").count();
    assert_eq!(timeouts, 1, "{finished}");
}

// proves: TLS-1, TLS-2
#[test]
fn tls_2_real_servers_speak_tls_with_who_is_let_through() {
    let (dns, authority) = (shop(), Authority::new());
    let peer = TlsPeer::start(authority.identity("shop.test"), |mut client| {
        client.read(&mut [0]).map(drop)
    });
    let postgres = Postgres::start_with_tls(&authority.identity("shop.test"));
    let (good, bad) = (hello("shop.test"), hello("bad.test"));
    let tls = format!("tcp.send c {}", text(&good));
    let connections = Connections::to(peer.address())
        .begin()
        .then(|script| script.ok(tls.as_str()).any("tcp.recv c"));
    let database = SocketAddr::from(([127, 0, 0, 1], postgres.port()));
    let request = r"tcp.send c \x00\x00\x00\x08\x04\xd2\x16\x2f";
    let asked = |connections: Connections| {
        connections
            .begin()
            .then(|script| script.ok(request).gets("tcp.recv c", "S"))
    };
    let connections = asked(Connections {
        remote: database,
        ..connections
    });
    let connections = asked(connections.then(|script| script.ok(tls.as_str()).any("tcp.recv c")));
    let script = connections
        .script
        .refused(
            format_args!("tcp.send c {}", text(&bad)),
            closed(),
            "deny.tls-name",
        )
        .gets("tcp.recv c", closed());
    let finished = script.run(
        guest(&dns)
            .allow(format!("*://shop.test:{}", peer.address().port()))
            .allow(format!("*://shop.test:{}", postgres.port()))
            .deny("*://bad.test:*")
            .option("--tls-names=required"),
    );
    let answers = finished.stdout.matches(r"=> \x16\x03\x03").count();
    assert_eq!(answers, 2, "both servers answer with a handshake\n{finished}");
}

// proves: TLS-4
#[test]
fn tls_4_a_request_sends_the_name_that_was_judged() {
    let dns = shop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut read = vec![0; 16 * 1024];
        let length = stream.read(&mut read).unwrap();
        read.truncate(length);
        read
    });
    let url = format!("http GET https://SHOP.test:{}/", address.port());
    let script = Script::new().any(url);
    script.run(
        guest(&dns)
            .allow(format!("https://shop.test:{}", address.port()))
            .option("--tls-names=required"),
    );
    let read = server.join().unwrap();
    assert_eq!(read[0], 22, "TLS");
    assert!(read.windows(9).any(|part| part == b"shop.test"), "{read:02x?}");
}
