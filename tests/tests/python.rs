//! Real programs as guests: CPython and its clients for databases, mail, files and HTTP, unmodified, which know nothing of
//! Outport.
//!
//! The component has 36 MB, so these tests also show that such a one starts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::http::{Closing, Origin};
use outport_e2e::mariadb::MariaDb;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::python;
use outport_e2e::python_server::PythonServer;
use outport_e2e::redis::Redis;
use outport_e2e::tcp::TcpPeer;

fn clients() -> PathBuf {
    let packages = [
        "redis==8.1.0",
        "pg8000==1.31.5",
        "requests==2.32.5",
        "paho-mqtt==2.1.0",
        "PyMySQL==1.1.2",
    ];
    python::component("clients", &packages)
}

/// Compiling 36 MB on a busy machine takes its time.
fn run() -> Outport {
    Outport::run(clients()).within(Duration::from_secs(180))
}

// proves: DNS-3
#[test]
fn redis_py_reaches_its_server_by_host_name() {
    let (redis, dns) = (Redis::start(), DnsServer::start());
    dns.answers("cache.test", [Reply::addresses(["127.0.0.1"])]);
    let port = redis.port().to_string();
    let client = run()
        .allow(format!("*://cache.test:{port}"))
        .dns(&dns)
        .option("--allow-loopback-answers");
    let finished = client
        .args(["redis", "cache.test", &port])
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, "green\n");
    assert_eq!(redis.ask("GET colour").ok().as_deref(), Some("$5\r\ngreen\r\n"));
}

// proves: DNS-1
#[test]
fn redis_py_gets_nowhere_without_an_entry() {
    let redis = Redis::start();
    let port = redis.port().to_string();
    let finished = run().args(["redis", "localhost", &port]).finish().expect_code(1);
    assert!(finished.stdout.starts_with("ConnectionError: "), "{finished}");
    assert_eq!(finished.reasons(), ["allow.none"]);
}

#[test]
fn pg8000_logs_in_and_asks_by_host_name() {
    let (postgres, dns) = (Postgres::start(), DnsServer::start());
    dns.answers("db.test", [Reply::addresses(["127.0.0.1"])]);
    let port = postgres.port().to_string();
    let client = run()
        .allow(format!("*://db.test:{port}"))
        .dns(&dns)
        .option("--allow-loopback-answers");
    let finished = client
        .args(["postgres", "db.test", &port])
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, "42\n");
}

/// What `clients COMMAND localhost PORT …` printed, with an entry for that port.
fn ask(command: &str, ports: &[u16]) -> String {
    let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>();
    let client = ports.iter().fold(run(), |client, port| {
        client.allow(format!("*://localhost:{port}"))
    });
    let arguments = [command, "localhost"]
        .into_iter()
        .chain(ports.iter().map(String::as_str));
    client.args(arguments).finish().expect_code(0).stdout
}

#[test]
fn a_session_of_requests_keeps_one_connection() {
    let origin = Origin::start_on("127.0.0.1:0", "hello", Closing::OnRequest);
    assert_eq!(ask("session", &[origin.address().port()]), "20\n");
    assert_eq!((origin.requests().len(), origin.accepted()), (20, 1));
}

#[test]
fn select_says_which_of_two_connections_is_readable() {
    let peers = [TcpPeer::echo(), TcpPeer::echo()];
    assert_eq!(ask("select", &peers.each_ref().map(TcpPeer::port)), "50\n");
}

#[test]
fn a_socket_that_does_not_block_connects_sends_and_receives() {
    assert_eq!(ask("nonblocking", &[TcpPeer::echo().port()]), "50\n");
}

#[test]
fn smtplib_sends_a_message() {
    let server = PythonServer::smtp();
    assert_eq!(ask("smtp", &[server.port()]), "sent\n");
    let mails = server.files("mails/new");
    assert!(mails.len() == 1 && mails[0].contains("green"), "{mails:?}");
}

#[test]
fn imaplib_reads_a_message() {
    let server = PythonServer::imap();
    assert_eq!(
        ask("imap", &[server.port()]),
        "Subject: Re: Re: Random question\n"
    );
}

#[test]
fn ftplib_moves_files_by_passive_connections() {
    let server = PythonServer::ftp();
    let port = server.port().to_string();
    let client = run().allow("*://localhost:*");
    let finished = client.args(["ftp", "localhost", &port]).finish().expect_code(0);
    assert_eq!(finished.stdout, "colour: green\n");
    assert_eq!(server.files("files"), ["green"]);
}

#[test]
fn pymysql_logs_in_and_asks() {
    let server = MariaDb::start();
    assert_eq!(ask("mysql", &[server.port()]), "42\n");
}

#[test]
fn paho_hears_what_it_says() {
    let server = Mosquitto::start();
    assert_eq!(ask("mqtt", &[server.port()]), "green\n");
}

#[test]
fn a_guest_writes_to_the_directory_that_it_was_given_and_nowhere_else() {
    for sandbox in ["on", "off"] {
        let client = run()
            .option(format!("--kernel-sandbox={sandbox}"))
            .options(["--dir", "given::/data"]);
        let (given, beside) = (client.folder().join("given"), client.folder().join("beside"));
        std::fs::create_dir(&given).unwrap();
        std::fs::create_dir(&beside).unwrap();
        std::os::unix::fs::symlink(&beside, given.join("out")).unwrap();
        let running = client.args(["write", "/data/file", "text"]).start();
        running.wait_for_line("written");
        let text = std::fs::read_to_string(given.join("file")).unwrap();
        assert_eq!(text, "text and more", "{running}");
        running.finish().expect_code(0);
    }
    for path in ["/data/out/file", "/beside/file", "file"] {
        let client = run().options(["--dir", "given::/data"]);
        let (given, beside) = (client.folder().join("given"), client.folder().join("beside"));
        std::fs::create_dir(&given).unwrap();
        std::fs::create_dir(&beside).unwrap();
        std::os::unix::fs::symlink(&beside, given.join("out")).unwrap();
        let finished = client.args(["write", path, "text"]).finish().expect_code(1);
        assert!(!finished.stdout.contains("written"), "{finished}");
    }
}

#[test]
fn the_second_start_is_fast() {
    let resolve = || run().args(["resolve", "127.0.0.1"]).finish().expect_code(0);
    resolve();
    // What else the machine is doing should not count, so one fast start of five is enough.
    let mut times = Vec::new();
    let fast = (0..5).any(|_| {
        let start = Instant::now();
        assert_eq!(resolve().stdout, "127.0.0.1\n");
        times.push(start.elapsed());
        start.elapsed() < Duration::from_secs(3)
    });
    assert!(fast, "{times:?} with compiled code at hand");
}
