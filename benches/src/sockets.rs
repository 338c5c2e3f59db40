//! What a guest's sockets cost, from the guest's own clock.

use crate::contestants::{Client, OUTPORT, Programs, microseconds};
use crate::peers;
use crate::samples::Unit;
use crate::table::Table;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Bytes of one upload or download.
const BYTES: u64 = 512 * 1024 * 1024;

/// Connecting, round trips, upload and download.
pub(crate) fn quiet(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("tcp", "TCP from a guest", "native");
    let (door, echo, sink, source) = (peers::door(), peers::echo(), peers::sink(), peers::source(BYTES));
    let statements = [
        format!("median 2000 tcp.connect {door}"),
        format!("tcp.connect {echo} as c"),
        "tcp.ping c 5000".to_owned(),
        format!("tcp.connect {sink} as c"),
        format!("tcp.upload c {BYTES}"),
        format!("tcp.connect {source} as c"),
        "tcp.download c".to_owned(),
    ];
    for client in each(programs, repetitions) {
        let results = client.play(&statements);
        let throughput = |result: &str| BYTES as f64 / (1 << 20) as f64 / microseconds(result) * 1e6;
        table.add(
            "connect",
            Unit::Microseconds,
            client.name,
            microseconds(&results[0]),
        );
        table.add(
            "round trip of 64 bytes",
            Unit::Microseconds,
            client.name,
            microseconds(&results[2]),
        );
        table.add(
            "upload",
            Unit::MebibytesPerSecond,
            client.name,
            throughput(&results[4]),
        );
        table.add(
            "download",
            Unit::MebibytesPerSecond,
            client.name,
            throughput(&results[6]),
        );
    }
    table
}

/// Round trips while a thread of this process computes without pause.
pub(crate) fn busy(programs: &Programs, repetitions: usize) -> Table {
    let mut table = Table::new("busy", "TCP while one processor is busy", "native");
    let echo = peers::echo();
    let statements = [format!("tcp.connect {echo} as c"), "tcp.ping c 5000".to_owned()];
    let over = Arc::new(AtomicBool::new(false));
    let computing = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    });
    for client in each(programs, repetitions) {
        let results = client.play(&statements);
        table.add(
            "round trip of 64 bytes",
            Unit::Microseconds,
            client.name,
            microseconds(&results[1]),
        );
    }
    over.store(true, Ordering::Relaxed);
    computing.join().expect("a loop does not panic");
    table
}

/// Connecting where the entry that permits it is one of many. The list is that of a manifest.
pub(crate) fn entries(programs: &Programs, repetitions: usize) -> Table {
    const FEW: &str = "1 entry";
    const MANY: &str = "100,000 entries";
    let mut table = Table::new("entries", "Connecting on Outport", FEW);
    let door = peers::door();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, count) in [("few", 0), ("many", 99_999)] {
        let statement = format!("median 2000 tcp.connect {door}");
        let manifest = folder.path().join(name).with_extension("toml");
        std::fs::write(&manifest, app(&statement, door.port(), count))
            .expect("a file in a folder of our own");
    }
    for _ in 0..repetitions {
        for (name, column) in [("few", FEW), ("many", MANY)] {
            let manifest = folder.path().join(name).with_extension("toml");
            let result = run_app(&programs.outport, &manifest);
            table.add("connect", Unit::Microseconds, column, microseconds(&result));
        }
    }
    table
}

fn app(statement: &str, port: u16, further: usize) -> String {
    let guest = outport_e2e::guest::path("player");
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
        "spin_manifest_version = 2\n[application]\nname = \"bench\"\n[[trigger.command]]\ncomponent = \"player\"\n\
         args = [\"{statement}\"]\n[component.player]\nsource = \"{}\"\n\
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

/// Every client in turn, again and again. The first turn of each is not counted: it fills the caches.
fn each(programs: &Programs, repetitions: usize) -> impl Iterator<Item = Client> {
    let clients = programs.clients();
    for client in &clients {
        if client.name != crate::contestants::NATIVE {
            client.play(&["print ready".to_owned()]);
        }
    }
    (0..repetitions).flat_map(move |_| clients.clone())
}
