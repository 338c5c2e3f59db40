//! What a guest's sockets cost, from the guest's own clock.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use outport_e2e::dns::{DnsServer, Reply};

use crate::contestants::{Client, NATIVE, OUTPORT, OUTPORT_P3, Programs, microseconds};
use crate::peers;
use crate::samples::Unit;
use crate::table::Table;

/// Bytes of one upload or download.
const BYTES: u64 = 512 * 1024 * 1024;

const ROUND_TRIP: &str = "round trip of 64 bytes";

/// Connecting, round trips, upload and download.
pub(crate) fn quiet(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("tcp", "TCP from a guest", NATIVE);
    let (echo, sink, source) = (peers::echo(), peers::sink(), peers::source(BYTES));
    let clients = warm(programs.clients());
    for _ in 0..repetitions {
        // An acceptor of its own for each repetition: connections that ended keep their ports for a while.
        let connect = [format!("median 2000 tcp.connect {}", peers::acceptor())];
        let upload = [
            format!("tcp.connect {sink} as c"),
            format!("tcp.upload c {BYTES}"),
        ];
        let download = [format!("tcp.connect {source} as c"), "tcp.download c".to_owned()];
        in_turn(&mut table, "connect", &clients, &connect);
        in_turn(&mut table, ROUND_TRIP, &clients, &round_trips(echo));
        bytes_in_turn(&mut table, "upload", &clients, &upload);
        bytes_in_turn(&mut table, "download", &clients, &download);
    }
    table
}

/// Round trips while a thread of this process computes without pause.
pub(crate) fn busy(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("busy", "TCP while one processor is busy", NATIVE);
    let echo = peers::echo();
    let clients = warm(programs.clients());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for _ in 0..repetitions {
            in_turn(&mut table, ROUND_TRIP, &clients, &round_trips(echo));
        }
        over.store(true, Ordering::Relaxed);
    });
    table
}

/// Round trips of datagrams.
pub(crate) fn datagrams(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("udp", "UDP from a guest", NATIVE);
    let echo = peers::echo_of_datagrams();
    let clients = warm(programs.clients());
    let statements = [format!("udp.connect {echo} as u"), "udp.ping u 3000".to_owned()];
    for _ in 0..repetitions {
        in_turn(&mut table, ROUND_TRIP, &clients, &statements);
    }
    table
}

/// Looking a name up whose answer is still good, beside asking the server once more.
pub(crate) fn lookup(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("look-up", "Looking a name up again", NATIVE);
    let server = DnsServer::start();
    server.answers("db.test", [Reply::addresses(["10.0.0.5"]).ttl(3600)]);
    let ask = format!("--dns-server={}", server.address());
    let guests = [(OUTPORT, "script-guest"), (OUTPORT_P3, "script-guest-p3")];
    let clients = guests.map(|(name, guest)| programs.on_outport(name, guest, &[&ask]));
    let clients = warm(clients.to_vec());
    let query = [format!("median 2000 dns.query {} db.test", server.address())];
    let again = [
        "dns.lookup db.test".to_owned(),
        "median 2000 dns.lookup db.test".to_owned(),
    ];
    for _ in 0..repetitions {
        in_turn(&mut table, "one name", &[programs.natively()], &query);
        in_turn(&mut table, "one name", &clients, &again);
    }
    table
}

fn round_trips(echo: SocketAddr) -> [String; 2] {
    [format!("tcp.connect {echo} as c"), "tcp.ping c 3000".to_owned()]
}

/// Notes the time of the last statement, for each client in turn.
fn in_turn(table: &mut Table, what: &str, clients: &[Client], statements: &[String]) {
    for client in clients {
        let time = microseconds(client.run(statements).last().expect("one for each statement"));
        table.add(what, Unit::Microseconds, client.name, time);
    }
}

/// The same, where the last statement moves [`BYTES`].
fn bytes_in_turn(table: &mut Table, what: &str, clients: &[Client], statements: &[String]) {
    for client in clients {
        let time = microseconds(client.run(statements).last().expect("one for each statement"));
        let speed = BYTES as f64 / (1 << 20) as f64 / time * 1e6;
        table.add(what, Unit::MebibytesPerSecond, client.name, speed);
    }
}

/// The same clients, each of which ran once, so that what it compiles is in its cache.
fn warm(clients: Vec<Client>) -> Vec<Client> {
    for client in clients.iter().filter(|client| client.name != NATIVE) {
        client.run(&["print ready".to_owned()]);
    }
    clients
}

/// Connecting where the entry that permits it is one of many. The list is that of a manifest.
pub(crate) fn entries(programs: &Programs, repetitions: usize) -> Table {
    const FEW: &str = "1 entry";
    const MANY: &str = "100,000 entries";
    let mut table = Table::new("entries", "Connecting on Outport", FEW);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for _ in 0..repetitions {
        let acceptor = peers::acceptor();
        for (column, count) in [(FEW, 0), (MANY, 99_999)] {
            let statement = format!("median 2000 tcp.connect {acceptor}");
            let manifest = folder.path().join("spin.toml");
            std::fs::write(&manifest, app(&statement, acceptor.port(), count))
                .expect("a file in a folder of our own");
            let result = run_app(&programs.outport, &manifest);
            table.add("connect", Unit::Microseconds, column, microseconds(&result));
        }
    }
    table
}

fn app(statement: &str, port: u16, further: usize) -> String {
    let guest = outport_e2e::guest::path("script-guest");
    let further: String = (0..further)
        .map(|n| match n % 2 {
            0 => format!(", \"*://host{n}.example:{}\"", 1024 + n % 50_000),
            _ => format!(
                ", \"*://{}/24:80\"",
                std::net::Ipv4Addr::from(0x0B00_0000 + ((n as u32) << 8))
            ),
        })
        .collect();
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"bench\"\n[[trigger.command]]\ncomponent = \"script-guest\"\n\
         args = [\"{statement}\"]\n[component.script-guest]\nsource = \"{}\"\n\
         allowed_outbound_hosts = [\"*://127.0.0.1:{port}\"{further}]\n",
        guest.display()
    )
}

fn run_app(outport: &Path, manifest: &Path) -> String {
    let output = Command::new(outport)
        .args(["up", "-q", "-f"])
        .arg(manifest)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", outport.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = text.lines().find_map(|line| line.split_once(" => "));
    let (_, result) = result.unwrap_or_else(|| {
        panic!(
            "{OUTPORT} ran no guest:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    result.to_owned()
}
