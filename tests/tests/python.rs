//! Real programs as guests: CPython with redis-py and pg8000, unmodified, which know nothing of Outport.
//!
//! The component has 36 MB, so these tests also show that such a one starts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use outport_e2e::dns::{DnsServer, Reply};
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::python;
use outport_e2e::redis::Redis;

fn clients() -> PathBuf {
    python::component("clients", &["redis==8.1.0", "pg8000==1.31.5"])
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
    let start = Instant::now();
    assert_eq!(resolve().stdout, "127.0.0.1\n");
    let time = start.elapsed();
    assert!(
        time < Duration::from_secs(3),
        "{time:?} with compiled code at hand"
    );
}
