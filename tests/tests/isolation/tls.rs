//! Components that have the host speak TLS: handshakes that never end, connections that nobody reads or writes on, servers
//! that send without end.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use outport_e2e::tcp::{Manner, TcpPeer};
use outport_e2e::tls::{Authority, Client, TlsPeer};

use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for version in ["tls2", "tls3"] {
        let [handshakes, waiting, unread, endless, unwatched] = NAMES.map(|names| match version {
            "tls2" => names.0,
            _ => names.1,
        });
        let silent = TcpPeer::start(Manner::Stall);
        let connect = format!("{version}.connect {}\n", silent.address());
        rows.push(
            row(
                handshakes,
                format!("{connect}repeat 100000 {version}.start localhost"),
            )
            .within_lines(100)
            .keep(silent),
        );
        let silent = TcpPeer::start(Manner::Stall);
        let connect = format!("{version}.connect {}\n", silent.address());
        let all = format!("{connect}{version}.start localhost\n{version}.hold\n").repeat(100);
        rows.push(
            row(waiting, format!("{all}{connect}{version}.secure localhost"))
                .within_lines(100)
                .keep(silent),
        );
        // A server that reads nothing, and what is written to it.
        rows.push(with_peer(
            unread,
            |connect| format!("{connect}{version}.fill 1000000000\n{version}.hold\n").repeat(3),
            version,
            |client| {
                client.flush()?;
                thread::sleep(Duration::from_secs(5));
                Ok(())
            },
        ));
        rows.push(with_peer(
            endless,
            |connect| format!("{connect}repeat 1000000 {version}.receive"),
            version,
            endlessly,
        ));
        rows.push(with_peer(
            unwatched,
            |connect| {
                let held = format!("{connect}{version}.hold\n").repeat(20);
                format!("{held}{connect}repeat 1000000 {version}.receive")
            },
            version,
            much,
        ));
    }
    let silent = TcpPeer::start(Manner::Stall);
    let twice = format!("tls2.connect {}\ntls2.twice localhost", silent.address());
    rows.push(row("TLS, the same streams twice", twice).ends(1).keep(silent));
    rows
}

/// What each row is called for 0.2 and for 0.3.
const NAMES: [(&str, &str); 5] = [
    ("TLS handshakes, 100,000", "TLS handshakes on 0.3, 100,000"),
    (
        "TLS handshakes that wait, 100",
        "TLS handshakes on 0.3 that wait, 100",
    ),
    ("TLS, written and not read", "TLS on 0.3, written and not read"),
    ("TLS, a server without end", "TLS on 0.3, a server without end"),
    ("TLS, 20 not read", "TLS on 0.3, 20 not read"),
];

/// Sends records of one byte as long as anybody reads them.
fn endlessly(client: &mut Client) -> std::io::Result<()> {
    client.sock.set_write_timeout(Some(Duration::from_secs(1)))?;
    loop {
        for _ in 0..1000 {
            client.conn.writer().write_all(b"x")?;
        }
        client.flush()?;
    }
}

/// Sends as much as anybody takes.
fn much(client: &mut Client) -> std::io::Result<()> {
    client.sock.set_write_timeout(Some(Duration::from_secs(1)))?;
    loop {
        client.write_all(&[b'x'; 16 * 1024])?;
    }
}

/// A row with a server behind TLS, which does this with its clients after the handshake; `script` is given what connects
/// and secures.
fn with_peer(
    name: &'static str,
    script: impl Fn(&str) -> String,
    version: &str,
    serve: impl Fn(&mut Client) -> std::io::Result<()> + Send + Sync + 'static,
) -> Row {
    let authority = Authority::new();
    let peer = TlsPeer::start(authority.identity("localhost"), move |mut client| {
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock)?;
        }
        serve(&mut client)?;
        client.read_to_end(&mut Vec::new()).map(drop)
    });
    let connect = format!(
        "{version}.connect {}\n{version}.secure localhost\n",
        peer.address()
    );
    let profile = "[[client_tls]]\ncomponent_ids = [\"hostile\"]\nhosts = [\"localhost\"]\nca_roots_file = \"ca.pem\"\n";
    // One client: what its servers send takes the processor from everybody.
    row_of(1, name, script(&connect))
        .file("ca.pem", authority.pem())
        .file("runtime.toml", profile)
        .option("--runtime-config-file=runtime.toml")
        .keep(peer)
}

/// Four clients send this script again and again.
fn row(name: &'static str, script: String) -> Row {
    row_of(4, name, script)
}

/// So many clients do.
fn row_of(clients: usize, name: &'static str, script: String) -> Row {
    Row::new(name, "ISO-3")
        .guest("tls", "")
        .lasts(Duration::from_secs(1))
        .until_it_is_full()
        .attack(move |scene| {
            thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(|| {
                        while !scene.is_over() {
                            scene.post(&script);
                            thread::sleep(Duration::from_millis(10));
                        }
                    });
                }
            });
        })
}
