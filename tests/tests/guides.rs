//! What `docs/guests/rust.md` tells authors of components holds: its program, and its table of drivers.
//!
//! A driver that the table calls working does 20 operations on a real server as a component, and prints what the same
//! program prints as a program of this machine.

use std::fmt::Display;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::Command;

use outport_e2e::guest::workspace;
use outport_e2e::http::{Closing, Origin};
use outport_e2e::mariadb::MariaDb;
use outport_e2e::mosquitto::Mosquitto;
use outport_e2e::outport::Outport;
use outport_e2e::postgres::Postgres;
use outport_e2e::redis::Redis;
use outport_e2e::rust_toolchain;
use outport_e2e::tls::{Authority, TlsPeer};

/// The program of all drivers, `tests/programs/rust-drivers`.
const DRIVERS: &str = "rust-drivers";

/// Runs a driver as a component, which may speak to the server by its name and to nothing else, and natively.
fn compare(driver: &str, port: impl Display, url: &str, more: &[&str]) {
    let folder = workspace().join("tests/programs").join(DRIVERS);
    let component = rust_toolchain::component(&folder, DRIVERS);
    let native = Command::new(rust_toolchain::native(&folder, DRIVERS))
        .args([driver, url])
        .args(more)
        .output()
        .expect("it was built a moment ago");
    assert!(
        native.status.success(),
        "{driver}: {}",
        String::from_utf8_lossy(&native.stderr)
    );
    let guest = Outport::run(component)
        .allow(format!("*://localhost:{port}"))
        .args([driver, url])
        .args(more)
        .finish()
        .expect_code(0);
    let expected = String::from_utf8(native.stdout).expect("it prints text");
    assert!(expected.lines().count() >= 20, "{driver}: {expected}");
    assert_eq!(guest.stdout, expected, "{driver}");
}

#[test]
fn drivers_of_postgresql_work_as_they_do_natively() {
    let server = Postgres::start();
    let port = server.port();
    let url = format!("postgres://postgres:secret@localhost:{port}/postgres?sslmode=disable");
    for driver in ["tokio-postgres", "sqlx"] {
        compare(driver, port, &url, &[]);
    }
}

#[test]
fn drivers_of_redis_work_as_they_do_natively() {
    let server = Redis::start();
    let port = server.port();
    for driver in ["redis", "redis (tokio)"] {
        compare(driver, port, &format!("redis://localhost:{port}"), &[]);
    }
}

#[test]
fn drivers_of_mysql_work_as_they_do_natively() {
    let server = MariaDb::start();
    let port = server.port();
    let url = format!("mysql://guest:secret@localhost:{port}/shop");
    compare("mysql_async", port, &url, &[]);
}

#[test]
fn drivers_of_mqtt_work_as_they_do_natively() {
    let server = Mosquitto::start();
    let port = server.port();
    compare("rumqttc", port, &format!("localhost:{port}"), &[]);
}

#[test]
fn clients_of_http_work_as_they_do_natively() {
    let origin = Origin::start_on((Ipv4Addr::LOCALHOST, 0), "from the API\n", Closing::OnRequest);
    let port = origin.address().port();
    for client in ["ureq", "hyper", "reqwest"] {
        compare(client, port, &format!("http://localhost:{port}/items"), &[]);
    }
    assert_eq!(origin.requests().len(), 120, "20 of each, twice");
}

#[test]
fn tls_within_the_guest_works_as_it_does_natively() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsPeer::start(authority.identity("localhost"), |mut client| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        client.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
        client.conn.send_close_notify();
        client.flush()
    });
    let port = server.address().port();
    let url = format!("localhost:{port}");
    compare("rustls", port, &url, &[&authority.pem()]);

    let folder = workspace().join("tests/programs").join(DRIVERS);
    let refused = Outport::run(rust_toolchain::component(&folder, DRIVERS))
        .allow(format!("*://localhost:{port}"))
        .args(["rustls", &url, &other.pem()])
        .finish();
    assert!(refused.stderr.contains("UnknownIssuer"), "{refused}");
}

#[test]
fn the_table_of_drivers_calls_those_working_that_are_tried_here() {
    let page = fs::read_to_string(workspace().join("docs/guests/rust.md")).expect("the page");
    let mut working: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | yes |"))
        .map(|(driver, _)| driver)
        .collect();
    working.sort_unstable();
    assert_eq!(
        working,
        [
            "hyper",
            "mysql_async",
            "redis",
            "redis (tokio)",
            "reqwest",
            "rumqttc",
            "rustls",
            "sqlx",
            "tokio-postgres",
            "ureq"
        ]
    );
}

/// The page's complete program, built as the page says.
#[test]
fn the_program_of_the_page_asks_postgresql_redis_and_an_api() {
    let folder = workspace().join("docs/guests/rust");
    let page = fs::read_to_string(workspace().join("docs/guests/rust.md")).expect("the page");
    for file in ["Cargo.toml", ".cargo/config.toml", "src/main.rs", "spin.toml"] {
        let text = fs::read_to_string(folder.join(file)).expect(file);
        assert!(page.contains(&text), "docs/guests/rust.md shows {file} as it is");
    }
    let (postgres, redis, api) = (Postgres::start(), Redis::start(), Origin::start("21 degrees"));
    let ports = [postgres.port(), redis.port(), api.address().port()];
    let mut guest = Outport::run(rust_toolchain::component(&folder, "services"));
    for port in ports {
        guest = guest.allow(format!("*://localhost:{port}"));
    }
    let [database, cache, weather] = ports;
    let finished = guest
        .args([
            format!("postgres://postgres:secret@localhost:{database}/postgres"),
            format!("redis://localhost:{cache}"),
            format!("http://localhost:{weather}/weather"),
        ])
        .finish()
        .expect_code(0);
    assert_eq!(
        finished.stdout,
        "PostgreSQL: 6 * 7 = 42\nRedis: visit 1\nHTTP: 21 degrees\n"
    );
}
