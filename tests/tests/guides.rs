//! What `docs/guests/rust.md` and `go.md` tell authors of components holds: programs, commands, and the table of drivers.
//!
//! A driver that the table calls working does 20 operations on a real server as a component, and prints what the same
//! program prints as a program of this machine.

use std::fmt::Display;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::process::Command;

use outport_e2e::go;
use outport_e2e::guest::workspace;
use outport_e2e::http::{self, Closing, Origin};
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
    // Both authorities have one name: the issuer is found, and did not sign it.
    assert!(
        refused.stderr.contains("invalid peer certificate: BadSignature"),
        "{refused}"
    );
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

/// The commands of a page, as they are typed.
fn commands(page: &str) -> Vec<String> {
    let page = fs::read_to_string(workspace().join("docs/guests").join(page)).expect("the page");
    let typed = page.lines().filter_map(|line| line.strip_prefix("$ "));
    typed.map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_page_on_go_build_a_program_that_has_goroutines_and_no_network() {
    let commands = commands("go.md");
    let (run, build) = commands.split_last().expect("it has commands");
    assert_eq!(run, "outport run program.wasm");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = workspace().join("tests/programs/network.go");
    fs::copy(program, folder.path().join("main.go")).expect("a folder of our own");
    for command in build {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(folder.path());
        let output = go::with_go(&mut shell).output().expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
    }
    let origin = Origin::start("not to be reached");
    let address = format!("localhost:{}", origin.address().port());
    let finished = Outport::run(folder.path().join("program.wasm"))
        .allow(format!("*://{address}"))
        .args([&address])
        .finish()
        .expect_code(0);
    let lines = finished.lines();
    for (line, start) in lines.iter().zip([
        "dial: dial tcp: lookup localhost",
        "lookup: lookup localhost",
        "http: Get \"http://localhost",
    ]) {
        assert!(line.starts_with(start), "{finished}");
    }
    assert_eq!(
        lines[3..],
        ["within the process: reached", "goroutines: 100"],
        "{finished}"
    );
    assert!(origin.requests().is_empty(), "{finished}");
    assert!(finished.reasons().is_empty(), "Outport was not asked: {finished}");
}

#[test]
fn a_module_of_go_answers_requests_by_cgi() {
    let manifest = format!(
        r#"spin_manifest_version = 2
[application]
name = "app"
[[trigger.http]]
route = "/..."
component = "cgi"
executor = {{ type = "wagi" }}
[component.cgi]
source = "{}"
"#,
        go::module("cgi").display()
    );
    let app = Outport::up(&manifest).start();
    for (words, last) in [("one two", "two"), ("three", "three")] {
        let response = http::post(app.address(), "/", words).expect("an answer");
        let count = 100_000 * words.split(' ').count();
        let expected = format!("{count} words, of which the last is \"{last}\"\n");
        assert_eq!((response.status, response.body), (200, expected), "{app}");
    }
    app.stop();
}

#[test]
fn a_module_of_go_that_declares_sockets_itself_is_refused_before_it_runs() {
    let finished = Outport::run(go::module("imports")).finish().expect_code(2);
    let said = "imports `instance-network` of `wasi:sockets/instance-network@0.2.0`, which nobody provides";
    assert!(finished.stderr.contains(said), "{finished}");
}
